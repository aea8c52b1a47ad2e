"""The plant model: one plant.yaml as frozen objects. Parsed once by ``plant_file``; everything else follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from shopfloor.alerts import PlantAlerts, UnitAlerts
from shopfloor.calendar import Calendar
from shopfloor.dated import Dated
from shopfloor.equipment import EquipmentPath
from shopfloor.guideline import Goal, Guideline
from shopfloor.machine_state import TimeCategory
from shopfloor.reason import Reason

NO_PRODUCT = "none"
"""The product tag of time and quantities without a product."""

Labels = Mapping[str, str]
"""Text by language (``en``, ``id``)."""


class NoOrder(StrEnum):
    """Site policy for busy time without an order: a loss inside PBT, or planned."""

    LOSS = "loss"
    PLANNED = "planned"


class UnscheduledRun(StrEnum):
    """Site policy for running outside PBT: kept beside, or counted into APT and PBT."""

    OUTSIDE = "outside"
    COUNTED = "counted"


class Staffed(StrEnum):
    """Site policy for staffed time, the base of OOE: not known, or all time within shifts."""

    UNKNOWN = "unknown"
    SHIFTS = "shifts"


class QuantityUnit(StrEnum):
    """What a product is counted in. Quantities of different units are never added."""

    PIECE = "piece"
    KILOGRAM = "kg"
    HEAT = "heat"


@dataclass(frozen=True, slots=True)
class Policy:
    """How a site reads the standard where it leaves a choice. Printed on reports."""

    no_order: NoOrder = NoOrder.LOSS
    unscheduled_run: UnscheduledRun = UnscheduledRun.OUTSIDE
    staffed: Staffed = Staffed.UNKNOWN


@dataclass(frozen=True, slots=True)
class Product:
    """What is made."""

    id: str
    name: Labels
    mass_kg: float | None = None
    """Mass of one unit of quantity; 1 for what is counted in kilograms."""
    quantity_unit: QuantityUnit = QuantityUnit.PIECE


@dataclass(frozen=True, slots=True)
class Tariff:
    """Electricity price: per kWh off peak, peak = off peak x factor in local hours."""

    id: str
    currency: str
    off_peak: float
    peak_factor: float
    peak_start_minute: int
    peak_end_minute: int
    kvarh: float = 0.0
    """Price of a kvarh beyond the free ones."""
    free_kvarh_per_kwh: float = 0.0
    contract_kva: float | None = None
    minimum_hours: float = 0.0
    """The bill of a month is at least so many hours of the contracted power, off peak."""


@dataclass(frozen=True, slots=True)
class Energy:
    """A site's tariff and grid factor."""

    tariff: str | None = None
    grid_factor_kg_per_kwh: float | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """Energy baseline of ISO 50001/50006: expected kWh = base_kwh (per day) + kwh_per_unit x quantity."""

    kwh_per_unit: float
    base_kwh: float
    """Base load, kWh a day."""
    driver: str = "good_kg"
    """The column of the additive record that drives the energy."""


@dataclass(frozen=True, slots=True)
class Characteristic:
    """A measured quality characteristic: a gauge tag with its specification; one limit may be open."""

    tag: str
    name: Labels
    lsl: float | None
    usl: float | None
    target: float | None = None
    subgroup: int = 5
    """Values in a rational subgroup; 1 for individuals."""


@dataclass(frozen=True, slots=True)
class CounterInference:
    """Running follows from a counter: no part for ``cycles`` planned run times is a stop since the last good cycle."""

    tag: str
    cycles: float = 3.0
    floor_s: float = 10.0
    """Never sooner than this (fast machines, slow scans)."""


@dataclass(frozen=True, slots=True)
class GaugeInference:
    """Running follows from a gauge with hysteresis: current or power of a machine without a PLC."""

    tag: str
    running_above: float
    stopped_below: float


Inference = CounterInference | GaugeInference
StateMap = Mapping[int, TimeCategory | None]
"""State code -> time category; None for a transition, which counts as the state before it (PackML Starting ...)."""


@dataclass(frozen=True, slots=True)
class DeviceRef:
    """Where a unit's device answers and which template describes it."""

    template: str
    host: str
    port: int
    unit_id: int
    scan_ms: int
    timeout_ms: int
    tags: frozenset[str] | None = None
    """The template's tags that are read; None for all."""

    @property
    def connection(self) -> tuple[str, int]:
        """Units with the same connection share one socket (a gateway)."""
        return self.host, self.port


@dataclass(frozen=True, slots=True)
class ProductRule:
    """Which product a unit makes: a fixed one, or a tag's code mapped to products."""

    fixed: str | None = None
    tag: str | None = None
    codes: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Correction:
    """Factor on a counter's or gauge's values since ``valid_from`` (a wrong scale in the device or template)."""

    tag: str
    factor: Dated[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkUnit:
    """One machine or meter, with everything that its facts depend on."""

    path: EquipmentPath
    name: Labels
    device: DeviceRef
    states: Dated[StateMap] | None
    """None for a unit without a state (a meter, or a machine whose running is inferred)."""
    product: Dated[ProductRule] | None
    planned_run_time_s: Dated[Mapping[str, float]] | None
    """PRI by product, seconds per piece."""
    micro_stop_s: Dated[float]
    max_age_ms: int
    """A good value holds until the next sample, at most this long."""
    calendar: Dated[Calendar]
    timezone: str
    policy: Policy
    max_power_kw: float | None
    targets: Mapping[str, float]
    alerts: UnitAlerts = field(default_factory=UnitAlerts)
    corrections: tuple[Correction, ...] = ()
    modes: Dated[Mapping[int, TimeCategory]] | None = None
    """Code of the ``unit_mode`` tag -> category that overrides the state (maintenance, setup); others leave it."""
    inference: Dated[Inference] | None = None
    """How running is told without a state, or while the state is not known."""
    startup_s: float = 0.0
    """The time after the end of a setup or an unplanned stop that is start-up: scrap of it is a start-up loss."""
    retrip_s: float = 300.0
    """A failure that begins sooner after the last one ended is the same failure."""
    capacity_per_h: float | None = None
    """Rated capacity, quantity an hour (EPC of ISO 22400-2)."""
    characteristics: tuple[Characteristic, ...] = ()
    baseline: Dated[Baseline] | None = None
    tariff: Dated[Tariff | None] | None = None
    """The site's, resolved."""
    grid_factor_kg_per_kwh: Dated[float | None] | None = None
    """The site's."""
    products: Mapping[str, Product] = field(default_factory=dict)
    """The plant's."""
    reasons: Mapping[str, Reason] = field(default_factory=dict)
    """The plant's, with what each inherits filled in."""
    simulation: Mapping[str, float] = field(default_factory=dict)
    """Overrides of the simulated machine's parameters; meaningless to everything but the simulators."""

    @property
    def is_machine(self) -> bool:
        """True where states are read or inferred, hence time categories and OEE; False for a meter."""
        return self.states is not None or self.inference is not None


@dataclass(frozen=True, slots=True)
class WorkCenter:
    """A line or cell. With ``output_unit`` it is a serial line: what leaves there is its output."""

    id: str
    name: Labels
    output_unit: str | None
    units: tuple[WorkUnit, ...]
    planned_run_time_s: Dated[Mapping[str, float]] | None = None
    """The serial line's PRI by product (the bottleneck's when left out)."""
    targets: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_serial(self) -> bool:
        """Whether the units stand one behind the other; else they are parallel and merge."""
        return self.output_unit is not None


@dataclass(frozen=True, slots=True)
class Area:
    """Part of a site."""

    id: str
    name: Labels
    work_centers: tuple[WorkCenter, ...]
    targets: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """One place with one time zone."""

    id: str
    name: Labels
    timezone: str
    policy: Policy
    energy: Dated[Energy]
    areas: tuple[Area, ...]
    targets: Mapping[str, float] = field(default_factory=dict)
    goals: Mapping[str, Mapping[str, Goal]] = field(default_factory=dict)
    """Guideline -> metric -> where it stood at first and where it is to be."""


class AgentClock(StrEnum):
    """Who keeps the time of an agent's machine."""

    ANY = "any"
    """A battery clock, a time service, a person: a plausible time is believed."""
    NTP = "ntp"
    """A time service: no time is believed before it has spoken."""


@dataclass(frozen=True, slots=True)
class Agent:
    """An edge agent and the units it reads."""

    id: str
    units: tuple[str, ...]
    """Unit paths, expanded from the file's patterns."""
    outbox_max_samples: int
    outbox_max_bytes: int = 512 * 1024 * 1024
    clock: AgentClock = AgentClock.ANY
    clock_settle_ms: int = 600_000
    """A new time that nobody vouches for is believed when it has stood so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A whole plant file."""

    enterprise: str
    language: str
    products: Mapping[str, Product]
    tariffs: Mapping[str, Tariff]
    sites: tuple[Site, ...]
    agents: Mapping[str, Agent]
    revision: str
    """Short hash of the file's text: facts carry it as the plan's revision."""
    units: Mapping[str, WorkUnit]
    """Every work unit by its path, in file order."""
    reasons: Mapping[str, Reason] = field(default_factory=dict)
    """The tree of stop reasons, flat by id."""
    alerts: PlantAlerts = field(default_factory=PlantAlerts)
    """When people are called."""
    guidelines: tuple[Guideline, ...] = ()
    """Those by which scorecards are made."""

    def agent_of(self, unit: str) -> str:
        """The agent that reads ``unit``."""
        return next(agent.id for agent in self.agents.values() if unit in agent.units)

    def matching(self, pattern: str) -> list[WorkUnit]:
        """Units whose path equals or matches ``pattern``; a site, area or line path matches all below it."""
        return [
            unit for path, unit in self.units.items() if fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}/*")
        ]
