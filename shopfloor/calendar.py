"""Calendars: when a unit is planned to be busy. Local wall time in, UTC spans out.

A wall time that the clocks skip is the moment of the change; one that they show twice is its first showing. A shift
over a change has its true length; a break is never longer than it is written.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from shopfloor.day_rules import DayRule
from shopfloor.instant import MINUTE, Instant, to_datetime, to_instant

ALL_WEEK = frozenset(range(7))
DAY_MINUTES = 1440
OFF_SHIFT = "off"
"""The shift name of time that no shift covers."""
MAX_TILES = 4_000
"""Days that a calendar keeps cut into spans, about ten years of one zone; beyond it forgets all."""


class Planned(StrEnum):
    """What the calendar wants of a moment."""

    BUSY = "busy"
    PLANNED_STOP = "planned_stop"
    NOT_SCHEDULED = "not_scheduled"


@dataclass(frozen=True, slots=True)
class LocalRange:
    """Local minutes after midnight of the shift's day, [start, end); ``end`` above 1440 is on the next day."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Shift:
    """A shift and its breaks. It belongs to the day on which it starts and lasts at most 24 hours."""

    name: str
    hours: LocalRange
    breaks: tuple[LocalRange, ...] = ()
    weekdays: frozenset[int] = ALL_WEEK
    """Days on which it starts; Monday is 0. A shift whose breaks differ by weekday stands once for each set of them."""

    def __post_init__(self) -> None:
        if not (0 <= self.hours.start < DAY_MINUTES and 0 < self.hours.end - self.hours.start <= DAY_MINUTES):
            raise ValueError(f"shift {self.name!r} must start within its day and last at most 24 hours")


@dataclass(frozen=True, slots=True)
class OtherDays:
    """The shifts of the days that a rule names (none closes them)."""

    days: DayRule
    shifts: tuple[Shift, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time with one plan: [start, end) in UTC."""

    start: Instant
    end: Instant
    planned: Planned
    shift: str
    shift_start: Instant
    """Start of the shift; of the local day for off-shift time."""
    day: date
    """Production day."""


@dataclass(frozen=True, slots=True)
class _Tile:
    """What a day adds to the tiling of time: from the end of the last shift of the day before (at least midnight)."""

    start: Instant
    end: Instant
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Calendar:
    """The shifts of a day: its exception, else those of the first rule that names it, else the week's."""

    name: str
    shifts: tuple[Shift, ...]
    exceptions: Mapping[date, tuple[Shift, ...]] = field(default_factory=dict, hash=False)
    """An empty tuple closes the day."""
    rules: tuple[OtherDays, ...] = ()
    _tiles: dict[tuple[str, int], _Tile] = field(default_factory=dict, init=False, repr=False, compare=False)

    def shifts_of(self, day: date) -> tuple[Shift, ...]:
        """The shifts that start on ``day``, in order of start; raises PlantError beyond a rule's table of days."""
        chosen = self.exceptions.get(day)
        if chosen is None:
            chosen = next((rule.shifts for rule in self.rules if rule.days.covers(day)), self.shifts)
        of_day = (shift for shift in chosen if day.weekday() in shift.weekdays)
        return tuple(sorted(of_day, key=lambda shift: shift.hours.start))

    def spans(self, start: Instant, end: Instant, zone: str) -> list[Span]:
        """Tile [start, end) with plans: shifts, their breaks, and off-shift time, each cut to the window.

        Where the patterns of two days overlap at their border, the shift that began first keeps its time.
        Raises PlantError where a rule cannot tell whether it holds.
        """
        spans: list[Span] = []
        if start >= end:
            return spans
        day = to_datetime(start).astimezone(ZoneInfo(zone)).toordinal() - 1
        while (tile := self._tile(day, zone)).start < end:
            if start <= tile.start and tile.end <= end:
                spans.extend(tile.spans)
            elif tile.end > start:
                spans.extend(_cut(tile.spans, start, end))
            day += 1
        return spans

    def _tile(self, day: int, zone: str) -> _Tile:
        tile = self._tiles.get((zone, day))
        if tile is None:
            tile = self._tiled(date.fromordinal(day), ZoneInfo(zone))
            if len(self._tiles) >= MAX_TILES:
                self._tiles.clear()
            self._tiles[zone, day] = tile
        return tile

    def _tiled(self, day: date, tz: ZoneInfo) -> _Tile:
        start, end = self._start_of(day, tz), self._start_of(day + timedelta(days=1), tz)
        midnight = _local(day, 0, tz)
        spans: list[Span] = []
        cursor = start
        for shift in self.shifts_of(day):
            shift_start = _local(day, shift.hours.start, tz)
            if shift_start > cursor:
                spans.append(Span(cursor, shift_start, Planned.NOT_SCHEDULED, OFF_SHIFT, midnight, day))
                cursor = shift_start
            for low, high, planned in _pieces(shift, day, tz):
                if max(low, cursor) < high:
                    spans.append(Span(max(low, cursor), high, planned, shift.name, shift_start, day))
                    cursor = high
        if cursor < end:
            spans.append(Span(cursor, end, Planned.NOT_SCHEDULED, OFF_SHIFT, midnight, day))
        return _Tile(start, end, tuple(spans))

    def _start_of(self, day: date, tz: ZoneInfo) -> Instant:
        before = day - timedelta(days=1)
        ends = [_local(before, shift.hours.end, tz) for shift in self.shifts_of(before)]
        return max([_local(day, 0, tz), *ends])


def _cut(spans: tuple[Span, ...], start: Instant, end: Instant) -> Iterator[Span]:
    for span in spans:
        low, high = max(span.start, start), min(span.end, end)
        if low < high:
            yield Span(low, high, span.planned, span.shift, span.shift_start, span.day)


def _pieces(shift: Shift, day: date, tz: ZoneInfo) -> Iterator[tuple[Instant, Instant, Planned]]:
    """The shift cut at its breaks, in order."""
    cursor, end = _local(day, shift.hours.start, tz), _local(day, shift.hours.end, tz)
    for rest in sorted(shift.breaks, key=lambda rest: rest.start):
        low = max(_local(day, rest.start, tz), cursor)
        high = min(_local(day, rest.end, tz), low + (rest.end - rest.start) * MINUTE, end)
        if low < high:
            yield cursor, low, Planned.BUSY
            yield low, high, Planned.PLANNED_STOP
            cursor = high
    yield cursor, end, Planned.BUSY


def _local(day: date, minute: int, tz: ZoneInfo) -> Instant:
    extra, minute = divmod(minute, DAY_MINUTES)
    wall = datetime.combine(day + timedelta(days=extra), time(minute // 60, minute % 60), tz)
    instant = to_instant(wall)
    if to_datetime(instant).astimezone(tz).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return instant
    return _change_before(wall, tz)


def _change_before(skipped: datetime, tz: ZoneInfo) -> Instant:
    """The moment of the change that skipped a wall time: the last wall time before it that exists, and a minute."""
    wall = skipped
    while to_datetime(to_instant(wall)).astimezone(tz).replace(tzinfo=None) != wall.replace(tzinfo=None):
        wall -= timedelta(minutes=1)
    return to_instant(wall) + MINUTE
