"""Facts -> KPIs: reads stored facts at the coarsest grain that fits a question, so that any zoom gives the same answer.

Whole shifts come from the facts by shift, what is left of the window from those by hour, and the hours that a window
or a shift cuts from those by minute.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from historian.fact_columns import FactColumns
from historian.historian import Historian
from historian.records import unit_tags
from historian.schema import Grain
from kpi.facts.rollup import shift_windows
from kpi_api.merged import Indices, Merged
from kpi_api.slots import Mask, Slot, Slots, Slotted, joined
from kpi_api.windows import Window
from shopfloor.instant import HOUR, Instant, ceil_to, floor_to
from shopfloor.plant import WorkUnit

ShiftKey = tuple[Instant, str]
"""Start and name of a shift: what identifies its facts."""
Stretch = tuple[Instant, Instant]


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

    def rows(self, units: Sequence[WorkUnit], how: Cut) -> Slotted:
        """The records in the windows of ``how``, by the order of time in each grain, zeros and overwritten ones too."""
        paths = {str(unit.path): unit for unit in units}
        strangers: set[str] = set()
        tables: list[Slotted] = []
        if any(owner is not None for owner in how.shifts.values()):
            table, strangers = self._by_shift(units, how)
            tables.append(table)
        tables += self._finer([unit for path, unit in paths.items() if path not in strangers], how)
        return joined([*tables, *self._finer([paths[path] for path in strangers], how.by_hour)])

    def _by_shift(self, units: Sequence[WorkUnit], how: Cut) -> tuple[Slotted, set[str]]:
        """Facts of whole shifts; without the units that have facts of shifts that their calendar no longer has."""
        stamps = [stamp for stamp, _ in how.shifts]
        low, high = how.windows[0].start, how.windows[-1].end
        facts = self._read(Grain.SHIFT, units, min(stamps), max(stamps) + 1)
        wanted, owners = _rows_of(facts, units), _windows_of_shifts(facts, how.shifts)
        odd = np.flatnonzero(wanted & (owners == _NO_SHIFT) & (facts.times >= low) & (facts.times < high))
        told = [row for row in odd if any(values[row] for values in facts.values.values())]
        strangers = {facts.series[facts.owners[row]].unit for row in told}
        if strangers:
            wanted &= _rows_of(facts, [unit for unit in units if str(unit.path) not in strangers])
        return _slotted(facts, owners, wanted & (owners >= 0)), strangers

    def _finer(self, units: Sequence[WorkUnit], how: Cut) -> Iterator[Slotted]:
        """Hours, and minutes where an edge cuts one."""
        if not units:
            return
        starts = [window.start for window in how.windows]
        for low, high in how.fine:
            by_minute = cut_hours([low, *(start for start in starts if low < start < high), high])
            in_minutes = [floor_to(start, HOUR) for start, _ in by_minute]
            if ceil_to(low, HOUR) < floor_to(high, HOUR):
                hours = self._read(Grain.HOUR, units, ceil_to(low, HOUR), floor_to(high, HOUR))
                yield _by_time(hours, starts, _rows_of(hours, units) & ~np.isin(hours.times, in_minutes))
            for start, end in by_minute:
                minutes = self._read(Grain.MINUTE, units, start, end)
                yield _by_time(minutes, starts, _rows_of(minutes, units))

    def _read(self, grain: Grain, units: Sequence[WorkUnit], start: Instant, end: Instant) -> FactColumns:
        return self._historian.facts(grain, common_tags(units), start, end)


_CUT: Final = -1
"""No window holds the whole shift."""
_NO_SHIFT: Final = -2
"""The calendar has no such shift."""


def _windows_of_shifts(facts: FactColumns, shifts: Mapping[ShiftKey, int | None]) -> Indices:
    """For each fact of a shift the window that holds it whole, or why there is none."""
    stamps, stamp = np.unique(facts.times, return_inverse=True)
    names = sorted({series.shift for series in facts.series})
    rows = {at: number for number, at in enumerate(stamps.tolist())}
    table = np.full((len(stamps), len(names)), _NO_SHIFT, np.int64)
    for (at, name), owner in shifts.items():
        if at in rows and name in names:
            table[rows[at], names.index(name)] = _CUT if owner is None else owner
    mine = np.array([names.index(series.shift) for series in facts.series], np.int64)
    return table[stamp, mine[facts.owners]]


def _rows_of(facts: FactColumns, units: Sequence[WorkUnit]) -> Mask:
    wanted = {str(unit.path) for unit in units}
    return np.array([series.unit in wanted for series in facts.series], np.bool_)[facts.owners]


def _by_time(facts: FactColumns, starts: Sequence[Instant], wanted: Mask) -> Slotted:
    return _slotted(facts, np.searchsorted(starts, facts.times, side="right") - 1, wanted)


def _slotted(facts: FactColumns, windows: Indices, wanted: Mask) -> Slotted:
    """The wanted facts as records in windows."""
    of_series = Slots.of(Slot(series.unit, 0, series.product) for series in facts.series)
    slots = Slots(
        of_series.units, of_series.products, of_series.unit[facts.owners], windows, of_series.product[facts.owners]
    )
    told = Slotted(slots, Merged(len(facts), facts.values))
    return told if wanted.all() else told.taken(np.flatnonzero(wanted))


def _gaps(start: Instant, end: Instant, covered: Iterable[Stretch]) -> Iterator[Stretch]:
    """What of [start, end) is not covered."""
    for low, high in sorted(covered):
        if start < low:
            yield start, low
        start = max(start, high)
    if start < end:
        yield start, end
