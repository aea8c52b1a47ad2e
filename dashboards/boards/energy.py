"""Energy and carbon: what was used, when, at what price, for how much good product, and against the baseline."""

from dataclasses import replace
from typing import Any, Final

from dashboards import panels, places, queries, targets, theme, variables
from dashboards import published_queries as published
from dashboards.board import Board, Override, Panel, Row, Shape, Target
from dashboards.published_queries import LINE_COVERAGE, SITE_ENERGY, SITE_KPIS, UNIT_ENERGY
from dashboards.queries import BUCKET, LEVELS, Slice
from dashboards.signals import tags_of
from historian import schema
from kpi.evaluation.flags import ENERGY_FLAGS
from shopfloor.plant import Plant
from shopfloor.tag import TagKind

DAY: Final = "1d"
UNITS: Final = Slice(chosen=("site", "work_center", "work_unit", schema.SHIFT), by=LEVELS)
"""The facts of each chosen unit and shift."""
TREND: Final = replace(UNITS, every=BUCKET)
GAPPED: Final = replace(TREND, fill="null")
_NO_METER: Final = "energy.needs_energy"
_REACTIVE: Final = "reactive_kvarh"

KPIS: Final = {
    "energy_kwh_per_good": "kWh/quantity",
    "sec_kwh_per_t": "kWh/t",
    "idle_energy_share": "ratio",
    "peak_share": "ratio",
    "power_factor": "1",
    "energy_cost": "currency",
    "energy_cost_per_t": "currency",
    "carbon_kg": "kg",
    "carbon_kg_per_t": "kg/t",
    "coverage": "ratio",
}
"""KPIs of a unit that hold over any range, with their units."""
SITE_SUMS: Final = {
    "energy_kwh": "kWh",
    "unattributed_kwh": "kWh",
    "peak_kwh": "kWh",
    "off_peak_kwh": "kWh",
    "idle_kwh": "kWh",
    "peak_cost": "currency",
    "off_peak_cost": "currency",
    "cost": "currency",
    "carbon_kg": "kg",
}
BILL: Final = {
    "energy_kwh": "kWh",
    "power_factor": "1",
    "reactive_kvarh": "kvarh",
    "bill_excess_kvarh": "kvarh",
    "bill_reactive_cost": "currency",
    "bill_energy_cost": "currency",
    "bill_minimum": "currency",
    "bill_load_hours": "h",
    "bill_total": "currency",
    schema.ENERGY_CURRENCY: "text",
    schema.FLAGS: "text",
}
LEAST_POWER_FACTOR: Final = 0.85
"""Below this mean of a month the reactive charge begins (PLN industry tariffs)."""


def board(plant: Plant) -> Board:
    """The board."""
    return Board(
        id="energy",
        start="now-7d/d",
        refresh="5m",
        variables=(*variables.PLACES, variables.SHIFT, *variables.HIDDEN),
        rows=(
            Row("energy.row_sites", (*_site_numbers(plant), _sites(plant))),
            Row("energy.row_course", _course()),
            Row("energy.row_units", (_units(plant), *_intensity(plant))),
            Row("energy.row_tariff", (*_tariff(plant), _bills(plant), _glossary())),
            Row("energy.row_baseline", _baseline() if _compares(plant) else (panels.note("energy.no_baseline"),)),
            Row("energy.row_carbon", (_carbon(), panels.note("energy.renewable", width=12, height=8))),
        ),
    )


def _compares(plant: Plant) -> bool:
    """Whether any unit has a baseline."""
    return any(unit.baseline is not None for unit in plant.units.values())


def _counts_reactive(plant: Plant) -> bool:
    """Whether any device counts reactive energy."""
    return _REACTIVE in tags_of(plant.units.values(), TagKind.COUNTER)


# ------------------------------------------------------------ sites


def _site_numbers(plant: Plant) -> tuple[Panel, ...]:
    def total(name: str, column: str, unit: str, decimals: int) -> Panel:
        return panels.stat(
            f"energy.{name}",
            unit,
            targets.total(column, SITE_ENERGY, alias=f"energy.{name}.title"),
            decimals=decimals,
            width=6,
            empty=_NO_METER,
        )

    def share(name: str, kpi: str, unit: str, **more: Any) -> Panel:
        told = Target(query=queries.kpi(kpi, SITE_KPIS), alias=f"kpi:{kpi}")
        return panels.stat(f"energy.{name}", unit, told, width=6, **more)

    return (
        total("used", "energy_kwh", "kWh", 0),
        share("per_ton", "sec_kwh_per_t", "kWh/t", decimals=1, empty="energy.needs_mass"),
        share("idle", "idle_energy_share", "ratio", steps=theme.falling(0.1, 0.25), decimals=1, empty=_NO_METER),
        panels.stat(
            "energy.demand",
            "kW",
            Target(query=queries.greatest("demand_max_kw", replace(UNITS, by=())), alias="energy.demand.title"),
            decimals=0,
            width=6,
            empty=_NO_METER,
        ),
        total("cost", "cost", "currency", 0),
        share("peak", "peak_share", "ratio", decimals=1, empty="energy.needs_tariff"),
        total("co2", "carbon_kg", "kg", 0),
        share("coverage", "coverage", "ratio", steps=theme.COVERAGE, decimals=1),
    )


def _sites(plant: Plant) -> Panel:
    of = replace(SITE_ENERGY, by=("site",))
    shares = replace(SITE_KPIS, by=("site",))
    return panels.table(
        "energy.sites",
        "kWh",
        Target(query=published.sums(tuple(SITE_SUMS), of), shape=Shape.TABLE),
        *(Target(query=queries.kpi(name, shares), shape=Shape.TABLE) for name in ("sec_kwh_per_t", "coverage")),
        height=5,
        decimals=0,
        overrides=(
            *(panels.named(name, title=f"energy.field.{name}", unit=unit) for name, unit in SITE_SUMS.items()),
            *_kpi_columns(("sec_kwh_per_t", "coverage")),
            places.column(plant, "site"),
        ),
        empty=_NO_METER,
    )


# ------------------------------------------------------------ over time


def _course() -> tuple[Panel, ...]:
    alias = targets.UNIT_ALIAS
    return (
        panels.lines(
            "energy.power",
            "kW",
            Target(query=queries.greatest("power_max_kw", GAPPED), alias=alias),
            empty="energy.needs_power",
        ),
        panels.lines(
            "energy.demands",
            "kW",
            Target(query=queries.greatest("demand_max_kw", GAPPED), alias=alias),
            empty=_NO_METER,
        ),
        panels.bars(
            "energy.by_unit", "kWh", targets.total("energy_kwh", TREND, alias=alias), stacked=True, empty=_NO_METER
        ),
        panels.bars(
            "energy.idle_by_unit",
            "kWh",
            targets.total("idle_energy_kwh", TREND, alias=alias),
            stacked=True,
            empty=_NO_METER,
        ),
    )


# ------------------------------------------------------------ units


def _units(plant: Plant) -> Panel:
    kpis = tuple(name for name in KPIS if name != "power_factor" or _counts_reactive(plant))
    sums = ("energy_kwh", "unattributed_energy_kwh", "idle_energy_kwh")
    return panels.table(
        "energy.units",
        "kWh",
        *(targets.total(column, UNITS, alias="", shape=Shape.TABLE) for column in sums),
        Target(query=queries.greatest("demand_max_kw", UNITS), shape=Shape.TABLE),
        *(targets.kpi(plant, name, UNITS, alias="", shape=Shape.TABLE) for name in kpis),
        height=9,
        decimals=0,
        overrides=(
            *(panels.named(column, title=f"energy.field.{column}", unit="kWh") for column in sums),
            panels.named("demand_max_kw", title="energy.field.demand_max_kw", unit="kW"),
            *_kpi_columns(kpis),
            *places.columns(plant, line=panels.of_row("line", "site", "work_center"), unit=panels.of_row("machine")),
        ),
        empty="energy.needs_energy_or_gap",
    )


def _kpi_columns(names: tuple[str, ...]) -> tuple[Override, ...]:
    steps = {
        "coverage": theme.COVERAGE,
        "idle_energy_share": theme.falling(0.1, 0.25),
        "power_factor": theme.rising(LEAST_POWER_FACTOR, LEAST_POWER_FACTOR),
    }
    decimals = {"ratio": 1, "1": 3, "kWh/quantity": 3, "kWh/t": 1, "kg/t": 1}
    return tuple(
        panels.named(
            name,
            title=f"kpi:{name}",
            unit=KPIS[name],
            decimals=decimals.get(KPIS[name], 0),
            **({"steps": steps[name], "cell": theme.COLORED_TEXT} if name in steps else {}),
        )
        for name in names
    )


def _intensity(plant: Plant) -> tuple[Panel, ...]:
    def course(name: str, kpi: str, unit: str, empty: str) -> Panel:
        target = targets.course(plant, kpi, TREND, alias=targets.UNIT_ALIAS)
        return panels.lines(f"energy.{name}", unit, target, width=8, empty=empty)

    return (
        course("per_good_course", "energy_kwh_per_good", "kWh/quantity", _NO_METER),
        course("per_ton_course", "sec_kwh_per_t", "kWh/t", "energy.needs_mass"),
        panels.lines(
            "energy.coverage_course",
            "ratio",
            Target(query=queries.greatest(schema.COVERAGE, LINE_COVERAGE), alias="$tag_work_center"),
            width=8,
            high=1.0,
            decimals=1,
        ),
    )


# ------------------------------------------------------------ price


def _tariff(plant: Plant) -> tuple[Panel, ...]:
    days = replace(SITE_ENERGY, every=DAY)

    def by_day(name: str, unit: str, columns: tuple[str, str]) -> Panel:
        return panels.bars(
            f"energy.{name}",
            unit,
            *(targets.total(column, days, alias=f"energy.field.{column}") for column in columns),
            stacked=True,
            width=8,
            empty="energy.needs_tariff",
        )

    return (
        by_day("peak_kwh", "kWh", ("peak_kwh", "off_peak_kwh")),
        by_day("peak_cost", "currency", ("peak_cost", "off_peak_cost")),
        _power_factor() if _counts_reactive(plant) else panels.note("energy.no_reactive", width=8, height=8),
    )


def _power_factor() -> Panel:
    return panels.lines(
        "energy.power_factor",
        "1",
        Target(query=queries.course("power_factor", TREND), alias=targets.UNIT_ALIAS),
        steps=(*theme.rising(LEAST_POWER_FACTOR, LEAST_POWER_FACTOR),),
        custom={"thresholdsStyle": {"mode": "dashed"}},
        width=8,
        high=1.0,
        decimals=3,
        empty="energy.needs_reactive",
    )


def _glossary() -> Panel:
    return panels.glossary("energy.glossary", prefix="flag", ids=tuple(ENERGY_FLAGS), height=4)


def _bills(plant: Plant) -> Panel:
    decimals = {"1": 3, "h": 1}
    return panels.table(
        "energy.bills",
        "currency",
        Target(query=published.bills(tuple(BILL)), shape=Shape.TABLE),
        timed=True,
        height=7,
        decimals=0,
        overrides=(
            panels.named("Time", title="energy.field.month", unit="month"),
            *(
                panels.named(
                    name, title=f"energy.field.{name}", unit=unit, decimals=decimals.get(unit, 0), **panels.NUMBERS
                )
                for name, unit in BILL.items()
            ),
            *(places.column(plant, level) for level in LEVELS),
        ),
        empty="energy.needs_tariff",
    )


# ------------------------------------------------------------ baseline and carbon


def _baseline() -> tuple[Panel, ...]:
    empty, alias = "energy.needs_baseline", targets.UNIT_ALIAS
    units = replace(UNIT_ENERGY, by=LEVELS)
    by_day = replace(units, every=DAY, fill="null")
    return (
        panels.lines(
            "energy.enpi",
            "1",
            Target(query=queries.greatest("enpi", by_day), alias=alias),
            steps=theme.falling(1.0, 1.1),
            custom={"thresholdsStyle": {"mode": "dashed"}},
            width=8,
            decimals=2,
            empty=empty,
        ),
        panels.lines(
            "energy.expected",
            "kWh",
            Target(query=queries.total("expected_kwh", by_day), alias="energy.expected.line"),
            Target(query=queries.total("energy_kwh", by_day.but('"expected_kwh" > 0')), alias="energy.actual.line"),
            width=8,
            decimals=0,
            empty=empty,
        ),
        panels.lines(
            "energy.cusum",
            "kWh",
            Target(query=published.running("saving_kwh", units), alias=alias),
            width=8,
            decimals=0,
            empty=empty,
        ),
    )


def _carbon() -> Panel:
    return panels.bars(
        "energy.carbon",
        "kg",
        targets.total("carbon_kg", replace(SITE_ENERGY, every=DAY, by=("site",)), alias="$tag_site"),
        stacked=True,
        decimals=0,
        empty="energy.needs_factor",
    )
