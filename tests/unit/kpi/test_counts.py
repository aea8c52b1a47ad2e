import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpi.facts.counts import Deltas, Step, bound_for, deltas, resolution
from kpi.plan import UnitPlan
from shopfloor.dated import Dated
from shopfloor.instant import SECOND
from tests.production import START, WH, counter, machine

BAD = float("nan")


def steps(plan: UnitPlan, tag: str, *values: float, every_s: int = 1) -> Deltas:
    times = START + np.arange(len(values), dtype=np.int64) * every_s * SECOND
    return deltas(times, np.array(values), plan.tags[tag], plan.unit.max_age_ms, bound_for(plan, tag))


def counted(found: Deltas) -> list[tuple[int, Step, bool]]:
    return list(zip(found.counts.tolist(), map(Step, found.step), found.plausible.tolist(), strict=True))


def test_the_first_reading_sets_the_base_only() -> None:
    assert counted(steps(machine(), "good", 1_000)) == []


def test_a_delta_covers_the_time_since_the_last_good_reading() -> None:
    delta = steps(machine(), "good", 7, BAD, 8)
    assert (delta.start, delta.end, delta.counts) == ([START], [START + 2 * SECOND], [1])


def test_a_counter_rolls_over_at_its_width() -> None:
    assert counted(steps(machine(), "good", 65_535, 0)) == [(1, Step.ROLLOVER, True)]


def test_a_counter_that_falls_too_far_for_a_roll_over_was_reset() -> None:
    assert counted(steps(machine(), "good", 40_000, 1)) == [(1, Step.RESET, True)]


def test_a_step_beyond_the_planned_speed_is_refused() -> None:
    assert counted(steps(machine(), "good", 10, 500, 501)) == [(0, Step.FORWARD, False), (1, Step.FORWARD, True)]


def test_a_spike_counts_nothing_on_its_way_up_and_down() -> None:
    assert steps(machine(), "good", 10, 60_000, 10, 11).counts.sum() == 1


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
    assert steps(machine(), "good", 1, 2, every_s=3).attributed.tolist() == [True]
    assert steps(machine(), "good", 1, 2, every_s=4).attributed.tolist() == [False]


def test_a_float_counter_is_differenced_exactly() -> None:
    spec = counter("energy_kwh", "kWh", modulus=None)
    found = steps(machine(spec), "energy_kwh", 0.1, 0.3, 0.6)
    assert resolution(spec).value(found.counts).tolist() == [0.2, 0.3]


@pytest.mark.parametrize("scale", [0.001, 0.01, 0.1, 1.0, 10.0])
def test_counts_survive_their_way_through_the_scaled_value(scale: float) -> None:
    worth = resolution(counter("energy_kwh", "kWh", scale=scale, modulus=2**32))
    counts = np.array([0, 1, 3, 4_294_967_295, 2**51 - 1])
    assert worth.counts(worth.value(counts)).tolist() == counts.tolist()


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 500), max_size=20))
def test_a_roll_over_at_any_point_changes_no_quantity(base: int, increments: list[int]) -> None:
    running, values = base, [base / 1000]
    for increment in increments:
        running = (running + increment) % 2**32
        values.append(running / 1000)
    assert steps(machine(WH), "energy_kwh", *values).counts.sum() == sum(increments)


def test_a_reading_beyond_all_exact_counts_is_refused_not_wrapped() -> None:
    plan = machine(counter("energy_kwh", "kWh", modulus=None), max_power_kw=None)
    found = steps(plan, "energy_kwh", 1.0, 1e300, 1e300, 2.0, 3.0)
    assert counted(found) == [*[(0, Step.FORWARD, False)] * 3, (1_000_000, Step.FORWARD, True)]


def test_a_register_wider_than_the_integers_inside_never_rolls_over() -> None:
    plan = machine(counter("energy_kwh", "kWh", scale=0.001, modulus=2**64))
    assert counted(steps(plan, "energy_kwh", 1.0, 1.02, 0.004)) == [(20, Step.FORWARD, True), (4, Step.RESET, True)]
