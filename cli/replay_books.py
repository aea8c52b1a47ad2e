"""A replayed file in the loss ledger: for each agent of its units an outbox of its own, beside the agent's.

While the file is under way its outbox owes everything from its oldest time on; at the end it owes nothing for ever, so
that finality depends on the real agent alone. What it confirmed is what the historian holds more than before: a file
that is replayed again, or after a kill, is counted once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from historian.historian import Historian
from historian.point import Point, Query
from historian.records import AgentWatermark, edge_ledger_point, unit_query, watermark_point
from historian.schema import AGENT, LEDGER_OLDEST, OUTBOX, Measurement
from messaging.payload import MAX_INSTANT
from shopfloor.clock import Clock
from shopfloor.errors import ServiceUnavailable
from shopfloor.instant import MINUTE, Instant, floor_to
from shopfloor.plant import Plant

_REPORTS: Final = 1_000
"""So many of an agent's last reports are looked through."""

Spans = Mapping[str, tuple[Instant, Instant, int]]
"""Unit -> first and last source time, and how many samples."""


@dataclass(slots=True)
class _Account:
    agent: str
    spans: Spans
    others: int
    """Samples of the spans that came from elsewhere."""
    confirmed: int
    """Samples that this file had brought before."""


class ReplayBooks:
    """The books of one file. Every call blocks and raises what the historian raises."""

    def __init__(self, historian: Historian, plant: Plant, clock: Clock, outbox: str, spans: Spans) -> None:
        self._historian, self._plant, self._clock = historian, plant, clock
        self._outbox = outbox
        self.oldest = min(first for first, _, _ in spans.values())
        """The file's oldest source time."""
        agents = sorted({plant.agent_of(unit) for unit in spans})
        self._accounts = [self._account(agent, spans) for agent in agents]

    def open(self) -> None:
        """The file is on its way."""
        for account in self._accounts:
            owed = sum(count for _, _, count in account.spans.values())
            appended = account.confirmed + owed
            self._report(account, self.oldest, appended=appended, in_outbox=owed, confirmed=account.confirmed)

    def close(self, rejected: Mapping[str, int]) -> int:
        """The file owes nothing any more; ``rejected`` are each agent's dead letters of it. Returns new samples."""
        new = 0
        for account in self._accounts:
            brought = self._stored(account.spans) - account.others
            new += brought - account.confirmed
            refused = rejected.get(account.agent, 0)
            confirmed = brought + refused
            self._report(account, MAX_INSTANT, appended=confirmed, in_outbox=0, confirmed=confirmed, rejected=refused)
        return new

    @property
    def agents(self) -> list[str]:
        """The agents to whose units the file belongs."""
        return [account.agent for account in self._accounts]

    def owed_by_others(self, agent: str) -> Instant | None:
        """The oldest source time that the agent's other outboxes may still hold; None where none ever spoke."""
        told = [fields[LEDGER_OLDEST] for outbox, fields in self._told(agent).items() if LEDGER_OLDEST in fields]
        return int(min(told)) if told else None

    def _account(self, agent: str, spans: Spans) -> _Account:
        mine = {unit: span for unit, span in spans.items() if self._plant.agent_of(unit) == agent}
        told = self._told(agent, own=True).get(self._outbox, {})
        stored = self._stored(mine)
        confirmed = int(told.get("confirmed", 0) - told.get("rejected", 0))
        killed = told.get("in_outbox", 0) > 0  # then its own word of what others had brought stands
        return _Account(agent, mine, int(told.get("stored", 0)) if killed else stored - confirmed, confirmed)

    def _stored(self, spans: Spans) -> int:
        enterprise = self._plant.enterprise
        return sum(
            self._historian.count(unit_query(Measurement.SAMPLES, enterprise, unit, first, last + 1))
            for unit, (first, last, _) in spans.items()
        )

    def _told(self, agent: str, *, own: bool = False) -> dict[str, dict[str, float]]:
        """Per outbox, the newest that was told of each count."""
        where = {AGENT: agent, OUTBOX: self._outbox} if own else {AGENT: agent}
        newest: dict[str, dict[str, float]] = {}
        for point in self._historian.read(Query(Measurement.LEDGER, where, descending=True, limit=_REPORTS)):
            outbox = point.tags[OUTBOX]
            if own or outbox != self._outbox:
                told = newest.setdefault(outbox, {})
                for name, value in point.fields.items():
                    told.setdefault(name, float(value))
        return newest

    def _report(self, account: _Account, oldest: Instant, **counts: int) -> None:
        minute = floor_to(self._clock.now(), MINUTE)
        counts = {"rejected": 0, "evicted": 0, **counts, "polled": counts["appended"], "stored": account.others}
        watermark = AgentWatermark(account.agent, self._outbox, minute, oldest, counts["rejected"])
        self._write(
            [watermark_point(watermark), edge_ledger_point(account.agent, self._outbox, minute, counts)],
        )

    def _write(self, points: list[Point]) -> None:
        report = self._historian.write(points)
        if len(report.accepted) != len(points):
            raise ServiceUnavailable("the historian did not take the replay's books; try again")
