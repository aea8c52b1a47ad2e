"""Line and OEE: how well a line did by hour, shift and day, where its time went, whether it keeps up with the plan."""

from typing import Any, Final

from dashboards import panels, places, queries, states, targets, theme, variables
from dashboards.board import Board, Override, Panel, Row, Target
from dashboards.queries import BUCKET, LEVELS, Slice
from historian import schema
from historian.schema import Measurement
from kpi.evaluation.formulas import Formula
from shopfloor.plant import Plant

_CHOSEN: Final = ("site", "work_center", "work_unit", schema.SHIFT)
_OF_LINE: Final = ("site", "work_center", schema.SHIFT)
_WHOLE: Final = Slice(chosen=_CHOSEN)
_EACH: Final = Slice(chosen=_CHOSEN, every=BUCKET)
_FACTORS: Final = {
    "oee_index": theme.GOOD,
    "availability": theme.INK,
    "effectiveness": theme.WARNING,
    "quality_ratio": theme.SECOND,
    "coverage": theme.CALM,
}
"""KPI -> its colour on every panel of the board; coverage stands beside the others."""
_WHOLE_SCALE: Final = {"axisSoftMax": 1.0}
"""Up to 100 %, and further for an effectiveness above it."""
BARS: Final = {
    "planned_busy": {"planned_busy_s": 1.0},
    "setup": {"setup_s": 1.0},
    "failure": {"repair_s": 1.0},
    "other_stop": {"unplanned_stop_s": 1.0, "repair_s": -1.0},
    "starved": {"starved_s": 1.0},
    "blocked": {"blocked_s": 1.0},
    "no_order": {"no_order_s": 1.0},
    "unknown": {"unknown_s": 1.0},
    "micro_stop": {"micro_stop_s": 1.0},
    "speed": {"speed_loss_s": 1.0},
    "startup_scrap": {"startup_scrap_run_s": 1.0},
    "quality": {"planned_run_s": 1.0, "good_run_s": -1.0, "startup_scrap_run_s": -1.0},
    "valuable": {"good_run_s": 1.0},
}
"""Bars from planned busy time to valuable time -> shares of the record: the first less all between is the last."""


def board(plant: Plant) -> Board:
    """The board."""
    return Board(
        id="line",
        start="now-24h",
        variables=(
            variables.ONE_SITE,
            variables.one_line(plant),
            variables.UNIT,
            variables.SHIFT,
            *variables.HIDDEN,
        ),
        rows=(
            Row("line.row_whole", _numbers(plant)),
            Row("line.row_states", (_timeline(plant), _ages(plant))),
            Row("line.row_hour", (_course(plant), _by_unit(plant))),
            Row("line.row_shift", (_by_shift(), _by_day())),
            Row("line.row_losses", (_waterfall(plant), _output(plant))),
        ),
    )


def _numbers(plant: Plant) -> tuple[Panel, ...]:
    return tuple(
        panels.stat(f"line.{name}", "ratio", targets.kpi(plant, name, _WHOLE), steps=each, decimals=1)
        for name, each in theme.FACTORS.items()
    )


def _timeline(plant: Plant) -> Panel:
    return panels.timeline(
        "line.states",
        *states.course(plant),
        mappings=(states.mapping(plant),),
        width=16,
        links=(panels.of_series("machine"),),
    )


def _ages(plant: Plant) -> Panel:
    return panels.unit_table(
        "line.ages",
        states.newest(),
        *states.now(plant),
        order=("site", "work_center", "work_unit", states.STATE, "Time"),
        width=8,
        overrides=(
            *places.columns(plant, unit=panels.of_row("machine")),
            panels.named("work_center", custom__hidden=True),
            panels.named(
                states.STATE,
                title="state.now",
                mappings=(states.mapping(plant),),
                cell=theme.COLORED_CELL,
            ),
            panels.named("Time", title="state.age", unit="ago"),
        ),
    )


def _course(plant: Plant) -> Panel:
    return panels.lines(
        "line.hour",
        "ratio",
        *(targets.course(plant, name, _EACH, alias=f"kpi:{name}") for name in _FACTORS),
        overrides=_colors(),
        custom=_WHOLE_SCALE,
    )


def _by_unit(plant: Plant) -> Panel:
    each = Slice(chosen=_CHOSEN, every=BUCKET, by=LEVELS)
    return panels.lines(
        "line.units",
        "ratio",
        targets.course(plant, "oee_index", each, alias=targets.UNIT_ALIAS),
        custom=_WHOLE_SCALE,
        links=(panels.of_series("machine"),),
    )


def _by_shift() -> Panel:
    return panels.lines(
        "line.shift", "ratio", *_published(_OF_LINE, queries.other(schema.SHIFT, schema.WHOLE)), **_points()
    )


def _by_day() -> Panel:
    return panels.lines(
        "line.day",
        "ratio",
        *_published(_OF_LINE[:2], queries.same(schema.SHIFT, schema.WHOLE)),
        empty="line.day_begins_before",
        **_points(),
    )


def _published(chosen: tuple[str, ...], which: str) -> tuple[Target, ...]:
    """The line's own numbers, a point for each period that begins in the range, and the target."""
    of_line = " AND ".join((which, queries.same("work_unit", schema.WHOLE), queries.other("work_center", schema.WHOLE)))
    of = Slice(source=Measurement.KPI_PUBLISHED, chosen=chosen, where=of_line)
    factors = (targets.series(queries.published(name, of), f"kpi:{name}") for name in _FACTORS)
    return *factors, targets.series(queries.published(f"{schema.TARGET}oee", of), "line.target")


def _points() -> dict[str, Any]:
    dashed = panels.named(
        "line.target",
        color=theme.BAD,
        custom__lineStyle={"fill": "dash", "dash": [8, 8]},
        custom__showPoints="never",
    )
    return {"overrides": (*_colors(), dashed), "custom": {"showPoints": "always", "pointSize": 7, **_WHOLE_SCALE}}


def _colors() -> tuple[Override, ...]:
    return tuple(panels.named(f"kpi:{name}", color=color) for name, color in _FACTORS.items())


def _waterfall(plant: Plant) -> Panel:
    rated = _WHOLE.but(queries.rated(plant))
    bars = (targets.linear(name, shares, rated, alias=f"line.bar.{name}") for name, shares in BARS.items())
    ends = {"planned_busy": theme.INK, "valuable": theme.GOOD, "unknown": theme.CALM}
    return panels.ranking(
        "line.waterfall",
        "h:m:s",
        *bars,
        steps=theme.plain(theme.WARNING),
        overrides=tuple(panels.named(f"line.bar.{name}", color=color) for name, color in ends.items()),
        each_series=True,
        height=12,
        low=None,
        empty="line.no_counter",
    )


def _output(plant: Plant) -> Panel:
    made = Slice(chosen=_OF_LINE, every=BUCKET).but(queries.leaving(plant))
    pace = Formula(("produced", "planned_busy_s"), ("planned_run_s",))
    return panels.bars(
        "line.output",
        "quantity",
        targets.total("good", made, alias="line.good"),
        targets.total("scrap", made, alias="line.scrap"),
        targets.quotient("pace", pace, made, alias="line.pace"),
        stacked=True,
        height=12,
        overrides=(
            panels.named("line.good", color=theme.GOOD),
            panels.named("line.scrap", color=theme.BAD),
            panels.named(
                "line.pace",
                color=theme.INK,
                custom__drawStyle="line",
                custom__fillOpacity=0,
                custom__lineWidth=2,
                custom__lineInterpolation="stepAfter",
                custom__stacking={"mode": "none", "group": "B"},
            ),
        ),
    )
