"""Every folder here is a golden case: ``case.yaml`` in, ``expected.yaml`` out.

``computed`` values agree to 1e-4 relative (or the case's ``tolerance``), ``printed`` ones to 0.1 percentage points of
what a source prints; ``null`` KPIs cannot be computed and say why; ``flags`` are among those raised.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.calc import read_case
from cli.main import main
from kpi.case.calculate import calculate

CASES = sorted(folder for folder in Path(__file__).parent.iterdir() if (folder / "case.yaml").exists())
PERCENTAGE_POINT = 0.001


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_a_golden_case_comes_out(folder: Path) -> None:
    expected = yaml.safe_load((folder / "expected.yaml").read_text("utf-8"))
    report = calculate(read_case(folder / "case.yaml"))
    tolerance = expected.get("tolerance", 1e-4)
    assert expected["source"]
    for kpi, value in expected["computed"].items():
        assert report.kpis[kpi] == pytest.approx(value, rel=tolerance), kpi
    for kpi, value in expected.get("printed", {}).items():
        assert report.kpis[kpi] == pytest.approx(value, abs=max(PERCENTAGE_POINT, expected.get("tolerance", 0))), kpi
    for name, value in expected.get("elements", {}).items():
        assert report.elements[name] == pytest.approx(value, rel=1e-4), name
    for kpi in expected.get("null", []):
        assert report.kpis[kpi] is None
        assert any(kpi in flag.partition(":")[0].split(", ") for flag in report.flags), kpi
    assert set(expected.get("flags", [])) <= set(report.flags)


def test_the_command_prints_what_the_golden_cases_come_to(capsys: pytest.CaptureFixture[str]) -> None:
    for folder in CASES:
        assert main(["calc", str(folder / "case.yaml"), "--json"]) == 0
        printed: dict[str, Any] = json.loads(capsys.readouterr().out)
        report = calculate(read_case(folder / "case.yaml"))
        assert printed == {"kpis": report.kpis, "elements": report.elements, "flags": list(report.flags)}


def test_the_golden_cases_are_all_there() -> None:
    rows = ["g01", "g02", "g03", "g05", "g09", "g11", "g12", "g15", "g17", "g19", "g20"]
    rows += ["g21", "g22", "g23", "g25", "g26", "g30", "g31"]
    assert {name for name in rows if not any(folder.name.startswith(name) for folder in CASES)} == set()
