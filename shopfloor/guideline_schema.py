"""The shape of a guideline file: what may be written, for validation and for the JSON Schema that editors use."""

from typing import Annotated, Any

from pydantic import Field

from shopfloor.guideline import Confidence, Founded
from shopfloor.plant_fields import Doc, Id, Labels, Positive

Level = Annotated[int, Field(ge=0, le=10)]


class GroupDoc(Doc):
    """A pillar, field or building block."""

    name: Labels
    weight: Positive = Field(default=1.0, description="Its part of the whole, beside the other groups.")


class MetricDoc(Doc):
    """One line of the guideline."""

    name: Labels
    group: Id
    source: str | None = Field(
        default=None, description="kpi.ID of docs/kpis.md, or energy.NAME or evidence.NAME of docs/guidelines.md."
    )
    needs: Labels | None = Field(default=None, description="Without a source: what would have to be recorded for it.")
    levels: dict[Level, float] | None = Field(
        default=None, description="Level -> the value from which on it is reached, e.g. {0: 0, 1: 0.5}."
    )
    index: bool = Field(default=False, description="Show how many times better than the baseline it is.")
    achievement: bool = Field(default=False, description="Score it by the way gone from baseline to target.")
    baseline: float | None = None
    target: float | None = None
    weight: Positive = Field(default=1.0, description="Its part of the group.")
    section: str = Field(default="", description="Where in the publication it stands.")
    publication: str | None = Field(default=None, min_length=1, description="Default: that of the guideline.")
    thresholds: Founded = Field(default=Founded.HOUSE, description="Who says so: published, or house.")
    confidence: Confidence


class GuidelineDoc(Doc):
    """A guideline: metrics with thresholds, weights and where they come from."""

    guideline: Id
    name: Labels
    about: Labels
    publication: str = Field(min_length=1)
    levels: dict[Level, Labels] = Field(default_factory=dict, description="The scale: level -> its name.")
    groups: dict[Id, GroupDoc] = Field(min_length=1)
    metrics: dict[Id, MetricDoc] = Field(min_length=1)


def guideline_json_schema() -> dict[str, Any]:
    """The JSON Schema of a guideline file, for editors."""
    schema = GuidelineDoc.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
