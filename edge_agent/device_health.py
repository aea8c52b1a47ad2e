"""Registers -> samples: whether a device is worth asking at this tick. Pure.

Back-off counts ticks, not seconds, so it needs no clock and is the same on a virtual one. A tick that is not tried
still gives a sample, with every tag BAD: absence is a fact.
"""

from dataclasses import dataclass
from enum import StrEnum

MAX_BACK_OFF_MS = 30_000
"""A dead device is asked at least this often (or at every tick of a slower scan)."""


class Health(StrEnum):
    """What the last tried cycle said."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    FAILING = "failing"


class Change(StrEnum):
    """A transition worth one line in the log."""

    FAILED = "failed"
    RECOVERED = "recovered"


@dataclass(slots=True)
class DeviceHealth:
    """Health of one device: exponential back-off in ticks, capped, and what happened so far.

    ``refused`` (an exception reply) fails the device without back-off: it answers, and costs no waiting.
    """

    most_ticks: int = 1
    """Cap: ticks from one try to the next."""
    state: Health = Health.UNKNOWN
    failures: int = 0
    """Cycles that failed."""
    recoveries: int = 0
    last_error: str = ""
    _row: int = 0
    _skip: int = 0

    @classmethod
    def for_scan(cls, scan_ms: int) -> "DeviceHealth":
        """Health with the cap that fits a scan period."""
        return cls(max(1, MAX_BACK_OFF_MS // scan_ms))

    def due(self) -> bool:
        """Whether to ask the device at this tick; call once a tick."""
        if self._skip:
            self._skip -= 1
            return False
        return True

    def answered(self) -> Change | None:
        """The device gave everything that was asked."""
        self._row = self._skip = 0
        was, self.state = self.state, Health.HEALTHY
        if was is Health.FAILING:
            self.recoveries += 1
            self.last_error = ""
            return Change.RECOVERED
        return None

    def refused(self, error: str) -> Change | None:
        """The device answered with an exception: ask again at the next tick."""
        self._row = self._skip = 0
        return self._fail(error)

    def lost(self, error: str) -> Change | None:
        """No answer, or none to be believed: the tries come at 1, 2, 4, ... ticks up to the cap."""
        self._skip = min(1 << min(self._row, 30), self.most_ticks) - 1
        self._row += 1
        return self._fail(error)

    def _fail(self, error: str) -> Change | None:
        self.failures += 1
        self.last_error = error
        was, self.state = self.state, Health.FAILING
        return None if was is Health.FAILING else Change.FAILED
