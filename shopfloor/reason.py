"""Stop reasons: a plant's own tree of words for why a unit stood still, and what each means for the KPIs."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shopfloor.machine_state import TimeCategory


class Maintenance(StrEnum):
    """Which maintenance a stop was for (CMT and PMT of ISO 22400-2)."""

    CORRECTIVE = "corrective"
    PREVENTIVE = "preventive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One node of the tree. What a node leaves open (None) it takes from its parent when the plant is loaded."""

    id: str
    """Unique in the whole tree."""
    name: Mapping[str, str]
    """By language, ``en`` and ``id``."""
    parent: str | None = None
    category: TimeCategory | None = None
    """Books the stop in this category (planned or not); None leaves it where the machine put it."""
    failure: bool = False
    """The equipment failed: counts for MTBF and MTTR."""
    maintenance: Maintenance | None = None
