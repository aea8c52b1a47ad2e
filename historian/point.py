"""What the historian takes and gives: the *points* of registers -> samples -> messages -> points -> facts -> KPIs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from shopfloor.instant import Instant

Number = float
"""Every number rests as a float."""
EXACT: Final = 2**53
"""Integers up to this magnitude are exact as floats; beyond it they are refused."""


class Point(msgspec.Struct, frozen=True, gc=False):
    """One moment of one series. (measurement, tags, time) is its identity; points of equal identity merge fields.

    Mappings of points that were read may be shared between points: treat them as read-only.
    """

    measurement: str
    tags: Mapping[str, str]
    time: Instant
    fields: Mapping[str, Number | str]


@dataclass(frozen=True, slots=True)
class Query:
    """Which points to read. Every restriction that is left out lets all points through."""

    measurement: str
    where: Mapping[str, str] = field(default_factory=dict)
    """Tag values that must match exactly."""
    start: Instant | None = None
    """First instant that counts."""
    end: Instant | None = None
    """First instant that no longer counts."""
    fields: tuple[str, ...] | None = None
    """Give only these fields, and only points that have at least one of them."""
    descending: bool = False
    limit: int | None = None
    """At most so many points, counted from the first in the asked order."""


@dataclass(frozen=True, slots=True)
class WriteReport:
    """The verdict on each point of one write, by its index in the call."""

    accepted: frozenset[int]
    """Durable: they survive a kill or a power cut from now on."""
    rejected: Mapping[int, str]
    """Can never be stored, with the reason; do not try again."""

    def kept(self, count: int) -> list[int]:
        """Indices of a write of ``count`` points that have no verdict yet: write them again."""
        return [index for index in range(count) if index not in self.accepted and index not in self.rejected]
