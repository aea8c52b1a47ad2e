# ruff: noqa: E501 - a mistake, its place and its remedy read best on one line
"""plant.yaml: what it says becomes frozen objects; what is wrong in it is named with line, field and remedy."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from shopfloor.dated import BEGINNING
from shopfloor.errors import PlantError
from shopfloor.instant import parse_instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant_file import load
from shopfloor.plant_schema import json_schema

ROOT = Path(__file__).parents[3]
CEPER = ROOT / "plants" / "ceper" / "plant.yaml"
GOOD = CEPER.read_text("utf-8")
CNC = "ceper/machining/line-1/cnc-01"


def problems_of(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "plant.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(PlantError) as caught:
        load(path)
    return [problem.removeprefix(f"{path}:") for problem in caught.value.problems]


@pytest.mark.parametrize("name", ["ceper", "steel-year"])
def test_the_example_plants_load_and_agree_with_the_published_schema(name: str) -> None:
    path = ROOT / "plants" / name / "plant.yaml"
    assert load(path).units
    document = yaml.load(path.read_text("utf-8"), yaml.BaseLoader)
    schema = json.loads((ROOT / "plants" / "plant.schema.json").read_text("utf-8"))
    assert schema == json.loads(json.dumps(json_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(document) <= set(schema["properties"])


def test_a_unit_inherits_site_and_knows_its_agent() -> None:
    plant = load(CEPER)
    unit = plant.units[CNC]
    assert unit.timezone == "Asia/Jakarta"
    assert unit.device.connection == ("192.0.2.11", 502)
    assert unit.max_age_ms == 3 * unit.device.scan_ms == 6_000
    assert unit.states is not None
    assert unit.states.at(0) == {
        0: TimeCategory.NO_ORDER,
        1: TimeCategory.RUNNING,
        2: TimeCategory.UNPLANNED_STOP,
        3: TimeCategory.SETUP,
        4: TimeCategory.STARVED,
        5: TimeCategory.BLOCKED,
        6: TimeCategory.PLANNED_STOP,
    }
    assert plant.agent_of(CNC) == "edge-ceper-1"
    assert [str(unit.path) for unit in plant.matching("ceper/machining")] == [
        f"ceper/machining/line-1/cnc-0{number}" for number in (1, 2, 3)
    ]


def test_a_dated_meaning_holds_from_local_midnight_of_its_date(tmp_path: Path) -> None:
    path = tmp_path / "plant.yaml"
    path.write_text(
        GOOD.replace(
            "planned_run_time_s: {grey-iron-heat: 2400}",
            "planned_run_time_s: [{value: {grey-iron-heat: 2400}}, "
            "{valid_from: 2026-03-01, value: {grey-iron-heat: 2100}}]",
        ),
        "utf-8",
    )
    dated = load(path).units["ceper/foundry/melting/furnace-01"].planned_run_time_s
    assert dated is not None
    change = parse_instant("2026-03-01T00:00:00+07:00")
    assert [since for since, _ in dated.entries] == [BEGINNING, change]
    assert dated.at(change - 1) == {"grey-iron-heat": 2400}
    assert dated.at(change) == {"grey-iron-heat": 2100}


MISTAKES = {
    "an id with capitals": ("enterprise: logam-jaya", "enterprise: Logam Jaya", "4: enterprise: 'Logam Jaya' is not an id"),
    "an unknown field": ("timezone: Asia/Jakarta", "timezone: Asia/Jakarta\n    tarif: x", "tarif: unknown field 'tarif'; did you mean 'tariff'?"),
    "a missing field": ("    timezone: Asia/Jakarta\n", "", "sites[0].timezone: is missing; add it"),
    "an unknown zone": ("Asia/Jakarta", "Asia/Jakata", "sites[0].timezone: 'Asia/Jakata' is not an IANA zone; did you mean 'Asia/Jakarta'?"),
    "an unknown state": ("0: no_order, 1: running", "0: no_order, 1: runing", "'runing' is not allowed; use one of 'running'"),
    "an unknown product": ("product: grey-iron-heat", "product: gray-iron-heat", "there is no product 'gray-iron-heat'; did you mean 'grey-iron-heat'?"),
    "a bad connection": ("modbus-tcp://192.0.2.11:502", "192.0.2.11:502", "'192.0.2.11:502' is not a connection; write modbus-tcp://HOST:PORT"),
    "a bad duration": ("scan: 5s", "scan: 5 seconds", "device.scan: '5 seconds' is not a duration; write e.g. 500ms"),
    "overlapping shifts": ('sore: "14:00-22:00"', 'sore: "13:00-22:00"', "overlaps with shift 'pagi'; a moment belongs to one shift"),
    "a pattern without units": ("units: [\"ceper/*\"]", "units: [\"cepr/*\"]", "'cepr/*' matches no unit"),
    "a unit twice": ("id: cnc-02", "id: cnc-01", "the unit ceper/machining/line-1/cnc-01 stands twice; give each its own id"),
    "an output unit that is not there": ("output_unit: cnc-03", "output_unit: cnc-30", "there is no work unit in this work center 'cnc-30'; did you mean 'cnc-03'?"),
    "a key twice": ("language: id", "language: id\nlanguage: en", "the key 'language' stands twice; remove or rename one"),
    "a product without a run time": ("planned_run_time_s: {grey-iron-heat: 2400}", "max_age: 15s", "product 'grey-iron-heat' has no planned_run_time_s here"),
    "a target in percent": ("targets: {oee: 0.7, availability: 0.85", "targets: {oee: 70, availability: 0.85", "targets.oee: 70: input should be less than or equal to 1"),
    "broken YAML": ("products:", "products: [", "not YAML:"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_line_field_and_remedy(tmp_path: Path, mistake: str) -> None:
    before, after, expected = MISTAKES[mistake]
    assert before in GOOD
    problems = problems_of(tmp_path, GOOD.replace(before, after, 1))
    assert any(expected in problem for problem in problems), problems
    assert all(problem.split(":")[0].isdigit() for problem in problems)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    text = GOOD
    shared = (
        "broken YAML",
        "an unknown zone",
        "a unit twice",
        "a product without a run time",
    )  # lines of other mistakes
    chosen = [mistake for name, mistake in MISTAKES.items() if name not in shared]
    for before, after, _ in chosen:
        assert before in text
        text = text.replace(before, after, 1)
    problems = "\n".join(problems_of(tmp_path, text))
    assert [expected for _, _, expected in chosen if expected not in problems] == []


def test_words_of_yaml_1_1_stay_words(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, GOOD.replace("language: id ", "language: no "))
    assert problems == ["5: language: 'no' is not allowed; use one of 'en' or 'id'"]


def test_a_template_that_lacks_the_tag_is_named() -> None:
    with pytest.raises(PlantError) as caught:
        load(CEPER, lambda name: frozenset({"energy_kwh"}))
    assert "template 'furnace-generic' gives no tag 'state' here; it gives energy_kwh" in str(caught.value)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(PlantError, match="cannot be read"):
        load(tmp_path / "none.yaml")
