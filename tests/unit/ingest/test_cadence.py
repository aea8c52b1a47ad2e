import pytest

from ingest.facts_engine import MAX_REST_S, MAX_YIELD_S, MIN_REST_S, SHARE, YIELD, rest_s


def test_a_cheap_pass_is_followed_by_the_shortest_rest() -> None:
    assert rest_s(0.01, 0.006, 6) == MIN_REST_S


@pytest.mark.parametrize("units", [1, 20, 500])
def test_the_cost_of_live_facts_stays_under_its_share_for_any_number_of_units(units: int) -> None:
    cpu_s = 0.004 * units
    assert cpu_s / units / rest_s(2 * cpu_s, cpu_s, units) == pytest.approx(SHARE)


def test_facts_never_wait_for_long() -> None:
    assert rest_s(0.5, 0.8, 20) == MAX_REST_S


def test_after_a_backlog_the_engine_goes_on_soon() -> None:
    assert rest_s(3.0, 2.4, 2) == 1.0


def test_samples_that_wait_come_before_facts_but_not_for_ever() -> None:
    assert rest_s(2.0, 1.0, 50) == MAX_REST_S
    assert rest_s(4.0, 4.0, 50) == pytest.approx(4.0 / 3)
    assert rest_s(4.0, 4.0, 50, pressed=True) == YIELD * 4.0
    assert rest_s(1_000.0, 500.0, 50, pressed=True) == pytest.approx(1_000.0 / 3)
    assert rest_s(10.0, 10.0, 50, pressed=True) == MAX_YIELD_S
    assert rest_s(0.001, 0.0001, 50, pressed=True) == MIN_REST_S
