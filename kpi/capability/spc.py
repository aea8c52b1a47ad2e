"""Constants of statistical process control, and the variation within rational subgroups.

The constants follow from the normal distribution alone and are computed, not copied: c4 by the gamma function, d2 and
d3 by integrating the distribution of the range of n values.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kpi.refusal import BadInput

LARGEST_SUBGROUP: Final = 25
"""Above, the range says little, and no table goes further."""
RANGE_UP_TO: Final = 8
"""Up to this size the range is as good as the standard deviation, and the custom."""

Subgroup = NDArray[np.float64]
Line = NDArray[np.float64]
"""One number per subgroup, or per point of a chart."""
Rows = NDArray[np.float64]
"""Subgroups of one size, one per row."""


class Within(StrEnum):
    """How the variation within subgroups is estimated."""

    RANGE = "range"
    """Mean of R / d2."""
    DEVIATION = "deviation"
    """Mean of s / c4."""
    POOLED = "pooled"
    """Root of the pooled variance, / c4 of its degrees of freedom."""
    MOVING_RANGE = "moving_range"
    """Of individuals: mean of |x(i) - x(i-1)| / d2(2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """The factors of control charts for subgroups of n values."""

    n: int
    d2: float
    """Mean of the range, in sigmas."""
    d3: float
    """Standard deviation of the range, in sigmas."""
    c4: float
    """Mean of the sample standard deviation, in sigmas."""
    a2: float
    """Limits of the means chart from the mean range."""
    a3: float
    """Limits of the means chart from the mean standard deviation."""
    b3: float
    b4: float
    """Limits of the deviations chart, in its centre lines."""
    d_lower: float
    """D3: lower limit of the ranges chart, in its centre lines."""
    d_upper: float
    """D4: upper limit of the ranges chart, in its centre lines."""


@cache
def constants(n: int) -> Constants:
    """The factors for subgroups of ``n`` values, 2 to 25; raises BadInput for others."""
    if not 2 <= n <= LARGEST_SUBGROUP:
        raise BadInput(f"subgroups of {n} have no range constants; use 2 to {LARGEST_SUBGROUP} values, or deviations")
    d2, d3 = _range_moments(n)
    unbiased = c4(n)
    spread = math.sqrt(1 - unbiased**2)
    return Constants(
        n=n,
        d2=d2,
        d3=d3,
        c4=unbiased,
        a2=3 / (d2 * math.sqrt(n)),
        a3=3 / (unbiased * math.sqrt(n)),
        b3=max(0.0, 1 - 3 * spread / unbiased),
        b4=1 + 3 * spread / unbiased,
        d_lower=max(0.0, 1 - 3 * d3 / d2),
        d_upper=1 + 3 * d3 / d2,
    )


@cache
def c4(n: int) -> float:
    """Mean of the sample standard deviation of ``n`` normal values, in sigmas; raises BadInput below 2."""
    if n < 2:
        raise BadInput("one value has no standard deviation; give at least 2")
    return math.sqrt(2 / (n - 1)) * math.exp(math.lgamma(n / 2) - math.lgamma((n - 1) / 2))


def within_sigma(subgroups: Sequence[Subgroup], method: Within) -> float:
    """Sigma within subgroups of at least two values each, every one by the constants of its own size.

    Raises BadInput for a method that does not fit the sizes. Individuals have ``moving_range_sigma``.
    """
    if method is Within.MOVING_RANGE:
        raise BadInput("moving ranges are for individual values; choose range, deviation or pooled for subgroups")
    if method is Within.RANGE:
        return float(np.mean(ranges(subgroups) / by_size(subgroups, lambda n: constants(n).d2)))
    if method is Within.DEVIATION:
        return float(np.mean(deviations(subgroups) / by_size(subgroups, c4)))
    freedom = by_size(subgroups, lambda n: n - 1)
    pooled = math.sqrt(float(freedom @ deviations(subgroups) ** 2 / freedom.sum()))
    return pooled / c4(int(freedom.sum()) + 1)


def means(subgroups: Sequence[Subgroup]) -> Line:
    """Mean of each subgroup; exactly the value of equal values."""
    return _each(subgroups, lambda rows: rows[:, 0] + np.mean(rows - rows[:, :1], axis=1))


def ranges(subgroups: Sequence[Subgroup]) -> Line:
    """Range of each subgroup."""
    return _each(subgroups, lambda rows: np.ptp(rows, axis=1))


def deviations(subgroups: Sequence[Subgroup]) -> Line:
    """Sample standard deviation of each subgroup; exactly 0 for equal values."""
    return _each(subgroups, lambda rows: np.std(rows - rows[:, :1], axis=1, ddof=1))


def by_size(subgroups: Sequence[Subgroup], factor: Callable[[int], float]) -> Line:
    """A factor of each subgroup's size."""
    sizes = np.array([len(values) for values in subgroups])
    known, which = np.unique(sizes, return_inverse=True)
    return np.array([float(factor(int(n))) for n in known])[which]


def moving_range_sigma(values: Subgroup) -> float:
    """Sigma of individuals in order of time, by the mean of their moving ranges; raises BadInput below two values."""
    if len(values) < 2:
        raise BadInput("one value has no moving range; give at least 2")
    return float(np.mean(np.abs(np.diff(values)))) / constants(2).d2


def mean(values: Subgroup) -> float:
    """Arithmetic mean; exactly the value of equal values."""
    return float(values[0] + np.mean(values - values[0]))


def deviation(values: Subgroup) -> float:
    """Sample standard deviation; exactly 0 for equal values."""
    return float(np.std(values - values[0], ddof=1))


def checked(values: Iterable[float], name: str = "values") -> Subgroup:
    """Finite numbers as an array; raises BadInput for others."""
    array = np.array(values if isinstance(values, np.ndarray) else list(values), dtype=np.float64)
    if not np.isfinite(array).all():
        raise BadInput(f"{name} contain something that is no finite number; leave missing values out")
    return array


def _each(subgroups: Sequence[Subgroup], statistic: Callable[[Rows], Line]) -> Line:
    """A statistic of each subgroup, computed for all of one size at once."""
    sizes = np.array([len(values) for values in subgroups])
    found = np.empty(len(sizes))
    for size in np.unique(sizes):
        same = np.flatnonzero(sizes == size)
        found[same] = statistic(np.stack([subgroups[index] for index in same.tolist()]))
    return found


def _range_moments(n: int) -> tuple[float, float]:
    """Mean and standard deviation of the range of ``n`` standard normal values.

    P(W <= w) = n * integral of phi(x) (Phi(x + w) - Phi(x))^(n-1) dx; the mean is the integral of 1 - P over w, the
    mean square that of 2 w (1 - P).
    """
    w, weights, x, tail = _grid()
    within = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi) * (x[1] - x[0])
    beyond = 1 - n * (tail ** (n - 1)) @ within
    mean = float(weights @ beyond)
    return mean, math.sqrt(float(weights @ (2 * w * beyond)) - mean**2)


@cache
def _grid() -> tuple[Subgroup, Subgroup, Subgroup, Subgroup]:
    """Nodes and weights over the range w, points x, and Phi(x + w) - Phi(x) for each pair (a row per w)."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    w, weights = 8 * (nodes + 1), 8 * weights
    x = np.linspace(-16, 9, 251)
    normal = np.vectorize(lambda z: math.erfc(-z / math.sqrt(2)) / 2)
    return w, weights, x, normal(x[None, :] + w[:, None]) - normal(x)[None, :]
