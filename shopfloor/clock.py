"""The only place that reads the time of day. Everything else is given a Clock."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Protocol

from shopfloor.instant import Instant

STEP_MS = 1_000
"""Wall and monotonic time that part by more than this within one reading is a step of the clock."""


class Trust(StrEnum):
    """How far source times may be trusted."""

    SYNCED = "synced"
    UNSYNCED = "unsynced"
    STEPPED = "stepped"


class Clock(Protocol):
    """Time for one process. Tasks that drive time (pollers) ``join`` before they start and ``leave`` when they end."""

    def now(self) -> Instant:
        """The time of day, ms UTC."""
        ...

    def mono_ms(self) -> int:
        """Milliseconds since this boot of the process; never steps."""
        ...

    def trust(self) -> Trust:
        """Whether ``now`` may be trusted."""
        ...

    async def sleep_until(self, when: Instant) -> None:
        """Return at ``when``, or at once when it has passed."""
        ...

    def join(self) -> None:
        """One more task drives time: a virtual clock stands still while any of them works."""
        ...

    def leave(self) -> None:
        """A task that joined has ended."""
        ...


class SystemClock:
    """The wall clock of this machine. A step against monotonic time is noticed, and lasts until ``settle``."""

    def __init__(self) -> None:
        self._boot = time.monotonic()
        self._offset = self._measure()
        self._stepped = False

    @staticmethod
    def _measure() -> float:
        return time.time() * 1000 - time.monotonic() * 1000

    def now(self) -> Instant:
        return int(time.time() * 1000)

    def mono_ms(self) -> int:
        return int((time.monotonic() - self._boot) * 1000)

    def trust(self) -> Trust:
        offset = self._measure()
        if abs(offset - self._offset) > STEP_MS:
            self._stepped = True
        self._offset = offset
        return Trust.STEPPED if self._stepped else Trust.SYNCED

    def settle(self) -> None:
        """Trust the clock again (the step was a correction)."""
        self._stepped = False

    async def sleep_until(self, when: Instant) -> None:
        while (wait := when - time.time() * 1000) > 0:  # noqa: ASYNC110 - the wall may step while we sleep
            await asyncio.sleep(min(wait / 1000, 60.0))

    def join(self) -> None:
        pass

    def leave(self) -> None:
        pass


class CatchUpClock:
    """Virtual time from ``start`` that jumps from event to event until it meets the wall clock, then follows it.

    It jumps only while every joined task sleeps and ``gate`` (back-pressure of the pipeline) lets it. Without ``wall``
    it never goes live: a purely virtual clock for replays and tests.
    """

    def __init__(
        self,
        start: Instant,
        *,
        wall: Clock | None = None,
        gate: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.start(start, gate)
        self._wall = wall
        self._boot = time.monotonic()
        self._joined = 0
        self._sleepers: list[tuple[Instant, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._jump: asyncio.Task[None] | None = None
        self.live = asyncio.Event()
        """Set when virtual time has met the wall clock."""

    def start(self, at: Instant, gate: Callable[[], Awaitable[None]] | None) -> None:
        """Set the clock and its gate, before any task has joined."""
        self._now, self._gate = at, gate

    def now(self) -> Instant:
        return self._wall.now() if self._wall and self.live.is_set() else self._now

    def mono_ms(self) -> int:
        return int((time.monotonic() - self._boot) * 1000)

    def trust(self) -> Trust:
        return self._wall.trust() if self._wall and self.live.is_set() else Trust.SYNCED

    def join(self) -> None:
        self._joined += 1

    def leave(self) -> None:
        self._joined -= 1
        self._consider()

    async def sleep_until(self, when: Instant) -> None:
        if self._wall and self.live.is_set():
            await self._wall.sleep_until(when)
            return
        if when <= self._now:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when, next(self._order), woken))
        self._consider()
        await woken
        if self._wall and self.live.is_set():
            await self._wall.sleep_until(when)

    def _consider(self) -> None:
        if self._jump is not None or len(self._sleepers) < self._joined:
            return
        self._sleepers = [entry for entry in self._sleepers if not entry[2].done()]  # without the cancelled
        heapq.heapify(self._sleepers)
        if self._sleepers and len(self._sleepers) >= self._joined:
            self._jump = asyncio.get_running_loop().create_task(self._advance(), name="virtual-clock")
            self._jump.add_done_callback(self._jumped)

    def _jumped(self, task: "asyncio.Task[None]") -> None:
        self._jump = None
        if not task.cancelled() and (fault := task.exception()) is not None:
            for _, _, woken in self._sleepers:
                if not woken.done():
                    woken.set_exception(fault)
        else:
            self._consider()  # who woke may sleep again already

    async def _advance(self) -> None:
        if self._gate is not None:
            await self._gate()
        if not self._sleepers:
            return
        when = self._sleepers[0][0]
        if self._wall is not None and when > self._wall.now():
            self.live.set()
            due = self._sleepers
            self._sleepers = []
        else:
            self._now = max(self._now, when)
            due = []
            while self._sleepers and self._sleepers[0][0] <= self._now:
                due.append(heapq.heappop(self._sleepers))
        for _, _, woken in due:
            if not woken.done():
                woken.set_result(None)
