"""Facts -> KPIs: the merged records of many units at once, each in its own windows, silence included."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from historian.historian import Historian
from kpi_api.grains import Cut, FactReader, calendar_key, cut
from kpi_api.merged import Indices, Merged, Numbers
from kpi_api.questions import By
from kpi_api.silence import Silence
from kpi_api.slots import Row, Slotted, joined
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


class RecordReader:
    """Reads merged records. Safe to call from several threads at once."""

    def __init__(self, historian: Historian, silence: Silence) -> None:
        self._facts = FactReader(historian)
        self._silence = silence

    def read(self, questions: Iterable[Asked], now: Instant) -> Slotted:
        """The records of every question, one for each unit, part and product."""
        asked = list({question.path: question for question in questions}.values())
        told = self._rows(asked).merged()
        untold = self._untold(asked, told, now)
        return joined([told, Slotted.of(untold)]).merged() if untold else told

    def _rows(self, asked: Sequence[Asked]) -> Slotted:
        alike: dict[int, list[Asked]] = {}
        for question in asked:
            alike.setdefault(id(question.how), []).append(question)
        return joined(
            [
                self._facts.rows([question.unit for question in same], same[0].how)
                for same in alike.values()
                if same[0].how.windows
            ]
        )

    def _untold(self, asked: Sequence[Asked], told: Slotted, now: Instant) -> list[Row]:
        """Records of the time that facts leave open, part by part."""
        seconds = told.sum_by_part(_CATEGORIES)
        lengths: dict[int, Numbers] = {}
        found: list[Row] = []
        for question in asked:
            how = question.how
            if id(how) not in lengths:
                lengths[id(how)] = _lengths_s(how.windows, now)
            open_s = lengths[id(how)].copy()
            categorized = seconds.get(question.path, open_s[:0])[: len(open_s)]
            open_s[: len(categorized)] -= categorized
            untold = np.flatnonzero(open_s > _SLACK_S).tolist()
            found += self._silence.rows(question.unit, [(index, how.windows[index]) for index in untold])
        return found


def _lengths_s(windows: Sequence[Window], now: Instant) -> Numbers:
    """What is past of each window."""
    return np.array([(min(window.end, now) - window.start) / 1000 for window in windows], np.float64)


def folded(told: Slotted, owners: Sequence[int] | Indices, size: int) -> Merged:
    """The records merged by owner; -1 leaves one out."""
    return told.records.fold(np.asarray(owners, np.int64), size)
