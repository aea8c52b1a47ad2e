"""*messages -> points*: delivery, batch, one acknowledged write, then the MQTT ack, then the receipt. In this order.

Nothing is confirmed before the historian (or the dead-letter file) has it on disk, so a kill at any line loses nothing:
what was not confirmed comes again, and writing it again changes nothing.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

from historian.historian import Historian
from historian.point import Point, Query
from historian.records import AgentWatermark, Dirty, dirty_point, sample_point, watermark_point
from historian.schema import Measurement
from ingest.batcher import gather
from ingest.dead_letters import DeadLetters
from ingest.ledger import AgentReports, IngestCounts, tally_points
from ingest.letter_log import LetterLog
from ingest.liveness import Liveness, OutboxWatch
from ingest.mapping import (
    DeadLetter,
    Judge,
    Judgement,
    Source,
    dirty_spans,
    refused_by_store,
    unreadable,
)
from ingest.receipts import MAX_SOURCES, ReceiptBook, ReceiptPublisher
from messaging.agent_state import decode_state
from messaging.client import Delivery, Message
from messaging.topic import agent_of_state
from shopfloor.clock import Clock
from shopfloor.errors import Backpressure, MessageRejected
from shopfloor.instant import MINUTE, Instant, floor_to
from shopfloor.plant import Plant

log = logging.getLogger(__name__)
T = TypeVar("T")

MAX_BATCH: Final = 5_000
"""Samples in one write."""
LINGER_S: Final = 0.02
"""How long a batch waits for company."""
BUSY_MESSAGES: Final = 100
"""After a batch of so many messages the next one waits ..."""
BUSY_LINGER_S: Final = 0.1
"""... so long: a write costs the same for few and for many."""
WRITERS: Final = 2
"""Batches under way at a time: one is judged and encoded while the store works on the other."""
PRESSED_MS: Final = 1_000
"""Samples that had to wait within this time are a press."""
MAX_OUTBOXES: Final = 64
"""Outboxes of one agent that a process keeps a ledger of: many changed cards, and no flood of invented ones."""
KEPT_RETRY_S: Final = 0.5
_LATEST_DIRTY: Final = Query(Measurement.DIRTY, descending=True, limit=1)


def _times_by_unit(judgements: Iterable[Judgement]) -> dict[str, list[Instant]]:
    """The source times of all good samples."""
    times: defaultdict[str, list[Instant]] = defaultdict(list)
    for judgement in judgements:
        for _, sample in judgement.good:
            times[sample.unit].append(sample.time)
    return times


def _within(places: Iterable[int], first: int, count: int) -> list[int]:
    return [place for place in places if first <= place < first + count]


class Port(Protocol):
    """The part of an ``MqttClient`` that the pipeline needs."""

    async def take(self, most: int) -> Sequence[Delivery]:
        """At least one and at most ``most`` messages to be acknowledged; none when no more will come.

        A call that is cancelled has taken nothing.
        """
        ...

    async def publish(self, message: Message) -> None:
        """Hand a message to the broker; raises ServiceUnavailable."""
        ...


class Arrival(NamedTuple):
    """A delivery with its verdict; None for what only shows that an agent lives."""

    delivery: Delivery
    judgement: Judgement | None

    @property
    def weight(self) -> int:
        """Its share of a batch."""
        return self.judgement.weight if self.judgement else 1

    @property
    def agent(self) -> str:
        """Whose topic it came on: every topic that we listen to ends in the agent's name."""
        return self.delivery.message.topic.rpartition("/")[2]


class Pipeline:
    """Brings messages into the historian until it is cancelled.

    ``on_dirty`` is told of each dirty interval once it is durable. What agents report of their ledgers is stored, too.
    While a store asks to wait (Backpressure) the same batch is tried again, and the rest waits unacknowledged.
    """

    def __init__(
        self,
        port: Port,
        historian: Historian,
        plant: Plant,
        clock: Clock,
        dead_letters: DeadLetters,
        *,
        on_dirty: Callable[[list[Dirty]], None] = lambda _: None,
        max_batch: int = MAX_BATCH,
        linger_s: float = LINGER_S,
    ) -> None:
        self._port = port
        self._historian = historian
        self._enterprise = plant.enterprise
        self._agents = frozenset(plant.agents)
        self._clock = clock
        self._letters = dead_letters
        self._on_dirty = on_dirty
        self._max_batch = max_batch
        self._linger_s = linger_s
        self._judge = Judge(plant)
        self._book = ReceiptBook()
        self._publisher = ReceiptPublisher(self._book, port.publish)
        self._watch = OutboxWatch()
        self._letter_log = LetterLog()
        self._oldest: dict[Source, Instant] = {}
        self._accounted: defaultdict[str, set[str]] = defaultdict(set)
        self._last_heard: tuple[Source, int] | None = None
        self._reports = AgentReports()
        self._stamp: Instant = 0
        self._served: set[str] | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(WRITERS)
        self._pressed_ms = -PRESSED_MS
        self.newest: dict[str, Instant] = {}
        """Unit -> source time of the newest sample that this process stored."""
        self.counts = IngestCounts()
        """What was handled so far."""
        self.liveness = Liveness()
        """When each agent was last heard."""

    def watermark(self, agent: str) -> Instant | None:
        """The oldest source time that the agent may still hold, as its outboxes told this process; None: unknown."""
        return min((oldest for source, oldest in self._oldest.items() if source.agent == agent), default=None)

    async def run(self) -> None:
        """Work for ever (or to the end of the deliveries). Raises ServiceUnavailable when a store needs a person."""
        receipts = asyncio.create_task(self._publisher.run(), name="receipts")
        consume = asyncio.create_task(self._consume(), name="ingest")
        try:
            done, _ = await asyncio.wait({receipts, consume}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (receipts, consume):
                task.cancel()
            await asyncio.gather(receipts, consume, return_exceptions=True)

    def pressed(self) -> bool:
        """Whether samples had to wait just now, as many batches being under way as may be."""
        return self._clock.mono_ms() - self._pressed_ms < PRESSED_MS

    def serve_none(self) -> None:
        """Take the messages of no agents but those that ``serve`` names. Without this call: of all."""
        self._served = set()

    async def serve(self, agent: str) -> None:
        """Take this agent's messages from now on."""
        await self._go_on_from_what_is_stored()
        if self._served is not None:
            self._served.add(agent)

    async def leave(self, agent: str) -> None:
        """Take this agent's messages no more; returns when none of them is being stored."""
        if self._served is not None:
            self._served.discard(agent)
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _go_on_from_what_is_stored(self) -> None:
        latest = await self._insist(lambda: self._historian.read(_LATEST_DIRTY))
        self._stamp = max([self._stamp, *(point.time for point in latest)])

    async def _consume(self) -> None:
        await self._go_on_from_what_is_stored()
        slots = self._slots
        busy = False
        async with asyncio.TaskGroup() as writing:
            while True:
                if slots.locked():
                    self._pressed_ms = self._clock.mono_ms()
                await slots.acquire()
                linger_s = max(self._linger_s, BUSY_LINGER_S) if busy else self._linger_s
                batch = await gather(self._arrivals, lambda one: one.weight, limit=self._max_batch, linger_s=linger_s)
                if not batch:
                    return
                busy = len(batch) >= BUSY_MESSAGES
                task = writing.create_task(self._handle(batch), name="batch")
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
                task.add_done_callback(lambda _: slots.release())

    async def _arrivals(self, most: int) -> Sequence[Arrival]:
        deliveries = await self._port.take(most)
        now, mono_ms = self._clock.now(), self._clock.mono_ms()
        return [Arrival(delivery, self._judged(delivery.message, now, mono_ms)) for delivery in deliveries]

    # ------------------------------------------------------------ one message

    def _judged(self, message: Message, now: Instant, mono_ms: int) -> Judgement | None:
        agent = agent_of_state(message.topic)
        if agent is not None:
            return self._hear_state(agent, message)
        judgement = self._judge.judge(message.topic, message.payload, now)
        self.counts.messages += 1
        self.counts.samples += judgement.weight
        if judgement.source is not None:
            self._hear_samples(judgement.source, mono_ms)
        return judgement

    def _hear_state(self, agent: str, message: Message) -> Judgement | None:
        """Note what an agent says of itself; a verdict only on what cannot be read."""
        if not message.retain:  # what the broker had kept says nothing about now
            self.liveness.heard(agent, self._clock.mono_ms())
        try:
            told = decode_state(message.payload)
        except MessageRejected as fault:
            return unreadable(message.topic, message.payload, fault, self._clock.now())
        if told.agent == agent:
            self._reports.hear(told, self._clock.now(), kept=message.retain)
        return None

    def _hear_samples(self, source: Source, mono_ms: int) -> None:
        if self._last_heard == (source, mono_ms):
            return
        self._last_heard = source, mono_ms
        self.liveness.heard(source.agent, mono_ms)
        rivals = self._watch.rivals(source, mono_ms)
        if rivals is not None:
            log.error(
                "two outboxes are alive as agent %s (%s, %s); both are stored. Two machines run as %s: give each agent "
                "its own name in the plant file",
                source.agent,
                *rivals,
                source.agent,
            )

    # ------------------------------------------------------------ one batch

    async def _handle(self, arrivals: Sequence[Arrival]) -> None:
        batch = [arrival for arrival in arrivals if self._serves(arrival)]
        if len(batch) < len(arrivals):
            self._pass_over(arrivals)
        judgements = [arrival.judgement for arrival in batch if arrival.judgement is not None]
        await self._bury([letter for judgement in judgements for letter in judgement.letters])
        times = _times_by_unit(judgements)
        dirty = await self._store(judgements, times)
        for arrival in batch:
            arrival.delivery.ack()
        self._confirm(judgements)
        self._note_newest(times)
        if dirty:
            self._on_dirty(dirty)

    def _serves(self, arrival: Arrival) -> bool:
        return self._served is None or arrival.agent in self._served

    def _pass_over(self, arrivals: Iterable[Arrival]) -> None:
        """Another process has taken these agents over: they send again, to it, what no receipt covers."""
        for arrival in arrivals:
            if not self._serves(arrival):
                self.counts.passed_over += 1
                arrival.delivery.ack()

    async def _store(self, judgements: Sequence[Judgement], times: Mapping[str, Sequence[Instant]]) -> list[Dirty]:
        """Write all good samples with the intervals they make dirty; returns those once everything has a verdict."""
        good = [sequenced for judgement in judgements for sequenced in judgement.good]
        dirty = self._dirty(times)
        rejected = await self._write(
            [
                *(dirty_point(self._enterprise, interval) for interval in dirty),
                *(sample_point(self._enterprise, sequenced.sample) for sequenced in good),
                *await self._watermarks(judgements),
                *self._reports.take(),
                *await self._tallies(),
            ]
        )
        refused = {place - len(dirty): rejected.pop(place) for place in _within(rejected, len(dirty), len(good))}
        if rejected:
            raise RuntimeError(f"the historian refuses our own book-keeping: {next(iter(rejected.values()))}")
        if refused:
            await self._bury_refused(judgements, refused)
        await self._unbury(judgements, refused.keys())
        return dirty

    async def _bury_refused(self, judgements: Iterable[Judgement], refused: Mapping[int, str]) -> None:
        """What the store will never take, by the place of a sample among all good ones."""
        now = self._clock.now()
        pairs = [(judgement, sequenced) for judgement in judgements for sequenced in judgement.good]
        await self._bury([refused_by_store(*pairs[place], reason, now) for place, reason in refused.items()])

    async def _write(self, points: Sequence[Point]) -> dict[int, str]:
        """Write until every point has a verdict; returns the rejected ones by index."""
        rejected: dict[int, str] = {}
        left = list(range(len(points)))
        while left:
            some = [points[index] for index in left]
            report = await self._insist(lambda some=some: self._historian.write(some))  # type: ignore[misc]
            rejected |= {left[index]: reason for index, reason in report.rejected.items()}
            kept = report.kept(len(left))
            if len(kept) == len(left):
                await asyncio.sleep(KEPT_RETRY_S)
            left = [left[index] for index in kept]
        return rejected

    async def _bury(self, letters: Sequence[DeadLetter]) -> None:
        if not letters:
            return
        fresh = await self._insist(lambda: self._letters.add(letters))
        self._letter_log.note(fresh)
        for letter in fresh:
            self.counts.dead_letters += 1
            self.counts.rejected += letter.seq is not None
            self.counts.by_reason[letter.reason] += 1

    async def _unbury(self, judgements: Iterable[Judgement], refused: Collection[int]) -> None:
        """A sample that was refused before and is stored now is no longer a dead letter: the ledger counts it once."""
        names = [(judgement.source, one.seq) for judgement in judgements if judgement.source for one in judgement.good]
        stored = [name for place, name in enumerate(names) if place not in refused] if refused else names
        self.counts.stored += len(stored)
        if stored:
            self.counts.rejected -= await self._insist(lambda: self._letters.withdraw(stored))

    async def _insist(self, call: Callable[[], T]) -> T:
        """Run a blocking call in a thread, again and again while the store asks to wait."""
        waiting = False
        while True:
            try:
                result = await asyncio.to_thread(call)
            except Backpressure as fault:
                self.counts.backpressure += 1
                if not waiting:
                    log.warning("%s; keeping the batch and trying again", fault)
                waiting = True
                await asyncio.sleep(fault.retry_after_s)
            else:
                if waiting:
                    log.warning("the store takes data again")
                return result

    def _confirm(self, judgements: Iterable[Judgement]) -> None:
        settled: defaultdict[Source, list[int]] = defaultdict(list)
        low: dict[Source, int] = {}
        for judgement in judgements:
            if (source := judgement.source) is not None:
                settled[source].extend(judgement.settled)
                low[source] = max(judgement.low, low.get(source, 0))
        for source, seqs in settled.items():
            self._book.settle(source, low[source], seqs)
            self._publisher.owe(source)

    def _note_newest(self, times: Mapping[str, Sequence[Instant]]) -> None:
        for unit, own in times.items():
            self.newest[unit] = max(self.newest.get(unit, 0), *own)

    # ------------------------------------------------------------ what goes beside the samples

    def _dirty(self, times: Mapping[str, Sequence[Instant]]) -> list[Dirty]:
        return [Dirty(unit, self._next_stamp(), *span) for unit, own in times.items() for span in dirty_spans(own)]

    def _next_stamp(self) -> Instant:
        """An identity: later than any before, those of earlier processes included, whatever the clock says."""
        self._stamp = max(self._stamp + 1, self._clock.now())
        return self._stamp

    async def _watermarks(self, judgements: Iterable[Judgement]) -> list[Point]:
        """How far each outbox of the batch has come: one point per outbox and minute, the newest stands."""
        told: dict[Source, Instant] = {}
        for judgement in judgements:
            source, oldest = judgement.source, judgement.oldest_t
            if source is not None and oldest is not None and oldest > told.get(source, -1):
                told[source] = oldest
        if len(self._oldest) > MAX_SOURCES:
            self._oldest.clear()
        seen = {
            source: max(oldest, self._oldest.get(source, 0))
            for source, oldest in told.items()
            if self._accounts(source)
        }
        self._oldest |= seen
        now = self._clock.now()
        return [
            watermark_point(
                AgentWatermark(*source, floor_to(now, MINUTE), oldest, await self._rejected(source), heard=now)
            )
            for source, oldest in seen.items()
        ]

    def _accounts(self, source: Source) -> bool:
        """Whether this outbox has a place in the ledger. An outbox id is a tag there, and anybody with an agent's
        password can make up as many as he likes."""
        known = self._accounted[source.agent]
        if source.outbox not in known and len(known) < MAX_OUTBOXES:
            known.add(source.outbox)
        elif source.outbox not in known and len(known) == MAX_OUTBOXES:
            log.error("agent %s has told of %d outboxes; further ones get no ledger", source.agent, MAX_OUTBOXES)
            known.add("")  # told once
        return source.outbox in known

    async def _tallies(self) -> list[Point]:
        """The dead letters of outboxes where they have changed."""
        return tally_points(await self._insist(lambda: self._letters.take_tallies(self._agents)), self._clock.now())

    async def _rejected(self, source: Source) -> int:
        return await self._insist(lambda: self._letters.rejected(source.agent, source.outbox))
