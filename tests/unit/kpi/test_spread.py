import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi.facts.counts import Deltas
from kpi.facts.slices import grid
from kpi.facts.spread import EXACT_MS, part_of, shares, spread
from kpi.timeline.states import StateInterval
from shopfloor.calendar import Planned
from shopfloor.columns import Times
from shopfloor.instant import MINUTE
from shopfloor.machine_state import TimeCategory
from tests.production import START


def array(*numbers: int) -> Times:
    return np.array(numbers, dtype=np.int64)


def tiles(*lengths: tuple[int, TimeCategory]) -> list[StateInterval]:
    found, start = [], START
    for length, category in lengths:
        end = start + length
        found.append(StateInterval(start, end, category, category, 1, True, Planned.BUSY, "all", "disc"))
        start = end
    return found


def deltas(*stretches: tuple[int, int, int]) -> Deltas:
    start, end, counts = (array(*column) for column in zip(*stretches, strict=True))
    yes = np.ones(len(start), dtype=np.bool_)
    return Deltas(START + start, START + end, counts, np.zeros(len(start), dtype=np.int8), yes, yes)


@settings(max_examples=200)
@given(st.integers(-1_000, 1_000), st.lists(st.integers(0, 60_000), min_size=1).filter(any))
def test_shares_lose_nothing_and_give_nothing_to_no_weight(counts: int, weights: list[int]) -> None:
    parts = shares(counts, array(*weights)).tolist()
    assert sum(parts) == counts
    assert all(part * counts >= 0 for part in parts)
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if weight == 0)


def test_of_two_slices_the_heavier_takes_an_odd_piece() -> None:
    assert shares(1, array(40, 60)).tolist() == [0, 1]
    assert shares(1, array(60, 40)).tolist() == [1, 0]
    assert shares(10, array(1, 1, 1, 1, 1)).tolist() == [2, 2, 2, 2, 2]


@settings(max_examples=300)
@given(st.integers(-(2**61), 2**61), st.integers(1, 2**40), st.data())
def test_a_share_is_that_of_unbounded_integers(counts: int, total: int, data: st.DataObject) -> None:
    passed = data.draw(st.integers(0, total))
    assert part_of(array(counts), array(passed), array(total)).tolist() == [
        (2 * counts * passed + total) // (2 * total)
    ]


def test_short_and_long_stretches_are_exact_side_by_side() -> None:
    counts, total = 2**60 + 7, array(EXACT_MS - 1, EXACT_MS, 2**40)
    passed = total // 3
    expected = [(2 * counts * p + t) // (2 * t) for p, t in zip(passed.tolist(), total.tolist(), strict=True)]
    assert part_of(array(*[counts] * 3), passed, total).tolist() == expected


def test_counts_go_by_running_time_and_else_by_the_clock() -> None:
    run, stop = TimeCategory.RUNNING, TimeCategory.UNPLANNED_STOP
    cells = grid(
        tiles((30_000, run), (30_000, stop), (30_000, run), (90_000, stop)),
        (START, START + 3 * MINUTE),
        (START, START + 3 * MINUTE),
        MINUTE,
    )
    assert cells is not None
    found = deltas((10_000, 80_000, 8), (10_000, 80_000, 7), (100_000, 160_000, 6))
    parts = spread(found, cells, np.array([True, False, True]))
    got = np.zeros((3, len(cells.start)), dtype=np.int64)
    np.add.at(got, (parts.delta, parts.segment), parts.counts)
    assert cells.start.tolist() == [START + second * 1000 for second in (0, 30, 60, 90, 120)]
    assert got.tolist() == [[4, 0, 4, 0, 0], [2, 3, 2, 0, 0], [0, 0, 0, 2, 4]]
