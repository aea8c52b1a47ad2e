import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi.case.calculate import calculate
from kpi.evaluation.definitions import KPIS
from kpi.refusal import BadInput

MACHINE = {"planned_busy_s": 28800, "production_s": 24000, "produced": 400, "good": 380, "planned_run_time_s": 50}


def reason(case: Any, kpi: str) -> str:
    """Why a KPI is null."""
    report = calculate(case)
    assert report.kpis[kpi] is None
    found = [flag.partition(": ") for flag in report.flags]
    return next(why for names, _, why in found if kpi in names.split(", "))


def test_every_kpi_is_there_and_every_null_has_its_reason() -> None:
    report = calculate({"elements": MACHINE})
    assert list(report.kpis) == list(KPIS)
    told = {name for flag in report.flags if ": " in flag for name in flag.partition(": ")[0].split(", ")}
    assert told == {kpi for kpi, value in report.kpis.items() if value is None}


@pytest.mark.parametrize(
    ("case", "line"),
    [
        (None, "the case is not a mapping"),
        ({}, "the case is empty"),
        ({"element": {}}, "unknown name 'element'; did you mean 'elements'?"),
        ({"elements": []}, "elements is an empty list"),
        ({"elements": "x"}, "elements is not a mapping"),
        ({"elements": {"planned_bussy_s": 1}}, "did you mean 'planned_busy_s'?"),
        ({"elements": {"zzz": 1}}, "docs/calc.md lists the names"),
        ({"elements": {"planned_busy_s": "7:00"}}, "write seconds, or '420 min', '7 h'"),
        ({"elements": {"produced": "12 pcs"}}, "write it without its unit"),
        ({"elements": {"produced": True}}, "is True, not a number"),
        ({"tariff": {"off_peak_kwh": 1, "off_peak": 1, "peak_factor": 0}}, "tariff.peak_factor is 0"),
        ({"baseline": {"slope": 1, "intercept": 2, "x": 3, "days": 0}}, "baseline.days is 0"),
        ({"baseline": {"slope": 1, "intercept": 2, "driver": "pieces"}}, "baseline.driver is 'pieces'"),
        ({"bar": {"diameter_mm": [10, 0]}}, "bar.diameter_mm[2] is 0"),
        ({"bar": {"diameter_mm": 10, "density_kg_per_m3": 0}}, "steel has 7850"),
        ({"elements": {"produced": [1]}}, "is [1], not a number"),
        ({"elements": {"produced": -1}}, "below 0"),
        ({"elements": {"produced": math.nan}}, "give a finite number"),
        ({"elements": {"produced": "inf"}}, "give a finite number"),
        ({"elements": {"produced": 10**400}}, "too large"),
        ({"elements": {"produced": 1e300}}, "beyond all that a plant measures"),
        ({"elements": {"production_s": 1e-300}}, "beyond all that a plant measures"),
        ({"elements": {"failures": 1.5}}, "whole numbers"),
        ({"elements": {"PBT": 1, "planned_busy_s": 1}}, "given twice"),
        ({"elements": {"planned_busy_s": 10, "production_s": 11}}, "production_s is 11, more than planned_busy_s 10"),
        ({"elements": {"planned_busy_s": 10, "delay_s": 11}}, "delay_s is 11, more than planned_busy_s 10"),
        ({"elements": {"planned_busy_s": 10, "production_s": 9, "setup_s": 2}}, "more than planned_busy_s 10"),
        ({"elements": {"calendar_s": 10, "planned_busy_s": 11}}, "more than calendar_s 10"),
        ({"elements": {"calendar_s": 10, "planned_stop_s": 11}}, "planned_stop_s is 11, more than calendar_s 10"),
        ({"elements": {"produced": 10, "good": 11}}, "good is 11, more than produced 10"),
        ({"elements": {"produced": 10, "good": 8, "scrap": 3}}, "good + scrap = 11, more than produced 10"),
        ({"elements": {"produced": 10, "scrap": 8, "rework": 3}}, "below 0"),
        ({"elements": {"inspected": 1, "first_pass_good": 2}}, "more than inspected 1"),
        ({"elements": {"attendance_s": 1, "work_s": 2}}, "more than attendance_s 1"),
        ({"elements": {"produced": 1, "planned_run_time_s": 0}}, "planned_run_time_s is 0"),
        ({"elements": {"produced": 2, "planned_run_time_s": 3, "planned_run_s": 7}}, "leave one out"),
        ({"elements": {"mass_t": 1, "good_kg": 5}}, "mass_t and good_kg differ"),
        ({"elements": {"running_s": 5, "micro_stop_s": 1, "production_s": 7}}, "production_s 7 is not running_s"),
        ({"elements": [MACHINE, {"produced": 1, "good": 2}]}, "good is 2, more than produced 1"),
        ({"steps": 0.9}, "steps is not a list"),
        ({"steps": [95]}, "not a percentage"),
        ({"steps": ["a"]}, "steps[1] is 'a'"),
        ({"measurements": {"mean": 1}}, "mean and sigma"),
        ({"measurements": {"values": [1, 2], "method": "guess"}}, "measurements.method"),
        ({"measurements": {"values": 3}}, "measurements.values is not a list"),
        ({"measurements": {"subgroups": 3}}, "measurements.subgroups is not a list"),
        ({"measurements": {"mean": 1, "sigma": 1, "lsl": 2, "usl": 1}}, "not below"),
        ({"tariff": {"peak_kwh": -1}}, "below 0"),
        ({"tariff": {"peak_kwh": 1, "off_peak": 2, "peak": 3, "peak_factor": 2}}, "leave one out"),
        ({"baseline": {"slope": 1, "intercept": 1, "points": [[1, 1]]}}, "not both"),
        ({"baseline": {"points": [[1, 1], [2, 2]]}}, "better a year of months"),
        ({"baseline": {"points": [[1, 1, 1]]}}, "write [x, kwh]"),
        ({"baseline": {"points": 3}}, "baseline.points is not a list"),
        ({"bar": {}}, "bar.diameter_mm is not given"),
    ],
)
def test_a_case_that_cannot_be_meant_is_refused_in_one_line(case: Any, line: str) -> None:
    with pytest.raises(BadInput) as refused:
        calculate(case)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_the_standard_allows_is_flagged() -> None:
    assert "effectiveness_above_1" in calculate({"elements": {**MACHINE, "planned_run_time_s": 61}}).flags
    assert "effectiveness_above_1_1" in calculate({"elements": {**MACHINE, "planned_run_time_s": 67}}).flags
    assert "good_includes_rework" in calculate({"elements": {**MACHINE, "scrap": 20, "rework": 5}}).flags
    assert "no_failures" in calculate({"elements": {**MACHINE, "failures": 0}}).flags
    assert "repair_above_delay" in calculate({"elements": {**MACHINE, "delay_s": 10, "repair_s": 20}}).flags
    spare = {**MACHINE, "setup_s": 0, "delay_s": 0, "no_order_s": 0}
    assert "time_unaccounted" in calculate({"elements": spare}).flags


def test_numbers_may_be_text_and_times_may_have_a_unit() -> None:
    report = calculate({"elements": {"planned_busy_s": "8 h", "production_s": "4e2min", "produced": "400"}})
    assert report.elements["planned_busy_s"] == 28800
    assert report.elements["production_s"] == 24000
    assert report.elements["produced"] == 400


def test_null_is_the_same_as_not_given() -> None:
    assert calculate({"elements": {**MACHINE, "rework": None}}) == calculate({"elements": MACHINE})


def test_production_time_is_a_rest_only_when_some_loss_is_told() -> None:
    told = calculate({"elements": {"planned_busy_s": 100, "delay_s": 0}})
    assert told.kpis["availability"] == 1.0
    assert "production_residual" in told.flags
    assert reason({"elements": {"planned_busy_s": 100}}, "availability") == "production_s is not given"


def test_oee_needs_no_production_time() -> None:
    report = calculate({"elements": {"planned_busy_s": 100, "good": 9, "planned_run_time_s": 10}})
    assert report.kpis["oee_index"] == 0.9
    assert report.kpis["availability"] is None


def test_repair_is_a_delay_where_nobody_says_more() -> None:
    report = calculate({"elements": {"planned_busy_s": 1000, "failures": 1, "repair_s": 100}})
    assert (report.kpis["mtbf_s"], report.kpis["mttf_s"], report.kpis["mttr_s"]) == (900.0, 900.0, 100.0)
    assert "delay_from_repair" in report.flags


def test_delay_is_the_rest_when_all_others_are_told() -> None:
    report = calculate({"elements": {**MACHINE, "setup_s": 800, "no_order_s": 0}})
    assert report.elements["delay_s"] == 4000.0
    assert report.kpis["technical_efficiency"] == 24000 / 28000
    assert "delay_residual" in report.flags
    assert reason({"elements": MACHINE}, "technical_efficiency") == "delay_s is not given"


def test_busy_time_follows_from_the_calendar_or_from_its_parts() -> None:
    calendar = calculate({"elements": {"calendar_s": 100, "planned_stop_s": 20, "delay_s": 8}})
    assert (calendar.elements["planned_busy_s"], calendar.kpis["availability"]) == (80.0, 0.9)
    parts = calculate({"elements": {"production_s": 70, "delay_s": 10}})
    assert (parts.kpis["availability"], parts.flags[0]) == (0.875, "planned_busy_sum")


def test_the_columns_of_a_fact_are_elements_too() -> None:
    fact = {"running_s": 70, "micro_stop_s": 10, "starved_s": 5, "blocked_s": 0, "unplanned_stop_s": 15}
    report = calculate({"elements": fact})
    assert report.kpis["availability"] == 0.8
    assert report.elements["delay_s"] == 20.0


def test_unknown_time_is_kept_out_of_the_ratios_and_bounds_the_oee() -> None:
    elements = {**MACHINE, "production_s": 20000, "unknown_s": 1800}
    kpis = calculate({"elements": elements}).kpis
    assert kpis["availability"] == pytest.approx(20000 / 27000)
    assert kpis["oee_low"] == pytest.approx(19000 / 28800)
    assert kpis["oee_high"] == pytest.approx(20800 / 28800)


def test_pieces_alone_do_not_say_that_all_were_good() -> None:
    assert reason({"elements": {"produced": 100, "planned_run_time_s": 1}}, "quality_ratio") == "good is not given"


def test_a_part_that_cannot_be_rated_leaves_the_whole_unrated() -> None:
    parts = [MACHINE, {"produced": 10, "good": 10}]
    assert reason({"elements": parts}, "oee_index") == "good_run_s is not known for every element"
    assert reason({"elements": {"produced": 10, "good": 10, "production_s": 50}}, "effectiveness") == (
        "planned_run_time_s is not given"
    )


def test_a_machine_of_which_no_loss_is_told_leaves_the_wholes_availability_open() -> None:
    parts = [{"planned_busy_s": 100, "delay_s": 20}, {"planned_busy_s": 100}]
    assert reason({"elements": parts}, "availability") == "production_s is not known for every element"


def test_machines_may_tell_their_times_in_different_ways() -> None:
    parts = [{"planned_busy_s": 100, "delay_s": 20}, {"planned_busy_s": 100, "production_s": 60}]
    assert calculate({"elements": parts}).kpis["availability"] == 0.7


def test_products_share_the_busy_time_that_one_part_tells() -> None:
    parts = [
        {"planned_busy_s": 1000, "delay_s": 100},
        {"produced": 10, "good": 10, "PRI": 30},
        {"produced": 10, "good": 5, "PRI": 60},
    ]
    kpis = calculate({"elements": parts}).kpis
    assert (kpis["oee_index"], kpis["quality_ratio"], kpis["quality_ratio_pieces"]) == (0.6, 600 / 900, 0.75)


def test_what_only_some_parts_tell_is_summed_and_flagged() -> None:
    flags = calculate({"elements": [MACHINE, {**MACHINE, "energy_kwh": 5}]}).flags
    assert "partly_given: energy_kwh in 1 of 2 elements, their sum is taken" in flags


def test_reasons_name_the_input_that_is_missing() -> None:
    assert reason({"steps": [1]}, "oee_index") == "good is not given"
    assert reason({"elements": MACHINE}, "mtbf_s") == "failures is not given"
    assert reason({"elements": MACHINE}, "setup_ratio") == "setup_s is not given"
    assert reason({"elements": MACHINE}, "sec_kwh_per_t") == "energy_kwh is not given"
    assert reason({"elements": MACHINE}, "cpk") == "measurements is not given"
    assert reason({"elements": {**MACHINE, "failures": 0}}, "mtbf_s") == "failures is 0"
    one_limit = {"measurements": {"values": [1, 2, 3], "usl": 5}}
    assert reason(one_limit, "cp") == "measurements.lsl not given"
    assert reason(one_limit, "cpm") == "measurements.target is not given"
    assert reason({"measurements": {"values": [2, 2, 2], "usl": 5, "lsl": 1}}, "cpk") == "sigma is 0"
    assert reason({"measurements": {"mean": 2, "sigma": 1, "usl": 5, "lsl": 1}}, "ppk") == (
        "measurements.values are not given"
    )


def test_a_bill_says_what_it_lacks() -> None:
    given_kwh = {"peak_kwh": 10, "off_peak_kwh": 90}
    assert reason({"tariff": {"off_peak": 1}}, "energy_cost") == "tariff.peak_kwh and off_peak_kwh are not given"
    assert reason({"tariff": given_kwh}, "energy_cost") == "tariff.off_peak is not given"
    assert reason({"tariff": {**given_kwh, "off_peak": 1}}, "total_cost") == ("tariff.peak or peak_factor is not given")
    reactive = {**given_kwh, "off_peak": 1, "peak_factor": 2, "kvarh": 50}
    assert reason({"tariff": reactive}, "total_cost") == "tariff.free_kvarh_per_kwh is not given"
    assert calculate({"tariff": reactive}).kpis["energy_cost"] == 110.0


def test_no_reactive_energy_costs_nothing_at_any_price() -> None:
    kpis = calculate({"tariff": {"off_peak_kwh": 10, "off_peak": 2, "kvarh": 0}}).kpis
    assert (kpis["reactive_cost"], kpis["total_cost"], kpis["power_factor"]) == (0.0, 20.0, 1.0)


def test_a_machine_that_made_nothing_needs_no_planned_run_time() -> None:
    busy = {"planned_busy_s": 100, "production_s": 80, "produced": 60, "good": 50, "planned_run_time_s": 1}
    idle = {"planned_busy_s": 100, "production_s": 0, "produced": 0, "good": 0}
    kpis = calculate({"elements": [busy, idle]}).kpis
    assert (kpis["oee_index"], kpis["effectiveness"], kpis["quality_ratio"]) == (0.25, 0.75, pytest.approx(50 / 60))


def test_a_baselines_driver_may_be_any_element() -> None:
    case = {"elements": {"produced": 50, "energy_kwh": 300}, "baseline": {"slope": 5, "intercept": 100}}
    assert reason(case, "saving_kwh") == "baseline.x is not given"
    driven = calculate({**case, "baseline": {"kwh_per_unit": 5, "base_kwh": 100, "driver": "produced"}})
    assert (driven.kpis["predicted_kwh"], driven.kpis["saving_kwh"]) == (350.0, 50.0)


def test_a_plants_tariff_may_be_pasted_with_its_hours() -> None:
    kpis = calculate(
        {"tariff": {"currency": "IDR", "peak": "18:00-22:00", "off_peak": 2, "peak_factor": 1.5, "peak_kwh": 10}}
    ).kpis
    assert kpis["energy_cost"] == 30.0


def test_the_bill_of_other_energy_is_no_cost_of_these_pieces() -> None:
    case = {"elements": {"energy_kwh": 50, "mass_t": 1}, "tariff": {"off_peak_kwh": 100, "off_peak": 3}}
    report = calculate(case)
    assert report.kpis["energy_cost"] == 300.0
    assert report.kpis["energy_cost_per_t"] is None
    assert "bill_of_other_energy" in report.flags
    same = calculate({**case, "tariff": {"off_peak_kwh": 50, "off_peak": 3}})
    assert same.kpis["energy_cost_per_t"] == 150.0


def test_a_baseline_may_be_fitted_to_points() -> None:
    points = [[x, 100 + 5 * x] for x in range(10, 22)]
    report = calculate({"baseline": {"points": points, "x": 20, "actual": 190}})
    assert report.kpis["predicted_kwh"] == pytest.approx(200)
    assert report.kpis["saving_kwh"] == pytest.approx(10)
    assert report.elements["slope"] == pytest.approx(5)
    assert report.elements["r2"] == pytest.approx(1)


def test_specific_energy_of_a_baselines_tons_is_flagged() -> None:
    given_all = {"slope": 520, "intercept": 60000, "x": 1050, "actual": 590000}
    report = calculate({"baseline": given_all})
    assert report.kpis["sec_kwh_per_t"] == pytest.approx(561.9048, rel=1e-6)
    assert "sec_from_baseline" in report.flags
    assert calculate({"baseline": {**given_all, "unit": "heat"}}).kpis["sec_kwh_per_t"] is None


def test_a_rest_that_is_only_rounding_is_nothing() -> None:
    report = calculate({"elements": {"planned_busy_s": 0.9, "setup_s": 0.6, "delay_s": 0.3, "produced": 1, "PRI": 1}})
    assert report.elements["production_s"] == 0.0
    assert report.kpis["effectiveness"] is None


def test_a_baseline_that_expects_less_than_nothing_is_flagged() -> None:
    report = calculate({"baseline": {"slope": -5, "intercept": 10, "x": 100, "actual": 5}})
    assert "predicted_below_0" in report.flags
    assert report.kpis["enpi"] is None


def test_steps_may_be_counts() -> None:
    assert calculate({"steps": [{"first_pass_good": 95, "inspected": 100}, 0.5]}).kpis["rty"] == 0.475
    assert reason({"steps": []}, "rty") == "steps is empty"


PARTS = st.fixed_dictionaries(
    {
        "planned_busy_s": st.integers(3600, 86400),
        "production_s": st.integers(1, 3600),
        "produced": st.integers(1, 5000),
        "planned_run_time_s": st.floats(0.1, 100).map(lambda value: round(value, 3)),
        "good_share": st.floats(0, 1),
    }
)


def _part(drawn: dict[str, Any]) -> dict[str, Any]:
    share = drawn["good_share"]
    made = {name: value for name, value in drawn.items() if name != "good_share"}
    return {**made, "good": int(drawn["produced"] * share)}


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, min_size=1, max_size=6))
def test_the_merge_of_machines_is_weighted_and_lies_between_them(drawn: list[dict[str, Any]]) -> None:
    parts = [_part(each) for each in drawn]
    whole = calculate({"elements": parts}).kpis["oee_index"]
    alone = [calculate({"elements": part}).kpis["oee_index"] for part in parts]
    rated = math.fsum(part["planned_run_time_s"] * part["good"] for part in parts)
    assert whole == pytest.approx(rated / sum(part["planned_busy_s"] for part in parts), rel=1e-9)
    values = [value for value in alone if isinstance(value, float)]
    assert isinstance(whole, float)
    assert len(values) == len(parts)
    assert min(values) * (1 - 1e-9) <= whole <= max(values) * (1 + 1e-9)
