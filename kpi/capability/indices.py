"""Whether a process can hold its specification: Cp and Cpk within subgroups, Pp and Ppk over all, Cpm, Cm and Cmk.

Sigma within subgroups is the process as it could be (Cp, Cpk: ISO 22400-2); the sample standard deviation of all values
is the process as it was (Pp, Ppk). An index means little before the process is stable and has told enough of itself:
the flags say so, the index is given all the same.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kpi.capability import spc
from kpi.capability.control_chart import Study, grouped, individuals
from kpi.capability.spc import Subgroup, Within, checked, deviation
from kpi.refusal import BadInput

ENOUGH_SUBGROUPS = 25
"""With fewer, the limits are a first guess."""
NORMAL_LIMIT = 1.035
"""Of the adjusted Anderson-Darling statistic, mean and sigma estimated: above it, normality is refused at 1 %."""
LEAST_FOR_NORMALITY = 8
MOST_FOR_NORMALITY = 5_000
"""Of more values so many are tested, evenly spaced: with very many, every process differs from a bell curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """Capability of one characteristic. An index is None where its sigma is zero or unknown, or a limit is open."""

    n: int | None
    """Number of values; None when only mean and sigma were given."""
    subgroups: int | None
    method: Within | None
    """How ``sigma_within`` was estimated; None when it was given."""
    mean: float
    sigma_within: float | None
    sigma_overall: float | None
    """Sample standard deviation of all values."""
    xbar_lower: float | None
    """Lower limit of the means chart (of individuals: of the values); of the smallest subgroup where sizes differ."""
    xbar_upper: float | None
    cp: float | None
    """(USL - LSL) / 6 sigma within; None with one limit."""
    cpk: float | None
    """The worse side; with one limit, that side."""
    cpu: float | None
    cpl: float | None
    pp: float | None
    """As Cp, with the overall sigma."""
    ppk: float | None
    ppu: float | None
    ppl: float | None
    cpm: float | None
    """(USL - LSL) / 6 sqrt(sigma within^2 + (mean - target)^2); None without a target."""
    cpm_overall: float | None
    """As Cpm, with the overall sigma."""
    cm: float | None
    """Machine capability of ISO 22400-2, when the values are one short run: with their sample s."""
    cmk: float | None
    k: float | None
    """Distance of the mean from the middle of the specification, 1 at a limit."""
    flags: tuple[str, ...] = ()
    """``few_subgroups`` (< 25), ``not_stable`` (an alarm on a control chart), ``not_normal``, ``unequal_subgroups``,
    ``too_few_values``, ``zero_sigma``, ``sigma_given``, ``no_limits``, ``one_limit``."""


@dataclass(frozen=True, slots=True)
class Specification:
    """Limits and target of a characteristic; any may be open."""

    lsl: float | None = None
    usl: float | None = None
    target: float | None = None

    def __post_init__(self) -> None:
        for name in ("lsl", "usl", "target"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise BadInput(f"{name} is {value!r}; give a finite number, or leave an open limit out")
        if self.lsl is not None and self.usl is not None and self.lsl >= self.usl:
            raise BadInput(f"lsl {self.lsl:g} is not below usl {self.usl:g}; exchange or correct the limits")

    def two_sided(self, sigma: float | None) -> float | None:
        """(USL - LSL) / 6 sigma."""
        if self.lsl is None or self.usl is None or not sigma:
            return None
        return (self.usl - self.lsl) / (6 * sigma)

    def upper(self, mean: float, sigma: float | None) -> float | None:
        """(USL - mean) / 3 sigma."""
        return None if self.usl is None or not sigma else (self.usl - mean) / (3 * sigma)

    def lower(self, mean: float, sigma: float | None) -> float | None:
        """(mean - LSL) / 3 sigma."""
        return None if self.lsl is None or not sigma else (mean - self.lsl) / (3 * sigma)

    def critical(self, mean: float, sigma: float | None) -> float | None:
        """The worse of the sides that exist."""
        sides = (self.upper(mean, sigma), self.lower(mean, sigma))
        return min((side for side in sides if side is not None), default=None)

    def on_target(self, mean: float, sigma: float | None) -> float | None:
        """The two-sided index with the distance from the target as more variation."""
        if self.target is None or not sigma:
            return None
        return self.two_sided(math.hypot(sigma, mean - self.target))

    def off_centre(self, mean: float) -> float | None:
        """|middle - mean| over half of the width."""
        if self.lsl is None or self.usl is None:
            return None
        return abs((self.usl + self.lsl) / 2 - mean) / ((self.usl - self.lsl) / 2)


def capability(
    *,
    values: Iterable[float] | None = None,
    subgroups: Iterable[Iterable[float]] | None = None,
    mean: float | None = None,
    sigma: float | None = None,
    lsl: float | None = None,
    usl: float | None = None,
    target: float | None = None,
    method: Within | None = None,
) -> Capability:
    """Capability from one of: ``values`` (individuals in order of time), ``subgroups``, or ``mean`` with ``sigma``.

    ``method`` estimates sigma within subgroups: by default the range up to 8 values, else the standard deviation.
    Subgroups of unequal sizes are each taken by their own constants. Raises BadInput for anything else.
    """
    limits = Specification(lsl, usl, target)
    if (values is not None) + (subgroups is not None) + (mean is not None or sigma is not None) != 1:
        raise BadInput("give exactly one of: values, subgroups, or mean with sigma")
    if values is not None:
        return _of_values(checked(values), limits, method)
    if subgroups is not None:
        return _of_subgroups([checked(group, "subgroups") for group in subgroups], limits, method)
    return _of_moments(mean, sigma, limits)


def capability_of(study: Study, values: Iterable[float], limits: Specification) -> Capability:
    """Capability of values whose charts are drawn already. ``values`` are those of the study, all of them."""
    return _of_study(study, checked(values), len(study.location.points), limits)


def not_normal(values: Subgroup) -> bool:
    """Whether the Anderson-Darling test refuses that ``values`` are normal (1 %); False where it cannot tell."""
    spread = deviation(values) if len(values) >= LEAST_FOR_NORMALITY else 0.0
    if not spread:
        return False
    if len(values) > MOST_FOR_NORMALITY:
        values = values[np.linspace(0, len(values) - 1, MOST_FOR_NORMALITY).astype(np.int64)]
    n = len(values)
    z = np.sort((values - spc.mean(values)) / spread)
    below = np.array([math.erfc(-score / math.sqrt(2)) / 2 for score in z])
    above = np.array([math.erfc(score / math.sqrt(2)) / 2 for score in z])
    smallest = np.finfo(np.float64).tiny
    weights = 2 * np.arange(1, n + 1) - 1
    terms = np.log(np.maximum(below, smallest)) + np.log(np.maximum(above[::-1], smallest))
    statistic = -n - float(weights @ terms) / n
    return statistic * (1 + 0.75 / n + 2.25 / n**2) > NORMAL_LIMIT


def _of_values(values: Subgroup, limits: Specification, method: Within | None) -> Capability:
    if method not in (None, Within.MOVING_RANGE):
        raise BadInput(f"individual values have no {method} within subgroups; leave the method out, or give subgroups")
    if not len(values):
        raise BadInput("there are no values; give at least 2")
    if len(values) == 1:
        return _indices(limits, float(values[0]), None, None, n=1, subgroups=1, flags=("too_few_values",))
    return _of_study(individuals(values), values, len(values), limits)


def _of_subgroups(subgroups: Sequence[Subgroup], limits: Specification, method: Within | None) -> Capability:
    if not subgroups:
        raise BadInput("there are no subgroups; give at least one of 2 values")
    if all(len(group) == 1 for group in subgroups):
        return _of_values(np.concatenate(subgroups), limits, method)
    study = grouped(subgroups, method)
    unequal = len({len(group) for group in subgroups}) > 1
    return _of_study(study, np.concatenate(subgroups), len(subgroups), limits, unequal=unequal)


def _of_study(
    study: Study, values: Subgroup, count: int, limits: Specification, *, unequal: bool = False
) -> Capability:
    raised = {
        "few_subgroups": count < ENOUGH_SUBGROUPS,
        "not_stable": any(chart.alarms for chart in study.charts),
        "not_normal": not_normal(values),
        "unequal_subgroups": unequal,
    }
    return _indices(
        limits,
        spc.mean(values),
        study.sigma,
        deviation(values),
        method=study.method,
        n=len(values),
        subgroups=count,
        bounds=(float(study.location.lower.min()), float(study.location.upper.max())),
        flags=tuple(flag for flag, up in raised.items() if up),
    )


def _of_moments(mean: float | None, sigma: float | None, limits: Specification) -> Capability:
    if mean is None or sigma is None:
        raise BadInput("mean and sigma go together; give both, or the values")
    if not math.isfinite(mean) or not math.isfinite(sigma) or sigma < 0:
        raise BadInput(f"mean {mean!r} and sigma {sigma!r} must be finite, and sigma at least 0")
    return _indices(limits, mean, sigma, None, flags=("sigma_given",))


def _indices(
    limits: Specification,
    mean: float,
    within: float | None,
    overall: float | None,
    *,
    method: Within | None = None,
    n: int | None = None,
    subgroups: int | None = None,
    bounds: tuple[float | None, float | None] = (None, None),
    flags: tuple[str, ...] = (),
) -> Capability:
    return Capability(
        n=n,
        subgroups=subgroups,
        method=method,
        mean=mean,
        sigma_within=within,
        sigma_overall=overall,
        xbar_lower=bounds[0],
        xbar_upper=bounds[1],
        cp=limits.two_sided(within),
        cpk=limits.critical(mean, within),
        cpu=limits.upper(mean, within),
        cpl=limits.lower(mean, within),
        pp=limits.two_sided(overall),
        ppk=limits.critical(mean, overall),
        ppu=limits.upper(mean, overall),
        ppl=limits.lower(mean, overall),
        cpm=limits.on_target(mean, within),
        cpm_overall=limits.on_target(mean, overall),
        cm=limits.two_sided(overall),
        cmk=limits.critical(mean, overall),
        k=limits.off_centre(mean),
        flags=(*flags, *_limit_flags(limits), *(("zero_sigma",) if 0 in (within, overall) else ())),
    )


def _limit_flags(limits: Specification) -> tuple[str, ...]:
    given = sum(limit is not None for limit in (limits.lsl, limits.usl))
    return (("no_limits",), ("one_limit",), ())[given]
