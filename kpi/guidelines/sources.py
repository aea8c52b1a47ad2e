"""What a metric of a guideline can be computed from: every KPI of a record, and every figure of ``evidence``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from kpi.evaluation.definition import Direction
from kpi.evaluation.record_definitions import RECORD_KPIS
from kpi.guidelines.evidence import EVIDENCE
from kpi.guidelines.shown import SiteShown
from kpi.guidelines.signals import Names, missing_of

_KPI: Final = "kpi."


@dataclass(frozen=True, slots=True)
class Source:
    """Something that gives a metric's value."""

    id: str
    meaning: str
    unit: str
    """``1`` for a ratio."""
    direction: Direction


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, or what is missing for it."""

    value: float | None
    missing: Names = field(default_factory=dict)


SOURCES: Final[Mapping[str, Source]] = {
    source.id: source
    for source in (
        *(Source(_KPI + kpi.id, kpi.name["en"], kpi.unit, kpi.direction) for kpi in RECORD_KPIS),
        *(Source(each.id, each.meaning, each.unit, each.direction) for each in EVIDENCE.values()),
    )
}
"""By id, as guideline files name them."""


def figure(source: str, shown: SiteShown) -> Figure:
    """The value of a source at a site; raises KeyError for none of ``SOURCES``."""
    if source in EVIDENCE:
        evidence = EVIDENCE[source]
        value = evidence.value(shown)
        return Figure(value, evidence.needs if value is None else {})
    kpi = SOURCES[source].id.removeprefix(_KPI)
    value = shown.kpis.get(kpi)
    return Figure(value, missing_of(kpi, shown) if value is None else {})
