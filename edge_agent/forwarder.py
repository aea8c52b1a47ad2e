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
from messaging.receipt import Receipt, SeqRanges
from shopfloor.clock import Clock
from shopfloor.errors import Backpressure, ServiceUnavailable
from shopfloor.instant import Instant

log = logging.getLogger(__name__)

LIVE_SAMPLES: Final = 2_000
"""Unsent samples beyond this are a backlog: the newest, and what comes from then on, go first. So many are sent in a
moment."""
FRESH_SAMPLES: Final = 500
"""The newest of a backlog that go first."""
REPLAYED_SAMPLES: Final = 20_000
"""The same while time is made and not measured: order is then worth more than freshness."""
TRIM_S: Final = 5.0
"""What receipts settle is deleted together, this often: each deletion costs the card some pages. A kill before only
makes it be sent again."""
TRIM_SAMPLES: Final = 5_000
"""As many are deleted at once."""
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
        trim_s: float = TRIM_S,
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
        self._settling, self._settling_samples = SeqRanges(), 0
        self._trim_s, self._trimmed_ms, self._hurried = trim_s, -(10**9), False
        self._live: deque[Flight] = deque()
        self._backlog: deque[Flight] = deque()
        self._live_after = 0
        self._backlog_spans: deque[tuple[int, int]] = deque()
        if len(outbox) > live_samples:  # what this run appends does not wait for what earlier ones left
            self._live_after = outbox.last_seq
            self._backlog_spans.append((0, outbox.last_seq))
        self.ignored_receipts = 0
        """Receipts for another outbox, or for what was never sent."""
        self.receipt_ms: int | None = None
        """When a receipt was last taken, on the clock's ``mono_ms``."""

    @property
    def in_flight(self) -> int:
        """Messages that no receipt has covered yet."""
        return len(self._window)

    def notify(self) -> None:
        """There are new samples in the outbox."""
        self._wake.set()

    def receive(self, receipt: Receipt) -> None:
        """Take a receipt: what it settles is off the way now, and off the disk soon."""
        if not self._outbox.accepts(receipt):
            self._ignore(receipt)
            return
        self.receipt_ms = self._clock.mono_ms()
        covered = self._window.settle(receipt)
        if covered:
            self._unconfirmed.confirmed(covered)
        self._settling.merge(receipt.settled())
        self._settling_samples += covered.total()
        self._wake.set()

    def hurry(self) -> None:
        """From now on delete what is settled at once: somebody waits for an empty outbox."""
        self._hurried = True
        self._wake.set()

    async def run(self, link: Link) -> None:
        """Forward until cancelled. Raises OutboxError when the file is damaged."""
        while True:
            await link.wait_connected()  # without a timeout: there is nothing else to do while offline
            self._wake.clear()
            try:
                if self._trim_in_ms() == 0:
                    await self.trim()
                await self._give_up()
                busy = await self._send(link)
            except Backpressure as fault:  # the disk; the writer tells of it
                await asyncio.sleep(fault.retry_after_s)
                continue
            if not busy:
                await self._rest()

    async def trim(self) -> None:
        """Delete what is settled. Raises Backpressure, and forgets nothing then."""
        settling, count = self._settling, self._settling_samples
        if settling == SeqRanges():
            return
        self._settling, self._settling_samples = SeqRanges(), 0
        try:
            await self._disk.run(self._outbox.confirm, Receipt(self._outbox.outbox_id, settling.upto, settling.above))
        except Backpressure:
            self._settling.merge(settling)
            self._settling_samples += count
            raise
        self._trimmed_ms = self._clock.mono_ms()
        self._settled()

    def _trim_in_ms(self) -> int | None:
        """How long what is settled may still wait for its deletion; None when there is nothing."""
        if self._settling == SeqRanges():
            return None
        if self._hurried or self._settling_samples >= TRIM_SAMPLES:
            return 0
        return max(0, self._trimmed_ms + int(self._trim_s * 1000) - self._clock.mono_ms())

    async def _rest(self) -> None:
        """Until something has come, or a message is due again, or something is to be deleted."""
        due, trim = self._window.next_due_ms(), self._trim_in_ms()
        waits = [] if due is None else [max(0, due - self._clock.mono_ms())]
        waits += [] if trim is None else [trim]
        try:
            async with asyncio.timeout(min(waits) / 1000 if waits else None):
                await self._wake.wait()
        except TimeoutError:
            return

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
        return all(await asyncio.gather(*(self._publish(link, flight, floor) for flight in flights)))

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
            fresh = max(self._live_after, last - FRESH_SAMPLES)
            self._backlog_spans.append((self._live_after, fresh))
            self._live_after = fresh
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
        if not flight.samples:  # a receipt came between the round's beginning and its turn
            return True
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
