import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi.energy.enpi import EnergyPoint, cusum, expected, fit, saving
from kpi.refusal import BadInput
from shopfloor.plant import Baseline

LINE = Baseline(kwh_per_unit=520.0, base_kwh=60_000.0)


def on_line(*quantities: float) -> list[EnergyPoint]:
    return [EnergyPoint(quantity, 520 * quantity + 60_000) for quantity in quantities]


def test_the_worked_example_comes_out() -> None:
    assert expected(LINE, 1_050) == pytest.approx(606_000)
    assert saving(LINE, 1_050, 590_000) == pytest.approx(16_000)


def test_points_on_a_line_give_the_line() -> None:
    found = fit(on_line(*range(800, 2_000, 100)))
    assert (found.kwh_per_unit, found.base_kwh, found.r2) == pytest.approx((520, 60_000, 1))
    assert (found.n, found.flags) == (12, ())
    assert found.standard_error == pytest.approx(0, abs=1e-3)
    assert found.baseline("good_kg") == Baseline(found.kwh_per_unit, found.base_kwh, "good_kg")


def test_a_small_regression_done_by_hand_comes_out() -> None:
    found = fit([EnergyPoint(1, 2), EnergyPoint(2, 3), EnergyPoint(3, 5), EnergyPoint(4, 4)])
    assert (found.kwh_per_unit, found.base_kwh, found.r2) == pytest.approx((0.8, 1.5, 0.64))
    assert found.standard_error == pytest.approx(math.sqrt(1.8 / 2))
    assert found.slope_error == pytest.approx(math.sqrt(0.9 / 5))
    assert found.flags == ("few_points", "low_r2")


def test_months_of_unequal_length_share_one_base_load_per_day() -> None:
    days = [31, 28, 31, 30, 31, 30]
    points = [
        EnergyPoint(quantity, 2 * quantity + 100 * length, length)
        for quantity, length in zip([500, 900, 700, 1200, 650, 800], days, strict=True)
    ]
    found = fit(points)
    assert (found.kwh_per_unit, found.base_kwh) == pytest.approx((2, 100))
    assert saving(found.baseline("good"), 500, 2 * 500 + 100 * 31 - 7, 31) == pytest.approx(7)


def test_the_cusum_turns_where_the_habit_changed() -> None:
    points = [*on_line(900, 1_000), EnergyPoint(1_000, 580_000 - 500), EnergyPoint(1_100, 632_000 - 300)]
    assert cusum(points, LINE) == pytest.approx([0, 0, 500, 800])
    assert cusum([], LINE) == []


def test_a_driver_that_explains_nothing_is_flagged() -> None:
    dice = np.random.default_rng(5)
    noise = [EnergyPoint(float(x), float(y)) for x, y in dice.uniform(100, 200, (40, 2))]
    assert "low_r2" in fit(noise).flags
    falling = fit([EnergyPoint(x, 100 - x) for x in range(10)])
    assert (falling.flags, falling.r2) == (("negative_slope",), pytest.approx(1))
    assert "negative_base_load" in fit([EnergyPoint(x, 3 * x - 5) for x in range(2, 14)]).flags


def test_energy_that_never_varied_has_no_r2() -> None:
    found = fit([EnergyPoint(x, 100) for x in range(1, 13)])
    assert (found.r2, found.flags) == (None, ("low_r2",))
    assert (found.base_kwh, found.kwh_per_unit) == pytest.approx((100, 0), abs=1e-9)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "at least 3"),
        (on_line(1, 2), "at least 3"),
        (on_line(5, 5, 5, 5), "never varies"),
        (on_line(0, 0, 0), "never varies"),
        ([EnergyPoint(10 * days, 5 * days, days) for days in (28, 30, 31)], "never varies"),
        ([*on_line(1, 2), EnergyPoint(-1, 5)], "quantity"),
        ([*on_line(1, 2), EnergyPoint(1, math.nan)], "kwh"),
        ([*on_line(1, 2), EnergyPoint(1, 5, 0)], "0 days"),
    ],
)
def test_points_that_give_no_line_are_refused_with_what_to_do(points, message) -> None:
    with pytest.raises(BadInput, match=message):
        fit(points)


@given(
    st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 10_000)), min_size=3, max_size=40).filter(
        lambda rows: len({quantity for quantity, _ in rows}) > 1
    ),
    st.sampled_from([0.001, 1.0, 1_000.0]),
)
@settings(max_examples=250)
def test_the_line_balances_its_points_in_any_unit(rows: list[tuple[int, int]], unit: float) -> None:
    points = [EnergyPoint(quantity * unit, float(kwh)) for quantity, kwh in rows]
    found = fit(points)
    line = found.baseline("good")
    residuals = [point.kwh - line.base_kwh - line.kwh_per_unit * point.quantity for point in points]
    assert sum(residuals) == pytest.approx(0, abs=1e-4)
    slope, base = np.polyfit([quantity for quantity, _ in rows], [kwh for _, kwh in rows], 1)
    assert (found.kwh_per_unit * unit, found.base_kwh) == pytest.approx((slope, base), rel=1e-6, abs=1e-5)
    assert found.r2 is None or -1e-9 <= found.r2 <= 1
