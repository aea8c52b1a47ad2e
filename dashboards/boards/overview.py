"""Plant overview, for the wall: what runs, what stands and since when, how today compares with the target."""

from dashboards import panels, targets, theme, variables
from dashboards.board import Board, Panel, Row, Shape
from dashboards.queries import LEVELS, Slice
from shopfloor.plant import Plant


def board(plant: Plant) -> Board:
    """The board."""
    return Board(
        id="overview",
        start="now/d",
        end="now",
        refresh="30s",
        variables=(variables.SITE, variables.LINE, variables.UNIT, *variables.HIDDEN),
        rows=(
            Row("overview.row_now", (_numbers(plant))),
            Row("overview.row_units", (_units(plant),)),
        ),
    )


def _numbers(plant: Plant) -> tuple[Panel, ...]:
    return (
        panels.gauge(
            "overview.oee", "ratio", targets.kpi(plant, "oee_index"), steps=theme.rising(0.5, 0.7), decimals=1
        ),
        panels.stat("overview.coverage", "ratio", targets.kpi(plant, "coverage"), steps=theme.COVERAGE, decimals=1),
    )


def _units(plant: Plant) -> Panel:
    each = Slice(by=LEVELS)
    return panels.table(
        "overview.units",
        "text",
        targets.kpi(plant, "oee_index", each, shape=Shape.TABLE),
        targets.kpi(plant, "coverage", each, shape=Shape.TABLE),
        overrides=(
            panels.named("oee_index", title="kpi:oee_index", unit="ratio", decimals=1, steps=theme.rising(0.5, 0.7)),
            panels.named("coverage", title="kpi:coverage", unit="ratio", decimals=1, steps=theme.COVERAGE),
            panels.named("work_unit", title="field.work_unit", mappings=(theme.names_of(plant),)),
        ),
    )
