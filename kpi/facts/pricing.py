"""Energy by slice: peak and off-peak hours, cost, carbon, the quarter-hour demand and the highest power. Pure."""

from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from kpi.facts.counts import Deltas, Resolution
from kpi.facts.slices import Grid, Indices, Window
from kpi.plan import dated_values
from shopfloor.columns import Mask, Times, Values
from shopfloor.instant import HOUR, MINUTE, QUARTER, Instant, ceil_to, to_datetime
from shopfloor.plant import Tariff, WorkUnit

_DAY = 24 * HOUR


def priced(unit: WorkUnit, minutes: Times, energy: Values) -> dict[str, Values]:
    """Columns of ``energy`` (kWh by slice, gaps included) at each slice's minute; none without tariff and factor."""
    columns: dict[str, Values] = {}
    if unit.tariff is not None:
        known = dated_values(unit.tariff, minutes, lambda tariff: float(tariff is not None)) > 0
        price = dated_values(unit.tariff, minutes, lambda tariff: tariff.off_peak if tariff else 0.0)
        factor = dated_values(unit.tariff, minutes, lambda tariff: tariff.peak_factor if tariff else 0.0)
        peak = is_peak(unit, minutes)
        columns["peak_kwh"] = np.where(known & peak, energy, 0.0)
        columns["off_peak_kwh"] = np.where(known & ~peak, energy, 0.0)
        columns["energy_cost"] = columns["off_peak_kwh"] * price + columns["peak_kwh"] * (price * factor)
    if unit.grid_factor_kg_per_kwh is not None:
        columns["carbon_kg"] = energy * dated_values(unit.grid_factor_kg_per_kwh, minutes, lambda factor: factor or 0.0)
    return columns


def is_peak(unit: WorkUnit, minutes: Times) -> Mask:
    """Whether each minute is in the peak hours of the tariff in force then, by the unit's local time.

    Hours whose end is before their start go over midnight.
    """

    def first(tariff: Tariff | None) -> float:
        return tariff.peak_start_minute if tariff else 0.0

    def length(tariff: Tariff | None) -> float:
        hours = tariff.peak_end_minute - tariff.peak_start_minute if tariff else 0.0
        return hours + 1440 if hours < 0 else hours

    local = local_minute(unit.timezone, minutes)
    since = (local - dated_values(unit.tariff, minutes, first)) % 1440
    return since < dated_values(unit.tariff, minutes, length)


def local_minute(zone: str, minutes: Times) -> Times:
    """Minute of the local day, 0 to 1439. Offsets change at quarter hours only."""
    quarters, position = np.unique(minutes // QUARTER, return_inverse=True)
    offsets = np.array([_offset(zone, quarter * QUARTER) for quarter in quarters.tolist()], dtype=np.int64)
    return (minutes + offsets[position]) % _DAY // MINUTE


@lru_cache(maxsize=4096)
def _offset(zone: str, instant: Instant) -> int:
    shift = to_datetime(instant).astimezone(ZoneInfo(zone)).utcoffset()
    return round(shift.total_seconds() * 1000) if shift else 0


def demands(
    deltas: Deltas, grid: Grid, window: Window, counts: Values | Times, worth: Resolution
) -> tuple[Times, Values]:
    """End and mean power, kW, of each quarter hour in the window of which every moment was metered."""
    quarters = np.arange(ceil_to(window[0], QUARTER), window[1] - QUARTER + 1, QUARTER)
    if not len(deltas.start):
        return quarters[:0], np.zeros(0)
    broken = ~(deltas.attributed & deltas.plausible)
    opens, closes = deltas.start[broken], deltas.end[broken]
    touching = np.searchsorted(opens, quarters + QUARTER, "left") - np.searchsorted(closes, quarters, "right")
    whole = (quarters >= deltas.start[0]) & (quarters + QUARTER <= deltas.end[-1]) & (touching == 0)
    sums = np.zeros(len(quarters), dtype=counts.dtype)
    position = (grid.minute - (quarters[0] if len(quarters) else 0)) // QUARTER
    inside = (position >= 0) & (position < len(quarters))
    np.add.at(sums, position[inside], counts[inside])
    return quarters[whole] + QUARTER, worth.value(4 * sums[whole])


def peaks(grid: Grid, slots: Indices, times: Times, power: Values) -> tuple[Values, Times]:
    """The highest power of each slice and when it was first reached; 0 where none was above 0."""
    best, when = np.zeros(len(grid.keys)), np.full(len(grid.keys), np.iinfo(np.int64).max)
    np.maximum.at(best, slots, power)
    reached = power == best[slots]
    np.minimum.at(when, slots[reached], times[reached])
    return best, when
