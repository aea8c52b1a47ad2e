"""Registers -> samples: when to poll. Pure.

Ticks are whole multiples of the scan period since the epoch: they do not drift however long a read takes, and units
with one period are read at the same instants. Policy for ticks that pass during a long read: skipped and counted.
"""

from dataclasses import dataclass

from shopfloor.instant import Instant, ceil_to


@dataclass(slots=True)
class Schedule:
    """The ticks of one unit."""

    period_ms: int
    tick: Instant
    """The tick that comes next, or is being served."""
    missed: int = 0
    """Ticks that passed while an earlier one was served."""

    @classmethod
    def starting(cls, now: Instant, period_ms: int) -> "Schedule":
        """The schedule whose first tick is the first one not before ``now``."""
        return cls(period_ms, ceil_to(now, period_ms))

    def advance(self, now: Instant) -> Instant:
        """The tick after the one just served, at ``now``: never a passed one."""
        following = self.tick + self.period_ms
        if now > following:
            self.missed += (now - following - 1) // self.period_ms + 1
            following = ceil_to(now, self.period_ms)
        self.tick = following
        return following

    def restart(self, now: Instant) -> Instant:
        """Time has become another: the first tick that is not before ``now`` comes next, and none was missed."""
        self.tick = ceil_to(now, self.period_ms)
        return self.tick
