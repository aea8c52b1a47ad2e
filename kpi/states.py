"""Samples to state intervals: what each moment of a unit was used for. Pure; feeds the facts and the API's timeline.

Precedence per moment: not_scheduled and planned_stop by the calendar, then unknown, then the machine's own state.
A micro-stop is judged last, on the whole stop.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

from kpi.plan import ENERGY, STATE, UnitPlan, calendar_spans, dated_tiles, no_order_is_planned, product_of, runs_outside
from kpi.tiles import Reading, Tile, hold, overlay
from shopfloor.calendar import Planned
from shopfloor.instant import Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import WorkUnit
from shopfloor.sample import Sample

_BY_CALENDAR = {
    Planned.NOT_SCHEDULED: TimeCategory.NOT_SCHEDULED,
    Planned.PLANNED_STOP: TimeCategory.PLANNED_STOP,
}


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
    """The stated order."""
    staffed: bool = False


def readings(samples: Iterable[Sample], tag: str) -> list[Reading]:
    """What samples say of ``tag``, in their order. A sample that does not mention the tag says nothing."""
    found = []
    for sample in samples:
        if tag in sample.status:
            found.append(Reading(sample.time, None))
        elif tag in sample.values:
            value = sample.values[tag]
            found.append(Reading(sample.time, None if isinstance(value, str) else value))
    return found


def in_order(samples: Iterable[Sample]) -> list[Sample]:
    """Samples by time, one per instant (the last given wins), so that order and duplicates of arrival do not matter."""
    return [sample for _, sample in sorted({sample.time: sample for sample in samples}.items())]


def timeline(plan: UnitPlan, samples: Sequence[Sample], start: Instant, end: Instant) -> list[StateInterval]:
    """Tile the part of [start, end) between the first and the last sample with state intervals.

    ``samples`` are in order of time and reach at least ``plan.reach`` beyond both borders where there are any, so that
    a hold, and a micro-stop over the border, are judged whole.
    """
    tiles = untrimmed_timeline(plan, samples, start, end)
    return [
        tile._replace(start=max(tile.start, start), end=min(tile.end, end))
        for tile in tiles
        if tile.start < end and tile.end > start
    ]


def untrimmed_timeline(plan: UnitPlan, samples: Sequence[Sample], start: Instant, end: Instant) -> list[StateInterval]:
    """The timeline with its context: from ``plan.reach`` before ``start`` to the last sample given."""
    if len(samples) < 2:
        return []
    low, high = max(samples[0].time, start - plan.reach), samples[-1].time
    return silent_timeline(plan.unit, low, high, _held(plan, samples, low, high), _products(plan, samples, low, high))


def silent_timeline(
    unit: WorkUnit,
    start: Instant,
    end: Instant,
    held: Sequence[Tile[float | None]] | None = None,
    products: Sequence[Tile[float | None]] | None = None,
) -> list[StateInterval]:
    """Tile [start, end) with what is known of it: by default only the calendar."""
    if start >= end:
        return []
    nothing = [Tile(start, end, None)]
    spans = [(span.start, span.end, span) for span in calendar_spans(unit, start, end)]
    states = dated_tiles(unit.states, start, end)
    rules = dated_tiles(unit.product, start, end)
    tiles = [
        _interval(
            unit, low, high, value.value, codes.value, span[2].planned, span[2].shift, product_of(rule.value, code)
        )
        for low, high, value, codes, span, rule, code in (
            (*row[:-1], _code(row[-1].value))
            for row in overlay(start, end, held or nothing, states, spans, rules, products or nothing)
        )
    ]
    return list(_with_micro_stops(unit, tiles))


def _held(plan: UnitPlan, samples: Sequence[Sample], start: Instant, end: Instant) -> list[Tile[float | None]]:
    heard = readings(samples, STATE) if plan.unit.is_machine else _signs_of_life(plan, samples)
    return hold(heard, plan.unit.max_age_ms, start, end)


def _signs_of_life(plan: UnitPlan, samples: Sequence[Sample]) -> list[Reading]:
    """A meter is observed while its energy counter is good; one without, while any value is."""
    if ENERGY in plan.tags:
        return [Reading(time, None if value is None else 1) for time, value in readings(samples, ENERGY)]
    return [Reading(sample.time, 1 if sample.values.keys() - sample.status.keys() else None) for sample in samples]


def _products(plan: UnitPlan, samples: Sequence[Sample], start: Instant, end: Instant) -> list[Tile[float | None]]:
    rules = plan.unit.product.entries if plan.unit.product else ()
    tags = {rule.tag for _, rule in rules if rule.tag}
    heard = [reading for tag in tags for reading in readings(samples, tag)]
    return hold(sorted(heard, key=lambda reading: reading.time), plan.unit.max_age_ms, start, end)


def _code(value: float | None) -> int | None:
    return int(value) if value is not None and value == int(value) else None


def _interval(
    unit: WorkUnit,
    start: Instant,
    end: Instant,
    value: float | None,
    states: Mapping[int, TimeCategory] | None,
    planned: Planned,
    shift: str,
    product: str,
) -> StateInterval:
    observed = value is not None
    if not unit.is_machine:
        return StateInterval(start, end, None, None, None, observed, planned, shift, product)
    code = _code(value)
    machine = None if code is None else (states or {}).get(code)
    category = _category(unit, machine, planned)
    return StateInterval(start, end, category, machine, code, observed, planned, shift, product)


def _category(unit: WorkUnit, machine: TimeCategory | None, planned: Planned) -> TimeCategory:
    if planned is not Planned.BUSY and (machine is not TimeCategory.RUNNING or runs_outside(unit, planned)):
        return _BY_CALENDAR[planned]
    if machine is None:
        return TimeCategory.UNKNOWN
    if machine is TimeCategory.NO_ORDER and no_order_is_planned(unit):
        return TimeCategory.PLANNED_STOP
    if machine is TimeCategory.MICRO_STOP:
        return TimeCategory.UNPLANNED_STOP  # the threshold decides, not the machine
    return machine


def runs(tiles: Iterable[StateInterval]) -> Iterator[list[StateInterval]]:
    """Neighbours of one category, whatever their shift, product and code: one stop is one run."""
    return (list(group) for _, group in groupby(tiles, key=lambda tile: tile.category))


def _with_micro_stops(unit: WorkUnit, tiles: Iterable[StateInterval]) -> Iterator[StateInterval]:
    for run in runs(tiles):
        first, last = run[0], run[-1]
        if first.category is TimeCategory.UNPLANNED_STOP and last.end - first.start <= _threshold_ms(unit, first.start):
            yield from (tile._replace(category=TimeCategory.MICRO_STOP) for tile in run)
        else:
            yield from run


def _threshold_ms(unit: WorkUnit, at: Instant) -> float:
    return (unit.micro_stop_s.at(at) or 0.0) * 1000
