"""When a plant calls for people: limits of its work units and patience with its agents, for the alert rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

DEFAULT_STOPPED_MS: Final = 900_000
DEFAULT_SILENT_MS: Final = 300_000
DEFAULT_OUTBOX_SAMPLES: Final = 1_000
DEFAULT_OUTBOX_SHARE: Final = 0.8
DEFAULT_LEAST_COVERAGE: Final = 0.8


@dataclass(frozen=True, slots=True)
class Limits:
    """What a gauge must not leave; one side may be open."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantAlerts:
    """What holds for all units and agents."""

    stopped_ms: int = DEFAULT_STOPPED_MS
    """An unplanned stop that lasts so long calls."""
    agent_silent_ms: int = DEFAULT_SILENT_MS
    """An agent that tells nothing for so long calls."""
    outbox_samples: int = DEFAULT_OUTBOX_SAMPLES
    """An outbox calls that is never emptier than this for a quarter of an hour, and grows."""
    outbox_share: float = DEFAULT_OUTBOX_SHARE
    """An outbox calls that fills this share of its size."""
    least_coverage: float = DEFAULT_LEAST_COVERAGE
    """An OEE of which less of the planned time is known calls nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitAlerts:
    """What holds for one unit."""

    stopped_ms: int | None = None
    """Instead of the plant's; 0: its stops call nobody."""
    demand_kw: float | None = None
    """A meter's: the mean power of fifteen minutes that calls when it is ahead."""
    limits: Mapping[str, Limits] = field(default_factory=dict)
    """Gauge tag -> what it must not leave, in the tag's unit."""
