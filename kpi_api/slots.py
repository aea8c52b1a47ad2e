"""Facts -> KPIs: whose records they are, as columns: of a unit, in one part of time, of one product. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpi_api.merged import Indices, Merged, Numbers

Mask = NDArray[np.bool_]


class Slot(NamedTuple):
    """Whose record it is: of a unit, in one part of time, of one product."""

    unit: str
    part: int
    product: str


class Row(NamedTuple):
    """One record and where it belongs."""

    key: Slot
    elements: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """Many slots. Arrays have one length and are read-only by agreement; names are in order."""

    units: tuple[str, ...]
    products: tuple[str, ...]
    unit: Indices
    """Index in ``units``."""
    part: Indices
    product: Indices
    """Index in ``products``."""

    def __len__(self) -> int:
        return len(self.unit)

    def __iter__(self) -> Iterator[Slot]:
        columns = (self.unit.tolist(), self.part.tolist(), self.product.tolist())
        return (Slot(self.units[unit], part, self.products[item]) for unit, part, item in zip(*columns, strict=True))

    @classmethod
    def of(cls, slots: Iterable[Slot]) -> "Slots":
        """From slots one by one."""
        given = list(slots)
        units = {unit: number for number, unit in enumerate(sorted({slot.unit for slot in given}))}
        products = {product: number for number, product in enumerate(sorted({slot.product for slot in given}))}
        columns = np.array([(units[slot.unit], slot.part, products[slot.product]) for slot in given], np.int64)
        return cls(tuple(units), tuple(products), *columns.reshape(len(given), 3).T)

    def taken(self, indices: Indices) -> "Slots":
        """Some of the slots, in the given order."""
        return Slots(self.units, self.products, self.unit[indices], self.part[indices], self.product[indices])

    def of_units(self, paths: Collection[str]) -> Mask:
        """Which slots are of these units."""
        return np.array([unit in paths for unit in self.units], np.bool_)[self.unit]

    def owners(self, places: Mapping[str, Indices]) -> Indices:
        """The number that ``places`` gives to each slot by its unit and part; -1 to those of other units."""
        mine = [places.get(unit, _NOWHERE) for unit in self.units]
        starts = np.cumsum([0, *(len(each) for each in mine)])
        there = self.of_units(places)
        found = np.full(len(self), -1, np.int64)
        if there.any():
            found[there] = np.concatenate(mine)[starts[self.unit[there]] + self.part[there]]
        return found


_NOWHERE: Indices = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Slotted:
    """Records, and whose each is."""

    slots: Slots
    records: Merged

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Slotted":
        """From records one by one."""
        records = Merged.of(range(len(rows)), [row.elements for row in rows], len(rows))
        return cls(Slots.of(row.key for row in rows), records)

    def merged(self) -> "Slotted":
        """One record for each slot, in order of unit, part and product; those of a slot are merged as they come."""
        slots = self.slots
        parts, products = int(slots.part.max(initial=0)) + 1, max(len(slots.products), 1)
        codes, owners = np.unique((slots.unit * parts + slots.part) * products + slots.product, return_inverse=True)
        place, product = np.divmod(codes, products)
        unit, part = np.divmod(place, parts)
        return Slotted(Slots(slots.units, slots.products, unit, part, product), self.records.fold(owners, len(codes)))

    def taken(self, indices: Indices) -> "Slotted":
        """Some of the records, in the given order."""
        return Slotted(self.slots.taken(indices), self.records.taken(indices))

    def sum_by_part(self, names: Sequence[str]) -> Mapping[str, Numbers]:
        """Unit -> the sum of some columns in each part of time."""
        slots = self.slots
        parts = int(slots.part.max(initial=0)) + 1
        sums = np.bincount(slots.unit * parts + slots.part, self.records.sum_of(names), len(slots.units) * parts)
        return dict(zip(slots.units, sums.reshape(len(slots.units), parts), strict=True))


def joined(tables: Sequence[Slotted]) -> Slotted:
    """The records of several tables, one table after the other."""
    filled = [table for table in tables if len(table.slots)]
    if len(filled) == 1:
        return filled[0]
    units = sorted({unit for table in filled for unit in table.slots.units})
    products = sorted({product for table in filled for product in table.slots.products})
    mine = [_renamed(table.slots, units, products) for table in filled]
    slots = Slots(
        tuple(units),
        tuple(products),
        np.concatenate([_NOWHERE, *(each.unit for each in mine)]),
        np.concatenate([_NOWHERE, *(each.part for each in mine)]),
        np.concatenate([_NOWHERE, *(each.product for each in mine)]),
    )
    names = dict.fromkeys(name for table in filled for name in table.records.columns)
    columns = {name: np.concatenate([table.records.column(name) for table in filled]) for name in names}
    return Slotted(slots, Merged(len(slots), columns))


def _renamed(slots: Slots, units: Sequence[str], products: Sequence[str]) -> Slots:
    unit = np.array([units.index(each) for each in slots.units], np.int64)[slots.unit]
    product = np.array([products.index(each) for each in slots.products], np.int64)[slots.product]
    return Slots(tuple(units), tuple(products), unit, slots.part, product)
