"""Stops of a timeline: one run per category, reason and statement, with what each means for failures. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import groupby
from typing import Final, NamedTuple

from kpi.plan import UnitPlan
from kpi.timeline.states import Source, StateInterval, machine_category, threshold_ms
from shopfloor.instant import Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import WorkUnit
from shopfloor.reason import Maintenance

STOPS: Final = frozenset(
    {TimeCategory.UNPLANNED_STOP, TimeCategory.MICRO_STOP, TimeCategory.STARVED, TimeCategory.BLOCKED}
)
"""Categories in which a unit that should run stands still."""
LOSSES: Final = STOPS | {TimeCategory.SETUP, TimeCategory.NO_ORDER, TimeCategory.UNKNOWN}
"""Categories whose time is lost inside planned busy time."""


class StopRun(NamedTuple):
    """A stretch [start, end) of one category, reason and statement."""

    start: Instant
    end: Instant
    category: TimeCategory
    code: int | None
    """The state code at its start."""
    reason: str
    """The stated reason; empty without one."""
    statement: str
    """Id of the statement behind category or reason; empty without one."""
    begins: bool
    """False for a later part of one stop that statements split, in a category that the stop had before."""
    failure: bool
    """Whether its time is time down after an equipment failure."""
    counted: bool
    """Whether it is a new failure; False for a re-trip and for a later part of the same stop."""
    assumed: bool
    """A failure that no reason confirms."""
    maintenance: Maintenance | None
    shift: str
    """The shift in which it starts."""
    product: str
    """The product at its start."""


def find_stops(plan: UnitPlan, tiles: Sequence[StateInterval]) -> list[StopRun]:
    """The lost time of a timeline, in order, with planned stops that people stated.

    A re-trip is a failure that begins sooner than ``retrip_s`` after any failure ended: its time counts, it does not.
    ``tiles`` reach ``plan.reach`` before the moments of interest, so that this is the same for every window.
    """
    found: list[StopRun] = []
    failed: StopRun | None = None
    for tile, end, origin in _stretches(plan.unit, tiles):
        run = _run(plan.unit, tile, end)
        before = list(_same_stop(found, run, origin))
        if any(part.category is run.category for part in before):
            run = run._replace(begins=False)
        if run.failure:
            again = failed is not None and run.start - failed.end < plan.unit.retrip_s * 1000
            run = run._replace(counted=not again and not any(part.failure for part in before))
            failed = run
        found.append(run)
    return found


def _stretches(unit: WorkUnit, tiles: Iterable[StateInterval]) -> Iterator[tuple[StateInterval, Instant, Instant]]:
    """Each run's first tile, its end, and the start of the machine's own stretch around that first tile."""
    told, origin = None, 0
    category_of = cache(partial(machine_category, unit))
    for (category, _, _), group in groupby(tiles, key=lambda tile: (tile.category, tile.reason, tile.statement)):
        first, first_origin, end = None, 0, 0
        for tile in group:
            now = category_of(tile.machine, tile.planned) if unit.is_machine else None
            if now is not told:
                told, origin = now, tile.start
            if first is None:
                first, first_origin = tile, origin
            end = tile.end
        if first is not None and (category in LOSSES or _is_stated_stop(first)):
            yield first, end, first_origin


def _is_stated_stop(tile: StateInterval) -> bool:
    return tile.category is TimeCategory.PLANNED_STOP and tile.source is Source.STATED


def _same_stop(found: Sequence[StopRun], run: StopRun, origin: Instant) -> Iterator[StopRun]:
    """The unbroken row of runs that leads up to ``run`` within the machine's own stretch, backwards."""
    start = run.start
    for before in reversed(found):
        if before.end != start or before.end <= origin:
            return
        yield before
        start = before.start


def _run(unit: WorkUnit, tile: StateInterval, end: Instant) -> StopRun:
    reason = unit.reasons.get(tile.reason)
    failure = _may_fail(unit, tile, end) and (reason.failure if reason else not tile.reason)
    return StopRun(
        tile.start,
        end,
        tile.category or TimeCategory.UNKNOWN,
        tile.code,
        tile.reason,
        tile.statement,
        begins=True,
        failure=failure,
        counted=failure,
        assumed=failure and reason is None,
        maintenance=reason.maintenance if reason else None,
        shift=tile.shift,
        product=tile.product,
    )


def _may_fail(unit: WorkUnit, tile: StateInterval, end: Instant) -> bool:
    """Unplanned stops over the threshold; the machine's own are micro-stops already where they are not."""
    if tile.category is not TimeCategory.UNPLANNED_STOP:
        return False
    return tile.source is not Source.STATED or end - tile.start > threshold_ms(unit, tile.start)
