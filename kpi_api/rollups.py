"""Facts -> KPIs: the record of a place from the records of its units. Pure.

- Parallel units, and the lines of a larger place, are merged; a unit whose quantities nothing tells is left out
  where others count, for its time without pieces would look like a loss.
- A serial line is its output unit: its time and its quantities, rated with the line's planned run time (PRI), which is
  given or the bottleneck's: the greatest of its units.
- Energy is that of the place's machines where any of them counts its own, else that of its meters: never both, so that
  no kilowatt-hour is there twice.
- Workers' time and material that people stated are summed over all units.
- The highest demand or power of several units is not that of the place; it stays only where one unit tells it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from kpi.plan import ENERGY, UnitPlan, planned_run_time_s
from kpi_api.merged import Indices, Merged, Numbers
from kpi_api.places import Place
from kpi_api.slots import Slot, Slots
from shopfloor.additive import COLUMNS, Merge, at_column
from shopfloor.instant import MINUTE, Instant, floor_to
from shopfloor.plant import NO_PRODUCT, Product, QuantityUnit, WorkCenter, WorkUnit

ENERGY_COLUMNS: Final = frozenset(
    {
        "energy_kwh",
        "unattributed_energy_kwh",
        "idle_energy_kwh",
        "peak_kwh",
        "off_peak_kwh",
        "energy_cost",
        "carbon_kg",
        "reactive_kvarh",
    }
)
SHARED_COLUMNS: Final = frozenset(
    {"attendance_s", "work_s", "consumed_kg", "production_loss_kg", "storage_loss_kg", "other_loss_kg"}
)
"""What people state of any unit and what is the place's as a whole."""
_MAXIMA: Final = frozenset(
    name for column in COLUMNS.values() if column.merge is Merge.MAX for name in (column.name, at_column(column.name))
)
PIECES: Final = frozenset(column.name for column in COLUMNS.values() if column.unit == "piece")
"""Quantities in the product's own unit: never added to those of another unit."""


@dataclass(frozen=True, slots=True)
class Roles:
    """What each unit of a place gives to the record of the place."""

    output: Mapping[str, WorkCenter]
    """Output unit -> its serial line."""
    counts: frozenset[str]
    """Units whose time and quantities are the place's."""
    energy: frozenset[str]
    """Units whose energy is the place's."""
    by_meters: bool
    """Whether the energy is that of meters."""
    mute: frozenset[str]
    """Those of ``counts`` that have no counter: their quantities are known only where people stated them."""


def roles_of(place: Place, plans: Mapping[str, UnitPlan]) -> Roles:
    """The roles of a place's units."""
    serial = {_output_path(line): line for line in place.lines if line.is_serial}
    machines = [unit for unit in place.units if unit.is_machine]
    metered = {str(unit.path) for unit in machines if ENERGY in plans[str(unit.path)].tags}
    inner = {str(unit.path) for line in serial.values() for unit in line.units} - serial.keys()
    counts = {str(unit.path) for unit in place.machines} - inner
    meters = {str(unit.path) for unit in place.units if not unit.is_machine}
    mute = {path for path in counts if not plans[path].counts_quantities}
    return Roles(
        serial,
        frozenset(counts),
        frozenset(metered or meters),
        by_meters=not metered and bool(machines),
        mute=frozenset(mute),
    )


def _output_path(line: WorkCenter) -> str:
    return next(str(unit.path) for unit in line.units if unit.path.work_unit == line.output_unit)


def line_run_time_s(line: WorkCenter, product: str, at: Instant) -> float | None:
    """The line's planned run time for a product: given, else the bottleneck's; None where nothing is planned."""
    given = (line.planned_run_time_s.at(at) or {}) if line.planned_run_time_s else {}
    if product in given:
        return given[product]
    planned = (planned_run_time_s(unit, product, at) for unit in line.units)
    return max((seconds for seconds in planned if seconds is not None), default=None)


def run_time_changes(lines: Iterable[WorkCenter]) -> list[Instant]:
    """The whole minutes at which a planned run time of a serial line changes: its records are cut there."""
    serial = [line for line in lines if line.is_serial]
    dated = [line.planned_run_time_s for line in serial]
    dated += [unit.planned_run_time_s for line in serial for unit in line.units]
    return sorted({floor_to(since, MINUTE) for each in dated if each is not None for since, _ in each.entries})


def untold(units: Iterable[str], slots: Slots, records: Merged) -> frozenset[str]:
    """Those of ``units`` in whose records no quantity stands."""
    made = np.any([records.column(name) != 0 for name in PIECES], axis=0)
    return frozenset(unit for unit in units if not made[slots.of_units({unit})].any())


def roll_up(roles: Roles, slots: Slots, records: Merged, starts: Callable[[Slot], Instant]) -> Merged:
    """Each unit's record as what it gives to the place; merging them gives the place's."""
    counted = _mask(slots, roles.counts)
    energy = _mask(slots, roles.energy)
    alone = counted if len(roles.counts | roles.energy) == 1 else np.zeros(len(slots))
    shares: dict[str, Numbers] = {}
    for name in records.columns:
        if name in ENERGY_COLUMNS:
            shares[name] = energy
        elif name in _MAXIMA:
            shares[name] = alone
        elif name not in SHARED_COLUMNS:
            shares[name] = counted
    given = records.scaled(shares)
    return _rated(given, _line_run_times(roles, slots, starts))


def _mask(slots: Slots, units: frozenset[str]) -> Numbers:
    return slots.of_units(units).astype(np.float64)


def _line_run_times(roles: Roles, slots: Slots, starts: Callable[[Slot], Instant]) -> Numbers:
    """The line's PRI for each slot of an output unit; NaN elsewhere."""
    found = np.full(len(slots), np.nan)
    known: dict[tuple[str, str, Instant], float | None] = {}
    for index, slot in enumerate(slots):
        if slot.unit in roles.output and slot.product != NO_PRODUCT:
            key = slot.unit, slot.product, starts(slot)
            if key not in known:
                known[key] = line_run_time_s(roles.output[slot.unit], slot.product, key[2])
            found[index] = np.nan if known[key] is None else known[key]
    return found


def _rated(records: Merged, run_times: Numbers) -> Merged:
    """The records with their run times planned by the line's PRI, where it has one."""
    told = ~np.isnan(run_times)
    if not told.any():
        return records
    own = records.column("planned_run_s")
    planned = np.where(told, run_times * records.column("produced"), own)
    good = np.where(told, run_times * records.column("good"), records.column("good_run_s"))
    rate = np.divide(planned, own, out=np.ones(len(own)), where=own != 0)
    columns = {**records.columns, "planned_run_s": planned, "good_run_s": good}
    if "startup_scrap_run_s" in columns:
        columns["startup_scrap_run_s"] = columns["startup_scrap_run_s"] * rate
    return Merged(records.size, columns)


def quantity_units(
    slots: Slots, records: Merged, owners: Indices, size: int, products: Mapping[str, Product]
) -> list[frozenset[QuantityUnit]]:
    """In which units the quantities of each merged record are counted; a product that is not known is in pieces."""
    named = [products.get(product) for product in slots.products]
    units = [product.quantity_unit if product else QuantityUnit.PIECE for product in named]
    kinds = tuple(QuantityUnit)
    counted = np.any([records.column(name) != 0 for name in PIECES], axis=0) & (owners >= 0)
    bits = np.zeros(size, np.int64)
    codes = np.array([1 << kinds.index(unit) for unit in units], np.int64)[slots.product]
    np.bitwise_or.at(bits, owners[counted], codes[counted])
    known = {
        code: frozenset(kind for position, kind in enumerate(kinds) if code >> position & 1)
        for code in set(bits.tolist())
    }
    return [known[code] for code in bits.tolist()]


def units_of(place: Place | WorkUnit) -> list[WorkUnit]:
    """The units behind an answer."""
    return place.units if isinstance(place, Place) else [place]
