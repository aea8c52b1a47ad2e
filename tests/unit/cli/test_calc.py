import json
from pathlib import Path

import pytest

from cli.main import main
from kpi.case.elements import SYNONYMS

MANUAL = (Path(__file__).parents[3] / "docs" / "calc.md").read_text("utf-8")
CASE = "elements: {planned_busy_s: 480 min, production_s: 420 min, produced: 400, good: 380, planned_run_time_s: 60}\n"


def run(path: Path, *options: str) -> int:
    return main(["calc", str(path), *options])


def test_a_case_is_printed_as_one_json_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = tmp_path / "case.yaml"
    case.write_text(CASE)
    assert run(case, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"kpis", "elements", "flags"}
    assert printed["kpis"]["oee_index"] == pytest.approx(380 / 480)
    assert printed["kpis"]["mtbf_s"] is None


def test_people_see_names_and_units_and_the_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = tmp_path / "case.yaml"
    case.write_text(CASE + "bar: {diameter_mm: [10, 13]}\n")
    assert run(case) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("oee_index") and "0.791667" in line and "OEE index" in line for line in lines)
    assert sum("kg/m" in line for line in lines) == 2
    assert any(line.startswith("! ") and "failures is not given" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("elements: {good: 11, produced: 10}", "good is 11, more than produced 10"),
        ("elements:\n  good: 1\n  good: 2\n", "line 3"),
        ("elements: {planned_busy_s: 7:00}", "write seconds"),
        ("elements: [", "line"),
        ("", "the case is not a mapping"),
    ],
)
def test_a_wrong_case_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, line: str
) -> None:
    case = tmp_path / "case.yaml"
    case.write_text(text)
    assert run(case, "--json") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert line in printed.err
    assert printed.err.count("\n") == 1


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "no.yaml") == 2
    assert run(tmp_path) == 2
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert run(binary) == 2
    assert capsys.readouterr().err.count("\n") == 3


def test_the_example_of_the_manual_computes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = tmp_path / "case.yaml"
    case.write_text(MANUAL.split("```yaml\n")[1].split("```")[0])
    assert run(case, "--json") == 0
    kpis = json.loads(capsys.readouterr().out)["kpis"]
    assert kpis["mtbf_s"] == 11190.0
    assert kpis["oee_index"] == pytest.approx((11700 + 3900 * 1.5) / 25200)
    assert [kpi for kpi in ("cpk", "rty", "total_cost", "saving_kwh", "bar_kg_per_m") if kpis[kpi] is None] == []


def test_the_manual_names_every_symbol_that_is_accepted() -> None:
    assert [symbol for symbol in SYNONYMS if f"`{symbol}`" not in MANUAL] == []
    assert [name for name in SYNONYMS.values() if f"`{name}`" not in MANUAL] == []
