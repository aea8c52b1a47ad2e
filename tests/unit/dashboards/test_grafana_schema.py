"""Every rendered board is a dashboard to Grafana 10.4 and 13, by the types that Grafana itself publishes."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from cli.dashboards import documents
from cli.plants import load_plant
from dashboards.text import LANGUAGES
from tests.filled_plant import PLANT_FILE

SCHEMAS = sorted((Path(__file__).parents[2] / "grafana_schema").glob("dashboard-*.json"))


@pytest.fixture(scope="module", params=SCHEMAS, ids=lambda path: path.stem)
def validator(request: pytest.FixtureRequest) -> Draft7Validator:
    schema = json.loads(request.param.read_text("utf-8"))
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


@pytest.fixture(scope="module")
def boards() -> list[dict[str, Any]]:
    plant = load_plant(PLANT_FILE)
    return [board for language in LANGUAGES for board in documents(plant, language)]


def told(validator: Draft7Validator, board: dict[str, Any]) -> list[str]:
    return [f"{board['uid']}: {fault.json_path}: {fault.message[:200]}" for fault in validator.iter_errors(board)]


def test_there_is_an_old_and_a_new_schema() -> None:
    assert [path.stem.rpartition("-")[2].partition(".")[0] for path in SCHEMAS] == ["10", "13"]


def test_every_board_is_a_dashboard(validator: Draft7Validator, boards: list[dict[str, Any]]) -> None:
    assert boards
    assert [fault for board in boards for fault in told(validator, board)] == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda board: board.update(schemaVersion="39"), "$.schemaVersion"),
        (lambda board: board.update(editable="no"), "$.editable"),
        (lambda board: board["time"].update({"from": 24}), "$.time.from"),
        (lambda board: board.update(tags="shopfloor"), "$.tags"),
        (lambda board: board["templating"]["list"][0].update(hide="yes"), "$.templating.list[0]"),
        (lambda board: board["panels"][1]["gridPos"].update(h="8"), "$.panels[1]"),
        (lambda board: board["panels"][1].update(targets={"A": {}}), "$.panels[1]"),
    ],
)
def test_a_wrong_type_is_refused(
    validator: Draft7Validator,
    boards: list[dict[str, Any]],
    change: Callable[[dict[str, Any]], object],
    place: str,
) -> None:
    broken = copy.deepcopy(boards[0])
    change(broken)
    assert any(fault.json_path.startswith(place) for fault in validator.iter_errors(broken))
