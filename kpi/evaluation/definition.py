"""What a KPI's definition says: the fields that ISO 22400-1 asks for, and how far to trust the formula."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Which way is better."""

    UP = "up"
    DOWN = "down"
    NONE = "none"
    """Neither: it says how to read the others."""


class Given(StrEnum):
    """What a KPI is computed from."""

    RECORD = "record"
    """A merged additive record: any unit, any window."""
    MEASUREMENTS = "measurements"
    """Measured values of a quality characteristic."""
    LINE = "line"
    """Records or yields of a line's steps."""
    BILL = "bill"
    """A calendar month's energy and a tariff."""
    BASELINE = "baseline"
    """Energy, its driver and a baseline."""
    GEOMETRY = "geometry"
    """Nominal size and density."""


class Confidence(StrEnum):
    """How well a formula is founded. The normative text of ISO 22400-2 was not at hand: only what derives from it."""

    TWO = "two independent sources"
    ONE = "one source"
    DIVISOR = "two independent sources for the text; the divisor is a choice"
    COMPUTED = "computed and checked here"
    HOUSE = "house decision"


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiDefinition:
    """One KPI."""

    id: str
    name: Mapping[str, str]
    """By language, ``en`` and ``id``."""
    formula: str
    """In element names; for a KPI of a record, the very formula that is computed."""
    unit: str
    """``1`` for a ratio."""
    direction: Direction
    elements: tuple[str, ...]
    """What the formula reads."""
    source: str
    confidence: Confidence
    low: float | None = 0.0
    """Lowest possible value; None is open."""
    high: float | None = 1.0
    """Highest possible value; None is open."""
    given: Given = Given.RECORD
    notes: str = ""
    timing: str = "on demand, any window of whole minutes; provisional while it may change"
    audience: str = "operator, supervisor, management"

    @property
    def range(self) -> str:
        """As the reference prints it: ``0 .. 1``, ``0 ..`` for open."""
        low = "" if self.low is None else f"{self.low:g} "
        high = "" if self.high is None else f" {self.high:g}"
        return f"{low}..{high}"
