"""Whole counts spread over stretches of time so that nothing is lost and every window sees the same shares. Pure."""

from typing import Final, NamedTuple

import numpy as np

from kpi.facts.counts import Deltas
from kpi.facts.slices import Grid, Indices
from shopfloor.columns import Mask, Times

EXACT_MS: Final = 2**30
"""Beyond this length, 12 days, the products of a share leave 64 bits and Python's integers take over."""


class Parts(NamedTuple):
    """Shares of deltas by segment; of one delta in order of time."""

    delta: Indices
    segment: Indices
    counts: Times


def part_of(counts: Times, passed: Times, total: Times) -> Times:
    """The counts due when ``passed`` of ``total`` ms is over, rounded half up: (2 counts passed + total) // (2 total).

    Exact for any counts below 2^62 and any 0 <= passed <= total; where total is 0 nothing is due.
    """
    safe = np.maximum(total, 1)
    few = counts % safe
    rounded: Times = (2 * few * passed + safe) // (2 * safe)
    (long,) = np.nonzero(safe >= EXACT_MS)
    if len(long):
        rounded[long] = [
            (2 * one * gone + whole) // (2 * whole)
            for one, gone, whole in zip(few[long].tolist(), passed[long].tolist(), safe[long].tolist(), strict=True)
        ]
    due: Times = counts // safe * passed + rounded
    return due


def shares(counts: int, weights: Times) -> Times:
    """Split whole counts by weights so that nothing is lost: each share is the growth of the rounded running total.

    Of two slices the heavier takes an odd piece; over many the pieces are spread, not heaped at the front.
    """
    passed = np.cumsum(weights)
    total = np.full_like(passed, passed[-1])
    return np.diff(part_of(np.full_like(passed, counts), passed, total), prepend=0)


def spread(deltas: Deltas, grid: Grid, by_running: Mask) -> Parts:
    """Each delta's counts on the segments that it touches: by running time where ``by_running``, else by elapsed time.

    A delta without running time goes by elapsed time. The grid must cover those by running time whole; of others it
    may cover a part, and gets the counts of that part.
    """
    first = np.maximum(grid.at(deltas.start), 0)
    last = np.searchsorted(grid.start, deltas.end, side="left")
    whole = (last - first == 1) & (grid.start[first] <= deltas.start) & (deltas.end <= grid.end[first])
    (simple,), (split,) = np.nonzero(whole), np.nonzero(~whole)
    touched = np.maximum(last[split] - first[split], 0)
    delta = np.repeat(split, touched)
    before = np.repeat(np.cumsum(touched) - touched, touched)
    segment = first[delta] + np.arange(len(delta)) - before
    counts = _split(deltas, grid, by_running, Parts(delta, segment, deltas.counts[delta]))
    return Parts(
        np.concatenate([simple, delta]),
        np.concatenate([first[simple], segment]),
        np.concatenate([deltas.counts[simple], counts]),
    )


def _split(deltas: Deltas, grid: Grid, by_running: Mask, whole: Parts) -> Times:
    delta, segment, counts = whole
    start, end = deltas.start[delta], deltas.end[delta]
    low, high = np.maximum(grid.start[segment], start), np.minimum(grid.end[segment], end)
    high = np.maximum(low, high)
    weight = np.where(grid.running[segment] & by_running[delta], high - low, 0)
    total = np.zeros(len(deltas.start), dtype=np.int64)
    np.add.at(total, delta, weight)
    passed = np.cumsum(weight)
    opens = np.flatnonzero(np.diff(delta, prepend=-1))
    base = np.repeat((passed - weight)[opens], np.diff(np.append(opens, len(delta))))
    runs = total[delta] > 0
    until = np.where(runs, passed - base, high - start)
    since = np.where(runs, passed - base - weight, low - start)
    length = np.where(runs, total[delta], end - start)
    return part_of(counts, until, length) - part_of(counts, since, length)
