"""The shape of plant.yaml: what may be written, for validation and for the JSON Schema that editors use."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from shopfloor.alerts_file import PlantAlertsDoc, UnitAlertsDoc
from shopfloor.calendar_schema import CalendarDoc
from shopfloor.plant import AgentClock, NoOrder, QuantityUnit, Staffed, UnscheduledRun
from shopfloor.plant_fields import (
    Connection,
    DatedDoc,
    Doc,
    Duration,
    Id,
    Labels,
    LocalTimes,
    NotNegative,
    Pause,
    Positive,
)
from shopfloor.reason import Maintenance
from shopfloor.state_models import StateModel

TRANSITION = "transition"
"""In a state map: the machine is on its way, the state before it goes on."""

StateWord = Literal[
    "running",
    "setup",
    "starved",
    "blocked",
    "no_order",
    "unplanned_stop",
    "planned_stop",
    "not_scheduled",
    "unknown",
    "transition",
]
"""What a machine's state may mean. A micro-stop is judged by its length, never told."""
StopWord = Literal["setup", "planned_stop", "unplanned_stop", "starved", "blocked", "no_order"]
"""What a unit mode may override the state with, and where a stop reason may book the stop."""
Driver = Literal["produced", "good", "produced_kg", "good_kg", "planned_run_s", "good_run_s", "running_s"]
"""Columns of the additive record that may drive the energy of a baseline."""
Targets = dict[Literal["oee", "availability", "effectiveness", "quality"], Annotated[float, Field(gt=0, le=1)]]


class ProductDoc(Doc):
    """What is made."""

    name: Labels = Field(default_factory=dict)
    unit: QuantityUnit = Field(default=QuantityUnit.PIECE, description="What it is counted in: piece, kg or heat.")
    mass_kg: Positive | None = Field(default=None, description="Mass of one piece or heat.")


class TariffDoc(Doc):
    """Electricity price."""

    currency: str = Field(pattern="^[A-Z]{3}$")
    off_peak: Positive
    peak_factor: Positive = 1.0
    peak: LocalTimes = "18:00-22:00"
    kvarh: NotNegative = 0.0
    free_kvarh_per_kwh: NotNegative = 0.0
    contract_kva: Positive | None = Field(default=None, description="Contracted power.")
    minimum_hours: NotNegative = Field(
        default=0.0, description="A month's bill is at least so many hours of the contracted power, e.g. 40."
    )


class PolicyDoc(Doc):
    """How a site reads the standard where it leaves a choice."""

    no_order: NoOrder = NoOrder.LOSS
    unscheduled_run: UnscheduledRun = UnscheduledRun.OUTSIDE
    staffed: Staffed = Field(default=Staffed.UNKNOWN, description="shifts: people are there in all shifts (for OOE).")


class EnergyDoc(Doc):
    """Tariff and grid factor of a site."""

    tariff: Id | None = None
    grid_factor_kg_per_kwh: float | None = Field(default=None, ge=0)


class DeviceDoc(Doc):
    """Where the device answers and which template describes it."""

    template: Id
    connection: Connection
    unit_id: int = Field(default=1, ge=0, le=255)
    tags: list[str] | None = Field(
        default=None, min_length=1, description="Read only these tags of the template; default all."
    )
    scan: Duration = "1s"
    timeout: Duration = "1s"


class ProductByTag(Doc):
    """The product by a tag's code."""

    tag: str
    map: dict[int, Id] = Field(min_length=1)


class CorrectionDoc(Doc):
    """Factor on a tag's values, for a scale that is wrong in the device or the template."""

    tag: str
    factor: DatedDoc[Positive]


class StatesDoc(Doc):
    """A published state model, with a profile's own numbers or other meanings, by the states' names."""

    model: StateModel
    codes: dict[int, str] | None = Field(default=None, min_length=1, description="e.g. {0: stopped, 4: execute}")
    override: dict[str, StateWord] = Field(default_factory=dict, description="e.g. {held: starved}")


States = Annotated[
    Annotated[StateModel, Tag("[text]")]
    | Annotated[StatesDoc, Tag("StatesDoc")]
    | Annotated[dict[int, StateWord], Tag("[map]")],
    Discriminator(lambda raw: "[text]" if isinstance(raw, str) else "StatesDoc" if _is_model(raw) else "[map]"),
]


class CounterDoc(Doc):
    """Running is told by a counter of parts: none for so many cycles is a stop."""

    counter: str
    cycles: Annotated[float, Field(ge=1)] = 3.0
    floor: Duration = Field(default="10s", description="Never sooner than this.")


class GaugeDoc(Doc):
    """Running is told by a gauge with hysteresis: power or current."""

    gauge: str
    running_above: float
    stopped_below: float


RunningFrom = Annotated[
    Annotated[CounterDoc, Tag("CounterDoc")] | Annotated[GaugeDoc, Tag("GaugeDoc")],
    Discriminator(lambda raw: "GaugeDoc" if isinstance(raw, dict) and "gauge" in raw else "CounterDoc"),
]


class BaselineDoc(Doc):
    """Energy baseline: expected kWh = base_kwh a day + kwh_per_unit x driver."""

    kwh_per_unit: NotNegative
    base_kwh: NotNegative = Field(default=0.0, description="Base load, kWh a day.")
    driver: Driver = "good_kg"


class CharacteristicDoc(Doc):
    """A measured quality characteristic: a gauge with its specification."""

    tag: str
    name: Labels = Field(default_factory=dict)
    lsl: float | None = Field(default=None, description="Lower specification limit.")
    usl: float | None = Field(default=None, description="Upper specification limit.")
    target: float | None = None
    subgroup: int = Field(default=5, ge=1, le=25, description="Values in a subgroup; 1 for individuals.")


class ReasonDoc(Doc):
    """A stop reason. What it leaves out it takes from the reason above it."""

    name: Labels = Field(default_factory=dict)
    category: StopWord | None = Field(default=None, description="Books the stop there; left out: as the machine said.")
    failure: bool | None = Field(default=None, description="The equipment failed: counts for MTBF and MTTR.")
    maintenance: Maintenance | None = None
    children: "dict[Id, ReasonDoc]" = Field(default_factory=dict)


class WorkUnitDoc(Doc):
    """One machine or meter."""

    id: Id
    name: Labels = Field(default_factory=dict)
    device: DeviceDoc
    states: DatedDoc[States] | None = Field(
        default=None, description="Code -> time category, or a model: packml, packml-tmc, {model: .., codes: ..}."
    )
    modes: DatedDoc[dict[int, StopWord]] | None = Field(
        default=None, description="Code of the tag unit_mode -> category that overrides the state."
    )
    running_from: DatedDoc[RunningFrom] | None = Field(
        default=None, description="How running is told without a state: from a counter of parts or a gauge."
    )
    product: DatedDoc[Id | ProductByTag] | None = None
    planned_run_time_s: DatedDoc[dict[Id, Positive]] | None = None
    micro_stop_s: DatedDoc[NotNegative] | None = Field(default=None, description="Default: 300.")
    startup: Pause = Field(default="0s", description="Running for so long after a setup or stop is start-up.")
    retrip: Pause = Field(default="5min", description="A failure that begins sooner is the last one again.")
    capacity_per_h: Positive | None = Field(default=None, description="Rated capacity, quantity an hour.")
    max_age: Duration | None = Field(default=None, description="How long a value holds; default 3 scans.")
    calendar: DatedDoc[Id] | None = Field(default=None, description="Default: the site's.")
    max_power_kw: Positive | None = None
    characteristics: list[CharacteristicDoc] = Field(default_factory=list)
    baseline: DatedDoc[BaselineDoc] | None = None
    targets: Targets = Field(default_factory=dict)
    alerts: UnitAlertsDoc = UnitAlertsDoc()
    corrections: list[CorrectionDoc] = Field(default_factory=list)
    simulation: dict[str, float] = Field(default_factory=dict, description="Parameters of the simulated machine.")


class WorkCenterDoc(Doc):
    """A line or cell."""

    id: Id
    name: Labels = Field(default_factory=dict)
    output_unit: Id | None = Field(default=None, description="Serial line: what leaves here is the line's output.")
    planned_run_time_s: DatedDoc[dict[Id, Positive]] | None = Field(
        default=None, description="The serial line's, by product; default: that of its slowest unit."
    )
    targets: Targets = Field(default_factory=dict)
    work_units: list[WorkUnitDoc] = Field(min_length=1)


class AreaDoc(Doc):
    """Part of a site."""

    id: Id
    name: Labels = Field(default_factory=dict)
    targets: Targets = Field(default_factory=dict)
    work_centers: list[WorkCenterDoc] = Field(min_length=1)


class GoalDoc(Doc):
    """Where a metric of a guideline stood at first, and where it is to be; in the metric's unit."""

    baseline: float | None = None
    target: float | None = None


class SiteDoc(Doc):
    """One place with one time zone."""

    id: Id
    name: Labels = Field(default_factory=dict)
    timezone: str = Field(description="IANA zone, e.g. Asia/Jakarta")
    calendar: DatedDoc[Id]
    policy: PolicyDoc = PolicyDoc()
    energy: DatedDoc[EnergyDoc] | None = None
    targets: Targets = Field(default_factory=dict)
    goals: dict[Id, dict[Id, GoalDoc]] = Field(
        default_factory=dict, description="Guideline -> metric -> baseline and target, for scorecards."
    )
    areas: list[AreaDoc] = Field(min_length=1)


class AgentDoc(Doc):
    """An edge agent and the units that it alone reads."""

    units: list[str] = Field(min_length=1, description="Unit paths; * stands for anything.")
    outbox_max_samples: int = Field(default=2_000_000, ge=1_000)
    outbox_max_mb: int = Field(default=512, ge=1, description="Size of the outbox; beyond it the oldest are evicted.")
    clock: AgentClock = Field(
        default=AgentClock.ANY, description="ntp: samples wait undated until the kernel says that its clock is right."
    )
    clock_settle: Duration = Field(
        default="10min", description="A clock that was set, and that nobody vouches for, is believed after so long."
    )


class PlantDoc(Doc):
    """A plant file: one description from which everything else follows."""

    enterprise: Id
    language: Literal["en", "id"] = "en"
    products: dict[Id, ProductDoc] = Field(default_factory=dict)
    calendars: dict[Id, CalendarDoc] = Field(min_length=1)
    tariffs: dict[Id, TariffDoc] = Field(default_factory=dict)
    reasons: dict[Id, ReasonDoc] = Field(default_factory=dict, description="The tree of stop reasons.")
    alerts: PlantAlertsDoc = PlantAlertsDoc()
    guidelines: list[str] | None = Field(
        default=None, description="Scorecards: ids of built-in guidelines, or files beside this one. Default: all ids."
    )
    sites: list[SiteDoc] = Field(min_length=1)
    agents: dict[Id, AgentDoc] = Field(min_length=1)


def _is_model(raw: Any) -> bool:
    return isinstance(raw, StatesDoc) or (isinstance(raw, dict) and bool({"model", "codes", "override"} & raw.keys()))


def json_schema() -> dict[str, Any]:
    """The JSON Schema of plant.yaml, for editors."""
    schema = PlantDoc.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
