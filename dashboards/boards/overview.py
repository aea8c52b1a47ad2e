"""Plant overview, for the wall: what runs, what stands and since when, how today compares with the target."""

from dataclasses import replace
from typing import Final

from dashboards import panels, places, queries, states, targets, theme, variables
from dashboards.board import Board, Override, Panel, Row, Shape, Target
from dashboards.queries import LEVELS, NEWEST, Slice
from historian import schema
from historian.schema import Measurement
from shopfloor.plant import Plant

_OEE: Final = theme.FACTORS["oee_index"]
_TARGET: Final = f"{schema.TARGET}oee"
_GAP: Final = "gap"
_LESS: Final = {_GAP: ("oee_index", _TARGET)}
_GOOD: Final = f"{schema.SUM}good"
_PLACE: Final = ("site", "work_center", "work_unit")
_TODAY: Final = ("oee_index", _TARGET, schema.COVERAGE, _GOOD, schema.PERIOD_UNTIL)
"""What is published of the running production day."""


def board(plant: Plant) -> Board:
    """The board."""
    return Board(
        id="overview",
        start="now/d",
        end="now",
        refresh="30s",
        variables=(variables.SITE, variables.LINE, variables.UNIT, *variables.HIDDEN),
        rows=(
            Row("overview.row_now", (*_numbers(plant), _tiles(plant))),
            Row("overview.row_units", (_units(plant),)),
            Row("overview.row_stops", (_stops(plant),)),
        ),
    )


def _numbers(plant: Plant) -> tuple[Panel, ...]:
    of_sites = _day(("site",), queries.same("area", schema.WHOLE), queries.other("site", schema.WHOLE))
    newest = Target(query=queries.newest_sample(Slice(window=NEWEST)), shape=Shape.TABLE)
    return (
        panels.table(
            "overview.sites",
            "text",
            targets.rows(queries.newest_published(_TODAY, replace(of_sites, by=("site",)), less=_LESS)),
            transformations=panels.arranged(
                ("site", "oee_index", _TARGET, _GAP, schema.COVERAGE, schema.PERIOD_UNTIL),
                ("Time", schema.CURRENT, _GOOD),
            ),
            width=11,
            height=8,
            overrides=(
                places.column(plant, "site"),
                *_today(),
            ),
        ),
        panels.stat("overview.newest", "ago", newest, width=3, height=8, shown="/^Time$/"),
    )


def _day(chosen: tuple[str, ...], *conditions: str) -> Slice:
    """Published rows of whole production days."""
    of_day = (queries.same(schema.SHIFT, schema.WHOLE), *conditions)
    return Slice(window=NEWEST, source=Measurement.KPI_PUBLISHED, chosen=chosen, where=" AND ".join(of_day))


def _today() -> tuple[Override, ...]:
    """How the columns of ``_TODAY`` look."""
    return (
        panels.named("oee_index", title="kpi:oee_index", unit="ratio", decimals=1, steps=_OEE),
        panels.named(_TARGET, title="overview.target", unit="ratio", decimals=0, **panels.NUMBERS),
        panels.named(
            _GAP,
            title="overview.gap",
            unit="ratio",
            decimals=1,
            steps=theme.rising(-0.05, 0.0),
            cell={"type": "color-text"},
        ),
        panels.named(schema.COVERAGE, title="kpi:coverage", unit="ratio", decimals=1, steps=theme.COVERAGE),
        panels.named(_GOOD, title="overview.good", unit="quantity", decimals=0),
        panels.named(schema.PERIOD_UNTIL, title="overview.until", unit="ago"),
    )


def _tiles(plant: Plant) -> Panel:
    return panels.stat(
        "overview.tiles",
        "text",
        *states.now_series(plant),
        mappings=(states.mapping(plant),),
        background=True,
        width=10,
        height=8,
        links=(panels.of_series("machine"),),
    )


def _units(plant: Plant) -> Panel:
    of_units = _day(("site", "work_center", "work_unit"), queries.other("work_unit", schema.WHOLE))
    return panels.unit_table(
        "overview.units",
        states.newest(),
        *states.now(plant),
        targets.rows(queries.newest_published(_TODAY, replace(of_units, by=LEVELS), less=_LESS)),
        order=(*_PLACE, states.STATE, "Time", "oee_index", _TARGET, _GAP, schema.COVERAGE, _GOOD, schema.PERIOD_UNTIL),
        height=14,
        overrides=(
            places.column(plant, "site"),
            places.column(
                plant,
                "work_center",
                link=panels.of_row("line", "site", "work_center"),
            ),
            places.column(plant, "work_unit", link=panels.of_row("machine")),
            panels.named(
                states.STATE,
                title="state.now",
                mappings=(states.mapping(plant),),
                cell=theme.COLORED_CELL,
            ),
            panels.named("Time", title="state.age", unit="ago"),
            *_today(),
        ),
    )


def _stops(plant: Plant) -> Panel:
    columns = ("site", "work_center", "work_unit", schema.STOP_CATEGORY, schema.STOP_REASON)
    running = queries.rows(
        Measurement.STOPS,
        columns,
        Slice(window=NEWEST, source=Measurement.STOPS, where=f'"{schema.STOP_END}" = 0'),
        limit=200,
        newest_first=False,
    )
    return panels.table(
        "overview.stops",
        "text",
        targets.rows(running),
        timed=True,
        height=8,
        empty="overview.nothing_stands",
        overrides=(
            panels.named("Time", title="overview.since", unit="ago"),
            places.column(plant, "site"),
            places.column(plant, "work_center"),
            places.column(
                plant,
                "work_unit",
                link=panels.of_row("machine"),
            ),
            panels.named(
                schema.STOP_CATEGORY,
                title="field.category",
                mappings=(theme.category_mapping(),),
                cell=theme.COLORED_CELL,
            ),
            panels.named(schema.STOP_REASON, title="field.reason", mappings=theme.reasons_mappings(plant)),
        ),
    )
