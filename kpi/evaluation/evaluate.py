"""Facts to KPIs: pure functions of a merged additive record, in the words of ISO 22400-2.

Every ratio is None when its denominator is zero: an hour that nobody planned has no availability and must not look like
a bad one. Ratios use known time only; what is unknown shows in ``coverage`` and in the two bounds of the OEE index.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kpi.evaluation.flags import record_flags, run_time_missing
from kpi.evaluation.formulas import APPARENT, COUNTED, FORMULAS, RATED, Formula
from kpi.evaluation.ratio import ratio
from shopfloor.additive import Elements
from shopfloor.elements import PERFORMANCE_LOSSES, SUMS
from shopfloor.instant import Instant
from shopfloor.plant import QuantityUnit

__all__ = [
    "PERFORMANCE_LOSSES",
    "KpiReport",
    "evaluate",
    "evaluate_columns",
    "fall_off_ratio",
    "is_final",
    "observed_coverage",
    "quotients",
    "with_sums",
]

Column = NDArray[np.float64]

_SIMPLE: Final = {
    kpi: (formula.over[0], formula.under[0])
    for kpi, formula in FORMULAS.items()
    if len(formula.over) == len(formula.under) == 1 and formula.factor == 1 and formula.needs is None
}
_OTHER: Final = tuple(
    (kpi, formula.needs, formula.factor, formula.over, formula.under)
    for kpi, formula in FORMULAS.items()
    if kpi not in _SIMPLE
)
_NOTHING: Final[Mapping[str, float | None]] = dict.fromkeys(FORMULAS)


@dataclass(frozen=True, slots=True)
class KpiReport:
    """The KPIs of one merged record."""

    kpis: Mapping[str, float | None]
    """By id of ``kpi.evaluation.formulas.FORMULAS``; None where a denominator is zero."""
    elements: Elements
    """The record, with the sums that the formulas are written in (``planned_busy_s``, ``production_s`` ...)."""
    coverage: float | None
    """Known share of planned busy time; None when none was planned."""
    flags: tuple[str, ...]
    """What a reader should know before trusting the numbers: ids of ``kpi.evaluation.flags.FLAGS``."""


def evaluate(
    elements: Mapping[str, float], *, units: frozenset[QuantityUnit] | None = None, counted: bool = True
) -> KpiReport:
    """All KPIs of a merged record.

    ``units`` are the quantity units of the products in it, where the caller knows them: with more than one, every KPI
    of quantities is None and the flag ``mixed_quantity_units`` says so; KPIs of time stay. ``counted`` is False where
    no counter and nobody tells what was made: then KPIs of quantities and of run times are None (``not_counted``).
    """
    whole = with_sums(elements)
    kpis = quotients(whole)
    if run_time_missing(whole):
        kpis.update(dict.fromkeys(RATED))
    mixed = units is not None and len(units) > 1
    if mixed:
        kpis.update(dict.fromkeys(COUNTED))
    if not counted:
        kpis.update(dict.fromkeys(COUNTED | RATED))
    return KpiReport(kpis, whole, kpis["coverage"], record_flags(whole, kpis, mixed=mixed, counted=counted))


def evaluate_columns(columns: Mapping[str, Column]) -> dict[str, Column]:
    """All KPIs of many records at once, one array per KPI and NaN for None: the formulas of ``evaluate``.

    ``columns`` are equally long arrays by column name; a missing one is zero throughout.
    """
    length = max((len(column) for column in columns.values()), default=0)
    zero = np.zeros(length)
    whole: dict[str, Column] = {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}
    for name, total in SUMS.items():
        column = zero.copy()
        for part in total.plus:
            column += whole.get(part, zero)
        for part in total.minus:
            column -= whole.get(part, zero)
        whole[name] = column
    whole[APPARENT] = np.hypot(whole.get("energy_kwh", zero), whole.get("reactive_kvarh", zero))
    unrated = (whole.get("produced", zero) > 0) & (whole.get("planned_run_s", zero) == 0)
    return {kpi: _array(formula, whole, zero, unrated & (kpi in RATED)) for kpi, formula in FORMULAS.items()}


def with_sums(elements: Mapping[str, float], given: Mapping[str, float] | None = None) -> Elements:
    """The record with every element of ``shopfloor.elements.SUMS``; those in ``given`` are taken from there."""
    whole = dict(elements)
    get = whole.get
    for name, total in SUMS.items():
        if given and name in given:
            whole[name] = given[name]
            continue
        value = 0.0
        for part in total.plus:
            value += get(part, 0.0)
        for part in total.minus:
            value -= get(part, 0.0)
        whole[name] = value
    whole[APPARENT] = math.hypot(get("energy_kwh", 0.0), get("reactive_kvarh", 0.0))
    return whole


def quotients(whole: Mapping[str, float]) -> dict[str, float | None]:
    """Every formula on a record that has its sums."""
    get = whole.get
    kpis = dict(_NOTHING)
    for kpi, (part, whole_name) in _SIMPLE.items():
        denominator = get(whole_name)
        if denominator:
            kpis[kpi] = get(part, 0.0) / denominator
    for kpi, needs, factor, over, under in _OTHER:
        if needs is None or get(needs):
            denominator = 1.0
            for name in under:
                denominator *= get(name, 0.0)
            if denominator:
                numerator = factor
                for name in over:
                    numerator *= get(name, 0.0)
                kpis[kpi] = numerator / denominator
    return kpis


def fall_off_ratio(step: Mapping[str, float], first: Mapping[str, float]) -> float | None:
    """SQ / PQ of the first operation, for a later step of a serial line whose quantities have one unit."""
    return ratio(step.get("scrap", 0.0), first.get("produced", 0.0))


def observed_coverage(elements: Mapping[str, float], start: Instant, end: Instant) -> float | None:
    """A meter's coverage: the observed share of the window."""
    return ratio(elements.get("observed_s", 0.0), (end - start) / 1000)


def is_final(end: Instant, watermark: Instant | None, reach: int, *, dirty: bool = False) -> bool:
    """Whether samples can change a window no more: all that reach into it have been delivered, and all is derived.

    ``watermark`` is the oldest source time that an agent of the window's units may still hold; None when unknown.
    ``reach`` is ``UnitPlan.reach``: a stop at the border is judged by samples that come after it.
    """
    return watermark is not None and watermark >= end + reach and not dirty


def _array(formula: Formula, whole: Mapping[str, Column], zero: Column, unknown: NDArray[np.bool_]) -> Column:
    numerator, denominator = zero + formula.factor, zero + 1.0
    for name in formula.over:
        numerator *= whole.get(name, zero)
    for name in formula.under:
        denominator *= whole.get(name, zero)
    told = (denominator != 0) & ~unknown
    if formula.needs is not None:
        told &= whole.get(formula.needs, zero) != 0
    quotient = np.full(len(zero), np.nan)
    np.divide(numerator, denominator, out=quotient, where=told)
    return quotient
