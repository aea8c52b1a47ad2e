import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi.evaluation.evaluate import evaluate, evaluate_columns, fall_off_ratio, is_final, observed_coverage
from kpi.evaluation.flags import FLAGS
from kpi.evaluation.formulas import COUNTED, FORMULAS, RATED, reads
from shopfloor.additive import COLUMNS, Merge
from shopfloor.instant import HOUR, MINUTE
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import QuantityUnit
from tests.production import START

SUM_COLUMNS = sorted(name for name, column in COLUMNS.items() if column.merge is Merge.SUM)
AMOUNTS = st.floats(0, 1e6).map(lambda value: round(value, 3))
RECORDS = st.dictionaries(st.sampled_from(SUM_COLUMNS), AMOUNTS, max_size=25)
TIMES = {f"{category}_s": AMOUNTS for category in TimeCategory}
RUNS = {"produced": AMOUNTS, "planned_run_s": st.floats(1, 1e6), "good_run_s": AMOUNTS, "staffed_s": AMOUNTS}


def test_what_nobody_planned_has_no_availability() -> None:
    report = evaluate({"not_scheduled_s": 3600.0})
    told = {kpi for kpi, value in report.kpis.items() if value is not None}
    assert told == {"utilization"}
    assert report.coverage is None


def test_ratios_use_known_time_and_the_bounds_hold_the_rest() -> None:
    report = evaluate({"running_s": 60.0, "unknown_s": 40.0, "planned_run_s": 30.0, "good_run_s": 30.0})
    assert report.coverage == report.kpis["coverage"] == 0.6
    assert report.kpis["oee_index"] == 0.5
    assert (report.kpis["oee_low"], report.kpis["oee_high"]) == (0.3, 0.7)


@settings(max_examples=200)
@given(st.fixed_dictionaries({**TIMES, **RUNS}), st.floats(0, 1))
def test_moving_the_micro_stop_threshold_moves_the_factors_but_not_the_oee(
    record: dict[str, float], share: float
) -> None:
    stopped = record["unplanned_stop_s"] + record["micro_stop_s"]
    moved = evaluate({**record, "micro_stop_s": stopped * share, "unplanned_stop_s": stopped * (1 - share)}).kpis
    unmoved = evaluate(record).kpis
    for kpi in ("oee_index", "teep", "quality_ratio", "coverage", "oee_low"):
        was, now = unmoved[kpi], moved[kpi]
        assert now == was or now == pytest.approx(was, rel=1e-9)


@settings(max_examples=200)
@given(st.fixed_dictionaries({**TIMES, **RUNS}))
def test_oee_is_the_product_of_its_factors_and_teep_of_oee_and_utilization(record: dict[str, float]) -> None:
    kpis = evaluate(record).kpis
    factors = [kpis[kpi] for kpi in ("availability", "effectiveness", "quality_ratio")]
    if None not in factors:
        product = math.prod(factor or 0.0 for factor in factors)
        assert kpis["oee_index"] == pytest.approx(product, rel=1e-9, abs=1e-12)
    if kpis["oee_index"] is not None and kpis["utilization"] is not None:
        assert kpis["teep"] == pytest.approx(kpis["oee_index"] * kpis["utilization"], rel=1e-9)
        assert (kpis["teep"] or 0.0) <= kpis["oee_index"] * (1 + 1e-9)
    if kpis["nee_index"] is not None and kpis["oee_index"] is not None:
        assert kpis["nee_index"] >= kpis["oee_index"] * (1 - 1e-9)


@settings(max_examples=200)
@given(st.lists(RECORDS, max_size=8))
def test_many_records_at_once_give_what_each_gives_alone(records: list[dict[str, float]]) -> None:
    columns = {name: np.array([record.get(name, 0.0) for record in records]) for name in SUM_COLUMNS}
    together = evaluate_columns(columns)
    for index, record in enumerate(records):
        for kpi, alone in evaluate(record).kpis.items():
            at_once = float(together[kpi][index])
            assert (alone is None and math.isnan(at_once)) or at_once == pytest.approx(alone, rel=1e-12)


def test_a_column_that_no_record_has_is_zero_throughout() -> None:
    found = evaluate_columns({"running_s": np.array([60.0]), "good_run_s": np.array([30.0])})
    assert found["oee_index"].tolist() == [0.5]
    assert math.isnan(found["sec_kwh_per_t"][0])
    assert evaluate_columns({})["oee_index"].tolist() == []


def test_waiting_setup_and_no_order_are_planned_busy_time() -> None:
    elements = {f"{name}_s": 10.0 for name in ("running", "setup", "starved", "blocked", "no_order", "planned_stop")}
    report = evaluate(elements)
    assert (report.elements["planned_busy_s"], report.elements["delay_s"]) == (50.0, 20.0)
    assert report.elements["calendar_s"] == 60.0


def test_pieces_without_a_planned_run_time_have_no_oee_rather_than_a_bad_one() -> None:
    report = evaluate({"running_s": 60.0, "produced": 10.0, "good": 9.0})
    assert {report.kpis[kpi] for kpi in RATED} == {None}
    assert (report.kpis["availability"], report.kpis["quality_ratio_pieces"]) == (1.0, 0.9)
    assert "planned_run_time_missing" in report.flags


def test_quantities_of_two_units_say_nothing_together_and_time_still_does() -> None:
    record = {"running_s": 60.0, "produced": 10.0, "good": 9.0, "planned_run_s": 50.0, "good_run_s": 45.0}
    mixed = evaluate(record, units=frozenset({QuantityUnit.PIECE, QuantityUnit.HEAT}))
    one = evaluate(record, units=frozenset({QuantityUnit.PIECE}))
    assert {mixed.kpis[kpi] for kpi in COUNTED} == {None}
    assert mixed.kpis["oee_index"] == one.kpis["oee_index"] == 0.75
    assert mixed.flags == ("mixed_quantity_units", "no_failures")
    assert one.kpis["quality_ratio_pieces"] == 0.9


def test_a_machine_without_a_meter_took_no_energy_that_anyone_knows() -> None:
    without = evaluate({"running_s": 60.0, "good": 9.0, "good_kg": 90.0}).kpis
    assert {without[kpi] for kpi in ("energy_kwh_per_good", "sec_kwh_per_t", "carbon_kg", "energy_cost")} == {None}
    metered = evaluate({"running_s": 60.0, "good": 9.0, "good_kg": 90.0, "energy_kwh": 45.0}).kpis
    assert (metered["energy_kwh_per_good"], metered["sec_kwh_per_t"], metered["idle_energy_share"]) == (5.0, 500.0, 0.0)


def test_a_meter_alone_does_not_know_what_was_idle() -> None:
    kpis = evaluate({"observed_s": 900.0, "energy_kwh": 3.0, "reactive_kvarh": 4.0}).kpis
    assert kpis["idle_energy_share"] is None
    assert kpis["power_factor"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("record", "flag"),
    [
        ({"running_s": 10.0, "produced": 1.0, "planned_run_s": 10.5}, "effectiveness_above_1"),
        ({"running_s": 10.0, "produced": 1.0, "planned_run_s": 11.5}, "effectiveness_above_1_1"),
        ({"running_s": 10.0}, "nothing_produced"),
        ({"produced": 1.0}, "produced_without_running"),
        ({"produced": 1.0, "good": 2.0}, "good_above_produced"),
        ({"scrap": -1.0}, "negative_quantity"),
        ({"running_s": 10.0}, "no_failures"),
        ({"failures": 1.0, "assumed_failures": 1.0}, "assumed_failures"),
        ({"running_s": 10.0, "order_s": 5.0}, "orders_incomplete"),
        ({"unattributed_scrap": 1.0}, "unattributed"),
        ({"unscheduled_run_s": 1.0}, "unscheduled_run"),
        ({"inferred_s": 1.0}, "inferred_time"),
        ({"stated_s": 1.0}, "stated_time"),
        ({"stated_produced": -1.0}, "stated_quantities"),
        ({"counter_resets": 1.0}, "counter_resets"),
        ({"implausible": 1.0}, "implausible_counts"),
    ],
)
def test_a_record_is_flagged(record: dict[str, float], flag: str) -> None:
    assert flag in evaluate(record).flags
    assert flag not in evaluate({}).flags


def test_every_flag_that_can_be_raised_is_explained() -> None:
    everything = dict.fromkeys(SUM_COLUMNS, 1.0)
    raised = {*evaluate(everything, units=frozenset(QuantityUnit)).flags, *evaluate({"running_s": 1.0}).flags}
    assert raised <= set(FLAGS)


def test_effectiveness_above_1_is_shown_and_not_clipped() -> None:
    report = evaluate({"running_s": 100.0, "produced": 90.0, "good": 90.0, "planned_run_s": 108.0, "good_run_s": 108.0})
    assert report.kpis["effectiveness"] == report.kpis["oee_index"] == 1.08


def test_a_fall_off_is_a_steps_scrap_over_what_the_first_operation_made() -> None:
    assert fall_off_ratio({"scrap": 3.0, "produced": 97.0}, {"produced": 100.0}) == 0.03
    assert fall_off_ratio({"scrap": 3.0}, {}) is None


def test_every_formula_comes_down_to_columns_of_the_record() -> None:
    for kpi in FORMULAS:
        assert reads(kpi) <= set(SUM_COLUMNS)


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
