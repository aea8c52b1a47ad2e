import math

import numpy as np
import pytest

from kpi.capability.spc import Within, c4, constants, deviation, moving_range_sigma, within_sigma
from kpi.refusal import BadInput

# n: d2, c4, A2, D3, D4, A3, B3, B4 as the tables of the trade print them
TABLE = {
    2: (1.128, 0.7979, 1.880, 0, 3.267, 2.659, 0, 3.267),
    3: (1.693, 0.8862, 1.023, 0, 2.575, 1.954, 0, 2.568),
    4: (2.059, 0.9213, 0.729, 0, 2.282, 1.628, 0, 2.266),
    5: (2.326, 0.9400, 0.577, 0, 2.114, 1.427, 0, 2.089),
    6: (2.534, 0.9515, 0.483, 0, 2.004, 1.287, 0.030, 1.970),
    8: (2.847, 0.9650, 0.373, 0.136, 1.864, 1.099, 0.185, 1.815),
    10: (3.078, 0.9727, 0.308, 0.223, 1.777, 0.975, 0.284, 1.716),
}


@pytest.mark.parametrize("n", TABLE)
def test_the_constants_are_those_of_the_tables(n: int) -> None:
    found = constants(n)
    computed = (found.d2, found.c4, found.a2, found.d_lower, found.d_upper, found.a3, found.b3, found.b4)
    assert computed == pytest.approx(TABLE[n], abs=5.5e-4)


def test_the_range_of_two_and_three_values_is_known_in_closed_form() -> None:
    two, three = constants(2), constants(3)
    assert (two.d2, two.d3) == pytest.approx((2 / math.sqrt(math.pi), math.sqrt(2 - 4 / math.pi)), rel=1e-9)
    assert three.d2 == pytest.approx(3 / math.sqrt(math.pi), rel=1e-9)
    assert (two.d2 / math.sqrt(2), 3 / two.d2) == pytest.approx((c4(2), 2.6587), rel=1e-4)


@pytest.mark.parametrize("n", [2, 7, 25])
def test_the_constants_describe_normal_subgroups(n: int) -> None:
    drawn = np.random.default_rng(n).normal(size=(200_000, n))
    ranges, found = np.ptp(drawn, axis=1), constants(n)
    deviations = drawn.std(axis=1, ddof=1).mean()
    assert (ranges.mean(), ranges.std(), deviations) == pytest.approx((found.d2, found.d3, found.c4), rel=5e-3)


@pytest.mark.parametrize("n", [-1, 0, 1, 26])
def test_other_sizes_have_no_constants(n: int) -> None:
    with pytest.raises(BadInput, match="2 to 25"):
        constants(n)


@pytest.mark.parametrize("method", [Within.RANGE, Within.DEVIATION, Within.POOLED])
@pytest.mark.parametrize("sizes", [(5,), (3, 4, 7)])
def test_every_estimate_finds_the_sigma_that_the_values_were_drawn_with(method: Within, sizes: tuple[int, ...]) -> None:
    dice = np.random.default_rng(7)
    subgroups = [dice.normal(10, 2, size) for size in sizes * 3000]
    assert within_sigma(subgroups, method) == pytest.approx(2, rel=0.02)


def test_a_shift_between_subgroups_is_not_within_them() -> None:
    subgroups = [np.array([0.0, 1.0]), np.array([100.0, 101.0])]
    assert within_sigma(subgroups, Within.RANGE) == pytest.approx(1 / 1.128379, rel=1e-6)
    assert deviation(np.concatenate(subgroups)) > 50


def test_individuals_are_judged_by_their_moving_range() -> None:
    assert moving_range_sigma(np.array([1.0, 3.0, 2.0])) == pytest.approx(1.5 / 1.128379, rel=1e-6)
    with pytest.raises(BadInput, match="at least 2"):
        moving_range_sigma(np.array([1.0]))


def test_equal_values_deviate_by_exactly_nothing() -> None:
    assert deviation(np.full(7, 0.1)) == 0
