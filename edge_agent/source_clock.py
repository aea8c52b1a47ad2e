"""Registers -> samples: what time it is for a sample, and whether that may be believed. No IO beyond the given clock.

Source time is steady time (since the boot of the machine) plus an offset that is trusted. A wall clock that parts from
it was set by somebody: until it is plain who is right, cycles get no time but their steady one, and wait for it in the
outbox. Polling goes on by the trusted offset meanwhile, so no tick is lost or doubled.
"""

import logging
from dataclasses import dataclass
from typing import Final, NamedTuple

from shopfloor.clock import VIRTUAL, Clock, Moment, Trust
from shopfloor.instant import MINUTE, Instant

log = logging.getLogger(__name__)

STEP_MS: Final = 1_000
"""A wall that parts from steady time by more than this was set; less is followed, backward at half speed."""
NOT_BEFORE: Final[Instant] = 1_735_689_600_000
"""2025-01-01: no sample of this program is older, so a wall clock before it does not know the time."""


class Anchor(NamedTuple):
    """What must be added to the steady time of a boot to get source time (ms)."""

    boot: str
    offset: int


class Stamp(NamedTuple):
    """When a cycle was read."""

    time: Instant
    """Source time; while the stamp is not ``dated``, only what the wall said."""
    steady: int
    boot: str
    dated: bool

    @property
    def anchor(self) -> Anchor:
        """What dates other cycles of this boot, when this stamp is dated."""
        return Anchor(self.boot, self.time - self.steady)


@dataclass(frozen=True, slots=True)
class ClockRules:
    """When a wall clock that was not trusted is believed."""

    needs_sync: bool = False
    """Only when the kernel says that a time service keeps it."""
    settle_ms: int = 10 * MINUTE
    """Without the kernel's word: when it has run without a step for so long."""


class SourceClock:
    """Stamps the cycles of one agent.

    ``newest`` is the latest source time in the outbox, ``anchor`` what was trusted when it was last written: within
    one boot of the machine a step is noticed over a kill and restart, too.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        newest: Instant = 0,
        anchor: Anchor | None = None,
        rules: ClockRules | None = None,
    ) -> None:
        self._clock, self._newest, self._known = clock, newest, anchor
        self._rules = rules or ClockRules()
        self.trust = Trust.SYNCED
        """SYNCED: cycles are dated. UNSYNCED: the time is not known yet. STEPPED: the wall was set, by whom is not
        known yet."""
        self.jumps = 0
        """Times that the wall clock was found set."""
        self.shifts = 0
        """Times that source time went over to another offset: who waits for a tick counts anew."""
        self._boot: str | None = None
        self._offset = self._seen = 0
        self._candidate = self._since = 0
        self.observe()

    def observe(self) -> None:
        """Look at the clocks. To be called every few seconds even when nothing is stamped."""
        self._look()

    def stamp(self) -> Stamp:
        """The stamp of a cycle that begins now. Within a boot dated stamps never go back."""
        moment = self._look()
        dated = self.trust is Trust.SYNCED
        return Stamp(moment.steady + self._offset if dated else moment.wall, moment.steady, moment.boot, dated)

    def now(self) -> Instant:
        """The time that ticks follow: it goes on evenly when the wall clock is set."""
        return self._look().steady + self._offset

    def _look(self) -> Moment:
        moment = self._clock.moment()
        if moment.boot != self._boot:
            self._begin(moment)
        drift = moment.wall - moment.steady - self._offset
        if moment.boot == VIRTUAL:
            self._offset += drift
        elif self.trust is not Trust.SYNCED:
            self._weigh(moment)
        elif abs(drift) > STEP_MS:
            self.jumps += 1
            self._doubt(moment, Trust.STEPPED)
            log.warning(
                "the clock was set by %+.1f s; samples wait undated until it is plain who is right", drift / 1e3
            )
        else:
            self._offset += max(drift, -((moment.steady - self._seen) // 2))
        self._seen = moment.steady
        return moment

    def _begin(self, moment: Moment) -> None:
        """The first look in a boot."""
        self._boot = moment.boot
        self._offset, self._seen = moment.wall - moment.steady, moment.steady
        self.trust = Trust.SYNCED
        if moment.boot == VIRTUAL:
            return
        if self._known is not None and self._known.boot == moment.boot:
            self._offset = self._known.offset
        elif not self._plausible(moment) or (self._rules.needs_sync and not moment.synced):
            self._doubt(moment, Trust.UNSYNCED)
            log.warning("the time is not known yet; samples wait undated until it is")

    def _doubt(self, moment: Moment, trust: Trust) -> None:
        self.trust = trust
        self._candidate, self._since = moment.wall - moment.steady, moment.steady

    def _weigh(self, moment: Moment) -> None:
        """Whether the wall may be believed by now."""
        offset = moment.wall - moment.steady
        if self.trust is Trust.STEPPED and abs(offset - self._offset) <= STEP_MS:
            self.trust = Trust.SYNCED
            log.warning("the clock was set back to where it had been")
        elif abs(offset - self._candidate) > STEP_MS:
            self.jumps += 1
            self._doubt(moment, self.trust)
        elif self._proven(moment):
            self.trust = Trust.SYNCED
            self.shifts += 1
            log.warning("the clock is believed: source time moves by %+.1f s", (offset - self._offset) / 1e3)
            self._offset = offset

    def _proven(self, moment: Moment) -> bool:
        if moment.synced:
            return moment.wall > NOT_BEFORE
        if self._rules.needs_sync or moment.steady - self._since < self._rules.settle_ms:
            return False
        return self._plausible(moment) if self.trust is Trust.UNSYNCED else moment.wall > NOT_BEFORE

    def _plausible(self, moment: Moment) -> bool:
        """A machine without a battery clock starts where it was stopped, or in 1970."""
        return moment.wall > max(NOT_BEFORE, self._newest)
