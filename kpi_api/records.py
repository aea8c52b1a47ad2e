"""Facts -> KPIs: the merged records of many units at once, each in its own windows, silence included."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from historian.historian import Historian
from kpi_api.grains import Cut, FactReader, Row, Slot, calendar_key, cut
from kpi_api.merged import Merged
from kpi_api.questions import By
from kpi_api.silence import Silence
from kpi_api.windows import Window, slices, split_at
from shopfloor.instant import Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import WorkUnit

_CATEGORIES = tuple(f"{category}_s" for category in TimeCategory)
_SLACK_S = 0.0005


@dataclass(frozen=True, slots=True)
class Asked:
    """One unit and the contiguous windows in which its records are wanted."""

    unit: WorkUnit
    windows: tuple[Window, ...]
    how: Cut
    """Of the windows, or of the parts into which they are cut."""
    owners: tuple[int, ...]
    """Part -> window."""

    @property
    def path(self) -> str:
        return str(self.unit.path)


class Cutter:
    """Cuts one window for many units; units with one calendar share the work."""

    def __init__(self, window: Window, by: By, instants: Sequence[Instant] = ()) -> None:
        self._window = window
        self._by = by
        self._instants = instants
        self._known: dict[object, tuple[tuple[Window, ...], Cut, tuple[int, ...]]] = {}

    def asked(self, unit: WorkUnit) -> Asked:
        """The question for one unit."""
        key = calendar_key(unit)
        if key not in self._known:
            windows = slices(unit, self._window, self._by)
            parts, owners = split_at(windows, self._instants) if self._instants else (windows, range(len(windows)))
            self._known[key] = tuple(windows), cut(unit, parts), tuple(owners)
        return Asked(unit, *self._known[key])


@dataclass(frozen=True, slots=True)
class Slotted:
    """Merged records, one for each unit, part and product."""

    slots: list[Slot]
    records: Merged


class RecordReader:
    """Reads merged records. Safe to call from several threads at once."""

    def __init__(self, historian: Historian, silence: Silence) -> None:
        self._facts = FactReader(historian)
        self._silence = silence

    def read(self, questions: Iterable[Asked], now: Instant) -> Slotted:
        """The records of every question."""
        asked = list({question.path: question for question in questions}.values())
        rows = self._rows(asked)
        told = _slotted(rows)
        untold = self._untold(asked, told, now)
        return _slotted(rows + untold) if untold else told

    def _rows(self, asked: Sequence[Asked]) -> list[Row]:
        alike: dict[int, list[Asked]] = {}
        for question in asked:
            alike.setdefault(id(question.how), []).append(question)
        return [
            row
            for same in alike.values()
            if same[0].how.windows
            for row in self._facts.rows([question.unit for question in same], same[0].how)
        ]

    def _untold(self, asked: Sequence[Asked], told: Slotted, now: Instant) -> list[Row]:
        """Records of the time that facts leave open, part by part."""
        seconds = _seconds(told)
        found: list[Row] = []
        for question in asked:
            path = question.path
            windows = [
                (index, part)
                for index, part in enumerate(question.how.windows)
                if (min(part.end, now) - part.start) / 1000 > seconds.get((path, index), 0.0) + _SLACK_S
            ]
            found += self._silence.rows(question.unit, windows)
        return found


def _slotted(rows: Sequence[Row]) -> Slotted:
    index: dict[Slot, int] = {}
    owners = [index.setdefault(row.key, len(index)) for row in rows]
    return Slotted(list(index), Merged.of(owners, [row.elements for row in rows], len(index)))


def _seconds(told: Slotted) -> Mapping[tuple[str, int], float]:
    """Unit and part -> the time that has a category."""
    found: dict[tuple[str, int], float] = {}
    for slot, seconds in zip(told.slots, told.records.sum_of(_CATEGORIES).tolist(), strict=True):
        key = slot.unit, slot.part
        found[key] = found.get(key, 0.0) + seconds
    return found


def folded(told: Slotted, owners: Sequence[int], size: int) -> Merged:
    """The records merged by owner; -1 leaves one out."""
    return told.records.fold(np.array(owners, np.int64), size)
