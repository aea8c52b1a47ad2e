"""Losses: what stopped production, how often and how long, what repeats, and what nobody has explained."""

from dataclasses import replace
from typing import Final

from dashboards import panels, places, queries, targets, theme, variables
from dashboards.board import Board, Panel, Row, Shape
from dashboards.boards.line import BARS
from dashboards.queries import BUCKET, LEVELS, Slice
from historian import schema
from historian.schema import Measurement
from kpi.evaluation.losses import STOPPED
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import Plant

_CHOSEN: Final = ("site", "work_center", "work_unit", schema.SHIFT)
_WHOLE: Final = Slice(chosen=_CHOSEN)
_LOST: Final = Slice(
    chosen=_CHOSEN,
    source=queries.LOSSES,
    where=f'{queries.one_of(schema.CATEGORY, STOPPED)} AND "{schema.LOST_SECONDS}" > 0',
)
"""What time was lost to; an overwrite leaves rows of 0 seconds behind."""
SIX: Final = {
    "breakdown": ("failure",),
    "setup_adjustment": ("setup",),
    "minor_stops": ("micro_stop",),
    "reduced_speed": ("speed",),
    "process_defects": ("quality",),
    "startup_yield": ("startup_scrap",),
    "outside_the_six": ("other_stop", "starved", "blocked", "no_order", "unknown"),
}
"""Nakajima's six and what is none of them -> bars of the waterfall."""
_TREND: Final = (
    TimeCategory.UNPLANNED_STOP,
    TimeCategory.MICRO_STOP,
    TimeCategory.SETUP,
    TimeCategory.STARVED,
    TimeCategory.BLOCKED,
    TimeCategory.NO_ORDER,
    TimeCategory.UNKNOWN,
)


def board(plant: Plant) -> Board:
    """The board."""
    return Board(
        id="losses",
        start="now-7d",
        refresh="5m",
        variables=(variables.SITE, variables.LINE, variables.UNIT, variables.SHIFT, *variables.HIDDEN),
        rows=(
            Row("losses.row_whole", _numbers(plant)),
            Row("losses.row_reasons", (_pareto(plant), _reasons(plant))),
            Row("losses.row_kinds", (_six(plant), _units(plant))),
            Row("losses.row_trend", (_trend(), _unlabelled_trend(plant), _micro_stops(), _reliability(plant))),
            Row("losses.row_longest", (_longest(plant),)),
        ),
    )


def _numbers(plant: Plant) -> tuple[Panel, ...]:
    return (
        panels.stat("losses.delay", "h:m:s", targets.element("delay_s", _WHOLE, alias="losses.delay_name"), width=3),
        panels.stat("losses.mtbf", "h:m:s", targets.kpi(plant, "mtbf_s", _WHOLE), width=4, empty="losses.no_failure"),
        panels.stat("losses.mttr", "h:m:s", targets.kpi(plant, "mttr_s", _WHOLE), width=4, empty="losses.no_failure"),
        panels.stat(
            "losses.failures",
            "count",
            targets.total("failures", _WHOLE, alias="losses.failures_name"),
            width=3,
            empty="losses.no_failure",
        ),
        panels.stat(
            "losses.micro_count",
            "count",
            targets.total("micro_stops", _WHOLE, alias="losses.micro_name"),
            width=3,
            empty="losses.no_micro_stop",
        ),
        panels.stat(
            "losses.unlabelled",
            "ratio",
            targets.series(_unlabelled(plant), "losses.unlabelled_name"),
            steps=theme.falling(0.1, 0.3),
            decimals=1,
            width=4,
            empty="losses.no_stop",
        ),
        panels.stat(
            "losses.coverage",
            "ratio",
            targets.kpi(plant, "coverage", _WHOLE),
            steps=theme.COVERAGE,
            decimals=1,
            width=3,
        ),
    )


def _unlabelled(plant: Plant, every: str | None = None) -> str:
    """The share of unplanned stops' time for which nobody gave a reason of the plant file."""
    stops = replace(_LOST, every=every, where=queries.same(schema.CATEGORY, TimeCategory.UNPLANNED_STOP))
    return queries.share_of_losses("unlabelled", queries.none_of(schema.REASON, plant.reasons), stops)


def _pareto(plant: Plant) -> Panel:
    told = _LOST.but(queries.none_of(schema.REASON, plant.reasons))
    slices = [(replace(told, by=(schema.CATEGORY,)), f"$tag_{schema.CATEGORY}")]
    if plant.reasons:
        stated = _LOST.but(queries.one_of(schema.REASON, plant.reasons))
        slices.insert(0, (replace(stated, by=(schema.REASON,)), f"$tag_{schema.REASON}"))
    return panels.pareto(
        "losses.pareto",
        "h:m:s",
        *(targets.total(schema.LOST_SECONDS, each, alias=alias) for each, alias in slices),
        steps=theme.plain(theme.WARNING),
        overrides=(panels.named("Field", mappings=theme.reasons_mappings(plant)),),
        height=10,
        empty="losses.no_stop",
    )


def _reasons(plant: Plant) -> Panel:
    each = replace(_LOST, by=(schema.CATEGORY, schema.REASON))
    return panels.table(
        "losses.reasons",
        "text",
        *(
            targets.total(column, each, alias="", shape=Shape.TABLE)
            for column in (schema.LOST_SECONDS, schema.LOST_COUNT)
        ),
        sort="losses.lost",
        width=12,
        height=10,
        empty="losses.no_stop",
        overrides=(
            panels.named(
                schema.CATEGORY,
                title="field.category",
                mappings=(theme.category_mapping(),),
                cell=theme.COLORED_CELL,
            ),
            panels.named(schema.REASON, title="field.reason", mappings=theme.reasons_mappings(plant)),
            panels.named(schema.LOST_SECONDS, title="losses.lost", unit="h:m:s", decimals=1),
            panels.named(schema.LOST_COUNT, title="losses.times", unit="count", decimals=0),
        ),
    )


def _six(plant: Plant) -> Panel:
    rated = _WHOLE.but(queries.rated(plant))
    bars = (targets.linear(loss, _together(parts), rated, alias=f"losses.six_of.{loss}") for loss, parts in SIX.items())
    return panels.ranking(
        "losses.six",
        "h:m:s",
        *bars,
        steps=theme.plain(theme.WARNING),
        overrides=(panels.named("losses.six_of.outside_the_six", color=theme.CALM),),
        each_series=True,
        width=24,
        height=9,
        low=None,
        empty="losses.none_of_a_kind",
    )


def _together(bars: tuple[str, ...]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for bar in bars:
        for column, share in BARS[bar].items():
            shares[column] = shares.get(column, 0.0) + share
    return shares


def _units(plant: Plant) -> Panel:
    each = Slice(chosen=_CHOSEN, by=LEVELS)
    sums = ("unplanned_stop_s", "micro_stop_s", "micro_stops")
    ratios = ("mtbf_s", "mttr_s", "coverage")
    return panels.table(
        "losses.units",
        "text",
        *(targets.total(column, each, alias="", shape=Shape.TABLE) for column in sums),
        *(targets.kpi(plant, name, each, alias="", shape=Shape.TABLE) for name in ratios),
        sort="category.unplanned_stop",
        height=8,
        empty="losses.none_of_a_kind",
        overrides=(
            *places.columns(plant, line=panels.of_row("line", "site", "work_center"), unit=panels.of_row("machine")),
            panels.named("unplanned_stop_s", title="category.unplanned_stop", unit="h:m:s"),
            panels.named("micro_stop_s", title="category.micro_stop", unit="h:m:s"),
            panels.named("micro_stops", title="losses.micro_times", unit="count", decimals=0),
            panels.named("mtbf_s", title="kpi:mtbf_s", unit="h:m:s"),
            panels.named("mttr_s", title="kpi:mttr_s", unit="h:m:s"),
            panels.named("coverage", title="kpi:coverage", unit="ratio", decimals=1, steps=theme.COVERAGE),
        ),
    )


def _trend() -> Panel:
    each = Slice(chosen=_CHOSEN, every=BUCKET)
    return panels.bars(
        "losses.trend",
        "h:m:s",
        *(targets.total(f"{category}_s", each, alias=f"category.{category}") for category in _TREND),
        stacked=True,
        overrides=tuple(
            panels.named(f"category.{category}", color=theme.CATEGORY_COLORS[category]) for category in _TREND
        ),
        empty="losses.none_of_a_kind",
    )


def _unlabelled_trend(plant: Plant) -> Panel:
    return panels.lines(
        "losses.unlabelled_trend",
        "ratio",
        targets.series(_unlabelled(plant, BUCKET), "losses.unlabelled_name"),
        targets.course(plant, "coverage", Slice(chosen=_CHOSEN, every=BUCKET), alias="kpi:coverage"),
        overrides=(
            panels.named("losses.unlabelled_name", color=theme.BAD),
            panels.named("kpi:coverage", color=theme.CALM),
        ),
        high=1.0,
        empty="losses.no_stop",
    )


def _micro_stops() -> Panel:
    each = Slice(chosen=_CHOSEN, every=BUCKET, by=LEVELS)
    return panels.bars(
        "losses.micro",
        "count",
        targets.total("micro_stops", each, alias=targets.UNIT_ALIAS),
        stacked=True,
        links=(panels.of_series("machine"),),
        empty="losses.no_micro_stop",
    )


def _reliability(plant: Plant) -> Panel:
    each = Slice(chosen=_CHOSEN, every=BUCKET)
    return panels.lines(
        "losses.reliability",
        "h:m:s",
        *(targets.kpi(plant, name, each) for name in ("mtbf_s", "mttr_s")),
        overrides=(panels.named("kpi:mtbf_s", color=theme.GOOD), panels.named("kpi:mttr_s", color=theme.BAD)),
        custom={"showPoints": "always", "spanNulls": True},
        empty="losses.no_failure",
    )


def _longest(plant: Plant) -> Panel:
    over = Slice(source=Measurement.STOPS, where=f'"{schema.STOP_DURATION}" > 0')
    beside = (schema.STOP_CATEGORY, schema.STOP_REASON, schema.STOP_CODE, "site", "work_center", "work_unit")
    return panels.table(
        "losses.longest",
        "text",
        targets.rows(queries.greatest_rows(Measurement.STOPS, schema.STOP_DURATION, beside, over, limit=50)),
        timed=True,
        sort="losses.duration",
        height=10,
        empty="losses.no_stop",
        overrides=(
            panels.named("Time", title="losses.began", unit="time"),
            panels.named(schema.STOP_DURATION, title="losses.duration", unit="h:m:s"),
            panels.named(
                schema.STOP_CATEGORY,
                title="field.category",
                mappings=(theme.category_mapping(),),
                cell=theme.COLORED_CELL,
            ),
            panels.named(schema.STOP_REASON, title="field.reason", mappings=theme.reasons_mappings(plant)),
            panels.named(schema.STOP_CODE, title="losses.code"),
            *places.columns(plant, unit=panels.of_row("machine")),
        ),
    )
