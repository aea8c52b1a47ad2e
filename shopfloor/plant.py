"""The plant model: one plant.yaml as frozen objects. Parsed once by ``plant_file``; everything else follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from shopfloor.calendar import Calendar
from shopfloor.dated import Dated
from shopfloor.equipment import EquipmentPath
from shopfloor.machine_state import TimeCategory

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


@dataclass(frozen=True, slots=True)
class Policy:
    """How a site reads the standard where it leaves a choice. Printed on reports."""

    no_order: NoOrder = NoOrder.LOSS
    unscheduled_run: UnscheduledRun = UnscheduledRun.OUTSIDE


@dataclass(frozen=True, slots=True)
class Product:
    """What is made."""

    id: str
    name: Labels
    mass_kg: float | None = None


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
    free_kvarh_per_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class Energy:
    """A site's tariff and grid factor."""

    tariff: str | None = None
    grid_factor_kg_per_kwh: float | None = None


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
    states: Dated[Mapping[int, TimeCategory]] | None
    """State code -> time category; None for a unit without a state (a meter)."""
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
    corrections: tuple[Correction, ...] = ()
    simulation: Mapping[str, float] = field(default_factory=dict)
    """Overrides of the simulated machine's parameters; meaningless to everything but the simulators."""

    @property
    def is_machine(self) -> bool:
        """True where the unit has states, hence time categories and OEE; False for a meter."""
        return self.states is not None


@dataclass(frozen=True, slots=True)
class WorkCenter:
    """A line or cell. With ``output_unit`` it is a serial line: what leaves there is its output."""

    id: str
    name: Labels
    output_unit: str | None
    units: tuple[WorkUnit, ...]


@dataclass(frozen=True, slots=True)
class Area:
    """Part of a site."""

    id: str
    name: Labels
    work_centers: tuple[WorkCenter, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """One place with one time zone."""

    id: str
    name: Labels
    timezone: str
    policy: Policy
    energy: Dated[Energy]
    areas: tuple[Area, ...]


@dataclass(frozen=True, slots=True)
class Agent:
    """An edge agent and the units it reads."""

    id: str
    units: tuple[str, ...]
    """Unit paths, expanded from the file's patterns."""
    outbox_max_samples: int


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

    def agent_of(self, unit: str) -> str:
        """The agent that reads ``unit``."""
        return next(agent.id for agent in self.agents.values() if unit in agent.units)

    def matching(self, pattern: str) -> list[WorkUnit]:
        """Units whose path equals or matches ``pattern``; a site, area or line path matches all below it."""
        return [
            unit for path, unit in self.units.items() if fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}/*")
        ]
