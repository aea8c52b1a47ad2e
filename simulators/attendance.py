"""When somebody attends a machine: its calendar's busy time, less the minutes lost at its rims.

Stands before *registers -> samples*. People leave a little before a break begins and are back a little after it ends,
so a machine that stops with them is at rest when planned time changes.
"""

from collections.abc import Iterator
from itertools import pairwise
from random import Random

from shopfloor.calendar import Planned
from shopfloor.instant import HOUR, SECOND, Instant
from shopfloor.plant import WorkUnit

DAY = 24 * HOUR
LATEST_S = 20
"""At most this much attended time is lost at each rim, plus the least."""

Opening = tuple[Instant, Instant]
"""Attended time, [opens, closes). An empty one only says that time has passed."""


def openings(unit: WorkUnit, since: Instant, rng: Random, *, least_ms: int) -> Iterator[Opening]:
    """Attended times from ``since`` on, without end and in order; at least ``least_ms`` away from every rim.

    Two that touch are one: the machine goes through.
    """
    day = since
    while True:
        for low, high in _busy(unit, day, day + DAY):
            late = 0 if _is_busy(unit, low - 1) else _lost(rng, least_ms)
            early = 0 if _is_busy(unit, high) else _lost(rng, least_ms)
            if low + late < high - early:
                yield low + late, high - early
        day += DAY
        yield day, day


def _lost(rng: Random, least_ms: int) -> int:
    return least_ms + rng.randrange(LATEST_S * SECOND)


def _is_busy(unit: WorkUnit, t: Instant) -> bool:
    return bool(_busy(unit, t, t + 1))


def _busy(unit: WorkUnit, start: Instant, end: Instant) -> list[Opening]:
    """Busy stretches in [start, end), merged where they touch."""
    merged: list[Opening] = []
    edges = [start, *unit.calendar.changes(start, end), end]
    for low, high in pairwise(edges):
        calendar = unit.calendar.at(low)
        for span in calendar.spans(low, high, unit.timezone) if calendar else ():
            if span.planned is not Planned.BUSY:
                continue
            if merged and merged[-1][1] == span.start:
                merged[-1] = (merged[-1][0], span.end)
            else:
                merged.append((span.start, span.end))
    return merged


def always(since: Instant) -> Iterator[Opening]:
    """A machine that knows no breaks."""
    while True:
        yield since, since + DAY
        since += DAY
