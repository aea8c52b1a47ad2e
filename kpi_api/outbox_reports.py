"""Points -> panels: the newest that was told of every outbox of an agent, however long ago it last spoke.

An outbox whose card was changed speaks no more, but what it brought stays in its agent's sums for ever.
"""

import threading
from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Final

from historian.historian import Historian
from historian.point import Point, Query
from historian.schema import AGENT, OUTBOX, Measurement
from shopfloor.instant import MINUTE, Instant

PAGE: Final = 1_000
"""Points read at a time: one per outbox and minute."""
OVERLAP: Final = 10 * MINUTE
"""Read again each time: the newest points still change, and the clocks of several writers differ."""
RENEW_S: Final = 600.0
"""The newest page is read as a whole again after so long, whatever the writers' clocks said."""
MOST: Final = 256
"""Outboxes of one agent; only an attacker has more."""

Report = Mapping[str, float]
"""Field of the ledger -> its newest value."""


class OutboxReports:
    """Reads and remembers. Safe to call from several threads at once."""

    def __init__(self, historian: Historian) -> None:
        self._historian = historian
        self._lock = threading.Lock()
        self._agents: dict[str, _Reports] = {}

    def of(self, agent: str) -> Mapping[str, Report]:
        """Outbox -> its report, in the order in which they were found."""
        with self._lock:
            reports = self._agents.setdefault(agent, _Reports(self._historian, agent))
            reports.refresh()
            return {outbox: dict(report) for outbox, report in reports.told.items()}


class _Reports:
    """Those of one agent."""

    def __init__(self, historian: Historian, agent: str) -> None:
        self._historian = historian
        self._agent = agent
        self._upto: Instant | None = None
        self._renew_at = 0.0
        self.told: dict[str, dict[str, float]] = {}

    def refresh(self) -> None:
        """Read what is new; the first time everything."""
        if self._upto is None or monotonic() >= self._renew_at:
            page = self._read(descending=True, limit=PAGE)
            first = self._upto is None
            self._take(reversed(page))
            if first and len(page) == PAGE:
                self._search(page[-1].time)
            self._renew_at = monotonic() + RENEW_S
        else:
            self._take(self._read(start=self._upto - OVERLAP))

    def _take(self, points: Iterable[Point]) -> None:
        """Points in order of time: what is told later stands."""
        for point in points:
            outbox = point.tags[OUTBOX]
            if outbox in self.told or len(self.told) < MOST:
                report = self.told.setdefault(outbox, {})
                report.update({name: float(value) for name, value in point.fields.items()})
            self._upto = max(point.time, self._upto or 0)

    def _search(self, end: Instant) -> None:
        """Find the outboxes that spoke only before ``end``, and the counts of those that told only of letters since.

        A point of an outbox that is not known yet shows in the number of points, so that halving the time finds it
        without reading what lies between.
        """
        found: dict[str, dict[str, float]] = {}
        while len(self.told) + len(found) < MOST and self._strangers(0, end, found):
            low, high = 0, end
            while high - low > MINUTE and self._count(low, high) > PAGE:
                middle = (low + high) // 2
                low, high = (middle, high) if self._strangers(middle, high, found) else (low, middle)
            strangers = [point for point in self._read(start=low, end=high) if point.tags[OUTBOX] not in self.told]
            if all(point.tags[OUTBOX] in found for point in strangers):
                break
            for point in strangers:
                report = found.setdefault(point.tags[OUTBOX], {})
                report.update({name: float(value) for name, value in point.fields.items()})
        self.told |= found
        for outbox, report in self.told.items():
            if "appended" not in report:
                query = Query(Measurement.LEDGER, self._of(outbox), end=end, descending=True, limit=PAGE)
                for point in self._historian.read(query):
                    for name, value in point.fields.items():
                        report.setdefault(name, float(value))

    def _strangers(self, start: Instant, end: Instant, found: Iterable[str]) -> int:
        """Points of [start, end) that belong to no known outbox."""
        known = sum(
            self._historian.count(Query(Measurement.LEDGER, self._of(outbox), start, end))
            for outbox in (*self.told, *found)
        )
        return self._count(start, end) - known

    def _count(self, start: Instant, end: Instant) -> int:
        return self._historian.count(Query(Measurement.LEDGER, {AGENT: self._agent}, start, end))

    def _read(
        self,
        *,
        start: Instant | None = None,
        end: Instant | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> list[Point]:
        where = {AGENT: self._agent}
        return self._historian.read(Query(Measurement.LEDGER, where, start, end, None, descending, limit))

    def _of(self, outbox: str) -> dict[str, str]:
        return {AGENT: self._agent, OUTBOX: outbox}
