"""Calendars: when a unit is planned to be busy. Local wall time in, UTC spans out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from shopfloor.instant import Instant, to_datetime, to_instant

ALL_WEEK = frozenset(range(7))
OFF_SHIFT = "off"
"""The shift name of time that no shift covers."""


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
    """A shift and its breaks. It belongs to the day on which it starts."""

    name: str
    hours: LocalRange
    breaks: tuple[LocalRange, ...] = ()
    weekdays: frozenset[int] = ALL_WEEK
    """Days on which it starts; Monday is 0."""


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
class Calendar:
    """Shifts by weekday and exceptions by date (an empty tuple closes the day)."""

    name: str
    shifts: tuple[Shift, ...]
    exceptions: Mapping[date, tuple[Shift, ...]] = field(default_factory=dict)

    def shifts_of(self, day: date) -> tuple[Shift, ...]:
        """The shifts that start on ``day``, in order of start."""
        if day in self.exceptions:
            return self.exceptions[day]
        return tuple(shift for shift in self.shifts if day.weekday() in shift.weekdays)

    def spans(self, start: Instant, end: Instant, zone: str) -> list[Span]:
        """Tile [start, end) with plans: shifts, their breaks, and off-shift time, each cut to the window."""
        tiles: list[Span] = []
        cursor = start
        for shift_start, shift_end, shift, day, breaks in self._shifts_between(start, end, zone):
            if shift_start > cursor:
                tiles.extend(_off_shift(cursor, min(shift_start, end), zone))
                cursor = min(shift_start, end)
            for piece_start, piece_end, planned in _cut_breaks(shift_start, shift_end, breaks):
                low, high = max(piece_start, cursor), min(piece_end, end)
                if low < high:
                    tiles.append(Span(low, high, planned, shift.name, shift_start, day))
                    cursor = high
        if cursor < end:
            tiles.extend(_off_shift(cursor, end, zone))
        return tiles

    def _shifts_between(
        self, start: Instant, end: Instant, zone: str
    ) -> Iterator[tuple[Instant, Instant, Shift, date, list[tuple[Instant, Instant]]]]:
        tz = ZoneInfo(zone)
        day = to_datetime(start).astimezone(tz).date() - timedelta(days=1)
        last = to_datetime(end).astimezone(tz).date()
        while day <= last:
            for shift in sorted(self.shifts_of(day), key=lambda shift: shift.hours.start):
                low, high = (_local(day, minute, tz) for minute in (shift.hours.start, shift.hours.end))
                if low < end and high > start:
                    breaks = [(_local(day, rest.start, tz), _local(day, rest.end, tz)) for rest in shift.breaks]
                    yield low, high, shift, day, sorted(breaks)
            day += timedelta(days=1)


def _local(day: date, minute: int, tz: ZoneInfo) -> Instant:
    extra, minute = divmod(minute, 1440)
    wall = datetime.combine(day + timedelta(days=extra), time(minute // 60, minute % 60), tz)
    return to_instant(wall)


def _cut_breaks(
    start: Instant, end: Instant, breaks: list[tuple[Instant, Instant]]
) -> Iterator[tuple[Instant, Instant, Planned]]:
    cursor = start
    for low, high in breaks:
        if cursor < low:
            yield cursor, low, Planned.BUSY
        yield max(low, cursor), high, Planned.PLANNED_STOP
        cursor = max(cursor, high)
    if cursor < end:
        yield cursor, end, Planned.BUSY


def _off_shift(start: Instant, end: Instant, zone: str) -> Iterator[Span]:
    tz = ZoneInfo(zone)
    while start < end:
        day = to_datetime(start).astimezone(tz).date()
        midnight = _local(day, 1440, tz)
        yield Span(start, min(midnight, end), Planned.NOT_SCHEDULED, OFF_SHIFT, _local(day, 0, tz), day)
        start = midnight
