"""A value on a guideline's scale: the level that it reaches, and a score between levels. Pure arithmetic."""

from collections.abc import Collection, Mapping
from typing import Final

from kpi.evaluation.ratio import ratio
from shopfloor.guideline import Goal

_SLACK: Final = 1e-9
"""A threshold is reached by so much less, relative to it: sums of seconds are not exact."""


def score_of(value: float, levels: Mapping[int, float]) -> float:
    """The highest level whose threshold is reached, and between two thresholds on the straight line to the next one.

    ``levels``: level -> threshold, falling where less is better. Below all thresholds it is the lowest level.
    """
    sign = 1.0 if levels[max(levels)] > levels[min(levels)] else -1.0
    steps = [(level, sign * threshold) for level, threshold in sorted(levels.items())]
    reached = [step for step in steps if _reaches(sign * value, step[1])]
    if not reached or len(reached) == len(steps):
        return float(reached[-1][0] if reached else steps[0][0])
    (low, below), (high, above) = reached[-1], steps[len(reached)]
    return low + (high - low) * max(0.0, sign * value - below) / (above - below)


def achievement(value: float, goal: Goal) -> float | None:
    """(baseline - value) / (baseline - target): 1 at the target, 0 at the baseline, below 0 where it got worse."""
    if goal.baseline is None or goal.target is None:
        return None
    return ratio(goal.baseline - value, goal.baseline - goal.target)


def improvement(value: float, goal: Goal) -> float | None:
    """|value - baseline| / |baseline|, negative where it went away from the target."""
    if goal.baseline is None or goal.target is None or goal.baseline == goal.target:
        return None
    towards = 1.0 if goal.target > goal.baseline else -1.0
    return ratio(towards * (value - goal.baseline), abs(goal.baseline))


def on_scale(share: float, levels: Collection[int]) -> float:
    """A share of the way as a score: of the guideline's scale where it has one, else 0 to 1; within it."""
    low, high = (min(levels), max(levels)) if levels else (0, 1)
    return low + (high - low) * min(max(share, 0.0), 1.0)


def level_at(score: float, levels: Collection[int]) -> int | None:
    """The highest level of a scale that a score has reached; None without a scale."""
    return max((level for level in levels if _reaches(score, level)), default=min(levels, default=None))


def _reaches(value: float, threshold: float) -> bool:
    return value >= threshold - _SLACK * max(1.0, abs(threshold))
