"""Stored facts as columns: the *facts* that KPIs are made of, many at once, without an object per record.

``FactColumns.of`` serves any store; ``FactTable`` reads the embedded store's JSON rows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from historian.point import Point
from historian.records import unit_of
from historian.schema import PRODUCT, SHIFT
from shopfloor.columns import Times, Values
from shopfloor.instant import Instant

Owners = NDArray[np.int64]
StoredRows = tuple[int, str, str]
"""A series' number, the times of some of its rows and their JSON objects of fields, each joined by commas."""

_dicts: Final = msgspec.json.Decoder(list[dict[str, float]])
_times: Final = msgspec.json.Decoder(list[int])


class FactSeries(NamedTuple):
    """Whose facts: of a unit, in shifts of one name, of one product."""

    unit: str
    shift: str
    product: str


@dataclass(frozen=True, slots=True, eq=False)
class FactColumns:
    """Facts of one grain in order of time, then of series. Arrays have one length and are read-only by agreement."""

    series: tuple[FactSeries, ...]
    """The series that have a row, in order."""
    owners: Owners
    """Of each row the index of its series."""
    times: Times
    """Starts of the slices, or of the shifts, in ms."""
    values: Mapping[str, Values]
    """Column (or the ``_at`` of a maximum) -> its value in each row; 0, which is neutral, where a row has none."""

    def __len__(self) -> int:
        return len(self.times)

    @classmethod
    def of(cls, points: Iterable[Point]) -> "FactColumns":
        """From points of one grain in any order; overwritten facts stay as rows of zeros."""
        given = list(points)
        names = {name: number for number, name in enumerate(dict.fromkeys(chain(*(point.fields for point in given))))}
        table = np.zeros((len(names), len(given)))
        for row, point in enumerate(given):
            for name, value in point.fields.items():
                table[names[name], row] = value
        series = [series_of(point.tags) for point in given]
        return cls.in_order(
            series, range(len(given)), [point.time for point in given], dict(zip(names, table, strict=True))
        )

    @classmethod
    def in_order(
        cls,
        series: Sequence[FactSeries],
        owners: Sequence[int] | Owners,
        times: Sequence[Instant] | Times,
        values: Mapping[str, Values],
    ) -> "FactColumns":
        """Rows in any order put in order; ``series`` may name one twice."""
        known = tuple(sorted(set(series)))
        place = {each: number for number, each in enumerate(known)}
        places = np.array([place[each] for each in series], np.int64)
        mine, stamps = places[np.asarray(owners, np.int64)], np.asarray(times, np.int64)
        order = np.lexsort((mine, stamps))
        return cls(known, mine[order], stamps[order], {name: column[order] for name, column in values.items()})


class FactTable:
    """Makes columns of stored rows, batch by batch. Learns which columns there are as they come."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._numbers: list[int] = []
        self._lengths: list[int] = []
        self._times: list[Times] = []
        self._blocks: list[Values] = []

    def add(self, batch: Sequence[StoredRows]) -> None:
        """Rows of some series."""
        for number, times, _ in batch:
            self._numbers.append(number)
            self._lengths.append(times.count(",") + 1)
        self._times.append(np.array(_times.decode(f"[{','.join(times for _, times, _ in batch)}]"), np.int64))
        records = self._decoded(f"[{','.join(rows for _, _, rows in batch)}]")
        cells = chain.from_iterable(map(msgspec.structs.astuple, records))
        width = len(self._names)
        self._blocks.append(np.fromiter(cells, np.float64, len(records) * width).reshape(len(records), width))

    def columns(self, tags: Callable[[int], Mapping[str, str]]) -> FactColumns:
        """All rows that were added; ``tags`` tells those of a series."""
        times = np.concatenate(self._times) if self._times else np.zeros(0, np.int64)
        table, low = np.zeros((len(self._names), len(times))), 0
        for block in self._blocks:
            table[: block.shape[1], low : low + len(block)] = block.T
            low += len(block)
        owners = np.repeat(np.arange(len(self._numbers)), self._lengths)
        series = [series_of(tags(number)) for number in self._numbers]
        return FactColumns.in_order(series, owners, times, dict(zip(self._names, table, strict=True)))

    def _decoded(self, rows: str) -> list[Any]:
        """The rows as tuples of the known columns, which are first made to be all that they have."""
        try:
            return _decoder(self._names).decode(rows)
        except msgspec.ValidationError:
            self._names = tuple(dict.fromkeys(chain(self._names, *_dicts.decode(rows))))
            return _decoder(self._names).decode(rows)


@lru_cache(maxsize=256)
def _decoder(names: tuple[str, ...]) -> "msgspec.json.Decoder[list[Any]]":
    """Reads objects that have no other fields than these; a field that is not there is 0."""
    stored = {f"f{index}": name for index, name in enumerate(names)}
    fields = [(field, float, 0.0) for field in stored]
    row = msgspec.defstruct("Row", fields, rename=stored, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(list[row])  # type: ignore[valid-type]


def series_of(tags: Mapping[str, str]) -> FactSeries:
    """Whose facts have these tags."""
    return FactSeries(unit_of(tags), tags[SHIFT], tags[PRODUCT])
