"""Facts: what happened in one slice of one unit, as mergeable columns."""

from dataclasses import dataclass

from shopfloor.additive import Elements
from shopfloor.instant import Instant


@dataclass(frozen=True, slots=True)
class Fact:
    """One slice's additive record. Its identity is (unit, time, shift, product) within its grain."""

    unit: str
    """Path ``site/area/work_center/work_unit``."""
    time: Instant
    """Start of the slice: a whole minute, a whole hour, or the start of the shift."""
    shift: str
    product: str
    elements: Elements

    @property
    def key(self) -> tuple[Instant, str, str]:
        """The identity within one unit and grain."""
        return self.time, self.shift, self.product


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop of one unit: derived, begins where the machine left running. Its identity is (unit, start)."""

    unit: str
    start: Instant
    end: Instant | None
    """None while it lasts."""
    category: str
    """Time category (unplanned_stop, micro_stop, starved, blocked; where a statement moved it, any other)."""
    code: int | None
    """The state code behind it."""
    reason: str = ""
    """The stated reason; empty where nobody stated one."""
    statement: str = ""
    """Id of the statement that gave it."""
    failure: bool = False
    """Whether it counts as an equipment failure (or its re-trip)."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Seconds and counts of one category and reason in one slice; all but these two are its identity in its grain."""

    unit: str
    time: Instant
    """Start of the slice, as a fact's."""
    shift: str
    product: str
    category: str
    reason: str
    seconds: float
    count: float
