import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi.capability.indices import capability, not_normal
from kpi.capability.spc import Within
from kpi.refusal import BadInput

RINGS = np.loadtxt(Path(__file__).parent / "piston_rings.txt")


def test_the_handbook_example_comes_out() -> None:
    found = capability(mean=16, sigma=2, lsl=8, usl=20, target=14)
    assert (found.cp, found.cpu, found.cpl, found.cpk) == pytest.approx((1, 2 / 3, 4 / 3, 2 / 3))
    assert (found.k, found.cpm) == pytest.approx((1 / 3, 0.707107), rel=1e-6)
    assert (found.pp, found.ppk, found.cm, found.sigma_overall, found.n) == (None,) * 5
    assert found.flags == ("sigma_given",)


def test_the_published_piston_rings_come_out() -> None:
    found = capability(subgroups=RINGS, lsl=73.95, usl=74.05, target=74.0)
    expected = {
        "mean": 74.001176,
        "sigma_within": 0.0097853,
        "cp": 1.7032,
        "cpl": 1.7433,
        "cpu": 1.6632,
        "cpk": 1.6632,
        "cpm": 1.6911,
        "cpm_overall": 1.6439,
        "sigma_overall": 0.0100700,
        "pp": 1.6551,
        "ppk": 1.6162,
        "xbar_lower": 73.98805,
        "xbar_upper": 74.01430,
    }
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, rel=4e-5), name
    assert (found.cm, found.cmk) == (found.pp, found.ppk)
    assert (found.n, found.subgroups, found.method, found.flags) == (125, 25, Within.RANGE, ())


def test_one_limit_gives_its_side_alone() -> None:
    upper = capability(mean=16, sigma=2, usl=20)
    assert (upper.cp, upper.cpm, upper.k, upper.cpl) == (None,) * 4
    assert upper.cpk == upper.cpu == pytest.approx(2 / 3)
    lower = capability(mean=16, sigma=2, lsl=8, target=14)
    assert (lower.cp, lower.cpk, lower.cpm) == (None, pytest.approx(4 / 3), None)
    assert "one_limit" in lower.flags


def test_without_limits_there_are_sigmas_but_no_index() -> None:
    found = capability(subgroups=RINGS)
    assert found.sigma_within == pytest.approx(0.0097853, rel=1e-4)
    assert (found.cp, found.cpk, found.pp, found.k) == (None,) * 4
    assert found.flags == ("no_limits",)


def test_a_mean_outside_the_limits_has_a_negative_index() -> None:
    assert capability(mean=22, sigma=1, lsl=8, usl=20).cpk == pytest.approx(-2 / 3)


def test_values_without_variation_have_no_index() -> None:
    found = capability(values=[0.1] * 30, lsl=0, usl=1, target=0.1)
    assert (found.mean, found.sigma_within, found.sigma_overall) == (0.1, 0.0, 0.0)
    assert (found.cp, found.cpk, found.pp, found.ppk, found.cpm, found.cm) == (None,) * 6
    assert found.flags == ("zero_sigma",)
    assert capability(mean=1, sigma=0, lsl=0, usl=2).cp is None


def test_subgroups_that_differ_only_from_each_other_have_overall_indices_alone() -> None:
    found = capability(subgroups=[[1.0, 1.0], [2.0, 2.0]], lsl=0, usl=3)
    assert (found.cp, found.cpk) == (None, None)
    assert found.pp == pytest.approx(3 / (6 * math.sqrt(1 / 3)))
    assert {"zero_sigma", "not_stable", "few_subgroups"} <= set(found.flags)


def test_individuals_use_the_moving_range() -> None:
    found = capability(values=[10.0, 12.0, 11.0, 13.0, 9.0], lsl=0, usl=20)
    assert found.sigma_within == pytest.approx(2.25 / 1.128379, rel=1e-6)
    assert found.cpk == pytest.approx((20 - 11) / (3 * 2.25 / 1.128379), rel=1e-6)
    assert (found.method, found.subgroups, found.flags) == (Within.MOVING_RANGE, 5, ("few_subgroups",))
    assert found == capability(subgroups=[[10.0], [12.0], [11.0], [13.0], [9.0]], lsl=0, usl=20)


def test_one_value_has_a_mean_and_no_sigma() -> None:
    found = capability(values=[5.0], lsl=0, usl=10)
    assert (found.mean, found.sigma_within, found.cpk, found.flags) == (5.0, None, None, ("too_few_values",))


def test_an_unstable_process_is_told() -> None:
    dice = np.random.default_rng(8)
    steady = dice.normal(10, 1, (30, 5))
    assert "not_stable" not in capability(subgroups=steady, lsl=0, usl=20).flags
    assert "not_stable" in capability(subgroups=steady + np.linspace(0, 3, 30)[:, None], lsl=0, usl=20).flags


def test_unequal_subgroups_are_taken_by_their_own_constants_and_told() -> None:
    dice = np.random.default_rng(2)
    subgroups = [dice.normal(10, 2, size) for size in [4, 5, 6] * 400]
    for method in (Within.RANGE, Within.DEVIATION, Within.POOLED):
        found = capability(subgroups=subgroups, lsl=0, usl=20, method=method)
        assert found.sigma_within == pytest.approx(2, rel=0.03)
        assert "unequal_subgroups" in found.flags


def test_skewed_values_are_told_from_normal_ones() -> None:
    dice = np.random.default_rng(3)
    refused = sum(not_normal(dice.normal(size=60)) for _ in range(400))
    assert refused <= 16  # 1 % of them is right
    assert not_normal(dice.exponential(size=200))
    assert "not_normal" in capability(values=dice.exponential(size=200), usl=3).flags


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "exactly one"),
        ({"values": [1.0, 2.0], "mean": 1.0, "sigma": 1.0}, "exactly one"),
        ({"mean": 1.0}, "go together"),
        ({"sigma": 1.0}, "go together"),
        ({"mean": 1.0, "sigma": -1.0}, "at least 0"),
        ({"mean": math.nan, "sigma": 1.0}, "finite"),
        ({"values": [1.0, math.inf]}, "finite"),
        ({"values": []}, "no values"),
        ({"subgroups": []}, "no subgroups"),
        ({"subgroups": [[1.0, 2.0], [3.0]]}, "at least 2 values"),
        ({"subgroups": [[1.0, 2.0], []]}, "at least 2 values"),
        ({"values": [1.0, 2.0], "method": Within.RANGE}, "leave the method out"),
        ({"subgroups": [[1.0, 2.0]], "method": Within.MOVING_RANGE}, "individual"),
        ({"values": [1.0, 2.0], "lsl": 3.0, "usl": 3.0}, "not below"),
        ({"values": [1.0, 2.0], "lsl": 4.0, "usl": 3.0}, "not below"),
        ({"values": [1.0, 2.0], "usl": math.inf}, "leave an open limit out"),
    ],
)
def test_wrong_input_is_refused_with_what_to_do(given, message) -> None:
    with pytest.raises(BadInput, match=message):
        capability(**given)


def alike(one: float | None, other: float | None) -> bool:
    return one is other if other is None else one == pytest.approx(other, rel=1e-6, abs=1e-9)


INDICES = ("cp", "cpk", "cpu", "cpl", "pp", "ppk", "cpm", "cpm_overall", "cm", "cmk", "k")


@given(
    st.lists(st.lists(st.integers(-500, 500), min_size=4, max_size=4), min_size=2, max_size=30),
    st.integers(-500, 500),
    st.sampled_from([0.25, 0.5, 2.0, 4.0]),
)
@settings(max_examples=250)
def test_the_indices_do_not_depend_on_the_unit_of_measure(subgroups, shift, scale) -> None:
    plain = capability(subgroups=subgroups, lsl=-400, usl=450, target=30)
    moved = capability(
        subgroups=[[value * scale + shift for value in group] for group in subgroups],
        lsl=-400 * scale + shift,
        usl=450 * scale + shift,
        target=30 * scale + shift,
    )
    for name in INDICES:
        assert alike(getattr(moved, name), getattr(plain, name)), name


@given(st.lists(st.integers(-500, 500), min_size=2, max_size=60))
@settings(max_examples=250)
def test_the_mirror_image_exchanges_the_sides(values) -> None:
    plain = capability(values=values, lsl=-300, usl=600)
    mirrored = capability(values=[-value for value in values], lsl=-600, usl=300)
    sides = replace(mirrored, cpu=mirrored.cpl, cpl=mirrored.cpu)
    for name in ("cp", "cpk", "cpu", "cpl", "ppk", "k"):
        assert alike(getattr(sides, name), getattr(plain, name)), name


@given(st.lists(st.integers(-500, 500), min_size=2, max_size=60))
@settings(max_examples=250)
def test_the_critical_index_is_never_above_the_plain_one(values) -> None:
    found = capability(values=values, lsl=-300, usl=600, target=100)
    for plain, critical in ((found.cp, found.cpk), (found.pp, found.ppk)):
        assert (plain is None) == (critical is None)
        if plain is not None and critical is not None:
            assert critical <= plain * (1 + 1e-12)
            assert critical == pytest.approx(plain * (1 - found.k), rel=1e-9, abs=1e-9)
