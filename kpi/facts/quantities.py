"""What was made, by slice: from whichever counters the unit has, and from what people stated beside them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from kpi.facts.slices import Grid, Indices, Window
from kpi.facts.spread import part_of, shares
from kpi.plan import PIECES, PRODUCED_IN, UnitPlan, dated_values
from kpi.timeline.statements import of_kind
from shopfloor.columns import Times, Values
from shopfloor.instant import Instant
from shopfloor.plant import QuantityUnit, WorkUnit
from shopfloor.statement import Statement, StatementKind

SETUP, UNSCHEDULED, UNATTRIBUTED, STARTUP = "setup_", "unscheduled_", "unattributed_", "startup_"
"""Buckets of counts: prefix of the column. Those of the start-up are counted in the plain columns too."""
_MILLIONTHS: Final = 1e6
"""What is not a whole number of pieces is spread in millionths."""
Columns = dict[str, Values]
"""Column -> value by slice."""


def widened(window: Window, statements: Iterable[Statement]) -> Window:
    """The window with the whole intervals of what was stated for a part of it and decides more than its own time.

    A stated quantity goes by the running time of its interval: samples of all of it decide the facts of each part.
    What follows a stated category is a new stop or the rest of the one before it: samples from before it decide.
    """
    told = list(statements)
    (low, since), (high, until) = zip(with_quantities(window, told), _with_categories(window, told), strict=True)
    return min(low, since), max(high, until)


def with_quantities(window: Window, statements: Iterable[Statement]) -> Window:
    """The window with the whole intervals of the quantities that were stated for a part of it."""
    spans = [(each.start, _end(each)) for each in statements if each.kind is StatementKind.QUANTITY]
    reach = [(low, high) for low, high in spans if low < window[1] and high > window[0]]
    return min([window[0], *(low for low, _ in reach)]), max([window[1], *(high for _, high in reach)])


def _with_categories(window: Window, statements: Iterable[Statement]) -> Window:
    """From the start of the unbroken row of categories that ends in the window, to the end of the last in it."""
    spans = [
        (each.start, each.end)
        for each in statements
        if each.kind is StatementKind.CATEGORY and each.end is not None and each.start < window[1]
    ]
    since = min([window[0], *(low for low, high in spans if window[0] <= high < window[1])])
    while since < window[0] and (before := [low for low, high in spans if low < since <= high]):
        since = min(before)
    return since, max([window[1], *(high + 1 for _, high in spans if high >= window[1])])


def made(plan: UnitPlan, grid: Grid, counted: Mapping[str, Values], statements: Sequence[Statement]) -> Columns:
    """All quantity columns: ``counted`` are the counters' values by slice, each under its bucket and tag."""
    zeros = np.zeros(len(grid.keys))
    own = _own_counters(plan, grid)
    plain, setup, outside, across, startup = (
        _complete(plan, counted, bucket, own, zeros) for bucket in ("", SETUP, UNSCHEDULED, UNATTRIBUTED, STARTUP)
    )
    columns = dict(plain)
    for column, amount in stated(plan, grid, statements).items():
        columns[column] = columns[column] + amount if column in columns else amount
    columns["setup_produced"] = setup["produced"]
    columns |= {f"{UNSCHEDULED}{name}": outside[name] for name in ("produced", "good")}
    columns |= {f"{UNATTRIBUTED}{name}": across[name] for name in ("produced", "good", "scrap")}
    planned, mass = _planned_run_time(plan.unit, grid), _mass(plan.unit, grid)
    columns["planned_run_s"] = planned * columns["produced"]
    columns["good_run_s"] = planned * columns["good"]
    columns["startup_scrap_run_s"] = planned * startup["scrap"]
    columns["produced_kg"] = mass * columns["produced"]
    columns["good_kg"] = mass * columns["good"]
    return columns


def _own_counters(plan: UnitPlan, grid: Grid) -> list[tuple[str, Indices]]:
    """Counters that count a product's own quantity, kilograms or heats, with the slices of such products.

    A unit without any counter of pieces counts its heats, whatever the product.
    """
    found = [(tag, slots) for unit, slots in _by_unit(plan.unit, grid).items() if (tag := PRODUCED_IN.get(unit))]
    heats = PRODUCED_IN[QuantityUnit.HEAT]
    if "produced" not in plan.tags and "good" not in plan.tags and not any(tag == heats for tag, _ in found):
        pieces = _by_unit(plan.unit, grid).get(QuantityUnit.PIECE)
        found += [(heats, pieces)] if pieces is not None else []
    return [(tag, slots) for tag, slots in found if tag in plan.tags]


def _by_unit(unit: WorkUnit, grid: Grid) -> dict[QuantityUnit, Indices]:
    found: dict[QuantityUnit, list[Indices]] = {}
    for product, slots in grid.products.items():
        known = unit.products.get(product)
        found.setdefault(known.quantity_unit if known else QuantityUnit.PIECE, []).append(slots)
    return {each: np.concatenate(slots) for each, slots in found.items()}


def _complete(
    plan: UnitPlan, counted: Mapping[str, Values], bucket: str, own: Iterable[tuple[str, Indices]], zeros: Values
) -> Columns:
    """Produced, good, scrap, rework: what has no counter follows from the others."""
    given = {name: counted.get(bucket + name, zeros) for name in PIECES if name in plan.tags}
    if "produced" not in given:
        given["produced"] = given.get("good", zeros) + given.get("scrap", zeros)
    if "good" not in given:
        given["good"] = given["produced"] - given.get("scrap", zeros)
    if "scrap" not in given:
        given["scrap"] = given["produced"] - given["good"]
    columns = {"rework": zeros, **given}
    for tag, slots in own:
        amount = counted.get(bucket + tag, zeros)
        for name in PIECES:
            columns[name] = columns[name].copy()
            columns[name][slots] = amount[slots] if name in ("produced", "good") else 0.0
    return columns


def _planned_run_time(unit: WorkUnit, grid: Grid) -> Values:
    """PRI of each slice's product, seconds; 0 where the plan gives none."""
    planned = np.zeros(len(grid.keys))
    for product, slots in grid.products.items():
        planned[slots] = dated_values(unit.planned_run_time_s, grid.minute[slots], partial(_seconds_of, product))
    return planned


def _seconds_of(product: str, times: Mapping[str, float]) -> float:
    return times.get(product, 0.0)


def _mass(unit: WorkUnit, grid: Grid) -> Values:
    """Mass of one of each slice's product, kg; 0 where it is not known."""
    mass = np.zeros(len(grid.keys))
    for product, slots in grid.products.items():
        known = unit.products.get(product)
        if known is not None:
            mass[slots] = 1.0 if known.quantity_unit is QuantityUnit.KILOGRAM else known.mass_kg or 0.0
    return mass


def stated(plan: UnitPlan, grid: Grid, statements: Iterable[Statement]) -> Columns:
    """What people stated, by slice: over its interval by running time, or evenly where nothing ran.

    What falls in time that the grid does not cover stays there. Stated pieces are PQ, whatever the time counts as.
    """
    columns: Columns = {}
    for statement in of_kind(statements, StatementKind.QUANTITY, plan.path):
        segments, low, high = _covered(grid, statement)
        if not len(segments):
            continue
        inside = grid.slot[segments] >= 0
        for column, amount in completed(plan, statement.quantities).items():
            worth = 1.0 if float(amount).is_integer() else _MILLIONTHS
            part = _spread(grid, round(amount * worth), (statement.start, _end(statement)), segments, low, high)
            sums = columns.setdefault(column, np.zeros(len(grid.keys)))
            np.add.at(sums, grid.slot[segments][inside], part[inside] / worth)
    return columns


def _end(statement: Statement) -> Instant:
    """A count without an end was made at one moment."""
    return statement.end if statement.end is not None else statement.start + 1


def _covered(grid: Grid, statement: Statement) -> tuple[Indices, Times, Times]:
    """The segments of a statement's interval, and where each begins and ends within it."""
    start, end = statement.start, _end(statement)
    segments = np.flatnonzero((grid.start < end) & (grid.end > start))
    return segments, np.maximum(grid.start[segments], start), np.minimum(grid.end[segments], end)


def _spread(grid: Grid, counts: int, interval: Window, segments: Indices, low: Times, high: Times) -> Times:
    start, end = interval
    total, whole = np.full(len(segments), counts, dtype=np.int64), np.full(len(segments), end - start, dtype=np.int64)
    evenly = part_of(total, high - start, whole) - part_of(total, low - start, whole)
    weights = np.where(grid.running[segments], high - low, 0)
    return shares(int(evenly.sum()), weights) if weights.any() else evenly


def completed(plan: UnitPlan, quantities: Mapping[str, float]) -> dict[str, float]:
    """A statement's quantities with what follows from them, as for counters.

    Scrap alone is found among the counted pieces where a counter counts all that is produced, else it adds to them.
    """
    given = dict(quantities)
    if not given.keys() & {"produced", "good", "scrap"}:
        return given
    good, scrap = given.get("good"), given.get("scrap", 0.0)
    recount = good is None and any(tag in plan.tags for tag in ("produced", *PRODUCED_IN.values()))
    if "produced" not in given:
        given["produced"] = 0.0 if recount else (good or 0.0) + scrap
    if good is None:
        given["good"] = given["produced"] - scrap
    elif "scrap" not in given:
        given["scrap"] = given["produced"] - good
    given["stated_produced"] = given["produced"]
    return {name: amount for name, amount in given.items() if amount}
