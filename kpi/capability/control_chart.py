"""Control charts: X-bar with R or S for subgroups, I with MR for individuals. Limits lie 3 sigma from the centre line.

The chart of location is judged by the run rules, on distances in sigmas (so that unequal subgroups can be compared);
the chart of spread by its limits alone, since its points are neither symmetrical nor (moving ranges) independent.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from kpi.capability.run_rules import ALARM_RULES, Hits, Scores, nelson, western_electric
from kpi.capability.spc import (
    RANGE_UP_TO,
    Line,
    Subgroup,
    Within,
    by_size,
    c4,
    checked,
    constants,
    deviations,
    mean,
    means,
    moving_range_sigma,
    ranges,
    within_sigma,
)
from kpi.refusal import BadInput


class Statistic(StrEnum):
    """What the points of a chart are."""

    MEAN = "mean"
    RANGE = "range"
    DEVIATION = "deviation"
    INDIVIDUAL = "individual"
    MOVING_RANGE = "moving_range"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ControlChart:
    """One chart. All lines have one number per point, since the limits of unequal subgroups differ."""

    statistic: Statistic
    points: Line
    """A moving range's first point is that of the second value."""
    centre: Line
    lower: Line
    upper: Line
    western_electric: Mapping[int, Hits]
    """Rule -> points that complete its pattern. A chart of spread has rule 1 alone."""
    nelson: Mapping[int, Hits]
    alarms: Hits
    """Points that hit a rule of the alarm set."""
    hints: Hits
    """Points that hit another of Nelson's rules only."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """A process as its two control charts show it."""

    method: Within
    sigma: float
    """Of one value, within subgroups."""
    location: ControlChart
    spread: ControlChart

    @property
    def charts(self) -> tuple[ControlChart, ControlChart]:
        """Location and spread."""
        return self.location, self.spread


def study(values: Iterable[float], *, subgroup: int = 1, alarm_rules: frozenset[int] = ALARM_RULES) -> Study:
    """Charts of values in order of time, cut into consecutive subgroups; an incomplete last one is left out.

    Raises BadInput for values that are not finite, and for too few.
    """
    array = checked(values)
    if subgroup == 1:
        return individuals(array, alarm_rules=alarm_rules)
    if subgroup < 1 or len(array) < subgroup:
        raise BadInput(f"{len(array)} values give no subgroup of {subgroup}; give more values, or a size of at least 1")
    whole = array[: len(array) // subgroup * subgroup]
    return grouped(list(whole.reshape(-1, subgroup)), alarm_rules=alarm_rules)


def xbar_r(subgroups: Iterable[Iterable[float]]) -> Study:
    """Charts of means and ranges; raises BadInput for subgroups of fewer than 2 or more than 25 values."""
    return grouped([checked(group, "subgroups") for group in subgroups], Within.RANGE)


def xbar_s(subgroups: Iterable[Iterable[float]]) -> Study:
    """Charts of means and standard deviations; raises BadInput for subgroups of fewer than 2 values."""
    return grouped([checked(group, "subgroups") for group in subgroups], Within.DEVIATION)


def i_mr(values: Iterable[float]) -> Study:
    """Charts of individuals and moving ranges; raises BadInput for fewer than 2 values."""
    return individuals(checked(values))


def grouped(
    subgroups: Sequence[Subgroup], method: Within | None = None, *, alarm_rules: frozenset[int] = ALARM_RULES
) -> Study:
    """The study of subgroups; ``method`` defaults to the range up to 8 values, else the standard deviation."""
    sizes = [len(group) for group in subgroups]
    if not sizes or min(sizes) < 2:
        raise BadInput("a subgroup needs at least 2 values; drop the shorter ones, or give the values as individuals")
    chosen = method or (Within.RANGE if max(sizes) <= RANGE_UP_TO else Within.DEVIATION)
    sigma = within_sigma(subgroups, chosen)
    centre = mean(np.concatenate(subgroups))
    location = _location(Statistic.MEAN, means(subgroups), centre, sigma / np.sqrt(np.array(sizes)), alarm_rules)
    spread = _ranges(subgroups, sigma) if chosen is Within.RANGE else _deviations(subgroups, sigma)
    return Study(method=chosen, sigma=sigma, location=location, spread=spread)


def individuals(values: Subgroup, *, alarm_rules: frozenset[int] = ALARM_RULES) -> Study:
    """The study of individual values in order of time."""
    sigma = moving_range_sigma(values)
    location = _location(Statistic.INDIVIDUAL, values, mean(values), np.full(len(values), sigma), alarm_rules)
    factor = constants(2)
    centre = np.full(len(values) - 1, sigma * factor.d2)
    moving = np.abs(np.diff(values))
    spread = _spread(Statistic.MOVING_RANGE, moving, centre, centre * factor.d_lower, centre * factor.d_upper)
    return Study(method=Within.MOVING_RANGE, sigma=sigma, location=location, spread=spread)


def _location(
    statistic: Statistic, points: Line, centre: float, sigma: Line, alarm_rules: frozenset[int]
) -> ControlChart:
    scores = _scores(points - centre, sigma)
    by_nelson = nelson(scores)
    alarms = {hit for rule, hits in by_nelson.items() if rule in alarm_rules for hit in hits}
    hints = {hit for hits in by_nelson.values() for hit in hits} - alarms
    return ControlChart(
        statistic=statistic,
        points=points,
        centre=np.full(len(points), centre),
        lower=centre - 3 * sigma,
        upper=centre + 3 * sigma,
        western_electric=western_electric(scores),
        nelson=by_nelson,
        alarms=tuple(sorted(alarms)),
        hints=tuple(sorted(hints)),
    )


def _scores(distance: Line, sigma: Line) -> Scores:
    """Distances in sigmas, free of rounding errors. Without variation a point is on the line or infinitely far."""
    far = np.where(distance == 0, 0.0, np.copysign(math.inf, distance))
    np.divide(distance, sigma, out=far, where=sigma > 0)
    rounded: Scores = np.round(far, 9).astype(np.float64)
    return rounded


def _ranges(subgroups: Sequence[Subgroup], sigma: float) -> ControlChart:
    centre = sigma * by_size(subgroups, lambda n: constants(n).d2)
    lower = centre * by_size(subgroups, lambda n: constants(n).d_lower)
    upper = centre * by_size(subgroups, lambda n: constants(n).d_upper)
    return _spread(Statistic.RANGE, ranges(subgroups), centre, lower, upper)


def _deviations(subgroups: Sequence[Subgroup], sigma: float) -> ControlChart:
    unbiased = by_size(subgroups, c4)
    margin = 3 * np.sqrt(1 - unbiased**2) * sigma
    centre = unbiased * sigma
    lower = np.maximum(0.0, centre - margin)
    return _spread(Statistic.DEVIATION, deviations(subgroups), centre, lower, centre + margin)


def _spread(statistic: Statistic, points: Line, centre: Line, lower: Line, upper: Line) -> ControlChart:
    out = tuple(int(index) for index in np.flatnonzero((points < lower) | (points > upper)))
    return ControlChart(
        statistic=statistic,
        points=points,
        centre=centre,
        lower=lower,
        upper=upper,
        western_electric={1: out},
        nelson={1: out},
        alarms=out,
        hints=(),
    )
