"""Published points: how they are made, told from those that were replaced, and replaced. Pure.

What readers that cannot compute are given, beside the *KPIs* of registers -> samples -> messages -> points -> facts ->
KPIs -> panels. A write only merges fields and never removes one, so a point of which a field vanished is written anew
a millisecond later, and the old one is marked as not current; the times of published points are whole minutes apart.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Final

from historian import schema
from historian.point import Number, Point, Query
from historian.schema import Measurement
from historian.series import SeriesKey, key_of
from shopfloor.equipment import LEVELS
from shopfloor.instant import MINUTE, Instant, floor_to

Names = Mapping[str, str]
"""Text by language, ``en`` and ``id``."""
_NO_MORE: Final[Mapping[str, Number | str]] = {schema.CURRENT: 0.0}
_AT_ITS_TIME: Final = frozenset({Measurement.CHART_POINTS})
"""Readings may be closer than a minute, and their points always have all fields."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be published, and what of the store it replaces."""

    wanted: Sequence[Point]
    scopes: Sequence[Query]
    """Stored points that these queries give and that are not ``wanted`` hold no more ..."""
    days: frozenset[Instant] | None = None
    """... of points that belong to a production day, those of these days alone."""

    def stored(self, points: Iterable[Point]) -> list[Point]:
        """What the store gave for one of the ``scopes``, without points of other days."""
        if self.days is None:
            return list(points)
        return [point for point in points if point.fields.get(schema.PERIOD_DAY) in self.days]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What one metric or group of a guideline came to at one site on one production day."""

    site: str
    """``-``: the enterprise."""
    guideline: str
    metric: str
    """``group.<id>`` for a group, ``-`` for the whole."""
    time: Instant
    """Local midnight."""
    start: Instant
    until: Instant
    """What of the day was looked at."""
    value: float | None = None
    score: float | None = None
    level: float | None = None
    weight: float | None = None
    target: float | None = None
    baseline: float | None = None
    achievement: float | None = None
    coverage: float | None = None
    """Of a metric: known share of planned busy time; of a group and of the whole: share of the weights told."""
    group: str = ""
    name: Names = field(default_factory=dict)
    """Of the metric, the group, or the guideline."""
    group_name: Names = field(default_factory=dict)
    level_name: Names = field(default_factory=dict)
    unit: str = ""
    missing: Names = field(default_factory=dict)
    """What is missing to compute it."""
    provenance: str = ""
    confidence: str = ""
    thresholds: str = ""


def place_tags(enterprise: str, path: str) -> dict[str, str]:
    """The level tags of a unit or place: ``site/area/work_center/work_unit`` or less, empty for the enterprise."""
    ids = [enterprise, *filter(None, path.split("/"))]
    return dict(zip(LEVELS, [*ids, *[schema.WHOLE] * (len(LEVELS) - len(ids))], strict=True))


def subject_of(point: Point) -> str:
    """The path of the unit or place that a published point is of; empty for the enterprise."""
    return "/".join(point.tags[level] for level in LEVELS[1:] if point.tags[level] != schema.WHOLE)


def published_point(
    measurement: Measurement,
    tags: Mapping[str, str],
    time: Instant,
    numbers: Mapping[str, float | None],
    texts: Mapping[str, str],
) -> Point:
    """A point that holds; numbers that are None are absent. Names are shared: caches keep them by the thousand."""
    fields: dict[str, Number | str] = {
        intern(name): float(number) for name, number in numbers.items() if number is not None
    }
    return Point(measurement, tags, time, {schema.CURRENT: 1.0, **fields, **texts})


def holding(points: Iterable[Point]) -> list[Point]:
    """The published points that hold."""
    return [point for point in points if point.fields.get(schema.CURRENT) == 1.0]


def score_point(enterprise: str, score: Score) -> Point:
    """A score as a point."""
    tags = {
        "enterprise": enterprise,
        "site": score.site,
        schema.GUIDELINE: score.guideline,
        schema.METRIC: score.metric,
    }
    numbers: dict[str, float | None] = {
        schema.PERIOD_START: score.start,
        schema.PERIOD_UNTIL: score.until,
        schema.SCORE_VALUE: score.value,
        schema.SCORE: score.score,
        schema.SCORE_LEVEL: score.level,
        schema.SCORE_WEIGHT: score.weight,
        schema.SCORE_TARGET: score.target,
        schema.SCORE_BASELINE: score.baseline,
        schema.SCORE_ACHIEVEMENT: score.achievement,
        schema.COVERAGE: score.coverage,
    }
    texts = {
        schema.SCORE_GROUP: score.group,
        schema.SCORE_UNIT: score.unit,
        schema.SCORE_PROVENANCE: score.provenance,
        schema.SCORE_CONFIDENCE: score.confidence,
        schema.SCORE_THRESHOLDS: score.thresholds,
    }
    for name, words in (
        (schema.SCORE_NAME, score.name),
        (schema.SCORE_GROUP_NAME, score.group_name),
        (schema.SCORE_LEVEL_NAME, score.level_name),
        (schema.SCORE_MISSING, score.missing),
    ):
        texts |= {name: words.get("en", ""), schema.SCORE_IN_INDONESIAN[name]: words.get("id", "")}
    return published_point(Measurement.SCORECARDS, tags, score.time, numbers, texts)


def point_score(point: Point) -> Score:
    """A stored score."""

    def number(field: str) -> float | None:
        found = point.fields.get(field)
        return None if found is None else float(found)

    def text(field: str) -> str:
        return str(point.fields.get(field, ""))

    def words(field: str) -> Names:
        found = {"en": text(field), "id": text(schema.SCORE_IN_INDONESIAN[field])}
        return {language: each for language, each in found.items() if each}

    return Score(
        site=point.tags["site"],
        guideline=point.tags[schema.GUIDELINE],
        metric=point.tags[schema.METRIC],
        time=floor_to(point.time, MINUTE),
        start=int(point.fields[schema.PERIOD_START]),
        until=int(point.fields[schema.PERIOD_UNTIL]),
        value=number(schema.SCORE_VALUE),
        score=number(schema.SCORE),
        level=number(schema.SCORE_LEVEL),
        weight=number(schema.SCORE_WEIGHT),
        target=number(schema.SCORE_TARGET),
        baseline=number(schema.SCORE_BASELINE),
        achievement=number(schema.SCORE_ACHIEVEMENT),
        coverage=number(schema.COVERAGE),
        group=text(schema.SCORE_GROUP),
        unit=text(schema.SCORE_UNIT),
        name=words(schema.SCORE_NAME),
        group_name=words(schema.SCORE_GROUP_NAME),
        level_name=words(schema.SCORE_LEVEL_NAME),
        missing=words(schema.SCORE_MISSING),
        provenance=text(schema.SCORE_PROVENANCE),
        confidence=text(schema.SCORE_CONFIDENCE),
        thresholds=text(schema.SCORE_THRESHOLDS),
    )


def scores_of(points: Iterable[Point]) -> list[Score]:
    """The scores in ``points`` that hold."""
    return [point_score(point) for point in holding(points)]


def replacements(stored: Iterable[Point], wanted: Iterable[Point]) -> list[Point]:
    """What to write over ``stored`` so that exactly ``wanted`` holds. Empty when nothing changes."""
    there: dict[tuple[SeriesKey, Instant], list[Point]] = defaultdict(list)
    for point in sorted(stored, key=lambda each: each.time):
        there[_place(point)].append(point)
    written: list[Point] = []
    for point in wanted:
        written += _replaced(there.pop(_place(point), []), point)
    for points in there.values():
        written += _ended(points)
    return written


def _place(point: Point) -> tuple[SeriesKey, Instant]:
    exact = point.measurement in _AT_ITS_TIME
    return key_of(point), point.time if exact else floor_to(point.time, MINUTE)


def _replaced(points: Sequence[Point], wanted: Point) -> list[Point]:
    if not points:
        return [wanted]
    last = points[-1]
    vanished = last.fields.keys() - wanted.fields.keys()
    if any(not name.startswith(schema.SUM) for name in vanished):
        anew = Point(wanted.measurement, wanted.tags, last.time + 1, wanted.fields)
        return [*_ended(points), anew]
    changed = {name: value for name, value in wanted.fields.items() if last.fields.get(name) != value}
    changed |= {name: 0.0 for name in vanished if last.fields[name]}
    update = [Point(wanted.measurement, wanted.tags, last.time, changed)] if changed else []
    return [*_ended(points[:-1]), *update]


def _ended(points: Iterable[Point]) -> list[Point]:
    return [Point(each.measurement, each.tags, each.time, _NO_MORE) for each in holding(points)]
