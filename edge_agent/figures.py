"""What an agent tells of itself in numbers, for whoever serves metrics. Plain data."""

from dataclasses import dataclass

from edge_agent.device_health import Health
from shopfloor.clock import Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFigures:
    """One unit's device."""

    unit: str
    health: Health
    failed_cycles: int
    missed_ticks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeFigures:
    """One agent. Counts of samples are those of the outbox in use and of the damaged ones that it took over from; what
    says "since the start" is this process's."""

    agent: str
    outbox: str
    polled: int
    appended: int
    confirmed: int
    in_outbox: int
    evicted: int
    dead_letters: int
    """Set aside in the outbox since nobody confirms or can read them; they count as evicted, too."""
    undated: int
    """Held until the time is known; part of ``in_outbox``."""
    quarantined: int
    """Given up as never to be dated, or as going back in time; the receiver rejects them."""
    waiting: int
    """In memory, on their way to the disk."""
    dropped: int
    """Lost since the start: the disk was away for so long that the memory for it was full."""
    in_flight: int
    """Messages that no receipt has covered yet."""
    oldest_age_ms: int | None
    """Age of the oldest sample held, by source time; None with nothing held."""
    receipt_age_ms: int | None
    """Since the last receipt; None before the first of this start."""
    ignored_receipts: int
    """Since the start: for another outbox, for what was never sent, or not to be read."""
    clock: Trust
    jumps: int
    """Times that the clock was found set, since the start."""
    outbox_bytes: int
    """Size of the file with its log."""
    set_aside: int
    """Damaged outboxes that lie beside it."""
    units: tuple[UnitFigures, ...]

    @property
    def missed_ticks(self) -> int:
        """Of all units, since the start."""
        return sum(unit.missed_ticks for unit in self.units)
