"""Outbox -> messages: sends what the outbox holds, trims it by receipts alone, and never stops trying.

Live samples go first; what has piled up is paced beside them in at most half of the credit window.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Protocol

from edge_agent.disk_thread import DiskThread
from edge_agent.outbox import Floor, Outbox
from edge_agent.unconfirmed import Unconfirmed
from edge_agent.window import CreditWindow, Flight, batches
from messaging.client import Message
from messaging.payload import SampleMessage, Sequenced, encode
from messaging.receipt import Receipt
from shopfloor.clock import Clock
from shopfloor.errors import Backpressure, ServiceUnavailable
from shopfloor.instant import Instant

log = logging.getLogger(__name__)

LIVE_SAMPLES: Final = 20_000
"""Unsent samples beyond this are a backlog: the newest then go first."""
CHUNK: Final = 2_000
"""Samples read from the outbox at a time."""


class Link(Protocol):
    """The way to the broker."""

    async def wait_connected(self, timeout_s: float | None = None) -> None:
        """Return once connected."""
        ...

    async def publish(self, message: Message) -> None:
        """Hand over one message; raises ServiceUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends: the same in every message of a boot."""

    agent: str
    boot: str
    topic_of: Callable[[str], str]
    """Unit path -> topic."""


class Forwarder:
    """Sends the outbox's samples under a credit window. ``settled`` is called whenever the outbox has shrunk."""

    def __init__(
        self,
        outbox: Outbox,
        disk: DiskThread,
        sender: Sender,
        clock: Clock,
        settled: Callable[[], None],
        *,
        window: CreditWindow | None = None,
        unfinished: Callable[[], Instant | None] = lambda: None,
        live_samples: int = LIVE_SAMPLES,
    ) -> None:
        """``unfinished`` tells the oldest source time that is on its way into the outbox; ``live_samples`` is how many
        unsent samples are no backlog yet."""
        self._outbox, self._disk, self._sender, self._clock = outbox, disk, sender, clock
        self._settled = settled
        self._unfinished = unfinished
        self._live_samples = live_samples
        self._window = CreditWindow() if window is None else window
        self._unconfirmed = Unconfirmed(sender.agent)
        self._wake = asyncio.Event()
        self._receipts: deque[Receipt] = deque()
        self._live: deque[Flight] = deque()
        self._backlog: deque[Flight] = deque()
        self._live_after = 0
        self._backlog_spans: deque[tuple[int, int]] = deque()
        self.ignored_receipts = 0
        """Receipts for another outbox, or for more than was sent."""

    def notify(self) -> None:
        """There are new samples in the outbox."""
        self._wake.set()

    def receive(self, receipt: Receipt) -> None:
        """Take a receipt; it is worked off by ``run``."""
        self._receipts.append(receipt)
        self._wake.set()

    async def run(self, link: Link) -> None:
        """Forward until cancelled. Raises OutboxError when the file is damaged."""
        while True:
            await link.wait_connected()  # without a timeout: there is nothing else to do while offline
            self._wake.clear()
            try:
                await self._settle()
                await self._give_up()
                busy = await self._send(link)
            except Backpressure as fault:  # the disk; the writer tells of it
                await asyncio.sleep(fault.retry_after_s)
                continue
            if not busy:
                await self._rest()

    async def _rest(self) -> None:
        """Until something has come, or a message is due again."""
        due = self._window.next_due_ms()
        pause = None if due is None else max(0, due - self._clock.mono_ms()) / 1000
        try:
            async with asyncio.timeout(pause):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _settle(self) -> None:
        while self._receipts:
            receipt = self._receipts[0]
            if self._outbox.accepts(receipt):
                await self._disk.run(self._outbox.confirm, receipt)
                self._window.settle(receipt)
                self._unconfirmed.confirmed()
                self._settled()
            else:
                self._ignore(receipt)
            self._receipts.popleft()

    def _ignore(self, receipt: Receipt) -> None:
        self.ignored_receipts += 1
        if self.ignored_receipts == 1:
            log.warning(
                "ignoring a receipt for outbox %s up to %d: this outbox is %s, sent up to %d",
                receipt.outbox,
                receipt.upto,
                self._outbox.outbox_id,
                self._outbox.sent_upto,
            )

    async def _give_up(self) -> None:
        for flight in self._window.struck_out():
            cause = f"no receipt after {flight.sends} sends, while later ones were settled"
            log.error("%d samples of %s set aside: %s", len(flight.samples), flight.samples[0].sample.unit, cause)
            await self._disk.run(self._outbox.dead_letter, [stored.seq for stored in flight.samples], cause)
            self._window.drop(flight)
            self._settled()

    async def _send(self, link: Link) -> bool:
        """One round: what is overdue, or live, or backlog, as far as there is credit. False when all rests or fails."""
        flights = self._window.overdue(self._clock.mono_ms()) or await self._next_flights()
        if not flights:
            return False
        floor = await self._floor()
        self._dequeue(flights)
        return all(await asyncio.gather(*(self._publish(link, flight, floor) for flight in flights if flight.samples)))

    async def _floor(self) -> Floor:
        """What is held, samples included that are not in the outbox yet: they are asked first, since they move on."""
        unfinished = self._unfinished()
        floor = await self._disk.run(self._outbox.floor)
        known = [time for time in (unfinished, floor.oldest) if time is not None]
        return replace(floor, oldest=min(known, default=None))

    async def _next_flights(self) -> list[Flight]:
        """New flights as far as there is credit, in their queue until ``_dequeue``: the disk may still fail."""
        await self._refill()
        for queue, backlog in ((self._live, False), (self._backlog, True)):
            flights = list(islice(queue, max(0, self._window.credit(backlog=backlog))))
            if flights:
                await self._disk.run(self._launch, flights)
                return flights
        return []

    def _launch(self, flights: Iterable[Flight]) -> None:
        """Leave out what was evicted while it waited."""
        for flight in flights:
            flight.samples = self._outbox.launch(flight.samples)

    def _dequeue(self, flights: Sequence[Flight]) -> None:
        for queue in (self._live, self._backlog):
            while queue and queue[0] in flights:
                queue.popleft()

    async def _refill(self) -> None:
        last = self._outbox.last_seq
        if last - self._live_after > self._live_samples:
            self._backlog_spans.append((self._live_after, last))
            self._live_after = last
        if not self._live and last > self._live_after and self._window.credit(backlog=False):
            self._live.extend(await self._read(self._live_after, last, backlog=False))
        if not self._backlog and self._backlog_spans and self._window.credit(backlog=True) > 0:
            self._backlog.extend(await self._read(*self._backlog_spans[0], backlog=True))

    async def _read(self, after: int, upto: int, *, backlog: bool) -> list[Flight]:
        """The next chunk of (after, upto] as flights; remembers where to go on."""
        stored = await self._disk.run(self._outbox.pending, after, CHUNK, upto)
        end = stored[-1].seq if len(stored) == CHUNK else upto
        if not backlog:
            self._live_after = end
        elif end < upto:
            self._backlog_spans[0] = (end, upto)
        else:
            self._backlog_spans.popleft()
        return batches(stored, backlog=backlog)

    async def _publish(self, link: Link, flight: Flight, floor: Floor) -> bool:
        now = self._clock.mono_ms()
        self._window.send(flight, now)
        first = flight.samples[0]
        message = SampleMessage(
            agent=self._sender.agent,
            outbox=self._outbox.outbox_id,
            boot=self._sender.boot,
            clock=first.trust,
            mono_ms=now,
            low=floor.low,
            oldest_t=first.sample.time if floor.oldest is None else floor.oldest,
            samples=tuple(Sequenced(stored.seq, stored.sample) for stored in flight.samples),
        )
        try:
            await link.publish(Message(self._sender.topic_of(first.sample.unit), encode(message)))
        except ServiceUnavailable:
            self._window.failed(flight, now)
            return False
        self._unconfirmed.taken(first.sample.unit, flight)
        return True
