"""Registers -> samples: one unit's cycle at each tick - read, stamp once, hand over. It never waits for a disk."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_agent.cycle import Cycle
from edge_agent.device_health import Change, DeviceHealth
from edge_agent.driver import Driver
from edge_agent.schedule import Schedule
from edge_agent.source_clock import SourceClock, Stamp
from shopfloor.clock import Clock, Trust
from shopfloor.errors import DeviceError, DeviceRefused
from shopfloor.instant import MINUTE, Instant
from shopfloor.sample import Sample

log = logging.getLogger(__name__)

NEVER: Instant = 2**62
RESUME_MS = MINUTE
"""A virtual clock that starts a little before the unit's last sample waits until it has passed."""


@dataclass(slots=True)
class Poller:
    """Polls one unit at its fixed rate; every tick that it serves gives exactly one sample.

    A device that is lost gives a sample with every tag BAD at each tick, tried or not. ``hand_over`` must not block.
    """

    unit: str
    scan_ms: int
    cycle: Cycle
    driver: Driver
    clock: Clock
    source: SourceClock
    hand_over: Callable[[Sample, Stamp], None]
    health: DeviceHealth = field(init=False)
    after: Instant | None = None
    """Source time of the unit's last sample before this boot."""
    schedule: Schedule | None = None
    """None until it runs."""
    reading: Stamp | None = None
    """The stamp of the cycle that is under way; None between cycles."""
    last: Sample | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when ``run`` has ended."""
    _stop_at: Instant = NEVER
    _asleep: bool = False
    _shifts: int = 0
    _task: "asyncio.Task[object] | None" = None

    def __post_init__(self) -> None:
        self.health = DeviceHealth.for_scan(self.scan_ms)

    async def run(self) -> None:
        """Poll until cancelled or stopped."""
        self._task = asyncio.current_task()
        self.clock.join()
        try:
            await self._poll()
        finally:
            self.clock.leave()
            self.ended.set()

    def stop(self, at: Instant) -> None:
        """Serve no tick at or after ``at``. A cycle that has begun is finished and handed over."""
        self._stop_at = at
        if self._task is not None and self._asleep and self.schedule is not None and self.schedule.tick >= at:
            self._task.cancel()

    async def _poll(self) -> None:
        self.schedule = Schedule.starting(self._begin(), self.scan_ms)
        while await self._tick(self.schedule) < self._stop_at:
            self.reading = self.source.stamp()
            self.last = await self._sample(self.reading.time)
            self.hand_over(self.last, self.reading)
            self.reading = None
            if self._shifts == self.source.shifts:
                self.schedule.advance(self.source.now())
            else:
                self._restart(self.schedule)

    async def _tick(self, schedule: Schedule) -> Instant:
        """Wait for the next tick, unless none is to be served any more; returns it."""
        self._asleep = True
        while schedule.tick < self._stop_at and (wait := schedule.tick - self.source.now()) > 0:
            if self._shifts == self.source.shifts:
                await self.clock.sleep_until(self.clock.now() + wait)
            if self._shifts != self.source.shifts:
                self._restart(schedule)
        self._asleep = False
        return schedule.tick

    def _restart(self, schedule: Schedule) -> None:
        """Source time went over to another offset: the ticks do, too."""
        self._shifts = self.source.shifts
        schedule.restart(self.source.now())

    def _begin(self) -> Instant:
        now = self.source.now()
        self._shifts = self.source.shifts
        if self.after is not None and now <= self.after <= now + RESUME_MS and self.source.trust is Trust.SYNCED:
            return self.after + 1
        return now

    async def _sample(self, at: Instant) -> Sample:
        if not self.health.due():
            return Sample(unit=self.unit, time=at, status=self.cycle.lost)
        try:
            answers = await self.driver.read(self.cycle.plan)
        except DeviceError as error:
            self._note(self.health.lost(str(error)))
            return Sample(unit=self.unit, time=at, status=self.cycle.lost)
        refusal = next((answer for answer in answers if isinstance(answer, DeviceRefused)), None)
        self._note(self.health.refused(str(refusal)) if refusal else self.health.answered())
        values, status = self.cycle.decode(answers)
        return Sample(unit=self.unit, time=at, values=values, status=status)

    def _note(self, change: Change | None) -> None:
        if change is Change.FAILED:
            log.warning("%s fails: %s", self.unit, self.health.last_error)
        elif change is Change.RECOVERED:
            log.info("%s answers again after %d failed cycles in all", self.unit, self.health.failures)
