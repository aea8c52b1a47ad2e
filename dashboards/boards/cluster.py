"""Cluster of sites: who is how good at what, ranked only where enough is known, by name or by letter."""

from dataclasses import replace
from typing import Any, Final

from dashboards import cluster_queries as cluster
from dashboards import panels, places, queries, scorecard_queries, theme, variables
from dashboards.board import Board, Label, Override, Panel, Row, Shape, Target
from dashboards.cluster_queries import CARD_COVERAGE, CARD_SCORE, SITES, WHO
from historian import schema
from historian.lookups import letters_of
from shopfloor.plant import Plant

_DAYS: Final = replace(SITES, every="1d")
_NONE_RANKED: Final = "cluster.none_ranked"
KPIS: Final = {
    "coverage": "ratio",
    "oee_index": "ratio",
    "availability": "ratio",
    "effectiveness": "ratio",
    "quality_ratio": "ratio",
    "energy_kwh_per_good": "kWh/quantity",
    "sec_kwh_per_t": "kWh/t",
    "energy_cost_per_t": "currency",
    "carbon_kg_per_t": "kg/t",
}
"""What sites are compared by, with its unit."""
_DECIMALS: Final = {"ratio": 1, "kWh/quantity": 3, "kWh/t": 1, "kg/t": 1, "currency": 0}


def board(plant: Plant) -> Board:
    """The board."""
    return Board(
        id="cluster",
        start="now-30d/d",
        end="now-1d/d",
        refresh="5m",
        variables=(
            variables.SITE,
            scorecard_queries.GUIDELINE_CHOICE,
            cluster.NAMES_OR_LETTERS,
            variables.ZONE,
        ),
        rows=(
            Row("cluster.row_ranks", (panels.note("cluster.fair", width=24, height=3), *_ranks(plant))),
            Row("cluster.row_sites", (_sites(plant), _unranked(plant))),
            Row("cluster.row_trend", _trend(plant)),
        ),
    )


def _ranks(plant: Plant) -> tuple[Panel, ...]:
    def rank(
        name: str, column: str, told: tuple[str, ...], unit: str, *, best_first: bool = True, **more: Any
    ) -> Panel:
        return panels.ranking(
            f"cluster.{name}",
            unit,
            *(Target(query=query, shape=Shape.TABLE) for query in (cluster.who(), *told)),
            width=6,
            height=9,
            transformations=(
                *_joined((WHO, column)),
                _having(column),
                *more.pop("then", ()),
                {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": column, "desc": best_first}]}},
            ),
            overrides=(_who(plant),),
            empty=_NONE_RANKED,
            **more,
        )

    def kpi(name: str) -> tuple[str, ...]:
        return (cluster.ranked(name, queries.kpi(name, SITES)),)

    # InfluxQL joins no two measurements: what is known comes as an answer of its own, and Grafana joins
    score = (
        cluster.cards(schema.SCORE, CARD_SCORE),
        cluster.ranked(schema.COVERAGE, queries.kpi(schema.COVERAGE, SITES)),
    )
    return (
        rank("oee", "oee_index", kpi("oee_index"), "ratio", decimals=1, steps=theme.FACTORS["oee_index"]),
        rank("per_ton", "sec_kwh_per_t", kpi("sec_kwh_per_t"), "kWh/t", best_first=False, decimals=1),
        rank("cost", "energy_cost_per_t", kpi("energy_cost_per_t"), "currency", best_first=False, decimals=0),
        rank("score", CARD_SCORE, score, "1", decimals=2, then=_known_alone()),
    )


def _known_alone() -> tuple[dict[str, Any], ...]:
    """Only sites that have a coverage, which itself is not shown."""
    return (
        _having(schema.COVERAGE),
        {
            "id": "organize",
            "options": {"excludeByName": {schema.COVERAGE: True}, "indexByName": {}, "renameByName": {}},
        },
    )


def _having(column: str) -> dict[str, Any]:
    """Rows with a number in a column: to Grafana what a merge leaves open is no null."""
    number = {"id": "regex", "options": {"value": "^-?[0-9]"}}
    filters = [{"fieldName": column, "config": number}]
    return {"id": "filterByValue", "options": {"filters": filters, "type": "include", "match": "all"}}


def _sites(plant: Plant) -> Panel:
    columns = (WHO, *KPIS, CARD_SCORE, CARD_COVERAGE)
    steps = {name: theme.FACTORS[name] for name in ("coverage", "oee_index")}
    return panels.table(
        "cluster.sites",
        "text",
        Target(query=cluster.who(), shape=Shape.TABLE),
        *(Target(query=queries.kpi(name, SITES), shape=Shape.TABLE) for name in KPIS),
        Target(query=cluster.cards(schema.SCORE, CARD_SCORE), shape=Shape.TABLE),
        Target(query=cluster.cards(schema.COVERAGE, CARD_COVERAGE), shape=Shape.TABLE),
        width=18,
        height=10,
        transformations=_joined(columns),
        overrides=(
            _who(plant),
            *(
                panels.named(
                    name,
                    title=f"kpi:{name}",
                    unit=unit,
                    decimals=_DECIMALS[unit],
                    **({"steps": steps[name], "cell": {"type": "color-text"}} if name in steps else {}),
                )
                for name, unit in KPIS.items()
            ),
            panels.named(CARD_SCORE, title="cluster.field.score", unit="1", decimals=2),
            panels.named(CARD_COVERAGE, title="cluster.field.score_coverage", unit="ratio", decimals=0),
        ),
        empty="cluster.no_day_or_mixed",
    )


def _unranked(plant: Plant) -> Panel:
    columns = (WHO, schema.COVERAGE)
    return panels.table(
        "cluster.unranked",
        "ratio",
        Target(query=cluster.who(), shape=Shape.TABLE),
        Target(query=cluster.unranked(), shape=Shape.TABLE),
        width=6,
        height=10,
        transformations=(
            *_joined(columns),
            _having(schema.COVERAGE),
        ),
        overrides=(_who(plant), panels.named(schema.COVERAGE, title="kpi:coverage", unit="ratio", decimals=1)),
        empty="cluster.all_ranked",
    )


def _joined(columns: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    """One row a site of all answers; the tag by which they are joined is not shown, for it is the name."""
    return (
        {"id": "filterFieldsByName", "options": {"exclude": {"names": ["Time"]}}},
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {"site": True},
                "indexByName": {name: at for at, name in enumerate(columns)},
                "renameByName": {},
            },
        },
    )


def _who(plant: Plant) -> Override:
    """Ids of sites by their names; a letter stands as it is."""
    return panels.named(WHO, title="field.site", mappings=(places.names(plant, "site"),))


def _trend(plant: Plant) -> tuple[Panel, ...]:
    def course(name: str, kpi: str, unit: str, **more: Any) -> Panel:
        told = Target(query=queries.course(kpi, _DAYS), alias=cluster.ALIAS)
        panel = panels.lines(f"cluster.{name}", unit, told, width=8, height=9, **more)
        return replace(panel, overrides=_series(plant))

    return (
        course("oee_days", "oee_index", "ratio", decimals=1, empty="cluster.no_day"),
        course("coverage_days", "coverage", "ratio", decimals=1, high=1.0, empty="cluster.no_day"),
        course("per_ton_days", "sec_kwh_per_t", "kWh/t", decimals=1, empty=_NONE_RANKED),
    )


def _series(plant: Plant) -> tuple[Override, ...]:
    """Series by name or by letter, as ``cluster.ALIAS`` tells which."""
    letters = letters_of(plant)
    return tuple(
        override
        for site in plant.sites
        for override in (
            panels.named(f"{site.id}.{schema.SITE_ID}", title=Label(site.name, site.id)),
            panels.named(f"{site.id}.{schema.SITE_LETTER}", title=letters[site.id]),
        )
    )
