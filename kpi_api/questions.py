"""KPIs -> panels: what may be asked of the store, how a window is cut, and why a question is refused. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from difflib import get_close_matches
from enum import StrEnum
from itertools import groupby
from zoneinfo import ZoneInfo

from kpi.plan import calendar_spans
from shopfloor.calendar import Span
from shopfloor.errors import ShopfloorError
from shopfloor.instant import (
    HOUR,
    MINUTE,
    BadInstant,
    Instant,
    ceil_to,
    floor_to,
    format_instant,
    parse_instant,
    to_datetime,
    to_instant,
)
from shopfloor.plant import WorkUnit

MAX_ITEMS = 10_000
"""More items than this in one answer are refused."""


END_OF_TIME: Instant = 7_258_118_400_000
"""2200-01-01: nothing is asked or answered beyond."""
_BLANK_FOR_PLUS = re.compile(r" (\d\d:\d\d)$")


class BadQuestion(ShopfloorError):
    """The question cannot be answered. ``remedy`` tells the asker what to do; ``kind`` is a stable word."""

    kind = "bad-question"

    def __init__(self, detail: str, remedy: str) -> None:
        self.detail = detail
        self.remedy = remedy
        super().__init__(f"{detail}; {remedy}")


class BadTime(BadQuestion):
    """A time is no RFC 3339 time with offset, or lies outside what can be asked for."""

    kind = "bad-time"


class BadWindow(BadQuestion):
    """The window is empty, reversed or too long."""

    kind = "bad-window"


class UnknownUnit(BadQuestion):
    """No unit has this path or lies below it."""

    kind = "unknown-unit"


class BadSlicing(BadQuestion):
    """``by`` names no slicing that exists."""

    kind = "bad-by"


class By(StrEnum):
    """How a window is cut into items."""

    TOTAL = "total"
    HOUR = "hour"
    SHIFT = "shift"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, [start, end)."""

    start: Instant
    end: Instant
    shift: str | None = None
    """The shift that it is (part of), where it was cut by shift."""


_LENGTH = {By.HOUR: HOUR, By.SHIFT: 8 * HOUR, By.DAY: 24 * HOUR}


def too_many() -> BadWindow:
    """The refusal of a question with more than MAX_ITEMS items."""
    return BadWindow(f"this gives more than {MAX_ITEMS} items", "ask for a shorter window, fewer units, or by=total")


def check_size(window: Window, by: By, units: int) -> None:
    """Raise BadWindow when ``units`` cut by hour, shift (taken as 8 hours) or day would give too many items."""
    if by is not By.TOTAL and units * (window.end - window.start) > MAX_ITEMS * _LENGTH[by]:
        raise too_many()


def parse_time(text: str) -> Instant:
    """RFC 3339 with offset to an instant of the years 1970 to 2199; raises BadTime.

    A ``+`` that the query string has turned into a blank is read as what was meant.
    """
    try:
        instant = parse_instant(_BLANK_FOR_PLUS.sub(r"+\1", text.strip()))
    except (BadInstant, OverflowError) as error:
        detail, _, remedy = str(error).partition("; ")
        raise BadTime(detail, remedy or "write e.g. 2026-01-05T06:00:00+07:00") from None
    if not 0 <= instant < END_OF_TIME:
        raise BadTime(f"{text!r} is out of range", "ask for a time in the years 1970 to 2199")
    return instant


def parse_by(text: str) -> By:
    """The slicing named ``text``; raises BadSlicing."""
    try:
        return By(text)
    except ValueError:
        known = ", ".join(By)
        raise BadSlicing(f"there is no by={text!r}", f"use one of: {known}") from None


def snapped(start: Instant, end: Instant) -> Window:
    """The smallest window of whole minutes around [start, end); raises BadWindow when it is empty or reversed."""
    if end <= start:
        given = f"the window from {format_instant(start)} to {format_instant(end)}"
        raise BadWindow(f"{given} has no length", "give a 'to' that is later than 'from'")
    return Window(floor_to(start, MINUTE), ceil_to(end, MINUTE))


def slices(unit: WorkUnit, window: Window, by: By) -> list[Window]:
    """Cut a window: UTC hours, the unit's shifts, or its production days (a shift belongs to the day it starts on)."""
    if by is By.TOTAL:
        return [window]
    if by is By.HOUR:
        return list(_hours(window))
    return list(_shifts(unit, window) if by is By.SHIFT else _days(unit, window))


def months(window: Window, zone: str) -> Iterator[tuple[str, Window]]:
    """The calendar months of ``window`` in local time, each with its name (``2018-01``) and cut to the window."""
    tz = ZoneInfo(zone)
    start = window.start
    while start < window.end:
        local = to_datetime(start).astimezone(tz)
        following = (local.replace(day=1) + timedelta(days=32)).replace(day=1).date()
        end = min(to_instant(datetime.combine(following, time(), tz)), window.end)
        yield f"{local:%Y-%m}", Window(start, end)
        start = end


def local_midnight(instant: Instant, zone: str) -> Instant:
    """The start of the local calendar day that holds ``instant``."""
    tz = ZoneInfo(zone)
    return to_instant(datetime.combine(to_datetime(instant).astimezone(tz).date(), time(), tz))


def shift_start(unit: WorkUnit, instant: Instant) -> Instant:
    """Start of the shift (or of the off-shift local day) in which ``instant`` lies."""
    return calendar_spans(unit, instant, instant + 1)[0].shift_start


def nearest_place(units: Mapping[str, WorkUnit], pattern: str) -> str:
    """The remedy for a pattern that matches nothing: the closest place that exists."""
    places = sorted({place for path in units for place in _prefixes(path)})
    closest = get_close_matches(pattern.strip("/").lower(), places, n=1, cutoff=0.4)
    hint = f"did you mean {closest[0]!r}? " if closest else ""
    return f"{hint}/api/v1/equipment lists all units"


def _prefixes(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts) + 1))


def _hours(window: Window) -> Iterator[Window]:
    start = window.start
    while start < window.end:
        end = min(floor_to(start, HOUR) + HOUR, window.end)
        yield Window(start, end)
        start = end


def _shifts(unit: WorkUnit, window: Window) -> Iterator[Window]:
    for (_, shift), spans in groupby(
        calendar_spans(unit, window.start, window.end), key=lambda span: (span.shift_start, span.shift)
    ):
        yield _hull(spans, shift)


def _days(unit: WorkUnit, window: Window) -> Iterator[Window]:
    for _, spans in groupby(calendar_spans(unit, window.start, window.end), key=lambda span: span.day):
        yield _hull(spans, None)


def _hull(spans: Iterable[Span], shift: str | None) -> Window:
    tiles = list(spans)
    return Window(tiles[0].start, tiles[-1].end, shift)


def cut_hours(windows: Sequence[Window]) -> list[Window]:
    """The hours that must be read minute by minute: those in which a window begins or ends. Windows are contiguous."""
    edges = [window.start for window in windows] + [windows[-1].end]
    hours = sorted({floor_to(edge, HOUR) for edge in edges if edge % HOUR})
    return [Window(max(hour, edges[0]), min(hour + HOUR, edges[-1])) for hour in hours]
