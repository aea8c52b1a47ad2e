# ruff: noqa: E501 - a mistake and its remedy read best on one line
"""``shopfloor check``: exit 0 with what the plant is, exit 2 with one clear line per mistake."""

from pathlib import Path

import pytest

from cli.main import main

ROOT = Path(__file__).parents[3]
GOOD = (ROOT / "plants" / "ceper" / "plant.yaml").read_text("utf-8")

MISTAKES = {
    "template": ("template: press-generic", "template: press-genric", "press-generic"),
    "tag of the product": ("product: {tag: product_code,", "product: {tag: recipe,", "gives no tag 'recipe'"),
    "chosen tag": ("connection: \"modbus-tcp://192.0.2.41:502\"", "tags: [energy_kw], connection: \"modbus-tcp://192.0.2.41:502\"", "did you mean 'energy_kwh'?"),
    "zone": ("Asia/Jakarta", "Asia/Jakata", "did you mean 'Asia/Jakarta'?"),
    "state": ("0: no_order, 1: running", "0: no_order, 1: runing", "use one of 'running'"),
    "product": ("product: grey-iron-heat", "product: gray-iron-heat", "did you mean 'grey-iron-heat'?"),
    "connection": ("modbus-tcp://192.0.2.11:502", "192.0.2.11", "write modbus-tcp://HOST:PORT"),
    "duration": ("scan: 5s", "scan: five", "write e.g. 500ms"),
    "agent": ("units: [\"ceper/*\"]", "units: [\"ceper/foundry/*\"]", "no agent reads ceper/machining/line-1/cnc-01, ceper/machining/line-1/cnc-02"),
    "syntax": ("calendars:", "calendars: {", "not YAML"),
    "shift": ('sore: "14:00-22:00"', 'sore: "14-22"', "'14-22' is not a time range; write e.g. 06:00-14:00"),
    "code": ("map: {1: brake-disc", "map: {a: brake-disc", "map.a: 'a': input should be a valid integer"),
    "misspelt section": ("agents:\n", "agent:\n", "unknown field 'agent'; did you mean 'agents'?"),
    "pattern": ("units: [\"ceper/*\"]", "units: [\"cepr/*\"]", "'cepr/*' matches no unit"),
    "simulation": ("simulation: {counter_reset_per_order: 1}", "simulation: {resets: 1}", "simulation.resets is unknown"),
    "number": ("mass_kg: 1000", "mass_kg: heavy", "'heavy': input should be a valid number"),
    "tariff": ("tariff: pln-i3", "tariff: pln-i4", "there is no tariff 'pln-i4'; did you mean 'pln-i3'?"),
}  # fmt: skip


@pytest.mark.parametrize("name", ["ceper", "steel-year"])
def test_a_good_plant_passes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(ROOT / "plants" / name / "plant.yaml")]) == 0
    assert ": ok - " in capsys.readouterr().out


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_clear_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mistake: str
) -> None:
    before, after, remedy = MISTAKES[mistake]
    assert before in GOOD
    path = tmp_path / "plant.yaml"
    path.write_text(GOOD.replace(before, after, 1), "utf-8")
    assert main(["check", str(path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    (line,) = lines
    assert line.startswith(f"{path}:")
    assert remedy in line


def test_a_missing_file_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "nowhere.yaml"]) == 2
    assert capsys.readouterr().err.startswith("nowhere.yaml: cannot be read")


@pytest.mark.parametrize("text", ["time,work_unit,tag,value\n", "- a\n- b\n", "5\n"])
def test_a_file_that_is_no_mapping_is_one_clear_line(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plant.yaml"
    path.write_text(text, "utf-8")
    assert main(["check", str(path)]) == 2
    told = capsys.readouterr().err
    assert (told.count("\n"), "is no plant file" in told) == (1, True)
