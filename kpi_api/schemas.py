"""KPIs -> panels: the JSON of the HTTP contract. Times are RFC 3339 in UTC; NaN and infinity never leave."""

import math
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from kpi_api.answers import (
    NOTHING,
    AgentAccount,
    Concern,
    LedgerAnswer,
    StateInterval,
    UnitAnswer,
    receipt_lag_s,
    standing,
)
from kpi_api.concerns import unclaimed_concerns
from shopfloor.instant import Instant, format_instant
from shopfloor.plant import Plant

T = TypeVar("T")


def rfc3339(value: Instant | str) -> str:
    """An instant as RFC 3339; text is taken as it is."""
    return value if isinstance(value, str) else format_instant(value)


def _told(instant: Instant | None) -> str | None:
    return None if instant is None else rfc3339(instant)


def _finite(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None


Time = Annotated[str, BeforeValidator(rfc3339), Field(examples=["2026-01-05T06:00:00Z"])]
Ratio = Annotated[float | None, BeforeValidator(_finite)]


class Answer(BaseModel):
    """Common to all: frozen, made from the store's plain objects."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Items(Answer, Generic[T]):
    """A list answer. ``next`` is null: the list is complete."""

    items: list[T]
    next: str | None = None


class SignOff(Answer):
    """Who vouched for a final shift."""

    by: str
    at: Time
    note: str


class Kpi(Answer):
    """The KPIs of a unit or place in one window [start, end). Ratios are 0..1, null when undefined (0/0)."""

    unit: str = Field(description="a unit's path, or the place that was asked for")
    start: Time
    end: Time
    shift: str | None = Field(description="name of the shift, with by=shift")
    period: str | None = Field(description="production day, ISO week or month, with by=shift, day, week or month")
    product: str | None = Field(description="with by=product")
    category: str | None = Field(description="time category of the loss, with by=reason")
    reason: str | None = Field(
        description="with by=reason; what the machine told (code_2, no_data) where nobody stated one"
    )
    kpis: dict[str, Ratio]
    elements: dict[str, Ratio] = Field(description="the merged additive record behind the KPIs: s, piece, kWh")
    coverage: Ratio = Field(description="known share of the planned busy time; of a meter, of all time")
    final: bool = Field(description="false while samples of the window may still arrive or wait to be derived")
    revision: int = Field(description="how often this past was changed after it was first derived")
    flags: list[str] = Field(description="e.g. snapped_to_minutes, no_data, changed_after_sign_off")
    targets: dict[str, Ratio] = Field(description="what the plant file wants of the unit or place")
    signed: SignOff | None = Field(description="who signed the shift that the window lies in")


class State(Answer):
    """One unit in one time category, [start, end)."""

    unit: str
    start: Time
    end: Time
    category: str
    code: int | None
    source: str = Field(description="inferred | machine | stated | calendar")
    reason: str = Field(description="the stated reason of a stop; empty without one")
    statement: str = Field(description="id of the statement behind category or reason; empty without one")


class Latest(Answer):
    """The newest sample of a unit; ``status`` holds quality:reason of the tags that are not GOOD."""

    time: Time
    values: dict[str, float | int | str]
    status: dict[str, str]
    category: str | None


class Equipment(Answer):
    """A unit of the plant."""

    unit: str
    enterprise: str
    site: str
    area: str
    work_center: str
    work_unit: str
    name: dict[str, str]
    work_center_name: dict[str, str]
    area_name: dict[str, str]
    machine: bool = Field(description="false for a meter: no states, no OEE")
    agent: str
    timezone: str
    max_age_s: float = Field(description="a good value holds this long, then the time is unknown")
    max_power_kw: float | None
    targets: dict[str, float]
    latest: Latest | None


class SiteInfo(Answer):
    """A site of the plant."""

    id: str
    name: dict[str, str]
    timezone: str


class PlantInfo(Answer):
    """What belongs to the plant as a whole."""

    enterprise: str
    language: str
    sites: list[SiteInfo]
    revision: str


class EquipmentItems(Items[Equipment]):
    """All units, and the plant they belong to."""

    plant: PlantInfo


class LedgerConcern(Answer):
    """Something that is off: what, how many samples, since when, where."""

    trouble: str = Field(
        description="missing | surplus | miscounted | rivals | evicted | silent | never_heard | left_behind | "
        "waiting | rejected | unreadable"
    )
    severity: str = Field(description="alarm (the books are wrong) | warning (late, set aside, thrown away) | note")
    text: str = Field(description="a sentence that says what to do")
    samples: int
    since: Time | None
    outbox: str | None

    @classmethod
    def of(cls, concern: Concern) -> "LedgerConcern":
        """The concern as JSON."""
        return cls(
            trouble=concern.trouble,
            severity=concern.trouble.severity,
            text=concern.text,
            samples=concern.samples,
            since=_told(concern.since),
            outbox=concern.outbox,
        )


class OutboxCounts(Answer):
    """The counts of one outbox of an agent. ``stored`` cannot be told apart by outbox."""

    outbox: str
    polled: int
    appended: int
    confirmed: int
    in_outbox: int
    evicted: int
    rejected: int
    unpersisted: int
    told: Time | None = Field(description="when the agent told these counts")
    heard: Time | None
    oldest_held: Time | None
    receipt_moved: Time | None


class AgentCounts(Answer):
    """The ledger of one agent, in samples (one unit's cycle each): the sum over its outboxes."""

    agent: str
    polled: int
    appended: int
    confirmed: int
    in_outbox: int
    evicted: int
    stored: int = Field(description="counted in the historian")
    rejected: int
    unpersisted: int
    standing: str = Field(description="balanced | moving (receipts on their way) | broken")
    imbalances: list[str] = Field(description="the identities that do not hold now")
    dead_letters: dict[str, int] = Field(description="by reason, those included that tell no sample")
    heard: Time | None = Field(description="when the agent last said anything")
    oldest_held: Time | None = Field(description="source time of the oldest sample that is not confirmed")
    receipt_lag_s: float | None = Field(description="age of that sample; 0 when all is confirmed, null when not known")
    receipt_moved: Time | None = Field(description="when a receipt last confirmed anything")
    newest_stored: Time | None = Field(description="source time of the newest sample in the historian")
    outboxes: list[OutboxCounts] = Field(description="the one last heard first; a changed card is a new outbox")
    concerns: list[LedgerConcern] = Field(description="what is off, the worst first; empty when nothing is")


class Ledger(Items[AgentCounts]):
    """Every sample accounted for."""

    dead_letters: int
    standing: str
    time: Time = Field(description="the plant's time of this answer")
    unclaimed: dict[str, int] = Field(description="dead letters that belong to no agent of the plant, by reason")
    concerns: list[LedgerConcern] = Field(description="what is off with letters that belong to no agent")

    @classmethod
    def of(cls, answer: LedgerAnswer) -> "Ledger":
        """The answer as JSON."""
        names = [*answer.accounts, *(name for name in answer.agents if name not in answer.accounts)]
        return cls(
            items=[_counts(name, answer) for name in names],
            dead_letters=answer.dead_letters,
            standing=answer.standing,
            time=rfc3339(answer.time),
            unclaimed=dict(answer.unclaimed),
            concerns=[LedgerConcern.of(each) for each in unclaimed_concerns(answer.unclaimed)],
        )


def _counts(name: str, answer: LedgerAnswer) -> AgentCounts:
    counts = answer.agents.get(name, NOTHING)
    account = answer.accounts.get(name, AgentAccount())
    return AgentCounts(
        agent=name,
        standing=standing(counts),
        imbalances=counts.imbalances(),
        dead_letters=dict(account.dead_letters),
        heard=_told(account.heard),
        oldest_held=_told(account.oldest_held),
        receipt_lag_s=receipt_lag_s(counts, account, answer.time),
        receipt_moved=_told(account.receipt_moved),
        newest_stored=_told(account.newest_stored),
        outboxes=[OutboxCounts.model_validate(each) for each in account.outboxes],
        concerns=[LedgerConcern.of(each) for each in account.concerns],
        **counts.as_dict(),
    )


class WindowTimes(Answer):
    """A window [start, end) of whole minutes."""

    start: Time
    end: Time


class Snapshot(Answer):
    """One event of the stream: all that the overview shows, at one moment of the plant's clock."""

    time: Time
    window: WindowTimes
    equipment: list[Equipment]
    kpis: list[Kpi] = Field(description="one per unit, of `window`")
    today: list[Kpi] = Field(description="one per meter, since local midnight")
    ledger: Ledger


def equipment_items(units: list[UnitAnswer], plant: Plant) -> EquipmentItems:
    """The units and their plant as JSON."""
    info = PlantInfo(
        enterprise=plant.enterprise,
        language=plant.language,
        sites=[SiteInfo.model_validate(site) for site in plant.sites],
        revision=plant.revision,
    )
    return EquipmentItems(items=[Equipment.model_validate(unit) for unit in units], plant=info)


def states_items(intervals: list[StateInterval]) -> Items[State]:
    """The intervals as JSON."""
    return Items[State](items=[State.model_validate(interval) for interval in intervals])


class Problem(Answer):
    """RFC 9457 problem, with our ``remedy``: the next step."""

    type: str
    title: str
    status: int
    detail: str
    remedy: str
    instance: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text, "content": {"application/problem+json": {}}}
    for status, text in {
        400: "the query is wrong",
        401: "the API key is missing or wrong",
        403: "without an API key only this machine itself is answered",
        404: "what is named does not exist",
        503: "the historian is away",
    }.items()
}
"""The problems of every question, for the OpenAPI document."""
WRITE_PROBLEMS: dict[int | str, dict[str, Any]] = {
    **PROBLEMS,
    409: {**PROBLEMS[400], "description": "it contradicts what was stated before, or it is too early"},
    422: {**PROBLEMS[400], "description": "what is stated cannot be true"},
}
"""The problems of every statement."""
