"""The boards of the example plant hold to the rules, and each rule finds what breaks it."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.dashboards import MANY_ZONES, documents, problems_of, zone_of
from cli.main import main
from cli.plants import load_plant
from dashboards.alerts.render import questions, rules
from dashboards.lint import lint, lint_rules
from tests.filled_plant import PLANT_FILE

SITES = ("ceper",)


@pytest.fixture(scope="module")
def boards() -> list[dict[str, Any]]:
    return documents(load_plant(PLANT_FILE), "en")


def test_the_example_plants_boards_are_right() -> None:
    plant = load_plant(PLANT_FILE)
    assert problems_of(plant) == []
    assert zone_of(plant) == "Asia/Jakarta" != MANY_ZONES


def test_render_writes_the_chosen_language(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboards", "render", str(PLANT_FILE), "-o", str(tmp_path), "--lang", "id"]) == 0
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json"))
    assert "id/shopfloor-overview-id.json" in written
    assert all(name.startswith("id/") for name in written)
    told = capsys.readouterr().out.splitlines()
    assert len([line for line in told if line.endswith(".json")]) == len(written)


def first(board: dict[str, Any]) -> Any:
    return next(panel for panel in board["panels"] if panel.get("targets"))


def moved(board: dict[str, Any]) -> None:
    first(board)["gridPos"]["y"] -= 1


def queried(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def change(board: dict[str, Any]) -> None:
        target = first(board)["targets"][0]
        target["query"] = target["query"].replace(old, new) if old else target["query"] + new

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda board: first(board).update(title=""), "no title"),
        (lambda board: first(board).update(description=""), "no description"),
        (lambda board: first(board)["fieldConfig"]["defaults"].pop("unit"), "no unit"),
        (lambda board: first(board).update(targets=[]), "no query"),
        (lambda board: first(board)["datasource"].update(uid="influx"), "data source 'influx' is literal"),
        (lambda board: first(board)["links"].append({"url": "/d/nowhere?a=b"}), "leads to nowhere"),
        (moved, "overlap"),
        (queried("time < ${__to}ms", "time <= ${__to}ms"), "no window"),
        (queried("", " tz('Asia/Jakarta')"), "time zone tz('Asia/Jakarta') is literal"),
        (queried("", " WHERE \"site\" = 'ceper'"), "site 'ceper' is literal"),
        (queried("", " GROUP BY time(1h)"), "GROUP BY time without fill"),
    ],
)
def test_a_broken_rule_is_told(
    boards: list[dict[str, Any]], change: Callable[[dict[str, Any]], object], words: str
) -> None:
    assert lint(boards, SITES) == []
    broken = copy.deepcopy(boards)
    change(broken[0])
    problems = lint(broken, SITES)
    assert problems
    assert any(words in problem for problem in problems)


def asked(change: Callable[[str], str]) -> Callable[[dict[str, Any]], None]:
    def changed(rule: dict[str, Any]) -> None:
        model = next(questions(rule))["model"]
        model["query"] = change(model["query"])

    return changed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (asked(lambda query: query.replace("$timeFilter", "time > now() - 1h")), "no window; write $timeFilter"),
        (asked(lambda query: f"{query}, time(1h)"), "GROUP BY time without fill"),
        (asked(lambda query: query.replace("$timeFilter", "$timeFilter AND time < ${__to}ms")), "on boards alone"),
        (asked(lambda query: query.replace('"stops"', '"stop"')), "no measurement 'stop'"),
        (asked(lambda query: query.replace('"site"', '"works"')), "no tag 'works'"),
        (lambda rule: rule["data"][0].update(datasourceUid="influx"), "data source 'influx'"),
        (lambda rule: rule["data"][0]["relativeTimeRange"].update(to=604_800), "ends before it begins"),
    ],
)
def test_a_broken_alert_is_told(change: Callable[[dict[str, Any]], object], words: str) -> None:
    found = rules(load_plant(PLANT_FILE))
    assert lint_rules(found) == []
    change(found[0])
    problems = lint_rules(found)
    assert problems
    assert all(problem.startswith(f"alert {found[0]['title']!r}: query QA: ") for problem in problems)
    assert any(words in problem for problem in problems)


def test_an_alert_on_what_was_replaced_is_told() -> None:
    (rule,) = [each for each in rules(load_plant(PLANT_FILE)) if each["labels"]["shopfloor"] == "oee"]
    for question in questions(rule):
        question["model"]["query"] = question["model"]["query"].replace('AND "current" = 1 ', "")
    assert len([problem for problem in lint_rules([rule]) if 'kpi_published without "current" = 1' in problem]) == 2
