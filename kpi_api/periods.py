"""KPIs -> panels: production days as windows of units, whole or up to now, each with its shifts. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from kpi.plan import calendar_spans
from kpi_api.grains import Cut, calendar_key, cut
from kpi_api.questions import By
from kpi_api.records import Asked
from kpi_api.windows import Window, slices, split_at
from shopfloor.instant import HOUR, Instant, to_instant
from shopfloor.plant import WorkUnit

_REACH = 50 * HOUR
"""A production day lies within so much of any of its moments: two days, one with a clock change."""
_NOTHING = Cut((), {}, ())


@dataclass(frozen=True, slots=True)
class Days:
    """Production days of one unit, asked by shift and by day."""

    shifts: Asked
    days: Asked


def midnight(day: str, zone: str) -> Instant:
    """The start of a local calendar day."""
    return to_instant(datetime.combine(date.fromisoformat(day), time(), ZoneInfo(zone)))


def days_of(units: Iterable[WorkUnit], start: Instant, end: Instant) -> frozenset[str]:
    """The dates of the production days of any of the units that [start, end) touches."""
    alike = {calendar_key(unit): unit for unit in units}
    return frozenset(span.day.isoformat() for unit in alike.values() for span in calendar_spans(unit, start, end))


class PeriodCutter:
    """Cuts production days that follow each other, up to ``until``; units with one calendar share the work."""

    def __init__(self, days: Iterable[str], until: Instant, instants: Sequence[Instant]) -> None:
        """``instants`` are cuts of records: where planned run times of serial lines change."""
        self._days = sorted(days)
        self._until = until
        self._instants = instants
        self._known: dict[object, tuple[Sequence[Window], Sequence[Window], Cut, Sequence[int], Sequence[int]]] = {}

    def asked(self, unit: WorkUnit) -> Days:
        """The questions for one unit."""
        key = calendar_key(unit)
        if key not in self._known:
            self._known[key] = self._cut(unit)
        shifts, days, how, by_shift, by_day = self._known[key]
        return Days(
            Asked(unit, tuple(shifts), how, tuple(by_shift)),
            Asked(unit, tuple(days), how, tuple(by_day)),
        )

    def _cut(self, unit: WorkUnit) -> tuple[Sequence[Window], Sequence[Window], Cut, Sequence[int], Sequence[int]]:
        window = self._extent(unit)
        if window is None:
            return (), (), _NOTHING, (), ()
        shifts, days = slices(unit, window, By.SHIFT), slices(unit, window, By.DAY)
        parts, owners = split_at(shifts, self._instants)
        number = {day.period: position for position, day in enumerate(days)}
        return shifts, days, cut(unit, parts), owners, [number[shifts[owner].period] for owner in owners]

    def _extent(self, unit: WorkUnit) -> Window | None:
        """From the first moment of the days to their last, or to ``until``; None when that is nothing yet."""
        low, high = (midnight(day, unit.timezone) for day in (self._days[0], self._days[-1]))
        wanted = range(
            date.fromisoformat(self._days[0]).toordinal(), date.fromisoformat(self._days[-1]).toordinal() + 1
        )
        spans = [
            span
            for span in calendar_spans(unit, low - _REACH, high + _REACH)
            if span.day.toordinal() in wanted and span.start < self._until
        ]
        return Window(spans[0].start, min(spans[-1].end, self._until)) if spans else None


def year_of(day: str, zone: str) -> tuple[str, Instant]:
    """The first day of a date's local year, and where the next year begins."""
    year = date.fromisoformat(day).year
    return f"{year}-01-01", midnight(f"{year + 1}-01-01", zone)


def runs(days: Iterable[str]) -> Iterator[list[str]]:
    """Dates grouped where each follows the one before."""
    run: list[str] = []
    for day in sorted(days):
        if run and date.fromisoformat(run[-1]) + timedelta(days=1) != date.fromisoformat(day):
            yield run
            run = []
        run.append(day)
    if run:
        yield run
