"""Facts to KPIs: pure functions of a merged additive record, in the words of ISO 22400-2.

Every ratio is None when its denominator is zero: an hour that nobody planned has no availability and must not look like
a bad one. Ratios use known time only; what is unknown shows in ``coverage`` and in the two bounds of the OEE index.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shopfloor.additive import Elements
from shopfloor.instant import Instant
from shopfloor.machine_state import OUTSIDE_PBT, TimeCategory

PERFORMANCE_LOSSES: Final = frozenset({TimeCategory.MICRO_STOP})
"""Counted as production time: they lower effectiveness, not availability."""


@dataclass(frozen=True, slots=True)
class KpiReport:
    """The KPIs of one merged record."""

    kpis: Mapping[str, float | None]
    """By id of ``kpi.definitions``; None where a denominator is zero."""
    elements: Elements
    """The record, with the sums that the formulas are written in (``planned_busy_s``, ``production_s`` ...)."""
    coverage: float | None
    """Known share of planned busy time; None when none was planned."""
    flags: tuple[str, ...]
    """What a reader should know before trusting the numbers."""


def ratio(numerator: float, denominator: float) -> float | None:
    """The quotient, or None for a zero denominator."""
    return numerator / denominator if denominator else None


def seconds(elements: Mapping[str, float], category: TimeCategory) -> float:
    """Time in a category."""
    return elements.get(f"{category}_s", 0.0)


def planned_busy_s(elements: Mapping[str, float]) -> float:
    """PBT: all time but planned stops and time not scheduled."""
    return sum(seconds(elements, category) for category in TimeCategory if category not in OUTSIDE_PBT)


def known_busy_s(elements: Mapping[str, float]) -> float:
    """The part of PBT of which a good value tells."""
    return planned_busy_s(elements) - seconds(elements, TimeCategory.UNKNOWN)


def production_s(elements: Mapping[str, float]) -> float:
    """APT: running time with the micro-stops in it."""
    return seconds(elements, TimeCategory.RUNNING) + sum(seconds(elements, loss) for loss in PERFORMANCE_LOSSES)


def delay_s(elements: Mapping[str, float]) -> float:
    """ADET: waiting and unplanned stops that are longer than a micro-stop."""
    waiting = (TimeCategory.STARVED, TimeCategory.BLOCKED, TimeCategory.UNPLANNED_STOP)
    return sum(seconds(elements, category) for category in waiting)


def evaluate(elements: Mapping[str, float]) -> KpiReport:
    """All KPIs of a merged record."""
    whole = {
        **elements,
        "planned_busy_s": planned_busy_s(elements),
        "known_busy_s": known_busy_s(elements),
        "production_s": production_s(elements),
        "delay_s": delay_s(elements),
    }
    kpis = _kpis(whole)
    return KpiReport(kpis, whole, ratio(whole["known_busy_s"], whole["planned_busy_s"]), _flags(whole, kpis))


def _kpis(elements: Mapping[str, float]) -> dict[str, float | None]:
    known, planned = elements["known_busy_s"], elements["planned_busy_s"]
    planned_run, good_run = elements.get("planned_run_s", 0.0), elements.get("good_run_s", 0.0)
    return {
        "availability": ratio(elements["production_s"], known),
        "effectiveness": ratio(planned_run, elements["production_s"]),
        "quality_ratio": ratio(good_run, planned_run),
        "quality_ratio_pieces": ratio(elements.get("good", 0.0), elements.get("produced", 0.0)),
        "oee_index": ratio(good_run, known),
        "oee_low": ratio(good_run, planned),
        "oee_high": ratio(good_run + elements.get("unknown_s", 0.0), planned),
    }


def _flags(elements: Mapping[str, float], kpis: Mapping[str, float | None]) -> tuple[str, ...]:
    raised = {
        "effectiveness_above_1": (kpis["effectiveness"] or 0.0) > 1,
        "planned_run_time_missing": elements.get("produced", 0.0) > 0 and not elements.get("planned_run_s", 0.0),
        "produced_without_running": elements.get("produced", 0.0) > 0 and not elements["production_s"],
        "unattributed": any(value for name, value in elements.items() if name.startswith("unattributed_")),
        "unscheduled_run": elements.get("unscheduled_run_s", 0.0) > 0,
        "counter_resets": elements.get("counter_resets", 0.0) > 0,
        "implausible_counts": elements.get("implausible", 0.0) > 0,
    }
    return tuple(flag for flag, up in raised.items() if up)


def observed_coverage(elements: Mapping[str, float], start: Instant, end: Instant) -> float | None:
    """A meter's coverage: the observed share of the window."""
    return ratio(elements.get("observed_s", 0.0), (end - start) / 1000)


def is_final(end: Instant, watermark: Instant | None, reach: int, *, dirty: bool = False) -> bool:
    """Whether samples can change a window no more: all that reach into it have been delivered, and all is derived.

    ``watermark`` is the oldest source time that an agent of the window's units may still hold; None when unknown.
    ``reach`` is ``UnitPlan.reach``: a stop at the border is judged by samples that come after it.
    """
    return watermark is not None and watermark >= end + reach and not dirty
