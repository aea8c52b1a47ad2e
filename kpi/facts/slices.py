"""Tiles to segments and slices: the grid on which time, counts and energy are booked. Pure; no loop per sample."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kpi.timeline.states import StateInterval
from shopfloor.columns import Mask, Times, Values
from shopfloor.instant import Instant
from shopfloor.machine_state import TimeCategory

Indices = NDArray[np.intp]
Window = tuple[Instant, Instant]
"""[start, end) in whole minutes."""
Key = tuple[Instant, str, str]
"""Slice: minute, shift, product."""

CATEGORIES: Final = tuple(TimeCategory)
"""Position -> category, as in ``Grid.category``."""
_POSITION: Final[dict[TimeCategory | None, int]] = {None: -1} | {each: index for index, each in enumerate(CATEGORIES)}


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Segments in order of time without a gap, each within one minute, shift, product and tile.

    They reach beyond the window by what its slices' counts depend on; ``slot`` is -1 there.
    """

    start: Times
    end: Times
    tile: Indices
    """Position of its tile."""
    slot: Indices
    """Position of its slice in ``keys``; -1 outside the window."""
    category: Indices
    """Position in ``CATEGORIES``; -1 for a meter."""
    running: Mask
    """Whether the machine ran, by its own or people's word, whatever the time counts as."""
    keys: list[Key]
    """The window's slices in order."""
    minute: Times
    """Start of each slice."""
    products: Mapping[str, Indices]
    """The slices of each product."""

    def at(self, times: Times) -> Indices:
        """The segment in which each instant lies; -1 before the first."""
        return np.searchsorted(self.start, times, side="right") - 1

    def ending(self, times: Times) -> Indices:
        """The segment that each instant ends or lies in; -1 outside."""
        found = np.searchsorted(self.start, times, side="left") - 1
        found[self.end[found] < times] = -1
        return found

    def slot_of(self, segments: Indices) -> Indices:
        """The slice of each segment; -1 for none."""
        return np.where(segments >= 0, self.slot[segments], -1)

    def among(self, intervals: Sequence[Window]) -> Indices:
        """The interval that holds each segment, of disjoint ones in order; -1 for none. No segment crosses a border."""
        if not intervals:
            return np.full(len(self.start), -1, dtype=np.intp)
        start, end = np.array(intervals, dtype=np.int64).T
        found = np.searchsorted(start, self.start, side="right") - 1
        found[self.start >= end[found]] = -1
        return found

    def is_in(self, categories: Iterable[TimeCategory]) -> Mask:
        """Whether each segment is in one of ``categories``."""
        wanted = np.zeros(len(CATEGORIES) + 1, dtype=np.bool_)
        wanted[[_POSITION[category] for category in categories]] = True
        return wanted[self.category]

    def per_slice(self, amounts: Times, where: Mask | None = None) -> Values:
        """Sum of whole ``amounts`` of segments (below 2^53 together) by slice; ``where`` chooses segments."""
        inside = self.slot >= 0 if where is None else (self.slot >= 0) & where
        return np.bincount(self.slot[inside], amounts[inside], len(self.keys)).astype(np.float64)


def grid(
    tiles: Sequence[StateInterval], window: Window, span: Window, step: int, cuts: Sequence[Instant] = ()
) -> Grid | None:
    """Cut the part of contiguous ``tiles`` in ``span`` at multiples of ``step`` ms, the window's borders and ``cuts``.

    None when no tile lies in the window.
    """
    low, high = max(span[0], tiles[0].start), min(span[1], tiles[-1].end)
    if max(low, window[0]) >= min(high, window[1]):
        return None
    tile_start = np.fromiter((tile.start for tile in tiles), np.int64, len(tiles))
    borders = np.concatenate([tile_start, np.arange(low - low % step, high, step), [*window, *cuts, low]])
    start = np.unique(borders[(borders >= low) & (borders < high)])
    tile = np.searchsorted(tile_start, start, side="right") - 1
    slot, keys = _slots(tiles, start, tile, window, step)
    category = np.fromiter((_POSITION[each.category] for each in tiles), np.intp, len(tiles))
    running = np.fromiter((TimeCategory.RUNNING in (each.machine, each.category) for each in tiles), bool, len(tiles))
    return Grid(
        start,
        np.append(start[1:], high),
        tile,
        slot,
        category[tile],
        running[tile],
        keys,
        np.fromiter((key[0] for key in keys), np.int64, len(keys)),
        _by_product(keys),
    )


def _by_product(keys: Sequence[Key]) -> dict[str, Indices]:
    found: dict[str, list[int]] = {}
    for slot, (_, _, product) in enumerate(keys):
        found.setdefault(product, []).append(slot)
    return {product: np.array(slots, dtype=np.intp) for product, slots in found.items()}


def _slots(
    tiles: Sequence[StateInterval], start: Times, tile: Indices, window: Window, step: int
) -> tuple[Indices, list[Key]]:
    """Each segment's slice, and the slices in order of (minute, shift, product)."""
    pairs = sorted({(each.shift, each.product) for each in tiles})
    numbers = {pair: number for number, pair in enumerate(pairs)}
    pair = np.fromiter((numbers[each.shift, each.product] for each in tiles), np.int64, len(tiles))
    inside = (start >= window[0]) & (start < window[1])
    codes, slots = np.unique(start[inside] // step * len(pairs) + pair[tile[inside]], return_inverse=True)
    slot = np.full(len(start), -1, dtype=np.intp)
    slot[inside] = slots
    return slot, [(code // len(pairs) * step, *pairs[code % len(pairs)]) for code in codes.tolist()]
