"""Facts -> KPIs: reads stored facts at the coarsest grain that fits a question, so that any zoom gives the same answer.

Whole shifts come from the facts by shift, what is left of the window from those by hour, and the hours that a window
or a shift cuts from those by minute.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from historian.historian import Historian
from historian.point import Point, Query
from historian.records import unit_of, unit_tags
from historian.schema import PRODUCT, SHIFT, Grain
from kpi.rollup import shift_windows
from kpi_api.windows import Window
from shopfloor.instant import HOUR, Instant, ceil_to, floor_to
from shopfloor.plant import WorkUnit

ShiftKey = tuple[Instant, str]
"""Start and name of a shift: what identifies its facts."""
Stretch = tuple[Instant, Instant]


class Slot(NamedTuple):
    """Whose record it is: of a unit, in one part of time, of one product."""

    unit: str
    part: int
    product: str


class Row(NamedTuple):
    """One record and where it belongs."""

    key: Slot
    elements: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Cut:
    """Contiguous windows, and from which grain each moment of them is read."""

    windows: tuple[Window, ...]
    shifts: Mapping[ShiftKey, int | None]
    """Every shift that touches the windows: the window that holds it whole, or None when it is cut."""
    fine: tuple[Stretch, ...]
    """What no whole shift covers."""

    @property
    def by_hour(self) -> "Cut":
        """The same windows without the grain of shifts."""
        return Cut(self.windows, {}, ((self.windows[0].start, self.windows[-1].end),))


def cut(unit: WorkUnit, windows: Sequence[Window]) -> Cut:
    """How contiguous windows of a unit are read."""
    low, high = windows[0].start, windows[-1].end
    starts = [window.start for window in windows]
    shifts: dict[ShiftKey, int | None] = {}
    covered: list[Stretch] = []
    for shift in shift_windows(unit, low, high):
        first, last = shift.pieces[0][0], shift.end
        owner = bisect_right(starts, first) - 1
        whole = first >= low and last <= high and bisect_right(starts, last - 1) - 1 == owner
        shifts[shift.start, shift.shift] = owner if whole else None
        if whole:
            covered += shift.pieces
    return Cut(tuple(windows), shifts, tuple(_gaps(low, high, covered)))


def calendar_key(unit: WorkUnit) -> tuple[object, ...]:
    """Units with the same key have the same calendar, so that they are cut alike."""
    return (unit.timezone, *((since, id(calendar)) for since, calendar in unit.calendar.entries))


def cut_hours(edges: Sequence[Instant]) -> list[Stretch]:
    """The hours between the first and last of rising edges that must be read by minute: those that an edge cuts."""
    hours = sorted({floor_to(edge, HOUR) for edge in edges if edge % HOUR})
    return [(max(hour, edges[0]), min(hour + HOUR, edges[-1])) for hour in hours]


def common_tags(units: Sequence[WorkUnit]) -> dict[str, str]:
    """The tags in which all units agree: one query reads them all."""
    tags = [unit_tags(unit.path.enterprise, str(unit.path)) for unit in units]
    return {level: value for level, value in tags[0].items() if all(other[level] == value for other in tags)}


class FactReader:
    """Reads the stored facts of units that are cut alike, each kind in one query."""

    def __init__(self, historian: Historian) -> None:
        self._historian = historian

    def rows(self, units: Sequence[WorkUnit], how: Cut) -> list[Row]:
        """The records in the windows of ``how``, in no particular order, zeros and overwritten ones among them."""
        paths = {str(unit.path): unit for unit in units}
        strangers: set[str] = set()
        rows: list[Row] = []
        if any(owner is not None for owner in how.shifts.values()):
            rows = self._by_shift(units, how, paths, strangers)
            if strangers:
                rows = [row for row in rows if row.key.unit not in strangers]
        known = [unit for path, unit in paths.items() if path not in strangers]
        rows += self._finer(known, how)
        return rows + self._finer([paths[path] for path in strangers], how.by_hour)

    def _by_shift(
        self, units: Sequence[WorkUnit], how: Cut, paths: Mapping[str, WorkUnit], strangers: set[str]
    ) -> list[Row]:
        """Facts of whole shifts. A unit with facts of shifts that its calendar no longer has is a stranger."""
        stamps = [stamp for stamp, _ in how.shifts]
        series = _Series(paths)
        low, high = how.windows[0].start, how.windows[-1].end
        rows: list[Row] = []
        for point in self._read(Grain.SHIFT, units, min(stamps), max(stamps) + 1):
            mine = series.of(point)
            if mine is None:
                continue
            owner = how.shifts.get((point.time, mine.shift), -1)
            if owner == -1:
                if low <= point.time < high and any(point.fields.values()):
                    strangers.add(mine.unit)
            elif owner is not None:
                rows.append(Row(mine.key(owner), point.fields))  # type: ignore[arg-type]
        return rows

    def _finer(self, units: Sequence[WorkUnit], how: Cut) -> list[Row]:
        """Hours, and minutes where an edge cuts one."""
        if not units:
            return []
        starts = [window.start for window in how.windows]
        series = _Series({str(unit.path) for unit in units})
        rows: list[Row] = []
        for low, high in how.fine:
            for point in self._hours_and_minutes(units, low, high, starts):
                mine = series.of(point)
                if mine is not None:
                    owner = bisect_right(starts, point.time) - 1
                    rows.append(Row(mine.key(owner), point.fields))  # type: ignore[arg-type]
        return rows

    def _hours_and_minutes(
        self, units: Sequence[WorkUnit], low: Instant, high: Instant, starts: Sequence[Instant]
    ) -> Iterator[Point]:
        by_minute = cut_hours([low, *(start for start in starts if low < start < high), high])
        in_minutes = {floor_to(start, HOUR) for start, _ in by_minute}
        if ceil_to(low, HOUR) < floor_to(high, HOUR):
            hours = self._read(Grain.HOUR, units, ceil_to(low, HOUR), floor_to(high, HOUR))
            yield from (point for point in hours if point.time not in in_minutes)
        for start, end in by_minute:
            yield from self._read(Grain.MINUTE, units, start, end)

    def _read(self, grain: Grain, units: Sequence[WorkUnit], start: Instant, end: Instant) -> list[Point]:
        return self._historian.read(Query(grain, common_tags(units), start, end))


@dataclass(slots=True)
class _OneSeries:
    """Whose facts a series holds, and the keys that its records have been given."""

    tags: Mapping[str, str]
    """Kept, so that their identity stays theirs."""
    unit: str
    shift: str
    product: str
    keys: dict[int, Slot]

    def key(self, window: int) -> Slot:
        """The slot of a record in a window."""
        found = self.keys.get(window)
        if found is None:
            found = self.keys[window] = Slot(self.unit, window, self.product)
        return found


class _Series:
    """The series of wanted units, found by the tags that their points share."""

    def __init__(self, wanted: Collection[str]) -> None:
        self._wanted = wanted
        self._known: dict[int, _OneSeries] = {}

    def of(self, point: Point) -> _OneSeries | None:
        """The series of a point; None for one of a unit that is not wanted."""
        tags = point.tags
        found = self._known.get(id(tags))
        if found is None:
            found = self._known[id(tags)] = _OneSeries(tags, unit_of(tags), tags[SHIFT], tags[PRODUCT], {})
        return found if found.unit in self._wanted else None


def _gaps(start: Instant, end: Instant, covered: Iterable[Stretch]) -> Iterator[Stretch]:
    """What of [start, end) is not covered."""
    for low, high in sorted(covered):
        if start < low:
            yield start, low
        start = max(start, high)
    if start < end:
        yield start, end
