"""Tilings of time, the algebra between samples and facts: half-open stretches that follow each other without a gap."""

from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from shopfloor.instant import Instant

T = TypeVar("T")


class Tile(NamedTuple, Generic[T]):
    """A value over [start, end)."""

    start: Instant
    end: Instant
    value: T


class Reading(NamedTuple):
    """What a sample says of one tag: a good value, or None for one that is not GOOD."""

    time: Instant
    value: float | None


def hold(readings: Sequence[Reading], max_age: int, start: Instant, end: Instant) -> list[Tile[float | None]]:
    """Tile [start, end): a good value holds until the next reading, at most ``max_age`` ms; else None (unknown).

    Readings are in order of time. Equal neighbours are one tile.
    """
    tiles: list[Tile[float | None]] = []
    opened, current = start, None
    for time, value in _turns(readings, max_age):
        if value == current or time >= end:
            continue
        if time > opened:
            tiles.append(Tile(opened, time, current))
            opened = time
        current = value
    if opened < end:
        tiles.append(Tile(opened, end, current))
    return tiles


def _turns(readings: Sequence[Reading], max_age: int) -> Iterator[tuple[Instant, float | None]]:
    """From when on which value holds: each reading, and the expiry of one that had no successor in time."""
    last: Reading | None = None
    for reading in readings:
        if last is not None and last.value is not None and reading.time - last.time > max_age:
            yield last.time + max_age, None
        yield reading
        last = reading
    if last is not None:
        yield last.time + max_age, None


def overlay(start: Instant, end: Instant, *tilings: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The common refinement of tilings of [start, end): (start, end, tile of each)."""
    at = [0] * len(tilings)
    while start < end:
        tiles = [tiling[index] for tiling, index in zip(tilings, at, strict=True)]
        until = min(tile[1] for tile in tiles)
        yield (start, until, *tiles)
        at = [index + (tile[1] <= until) for index, tile in zip(at, tiles, strict=True)]
        start = until
