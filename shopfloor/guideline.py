"""A smart-factory guideline as data: what is looked at, from which level on, how much it weighs, and who says so.

A guideline file (``guideline_file``) gives one; ``kpi.guidelines`` says what a site comes to by it. What is computed
is evidence for a guideline, never the guideline's own assessment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Names = Mapping[str, str]
"""Text by language; a guideline's has both, ``en`` and ``id``."""


class Confidence(StrEnum):
    """How far to trust that a metric is what the publication asks for."""

    HIGH = "high"
    """Two or more publications agree on it."""
    MEDIUM = "medium"
    """One publication says so."""
    LOW = "low"
    """Our reading: the publication gives a name and no measure."""


class Founded(StrEnum):
    """Where the thresholds of a metric come from."""

    PUBLISHED = "published"
    HOUSE = "house"
    """A choice of this project, to be replaced by a plant's own."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a metric comes from."""

    publication: str
    section: str
    thresholds: Founded
    confidence: Confidence

    def __str__(self) -> str:
        return f"{self.publication}, {self.section}" if self.section else self.publication


@dataclass(frozen=True, slots=True)
class Group:
    """A part of a guideline: a pillar, a field, a building block."""

    id: str
    name: Names
    weight: float


@dataclass(frozen=True, slots=True)
class Goal:
    """Where a metric stood at first, and where it is to be; in the metric's unit."""

    baseline: float | None = None
    target: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One line of a guideline."""

    id: str
    name: Names
    group: str
    source: str | None
    """What gives the value: ``kpi.oee_index``, ``energy.enpi``, ``evidence.connected_units``. None where nothing that
    is seen here does."""
    needs: Names = field(default_factory=dict)
    """What would have to be recorded, where there is no source."""
    levels: Mapping[int, float] = field(default_factory=dict)
    """Level -> the value from which on it is reached, lowest level first. Falling values: less is better."""
    index: bool = False
    """The value is shown as an index: how many times better than the baseline it is."""
    achievement: bool = False
    """Scored by how much of the way from baseline to target is gone."""
    weight: float = 1.0
    """Within its group."""
    goal: Goal = Goal()
    """The guideline's own; a site's comes before it."""
    provenance: Provenance

    @property
    def scored(self) -> bool:
        """Whether a value of it gives a score."""
        return bool(self.levels) or self.achievement


@dataclass(frozen=True, slots=True, kw_only=True)
class Guideline:
    """A guideline file."""

    id: str
    name: Names
    about: Names
    """What it is, and what the evidence here can say of it."""
    publication: str
    levels: Mapping[int, Names]
    """The scale of its scores: level -> name, lowest first. Empty for one that scores nothing, or by achievement."""
    groups: tuple[Group, ...]
    metrics: tuple[Metric, ...]
    """In order."""

    def metric(self, metric: str) -> Metric | None:
        """The metric with an id."""
        return next((each for each in self.metrics if each.id == metric), None)
