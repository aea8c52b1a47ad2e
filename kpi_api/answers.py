"""KPIs -> panels: what the store answers, as plain frozen objects. Ratios are 0..1; an undefined one is None."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

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
    """How one agent's ledger stands. Its edge counts must not be younger than its count of the store.

    A sample that was evicted while it was on its way may be stored all the same.
    """
    held = agent.confirmed + agent.in_outbox + agent.evicted
    settled = agent.stored + agent.rejected
    if agent.appended != held or agent.polled < agent.appended or agent.confirmed > settled:
        return Standing.BROKEN
    evicted_and_stored = 0 if agent.in_outbox else agent.evicted
    return Standing.BALANCED if settled - agent.confirmed <= evicted_and_stored else Standing.MOVING


class Severity(StrEnum):
    """How much of a person's attention a trouble deserves."""

    ALARM = "alarm"
    """The books are wrong: samples are lost, doubled or mixed up."""
    WARNING = "warning"
    """Samples are late, set aside or thrown away, and counted."""
    NOTE = "note"
    """Worth knowing, for ever."""


class Trouble(StrEnum):
    """What a plant engineer must know about an agent's samples; the first ones are the worst."""

    MISSING = "missing"
    """Confirmed to the agent, and neither stored nor rejected: lost."""
    SURPLUS = "surplus"
    """More is stored than the agent ever had."""
    MISCOUNTED = "miscounted"
    """An outbox's own counts contradict each other."""
    RIVALS = "rivals"
    """Two outboxes are alive under one agent name."""
    EVICTED = "evicted"
    """Thrown away at the edge: its outbox was full, or nobody confirmed."""
    SILENT = "silent"
    NEVER_HEARD = "never_heard"
    LEFT_BEHIND = "left_behind"
    """An outbox that speaks no more still holds samples."""
    WAITING = "waiting"
    """Samples wait for their receipt longer than they should."""
    REJECTED = "rejected"
    """Dead letters: samples that could not be stored."""
    UNREADABLE = "unreadable"
    """Dead letters that tell no sample: messages that nobody can read."""

    @property
    def severity(self) -> Severity:
        """How much of a person's attention it deserves."""
        if self in {Trouble.MISSING, Trouble.SURPLUS, Trouble.MISCOUNTED, Trouble.RIVALS}:
            return Severity.ALARM
        return Severity.NOTE if self is Trouble.UNREADABLE else Severity.WARNING


@dataclass(frozen=True, slots=True)
class Concern:
    """One trouble: what, how many, since when, where."""

    trouble: Trouble
    text: str
    """A sentence in English with what to do; pages say it in their own words."""
    samples: int = 0
    since: Instant | None = None
    outbox: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxAccount:
    """One outbox of an agent: its card. A changed card is a new one."""

    outbox: str
    polled: int
    appended: int
    confirmed: int
    in_outbox: int
    evicted: int
    rejected: int
    told: Instant | None
    """When the agent told these counts."""
    heard: Instant | None
    """When it last said anything."""
    oldest_held: Instant | None
    """Source time of the oldest sample that is not confirmed; None when there is none, or it is not known."""
    receipt_moved: Instant | None
    """When a receipt last confirmed anything."""

    @property
    def unpersisted(self) -> int:
        """Answered by the device but never committed to the outbox."""
        return self.polled - self.appended


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAccount:
    """What stands beside an agent's counts: where its samples are, and since when."""

    outboxes: Sequence[OutboxAccount] = ()
    """The one last heard first."""
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    """By reason, those included that tell no sample."""
    newest_stored: Instant | None = None
    """Source time of the newest sample of its units in the historian."""
    concerns: Sequence[Concern] = ()
    """The worst first."""

    @property
    def heard(self) -> Instant | None:
        """When the agent last said anything."""
        return max((each.heard for each in self.outboxes if each.heard is not None), default=None)

    @property
    def oldest_held(self) -> Instant | None:
        """Source time of the oldest sample that is not confirmed."""
        return min((each.oldest_held for each in self.outboxes if each.oldest_held is not None), default=None)

    @property
    def receipt_moved(self) -> Instant | None:
        """When a receipt last confirmed anything."""
        return max((each.receipt_moved for each in self.outboxes if each.receipt_moved is not None), default=None)


def receipt_lag_s(counts: AgentLedger, account: AgentAccount, now: Instant) -> float | None:
    """Age of the oldest sample that is not confirmed (s): 0 when all are, None when it is not known."""
    if account.oldest_held is not None:
        return max(0, now - account.oldest_held) / 1000
    return None if counts.in_outbox else 0.0


NOTHING: Final = AgentLedger(polled=0, appended=0, confirmed=0, in_outbox=0, evicted=0, stored=0, rejected=0)
"""The ledger of an agent that never told one."""


@dataclass(frozen=True, slots=True)
class LedgerAnswer:
    """Every agent's ledger, and the dead letters of the service."""

    agents: Mapping[str, AgentLedger] = field(default_factory=dict)
    dead_letters: int = 0
    accounts: Mapping[str, AgentAccount] = field(default_factory=dict)
    """Agent -> what stands beside its counts, for every agent of the plant."""
    unclaimed: Mapping[str, int] = field(default_factory=dict)
    """Dead letters that belong to no agent of the plant, by reason."""
    time: Instant = 0
    """The plant's time of the answer."""

    @property
    def standing(self) -> Standing:
        """The worst standing of any agent."""
        worst = [Standing.BROKEN, Standing.MOVING, Standing.BALANCED]
        return min((standing(agent) for agent in self.agents.values()), key=worst.index, default=Standing.BALANCED)
