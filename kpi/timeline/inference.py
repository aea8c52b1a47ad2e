"""Running and standing still told from a counter or a gauge, for machines that say no state. Pure and local.

Local: what a moment counts as follows from readings at most ``lookback`` before and ``lookahead`` after it, so that any
split of the time gives the same. Every stretch of good readings without a gap is judged by itself.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from kpi.timeline.tiles import Readings, Tile, clipped, hold
from shopfloor.columns import Times, Values
from shopfloor.instant import MINUTE, SECOND, Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import CounterInference, GaugeInference, WorkUnit
from shopfloor.tag import TagSpec

MEMORY_MS: Final = 5 * MINUTE
"""What came before decides so long about what says nothing itself: a gauge between its limits, a transition."""
_ROLLOVER_SHARE: Final = 4
"""A counter that falls to zero made a part when it was in the last fraction (1/n) of its range, else it was reset."""

Inferred = Tile[TimeCategory | None]
"""None where no good reading holds; UNKNOWN where one does and does not tell."""
Pace = Sequence[Tile[float]]
"""Planned run time in seconds per piece, over time; 0 where none is known."""


def lookback(unit: WorkUnit) -> int:
    """Milliseconds by which a moment's category depends on earlier readings, beyond a hold."""
    transitions = any(None in codes.values() for _, codes in unit.states.entries) if unit.states else False
    gauges = any(isinstance(rule, GaugeInference) for _, rule in unit.inference.entries) if unit.inference else False
    return max(MEMORY_MS if transitions or gauges else 0, lookahead(unit))


def lookahead(unit: WorkUnit) -> int:
    """Milliseconds by which it depends on later ones: a counter must stand still so long to tell a stop."""
    rules = [rule for _, rule in unit.inference.entries if isinstance(rule, CounterInference)] if unit.inference else []
    slowest = max((slowest_pace(unit, since) for since in _paces(unit)), default=0.0)
    return max((_patience_ms(rule, slowest) for rule in rules), default=0)


def slowest_pace(unit: WorkUnit, at: Instant) -> float:
    """The longest planned run time in force, seconds per piece: what an unknown product is judged by; 0 for none."""
    dated = unit.planned_run_time_s
    return max(((dated.at(at) if dated else None) or {}).values(), default=0.0)


def _paces(unit: WorkUnit) -> list[Instant]:
    return [since for since, _ in unit.planned_run_time_s.entries] if unit.planned_run_time_s else []


def _patience_ms(rule: CounterInference, pace: float) -> int:
    return int(max(rule.cycles * pace, rule.floor_s, pace) * SECOND)


def by_gauge(readings: Readings, rule: GaugeInference, max_age: int, start: Instant, end: Instant) -> list[Inferred]:
    """Tile [start, end): running above, stopped below; in between as before, for ``MEMORY_MS``, then unknown.

    In between at the start of knowledge is unknown too.
    """
    values = readings.values
    band = np.select([np.isnan(values), values > rule.running_above, values < rule.stopped_below], [np.nan, 1, -1], 0)
    meaning = {1.0: TimeCategory.RUNNING, -1.0: TimeCategory.UNPLANNED_STOP}
    tiles: list[Inferred] = []
    decided, until = None, start
    for low, high, value in hold(_settled(Readings(readings.times, band), max_age), max_age, start - MEMORY_MS, end):
        if value != 0:
            decided, until = (None, high) if value is None else (meaning[value], high)
            tiles.append(Tile(low, high, decided))
        else:
            tiles += carried(low, high, decided, until, TimeCategory.UNKNOWN)
    return clipped(tiles, start, end)


def _settled(bands: Readings, max_age: int) -> Readings:
    """Short stretches in between take the band right before them at once, so that a noisy gauge makes few tiles."""
    times, band = bands
    if not len(times):
        return bands
    first = np.flatnonzero(np.diff(band, prepend=np.nan) != 0)
    last = np.append(first[1:], len(times)) - 1
    before = np.maximum(first - 1, 0)
    until = np.append(np.minimum(times[last[:-1]] + max_age, times[first[1:]]), times[-1] + max_age)
    gaps = np.concatenate(([0], np.cumsum(np.diff(times) > max_age)))
    short = (gaps[last] == gaps[before]) & (until - times[first] <= MEMORY_MS)
    follows = (band[first] == 0) & (np.abs(band[before]) == 1) & short
    return Readings(times, np.repeat(np.where(follows, band[before], band[first]), last - first + 1))


def carried(
    low: Instant, high: Instant, decided: TimeCategory | None, until: Instant, after: TimeCategory | None
) -> list[Inferred]:
    """[low, high), which says nothing itself, after ``decided`` ended at ``until``: carried on, later ``after``."""
    border = min(max(until + MEMORY_MS, low), high) if decided is not None else low
    tiles = [Tile(low, border, decided), Tile(border, high, after)]
    return [tile for tile in tiles if tile.start < tile.end]


def by_counter(
    readings: Readings, spec: TagSpec, rule: CounterInference, pace: Pace, max_age: int, start: Instant, end: Instant
) -> list[Inferred]:
    """Tile [start, end) by the parts that a counter shows.

    Without a part for ``cycles`` planned run times (never less than ``floor_s``) the unit stands since the reading that
    showed the last part. The part that ends a stop took one planned run time: running begins so long before the reading
    that shows it. Before the first part of a stretch, and in one too short to tell, it is unknown.
    """
    alive = Readings(readings.times, np.where(np.isnan(readings.values), np.nan, 1.0))
    low = int(readings.times[0]) if len(readings.times) else start
    tiles: list[Inferred] = []
    for since, until, value in hold(alive, max_age, min(low, start), end):
        if value is None:
            tiles.append(Tile(since, until, None))
        else:
            tiles += _stretch(readings, spec, rule, pace, (since, until))
    return clipped(tiles, start, end)


def _stretch(
    readings: Readings, spec: TagSpec, rule: CounterInference, pace: Pace, stretch: tuple[Instant, Instant]
) -> list[Inferred]:
    """One unbroken stretch: its long pauses are stops, all between them is running."""
    since, until = stretch
    first, last = np.searchsorted(readings.times, stretch)
    times, values = readings.times[first:last], readings.values[first:last]
    shown = times[1:][_parts(values, spec)]
    marks = np.concatenate((np.array([since]), shown, np.array([until])))
    tiles: list[Inferred] = []
    cursor = since
    for index in np.flatnonzero(np.diff(marks) > _patience(marks[:-1], rule, pace)).tolist():
        stopped, seen = int(marks[index]), int(marks[index + 1])
        again = seen if index == len(marks) - 2 else max(stopped, seen - round(_pace_at(pace, seen) * SECOND))
        tiles += _running(cursor, stopped, shown, pace)
        tiles.append(Tile(stopped, again, TimeCategory.UNPLANNED_STOP))
        cursor = again
    tiles += _running(cursor, until, shown, pace)
    return tiles


def _parts(values: Values, spec: TagSpec) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether each reading but the first shows a new part: it grew, rolled over, or counts again after a reset."""
    steps = np.diff(values)
    fell = values[1:] > 0
    if spec.modulus is not None:
        fell |= values[:-1] / spec.scale >= spec.modulus - spec.modulus / _ROLLOVER_SHARE
    shown: np.ndarray[tuple[int], np.dtype[np.bool_]] = (steps > 0) | ((steps < 0) & fell)
    return shown


def _running(since: Instant, until: Instant, shown: Times, pace: Pace) -> list[Inferred]:
    """[since, until) has no long pause; more than a cycle before the first part of the stretch is unknown."""
    if since >= until:
        return []
    if not len(shown):
        return [Tile(since, until, TimeCategory.UNKNOWN)]
    first = int(shown[0])
    begun = max(since, first - round(_pace_at(pace, first) * SECOND)) if since < first else since
    begun = min(begun, until)
    tiles: list[Inferred] = [Tile(since, begun, TimeCategory.UNKNOWN), Tile(begun, until, TimeCategory.RUNNING)]
    return [tile for tile in tiles if tile.start < tile.end]


def _patience(marks: Times, rule: CounterInference, pace: Pace) -> Times:
    """How long each mark may wait for the next part, in ms."""
    starts = np.array([tile.start for tile in pace], dtype=np.int64)
    patience = np.array([_patience_ms(rule, tile.value) for tile in pace], dtype=np.int64)
    waits: Times = patience[np.maximum(np.searchsorted(starts, marks, side="right") - 1, 0)]
    return waits


def _pace_at(pace: Pace, at: Instant) -> float:
    return next((tile.value for tile in reversed(pace) if tile.start <= at), pace[0].value)
