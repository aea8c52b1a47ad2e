"""Tells readers of the historian which grain suits a range and where a day begins, once, when a plant is served."""

import logging

from historian.historian import Historian
from historian.lookups import lookup_points
from historian.point import Point
from ingest.whole_write import insist, write_whole
from shopfloor.errors import Backpressure
from shopfloor.plant import Plant

log = logging.getLogger(__name__)


async def write_lookups(historian: Historian, plant: Plant) -> None:
    """Write the lookups of a plant, as soon as the store takes them. Doing it again changes nothing."""
    told = False

    def delayed(busy: Backpressure) -> None:
        nonlocal told
        if not told:
            log.warning("lookups wait for the historian: %s", busy)
        told = True

    await insist(lambda: write_whole(historian, lookup_points(plant), _refused), delayed)


def _refused(point: Point, reason: str) -> None:
    log.error("the historian refused a lookup of %s: %s", point.measurement, reason)
