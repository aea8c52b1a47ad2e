"""Writes of *points* that are whole, or come to an end: what a store keeps for later is offered again at once."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from historian.historian import Historian
from historian.point import Point
from shopfloor.errors import Backpressure

T = TypeVar("T")


def write_whole(historian: Historian, points: Sequence[Point], refused: Callable[[Point, str], None]) -> int:
    """Write until nothing is kept; returns how many were accepted. Blocking.

    ``refused`` hears of each point that can never be stored, with the reason; what it raises ends the write. Raises
    Backpressure when the store takes nothing: what was accepted before stays.
    """
    accepted = 0
    while points:
        report = historian.write(points)
        for index, reason in report.rejected.items():
            refused(points[index], reason)
        if not report.accepted and not report.rejected:
            raise Backpressure("the historian took nothing")
        accepted += len(report.accepted)
        points = [points[index] for index in report.kept(len(points))]
    return accepted


def must_be_stored(point: Point, reason: str) -> None:
    """For ``write_whole``: a refused point is a fault of ours. Raises ValueError."""
    raise ValueError(f"the historian refused a point of {point.measurement}: {reason}")


async def insist(call: Callable[[], T], delayed: Callable[[Backpressure], None]) -> T:
    """What a blocking call gives, as soon as the store can be asked; ``delayed`` hears of each time that it cannot."""
    while True:
        try:
            return await asyncio.to_thread(call)
        except Backpressure as busy:
            delayed(busy)
            await asyncio.sleep(busy.retry_after_s)
