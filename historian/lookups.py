"""Points that tell readers without our code how to read the others: which grain suits a range, where a day begins.

Beside the road registers -> samples -> messages -> points -> facts -> KPIs -> panels. Written by whoever serves the
plant, at its start, always at the same times: once or a hundred times is the same.
"""

from hashlib import sha256
from string import ascii_uppercase
from typing import Final

from historian import schema
from historian.point import Number, Point
from historian.schema import Grain, Measurement
from shopfloor.instant import HOUR
from shopfloor.plant import Plant, Site

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
    letters = letters_of(plant)
    grains = (
        Point(Measurement.GRAINS, enterprise, longest, _grain(grain, bucket)) for longest, grain, bucket in GRAINS
    )
    sites = (
        Point(Measurement.SITES, {**enterprise, "site": site.id}, 0, _site(site, letters[site.id]))
        for site in plant.sites
    )
    return [*grains, *sites]


def letters_of(plant: Plant) -> dict[str, str]:
    """Site -> a letter in its place, the same for as long as the plant has the same sites.

    Their order follows from a hash, so that the first letter is not the first site of the file. It covers a name on a
    screen; whoever can ask the store can find out.
    """
    shuffled = sorted(plant.sites, key=lambda site: sha256(f"{plant.enterprise}/{site.id}".encode()).digest())
    return {site.id: _letter(at) for at, site in enumerate(shuffled)}


def _letter(at: int) -> str:
    """A to Z, then AA, AB ..."""
    before, this = divmod(at, len(ascii_uppercase))
    return (_letter(before - 1) if before else "") + ascii_uppercase[this]


def _site(site: Site, letter: str) -> dict[str, Number | str]:
    return {schema.SITE_TIMEZONE: site.timezone, schema.SITE_ID: site.id, schema.SITE_LETTER: letter}


def _grain(grain: Grain, bucket: str) -> dict[str, Number | str]:
    return {
        schema.GRAIN_SOURCE: grain.value,
        schema.GRAIN_LOSSES: schema.LOSSES_OF[grain].value,
        schema.GRAIN_BUCKET: bucket,
    }
