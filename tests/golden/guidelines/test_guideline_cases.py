"""Every folder here is a golden case: a guideline and what a site showed, and the scorecard that comes of it.

``case.yaml``: the site's merged record, its units and goals. ``expected.yaml``: of each metric, group and the whole
what it comes to; what it does not name is None (of ``missing``: empty).
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from kpi.evaluation.evaluate import evaluate
from kpi.guidelines.scorecard import GroupScore, MetricScore, Scorecard, scorecard
from kpi.guidelines.shown import SiteShown, UnitShown
from kpi.guidelines.sources import SOURCES
from shopfloor.guideline import Goal
from shopfloor.guideline_file import load_guideline

CASES = sorted(folder for folder in Path(__file__).parent.iterdir() if (folder / "case.yaml").exists())


def shown(case: dict[str, Any]) -> SiteShown:
    report = evaluate(case["elements"])
    units = [
        UnitShown(
            machine=unit["machine"],
            counts=unit.get("counts", False),
            metered=unit.get("metered", False),
            baselined=unit.get("baselined", False),
            elements=evaluate({"observed_s": unit.get("observed_s", 0.0)}).elements,
        )
        for unit in case["units"]
    ]
    return SiteShown(
        elapsed_s=case["elapsed_s"],
        kpis=report.kpis,
        elements=report.elements,
        flags=report.flags,
        coverage=report.coverage,
        units=units,
        explained_s=case.get("explained_s"),
        unexplained_s=case.get("unexplained_s"),
        actual_kwh=None,
        expected_kwh=None,
    )


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_a_golden_case_comes_out(folder: Path) -> None:
    case, expected = (yaml.safe_load((folder / name).read_text("utf-8")) for name in ("case.yaml", "expected.yaml"))
    goals = {metric: Goal(**goal) for metric, goal in case.get("goals", {}).items()}
    card = scorecard(load_guideline(folder / "guideline.yaml", SOURCES), shown(case), goals)
    assert expected["metrics"].keys() == {each.metric.id for each in card.metrics}
    assert expected["groups"].keys() == {each.group.id for each in card.groups}
    for each in card.metrics:
        wanted = expected["metrics"][each.metric.id]
        agrees(each, wanted, "value", "score", "level", "achievement", "improvement")
        assert each.missing.get("en") == wanted.get("missing")
        assert bool(each.missing.get("id")) == bool(each.missing.get("en"))
        assert wanted.get("missing_id") in (None, each.missing.get("id"))
    for group in card.groups:
        agrees(group, expected["groups"][group.group.id], "score", "level", "coverage")
    agrees(card, expected["whole"], "score", "level", "coverage")


def agrees(found: MetricScore | GroupScore | Scorecard, wanted: dict[str, Any], *names: str) -> None:
    for name in names:
        value = wanted.get(name)
        assert getattr(found, name) == (None if value is None else pytest.approx(value, rel=1e-6, abs=1e-9)), name
