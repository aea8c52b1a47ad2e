import pytest

from ingest.facts_engine import MAX_REST_S, MIN_REST_S, SHARE, rest_s


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
