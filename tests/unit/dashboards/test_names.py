"""Queries of boards name what the schema has, and ask what may be asked; each rule finds what breaks it."""

import pytest

from dashboards import queries, variables
from dashboards.influxql_select import read_query
from dashboards.names import name_problems
from dashboards.queries import LEVELS, Slice
from kpi.evaluation.formulas import FORMULAS

WINDOW = queries.WINDOW
GOOD = (
    *(queries.kpi(name, Slice(by=LEVELS, every=queries.BUCKET)) for name in FORMULAS),
    *(variable.query for variable in (*variables.PLACES, variables.SHIFT, *variables.HIDDEN)),
    queries.total("good", Slice(), factor=0.5),
    queries.element("planned_busy_s", Slice(by=("work_unit",))),
    f'SELECT last("oee_index") FROM "kpi_published" WHERE {WINDOW} AND "current" = 1 GROUP BY "work_unit"',
    f'SELECT sum("sum_good") FROM "kpi_published" WHERE {WINDOW} AND "current" = 1 AND "shift" = \'-\'',
    f'SELECT mean("power_kw") FROM "raw"."samples" WHERE {WINDOW} GROUP BY time($__interval), "work_unit" fill(null)',
    f'SELECT top("s", "work_unit", 5) FROM (SELECT sum("lost_s") AS "s" FROM "losses" WHERE {WINDOW} GROUP BY *)',
    f'SELECT "_dead_a" FROM (SELECT last(/^dead_/) FROM "ledger" WHERE {WINDOW} GROUP BY "agent")',
    f'SELECT count("N") FROM "raw"."samples" WHERE {WINDOW}',
    'SHOW TAG VALUES FROM "capability" WITH KEY = "characteristic"',
    f'SELECT * FROM "stops" WHERE {WINDOW} AND "work_unit" =~ /^${{unit:regex}}$/ ORDER BY time DESC LIMIT 20',
)


@pytest.mark.parametrize("query", GOOD)
def test_a_right_query_passes(query: str) -> None:
    assert list(name_problems(query)) == []


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ('SELECT sum("good") FROM "fact_hours"', "no measurement 'fact_hours'"),
        ('SELECT sum("goods") FROM "facts_hour"', "facts_hour has no field 'goods'"),
        ('SELECT sum("goods") FROM "${grain:raw}"', "facts_hour has no field 'goods'"),
        ("SELECT sum(goods) FROM facts_hour", "facts_hour has no field 'goods'"),
        ('SELECT sum("good") FROM "facts_hour" GROUP BY "unit"', "no tag 'unit'"),
        ('SELECT sum("good") FROM "facts_hour" WHERE "machine" = \'a\'', "neither tag nor field 'machine'"),
        ('SELECT "b" FROM (SELECT sum("good") AS "a" FROM "facts_hour")', "'b' is no column of the subquery"),
        ('SELECT last("oee_index") FROM "kpi_published"', 'kpi_published without "current" = 1'),
        ('SELECT "a" FROM (SELECT last("value") AS "a" FROM "chart_points")', 'chart_points without "current" = 1'),
        ('SELECT last("oee") FROM "kpi_published" WHERE "current" = 1', "no field 'oee'"),
        ('SELECT mean("oee_index") FROM "kpi_published" WHERE "current" = 1', "an average of quotients"),
        ('SELECT mean("q") FROM (SELECT sum("good") AS "q" FROM "${grain:raw}" GROUP BY time(1h))', "an average"),
        ('SELECT mean("power_kw") FROM "samples"', 'write "raw"."samples"'),
        ('SELECT sum("good") FROM "raw"."facts_hour"', "write its name alone"),
        ('SELECT sum("good") FROM "facts_hour" WHERE time > now() - 1h', "now() is the server's"),
        ('SHOW TAG VALUES FROM "facts_shift" WITH KEY = "unit"', "no tag 'unit'"),
        ("DROP DATABASE x", "SELECT is expected"),
        ('SELECT sum("good") FROM "facts_hour" )', "cannot read the query"),
    ],
)
def test_a_wrong_name_is_told(query: str, words: str) -> None:
    assert any(words in problem for problem in name_problems(query)), list(name_problems(query))


def test_a_query_is_taken_apart() -> None:
    found = read_query(
        'SELECT sum("a") * 2 AS "x", last("b") FROM (SELECT "a", "b" FROM "m" WHERE "t" = \'a, (b\'), "n"."o" '
        'WHERE "x" > 1 AND "u" =~ /^(a|b)$/ GROUP BY time(1h), "u" fill(none) tz(\'UTC\')'
    )
    assert (found.reads, found.gives, found.functions) == (("a", "b"), ("x", "last"), ("sum", "last"))
    assert (found.asks, found.groups, list(found.measurements())) == (("x", "u"), ("u",), ["m", "o"])
    assert found.policies == ("", "n")
