"""Samples to facts: the additive record of each minute, split at shift and product, with stops and losses. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from kpi.facts.book import Book
from kpi.facts.quantities import widened, with_quantities
from kpi.facts.slices import Grid, Key, Window, grid
from kpi.plan import UnitPlan
from kpi.timeline.states import Source, StateInterval, silent_timeline, untrimmed_timeline
from kpi.timeline.stops import STOPS, StopRun, find_stops
from shopfloor.columns import Mask, SampleColumns
from shopfloor.fact import Fact, Loss, Stop
from shopfloor.instant import MINUTE, Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import WorkUnit
from shopfloor.statement import Statement

NO_DATA: Final = "no_data"
"""The reason of unknown time without a good value."""
INFERRED: Final = "inferred"
"""The reason of a stop that nobody stated and no state code tells."""
BY_MODE: Final = "mode"
"""The reason of time that the unit's mode decides while its state is not known."""
_BEFORE_STARTUP: Final = frozenset({TimeCategory.SETUP, TimeCategory.UNPLANNED_STOP})


@dataclass(frozen=True, slots=True)
class Derived:
    """What a window of samples says."""

    facts: list[Fact]
    """Minute grain, in order of (time, shift, product)."""
    stops: list[Stop]
    """Every stop that overlaps the window. One that begins at ``known_from`` may have begun before."""
    losses: list[Loss]
    known_from: Instant
    """Where the context begins that was looked at."""


def derive(plan: UnitPlan, samples: SampleColumns, window: Window, statements: Sequence[Statement] = ()) -> Derived:
    """The facts, stops and losses of ``window``, as far as it lies between the first and the last sample.

    ``window`` is in whole minutes. ``samples`` include the context that decides the borders: ``plan.reach`` beyond both
    borders of ``kpi.facts.quantities.widened(window, statements)``, and each counter's last good reading before and
    next after. ``statements`` are those in force that overlap all of that. Any split of a time into windows gives the
    same facts.

    A stated reason holds for its whole stop: ask for a window that holds the stops of stated reasons whole.
    """
    tiles = untrimmed_timeline(plan, samples, *widened(window, statements), statements)
    if not tiles:
        return Derived([], [], [], window[0])
    stops = find_stops(plan, tiles)
    inside = [stop for stop in stops if stop.start < window[1] and stop.end > window[0]]
    facts, losses = _booked(plan, samples, window, statements, tiles, stops)
    return Derived(facts, _stops(plan, inside, tiles[-1].end), losses, tiles[0].start)


def _booked(
    plan: UnitPlan,
    samples: SampleColumns,
    window: Window,
    statements: Sequence[Statement],
    tiles: Sequence[StateInterval],
    stops: Sequence[StopRun],
) -> tuple[list[Fact], list[Loss]]:
    startups = _startups(plan.unit, tiles)
    span = _span(plan.unit, window, statements)
    cells = grid(tiles, window, span, MINUTE, [end for _, end in startups])
    if cells is None:
        return [], []
    book = Book(plan, cells, window)
    book.add_time(tiles)
    book.add_stops(stops)
    book.add_counters(samples, _is_startup(cells, startups))
    book.add_power(samples)
    book.add_quantities(statements)
    return book.facts(), _losses(plan, cells, window, tiles, stops)


def _span(unit: WorkUnit, window: Window, statements: Sequence[Statement]) -> Window:
    """What the counts of the window's slices depend on: a delta that crosses a border, and stated quantities."""
    low, high = with_quantities(window, statements)
    return min(low, window[0] - unit.max_age_ms), max(high, window[1] + unit.max_age_ms)


def gap_facts(
    unit: WorkUnit, start: Instant, end: Instant, step: int = MINUTE, statements: Sequence[Statement] = ()
) -> list[Fact]:
    """Facts of a stretch of which no sample tells: unknown, or what the calendar plans or people stated.

    Nothing for a meter. ``step`` is the grain in ms; a coarser one gives fewer facts with the same sum.
    """
    if not unit.is_machine or start >= end:
        return []
    window = start, end
    plan = UnitPlan(unit, {})
    low, high = with_quantities(window, statements)
    tiles = silent_timeline(unit, low, high, statements=statements)
    cells = grid(tiles, window, (low, high), step)
    if cells is None:
        return []
    book = Book(plan, cells, window)
    book.add_time(tiles)
    book.add_quantities(statements)
    return book.facts()


def _startups(unit: WorkUnit, tiles: Iterable[StateInterval]) -> list[Window]:
    """From the end of each setup and unplanned stop, the time of the start-up."""
    length = round(unit.startup_s * 1000)
    if not length:
        return []
    return [(tile.end, tile.end + length) for tile in tiles if tile.category in _BEFORE_STARTUP]


def _is_startup(cells: Grid, startups: Sequence[Window]) -> Mask:
    if not startups:
        return np.zeros(len(cells.start), dtype=np.bool_)
    since = np.array([start for start, _ in startups], dtype=np.int64)
    latest = np.searchsorted(since, cells.start, side="right") - 1
    soon = (latest >= 0) & (cells.start < since[latest] + (startups[0][1] - startups[0][0]))
    return np.logical_and(soon, ~cells.is_in(_BEFORE_STARTUP))


def _stops(plan: UnitPlan, inside: Iterable[StopRun], horizon: Instant) -> list[Stop]:
    """Stops, and what statements made of them."""
    return [
        Stop(
            plan.path,
            run.start,
            run.end if run.end < horizon else None,
            str(run.category),
            run.code,
            run.reason,
            run.statement,
            run.failure,
        )
        for run in inside
        if run.category in STOPS or run.statement
    ]


def _why(tile: StateInterval) -> str:
    """The stated reason, else what the machine told."""
    if tile.reason:
        return tile.reason
    if tile.source is Source.INFERRED:
        return INFERRED
    if tile.code is None:
        return NO_DATA if tile.machine is None else BY_MODE
    return f"unmapped_{tile.code}" if tile.machine is None else f"code_{tile.code}"


def _losses(
    plan: UnitPlan, cells: Grid, window: Window, tiles: Sequence[StateInterval], stops: Sequence[StopRun]
) -> list[Loss]:
    """Seconds and begun stretches by category and reason, per slice."""
    lost = (cells.among([(stop.start, stop.end) for stop in stops]) >= 0) & (cells.slot >= 0)
    (segments,) = np.nonzero(lost)
    found: dict[tuple[Key, str, str], list[int]] = defaultdict(lambda: [0, 0])
    names = {
        position: (str(tiles[position].category), _why(tiles[position]))
        for position in set(cells.tile[segments].tolist())
    }
    lengths = (cells.end - cells.start)[segments].tolist()
    for slot, tile, length in zip(cells.slot[segments].tolist(), cells.tile[segments].tolist(), lengths, strict=True):
        found[cells.keys[slot], *names[tile]][0] += length
    begun = np.array(
        [stop.start for stop in stops if stop.begins and window[0] <= stop.start < window[1]], dtype=np.int64
    )
    for segment in cells.at(begun).tolist():
        found[cells.keys[cells.slot[segment]], *names[int(cells.tile[segment])]][1] += 1
    unit = plan.path
    return [
        Loss(unit, *key, category, reason, length / 1000, float(count))
        for (key, category, reason), (length, count) in sorted(found.items())
    ]
