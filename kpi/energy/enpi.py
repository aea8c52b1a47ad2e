"""Energy performance against a baseline (ISO 50001, 50006): what a quantity should have taken, and what it took.

The baseline is a line through one driver: kWh = base load per day x days + kWh per unit x quantity. A plant whose
energy follows several drivers (weather, mixed products) needs more than this; its poor r2 will say so.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from kpi.refusal import BadInput, amount
from shopfloor.plant import Baseline

LEAST_POINTS = 3
"""A line through two points has nothing left to judge it by."""
PRACTICE_POINTS = 10
"""Fewer are flagged: practice, not a limit of the standard."""
PRACTICE_R2 = 0.75
"""Less is flagged: practice, not a limit of the standard."""


@dataclass(frozen=True, slots=True)
class EnergyPoint:
    """A stretch of time: the driver's quantity and the energy that it took."""

    quantity: float
    kwh: float
    days: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A baseline fitted to points, and how good it is."""

    kwh_per_unit: float
    base_kwh: float
    """Base load, kWh a day."""
    r2: float | None
    """Share of the energy's variance that the line explains; None when the energy never varied."""
    n: int
    standard_error: float
    """Of the residuals, kWh, with n - 2 degrees of freedom."""
    slope_error: float
    """Standard error of ``kwh_per_unit``."""
    flags: tuple[str, ...] = ()
    """``few_points`` (< 10), ``low_r2`` (< 0.75), ``negative_slope``, ``negative_base_load``."""

    def baseline(self, driver: str) -> Baseline:
        """As the plant file holds it."""
        return Baseline(kwh_per_unit=self.kwh_per_unit, base_kwh=self.base_kwh, driver=driver)


def fit(points: Iterable[EnergyPoint]) -> Fit:
    """The line of least squares through points of any lengths.

    Raises BadInput for fewer than three points, for a driver that never varied (per day), and for negative input.
    """
    given = [_checked(point) for point in points]
    if len(given) < LEAST_POINTS:
        raise BadInput(f"{len(given)} points give no baseline; give at least {LEAST_POINTS}, better a year of months")
    rates = [point.quantity / point.days for point in given]
    if max(rates) - min(rates) <= 1e-9 * max(rates):
        raise BadInput("the quantity per day never varies, so base load and slope cannot be told apart; add points")
    energy = np.array([point.kwh for point in given])
    quantity, days = (np.array([getattr(point, name) for point in given]) for name in ("quantity", "days"))
    scale = float(quantity.max())
    drivers = np.column_stack((days, quantity / scale))
    (base, scaled_slope), *_ = np.linalg.lstsq(drivers, energy, rcond=None)
    residual = float(np.sum((energy - drivers @ np.array([base, scaled_slope])) ** 2))
    total = float(np.sum((energy - energy.mean()) ** 2))
    variance = residual / (len(given) - 2)
    spread = float(np.linalg.inv(drivers.T @ drivers)[1, 1])
    slope, base = (_rounded(float(share), float(energy.max())) for share in (scaled_slope, base))
    slope /= scale
    r2 = 1 - residual / total if energy.max() > energy.min() else None
    return Fit(
        kwh_per_unit=slope,
        base_kwh=base,
        r2=r2,
        n=len(given),
        standard_error=math.sqrt(variance),
        slope_error=math.sqrt(variance * spread) / scale,
        flags=_flags(len(given), r2, slope, base),
    )


def expected(baseline: Baseline, quantity: float, days: float = 1.0) -> float:
    """The energy in kWh that ``quantity`` of the driver should take in ``days``."""
    return baseline.base_kwh * amount("days", days) + baseline.kwh_per_unit * amount("quantity", quantity)


def saving(baseline: Baseline, quantity: float, kwh: float, days: float = 1.0) -> float:
    """Expected less actual kWh: positive is saved, negative wasted."""
    return expected(baseline, quantity, days) - amount("kwh", kwh)


def cusum(points: Sequence[EnergyPoint], baseline: Baseline) -> list[float]:
    """The running sum of savings in kWh, one per point in order of time: a change of slope is a change of habit."""
    savings = [saving(baseline, point.quantity, point.kwh, point.days) for point in points]
    return list(accumulate(savings))


def _checked(point: EnergyPoint) -> EnergyPoint:
    amount("quantity", point.quantity)
    amount("kwh", point.kwh)
    if not amount("days", point.days):
        raise BadInput("a point of 0 days has no energy; give the length of each point in days")
    return point


def _rounded(kwh: float, largest: float) -> float:
    """0 for what is only the rounding error of much larger numbers."""
    return kwh if abs(kwh) > 1e-12 * largest else 0.0


def _flags(n: int, r2: float | None, slope: float, base: float) -> tuple[str, ...]:
    raised = {
        "few_points": n < PRACTICE_POINTS,
        "low_r2": r2 is None or r2 < PRACTICE_R2,
        "negative_slope": slope < 0,
        "negative_base_load": base < 0,
    }
    return tuple(flag for flag, up in raised.items() if up)
