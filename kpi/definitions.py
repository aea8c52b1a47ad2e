"""What the KPIs mean: one record each, for pages, reports and the reference. Facts to KPIs, in words.

Ids are stable and spelled here; formulas use the element names of ``kpi.evaluate``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Direction(StrEnum):
    """Which way is better."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiDefinition:
    """One KPI."""

    id: str
    name: Mapping[str, str]
    """By language, ``en`` and ``id``."""
    formula: str
    unit: str
    """``1`` for a ratio from 0 to 1."""
    direction: Direction
    source: str


def _ratio(kpi: str, en: str, indonesian: str, formula: str, source: str = "ISO 22400-2") -> KpiDefinition:
    name = {"en": en, "id": indonesian}
    return KpiDefinition(id=kpi, name=name, formula=formula, unit="1", direction=Direction.UP, source=source)


KPIS: Final[Mapping[str, KpiDefinition]] = {
    kpi.id: kpi
    for kpi in (
        _ratio("availability", "Availability", "Ketersediaan", "production_s / known_busy_s"),
        _ratio("effectiveness", "Effectiveness", "Efektivitas", "planned_run_s / production_s"),
        _ratio("quality_ratio", "Quality ratio", "Rasio mutu", "good_run_s / planned_run_s"),
        _ratio("quality_ratio_pieces", "Quality ratio (pieces)", "Rasio mutu (buah)", "good / produced"),
        _ratio("oee_index", "OEE index", "Indeks OEE", "good_run_s / known_busy_s"),
        _ratio(
            "oee_low",
            "OEE, unknown time all lost",
            "OEE, waktu tak diketahui hilang",
            "good_run_s / planned_busy_s",
            "house",
        ),
        _ratio(
            "oee_high",
            "OEE, unknown time all at best",
            "OEE, waktu tak diketahui terbaik",
            "(good_run_s + unknown_s) / planned_busy_s",
            "house",
        ),
        _ratio("coverage", "Coverage", "Cakupan data", "known_busy_s / planned_busy_s", "house"),
    )
}
"""KPI id -> definition, in the order of reports."""
