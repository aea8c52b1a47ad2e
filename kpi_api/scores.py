"""Scorecards as what is published: a row per metric, per group and of the whole. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from historian.published import Score
from historian.schema import GROUP_ROW, WHOLE
from kpi.guidelines.scorecard import MetricScore, Scorecard, unit_of
from kpi_api.scorecards import SiteScorecard
from shopfloor.instant import Instant
from shopfloor.plant import Labels

_UNITS: Final[Mapping[str | None, str]] = {"1": "ratio", None: ""}
"""A ratio by its own word, for readers that show it as percent."""


def scores(found: SiteScorecard, day: Instant) -> Iterator[Score]:
    """The rows of a scorecard, stamped at ``day``."""
    card = found.card
    whole = Score(
        site=found.site,
        guideline=card.guideline.id,
        metric=WHOLE,
        time=day,
        start=found.start,
        until=found.end,
        score=card.score,
        level=card.level,
        coverage=card.coverage,
        name=card.guideline.name,
        level_name=_level_name(card, card.level),
    )
    for told in card.metrics:
        yield _metric(whole, card, told, found.coverage)
    for group in card.groups:
        yield replace(
            whole,
            metric=GROUP_ROW + group.group.id,
            score=group.score,
            level=group.level,
            weight=group.group.weight,
            coverage=group.coverage,
            name=group.group.name,
            level_name=_level_name(card, group.level),
        )
    yield whole


def _level_name(card: Scorecard, level: int | None) -> Labels:
    return {} if level is None else card.guideline.levels[level]


def _metric(whole: Score, card: Scorecard, told: MetricScore, coverage: float | None) -> Score:
    metric, provenance = told.metric, told.metric.provenance
    unit = unit_of(metric)
    return replace(
        whole,
        metric=metric.id,
        value=told.value,
        score=told.score,
        level=told.level,
        weight=metric.weight,
        target=told.goal.target,
        baseline=told.goal.baseline,
        achievement=told.achievement,
        coverage=coverage if told.value is not None else None,
        group=metric.group,
        name=metric.name,
        group_name=next(group.name for group in card.guideline.groups if group.id == metric.group),
        level_name=_level_name(card, told.level),
        unit=_UNITS.get(unit, unit or ""),
        missing=told.missing,
        provenance=str(provenance),
        confidence=provenance.confidence,
        thresholds=provenance.thresholds,
    )
