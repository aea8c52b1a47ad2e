"""``shopfloor dashboards verify`` on a day of the example plant: every query of every board on a real influxd."""

import asyncio
import copy
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.dashboards_verify import rendered, rendered_rules
from cli.main import main
from dashboards import targets
from dashboards.api_source import KpiApi
from dashboards.board import Row
from dashboards.boards import boards_of
from dashboards.influx_source import InfluxSource
from dashboards.kpi_values import compare
from dashboards.published_queries import SITE_KPIS
from dashboards.render import Setting, render
from dashboards.text import words
from dashboards.verify import BoardQueries, Rendered, Report, range_of, verify
from dashboards.verify_alerts import ALERTS, RenderedRule, verify_rules
from historian.influx_access import InfluxAccess
from historian.influx_http import InfluxServer
from shopfloor.instant import HOUR, format_instant
from tests.board_data import BoardData, filled, fresh_url, kpi_api
from tests.filled_plant import PLANT_FILE
from tests.influxd import InfluxDaemon
from tests.integration.conftest import require_mosquitto

SCAN_S = 60
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def day(influx: InfluxDaemon, tmp_path_factory: pytest.TempPathFactory) -> BoardData:
    require_mosquitto()
    return asyncio.run(filled(tmp_path_factory.mktemp("day"), fresh_url(influx), days=1, scan_s=SCAN_S))


@pytest.fixture(scope="module")
def source(day: BoardData) -> Iterator[InfluxSource]:
    with closing(InfluxSource(InfluxAccess.of(day.url, {}))) as opened:
        yield opened


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


async def test_every_query_answers_and_every_kpi_is_the_apis(
    day: BoardData, capsys: pytest.CaptureFixture[str]
) -> None:
    async with kpi_api(day) as api:
        asked = ["dashboards", "verify", str(day.plant_file), "--url", day.url, "--api", api, "--json"]
        code = await asyncio.to_thread(main, [*asked, "--now", format_instant(day.now)])
    found = told(capsys)
    assert (found["problems"], found["differences"]) == ([], [])
    assert (code, found["failed"], found["empty"], found["different"]) == (0, 0, 0, 0)
    assert found["boards"] == 2 * len(boards_of(day.plant))
    assert found["alerts"] == len(rendered_rules(day.plant))
    assert found["queries"] > found["panels"] > found["boards"]
    assert len(found["windows"]) == 3  # an hour, a day of shifts, a production day
    assert found["values"] > found["defined"] > 20


def broken(day: BoardData, old: str, new: str) -> Rendered:
    """The first board that has it, with another query on its first panel that has it and may not be empty."""
    for whole in rendered(day.plant, "en"):
        found = Rendered(whole.board, copy.deepcopy(dict(whole.document)))
        for panel, document in found.panels():
            for target in document["targets"]:
                if old in target["query"] and panel.empty is None:
                    target["query"] = target["query"].replace(old, new)
                    return found
    raise AssertionError(f"no board asks {old}")


@pytest.mark.parametrize(
    ("old", "new", "kind", "detail"),
    [
        ("SELECT", "SELCT", "failed", "error parsing query"),
        ("${grain:raw}", "fact_hours", "empty", "no value"),
        ("${grain:raw}", "${grian:raw}", "failed", "no variable is named 'grian'"),
    ],
)
def test_a_broken_query_is_told(
    day: BoardData, source: InfluxSource, old: str, new: str, kind: str, detail: str
) -> None:
    report = verify([broken(day, old, new)], source.ask, day.now)
    assert getattr(report, kind) >= 1
    assert any(problem.kind == kind and detail in problem.detail for problem in report.problems)


def asked_rules(rules: list[RenderedRule], source: InfluxSource, now: int) -> Report:
    report = Report()
    verify_rules(rules, source.ask, now, report)
    return report


def test_every_question_of_an_alert_answers(day: BoardData, source: InfluxSource) -> None:
    rules = rendered_rules(day.plant)
    report = asked_rules(rules, source, day.now)
    assert report.problems == []
    assert report.alerts == len(rules)
    assert report.queries == sum(len(each.rule.asks) for each in rules)
    assert report.by_board[ALERTS]["queries"] == report.queries
    assert report.declared_empty < report.queries / 2


def test_after_the_last_sample_the_rules_that_need_some_are_empty(day: BoardData, source: InfluxSource) -> None:
    rules = rendered_rules(day.plant)
    report = asked_rules(rules, source, day.now + HOUR)
    silent = {problem.panel for problem in report.problems}
    assert {problem.kind for problem in report.problems} == {"empty"}
    assert silent == {each.document["title"] for each in rules if each.rule.empty is None}


SILENT = 'SELECT count("told_t") FROM "ledger" WHERE $timeFilter AND "agent" = \'edge-ceper-1\''


def broken_rule(day: BoardData, old: str, new: str) -> RenderedRule:
    """The rule of a silent agent with another query."""
    (silent,) = [each for each in rendered_rules(day.plant) if each.rule.id.startswith("silent-")]
    document = copy.deepcopy(dict(silent.document))
    model = document["data"][0]["model"]
    assert old in model["query"]
    model["query"] = model["query"].replace(old, new)
    return RenderedRule(silent.rule, document)


@pytest.mark.parametrize(
    ("old", "new", "kind", "detail"),
    [
        ("SELECT", "SELCT", "failed", "error parsing query"),
        ('"ledger"', '"ledgers"', "empty", "no value"),
        ("$timeFilter", "time < ${__to}ms", "failed", "${__to} is filled in on boards alone"),
        (SILENT, 'SELECT last("category_text") FROM "stops"', "failed", "last is no number"),
    ],
)
def test_a_broken_alert_is_told(
    day: BoardData, source: InfluxSource, old: str, new: str, kind: str, detail: str
) -> None:
    (problem,) = asked_rules([broken_rule(day, old, new)], source, day.now).problems
    assert (problem.board, problem.query, problem.kind) == (ALERTS, "QA", kind)
    assert detail in problem.detail


def test_what_another_machine_measures_is_not_empty(day: BoardData, source: InfluxSource) -> None:
    (machine,) = [each for each in rendered(day.plant, "en") if each.board.id == "machine"]
    span = range_of(machine.document, day.now)
    asked = BoardQueries(machine, source.ask, span)
    units = {chosen["unit"][0] for chosen in asked.others()}
    assert units == {unit.path.work_unit for unit in day.plant.units.values() if unit.is_machine}
    signals = [each for each in machine.panels() if each[0].text.startswith("machine.signal.")]
    assert {each[0].text.rpartition(".")[2] for each in signals} == {"mass", "power", "pressure", "temperature"}
    board = replace(machine.board, rows=(Row("machine.row_signals", tuple(panel for panel, _ in signals)),))
    document = {**machine.document, "panels": [document for _, document in signals]}
    report = verify([Rendered(board, document)], source.ask, day.now)
    assert (report.problems, report.declared_empty) == ([], 0)


async def test_a_number_that_is_not_the_apis_is_told(day: BoardData, source: InfluxSource) -> None:
    def wrong(window: Any, subject: str) -> dict[str, dict[str, float | None]]:
        return {unit: {"oee_index": 0.123, "coverage": None} for unit in day.plant.units}

    boards = [each for each in rendered(day.plant, "en") if each.board.id == "line"]
    found = compare(boards, source.ask, wrong, day.plant, day.now)
    assert len(found.differences) > found.values / 2


async def test_what_is_published_of_a_sites_day_is_the_apis(day: BoardData, source: InfluxSource) -> None:
    (overview,) = (board for board in boards_of(day.plant) if board.id == "overview")
    asked = tuple(targets.kpi(day.plant, name, SITE_KPIS) for name in ("oee_index", "availability", "coverage"))
    first = replace(overview.rows[0].panels[0], targets=asked)
    board = replace(overview, rows=(Row(overview.rows[0].text, (first,)),))
    document = render(board, [board], Setting(words("en"), "Asia/Jakarta"))
    async with kpi_api(day) as url:
        api = KpiApi(url)
        found = await asyncio.to_thread(compare, [Rendered(board, document)], source.ask, api.kpis, day.plant, day.now)
    assert (found.values, found.defined, found.differences) == (3, 3, [])


def test_a_table_names_every_board(day: BoardData, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["dashboards", "verify", str(day.plant_file), "--url", day.url, "--language", "id"]
    assert main([*asked, "--now", format_instant(day.now)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines[1:-1]} == {
        *(f"{board.uid}-id" for board in boards_of(day.plant)),
        ALERTS,
    }


@pytest.mark.parametrize(
    ("url", "told_words"),
    [
        ("http://127.0.0.1:1/plant", "cannot be reached"),
        ("http://127.0.0.1:1", "names no database"),
        ("embedded:///srv/historian", "not the embedded store"),
    ],
)
def test_what_cannot_be_asked_is_one_line(url: str, told_words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboards", "verify", str(PLANT_FILE), "--url", url]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert told_words in line
    assert "http://host:8086/DATABASE" in line or "correct --url" in line


def test_a_missing_database_is_told(influx: InfluxDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboards", "verify", str(PLANT_FILE), "--url", influx.url("nowhere")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "database not found: nowhere" in line
    assert "shopfloor historian init" in line


def test_a_wrong_password_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = InfluxDaemon(tmp_path, auth=True).start()
    server = InfluxServer(InfluxAccess.of(locked.url("plant"), {}))
    assert list(server.query("", "CREATE USER grafana WITH PASSWORD 'pass-7' WITH ALL PRIVILEGES")) == []
    server.close()
    monkeypatch.setenv("SHOPFLOOR_HISTORIAN_USERNAME", "grafana")
    monkeypatch.setenv("SHOPFLOOR_HISTORIAN_PASSWORD", "wrong")
    try:
        assert main(["dashboards", "verify", str(PLANT_FILE), "--url", locked.url("plant")]) == 1
    finally:
        locked.stop()
    (line,) = capsys.readouterr().err.splitlines()
    assert "SHOPFLOOR_HISTORIAN_TOKEN" in line


def test_an_api_that_is_away_is_told(day: BoardData, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["dashboards", "verify", str(day.plant_file), "--url", day.url, "--api", "http://127.0.0.1:1"]
    assert main([*asked, "--now", format_instant(day.now)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "shopfloor api" in line
