from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi.capability.run_rules import nelson, western_electric

UP_DOWN = [0.5 if index % 2 else -0.5 for index in range(14)]
# rule: a sequence that completes it at its last point, and one that just does not
WESTERN_ELECTRIC = {
    1: ([0.1, 3.01], [0.1, 3.0]),
    2: ([2.1, 0.5, 2.1], [2.1, 0.5, 0.5, 2.1]),
    3: ([1.1, 1.1, 0.5, 1.1, 1.1], [1.1, 1.1, 0.5, 0.5, 1.1, 1.1]),
    4: ([0.1] * 8, [0.1] * 7),
}
NELSON = {
    1: ([0.1, 3.01], [0.1, 3.0]),
    2: ([0.1] * 9, [0.1] * 8),
    3: ([-0.9, -0.6, -0.1, 0.2, 0.5, 0.9], [-0.6, -0.1, 0.2, 0.5, 0.9]),
    4: (UP_DOWN, UP_DOWN[:13]),
    5: ([2.1, 0.5, 2.1], [2.1, 0.5, 0.5, 2.1]),
    6: ([1.1, 0.5, 1.1, 1.1, 1.1], [1.1, 0.5, 0.5, 1.1, 1.1, 1.1]),
    7: ([0.9, -0.9, 0.3] * 5, ([0.9, -0.9, 0.3] * 5)[:14]),
    8: ([1.1, -1.1, -1.5, 1.4] * 2, ([1.1, -1.1, -1.5, 1.4] * 2)[:7]),
}


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("rules", "rule", "hit", "miss"),
    [(western_electric, rule, *pair) for rule, pair in WESTERN_ELECTRIC.items()]
    + [(nelson, rule, *pair) for rule, pair in NELSON.items()],
    ids=[f"western-electric-{rule}" for rule in WESTERN_ELECTRIC] + [f"nelson-{rule}" for rule in NELSON],
)
def test_a_rule_hits_the_point_that_completes_it_and_not_one_sooner(rules, rule, hit, miss, side) -> None:
    assert rules(side * np.array(hit))[rule] == (len(hit) - 1,)
    assert rules(side * np.array(miss))[rule] == ()


@pytest.mark.parametrize(
    ("rules", "rule", "scores"),
    [
        (western_electric, 2, [2.1, -2.1]),  # on two sides
        (western_electric, 2, [2.1, 2.0]),  # on the limit
        (western_electric, 2, [2.1, 0.0]),  # the last point is none of them
        (western_electric, 3, [1.1, 1.1, -1.1, -1.1, 1.1]),
        (western_electric, 4, [0.1] * 4 + [0.0] + [0.1] * 4),  # the centre line is on neither side
        (nelson, 2, [0.1] * 4 + [-0.1] + [0.1] * 4),
        (nelson, 3, [0.1, 0.2, 0.3, 0.3, 0.4, 0.5]),  # a pause
        (nelson, 3, [0.1, 0.2, 0.3, 0.2, 0.3, 0.4]),  # a step back
        (nelson, 4, [*UP_DOWN[:7], UP_DOWN[6], *UP_DOWN[8:]]),
        (nelson, 7, [0.5] * 14 + [1.0]),
        (nelson, 8, [1.1] * 8),  # all on one side
        (nelson, 8, [1.1, -1.1] * 3 + [1.0, -1.1]),
    ],
)
def test_what_only_looks_like_a_pattern_is_none(rules, rule, scores) -> None:
    assert rules(np.array(scores))[rule] == ()


def test_a_pattern_that_goes_on_hits_every_further_point() -> None:
    assert nelson(np.full(12, 0.5))[2] == (8, 9, 10, 11)
    assert western_electric(np.full(4, 2.5))[2] == (1, 2, 3)
    assert nelson(np.linspace(-1, 1, 8))[3] == (5, 6, 7)


def test_points_beyond_two_sigma_count_toward_a_pattern_that_is_two_points_old() -> None:
    assert western_electric(np.array([2.5, 2.5, 0.0]))[2] == (1,)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_few_points_make_no_pattern(count: int) -> None:
    assert set(nelson(np.zeros(count)).values()) == {()}
    assert set(western_electric(np.zeros(count)).values()) == {()}


SCORES = st.lists(st.sampled_from([-3.5, -2.5, -1.5, -0.5, 0.0, 0.5, 1.5, 2.5, 3.5]), max_size=40)


@given(SCORES)
@settings(max_examples=300)
def test_a_chart_and_its_mirror_image_hit_the_same_points(scores: list[float]) -> None:
    above = np.array(scores, dtype=np.float64)
    assert nelson(above) == nelson(-above)
    assert western_electric(above) == western_electric(-above)


@given(SCORES)
@settings(max_examples=300)
def test_rules_agree_with_a_plain_look_at_each_point(scores: list[float]) -> None:
    expected = {rule: tuple(at for at in range(len(scores)) if _hits(rule, scores[: at + 1])) for rule in range(1, 9)}
    assert nelson(np.array(scores, dtype=np.float64)) == expected


def _hits(rule: int, told: list[float]) -> bool:
    last = told[-1]
    same = [value for value in told if value * last > 0]

    def tail(count: int) -> list[float]:
        return told[-count:] if len(told) >= count else []

    def near(count: int, limit: float) -> int:
        return sum(value * last > 0 and abs(value) > limit for value in told[-count:])

    steps = [later - earlier for earlier, later in pairwise(told)]
    six, fourteen = steps[-5:], steps[-13:]
    return {
        1: abs(last) > 3,
        2: bool(same) and bool(tail(9)) and all(value * last > 0 for value in tail(9)),
        3: len(six) == 5 and (min(six) > 0 or max(six) < 0),
        4: len(fourteen) == 13 and all(one * other < 0 for one, other in pairwise(fourteen)),
        5: abs(last) > 2 and near(3, 2) >= 2,
        6: abs(last) > 1 and near(5, 1) >= 4,
        7: bool(tail(15)) and all(abs(value) < 1 for value in tail(15)),
        8: bool(tail(8)) and all(abs(value) > 1 for value in tail(8)) and min(tail(8)) < 0 < max(tail(8)),
    }[rule]
