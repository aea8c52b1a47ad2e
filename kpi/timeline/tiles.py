"""Tilings of time, the algebra between samples and facts: half-open stretches that follow each other without a gap."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from shopfloor.columns import Mask, SampleColumns, Times, Values
from shopfloor.instant import Instant

T = TypeVar("T")


class Tile(NamedTuple, Generic[T]):
    """A value over [start, end)."""

    start: Instant
    end: Instant
    value: T


class Readings(NamedTuple):
    """What samples say of one tag, as columns: only those that mention it, in order of time."""

    times: Times
    values: Values
    """NaN for a reading that is not GOOD."""


def heard(samples: SampleColumns, tag: str) -> Readings:
    """The readings of ``tag``. A sample that does not mention it says nothing."""
    mask = samples.heard.get(tag)
    if mask is None:
        return Readings(samples.times[:0], np.empty(0))
    if mask.all():
        return Readings(samples.times, samples.values[tag])
    return Readings(samples.times[mask], samples.values[tag][mask])


def hold(readings: Readings, max_age: int, start: Instant, end: Instant) -> list[Tile[float | None]]:
    """Tile [start, end): a good value holds until the next reading, at most ``max_age`` ms; else None (unknown).

    Equal neighbours are one tile. Costs array time per reading and Python time per tile only.
    """
    tiles: list[Tile[float | None]] = []
    opened, current = start, None
    for time, value in _turns(*_around(readings, start, end), max_age):
        if value == current or time >= end:
            continue
        if time > opened:
            tiles.append(Tile(opened, time, current))
            opened = time
        current = value
    if opened < end:
        tiles.append(Tile(opened, end, current))
    return tiles


def _around(readings: Readings, start: Instant, end: Instant) -> Readings:
    """The readings in [start, end) and the last one before."""
    first = max(int(np.searchsorted(readings.times, start, side="right")) - 1, 0)
    last = int(np.searchsorted(readings.times, end))
    return Readings(readings.times[first:last], readings.values[first:last])


def _turns(times: Times, values: Values, max_age: int) -> Iterator[tuple[Instant, float | None]]:
    """From when on which value holds: each change, and the expiry of a reading that had no successor in time."""
    if not len(times):
        return
    good = ~np.isnan(values)
    first = np.flatnonzero(np.concatenate(([True], _breaks(times, values, good, max_age))))
    last = np.append(first[1:], len(times)) - 1
    expiry = times[last] + max_age
    following = np.append(times[first[1:]], expiry[-1])
    for at, value, is_good, expires, until in zip(
        times[first].tolist(),
        values[first].tolist(),
        good[first].tolist(),
        expiry.tolist(),
        following.tolist(),
        strict=True,
    ):
        yield at, value if is_good else None
        if is_good and expires <= until:
            yield expires, None


def _breaks(times: Times, values: Values, good: Mask, max_age: int) -> Mask:
    """Whether each reading but the first says something new, or comes after its predecessor expired."""
    same = (values[1:] == values[:-1]) | ~(good[1:] | good[:-1])
    late = good[:-1] & (np.diff(times) > max_age)
    broken: Mask = ~same | late
    return broken


def clipped(tiles: Iterable[Tile[T]], start: Instant, end: Instant) -> list[Tile[T]]:
    """The part of a tiling in [start, end)."""
    inside = [tile for tile in tiles if max(tile[0], start) < min(tile[1], end)]
    if inside:
        inside[0] = inside[0]._replace(start=max(inside[0].start, start))
        inside[-1] = inside[-1]._replace(end=min(inside[-1].end, end))
    return inside


def overlay(start: Instant, end: Instant, *tilings: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The common refinement of tilings of [start, end): (start, end, tile of each)."""
    if start >= end:
        return
    row = [tiling[0] for tiling in tilings]
    moving = [(column, iter(tiling[1:])) for column, tiling in enumerate(tilings) if len(tiling) > 1]
    if len(moving) == 1:
        yield from _along(start, end, row, moving[0][0], tilings[moving[0][0]])
        return
    while start < end:
        until = min([end, *[row[column][1] for column, _ in moving]])
        yield (start, until, *row)
        for column, rest in moving:
            if row[column][1] <= until < end:
                row[column] = next(rest)
        start = until


def _along(
    start: Instant, end: Instant, row: Sequence[tuple[Any, ...]], column: int, tiles: Sequence[tuple[Any, ...]]
) -> Iterator[tuple[Any, ...]]:
    """The overlay of tilings of which only one changes: the others lie under each of its tiles."""
    before, after = row[:column], row[column + 1 :]
    for tile in tiles:
        until = min(tile[1], end)
        yield (start, until, *before, tile, *after)
        if until == end:
            return
        start = until
