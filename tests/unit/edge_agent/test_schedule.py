from hypothesis import given
from hypothesis import strategies as st

from edge_agent.schedule import Schedule


def test_the_first_tick_is_the_next_whole_multiple_of_the_period() -> None:
    assert Schedule.starting(10_001, 1_000).tick == 11_000
    assert Schedule.starting(11_000, 1_000).tick == 11_000


@given(st.integers(1, 90_000), st.integers(0, 10**12), st.lists(st.integers(0, 200_000), max_size=50))
def test_ticks_never_drift_and_served_plus_missed_are_all_ticks(period: int, start: int, durations: list[int]) -> None:
    schedule = Schedule.starting(start, period)
    first = schedule.tick
    for served, duration in enumerate(durations, 1):
        now = schedule.tick + duration
        tick = schedule.advance(now)
        assert tick % period == 0
        assert tick >= now or duration < period
        assert tick == first + (served + schedule.missed) * period


def test_a_read_that_is_shorter_than_the_period_misses_nothing() -> None:
    schedule = Schedule.starting(0, 1_000)
    assert [schedule.advance(schedule.tick + 999) for _ in range(3)] == [1_000, 2_000, 3_000]
    assert schedule.missed == 0


def test_a_read_over_two_ticks_skips_them_and_counts_them() -> None:
    schedule = Schedule.starting(0, 1_000)
    assert schedule.advance(2_300) == 3_000
    assert schedule.missed == 2


def test_time_that_became_another_starts_the_ticks_again_and_misses_none() -> None:
    schedule = Schedule.starting(100_000, 1_000)
    assert schedule.restart(40_200) == 41_000
    assert schedule.restart(3_600_500) == 3_601_000
    assert schedule.missed == 0
