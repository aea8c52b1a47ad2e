"""A site by a guideline: every metric with its value, level and what is missing; groups and the whole, weighted.

A metric that cannot be computed is left out of the weighted score; ``coverage`` says which share of the weights could
be. So a score of little evidence is seen as what it is, and nothing is an official assessment.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kpi.evaluation.definition import Direction
from kpi.evaluation.ratio import ratio
from kpi.guidelines.score import achievement, improvement, level_at, on_scale, score_of
from kpi.guidelines.shown import SiteShown
from kpi.guidelines.signals import Names
from kpi.guidelines.sources import SOURCES, figure
from shopfloor.guideline import Goal, Group, Guideline, Metric

EVIDENCE_ONLY: Final[Names] = {
    "en": "Evidence from shop-floor data, not an official assessment.",
    "id": "Bukti dari data lantai produksi, bukan penilaian resmi.",
}
"""Stands beside every scorecard."""
INDEX_UNIT: Final = "index"
_NOTHING: Final[Names] = {}
_NO_BASELINE: Final[Names] = {
    "en": "baseline of this metric (goals of the site in the plant file)",
    "id": "nilai awal metrik ini (goals pada lokasi di berkas pabrik)",
}
_NOT_ZERO: Final[Names] = {"en": "a value above 0, to compare with", "id": "nilai di atas 0 sebagai pembanding"}
_NO_GOAL: Final[Names] = {
    "en": "baseline and target of this metric (goals of the site in the plant file)",
    "id": "nilai awal dan target metrik ini (goals pada lokasi di berkas pabrik)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricScore:
    """What one metric came to."""

    metric: Metric
    value: float | None
    score: float | None
    level: int | None
    goal: Goal
    achievement: float | None
    improvement: float | None
    missing: Names
    """What is missing for a value, or for a score; empty where nothing is."""

    @property
    def told(self) -> bool:
        """Whether it says all that it is to say: its weight is covered."""
        return self.value is not None and (self.score is not None or not self.metric.scored)


@dataclass(frozen=True, slots=True)
class GroupScore:
    """What the metrics of a group came to."""

    group: Group
    score: float | None
    """None where nothing of it could be scored."""
    level: int | None
    coverage: float
    """Share of the weights of its metrics that could be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """A site by one guideline in one window."""

    guideline: Guideline
    metrics: Sequence[MetricScore]
    groups: Sequence[GroupScore]
    score: float | None
    level: int | None
    coverage: float


def scorecard(guideline: Guideline, shown: SiteShown, goals: Mapping[str, Goal]) -> Scorecard:
    """The site's evidence by a guideline. ``goals``: metric -> where the site started and wants to be."""
    metrics = [_told(guideline, metric, shown, goals.get(metric.id, Goal())) for metric in guideline.metrics]
    groups = [
        _group(guideline, group, [each for each in metrics if each.metric.group == group.id])
        for group in guideline.groups
    ]
    score = _mean((each.score, each.group.weight) for each in groups)
    weights = sum(each.group.weight for each in groups)
    return Scorecard(
        guideline=guideline,
        metrics=metrics,
        groups=groups,
        score=score,
        level=_level(guideline, score),
        coverage=sum(each.coverage * each.group.weight for each in groups) / weights,
    )


def unit_of(metric: Metric) -> str | None:
    """What a metric's value is measured in, ``1`` for a ratio; None where nothing gives one."""
    if metric.index:
        return INDEX_UNIT
    return None if metric.source is None else SOURCES[metric.source].unit


def _told(guideline: Guideline, metric: Metric, shown: SiteShown, site: Goal) -> MetricScore:
    goal = Goal(
        metric.goal.baseline if site.baseline is None else site.baseline,
        metric.goal.target if site.target is None else site.target,
    )
    value, missing = None, metric.needs
    if metric.source is not None:
        found = figure(metric.source, shown)
        value, missing = found.value, found.missing
    if metric.index:
        value, missing = _index(value, missing, goal, metric)
        goal = Goal(None if goal.baseline is None else 1.0, goal.target)
    gone = None if value is None else achievement(value, goal)
    score = _score(guideline, metric, value, gone)
    if value is not None and score is None and metric.scored:
        missing = _NO_GOAL
    return MetricScore(
        metric=metric,
        value=value,
        score=score,
        level=_level(guideline, score),
        goal=goal,
        achievement=gone,
        improvement=None if value is None else improvement(value, goal),
        missing=missing,
    )


def _index(value: float | None, missing: Names, goal: Goal, metric: Metric) -> tuple[float | None, Names]:
    """How many times better than the baseline."""
    if value is None:
        return None, missing
    if not goal.baseline:
        return None, _NO_BASELINE
    falling = metric.source is not None and SOURCES[metric.source].direction is Direction.DOWN
    found = ratio(goal.baseline, value) if falling else value / goal.baseline
    return found, _NOT_ZERO if found is None else _NOTHING


def _score(guideline: Guideline, metric: Metric, value: float | None, gone: float | None) -> float | None:
    if value is None:
        return None
    if metric.levels:
        return score_of(value, metric.levels)
    return on_scale(gone, guideline.levels) if metric.achievement and gone is not None else None


def _level(guideline: Guideline, score: float | None) -> int | None:
    return None if score is None else level_at(score, guideline.levels)


def _group(guideline: Guideline, group: Group, metrics: Sequence[MetricScore]) -> GroupScore:
    score = _mean((each.score, each.metric.weight) for each in metrics)
    told = sum(each.metric.weight for each in metrics if each.told)
    return GroupScore(
        group,
        score,
        _level(guideline, score),
        told / sum(each.metric.weight for each in metrics),
    )


def _mean(scores: Iterable[tuple[float | None, float]]) -> float | None:
    """Weighted, of those that there are."""
    kept = [(score, weight) for score, weight in scores if score is not None]
    return ratio(sum(score * weight for score, weight in kept), sum(weight for _, weight in kept))
