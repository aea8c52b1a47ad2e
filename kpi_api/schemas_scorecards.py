"""KPIs -> guidelines: the JSON of scorecards and guidelines: evidence with where it comes from and what is missing."""

from pydantic import Field

from kpi.guidelines.scorecard import EVIDENCE_ONLY, GroupScore, MetricScore, unit_of
from kpi_api.schemas import Answer, Ratio, Time, rfc3339
from kpi_api.scorecards import SiteScorecard
from shopfloor.guideline import Confidence, Founded, Guideline, Metric, Provenance


class ProvenanceInfo(Answer):
    """Where a metric comes from, and how far to trust it."""

    publication: str
    section: str
    confidence: Confidence
    thresholds: Founded = Field(description="whose the thresholds are: published, or a house choice")


class GuidelineGroup(Answer):
    """A part of a guideline."""

    id: str
    name: dict[str, str]
    weight: float


class GuidelineMetric(Answer):
    """One line of a guideline, as its file says."""

    id: str
    name: dict[str, str]
    group: str
    source: str | None = Field(description="what gives the value; null where nothing that is seen here does")
    unit: str | None = Field(description="1 for a ratio, index for a multiple of the baseline")
    levels: dict[str, float] = Field(description="level -> the value from which on it is reached")
    achievement: bool = Field(description="scored by the way gone from baseline to target")
    weight: float
    needs: dict[str, str] = Field(description="what would have to be recorded, where there is no source")
    provenance: ProvenanceInfo


class GuidelineInfo(Answer):
    """A guideline of the plant."""

    id: str
    name: dict[str, str]
    about: dict[str, str]
    publication: str
    levels: dict[str, dict[str, str]] = Field(description="the scale: level -> name")
    groups: list[GuidelineGroup]
    metrics: list[GuidelineMetric]
    note: dict[str, str] = Field(description="that it is evidence, no official assessment")


class ScoredMetric(Answer):
    """One metric of a scorecard."""

    id: str
    name: dict[str, str]
    group: str
    source: str | None
    unit: str | None
    value: Ratio
    score: Ratio = Field(description="on the guideline's scale, between levels too; of the way to the target 0..1")
    level: int | None
    weight: float
    baseline: Ratio
    target: Ratio
    achievement: Ratio = Field(description="(baseline - value) / (baseline - target), not clipped")
    improvement: Ratio = Field(description="change over the baseline, negative where it got worse")
    missing: dict[str, str] = Field(description="what is missing for a value or a score; empty where nothing is")
    provenance: ProvenanceInfo


class ScoredGroup(Answer):
    """One group of a scorecard."""

    id: str
    name: dict[str, str]
    weight: float
    score: Ratio = Field(description="weighted mean of its metrics that have a score")
    level: int | None
    coverage: Ratio = Field(description="share of the weights of its metrics that could be told")


class ScorecardItem(Answer):
    """The evidence of one site by one guideline in [start, end)."""

    site: str = Field(description="the site's id; - for the enterprise")
    guideline: str
    name: dict[str, str]
    start: Time
    end: Time
    score: Ratio
    level: int | None
    level_name: dict[str, str] | None
    coverage: Ratio = Field(description="share of the guideline's weights that could be told")
    data_coverage: Ratio = Field(description="known share of the planned busy time behind the figures")
    groups: list[ScoredGroup]
    metrics: list[ScoredMetric]
    note: dict[str, str] = Field(description="that it is evidence, no official assessment")


def scorecard_item(found: SiteScorecard) -> ScorecardItem:
    """As JSON."""
    card = found.card
    return ScorecardItem(
        site=found.site,
        guideline=card.guideline.id,
        name=dict(card.guideline.name),
        start=rfc3339(found.start),
        end=rfc3339(found.end),
        score=card.score,
        level=card.level,
        level_name=None if card.level is None else dict(card.guideline.levels[card.level]),
        coverage=card.coverage,
        data_coverage=found.coverage,
        groups=[_group(each) for each in card.groups],
        metrics=[_metric(each) for each in card.metrics],
        note=dict(EVIDENCE_ONLY),
    )


def guideline_info(guideline: Guideline) -> GuidelineInfo:
    """As JSON."""
    return GuidelineInfo(
        id=guideline.id,
        name=dict(guideline.name),
        about=dict(guideline.about),
        publication=guideline.publication,
        levels={str(level): dict(name) for level, name in guideline.levels.items()},
        groups=[GuidelineGroup(id=each.id, name=dict(each.name), weight=each.weight) for each in guideline.groups],
        metrics=[_definition(each) for each in guideline.metrics],
        note=dict(EVIDENCE_ONLY),
    )


def _group(told: GroupScore) -> ScoredGroup:
    return ScoredGroup(
        id=told.group.id,
        name=dict(told.group.name),
        weight=told.group.weight,
        score=told.score,
        level=told.level,
        coverage=told.coverage,
    )


def _metric(told: MetricScore) -> ScoredMetric:
    metric = told.metric
    return ScoredMetric(
        id=metric.id,
        name=dict(metric.name),
        group=metric.group,
        source=metric.source,
        unit=unit_of(metric),
        value=told.value,
        score=told.score,
        level=told.level,
        weight=metric.weight,
        baseline=told.goal.baseline,
        target=told.goal.target,
        achievement=told.achievement,
        improvement=told.improvement,
        missing=dict(told.missing),
        provenance=_provenance(metric.provenance),
    )


def _definition(metric: Metric) -> GuidelineMetric:
    return GuidelineMetric(
        id=metric.id,
        name=dict(metric.name),
        group=metric.group,
        source=metric.source,
        unit=unit_of(metric),
        levels={str(level): value for level, value in metric.levels.items()},
        achievement=metric.achievement,
        weight=metric.weight,
        needs=dict(metric.needs),
        provenance=_provenance(metric.provenance),
    )


def _provenance(given: Provenance) -> ProvenanceInfo:
    return ProvenanceInfo(
        publication=given.publication,
        section=given.section,
        confidence=given.confidence,
        thresholds=given.thresholds,
    )
