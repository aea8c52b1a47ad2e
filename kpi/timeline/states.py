"""Samples to state intervals: what each moment of a unit was used for. Pure; feeds the facts and the API's timeline.

Precedence per moment: not_scheduled (calendar), planned_stop (calendar or statement), unknown, other statements, the
machine's own word, what a counter or gauge tells. Micro-stops are judged on the whole stop, before statements.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

from kpi.plan import (
    UnitPlan,
    calendar_spans,
    dated_tiles,
    no_order_is_planned,
    planned_run_time_s,
    product_of,
    runs_outside,
)
from kpi.timeline.inference import Pace, slowest_pace
from kpi.timeline.machine import NOTHING, Told, code_of, tell
from kpi.timeline.statements import moved_to, of_kind, reasons_over, winners
from kpi.timeline.tiles import Tile, heard, hold, overlay
from shopfloor.calendar import OFF_SHIFT, Planned, Span
from shopfloor.columns import SampleColumns
from shopfloor.instant import Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import Staffed, WorkUnit
from shopfloor.statement import Statement, StatementKind

_BY_CALENDAR = {
    Planned.NOT_SCHEDULED: TimeCategory.NOT_SCHEDULED,
    Planned.PLANNED_STOP: TimeCategory.PLANNED_STOP,
}
_STANDING = frozenset({TimeCategory.UNPLANNED_STOP, TimeCategory.STARVED, TimeCategory.BLOCKED})
"""A stated reason may always tell why; micro-stops are not judged yet."""
_MOVABLE = frozenset({TimeCategory.SETUP, TimeCategory.NO_ORDER})
"""Only a reason that books elsewhere touches these."""


class Source(StrEnum):
    """Where a category comes from, in rising order of precedence."""

    INFERRED = "inferred"
    MACHINE = "machine"
    STATED = "stated"
    CALENDAR = "calendar"


class StateInterval(NamedTuple):
    """One stretch [start, end) of a unit in one category, shift and product."""

    start: Instant
    end: Instant
    category: TimeCategory | None
    """What the time counts as; None for a meter, which has no categories."""
    machine: TimeCategory | None
    """What the machine itself said, before the calendar; None when nothing good was known (or for a meter)."""
    code: int | None
    """The state code behind it."""
    observed: bool
    """Whether a good value held."""
    planned: Planned
    shift: str
    product: str
    source: Source = Source.MACHINE
    """Whose word the category is."""
    reason: str = ""
    """The stated reason of a stop."""
    statement: str = ""
    """Id of the statement behind category or reason."""
    order: str = ""
    """The stated order; of one without a number its product."""
    staffed: bool = False
    """Whether people are there: within a shift, where the site's policy says that shifts are staffed."""


def timeline(
    plan: UnitPlan, samples: SampleColumns, start: Instant, end: Instant, statements: Sequence[Statement] = ()
) -> list[StateInterval]:
    """Tile the part of [start, end) between the first and the last sample with state intervals.

    ``samples`` reach at least ``plan.reach`` beyond both borders where there are any, so that a hold, a micro-stop over
    the border and what is inferred are judged whole; with stated reasons, to the borders of the stops there.
    ``statements`` are those in force (``shopfloor.statement.in_force``).
    """
    tiles = untrimmed_timeline(plan, samples, start, end, statements)
    return [
        tile._replace(start=max(tile.start, start), end=min(tile.end, end))
        for tile in tiles
        if tile.start < end and tile.end > start
    ]


def untrimmed_timeline(
    plan: UnitPlan, samples: SampleColumns, start: Instant, end: Instant, statements: Sequence[Statement] = ()
) -> list[StateInterval]:
    """The timeline with its context: from ``plan.reach`` before ``start`` to the last sample given."""
    if len(samples) < 2:
        return []
    low, high = max(int(samples.times[0]), start - plan.reach), int(samples.times[-1])
    if low >= high:
        return []
    orders = _orders(plan.unit, statements, low, high)
    products = list(_products(plan.unit, samples, low, high))
    told = tell(plan, samples, _pace(plan.unit, products, orders, low, high), low, high)
    return _intervals(plan.unit, low, high, told, products, orders, statements)


def silent_timeline(
    unit: WorkUnit, start: Instant, end: Instant, statements: Sequence[Statement] = ()
) -> list[StateInterval]:
    """Tile [start, end), of which no sample tells, with what is known of it: the calendar and what people stated."""
    if start >= end:
        return []
    told = [Tile(start, end, NOTHING)]
    products = list(_products(unit, None, start, end))
    return _intervals(unit, start, end, told, products, _orders(unit, statements, start, end), statements)


def _orders(
    unit: WorkUnit, statements: Sequence[Statement], start: Instant, end: Instant
) -> list[Tile[Statement | None]]:
    return winners(of_kind(statements, StatementKind.ORDER, str(unit.path)), start, end)


def _products(unit: WorkUnit, samples: SampleColumns | None, start: Instant, end: Instant) -> Iterator[Tile[str]]:
    """The product by the plan's rule: a fixed one, or by the code that its tag shows."""
    for low, high, rule in dated_tiles(unit.product, start, end):
        if rule is None or rule.tag is None or samples is None:
            yield Tile(low, high, product_of(rule, None))
        else:
            for since, until, value in hold(heard(samples, rule.tag), unit.max_age_ms, low, high):
                yield Tile(since, until, product_of(rule, code_of(value)))


def _pace(
    unit: WorkUnit,
    products: Sequence[Tile[str]],
    orders: Sequence[Tile[Statement | None]],
    start: Instant,
    end: Instant,
) -> Pace:
    """Planned run time in force; that of the slowest product where the product is not known."""
    if unit.inference is None:
        return [Tile(start, end, 0.0)]
    return [
        Tile(low, high, planned_run_time_s(unit, _made(product, order), low) or slowest_pace(unit, low))
        for low, high, product, order, _ in overlay(
            start, end, products, orders, dated_tiles(unit.planned_run_time_s, start, end)
        )
    ]


def _made(product: Tile[str], order: Tile[Statement | None]) -> str:
    return (order.value.product if order.value else None) or product.value


def _intervals(
    unit: WorkUnit,
    start: Instant,
    end: Instant,
    told: Sequence[Tile[Told]],
    products: Sequence[Tile[str]],
    orders: Sequence[Tile[Statement | None]],
    statements: Sequence[Statement],
) -> list[StateInterval]:
    spans = [(span.start, span.end, span) for span in calendar_spans(unit, start, end)]
    tiles: list[StateInterval] = []
    known: dict[tuple[Told, Instant, str, Instant], StateInterval] = {}
    for low, high, tile, span, product, order in overlay(start, end, told, spans, products, orders):
        key = tile.value, span[0], product.value, order.start
        if key not in known:
            known[key] = _interval(unit, low, high, tile.value, span[2], _made(product, order), order.value)
        tiles.append(StateInterval(low, high, *known[key][2:]))
    if not unit.is_machine:
        return tiles
    path = str(unit.path)
    categories = of_kind(statements, StatementKind.CATEGORY, path)
    reasons = of_kind(statements, StatementKind.REASON, path)
    stated = _with_micro_stops(unit, tiles)
    if categories:
        stated = _with_categories(unit, stated, winners(categories, start, end))
    return list(_with_reasons(unit, stated, reasons)) if reasons else list(stated)


def _interval(
    unit: WorkUnit, start: Instant, end: Instant, told: Told, span: Span, product: str, order: Statement | None
) -> StateInterval:
    if not unit.is_machine:
        return StateInterval(start, end, None, None, None, told.observed, span.planned, span.shift, product)
    category = machine_category(unit, told.machine, span.planned)
    if _is_calendar(unit, told.machine, span.planned):
        source = Source.CALENDAR
    else:
        source = Source.INFERRED if told.inferred else Source.MACHINE
    return StateInterval(
        start,
        end,
        category,
        told.machine,
        told.code,
        told.observed,
        span.planned,
        span.shift,
        product,
        source,
        order=(order.order or order.product or "") if order else "",
        staffed=unit.policy.staffed is Staffed.SHIFTS and span.shift != OFF_SHIFT,
    )


def _is_calendar(unit: WorkUnit, machine: TimeCategory | None, planned: Planned) -> bool:
    return planned is not Planned.BUSY and (machine is not TimeCategory.RUNNING or runs_outside(unit, planned))


def machine_category(unit: WorkUnit, machine: TimeCategory | None, planned: Planned) -> TimeCategory:
    """What time counts as by calendar and machine alone, before micro-stops are judged and people asked."""
    if _is_calendar(unit, machine, planned):
        return _BY_CALENDAR[planned]
    if machine is None:
        return TimeCategory.UNKNOWN
    if machine is TimeCategory.MICRO_STOP:
        return TimeCategory.UNPLANNED_STOP  # the threshold decides, not the machine
    return _by_policy(unit, machine)


def _by_policy(unit: WorkUnit, category: TimeCategory) -> TimeCategory:
    planned = category is TimeCategory.NO_ORDER and no_order_is_planned(unit)
    return TimeCategory.PLANNED_STOP if planned else category


def runs(tiles: Iterable[StateInterval]) -> Iterator[list[StateInterval]]:
    """Neighbours of one category, whatever their shift, product and code: one stop is one run."""
    return (list(group) for _, group in groupby(tiles, key=lambda tile: tile.category))


def _with_micro_stops(unit: WorkUnit, tiles: Iterable[StateInterval]) -> Iterator[StateInterval]:
    for run in runs(tiles):
        first, last = run[0], run[-1]
        if first.category is TimeCategory.UNPLANNED_STOP and last.end - first.start <= threshold_ms(unit, first.start):
            yield from (tile._replace(category=TimeCategory.MICRO_STOP) for tile in run)
        else:
            yield from run


def threshold_ms(unit: WorkUnit, at: Instant) -> float:
    """Up to how many milliseconds a stop that begins at an instant is a micro-stop."""
    return (unit.micro_stop_s.at(at) or 0.0) * 1000


def _with_categories(
    unit: WorkUnit, tiles: Iterable[StateInterval], stated: Sequence[Tile[Statement | None]]
) -> Iterator[StateInterval]:
    index = 0
    for tile in tiles:
        while stated[index].end <= tile.start:
            index += 1
        at, low = index, tile.start
        while low < tile.end:
            high = min(stated[at].end, tile.end)
            yield _as_stated(unit, tile._replace(start=low, end=high), stated[at].value)
            low, at = high, at + 1


def _as_stated(unit: WorkUnit, tile: StateInterval, statement: Statement | None) -> StateInterval:
    if statement is None or statement.category is None or tile.source is Source.CALENDAR:
        return tile
    category = _by_policy(unit, statement.category)
    if tile.category is TimeCategory.UNKNOWN and category is not TimeCategory.PLANNED_STOP:
        return tile
    return tile._replace(category=category, source=Source.STATED, reason=statement.reason or "", statement=statement.id)


def _with_reasons(
    unit: WorkUnit, tiles: Iterable[StateInterval], reasons: Sequence[Statement]
) -> Iterator[StateInterval]:
    """Each stop with the reasons that people gave it; a reason's category moves the time."""
    moving = [each for each in reasons if moved_to(unit.reasons, each) is not None]
    for category, group in groupby(tiles, key=_standing_as):
        run = list(group)
        if category in _STANDING:
            yield from _reasoned(unit, run, reasons)
        elif category in _MOVABLE:
            yield from _reasoned(unit, run, moving)
        else:
            yield from run


def _standing_as(tile: StateInterval) -> TimeCategory | None:
    return TimeCategory.UNPLANNED_STOP if tile.category is TimeCategory.MICRO_STOP else tile.category


def _reasoned(unit: WorkUnit, run: Sequence[StateInterval], reasons: Sequence[Statement]) -> Iterator[StateInterval]:
    given = reasons_over(reasons, run[0].start, run[-1].end)
    wholes = [(tile.start, tile.end, tile) for tile in run]
    for low, high, whole, said in overlay(run[0].start, run[-1].end, wholes, given):
        tile = whole[2]._replace(start=low, end=high)
        yield tile if said.value is None else _with_reason(unit, tile, said.value)


def _with_reason(unit: WorkUnit, tile: StateInterval, statement: Statement) -> StateInterval:
    answered = tile._replace(reason=statement.reason or "", statement=statement.id)
    moved = moved_to(unit.reasons, statement)
    if moved is None or _by_policy(unit, moved) is _standing_as(tile):
        return answered
    return answered._replace(category=_by_policy(unit, moved), source=Source.STATED)
