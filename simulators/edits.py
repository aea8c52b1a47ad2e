"""What people's statements make of a machine's true time: the oracle's side of *facts*, with code of its own."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from shopfloor.instant import Instant
from shopfloor.machine_state import OUTSIDE_PBT, TimeCategory
from shopfloor.plant import WorkUnit
from shopfloor.statement import Statement, StatementKind

STOPS = frozenset({TimeCategory.UNPLANNED_STOP, TimeCategory.MICRO_STOP, TimeCategory.STARVED, TimeCategory.BLOCKED})
WAITS = frozenset({TimeCategory.SETUP, TimeCategory.NO_ORDER})
"""Only a reason that names a category touches these."""


class Interval(NamedTuple):
    """[start, end) of one category."""

    start: Instant
    end: Instant
    category: TimeCategory


def edited(unit: WorkUnit, intervals: Iterable[Interval], statements: Sequence[Statement]) -> tuple[Interval, ...]:
    """The intervals as ``statements`` (in force, on this unit) re-code them. One that nobody touches stays whole.

    Stops are judged as micro-stops before: the part that is moved takes its reason's category, the rest keeps its own.
    """
    reasons = [each for each in statements if each.kind is StatementKind.REASON]
    categories = [each for each in statements if each.kind is StatementKind.CATEGORY]
    parts = (part for whole in intervals for part in _by_reason(unit, whole, reasons))
    return tuple(_joined(piece for part in parts for piece in _by_category(part, categories)))


def _by_reason(unit: WorkUnit, whole: Interval, reasons: Sequence[Statement]) -> Iterator[Interval]:
    """One statement covers the whole stop; of several each its own time, the most overlapping the rest."""
    told = [each for each in reasons if each.overlaps(whole.start, whole.end) and _touches(unit, each, whole)]
    if not told:
        yield whole
        return
    main = max(told, key=lambda each: (_overlap(each, whole), each.made_at))
    for low, high in pairwise(_edges(whole, told) if len(told) > 1 else [whole.start, whole.end]):
        says = _latest(told, low, high) or main
        yield Interval(low, high, _category_of(unit, says) or whole.category)


def _by_category(part: Interval, categories: Sequence[Statement]) -> Iterator[Interval]:
    """A stated category holds in its own time alone, and not against the calendar."""
    told = [each for each in categories if each.overlaps(part.start, part.end)]
    if part.category in OUTSIDE_PBT or not told:
        yield part
        return
    for low, high in pairwise(_edges(part, told)):
        says = _latest(told, low, high)
        yield Interval(low, high, says.category if says and says.category else part.category)


def _touches(unit: WorkUnit, statement: Statement, interval: Interval) -> bool:
    if interval.category in WAITS:
        return _category_of(unit, statement) is not None
    return interval.category in STOPS


def _category_of(unit: WorkUnit, statement: Statement) -> TimeCategory | None:
    return unit.reasons[statement.reason].category if statement.reason else None


def _overlap(statement: Statement, interval: Interval) -> int:
    end = interval.end if statement.end is None else min(statement.end, interval.end)
    return end - max(statement.start, interval.start)


def _edges(interval: Interval, statements: Iterable[Statement]) -> list[Instant]:
    borders = {border for each in statements for border in (each.start, each.end) if border is not None}
    inside = {border for border in borders if interval.start < border < interval.end}
    return sorted({interval.start, interval.end, *inside})


def _latest(statements: Iterable[Statement], low: Instant, high: Instant) -> Statement | None:
    return max((each for each in statements if each.overlaps(low, high)), key=lambda each: each.made_at, default=None)


def _joined(intervals: Iterable[Interval]) -> Iterator[Interval]:
    """Neighbours that statements made alike are one."""
    last: Interval | None = None
    for interval in intervals:
        if last is not None and last.category is interval.category:
            last = Interval(last.start, interval.end, last.category)
            continue
        if last is not None:
            yield last
        last = interval
    if last is not None:
        yield last
