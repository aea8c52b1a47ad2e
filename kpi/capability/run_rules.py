"""Run rules: which points of a control chart are no chance, by where they lie in sigmas from the centre line.

Each rule gives the indices of the points that complete its pattern. "Beyond" is strict, and a point exactly on the
centre line is on neither side.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
"""Points of a chart, in sigmas from the centre line; infinite where sigma is zero."""
Hits = tuple[int, ...]
Rule = Callable[[Scores], Hits]
ALARM_RULES: Final = frozenset({1, 2, 5})
"""Nelson's rules that alarm; the others are hints, since each rule more is more false alarms."""


def western_electric(scores: Scores) -> dict[int, Hits]:
    """Rule number -> hits: 1 beyond 3 sigma; 2 of 3 beyond 2; 4 of 5 beyond 1; 8 in a row on one side."""
    return _apply(_WESTERN_ELECTRIC, scores)


def nelson(scores: Scores) -> dict[int, Hits]:
    """Rule number -> hits of Nelson's rules 1 to 8.

    1 beyond 3 sigma; 2 nine in a row on one side; 3 six steadily up or down; 4 fourteen alternating; 5 two of three
    beyond 2 sigma; 6 four of five beyond 1; 7 fifteen in a row within 1; 8 eight in a row beyond 1, on both sides.
    """
    return _apply(_NELSON, scores)


def _apply(rules: Mapping[int, Rule], scores: Scores) -> dict[int, Hits]:
    return {number: rule(scores) for number, rule in rules.items()}


def _beyond(limit: float) -> Rule:
    return lambda scores: _indices(np.abs(scores) > limit)


def _some_of(least: int, among: int, limit: float) -> Rule:
    """``least`` of the last ``among`` points, the last one too, beyond ``limit`` on one side."""

    def rule(scores: Scores) -> Hits:
        return _indices(_crowded(scores > limit, least, among) | _crowded(scores < -limit, least, among))

    return rule


def _side(length: int) -> Rule:
    return lambda scores: _indices((_run(scores > 0) >= length) | (_run(scores < 0) >= length))


def _trend(length: int) -> Rule:
    def rule(scores: Scores) -> Hits:
        later, earlier = scores[1:], scores[:-1]
        steps = np.maximum(_run(later > earlier), _run(later < earlier))
        return tuple(hit + 1 for hit in _indices(steps >= length - 1))

    return rule


def _alternating(length: int) -> Rule:
    def rule(scores: Scores) -> Hits:
        up, down = scores[1:] > scores[:-1], scores[1:] < scores[:-1]
        turns = _run((up[1:] & down[:-1]) | (down[1:] & up[:-1]))
        return tuple(hit + 2 for hit in _indices(turns >= length - 2))

    return rule


def _within(length: int, limit: float) -> Rule:
    return lambda scores: _indices(_run(np.abs(scores) < limit) >= length)


def _avoided(length: int, limit: float) -> Rule:
    def rule(scores: Scores) -> Hits:
        far = _run(np.abs(scores) > limit) >= length
        return _indices(far & (_run(scores > 0) < length) & (_run(scores < 0) < length))

    return rule


def _crowded(marked: NDArray[np.bool_], least: int, among: int) -> NDArray[np.bool_]:
    total = np.zeros(len(marked) + among, dtype=np.int64)
    np.cumsum(marked, out=total[among:])
    return np.logical_and(marked, total[among:] - total[: len(marked)] >= least)


def _run(marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each point, how many in a row are marked up to and with it."""
    position = np.arange(1, len(marked) + 1)
    return position - np.maximum.accumulate(np.where(marked, 0, position)) if len(marked) else position


def _indices(marked: NDArray[np.bool_]) -> Hits:
    return tuple(int(index) for index in np.flatnonzero(marked))


_WESTERN_ELECTRIC: Final[Mapping[int, Rule]] = {1: _beyond(3), 2: _some_of(2, 3, 2), 3: _some_of(4, 5, 1), 4: _side(8)}
_NELSON: Final[Mapping[int, Rule]] = {
    1: _beyond(3),
    2: _side(9),
    3: _trend(6),
    4: _alternating(14),
    5: _some_of(2, 3, 2),
    6: _some_of(4, 5, 1),
    7: _within(15, 1),
    8: _avoided(8, 1),
}
