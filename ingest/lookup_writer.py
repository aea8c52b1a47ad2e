"""Tells readers of the historian which grain suits a range and where a day begins, once, when a plant is served."""

import asyncio
import logging

from historian.historian import Historian
from historian.lookups import lookup_points
from shopfloor.errors import Backpressure
from shopfloor.plant import Plant

log = logging.getLogger(__name__)


async def write_lookups(historian: Historian, plant: Plant) -> None:
    """Write the lookups of a plant, as soon as the store takes them. Doing it again changes nothing."""
    points, told = lookup_points(plant), False
    while points:
        try:
            report = await asyncio.to_thread(historian.write, points)
        except Backpressure as busy:
            if not told:
                log.warning("lookups wait for the historian: %s", busy)
            told = True
            await asyncio.sleep(busy.retry_after_s)
            continue
        for place, reason in report.rejected.items():
            log.error("the historian refused a lookup of %s: %s", points[place].measurement, reason)
        return
