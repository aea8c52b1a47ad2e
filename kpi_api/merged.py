"""Facts -> KPIs: many additive records merged at once, column by column. The rule is that of ``shopfloor.additive``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from shopfloor.additive import COLUMNS, Elements, Merge, at_column

Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]

_MAXIMA = tuple(column.name for column in COLUMNS.values() if column.merge is Merge.MAX)
_TRAVELLERS = frozenset({*_MAXIMA, *map(at_column, _MAXIMA)})


@dataclass(frozen=True, eq=False)
class Merged:
    """``size`` merged records. Sums that nothing was added to are 0; a maximum of nothing is 0 at 0: both are neutral.

    Arrays are read-only by agreement.
    """

    size: int
    columns: Mapping[str, Numbers]

    @classmethod
    def of(cls, slots: Sequence[int], records: Sequence[Mapping[str, float]], size: int) -> "Merged":
        """Merge each record into its slot."""
        names = set().union(*{tuple(record) for record in records})
        kept = sorted(name for name in names if name in COLUMNS or name in _TRAVELLERS)
        table = _table(records, {name: number for number, name in enumerate(kept)})
        return cls(len(records), dict(zip(kept, table, strict=True))).fold(np.array(slots, np.int64), size)

    def fold(self, slots: Indices, size: int) -> "Merged":
        """Merge each of these records into a slot of a smaller table; slot -1 leaves it out."""
        if (slots < 0).any():
            keep = np.flatnonzero(slots >= 0)
            return self.taken(keep).fold(slots[keep], size)
        folded: dict[str, Numbers] = {}
        for name, values in self.columns.items():
            if name not in _TRAVELLERS:
                folded[name] = np.asarray(np.bincount(slots, values, size), np.float64)
        for name in _MAXIMA:
            if name in self.columns:
                at = self.columns.get(at_column(name), np.zeros(self.size))
                folded[name], folded[at_column(name)] = _maxima(slots, self.columns[name], at, size)
        return Merged(size, folded)

    @cached_property
    def zeros(self) -> Numbers:
        """A column of zeros."""
        return np.zeros(self.size)

    def taken(self, indices: Sequence[int] | Indices) -> "Merged":
        """Some of the records, in the given order."""
        chosen = np.asarray(indices, np.int64)
        return Merged(len(indices), {name: values[chosen] for name, values in self.columns.items()})

    def column(self, name: str) -> Numbers:
        """A column's values; zeros where no record has it."""
        found = self.columns.get(name)
        return self.zeros if found is None else found

    def sum_of(self, names: Sequence[str]) -> Numbers:
        """The sum of several columns in each record."""
        return sum((self.column(name) for name in names), np.zeros(self.size))

    def scaled(self, factors: Mapping[str, Numbers]) -> "Merged":
        """The records with some columns multiplied by a factor per record."""
        return Merged(
            self.size,
            {name: values * factors[name] if name in factors else values for name, values in self.columns.items()},
        )

    @property
    def elements(self) -> list[Elements]:
        """The records as mappings, without what is neutral."""
        return [self.record(index) for index in range(self.size)]

    def record(self, index: int) -> Elements:
        """One record as a mapping, without what is neutral."""
        row = zip(self.columns, self._rows[index].tolist(), strict=True)
        return {name: value for name, value in row if value}

    @cached_property
    def _rows(self) -> NDArray[np.float64]:
        return np.column_stack([np.zeros((self.size, 0)), *self.columns.values()])


def _table(records: Sequence[Mapping[str, float]], places: Mapping[str, int]) -> Numbers:
    """A row of numbers for each column; records with the same columns are converted together."""
    table = np.zeros((len(places), len(records)))
    alike: dict[tuple[str, ...], list[int]] = {}
    for number, record in enumerate(records):
        alike.setdefault(tuple(record), []).append(number)
    for names, numbers in alike.items():
        cells = chain.from_iterable([records[number].values() for number in numbers])
        block = np.fromiter(cells, np.float64, len(names) * len(numbers)).reshape(len(numbers), len(names))
        kept = [position for position, name in enumerate(names) if name in places]
        table[np.ix_([places[names[position]] for position in kept], numbers)] = block[:, kept].T
    return table


def _maxima(slots: Indices, values: Numbers, at: Numbers, size: int) -> tuple[Numbers, Numbers]:
    """Per slot the greatest value that is not 0, and its instant: the earliest of several."""
    best, when = np.zeros(size), np.zeros(size)
    there = np.flatnonzero(values)
    order = there[np.lexsort((at[there], -values[there], slots[there]))]
    owners, first = np.unique(slots[order], return_index=True)
    best[owners], when[owners] = values[order[first]], at[order[first]]
    return best, when
