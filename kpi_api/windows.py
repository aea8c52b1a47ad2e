"""KPIs -> panels: how a window is cut: hours are UTC; shifts, production days, weeks and months the unit's. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby, pairwise
from typing import Final
from zoneinfo import ZoneInfo

from kpi.plan import calendar_spans
from kpi_api.questions import MAX_ITEMS, BadWindow, By, too_many
from shopfloor.calendar import Span
from shopfloor.instant import HOUR, MINUTE, Instant, ceil_to, floor_to, format_instant, to_datetime, to_instant
from shopfloor.plant import WorkUnit


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, [start, end)."""

    start: Instant
    end: Instant
    shift: str | None = None
    """The shift that it is (part of), where it was cut by shift."""
    period: str | None = None
    """Production day (``2026-01-05``), ISO week (``2026-W02``) or month (``2026-01``) that it is (part of)."""

    def overlaps(self, start: Instant, end: Instant) -> bool:
        """Whether it shares any time with [start, end)."""
        return self.start < end and start < self.end


def _week(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"


_PERIODS: Final[Mapping[By, Callable[[date], str]]] = {
    By.DAY: date.isoformat,
    By.WEEK: _week,
    By.MONTH: lambda day: f"{day:%Y-%m}",
}
_DAY = 24 * HOUR
LONGEST_WINDOW: Final = 20 * 366 * _DAY
"""Longer windows are refused."""
_LENGTH = {By.HOUR: HOUR, By.SHIFT: 8 * HOUR, By.DAY: _DAY, By.WEEK: 7 * _DAY, By.MONTH: 28 * _DAY}


def check_size(window: Window, by: By, subjects: int) -> None:
    """Raise BadWindow when so many units or places, cut by time (a shift is taken as 8 hours), give too many items."""
    if by in _LENGTH and subjects * (window.end - window.start) > MAX_ITEMS * _LENGTH[by]:
        raise too_many()


def checked(start: Instant, end: Instant) -> None:
    """Raise BadWindow when [start, end) is empty, reversed, or too long."""
    if end <= start:
        given = f"the window from {format_instant(start)} to {format_instant(end)}"
        raise BadWindow(f"{given} has no length", "give a 'to' that is later than 'from'")
    if end - start > LONGEST_WINDOW:
        raise BadWindow("the window is longer than 20 years", "ask for a shorter window")


def snapped(start: Instant, end: Instant) -> Window:
    """The smallest window of whole minutes around [start, end); raises BadWindow like ``checked``."""
    checked(start, end)
    return Window(floor_to(start, MINUTE), ceil_to(end, MINUTE))


def slices(unit: WorkUnit, window: Window, by: By) -> list[Window]:
    """Cut a window: UTC hours, the unit's shifts, or its production days, ISO weeks of them, months of them.

    A shift belongs to the day on which it starts. Other slicings do not cut time.
    """
    if by is By.HOUR:
        return list(_hours(window))
    if by is By.SHIFT:
        return list(_shifts(unit, window))
    if by in _PERIODS:
        return list(_periods(unit, window, _PERIODS[by]))
    return [window]


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


def split_at(windows: Sequence[Window], instants: Iterable[Instant]) -> tuple[list[Window], list[int]]:
    """Contiguous windows cut at more instants, and for each part the index of the window that it is of."""
    cuts = sorted(set(instants))
    parts: list[Window] = []
    owners: list[int] = []
    for index, window in enumerate(windows):
        edges = [window.start, *(cut for cut in cuts if window.start < cut < window.end), window.end]
        parts += [Window(low, high) for low, high in pairwise(edges)]
        owners += [index] * (len(edges) - 1)
    return parts, owners


def _hours(window: Window) -> Iterator[Window]:
    start = window.start
    while start < window.end:
        end = min(floor_to(start, HOUR) + HOUR, window.end)
        yield Window(start, end)
        start = end


def _shifts(unit: WorkUnit, window: Window) -> Iterator[Window]:
    spans = calendar_spans(unit, window.start, window.end)
    for _, tiles in groupby(spans, key=lambda span: (span.shift_start, span.shift)):
        run = list(tiles)
        yield Window(run[0].start, run[-1].end, run[0].shift, run[0].day.isoformat())


def _periods(unit: WorkUnit, window: Window, name: Callable[[date], str]) -> Iterator[Window]:
    def period(span: Span) -> str:
        return name(span.day)

    for label, tiles in groupby(calendar_spans(unit, window.start, window.end), key=period):
        run = list(tiles)
        yield Window(run[0].start, run[-1].end, None, label)
