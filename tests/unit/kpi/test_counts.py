from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpi.counts import Delta, Step, bound_for, deltas, resolution, shares
from kpi.plan import UnitPlan
from kpi.tiles import Reading
from shopfloor.dated import Dated
from shopfloor.instant import SECOND
from tests.production import START, WH, counter, machine


def steps(plan: UnitPlan, tag: str, *values: float | None, every_s: int = 1) -> list[Delta]:
    readings = [Reading(START + index * every_s * SECOND, value) for index, value in enumerate(values)]
    return list(deltas(readings, plan.tags[tag], plan.unit.max_age_ms, bound_for(plan, tag)))


def counted(found: Sequence[Delta]) -> list[tuple[int, Step, bool]]:
    return [(delta.counts, delta.step, delta.plausible) for delta in found]


def test_the_first_reading_sets_the_base_only() -> None:
    assert steps(machine(), "good", 1_000) == []


def test_a_delta_covers_the_time_since_the_last_good_reading() -> None:
    (delta,) = steps(machine(), "good", 7, None, 8)
    assert (delta.start, delta.end, delta.counts) == (START, START + 2 * SECOND, 1)


def test_a_counter_rolls_over_at_its_width() -> None:
    assert counted(steps(machine(), "good", 65_535, 0)) == [(1, Step.ROLLOVER, True)]


def test_a_counter_that_falls_too_far_for_a_roll_over_was_reset() -> None:
    assert counted(steps(machine(), "good", 40_000, 1)) == [(1, Step.RESET, True)]


def test_a_step_beyond_the_planned_speed_is_refused() -> None:
    assert counted(steps(machine(), "good", 10, 500, 501)) == [(0, Step.FORWARD, False), (1, Step.FORWARD, True)]


def test_a_spike_counts_nothing_on_its_way_up_and_down() -> None:
    assert sum(delta.counts for delta in steps(machine(), "good", 10, 60_000, 10, 11)) == 1


def test_energy_is_bounded_by_the_rated_power() -> None:
    assert counted(steps(machine(), "energy_kwh", 1.0, 1.02)) == [(20, Step.FORWARD, True)]
    assert counted(steps(machine(), "energy_kwh", 1.0, 50.0)) == [(0, Step.FORWARD, False)]


def test_a_reset_energy_counter_is_not_taken_for_a_roll_over() -> None:
    assert counted(steps(machine(), "energy_kwh", 3_500_000.0, 0.004)) == [(4, Step.RESET, True)]


def test_without_a_rate_a_quarter_of_the_range_is_believed() -> None:
    plan = machine(counter("good"), planned_run_time_s=None)
    assert counted(steps(plan, "good", 0, 16_000, 60_000)) == [(16_000, Step.FORWARD, True), (0, Step.FORWARD, False)]


def test_the_fastest_product_bounds_the_speed() -> None:
    plan = machine(counter("good"), planned_run_time_s=Dated.always({"slow": 100.0, "fast": 0.5}))
    assert counted(steps(plan, "good", 0, 8, 17)) == [(8, Step.FORWARD, True), (0, Step.FORWARD, False)]


def test_a_gap_longer_than_max_age_is_not_attributed() -> None:
    assert [delta.attributed for delta in steps(machine(), "good", 1, 2, every_s=3)] == [True]
    assert [delta.attributed for delta in steps(machine(), "good", 1, 2, every_s=4)] == [False]


def test_a_float_counter_is_differenced_exactly() -> None:
    spec = counter("energy_kwh", "kWh", modulus=None)
    found = steps(machine(spec), "energy_kwh", 0.1, 0.3, 0.6)
    assert [resolution(spec).value(delta.counts) for delta in found] == [0.2, 0.3]


@pytest.mark.parametrize("scale", [0.001, 0.01, 0.1, 1.0, 10.0])
def test_counts_survive_their_way_through_the_scaled_value(scale: float) -> None:
    worth = resolution(counter("energy_kwh", "kWh", scale=scale, modulus=2**32))
    for count in (0, 1, 3, 4_294_967_295, 2**51 - 1):
        assert worth.counts(worth.value(count)) == count


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 500), max_size=20))
def test_a_roll_over_at_any_point_changes_no_quantity(base: int, increments: list[int]) -> None:
    running, values = base, [base / 1000]
    for increment in increments:
        running = (running + increment) % 2**32
        values.append(running / 1000)
    assert sum(delta.counts for delta in steps(machine(WH), "energy_kwh", *values)) == sum(increments)


@given(st.integers(0, 1_000), st.lists(st.integers(0, 60_000), min_size=1).filter(any))
def test_shares_lose_nothing_and_give_nothing_to_no_weight(counts: int, weights: list[int]) -> None:
    parts = shares(counts, weights)
    assert sum(parts) == counts
    assert all(part >= 0 for part in parts)
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if weight == 0)


def test_of_two_slices_the_heavier_takes_an_odd_piece() -> None:
    assert shares(1, [40, 60]) == [0, 1]
    assert shares(1, [60, 40]) == [1, 0]
    assert shares(10, [1] * 5) == [2, 2, 2, 2, 2]
