from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi.timeline.tiles import Readings, Tile, clipped, heard, hold, overlay
from shopfloor.columns import SampleColumns
from tests.production import MACHINE, START, lost, machine, sample

VALUES = st.one_of(st.none(), st.integers(0, 2).map(float))
READINGS = st.dictionaries(st.integers(0, 200), VALUES, max_size=30).map(lambda found: sorted(found.items()))


def readings(*given: tuple[int, float | None]) -> Readings:
    times = np.array([time for time, _ in given], dtype=np.int64)
    return Readings(times, np.array([np.nan if value is None else value for _, value in given], dtype=np.float64))


def held_at(given: list[tuple[int, float | None]], max_age: int, instant: int) -> float | None:
    before = [reading for reading in given if reading[0] <= instant]
    return before[-1][1] if before and instant - before[-1][0] < max_age else None


def test_a_value_holds_until_the_next_reading_or_its_age() -> None:
    assert hold(readings((0, 1.0), (5, 2.0)), 10, 0, 20) == [Tile(0, 5, 1.0), Tile(5, 15, 2.0), Tile(15, 20, None)]


def test_a_value_exactly_as_old_as_allowed_leaves_no_gap() -> None:
    assert hold(readings((0, 1.0), (10, 1.0)), 10, 0, 15) == [Tile(0, 15, 1.0)]


def test_nothing_is_held_without_readings() -> None:
    assert hold(readings(), 10, 0, 20) == [Tile(0, 20, None)]
    assert hold(readings((0, 1.0)), 10, 20, 20) == []


@settings(max_examples=400)
@given(READINGS, st.integers(1, 60), st.integers(-20, 220), st.integers(0, 150))
def test_hold_says_what_each_moment_says(
    given: list[tuple[int, float | None]], age: int, start: int, span: int
) -> None:
    tiles = hold(readings(*given), age, start, start + span)
    assert [value for low, high, value in tiles for _ in range(low, high)] == [
        held_at(given, age, instant) for instant in range(start, start + span)
    ]
    assert all(before.end == after.start and before.value != after.value for before, after in pairwise(tiles))


def test_only_samples_that_mention_a_tag_are_its_readings() -> None:
    samples = [sample(0, state=1), sample(1, good=5), lost(2, machine().tags), sample(3, state=2)]
    found = heard(SampleColumns.of(MACHINE, samples), "state")
    assert found.times.tolist() == [START, START + 2000, START + 3000]
    assert found.values.tolist() == pytest.approx([1.0, np.nan, 2.0], nan_ok=True)
    assert len(heard(SampleColumns.of(MACHINE, samples), "never").times) == 0


CUTS = st.sets(st.integers(1, 49), max_size=8).map(lambda cuts: [0, *sorted(cuts), 50])


@settings(max_examples=200)
@given(st.lists(CUTS, min_size=1, max_size=4))
def test_an_overlay_is_the_common_refinement(borders: list[list[int]]) -> None:
    tilings = [[Tile(low, high, (column, low)) for low, high in pairwise(cuts)] for column, cuts in enumerate(borders)]
    rows = list(overlay(0, 50, *tilings))
    assert sorted({row[0] for row in rows} | {50}) == sorted({cut for cuts in borders for cut in cuts})
    assert all(tile.start <= low and high <= tile.end for low, high, *tiles in rows for tile in tiles)


@settings(max_examples=200)
@given(CUTS, st.integers(-5, 55), st.integers(0, 60))
def test_a_clipped_tiling_is_that_part_of_it(borders: list[int], start: int, span: int) -> None:
    tiling = [Tile(low, high, low) for low, high in pairwise(borders)]
    found = clipped(tiling, start, start + span)
    told = [(moment, value) for low, high, value in tiling for moment in range(low, high)]
    assert [(moment, value) for low, high, value in found for moment in range(low, high)] == [
        (moment, value) for moment, value in told if start <= moment < start + span
    ]
    assert all(tile.start < tile.end for tile in found)
