"""Quality: how much was good at once, is the process in control and capable, and does the product meet its standard."""

from dataclasses import replace
from typing import Final

from dashboards import panels, places, queries, targets, theme, variables
from dashboards import published_queries as published
from dashboards.board import Board, Panel, Row, Shape, Step, Target, Variable
from dashboards.published_queries import LINE_COVERAGE, LINE_KPIS
from dashboards.queries import BUCKET, LEVELS, Slice, choice
from historian import schema
from historian.influxql import identifier
from historian.schema import Measurement
from kpi.capability.control_chart import Statistic
from kpi.evaluation.flags import CAPABILITY_FLAGS
from shopfloor.plant import Plant

CHARACTERISTIC: Final = Variable(
    name="characteristic",
    query=(
        f"SHOW TAG VALUES FROM {identifier(Measurement.CAPABILITY)} WITH KEY = {identifier(schema.CHARACTERISTIC)}"
        f" WHERE {' AND '.join(map(choice, ('site', 'work_center', 'work_unit')))}"
    ),
    multi=True,
)
LOCATION: Final = (Statistic.MEAN, Statistic.INDIVIDUAL)
SPREAD: Final = (Statistic.RANGE, Statistic.DEVIATION, Statistic.MOVING_RANGE)
UNITS: Final = Slice(chosen=("site", "work_center", "work_unit", schema.SHIFT), by=LEVELS)
"""The facts of each chosen unit and shift."""
TREND: Final = replace(UNITS, every=BUCKET)
CAPABLE: Final = theme.rising(1.0, 1.33)
"""Of Cpk and Ppk."""
HOUR_MS: Final = 3_600_000
APART_MS: Final = 13 * HOUR_MS
"""Shifts further apart than this are not joined by a line: one between them told nothing."""
HITS: Final = 100
RULES: Final = tuple(range(1, 9))
YIELDS: Final = (
    "scrap_ratio",
    "rework_ratio",
    "first_pass_yield",
    "quality_ratio",
    "quality_ratio_pieces",
    "coverage",
)
STEPS: Final = {
    "scrap_ratio": theme.falling(0.02, 0.05),
    "rework_ratio": theme.falling(0.02, 0.05),
    "first_pass_yield": theme.rising(0.9, 0.97),
    "quality_ratio": theme.rising(0.9, 0.97),
    "quality_ratio_pieces": theme.rising(0.9, 0.97),
    "coverage": theme.COVERAGE,
}
EXCUSES: Final = {"first_pass_yield": "quality.needs_inspection"}
CAPABILITY: Final = (
    "readings",
    "mean",
    "lsl",
    "usl",
    "sigma_within",
    "sigma_overall",
    "cp",
    "cpk",
    "pp",
    "ppk",
    "cpm",
    "alarms",
    schema.CAPABILITY_UNIT,
    schema.FLAGS,
)
REBAR: Final = {
    "yield": "x_yield_mpa",
    "tensile": "x_tensile_mpa",
    "ratio": "x_tensile_yield_ratio",
    "elongation": "x_elongation_pct",
    "diameter": "x_diameter_mm",
    "mass": "x_mass_kg_per_m",
    "length": "x_length_mm",
}
"""Check of SNI 2052 -> the tag that tells its values."""
CASTING: Final = {"hardness": "x_hardness_hb", "casting_tensile": "x_tensile_mpa", "carbon": "x_carbon_equivalent_pct"}
"""Check of a casting -> the tag that tells its values."""


def board(plant: Plant) -> Board:
    """The board."""
    return Board(
        id="quality",
        start="now-7d/d",
        refresh="5m",
        variables=(
            *variables.PLACES,
            variables.SHIFT,
            *((CHARACTERISTIC,) if _measures(plant) else ()),
            *variables.HIDDEN,
        ),
        rows=(
            Row("quality.row_lines", tuple(_line(kpi) for kpi in YIELDS if kpi != "quality_ratio_pieces")),
            Row("quality.row_units", (_units(plant), *_courses(plant))),
            *(
                _statistics(plant)
                if _measures(plant)
                else (Row("quality.row_charts", (panels.note("quality.unmeasured"),)),)
            ),
            Row("quality.row_rebar", (*(_check(plant, *each) for each in REBAR.items()), _missing("rebar"))),
            Row("quality.row_casting", (*(_check(plant, *each) for each in CASTING.items()), _missing("casting"))),
        ),
    )


def _measures(plant: Plant) -> bool:
    """Whether any unit has a measured characteristic."""
    return any(unit.characteristics for unit in plant.units.values())


def _statistics(plant: Plant) -> tuple[Row, ...]:
    return (
        Row("quality.row_charts", (_chart("location", LOCATION), _chart("spread", SPREAD), _hits(plant), _rules())),
        Row("quality.row_capability", (_capability(plant), _course_of("cpk"), _course_of("ppk"), _glossary())),
    )


# ------------------------------------------------------------ yields


def _line(kpi: str) -> Panel:
    return panels.stat(
        f"quality.line_{kpi}",
        "ratio",
        Target(query=queries.kpi(kpi, LINE_KPIS), alias="$tag_work_center"),
        steps=STEPS[kpi],
        decimals=2,
        width=8 if kpi in ("scrap_ratio", "rework_ratio", "first_pass_yield") else 12,
        empty=EXCUSES.get(kpi),
    )


def _units(plant: Plant) -> Panel:
    counts = ("produced", "good", "scrap", "rework", "inspected")
    return panels.table(
        "quality.units",
        "quantity",
        *(targets.total(column, UNITS, alias="", shape=Shape.TABLE) for column in counts),
        *(targets.kpi(plant, name, UNITS, alias="", shape=Shape.TABLE) for name in YIELDS),
        height=8,
        decimals=0,
        overrides=(
            *(panels.named(column, title=f"quality.field.{column}") for column in counts),
            *(
                panels.named(
                    name, title=f"kpi:{name}", unit="ratio", decimals=2, steps=STEPS[name], cell=theme.COLORED_TEXT
                )
                for name in YIELDS
            ),
            *places.columns(plant, line=panels.of_row("line", "site", "work_center"), unit=panels.of_row("machine")),
        ),
        empty="quality.needs_counts",
    )


def _courses(plant: Plant) -> tuple[Panel, ...]:
    def course(kpi: str) -> Panel:
        return panels.lines(
            f"quality.{kpi}",
            "ratio",
            targets.course(plant, kpi, TREND, alias=targets.UNIT_ALIAS),
            decimals=2,
            empty=EXCUSES.get(kpi),
        )

    return (
        panels.bars("quality.scrap", "quantity", targets.total("scrap", TREND, alias=targets.UNIT_ALIAS), stacked=True),
        panels.ranking(
            "quality.products",
            "quantity",
            targets.total("scrap", replace(UNITS, by=(schema.PRODUCT,)), alias="", shape=Shape.TABLE),
            steps=theme.plain(theme.BAD),
            decimals=0,
        ),
        course("scrap_ratio"),
        course("first_pass_yield"),
        course("quality_ratio_pieces"),
        panels.lines(
            "quality.coverage",
            "ratio",
            Target(query=queries.greatest(schema.COVERAGE, LINE_COVERAGE), alias="$tag_work_center"),
            high=1.0,
            decimals=1,
        ),
    )


# ------------------------------------------------------------ control charts


def _chart(name: str, statistics: tuple[Statistic, ...]) -> Panel:
    dashed = {"fill": "dash", "dash": [8, 6]}
    named = "$tag_work_unit $tag_characteristic"
    return panels.lines(
        f"quality.{name}",
        "1",
        Target(query=published.chart(statistics), alias=f"{named} $col"),
        Target(query=published.chart(statistics, alarms=True), alias=f"! {named}"),
        width=24,
        height=9,
        custom={"insertNulls": HOUR_MS, "axisSoftMin": None, "lineWidth": 1},
        overrides=(
            panels.named(
                "/ (UCL|LCL)$/",
                color=theme.BAD,
                custom__lineStyle=dashed,
                custom__showPoints="never",
                custom__lineInterpolation="stepAfter",
            ),
            panels.named(
                "/ CL$/",
                color=theme.CALM,
                custom__lineStyle=dashed,
                custom__showPoints="never",
                custom__lineInterpolation="stepAfter",
            ),
            panels.named("/^! /", color=theme.BAD, custom__drawStyle="points", custom__pointSize=9),
        ),
        empty="quality.not_measured",
    )


def _hits(plant: Plant) -> Panel:
    rules = {str(rule): {"text": f"quality.rule.nelson_{rule}", "index": rule} for rule in RULES}
    rules["0"] = {"text": "quality.rule.spread", "index": 0}
    alarms = {
        "1": {"text": "quality.alarm", "color": theme.BAD, "index": 0},
        "0": {"text": "quality.hint", "color": theme.WARNING, "index": 1},
    }
    kinds = {each.value: {"text": f"quality.statistic.{each}", "index": at} for at, each in enumerate(Statistic)}
    fields = ("value", "lower", "upper")
    return panels.table(
        "quality.hits",
        "1",
        Target(query=published.rule_hits(HITS), shape=Shape.TABLE),
        timed=True,
        width=16,
        decimals=4,
        overrides=(
            panels.named("Time", title="quality.field.time", width=160),
            *(panels.named(name, title=f"quality.field.{name}") for name in fields),
            places.column(plant, "work_unit"),
            places.characteristic(plant),
            panels.named(
                schema.STATISTIC, title="quality.field.statistic", mappings=({"type": "value", "options": kinds},)
            ),
            panels.named(
                "rule", title="quality.field.rule", mappings=({"type": "value", "options": rules},), width=220
            ),
            panels.named(
                "alarm",
                title="quality.field.alarm",
                mappings=({"type": "value", "options": alarms},),
                cell=theme.COLORED_TEXT,
            ),
        ),
        empty="quality.in_control",
    )


def _rules() -> Panel:
    fields = tuple(f"{schema.CAPABILITY_NELSON}{rule}" for rule in RULES)
    return panels.ranking(
        "quality.rules",
        "count",
        Target(query=published.counted(fields), shape=Shape.TABLE),
        steps=(Step(None, theme.GOOD), Step(1, theme.WARNING)),
        width=8,
        decimals=0,
        overrides=tuple(panels.named(field, title=f"quality.rule.{field}") for field in fields),
        empty="quality.not_measured",
    )


# ------------------------------------------------------------ capability


ONE_SIDED: Final = frozenset({"lsl", "usl", "cp", "pp", "cpm"})
"""Nothing for a specification with one limit; a plain cell of a column of nothing reads ``null``."""


def _capability(plant: Plant) -> Panel:
    whole = {"readings", "alarms"}
    judged = {"cpk": CAPABLE, "ppk": CAPABLE, "alarms": theme.falling(1, 1)}
    return panels.table(
        "quality.capability",
        "1",
        Target(query=published.newest_capability(CAPABILITY), shape=Shape.TABLE),
        timed=True,
        height=7,
        decimals=4,
        overrides=(
            panels.named("Time", title="quality.field.shift_start", unit="ago"),
            places.characteristic(plant),
            *(
                panels.named(
                    name,
                    title=f"quality.field.{name}",
                    **({"decimals": 0} if name in whole else {}),
                    **({"steps": judged[name], "cell": theme.COLORED_TEXT} if name in judged else {}),
                    **({"color": "text", "cell": theme.COLORED_TEXT} if name in ONE_SIDED else {}),
                    **({"decimals": 2} if name in ("cp", "cpk", "pp", "ppk", "cpm") else {}),
                )
                for name in CAPABILITY
            ),
            *places.columns(plant, line=panels.of_row("line", "site", "work_center"), unit=panels.of_row("machine")),
        ),
        empty="quality.not_measured",
    )


def _glossary() -> Panel:
    return panels.glossary("quality.glossary", prefix="flag", ids=tuple(CAPABILITY_FLAGS), height=5)


def _course_of(index: str) -> Panel:
    return panels.lines(
        f"quality.{index}",
        "1",
        Target(query=published.capability((index,)), alias="$tag_work_unit $tag_characteristic"),
        steps=CAPABLE,
        custom={"thresholdsStyle": {"mode": "dashed"}, "insertNulls": APART_MS, "showPoints": "always"},
        decimals=2,
        empty="quality.not_measured",
    )


# ------------------------------------------------------------ standards


def _check(plant: Plant, check: str, tag: str) -> Panel:
    """The least Ppk of the range where a unit has the characteristic, else the signal that is missing."""
    text = f"quality.check.{check}"
    if not any(each.tag == tag for unit in plant.units.values() for each in unit.characteristics):
        return panels.note(text, width=6, height=4)
    least = Target(query=published.least("ppk", tag), alias=f"{text}.title")
    return panels.stat(text, "1", least, steps=CAPABLE, decimals=2, width=6, empty="quality.not_measured")


def _missing(product: str) -> Panel:
    return panels.note(f"quality.check.{product}", width=6, height=4)
