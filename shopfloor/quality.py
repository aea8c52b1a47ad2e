"""How far a value may be trusted (OPC UA status severity), and why not."""

from dataclasses import dataclass
from enum import StrEnum


class Quality(StrEnum):
    """Severity of a value's status. A BAD value has no number at all."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    BAD = "bad"


class Reason(StrEnum):
    """Why a value is not GOOD."""

    COMM_LOST = "comm_lost"
    STALE = "stale"
    OUT_OF_RANGE = "out_of_range"
    SENSOR_FAULT = "sensor_fault"
    NOT_AVAILABLE = "not_available"


@dataclass(frozen=True, slots=True)
class Status:
    """Quality with its reason, for a value that is not GOOD."""

    quality: Quality
    reason: Reason


COMM_LOST = Status(Quality.BAD, Reason.COMM_LOST)
"""The device did not answer in this cycle."""
