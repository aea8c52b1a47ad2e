import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi.evaluation.yields import final_yield, first_pass_yield, rolled_throughput
from kpi.refusal import BadInput


def test_the_published_rolled_throughput_comes_out() -> None:
    assert rolled_throughput([0.95, 0.84, 0.88]) == pytest.approx(0.70224)


def test_a_yield_is_a_share_and_nothing_of_nothing_is_undefined() -> None:
    assert first_pass_yield(95, 100) == 0.95
    assert final_yield(99, 100) == 0.99
    assert first_pass_yield(0, 0) is None
    assert final_yield(0, 0) is None


def test_a_step_without_a_yield_leaves_the_whole_undefined() -> None:
    assert rolled_throughput([]) is None
    assert rolled_throughput([0.9, None]) is None
    assert rolled_throughput([0.9, 0.0]) == 0


@pytest.mark.parametrize("step", [-0.1, 1.01, 95.0, math.nan])
def test_a_percentage_is_no_yield(step: float) -> None:
    with pytest.raises(BadInput, match="step 2"):
        rolled_throughput([0.9, step])


@pytest.mark.parametrize(("part", "whole"), [(101, 100), (-1, 100), (0, -1), (math.nan, 1), (1, math.inf)])
def test_impossible_counts_are_refused(part: float, whole: float) -> None:
    with pytest.raises(BadInput):
        first_pass_yield(part, whole)
    with pytest.raises(BadInput):
        final_yield(part, whole)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=250)
def test_no_chain_of_steps_is_better_than_its_worst(steps: list[float]) -> None:
    through = rolled_throughput(steps)
    assert through is not None
    assert 0 <= through <= min(steps)
    assert rolled_throughput(reversed(steps)) == pytest.approx(through)
