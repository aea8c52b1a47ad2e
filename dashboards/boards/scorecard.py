"""Smart-factory scorecard: what shop-floor data can show by a guideline, what they cannot, and how it goes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from dashboards import panels, theme
from dashboards import scorecard_queries as cards
from dashboards.board import Board, Label, Override, Panel, Row, Shape, Target
from historian import schema
from historian.schema import GROUP_ROW, METRIC
from shopfloor.instant import HOUR
from shopfloor.plant import Plant

_GAP: Final = {"insertNulls": 36 * HOUR}
"""Two points further apart than this are not joined by a line."""
_NOT_YET: Final = "scorecard.not_yet"
_TEXTS: Final = (schema.SCORE_NAME, schema.SCORE_GROUP_NAME, schema.SCORE_LEVEL_NAME, schema.SCORE_MISSING)
_ORIGIN: Final = (schema.SCORE_PROVENANCE, schema.SCORE_CONFIDENCE, schema.SCORE_THRESHOLDS)
_FOUND: Final = (
    schema.SCORE_VALUE,
    schema.SCORE_LEVEL,
    schema.SCORE,
    schema.SCORE_BASELINE,
    schema.SCORE_TARGET,
    schema.SCORE_ACHIEVEMENT,
)
_WORDS: Final = {
    "type": "value",
    "options": {
        word: {"text": f"scorecard.word.{word}", "index": at}
        for at, word in enumerate(("high", "medium", "low", "published", "house"))
    },
}


def board(plant: Plant) -> Board:
    """The board."""
    return Board(
        id="scorecard",
        start="now-30d/d",
        end="now-1d/d",
        refresh="5m",
        variables=(cards.SITE, cards.GUIDELINE_CHOICE, cards.DAY),
        rows=(
            Row("scorecard.row_whole", (*_whole(), panels.note("scorecard.evidence", width=8, height=4))),
            Row("scorecard.row_groups", (_groups(), _group_scores())),
            Row("scorecard.row_metrics", _metrics()),
            Row("scorecard.row_trend", _trend(plant)),
        ),
    )


def _whole() -> tuple[Panel, ...]:
    def number(name: str, field: str, unit: str, **more: Any) -> Panel:
        told = Target(query=cards.on_day((field,), cards.OF_WHOLE), alias=f"scorecard.{name}.title")
        return panels.stat(f"scorecard.{name}", unit, told, **{"empty": _NOT_YET, **more})

    return (
        number("score", schema.SCORE, "1", decimals=2, empty="scorecard.no_score"),
        number("level", schema.SCORE_LEVEL, "1", decimals=0, empty="scorecard.no_score"),
        number("coverage", schema.COVERAGE, "ratio", decimals=0, steps=theme.rising(0.5, 0.8)),
        number("until", schema.PERIOD_UNTIL, "time"),
    )


def _groups() -> Panel:
    fields = (schema.SCORE_NAME, schema.SCORE, schema.SCORE_LEVEL_NAME, schema.COVERAGE, schema.SCORE_WEIGHT)
    return _table("groups", fields, cards.OF_GROUPS, width=14, height=8)


def _group_scores() -> Panel:
    fields = (schema.SCORE_NAME, schema.SCORE)
    return panels.ranking(
        "scorecard.group_scores",
        "1",
        Target(query=cards.on_day(_both(fields), cards.OF_GROUPS), shape=Shape.TABLE),
        width=10,
        height=8,
        decimals=2,
        transformations=(_order(fields),),
        empty="scorecard.no_score",
    )


def _metrics() -> tuple[Panel, ...]:
    named, missing = (schema.SCORE_GROUP_NAME, schema.SCORE_NAME), (schema.SCORE_MISSING,)
    levelled = (*_FOUND, schema.SCORE_LEVEL_NAME)
    return (
        _table("shares", (*named, *levelled, *missing, *_ORIGIN), cards.OF_SHARES, unit="ratio", height=11),
        _table(
            "measures",
            (*named, schema.SCORE_UNIT, *levelled, *missing, *_ORIGIN),
            cards.OF_MEASURES,
            height=9,
            empty="scorecard.no_measure",
        ),
        _table("needs", (*named, *missing, *_ORIGIN), cards.OF_NEEDS, height=9, empty="scorecard.no_needs"),
    )


def _table(name: str, fields: tuple[str, ...], of: str, *, unit: str = "1", **more: Any) -> Panel:
    return panels.table(
        f"scorecard.{name}",
        unit,
        Target(query=cards.on_day(_both(fields), of), shape=Shape.TABLE),
        transformations=(_order(fields),),
        overrides=tuple(_column(field) for field in fields),
        **{"decimals": 1 if unit == "ratio" else 2, "empty": _NOT_YET, **more},
    )


def _both(fields: tuple[str, ...]) -> tuple[str, ...]:
    """Texts are asked for in both languages: the query knows none."""
    return tuple(
        each for field in fields for each in (field, *([schema.SCORE_IN_INDONESIAN[field]] if field in _TEXTS else []))
    )


def _order(fields: tuple[str, ...]) -> dict[str, Any]:
    """The columns as given, without time, id and the texts of the other language."""
    hidden = {"Time": True, METRIC: True, **{f"scorecard.other.{field}": True for field in fields if field in _TEXTS}}
    shown = {_in_language(field): at for at, field in enumerate(fields)}
    return {"id": "organize", "options": {"excludeByName": hidden, "indexByName": shown, "renameByName": {}}}


def _in_language(field: str) -> str:
    """The column that has a text in the board's language: the catalogue knows its name."""
    return f"scorecard.own.{field}" if field in _TEXTS else field


def _column(field: str) -> Override:
    settings: dict[str, Mapping[str, Any]] = {
        schema.SCORE_NAME: {"width": 230},
        schema.SCORE_MISSING: {"width": 230},
        schema.SCORE_VALUE: panels.NUMBERS,
        schema.SCORE_TARGET: panels.NUMBERS,
        schema.SCORE_BASELINE: panels.NUMBERS,
        schema.SCORE: {"unit": "1", "decimals": 2, **panels.NUMBERS},
        schema.SCORE_LEVEL: {"unit": "1", "decimals": 0, **panels.NUMBERS},
        schema.SCORE_WEIGHT: {"unit": "1"},
        schema.COVERAGE: {"unit": "ratio", "decimals": 0, "steps": theme.rising(0.5, 0.8), "cell": theme.COLORED_TEXT},
        schema.SCORE_ACHIEVEMENT: {
            "unit": "ratio",
            "decimals": 0,
            "steps": theme.rising(0.0, 1.0),
            "cell": theme.COLORED_TEXT,
        },
        schema.SCORE_CONFIDENCE: {"mappings": (_WORDS,)},
        schema.SCORE_THRESHOLDS: {"mappings": (_WORDS,)},
    }
    return panels.named(_in_language(field), title=f"scorecard.field.{field}", **settings.get(field, {}))


def _trend(plant: Plant) -> tuple[Panel, ...]:
    whole = panels.bars(
        "scorecard.score_days",
        "1",
        Target(query=cards.by_day(schema.SCORE, cards.OF_WHOLE), alias="scorecard.score.title"),
        width=8,
        decimals=2,
        empty="scorecard.no_score",
    )
    coverage = panels.bars(
        "scorecard.coverage_days",
        "ratio",
        Target(query=cards.by_day(schema.COVERAGE, cards.OF_WHOLE), alias="scorecard.coverage.title"),
        width=8,
        high=1.0,
        decimals=1,
        empty=_NOT_YET,
    )
    groups = panels.lines(
        "scorecard.group_days",
        "1",
        Target(query=cards.by_day(schema.SCORE, cards.OF_GROUPS), alias=f"$tag_{schema.GUIDELINE} $tag_{METRIC}"),
        width=8,
        decimals=2,
        custom=_GAP,
        empty="scorecard.no_score",
    )
    return whole, coverage, replace(groups, overrides=_group_names(plant))


def _group_names(plant: Plant) -> tuple[Override, ...]:
    """Series by the names of groups; a group that came into its file later keeps its id until boards are rendered."""
    return tuple(
        panels.named(f"{guideline.id} {GROUP_ROW}{group.id}", title=Label(group.name, group.id))
        for guideline in plant.guidelines
        for group in guideline.groups
    )
