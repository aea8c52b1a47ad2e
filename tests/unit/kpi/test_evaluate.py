import json
from pathlib import Path
from typing import Any

import pytest

from kpi.definitions import KPIS
from kpi.evaluate import evaluate, is_final, observed_coverage
from shopfloor.additive import merge
from shopfloor.instant import HOUR, MINUTE
from tests.production import START

GOLDEN = json.loads((Path(__file__).parent / "golden_oee.json").read_text("utf-8"))


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["id"])
def test_published_examples_come_out(case: dict[str, Any]) -> None:
    report = evaluate(merge(case["elements"]))
    for kpi, value in case["expected"].items():
        assert report.kpis[kpi] == pytest.approx(value, rel=1e-5)
    assert list(report.flags) == case["flags"]


def test_what_nobody_planned_has_no_availability() -> None:
    report = evaluate({"not_scheduled_s": 3600.0})
    assert set(report.kpis.values()) == {None}
    assert report.coverage is None


def test_ratios_use_known_time_and_the_bounds_hold_the_rest() -> None:
    report = evaluate({"running_s": 60.0, "unknown_s": 40.0, "planned_run_s": 30.0, "good_run_s": 30.0})
    assert report.coverage == 0.6
    assert report.kpis["oee_index"] == 0.5
    assert (report.kpis["oee_low"], report.kpis["oee_high"]) == (0.3, 0.7)


def test_moving_the_micro_stop_threshold_moves_the_factors_but_not_the_oee() -> None:
    made = {"running_s": 80.0, "planned_run_s": 40.0, "good_run_s": 30.0}
    short, long = (evaluate({**made, stop: 20.0}).kpis for stop in ("micro_stop_s", "unplanned_stop_s"))
    assert (short["availability"], long["availability"]) == (1.0, 0.8)
    assert (short["effectiveness"], long["effectiveness"]) == (0.4, 0.5)
    assert short["oee_index"] == long["oee_index"] == 0.3


def test_waiting_setup_and_no_order_are_planned_busy_time() -> None:
    elements = {f"{name}_s": 10.0 for name in ("running", "setup", "starved", "blocked", "no_order", "planned_stop")}
    report = evaluate(elements)
    assert (report.elements["planned_busy_s"], report.elements["delay_s"]) == (50.0, 20.0)


def test_a_shift_is_final_once_every_agent_has_passed_its_end() -> None:
    assert is_final(START, START, 0)
    assert not is_final(START, START - 1, 0)
    assert not is_final(START, None, 0)
    assert not is_final(START, START + HOUR, 0, dirty=True)


def test_a_shift_is_not_final_while_a_stop_at_its_end_may_still_grow() -> None:
    assert not is_final(START, START + MINUTE - 1, MINUTE)
    assert is_final(START, START + MINUTE, MINUTE)


def test_a_meters_coverage_is_the_observed_share() -> None:
    assert observed_coverage({"observed_s": 1800.0}, START, START + HOUR) == 0.5
    assert observed_coverage({}, START, START) is None


def test_every_kpi_is_defined_in_both_languages() -> None:
    assert set(KPIS) == {*evaluate({}).kpis, "coverage"}
    assert all(set(kpi.name) == {"en", "id"} for kpi in KPIS.values())
