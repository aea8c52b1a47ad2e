"""Dirty intervals that the store holds: what an earlier process left, and what other processes put.

The durable side of *points -> facts* on registers -> samples -> messages -> points -> facts -> KPIs -> panels.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from historian.historian import Historian
from historian.point import Query
from historian.records import Dirty, point_dirty, unit_tags
from historian.schema import ORIGIN, Measurement, Origin
from shopfloor.instant import HOUR, Instant

_PAGE: Final = 1_000
_LOOKBACK: Final = 1 * HOUR
"""Clocks of other processes may be behind by so much; what is later still is found at the next start."""


def left_behind(historian: Historian, enterprise: str, unit: str) -> list[Dirty]:
    """The unit's open intervals of all origins, in order of their stamps."""
    found = [*_open_of_ingest(historian, enterprise, unit)]
    for origin in (Origin.STATEMENT, Origin.REDERIVE, Origin.REPLAY):
        found += open_of(historian, enterprise, unit, origin)
    return sorted(found, key=lambda dirty: dirty.stamp)


def open_of(historian: Historian, enterprise: str, unit: str, origin: Origin) -> list[Dirty]:
    """The unit's open intervals of one origin of which there are few."""
    query = Query(Measurement.DIRTY, {**unit_tags(enterprise, unit), ORIGIN: origin.value})
    return [dirty for dirty in map(point_dirty, historian.read(query)) if not dirty.done]


def _open_of_ingest(historian: Historian, enterprise: str, unit: str) -> Iterable[Dirty]:
    """They are taken up together, so a whole page of done ones ends the search."""
    where = {**unit_tags(enterprise, unit), ORIGIN: Origin.INGEST.value}
    query = Query(Measurement.DIRTY, where, descending=True, limit=_PAGE)
    while page := [point_dirty(point) for point in historian.read(query)]:
        yield from (dirty for dirty in page if not dirty.done)
        if all(dirty.done for dirty in page):
            return
        query = replace(query, end=page[-1].stamp)


class Elsewhere:
    """Looks for what other processes put since the last look."""

    def __init__(self, historian: Historian, enterprise: str) -> None:
        self._historian = historian
        self._enterprise = enterprise
        self._seen: dict[Origin, Instant] = {}
        self._rederiving: dict[tuple[str, Instant, str], bool] = {}

    def look(self, units: frozenset[str]) -> tuple[list[Dirty], set[str]]:
        """Open intervals of these units that statements and replayed letters caused, and those whose facts another
        process rederives.

        A rederivation finishes its own intervals; those of one that was killed are taken up by the next start.
        """
        origins = (Origin.STATEMENT, Origin.REPLAY)
        put = [dirty for origin in origins for dirty in self._read(origin, units) if not dirty.done]
        rederived = {(dirty.unit, dirty.stamp, dirty.id): dirty.done for dirty in self._read(Origin.REDERIVE, units)}
        others = {place[0] for place, done in rederived.items() if not (done and self._rederiving.get(place))}
        self._rederiving = rederived
        return put, others

    def notes(self, units: frozenset[str]) -> list[Dirty]:
        """What other processes changed of these units, or of places of which they are the first, to be published."""
        return [dirty for dirty in self._read(Origin.PUBLISH, units) if not dirty.done]

    def _read(self, origin: Origin, units: frozenset[str]) -> list[Dirty]:
        seen = self._seen.get(origin)
        where = {"enterprise": self._enterprise, ORIGIN: origin.value}
        query = Query(Measurement.DIRTY, where, None if seen is None else seen - _LOOKBACK)
        found = [point_dirty(point) for point in self._historian.read(query)]
        if found:
            self._seen[origin] = found[-1].stamp
        return [dirty for dirty in found if dirty.unit in units]
