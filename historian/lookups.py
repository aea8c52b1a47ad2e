"""Points that tell readers without our code how to read the others: which grain suits a range, where a day begins.

Beside the road registers -> samples -> messages -> points -> facts -> KPIs -> panels. Written by whoever serves the
plant, at its start, always at the same times: once or a hundred times is the same.
"""

from typing import Final

from historian import schema
from historian.point import Number, Point
from historian.schema import Grain, Measurement
from shopfloor.instant import HOUR
from shopfloor.plant import Plant

_DAY: Final = 24 * HOUR
GRAINS: Final = (
    (6 * HOUR, Grain.MINUTE, "5m"),
    (4 * _DAY, Grain.HOUR, "1h"),
    (100 * _DAY, Grain.SHIFT, "1d"),
    (100 * 365 * _DAY, Grain.SHIFT, "7d"),
)
"""(longest range, grain, length of the stretches to show), from short to long."""


def lookup_points(plant: Plant) -> list[Point]:
    """The points of ``grains`` and ``sites`` for a plant."""
    enterprise = {"enterprise": plant.enterprise}
    grains = (
        Point(Measurement.GRAINS, enterprise, longest, _grain(grain, bucket)) for longest, grain, bucket in GRAINS
    )
    sites = (
        Point(Measurement.SITES, {**enterprise, "site": site.id}, 0, {schema.SITE_TIMEZONE: site.timezone})
        for site in plant.sites
    )
    return [*grains, *sites]


def _grain(grain: Grain, bucket: str) -> dict[str, Number | str]:
    return {
        schema.GRAIN_SOURCE: grain.value,
        schema.GRAIN_LOSSES: schema.LOSSES_OF[grain].value,
        schema.GRAIN_BUCKET: bucket,
    }
