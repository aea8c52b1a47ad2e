"""KPIs -> panels: what the store answers, as plain frozen objects. Ratios are 0..1; an undefined one is None."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shopfloor.instant import Instant
from shopfloor.ledger import AgentLedger
from shopfloor.plant import Labels
from shopfloor.sample import Value


@dataclass(frozen=True, slots=True)
class SignOff:
    """Who vouched for a final shift."""

    by: str
    at: Instant
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiItem:
    """The KPIs of one unit or place in one window [start, end) of whole minutes."""

    unit: str
    """A unit's path, or that of a place (site, area, line; the enterprise's id)."""
    start: Instant
    end: Instant
    shift: str | None = None
    """Name of the shift where the window was cut by shift."""
    period: str | None = None
    """Production day (``2026-01-05``), ISO week (``2026-W02``) or month (``2026-01``) where it was cut by these."""
    product: str | None = None
    """The product, with by=product."""
    category: str | None = None
    """The time category of a loss, with by=reason."""
    reason: str | None = None
    """The stated reason of a loss, with by=reason; else what the machine told (``code_2``, ``no_data``)."""
    kpis: Mapping[str, float | None]
    elements: Mapping[str, float]
    """The merged additive record behind the KPIs (seconds, pieces, kWh)."""
    coverage: float | None
    """Share of the planned busy time (a meter: of the time) that is known."""
    final: bool
    """No sample of the window can still be on its way, and nothing waits to be derived."""
    revision: int
    """How often the past of this window was changed after it was first derived."""
    flags: tuple[str, ...] = ()
    targets: Mapping[str, float] = field(default_factory=dict)
    """What the plant file wants of the unit or place."""
    signed: SignOff | None = None
    """Who signed the shift that the window lies in."""


@dataclass(frozen=True, slots=True)
class StateInterval:
    """One unit in one time category for a while."""

    unit: str
    start: Instant
    end: Instant
    category: str
    code: int | None
    """The state code as read; None where none was known."""
    source: str = "machine"
    """Whose word it is: inferred, machine, stated or calendar."""
    reason: str = ""
    """The stated reason of a stop."""
    statement: str = ""
    """Id of the statement behind category or reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The newest sample of a unit."""

    time: Instant
    values: Mapping[str, Value]
    status: Mapping[str, str]
    """Tag -> ``quality:reason`` of what is not GOOD."""
    category: str | None
    """Time category by state map and calendar; None for a meter, ``unknown`` without a good state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitAnswer:
    """A unit of the plant and its newest sample."""

    unit: str
    enterprise: str
    site: str
    area: str
    work_center: str
    work_unit: str
    name: Labels
    work_center_name: Labels
    area_name: Labels
    machine: bool
    """False for a meter, which has no states and no OEE."""
    agent: str
    timezone: str
    max_age_s: float
    max_power_kw: float | None
    targets: Mapping[str, float]
    latest: Latest | None


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest quarter-hour demand."""

    value: float
    at: Instant
    """End of the quarter hour."""


@dataclass(frozen=True, slots=True)
class EnergyAnswer:
    """Active energy of one unit; energy counted across gaps included."""

    total_kwh: float
    by_month_kwh: Mapping[str, float]
    """``2018-01`` in site time -> kWh."""
    peak_kw: Peak | None


class Standing(StrEnum):
    """How a ledger stands."""

    BALANCED = "balanced"
    MOVING = "moving"
    """Samples or receipts are on their way: every identity that must hold in motion holds."""
    BROKEN = "broken"
    """Samples are missing, or were counted twice."""


def standing(agent: AgentLedger) -> Standing:
    """How one agent's ledger stands. Its edge counts must not be younger than its count of the store."""
    held = agent.confirmed + agent.in_outbox + agent.evicted
    settled = agent.stored + agent.rejected
    if agent.appended != held or agent.polled < agent.appended or agent.confirmed > settled:
        return Standing.BROKEN
    return Standing.BALANCED if agent.confirmed == settled else Standing.MOVING


@dataclass(frozen=True, slots=True)
class LedgerAnswer:
    """Every agent's ledger, and the dead letters of the service."""

    agents: Mapping[str, AgentLedger] = field(default_factory=dict)
    dead_letters: int = 0

    @property
    def standing(self) -> Standing:
        """The worst standing of any agent."""
        worst = [Standing.BROKEN, Standing.MOVING, Standing.BALANCED]
        return min((standing(agent) for agent in self.agents.values()), key=worst.index, default=Standing.BALANCED)
