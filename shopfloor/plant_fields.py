"""The words that plant.yaml is written with: ids, durations, local times, mappings, and meanings with a date."""

import re
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, model_validator
from pydantic.annotated_handlers import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from shopfloor.duration import duration_ms, pause_ms
from shopfloor.equipment import ID

T = TypeVar("T")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RANGE = re.compile(r"([0-2]\d):([0-5]\d)-([0-2]\d):([0-5]\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_CONNECTION = re.compile(r"modbus-tcp://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::(\d{1,5}))?")


def local_range(text: str) -> tuple[int, int]:
    """``22:00-06:00`` as minutes after midnight; an end not after its start is on the next day."""
    match = _RANGE.fullmatch(text)
    if not match or int(match[1]) > 23 or int(match[3]) > 24:
        raise ValueError(f"{text!r} is not a time range; write e.g. 06:00-14:00 in quotes")
    if match[3] == "24" and match[4] != "00":
        raise ValueError(f"{text!r}: a day ends at 24:00")
    start, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    return start, end if end > start else end + 1440


def local_date(text: str) -> date:
    """``2026-12-25`` as a date; raises ValueError."""
    try:
        return date.fromisoformat(text if _DATE.fullmatch(text) else "")
    except ValueError:
        raise ValueError(f"{text!r} is not a date of the calendar; write e.g. 2026-12-25") from None


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
Pause = Annotated[str, _checked(pause_ms), Field(description="0s, 1s, 15min, 8h")]
LocalTimes = Annotated[str, _checked(local_range), Field(description="Local time range, e.g. 06:00-14:00")]
LocalDate = Annotated[date, _checked(local_date), Field(description="Local date, e.g. 2026-12-25")]
Connection = Annotated[str, _checked(connection), Field(description="modbus-tcp://HOST:PORT")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Labels = dict[Literal["en", "id"], str]


class Doc(BaseModel):
    """A mapping in the file; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DatedEntry(Doc, Generic[T]):
    """A meaning and the date from which it holds."""

    valid_from: date | datetime | None = Field(default=None, description="Local date or time; left out: from ever.")
    value: T


class DatedDoc(RootModel[list[DatedEntry[T]]], Generic[T]):
    """A meaning for all time, or a list of ``{valid_from, value}``, each from another date."""

    @model_validator(mode="before")
    @classmethod
    def _wrap(cls, raw: Any) -> Any:
        return raw if is_dated(raw) else [{"value": raw}]

    @model_validator(mode="after")
    def _once(self) -> "DatedDoc[T]":
        seen = [_moment(entry.valid_from) for entry in self.root]
        twice = next((moment for index, moment in enumerate(seen) if moment in seen[:index]), None)
        if twice is not None:
            raise ValueError(f"two values hold from {twice}; keep one")
        return self

    def values(self) -> Iterator[T]:
        """Every meaning, whatever its date."""
        return (entry.value for entry in self.root)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        listed = handler.resolve_ref_schema(handler(schema))
        entry = handler.resolve_ref_schema(dict(listed["items"]))
        return {"anyOf": [entry["properties"]["value"], {"type": "array", "items": listed["items"], "minItems": 1}]}


def is_dated(raw: Any) -> bool:
    """Whether a field is written as a list of ``{valid_from, value}``."""
    return isinstance(raw, list) and bool(raw) and all(isinstance(item, dict) and "value" in item for item in raw)


def _moment(valid_from: date | datetime | None) -> str:
    if valid_from is None:
        return "ever"
    if not isinstance(valid_from, datetime):
        valid_from = datetime.combine(valid_from, time())
    return valid_from.isoformat(" ", "minutes")
