"""Samples -> outbox: group commit. Pollers put samples on a queue, one task writes what has come in one transaction.

Full policy: while the disk is away the samples wait in memory; one that finds the queue full is dropped and counted as
polled but not appended (*unpersisted*). The bus never waits. (A disk that is full is not away: the oldest make room.)
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

from edge_agent.disk_thread import DiskThread
from edge_agent.outbox import Outbox
from edge_agent.source_clock import Stamp
from shopfloor.errors import Backpressure
from shopfloor.instant import Instant
from shopfloor.sample import Sample

log = logging.getLogger(__name__)

MAX_QUEUE: Final = 20_000
"""Samples that may wait for the disk."""
MAX_COMMIT: Final = 2_000
"""Samples in one transaction."""
LINGER_S: Final = 0.05
"""How long a transaction waits for the units that are read at the same tick: each one costs the card some pages."""


class OutboxWriter:
    """Takes samples without blocking and appends them in order. ``committed`` is called after each transaction."""

    def __init__(
        self, outbox: Outbox, disk: DiskThread, committed: Callable[[], None], *, linger_s: float = LINGER_S
    ) -> None:
        self._outbox, self._disk, self._committed = outbox, disk, committed
        self._linger_s = linger_s
        self._queue: deque[tuple[Sample, Stamp]] = deque()
        self._dating: Stamp | None = None
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
        """No sample that waits for the disk is from before this."""
        times = (sample.time if stamp.dated else self._outbox.earliest(sample.unit) for sample, stamp in self._queue)
        return min(times, default=None)

    def use(self, outbox: Outbox) -> None:
        """Go on with another outbox; what waits goes there."""
        self._outbox = outbox

    def put(self, sample: Sample, stamp: Stamp) -> None:
        """Take over a sample that was polled now; never blocks."""
        self.uncommitted += 1
        if len(self._queue) < MAX_QUEUE:
            self._queue.append((sample, stamp))
        else:
            self.dropped += 1
        self._wake.set()

    def date(self, stamp: Stamp) -> None:
        """The time is known again: date what waits in the outbox for it, even when no sample comes."""
        if self._outbox.undated:
            self._dating = stamp
            self._wake.set()

    def finish(self) -> None:
        """Let ``run`` end when everything is written. Put nothing after it."""
        self._finishing = True
        self._wake.set()

    async def run(self) -> None:
        """Write until ``finish``. Not to be cancelled: a commit in progress cannot be. Raises OutboxError; it may then
        be run again."""
        self._wake.set()
        while not (self._finishing and not self.uncommitted):
            await self._wake.wait()
            self._wake.clear()
            if not self._finishing and len(self._queue) < MAX_COMMIT:
                await asyncio.sleep(self._linger_s)
            while (self.uncommitted or self._dating) and await self._commit():
                self._committed()

    async def _commit(self) -> bool:
        """One transaction. False when the disk would not take it and the end has come."""
        batch = list(islice(self._queue, MAX_COMMIT))
        polled = self.uncommitted - (len(self._queue) - len(batch))
        dating = self._dating
        try:
            if batch or polled:
                samples, stamps = [sample for sample, _ in batch], [stamp for _, stamp in batch]
                await self._disk.run(self._outbox.append, samples, stamps, polled=polled)
                for _ in batch:
                    self._queue.popleft()
                self.uncommitted -= polled
            if dating is not None:
                await self._disk.run(self._outbox.date, dating)
                self._dating = None if self._dating is dating else self._dating
        except Backpressure as fault:
            return await self._try_later(fault)
        if self._failing:
            log.warning("%s can be written again", self._outbox.path)
        self._failing = False
        return True

    async def _try_later(self, fault: Backpressure) -> bool:
        if not self._failing:
            log.error("cannot write samples, they wait in memory: %s", fault)
        self._failing = True
        if self._finishing:
            self.dropped += len(self._queue)
            self._queue.clear()
            self.uncommitted = 0
            self._dating = None
            return False
        await asyncio.sleep(fault.retry_after_s)
        return True
