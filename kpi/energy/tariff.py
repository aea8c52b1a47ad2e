"""What a month of electricity costs: energy by peak and off-peak hours, reactive energy, the minimum bill.

The tariff is that of the Indonesian grid (PLN I-2 to I-4), and of others of its shape: a price per kWh off peak, a
factor on it in the peak hours, a price per kvarh beyond those that each kWh gives free, and a bill of at least some
hours of the contracted power. Reactive energy and the minimum are judged per calendar month, never per day: free
kvarh that one day leaves are used up by another.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from kpi.refusal import BadInput, amount
from shopfloor.plant import Tariff


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a meter counted in one month."""

    peak_kwh: float = 0.0
    off_peak_kwh: float = 0.0
    kvarh: float = 0.0

    @property
    def kwh(self) -> float:
        """Active energy at all hours."""
        return self.peak_kwh + self.off_peak_kwh


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """One month's bill. Costs in the tariff's currency."""

    currency: str
    kwh: float
    peak_cost: float
    off_peak_cost: float
    energy_cost: float
    """Peak and off-peak cost together."""
    power_factor: float | None
    """Mean of the month, kWh / sqrt(kWh^2 + kvarh^2); None without any energy."""
    free_kvarh: float
    excess_kvarh: float
    """What lies beyond the free kvarh: max(0, kvarh - free)."""
    reactive_cost: float
    load_hours: float | None
    """kWh / contracted kVA; None without a contract."""
    minimum: float
    """The least that a month costs; 0 where the tariff has none, or no contract is given."""
    minimum_applies: bool
    """Energy and reactive energy cost less than the minimum."""
    total: float


def bill(*, peak_kwh: float, off_peak_kwh: float, kvarh: float, tariff: Tariff) -> Bill:
    """The bill of one whole calendar month. Raises BadInput for amounts below 0 and for a tariff that has such."""
    usage = Usage(
        peak_kwh=amount("peak_kwh", peak_kwh),
        off_peak_kwh=amount("off_peak_kwh", off_peak_kwh),
        kvarh=amount("kvarh", kvarh),
    )
    contract_kva = _checked(tariff)
    off_peak_cost = usage.off_peak_kwh * tariff.off_peak
    peak_cost = usage.peak_kwh * tariff.off_peak * tariff.peak_factor
    free = tariff.free_kvarh_per_kwh * usage.kwh
    excess = max(0.0, usage.kvarh - free)
    charged = off_peak_cost + peak_cost + excess * tariff.kvarh
    minimum = tariff.minimum_hours * (contract_kva or 0.0) * tariff.off_peak
    return Bill(
        currency=tariff.currency,
        kwh=usage.kwh,
        peak_cost=peak_cost,
        off_peak_cost=off_peak_cost,
        energy_cost=off_peak_cost + peak_cost,
        power_factor=power_factor(usage.kwh, usage.kvarh),
        free_kvarh=free,
        excess_kvarh=excess,
        reactive_cost=excess * tariff.kvarh,
        load_hours=None if contract_kva is None else usage.kwh / contract_kva,
        minimum=minimum,
        minimum_applies=charged < minimum,
        total=max(charged, minimum),
    )


def bills(months: Mapping[str, Usage], tariff: Tariff) -> dict[str, Bill]:
    """The bill of each whole calendar month, by the month's name (``2026-01``)."""
    return {
        month: bill(peak_kwh=used.peak_kwh, off_peak_kwh=used.off_peak_kwh, kvarh=used.kvarh, tariff=tariff)
        for month, used in months.items()
    }


def power_factor(kwh: float, kvarh: float) -> float | None:
    """Mean power factor of a stretch of time, by its active and reactive energy; None without either."""
    apparent = math.hypot(kwh, kvarh)
    return kwh / apparent if apparent else None


def _checked(tariff: Tariff) -> float | None:
    """The contracted power, when the tariff's numbers can be billed with."""
    for name in ("off_peak", "peak_factor", "kvarh", "free_kvarh_per_kwh", "minimum_hours"):
        amount(f"tariff {name}", getattr(tariff, name))
    contract = tariff.contract_kva
    if contract is not None and amount("contract_kva", contract) == 0:
        raise BadInput("contract_kva is 0; give the contracted power, or leave it out")
    return contract
