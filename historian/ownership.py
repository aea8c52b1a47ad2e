"""Whose dirty intervals and statements: how what one process said survives another in a store without transactions.

Beside registers -> samples -> messages -> points -> facts -> KPIs -> panels; pure. InfluxDB overwrites whatever has the
same identity and offers no test-and-set. So a *point* with an owner rests at a nanosecond of its own within its
millisecond (``influx_names.slot_of``): who writes at the same moment stores beside, never over. A look before the write
finds who was there already (docs/decisions/0016).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from historian.influx_names import NS, slot_of
from historian.point import Point
from historian.schema import IDENTITY, OWNED, TAG_KEYS
from shopfloor.instant import Instant


class Place(NamedTuple):
    """The identity of a point that has an owner: measurement, tag values in the schema's order, time."""

    measurement: str
    tags: tuple[str, ...]
    time: Instant


def time_ns(point: Point) -> int:
    """When the point rests, in ns."""
    if point.measurement not in OWNED:
        return point.time * NS
    owner = owner_of(point)
    return point.time * NS + (slot_of(owner) if owner else 0)


def owner_of(point: Point) -> str:
    """Whose it is; empty for what anybody may overwrite."""
    return str(point.fields.get(IDENTITY, "")) if point.measurement in OWNED else ""


def place_of(point: Point) -> Place:
    """Where an owner's point stands."""
    return Place(point.measurement, tuple(point.tags[key] for key in TAG_KEYS[point.measurement]), point.time)


def taken(points: Sequence[Point], claims: Iterable[int], held: Mapping[Place, Sequence[str]]) -> dict[int, str]:
    """Which of the points at the indices ``claims`` another stands in the way of, with the reason.

    ``held`` tells the owners that each place has in the store; of two in one call the first stays.
    """
    owners = {place: list(ids) for place, ids in held.items()}
    refused: dict[int, str] = {}
    for index in claims:
        owner, there = owner_of(points[index]), owners.setdefault(place_of(points[index]), [])
        if not there:
            there.append(owner)
        elif owner not in there:
            refused[index] = f"its place is taken by {there[0]}"
    return refused
