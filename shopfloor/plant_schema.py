"""The shape of plant.yaml: what may be written, for validation and for the JSON Schema that editors use."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, model_validator
from pydantic.annotated_handlers import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from shopfloor.equipment import ID
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import NoOrder, UnscheduledRun

T = TypeVar("T")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|m|h|d)")
_RANGE = re.compile(r"([0-2]\d):([0-5]\d)-([0-2]\d):([0-5]\d)")
_CONNECTION = re.compile(r"modbus-tcp://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::(\d{1,5}))?")
_MS = {"ms": 1, "s": 1_000, "min": 60_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def duration_ms(text: str) -> int:
    """``500ms``, ``1s``, ``15min``, ``8h`` in milliseconds; raises ValueError."""
    match = _DURATION.fullmatch(text)
    if not match or (value := round(float(match[1]) * _MS[match[2]])) <= 0:
        raise ValueError(f"{text!r} is not a duration; write e.g. 500ms, 1s, 15min or 8h")
    return value


def local_range(text: str) -> tuple[int, int]:
    """``22:00-06:00`` as minutes after midnight; an end not after its start is on the next day."""
    match = _RANGE.fullmatch(text)
    if not match or int(match[1]) > 23 or int(match[3]) > 24:
        raise ValueError(f"{text!r} is not a time range; write e.g. 06:00-14:00 in quotes")
    if match[3] == "24" and match[4] != "00":
        raise ValueError(f"{text!r}: a day ends at 24:00")
    start, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    return start, end if end > start else end + 1440


def connection(text: str) -> tuple[str, int]:
    """``modbus-tcp://host[:port]`` as host and port."""
    match = _CONNECTION.fullmatch(text)
    port = int(match[2] or 502) if match else 0
    if not match or not 0 < port < 65536:
        raise ValueError(
            f"{text!r} is not a connection; write modbus-tcp://HOST:PORT, e.g. modbus-tcp://192.0.2.11:502"
        )
    return match[1], port


def _checked(parse: Any) -> BeforeValidator:
    def validate(raw: Any) -> Any:
        if not isinstance(raw, dict | list):  # those are for another shape of the field
            parse(str(raw))
        return raw

    return BeforeValidator(validate)


Id = Annotated[str, Field(pattern=f"^{ID.pattern}$", description="Lower-case id that never changes; names are labels.")]
Duration = Annotated[str, _checked(duration_ms), Field(description="500ms, 1s, 15min, 8h")]
LocalTimes = Annotated[str, _checked(local_range), Field(description="Local time range, e.g. 06:00-14:00")]
Positive = Annotated[float, Field(gt=0)]
Labels = dict[Literal["en", "id"], str]


class Doc(BaseModel):
    """A mapping in the file; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DatedEntry(Doc, Generic[T]):
    """A meaning and the date from which it holds."""

    valid_from: date | datetime | None = Field(default=None, description="Local date or time; left out: from ever.")
    value: T


class DatedDoc(RootModel[list[DatedEntry[T]]], Generic[T]):
    """A meaning for all time, or a list of ``{valid_from, value}`` in ascending order."""

    @model_validator(mode="before")
    @classmethod
    def _wrap(cls, raw: Any) -> Any:
        dated = isinstance(raw, list) and raw and all(isinstance(item, dict) and "value" in item for item in raw)
        return raw if dated else [{"value": raw}]

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        listed = handler.resolve_ref_schema(handler(schema))
        entry = handler.resolve_ref_schema(dict(listed["items"]))
        return {"anyOf": [entry["properties"]["value"], {"type": "array", "items": listed["items"], "minItems": 1}]}


class ProductDoc(Doc):
    """What is made."""

    name: Labels = Field(default_factory=dict)
    mass_kg: Positive | None = None


class ShiftDoc(Doc):
    """A shift that does not start every day."""

    hours: LocalTimes
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] | None = Field(
        default=None, min_length=1, description="Days on which it starts; default every day."
    )


class CalendarDoc(Doc):
    """Shifts, their breaks, and other days by date."""

    shifts: dict[Id, LocalTimes | ShiftDoc] = Field(min_length=1)
    breaks: dict[Id, list[LocalTimes]] = Field(default_factory=dict)
    exceptions: dict[date, Literal["closed"] | dict[Id, LocalTimes]] = Field(default_factory=dict)


class TariffDoc(Doc):
    """Electricity price."""

    currency: str = Field(pattern="^[A-Z]{3}$")
    off_peak: Positive
    peak_factor: Positive = 1.0
    peak: LocalTimes = "18:00-22:00"
    kvarh: float = Field(default=0.0, ge=0)
    free_kvarh_per_kwh: float = Field(default=0.0, ge=0)


class PolicyDoc(Doc):
    """How a site reads the standard where it leaves a choice."""

    no_order: NoOrder = NoOrder.LOSS
    unscheduled_run: UnscheduledRun = UnscheduledRun.OUTSIDE


class EnergyDoc(Doc):
    """Tariff and grid factor of a site."""

    tariff: Id | None = None
    grid_factor_kg_per_kwh: float | None = Field(default=None, ge=0)


class DeviceDoc(Doc):
    """Where the device answers and which template describes it."""

    template: Id
    connection: Annotated[str, _checked(connection), Field(description="modbus-tcp://HOST:PORT")]
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


class WorkUnitDoc(Doc):
    """One machine or meter."""

    id: Id
    name: Labels = Field(default_factory=dict)
    device: DeviceDoc
    states: DatedDoc[dict[int, TimeCategory]] | None = None
    product: DatedDoc[Id | ProductByTag] | None = None
    planned_run_time_s: DatedDoc[dict[Id, Positive]] | None = None
    micro_stop_s: DatedDoc[Annotated[float, Field(ge=0)]] | None = Field(default=None, description="Default: 300.")
    max_age: Duration | None = Field(default=None, description="How long a value holds; default 3 scans.")
    calendar: DatedDoc[Id] | None = Field(default=None, description="Default: the site's.")
    max_power_kw: Positive | None = None
    targets: dict[Literal["oee", "availability", "effectiveness", "quality"], Annotated[float, Field(gt=0, le=1)]] = (
        Field(default_factory=dict)
    )
    corrections: list[CorrectionDoc] = Field(default_factory=list)
    simulation: dict[str, float] = Field(default_factory=dict, description="Parameters of the simulated machine.")


class WorkCenterDoc(Doc):
    """A line or cell."""

    id: Id
    name: Labels = Field(default_factory=dict)
    output_unit: Id | None = Field(default=None, description="Serial line: what leaves here is the line's output.")
    work_units: list[WorkUnitDoc] = Field(min_length=1)


class AreaDoc(Doc):
    """Part of a site."""

    id: Id
    name: Labels = Field(default_factory=dict)
    work_centers: list[WorkCenterDoc] = Field(min_length=1)


class SiteDoc(Doc):
    """One place with one time zone."""

    id: Id
    name: Labels = Field(default_factory=dict)
    timezone: str = Field(description="IANA zone, e.g. Asia/Jakarta")
    calendar: DatedDoc[Id]
    policy: PolicyDoc = PolicyDoc()
    energy: DatedDoc[EnergyDoc] | None = None
    areas: list[AreaDoc] = Field(min_length=1)


class AgentDoc(Doc):
    """An edge agent and the units that it alone reads."""

    units: list[str] = Field(min_length=1, description="Unit paths; * stands for anything.")
    outbox_max_samples: int = Field(default=2_000_000, ge=1_000)


class PlantDoc(Doc):
    """A plant file: one description from which everything else follows."""

    enterprise: Id
    language: Literal["en", "id"] = "en"
    products: dict[Id, ProductDoc] = Field(default_factory=dict)
    calendars: dict[Id, CalendarDoc] = Field(min_length=1)
    tariffs: dict[Id, TariffDoc] = Field(default_factory=dict)
    sites: list[SiteDoc] = Field(min_length=1)
    agents: dict[Id, AgentDoc] = Field(min_length=1)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of plant.yaml, for editors."""
    schema = PlantDoc.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
