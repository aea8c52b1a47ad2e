"""The only place that reads the time of day. Everything else is given a Clock."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from shopfloor import kernel_clock
from shopfloor.instant import Instant


class Trust(StrEnum):
    """How far source times may be trusted."""

    SYNCED = "synced"
    UNSYNCED = "unsynced"
    """The time was not known, and could not be found out."""
    STEPPED = "stepped"
    """The clock was in doubt; dated afterwards, by the time since boot."""


TOGETHER_MS: Final = 20
"""Two clocks read within this time are read together."""
VIRTUAL: Final = ""
"""The boot of a time that is made, not measured: it is right by definition."""


class Moment(NamedTuple):
    """What the clocks of a machine show at one moment."""

    wall: Instant
    """The time of day, right or wrong."""
    steady: int
    """Milliseconds since the boot of the machine; never steps, whatever is killed or set."""
    boot: str
    """Names the boot that ``steady`` counts from."""
    synced: bool | None
    """Whether the kernel says that a time service keeps the wall right; None: it does not tell."""


class Clock(Protocol):
    """Time for one process. Tasks that drive time (pollers) ``join`` before they start and ``leave`` when they end."""

    def now(self) -> Instant:
        """The time of day, ms UTC."""
        ...

    def mono_ms(self) -> int:
        """Milliseconds since this boot of the process; never steps."""
        ...

    def moment(self) -> Moment:
        """Wall and steady time together."""
        ...

    async def sleep_until(self, when: Instant) -> None:
        """Return at ``when`` as the clock stands now, or at once when it has passed. Setting the wall meanwhile makes
        the sleep neither longer nor shorter."""
        ...

    def join(self) -> None:
        """One more task drives time: a virtual clock stands still while any of them works."""
        ...

    def leave(self) -> None:
        """A task that joined has ended."""
        ...


class SystemClock:
    """The wall clock of this machine, right or wrong: who stamps samples asks ``edge_agent.source_clock``."""

    def __init__(self) -> None:
        self._boot = time.monotonic()

    def now(self) -> Instant:
        return int(time.time() * 1000)

    def mono_ms(self) -> int:
        return int((time.monotonic() - self._boot) * 1000)

    def moment(self) -> Moment:
        while True:
            before, wall, steady = kernel_clock.steady_ms(), time.time_ns(), kernel_clock.steady_ms()
            if steady - before <= TOGETHER_MS:
                break  # else we were kept waiting between the two clocks, and they would seem to part
        return Moment(wall // 1_000_000, steady, kernel_clock.BOOT, kernel_clock.synchronised(wall / 1e9))

    async def sleep_until(self, when: Instant) -> None:
        end = time.monotonic() + (when - self.now()) / 1000
        while (wait := end - time.monotonic()) > 0:  # noqa: ASYNC110 - a timer may be early
            await asyncio.sleep(wait)

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

    def moment(self) -> Moment:
        if self._wall and self.live.is_set():
            return self._wall.moment()
        return Moment(self._now, self._now, VIRTUAL, True)

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
