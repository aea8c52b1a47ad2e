from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi.capability.control_chart import Statistic, i_mr, study, xbar_r, xbar_s
from kpi.capability.spc import Within
from kpi.refusal import BadInput

RINGS = np.loadtxt(Path(__file__).parent / "piston_rings.txt")


def test_the_published_piston_rings_have_their_published_limits() -> None:
    means, ranges = xbar_r(RINGS).charts
    assert (means.centre[0], means.lower[0], means.upper[0]) == pytest.approx((74.001176, 73.98805, 74.01430), abs=6e-6)
    assert (ranges.centre[0], ranges.lower[0], ranges.upper[0]) == pytest.approx((0.02276, 0, 0.04812), abs=1e-5)
    assert not means.alarms
    assert not ranges.alarms


def test_deviations_give_the_limits_of_the_tables() -> None:
    means, deviations = xbar_s(RINGS).charts
    centre = float(RINGS.std(axis=1, ddof=1).mean())
    assert means.upper[0] - means.centre[0] == pytest.approx(1.427 * centre, rel=1e-3)
    lines = (deviations.centre[0], deviations.lower[0], deviations.upper[0])
    assert lines == pytest.approx((centre, 0, 2.089 * centre), rel=1e-3)


def test_individuals_have_limits_by_their_moving_range() -> None:
    found = i_mr([10.0, 12.0, 11.0, 13.0, 9.0])
    values, moving = found.charts
    assert moving.points.tolist() == [2.0, 1.0, 2.0, 4.0]
    assert (values.lower[0], values.upper[0]) == pytest.approx((11 - 2.6587 * 2.25, 11 + 2.6587 * 2.25), abs=1e-3)
    assert (moving.lower[0], moving.upper[0]) == pytest.approx((0, 3.2665 * 2.25), abs=1e-3)
    assert (values.statistic, moving.statistic) == (Statistic.INDIVIDUAL, Statistic.MOVING_RANGE)


def test_a_jump_alarms_on_location_and_a_wild_subgroup_on_spread() -> None:
    calm = [[9.85, 9.95, 10.05], [9.95, 10.05, 10.15]] * 10
    jumped = xbar_r([*calm, [10.9, 11.0, 11.1]])
    assert (jumped.location.alarms, jumped.spread.alarms) == ((20,), ())
    wild = xbar_r([*calm, [9.0, 10.0, 11.0]])
    assert (wild.location.alarms, wild.spread.alarms) == ((), (20,))
    assert wild.spread.western_electric == {1: (20,)}


def test_rules_outside_the_alarm_set_are_hints() -> None:
    rising = [10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.2, 10.3, 10.1]
    found = study([*rising], alarm_rules=frozenset({1})).location
    assert 5 in found.nelson[3]
    assert 5 in found.hints
    assert 5 in study(rising, alarm_rules=frozenset({3})).location.alarms


def test_subgroups_of_unequal_size_have_limits_of_their_own() -> None:
    means, ranges = xbar_r([[1.0, 3.0], [1.0, 2.0, 3.0, 2.0], [0.0, 2.0]]).charts
    assert means.upper[1] - means.centre[1] == pytest.approx((means.upper[0] - means.centre[0]) / np.sqrt(2))
    assert ranges.centre[1] > ranges.centre[0] == ranges.centre[2]
    assert means.centre[0] == 14 / 8


def test_values_are_cut_into_subgroups_and_the_rest_is_left() -> None:
    found = study(range(11), subgroup=5)
    assert found.location.points.tolist() == [2.0, 7.0]
    assert (found.method, found.sigma) == (Within.RANGE, pytest.approx(4 / 2.32593, rel=1e-5))


def test_large_subgroups_are_judged_by_their_deviation() -> None:
    assert study(np.arange(40.0), subgroup=8).method is Within.RANGE
    assert study(np.arange(40.0), subgroup=10).method is Within.DEVIATION


def test_without_variation_a_point_is_on_the_line_or_out_of_control() -> None:
    flat = i_mr([0.1] * 12)
    assert (flat.sigma, flat.location.alarms) == (0.0, ())
    moved = xbar_r([[0.1] * 3] * 5 + [[0.2] * 3])
    assert moved.location.alarms == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: i_mr([1.0]), "at least 2"),
        (lambda: i_mr([1.0, float("nan")]), "no finite number"),
        (lambda: xbar_r([[1.0, 2.0], [3.0]]), "at least 2 values"),
        (lambda: xbar_r([]), "at least 2 values"),
        (lambda: xbar_r([list(range(26))]), "2 to 25"),
        (lambda: study([1.0, 2.0], subgroup=5), "no subgroup of 5"),
        (lambda: study([1.0, 2.0], subgroup=0), "at least 1"),
    ],
)
def test_what_gives_no_chart_is_refused_with_what_to_do(call, message) -> None:
    with pytest.raises(BadInput, match=message):
        call()


def test_equal_means_of_other_orders_are_no_trend() -> None:
    orders = [[1.1, 2.3, 4.7], [2.3, 4.7, 1.1], [4.7, 1.1, 2.3], [2.3, 1.1, 4.7], [4.7, 2.3, 1.1], [1.1, 4.7, 2.3]]
    found = xbar_r([*orders, *orders]).location
    assert set(found.nelson[3]) == set(found.nelson[4]) == set()


@given(
    st.lists(st.integers(-1000, 1000), min_size=12, max_size=60),
    st.integers(-1000, 1000),
    st.sampled_from([0.25, 0.5, 2.0, 8.0]),
    st.sampled_from([1, 3, 4]),
)
@settings(max_examples=250)
def test_shift_and_scale_move_the_lines_but_no_verdict(values: list[int], shift: int, scale: float, size: int) -> None:
    plain = study(values, subgroup=size)
    moved = study([value * scale + shift for value in values], subgroup=size)
    assert moved.sigma == pytest.approx(plain.sigma * scale, rel=1e-9)
    for one, other in zip(plain.charts, moved.charts, strict=True):
        offset = shift if one is plain.location else 0
        for name in ("points", "centre", "lower", "upper"):
            assert getattr(other, name) == pytest.approx(getattr(one, name) * scale + offset, rel=1e-9, abs=1e-6)
    assert moved.location.nelson == plain.location.nelson
    assert moved.location.western_electric == plain.location.western_electric
