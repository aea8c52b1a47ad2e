import pytest

from kpi.evaluation.reliability import reliability


def test_means_are_sums_of_the_window_over_the_failures_begun_in_it() -> None:
    found = reliability(
        {"running_s": 9000.0, "setup_s": 1000.0, "unplanned_stop_s": 500.0, "failures": 5.0, "repair_s": 500.0}
    )
    assert (found.mtbf_s, found.mttf_s, found.mttr_s) == (2000.0, 2000.0, 100.0)
    assert found.inherent_availability == pytest.approx(2000 / 2100)
    assert found.without_failure_s is None


def test_waiting_is_up_time_but_no_operating_time() -> None:
    found = reliability({"running_s": 900.0, "starved_s": 100.0, "failures": 1.0})
    assert (found.mtbf_s, found.mttf_s, found.mttr_s) == (900.0, 1000.0, 0.0)


def test_no_failure_has_no_mean_and_says_how_long_there_was_none() -> None:
    found = reliability({"running_s": 900.0, "repair_s": 60.0})
    assert (found.mtbf_s, found.mttf_s, found.mttr_s, found.inherent_availability) == (None, None, None, None)
    assert found.without_failure_s == 900.0
