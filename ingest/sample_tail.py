"""One unit's samples for the derivation: the newest stretch in memory, everything else read from the store.

Serves the step *points -> facts* of registers -> samples -> messages -> points -> facts -> KPIs -> panels. Nothing is
held but what the store gave; ``changed`` must be told of each span whose samples were written since.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from historian.columnar import joined
from historian.historian import Historian
from historian.point import Query
from historian.records import unit_tags
from historian.schema import Measurement
from shopfloor.columns import SampleColumns
from shopfloor.instant import MINUTE, QUARTER, Instant

HELD: Final = 90 * MINUTE
"""Nothing older than this is taken into memory; until two looks later it stays there."""
SLACK: Final = QUARTER
"""Looked at so often: what was not asked for since the last look is held no longer."""
_EVER: Final = 2**62


class SampleTail:
    """Reads samples of one unit. Not safe for two threads at once."""

    def __init__(self, historian: Historian, enterprise: str, unit: str) -> None:
        self._historian = historian
        self._enterprise = enterprise
        self._unit = unit
        self._tags = unit_tags(enterprise, unit)
        self._nothing = SampleColumns.of(unit, ())
        self.forget()

    def forget(self) -> None:
        """Hold nothing."""
        self._held: SampleColumns | None = None
        self._since: Instant = _EVER
        self._looked: Instant = 0
        """The newest sample's time at the last look ..."""
        self._wanted: Instant = _EVER
        """... and the earliest that was asked for since then."""
        self._first: Instant | None = None
        self._earlier: dict[str, tuple[Instant, SampleColumns]] = {}

    def changed(self, start: Instant, end: Instant) -> None:
        """Samples of [start, end) were written."""
        if self._first is not None and start < self._first:
            self._first = None
        self._earlier = {tag: known for tag, known in self._earlier.items() if known[0] <= start}
        held, since = self._held, self._since
        if held is None or end <= since:
            return
        self._held = None  # should the read fail, nothing stale stays
        fresh = self._historian.samples(self._enterprise, self._unit, max(start, since), end)
        self._held = joined(self._unit, [held.between(-_EVER, max(start, since)), fresh, held.between(end, _EVER)])

    def hold(self, since: Instant) -> None:
        """Keep what comes from ``since`` on in memory, where that is not long ago."""
        last = self.last()
        if last is None or last - since > HELD:
            return
        if not self._holds(since):
            self._held = self._historian.samples(self._enterprise, self._unit, since, None)
            self._since, self._looked, self._wanted = since, last, since
        self._wanted = min(self._wanted, since)
        if self._held is not None and last - self._looked > SLACK:
            self._held = joined(self._unit, [self._held.between(self._wanted, _EVER), self._nothing])
            self._since, self._looked, self._wanted = self._wanted, last, since

    def between(self, start: Instant, end: Instant) -> SampleColumns:
        """The samples of [start, end)."""
        if self._held is not None and start >= self._since:
            return self._held.between(start, end)
        return self._historian.samples(self._enterprise, self._unit, start, end)

    def first(self) -> Instant | None:
        """When the unit's first sample was taken; None when there is none."""
        if self._first is None:
            found = self._historian.read(Query(Measurement.SAMPLES, self._tags, limit=1))
            self._first = found[0].time if found else None
        return self._first

    def last(self) -> Instant | None:
        """When its last one was taken."""
        if self._held is not None and len(self._held):
            return int(self._held.times[-1])
        found = self._historian.read(Query(Measurement.SAMPLES, self._tags, descending=True, limit=1))
        return found[0].time if found else None

    def before(self, instant: Instant) -> SampleColumns:
        """The last sample before an instant; none or one."""
        if self._held is not None and instant > self._since:
            index = int(np.searchsorted(self._held.times, instant))
            if index:
                return self._held_at(index - 1)
        return self._one(Query(Measurement.SAMPLES, self._tags, end=instant, descending=True, limit=1))

    def after(self, instant: Instant) -> SampleColumns:
        """The first sample at an instant or after it; none or one."""
        if self._held is not None and instant >= self._since:
            index = int(np.searchsorted(self._held.times, instant))
            return self._held_at(index) if index < len(self._held) else self._nothing
        return self._one(Query(Measurement.SAMPLES, self._tags, start=instant, limit=1))

    def reading_before(self, tag: str, instant: Instant) -> SampleColumns:
        """The last sample before an instant in which ``tag`` is good; none or one."""
        if not self._holds(instant):
            return self._search(tag, Query(Measurement.SAMPLES, self._tags, end=instant, descending=True))
        good = self._good(tag)
        index = int(np.searchsorted(good, instant))
        if index:
            return self._at(int(good[index - 1]))
        known = self._earlier.get(tag)
        if known is None or known[0] != self._since:
            query = Query(Measurement.SAMPLES, self._tags, end=self._since, descending=True)
            known = self._earlier[tag] = self._since, self._search(tag, query)
        return known[1]

    def reading_after(self, tag: str, instant: Instant) -> SampleColumns:
        """The first sample at an instant or after it in which ``tag`` is good; none or one."""
        if not self._holds(instant):
            return self._search(tag, Query(Measurement.SAMPLES, self._tags, start=instant))
        good = self._good(tag)
        index = int(np.searchsorted(good, instant))
        return self._at(int(good[index])) if index < len(good) else self._nothing

    def _holds(self, instant: Instant) -> bool:
        return self._held is not None and instant >= self._since

    def _good(self, tag: str) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """The instants in memory at which a tag is good."""
        if self._held is None or tag not in self._held.values:
            return self._nothing.times
        return self._held.times[~np.isnan(self._held.values[tag])]

    def _held_at(self, index: int) -> SampleColumns:
        return self._at(int(self._held.times[index])) if self._held is not None else self._nothing

    def _at(self, time: Instant) -> SampleColumns:
        return self.between(time, time + 1)

    def _one(self, query: Query) -> SampleColumns:
        found = self._historian.read(query)
        return self._at(found[0].time) if found else self._nothing

    def _search(self, tag: str, query: Query) -> SampleColumns:
        """The good reading of ``tag`` nearest to the query's one border, from the store."""
        query = replace(query, fields=(tag,), limit=1)
        while found := self._historian.read(query):
            time = found[0].time
            sample = self._historian.samples(self._enterprise, self._unit, time, time + 1)
            if not np.isnan(sample.values[tag][0]):
                return sample
            query = replace(query, end=time) if query.descending else replace(query, start=time + 1)
        return self._nothing
