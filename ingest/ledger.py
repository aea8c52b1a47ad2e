"""The ingest side of the loss ledger: what became of the *messages*, and how many *points* are counted in the store."""

from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from historian.historian import Historian
from historian.point import Point, Query
from historian.records import dead_letters_point, edge_ledger_point, unit_query
from historian.schema import AGENT, LEDGER_CLOCK, LEDGER_HEALTH, LEDGER_OLDEST, OUTBOX, Measurement
from ingest.dead_letters import Tally
from ingest.mapping import Source
from messaging.agent_state import AgentState
from shopfloor.clock import Trust
from shopfloor.instant import MINUTE, Instant, floor_to
from shopfloor.plant import Plant

_RECENT: Final = 1_000
"""Reports looked at: one per outbox and minute. An outbox that has been silent for longer holds nothing back."""
_EDGE: Final = ("polled", "appended", "confirmed", "in_outbox", "evicted")
"""What is stored of an agent's word."""
_REMEMBERED: Final = 1_024
"""Outboxes whose receipts are watched; the one longest unheard of is forgotten first."""


@dataclass(slots=True)
class IngestCounts:
    """What this process has handled since it began. Resends count as often as they come, dead letters once."""

    messages: int = 0
    samples: int = 0
    """Judged, good or not."""
    stored: int = 0
    """Accepted by the historian."""
    rejected: int = 0
    """Newly settled without a place in the store."""
    dead_letters: int = 0
    """New letters: rejected samples, and messages that do not even tell their samples."""
    by_reason: Counter[str] = field(default_factory=Counter)
    """New letters by reason."""
    passed_over: int = 0
    """Messages of agents that another process serves by now."""
    backpressure: int = 0
    """Times that a store asked us to wait."""

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {**plain, "by_reason": dict(self.by_reason)}


class AgentReports:
    """What agents say of their outboxes, the newest word of each, until it is taken to be stored. Pure."""

    def __init__(self) -> None:
        self._confirmed: OrderedDict[Source, tuple[int, Instant | None]] = OrderedDict()
        self._points: dict[Source, Point] = {}

    def hear(self, told: AgentState, now: Instant, *, kept: bool = False) -> None:
        """An agent has spoken at ``now``; ``kept`` says that the broker had it from before, nobody knows from when."""
        if told.ledger is None:
            return
        source = Source(told.agent, told.outbox)
        before, moved = self._confirmed.pop(source, (told.ledger.confirmed, None))
        if told.ledger.confirmed > before and not kept:
            moved = now
        self._confirmed[source] = told.ledger.confirmed, moved
        if len(self._confirmed) > _REMEMBERED:
            self._confirmed.popitem(last=False)
        counts = {name: getattr(told.ledger, name) for name in _EDGE}
        counts |= {name: getattr(told, name) for name in LEDGER_HEALTH}
        counts[LEDGER_CLOCK] = int(told.clock is Trust.SYNCED)
        minute = floor_to(now, MINUTE)
        self._points[source] = edge_ledger_point(*source, minute, counts, told=None if kept else now, moved=moved)

    def take(self) -> list[Point]:
        """What was heard since the last call."""
        points, self._points = self._points, {}
        return list(points.values())


def tally_points(tallies: Iterable[Tally], now: Instant) -> list[Point]:
    """The dead letters of outboxes, as points of the ledger."""
    minute = floor_to(now, MINUTE)
    return [dead_letters_point(each.agent, each.outbox, minute, each.letters, each.samples) for each in tallies]


def stored_samples(historian: Historian, plant: Plant, agent: str) -> int:
    """Samples of an agent's units, counted in the historian (blocking), not remembered."""
    units = plant.agents[agent].units
    return sum(historian.count(unit_query(Measurement.SAMPLES, plant.enterprise, unit)) for unit in units)


def stored_watermark(historian: Historian, agent: str, now: Instant, before: Instant | None = None) -> Instant | None:
    """The oldest source time that any outbox of an agent might still hold, as last stored; None when none ever told.

    With ``before``, an instant of the ingest clock: as stored before that instant's minute. Never later than ``now``:
    an outbox that owes nothing for ever, as a replayed file's, knows nothing of the future. Blocking.
    """
    end = None if before is None else floor_to(before, MINUTE)
    query = Query(Measurement.LEDGER, {AGENT: agent}, None, end, (LEDGER_OLDEST,), descending=True, limit=_RECENT)
    told: dict[str, Instant] = {}
    for point in historian.read(query):
        told.setdefault(point.tags[OUTBOX], int(float(point.fields[LEDGER_OLDEST])))
    return min(now, *told.values()) if told else None
