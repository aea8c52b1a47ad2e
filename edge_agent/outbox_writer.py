"""Samples -> outbox: group commit. Pollers put samples on a queue, one task writes what has come in one transaction.

Full policy: a sample that finds the queue full is dropped and counted as polled but not appended (*unpersisted*); the
bus never waits.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from itertools import islice, takewhile
from typing import Final

from edge_agent.disk_thread import DiskThread
from edge_agent.outbox import Outbox
from shopfloor.clock import Clock, Trust
from shopfloor.errors import Backpressure
from shopfloor.instant import Instant
from shopfloor.sample import Sample

log = logging.getLogger(__name__)

MAX_QUEUE: Final = 20_000
"""Samples that may wait for the disk."""
MAX_COMMIT: Final = 2_000
"""Samples in one transaction."""


class OutboxWriter:
    """Takes samples without blocking and appends them in order. ``committed`` is called after each transaction."""

    def __init__(self, outbox: Outbox, disk: DiskThread, clock: Clock, committed: Callable[[], None]) -> None:
        self._outbox, self._disk, self._clock, self._committed = outbox, disk, clock, committed
        self._queue: deque[tuple[Sample, Trust]] = deque()
        self._wake = asyncio.Event()
        self._finishing = False
        self._failing = False
        self.uncommitted = 0
        """Cycles polled since the last commit."""
        self.dropped = 0
        """Samples that found the queue full, or the disk gone at the end."""

    def __len__(self) -> int:
        """Samples that wait for the disk."""
        return len(self._queue)

    def oldest(self) -> Instant | None:
        """The oldest source time that waits for the disk."""
        return min((sample.time for sample, _ in self._queue), default=None)

    def put(self, sample: Sample) -> None:
        """Take over a sample that was polled now, under the clock as it is now; never blocks."""
        self.uncommitted += 1
        if len(self._queue) < MAX_QUEUE:
            self._queue.append((sample, self._clock.trust()))
        else:
            self.dropped += 1
        self._wake.set()

    def finish(self) -> None:
        """Let ``run`` end when everything is written. Put nothing after it."""
        self._finishing = True
        self._wake.set()

    async def run(self) -> None:
        """Write until ``finish``. Not to be cancelled: a commit in progress cannot be. Raises OutboxError."""
        while not (self._finishing and not self.uncommitted):
            await self._wake.wait()
            self._wake.clear()
            while self.uncommitted and await self._commit():
                self._committed()

    async def _commit(self) -> bool:
        """One transaction. False when the disk would not take it and the end has come."""
        trust = self._queue[0][1] if self._queue else Trust.SYNCED
        alike = takewhile(lambda waiting: waiting[1] is trust, islice(self._queue, MAX_COMMIT))
        batch = [sample for sample, _ in alike]
        polled = self.uncommitted - (len(self._queue) - len(batch))
        try:
            await self._disk.run(self._outbox.append, batch, polled=polled, trust=trust)
        except Backpressure as fault:
            return await self._try_later(fault)
        if self._failing:
            log.warning("%s can be written again", self._outbox.path)
        self._failing = False
        for _ in batch:
            self._queue.popleft()
        self.uncommitted -= polled
        return True

    async def _try_later(self, fault: Backpressure) -> bool:
        if not self._failing:
            log.error("cannot write samples, they wait in memory: %s", fault)
        self._failing = True
        if self._finishing:
            self.dropped += len(self._queue)
            self._queue.clear()
            self.uncommitted = 0
            return False
        await asyncio.sleep(fault.retry_after_s)
        return True
