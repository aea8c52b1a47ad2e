"""The KPIs that boards ask InfluxDB for are those of ``kpi.evaluation``, on sparse facts of a real server."""

import random

import pytest

from dashboards import queries, variables
from dashboards.queries import LEVELS, Slice
from historian.connect import connect
from historian.lookups import lookup_points
from historian.overwrite import changes
from historian.records import fact_point, facts_of, unit_query
from historian.schema import Grain
from kpi.evaluation.evaluate import evaluate
from kpi.evaluation.formulas import FORMULAS
from shopfloor.additive import COLUMNS, Merge, merge
from shopfloor.fact import Fact
from shopfloor.instant import HOUR
from shopfloor.plant_file import load
from tests.filled_plant import PLANT_FILE
from tests.influxd import asked, fresh_database

START = 1_767_225_600_000
UNITS = ("ceper/machining/line-1/cnc-01", "ceper/machining/line-1/cnc-02", "ceper/foundry/melting/furnace-01")
NEVER = "other_loss_kg"
"""A column that no fact has: InfluxQL knows no such field."""


def sparse(chance: random.Random) -> dict[str, float]:
    """A record in which most columns are absent, as in a store."""
    summed = [column.name for column in COLUMNS.values() if column.merge is Merge.SUM and column.name != NEVER]
    return {name: round(chance.uniform(0.5, 900), 3) for name in chance.sample(summed, 25)}


def ask(url: str, query: str, grain: Grain, start: int, end: int) -> list[dict]:
    """As Grafana sends it: all units chosen, the range in milliseconds."""
    for name, value in (("__from", start), ("__to", end)):
        query = query.replace(f"${{{name}}}", str(value))
    query = query.replace("${grain:raw}", grain.value)
    for variable in ("site", "line", "unit"):
        query = query.replace(f"${{{variable}:regex}}", ".*")
    return asked(url, query)


def test_a_kpi_on_a_board_is_the_kpi_of_the_api(influx):
    url = fresh_database(influx.address)
    store, chance = connect(url, {}), random.Random(7)
    facts: dict[str, list[Fact]] = {unit: [] for unit in UNITS}
    for unit in UNITS:
        for hour in range(6):
            record = sparse(chance) | ({"planned_run_s": 60.0} if hour % 2 else {})
            start = START + hour * HOUR
            facts[unit].append(Fact(unit, start, "pagi", "none", record))
    points = [fact_point("logam-jaya", Grain.HOUR, fact) for each in facts.values() for fact in each]
    assert len(store.write(points).accepted) == len(points)
    store.close()
    # the hour that begins at the end of the range is not in it
    inside = {unit: [fact for fact in each if fact.time < START + 5 * HOUR] for unit, each in facts.items()}
    compared = 0
    for kpi in FORMULAS:
        told = ask(url, queries.kpi(kpi, Slice(by=LEVELS)), Grain.HOUR, START, START + 5 * HOUR)
        found = {"/".join(series["tags"][level] for level in LEVELS): series["values"][0][1] for series in told}
        for unit in UNITS:
            expected = evaluate(merge(fact.elements for fact in inside[unit])).kpis[kpi]
            assert found.get(unit) == (None if expected is None else pytest.approx(expected, rel=1e-9)), (kpi, unit)
            compared += expected is not None
    assert compared > 100


def test_what_boards_divide_follows_a_fact_that_changes_and_nobody_else_reads_it(influx):
    url, path = fresh_database(influx.address), UNITS[0]
    store = connect(url, {})
    early = Fact(path, START, "pagi", "none", {"running_s": 1800.0, "unknown_s": 1800.0, "good_run_s": 900.0})
    late = Fact(path, START, "pagi", "none", {"running_s": 3600.0})
    told = []
    for stored, derived in (([], [early]), ([early], [late])):
        points = [fact_point("logam-jaya", Grain.HOUR, fact) for fact in changes(stored, derived)]
        assert len(store.write(points).accepted) == 1
        assert facts_of(store.read(unit_query(Grain.HOUR, "logam-jaya", path))) == derived
        for kpi in ("coverage", "oee_index"):
            told.append(
                ask(url, queries.kpi(kpi, Slice(by=LEVELS)), Grain.HOUR, START, START + HOUR)[0]["values"][0][1]
            )
    columns = store.facts(Grain.HOUR, {}, None, None)
    store.close()
    assert told == [0.5, 0.5, 1.0, 0.0]
    assert not [name for name in columns.values if name.startswith("sum_")]


def test_an_hour_that_nobody_planned_is_empty_and_not_zero(influx):
    url = fresh_database(influx.address)
    store = connect(url, {})
    still = Fact(UNITS[0], START, "off", "none", {"not_scheduled_s": 3600.0})
    assert store.write([fact_point("logam-jaya", Grain.HOUR, still)]).accepted
    store.close()
    assert ask(url, queries.kpi("oee_index", Slice(by=LEVELS)), Grain.HOUR, START, START + HOUR) == []


@pytest.mark.parametrize(
    ("hours", "found"),
    [
        (1, ["facts", "losses", "5m"]),
        (6, ["facts", "losses", "5m"]),
        (24, ["facts_hour", "losses_hour", "1h"]),
        (2160, ["facts_shift", "losses_shift", "1d"]),
    ],
)
def test_a_range_finds_its_grain(influx, hours, found):
    url = fresh_database(influx.address)
    store, plant = connect(url, {}), load(PLANT_FILE)
    points = lookup_points(plant)
    assert len(store.write(points).accepted) == len(points)
    store.close()
    told = [
        ask(url, variable.query, Grain.HOUR, START, START + hours * HOUR)[0]["values"][0][1]
        for variable in variables.HIDDEN
    ]
    assert told == [*found, "Asia/Jakarta"]
