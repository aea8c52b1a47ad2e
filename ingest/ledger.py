"""The ingest side of the loss ledger: what became of the *messages*, and how many *points* are counted in the store."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from historian.historian import Historian
from historian.point import Query
from historian.records import unit_query
from historian.schema import AGENT, LEDGER_OLDEST, OUTBOX, Measurement
from shopfloor.instant import MINUTE, Instant, floor_to
from shopfloor.plant import Plant

_RECENT: Final = 1_000
"""Reports looked at: one per outbox and minute. An outbox that has been silent for longer holds nothing back."""


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
