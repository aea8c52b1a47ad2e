import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.disk_thread import DiskThread
from edge_agent.forwarder import CHUNK, Forwarder, Sender
from edge_agent.outbox import Outbox
from edge_agent.window import CreditWindow
from messaging.client import Message
from messaging.payload import SampleMessage, decode
from messaging.receipt import Receipt, SeqRanges
from messaging.topic import SampleTopic
from shopfloor.clock import SystemClock
from shopfloor.equipment import EquipmentPath
from shopfloor.errors import Backpressure, ServiceUnavailable
from shopfloor.instant import Instant
from shopfloor.sample import Sample

UNIT = "s/a/l/u"
PATIENT_S = 60.0
LIVE_SAMPLES = 20_000


class Line:
    """A link in memory: what was published, and receipts for it."""

    def __init__(self) -> None:
        self.up = asyncio.Event()
        self.up.set()
        self.messages: list[SampleMessage] = []
        self.received = SeqRanges([(0, 0)])
        self.on_message: Callable[[SampleMessage], None] = lambda _: None
        self.changed = asyncio.Event()

    async def wait_connected(self, timeout_s: float | None = None) -> None:
        await self.up.wait()

    async def publish(self, message: Message) -> None:
        if not self.up.is_set():
            raise ServiceUnavailable("down")
        found = decode(SampleTopic.parse(message.topic), message.payload).message
        self.messages.append(found)
        self.received.merge(SeqRanges((seq, seq) for seq in seqs(found)))
        self.on_message(found)
        self.changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENT_S):
            while not holds():
                self.changed.clear()
                await self.changed.wait()


def seqs(message: SampleMessage) -> list[int]:
    return [seq for seq, _ in message.samples]


def samples(first: int, last: int) -> list[Sample]:
    return [Sample(unit=UNIT, time=time, values={"good": time}) for time in range(first, last + 1)]


@asynccontextmanager
async def forwarding(
    box: Outbox, line: Line, window: CreditWindow, unfinished: Callable[[], Instant | None] = lambda: None
) -> AsyncIterator[Forwarder]:
    disk = DiskThread()
    topic = str(SampleTopic(EquipmentPath.parse("works", UNIT), "edge-1"))
    sender = Sender("edge-1", "boot", lambda _: topic)
    forwarder = Forwarder(
        box,
        disk,
        sender,
        SystemClock(),
        line.changed.set,
        window=window,
        unfinished=unfinished,
        live_samples=LIVE_SAMPLES,
        trim_s=0.0,
    )
    task = asyncio.create_task(forwarder.run(line), name="forwarder")
    try:
        yield forwarder
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        disk.close()
        box.close()


async def test_no_more_than_the_window_is_sent_without_a_receipt(tmp_path: Path) -> None:
    box, line = Outbox(tmp_path / "o.db", max_samples=100_000), Line()
    box.append(samples(1, 5_000))
    async with forwarding(box, line, CreditWindow(3)) as forwarder:
        await line.until(lambda: len(line.messages) == 3)
        assert [seqs(message)[0] for message in line.messages] == [1, 501, 1_001]
        assert {message.low for message in line.messages} == {1}
        forwarder.receive(Receipt(box.outbox_id, 500))
        await line.until(lambda: len(line.messages) == 4)
        assert line.messages[3].low == 501
        assert line.messages[3].oldest_t == 501
        assert len(box) == 4_500


async def test_what_no_receipt_covers_is_sent_again_and_nothing_else(tmp_path: Path) -> None:
    box, line = Outbox(tmp_path / "o.db", max_samples=100_000), Line()
    box.append(samples(1, 10))
    async with forwarding(box, line, CreditWindow(4, first_pause_ms=1)) as forwarder:
        await line.until(lambda: len(line.messages) == 1)
        forwarder.receive(Receipt(box.outbox_id, 2, ((4, 9),)))
        await line.until(lambda: seqs(line.messages[-1]) == [3, 10])
        assert line.messages[-1].low == 3
        forwarder.receive(Receipt(box.outbox_id, 10))
        await line.until(lambda: len(box) == 0)


async def test_a_receipt_that_comes_in_the_middle_of_a_round_takes_from_it_what_it_covers(tmp_path: Path) -> None:
    box, line = Outbox(tmp_path / "o.db", max_samples=100_000), Line()
    box.append(samples(1, 1_500))
    async with forwarding(box, line, CreditWindow(4, first_pause_ms=1)) as forwarder:
        await line.until(lambda: len(line.messages) >= 3)
        line.on_message = lambda _: forwarder.receive(Receipt(box.outbox_id, 1_500))  # at the first of three resends
        await line.until(lambda: len(box) == 0)
        line.on_message = lambda message: forwarder.receive(Receipt(box.outbox_id, seqs(message)[-1]))
        box.append(samples(1_501, 1_510))
        forwarder.notify()
        await line.until(lambda: len(box) == 0)


async def test_it_stops_while_the_link_is_down_and_goes_on_by_itself(tmp_path: Path) -> None:
    box, line = Outbox(tmp_path / "o.db", max_samples=100_000), Line()
    line.up.clear()
    box.append(samples(1, 10))
    async with forwarding(box, line, CreditWindow(4)) as forwarder:
        line.on_message = lambda message: forwarder.receive(Receipt(box.outbox_id, seqs(message)[-1]))
        line.up.set()
        await line.until(lambda: len(box) == 0)
        line.up.clear()
        box.append(samples(11, 20))
        forwarder.notify()
        assert len(box) == 10
        line.up.set()
        await line.until(lambda: len(box) == 0)
    assert box.last_seq == 20


async def test_live_samples_overtake_a_backlog_that_has_half_of_the_window(tmp_path: Path) -> None:
    box, line = Outbox(tmp_path / "o.db", max_samples=100_000), Line()
    async with forwarding(box, line, CreditWindow(4)) as forwarder:
        box.append(samples(1, LIVE_SAMPLES + 5_000))
        forwarder.notify()
        await line.until(lambda: len(line.messages) == 3)
        box.append(samples(LIVE_SAMPLES + 5_001, LIVE_SAMPLES + 5_001))
        forwarder.notify()
        await line.until(lambda: len(line.messages) == 4)
        firsts = [seqs(message)[0] for message in line.messages]
        assert firsts == [LIVE_SAMPLES + 4_501, 1, 501, LIVE_SAMPLES + 5_001]
        line.on_message = lambda _: forwarder.receive(everything(box, line))
        forwarder.receive(everything(box, line))
        await line.until(lambda: len(box) == 0)


def everything(box: Outbox, line: Line) -> Receipt:
    return Receipt.of(box.outbox_id, line.received)


async def test_a_sample_that_is_never_confirmed_is_set_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    box, line = Outbox(tmp_path / "o.db", max_samples=100_000), Line()
    box.append(samples(1, 3))
    async with forwarding(box, line, CreditWindow(8, first_pause_ms=1)) as forwarder:

        def refuse_2(message: SampleMessage) -> None:
            forwarder.receive(Receipt(box.outbox_id, 1, tuple((seq, seq) for seq in seqs(message) if seq > 2)))
            if not box.dead_letters():
                box.append(samples(box.last_seq + 1, box.last_seq + 1))
                forwarder.notify()

        line.on_message = refuse_2
        await line.until(lambda: len(box.dead_letters()) == 1)
        line.on_message = lambda _: forwarder.receive(Receipt(box.outbox_id, box.last_seq))
        forwarder.receive(Receipt(box.outbox_id, 1))
        counts = box.counts()
        assert [(stored.seq, cause.partition(" ")[0]) for stored, cause in box.dead_letters()] == [(2, "no")]
        assert counts.evicted == 1
        assert counts.appended == counts.confirmed + counts.in_outbox + counts.evicted


@pytest.mark.parametrize("call", ["floor", "pending", "launch", "confirm"])
async def test_a_disk_that_fails_now_and_then_makes_it_forget_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    box, line = Outbox(tmp_path / "o.db", max_samples=100_000), Line()
    box.append(samples(1, LIVE_SAMPLES + 5_000))
    calls, real = itertools.count(), getattr(box, call)

    def moody(*args: object) -> object:
        if next(calls) % 7 == 0:
            raise Backpressure("the disk is away", 0.0)
        return real(*args)

    monkeypatch.setattr(box, call, moody)
    async with forwarding(box, line, CreditWindow(8)) as forwarder:
        line.on_message = lambda _: forwarder.receive(everything(box, line))
        await line.until(lambda: len(box) == 0)
    assert line.received == SeqRanges([(0, LIVE_SAMPLES + 5_000)])


async def test_a_sample_that_cannot_be_set_aside_now_is_set_aside_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, line = Outbox(tmp_path / "o.db", max_samples=100), Line()
    box.append(samples(1, 1))
    real, fails = box.dead_letter, iter([Backpressure("the disk is away", 0.0)])

    def moody(seqs: list[int], cause: str) -> int:
        for fault in fails:
            raise fault
        return real(seqs, cause)

    monkeypatch.setattr(box, "dead_letter", moody)
    async with forwarding(box, line, CreditWindow(8, first_pause_ms=1)) as forwarder:

        def refuse_1(message: SampleMessage) -> None:
            forwarder.receive(Receipt(box.outbox_id, 0, tuple((seq, seq) for seq in seqs(message) if seq > 1)))
            if not box.dead_letters():
                box.append(samples(box.last_seq + 1, box.last_seq + 1))
                forwarder.notify()

        line.on_message = refuse_1
        await line.until(lambda: len(box.dead_letters()) == 1)


async def test_what_was_evicted_while_it_waited_for_credit_is_not_sent(tmp_path: Path) -> None:
    box, line = Outbox(tmp_path / "o.db", max_samples=1_000), Line()
    box.append(samples(1, 1_000))
    async with forwarding(box, line, CreditWindow(1)) as forwarder:
        await line.until(lambda: len(line.messages) == 1)
        box.append(samples(1_001, 1_400))
        line.on_message = lambda _: forwarder.receive(everything(box, line))
        forwarder.receive(everything(box, line))
        await line.until(lambda: len(box) == 0)
        counts = box.counts()
    assert line.received == SeqRanges([(0, 500), (901, 1_400)])
    assert (counts.confirmed, counts.evicted) == (1_000, 400)


async def test_the_watermark_waits_for_what_is_not_in_the_outbox_yet(tmp_path: Path) -> None:
    box, line = Outbox(tmp_path / "o.db", max_samples=100), Line()
    box.append(samples(8, 9))
    async with forwarding(box, line, CreditWindow(1), unfinished=lambda: 5):
        await line.until(lambda: len(line.messages) == 1)
    assert line.messages[0].oldest_t == 5


async def test_a_forged_receipt_is_counted_and_changes_nothing(tmp_path: Path) -> None:
    box, line = Outbox(tmp_path / "o.db", max_samples=100_000), Line()
    box.append(samples(1, LIVE_SAMPLES + 4_000))
    async with forwarding(box, line, CreditWindow(4)) as forwarder:
        await line.until(lambda: len(line.messages) == 2)  # half of the window: the rest is a backlog not sent yet
        box.append(samples(LIVE_SAMPLES + 4_001, LIVE_SAMPLES + 4_001))
        forwarder.notify()
        await line.until(lambda: len(line.messages) == 3)
        before = box.counts()
        last = LIVE_SAMPLES + 4_001
        for forged in (
            Receipt("another", 5),
            Receipt(box.outbox_id, last + 1),
            Receipt(box.outbox_id, 2**53),
            Receipt(box.outbox_id, last),  # sent, but not all below it
            Receipt(box.outbox_id, -1, ((1_001, 1_001),)),
            Receipt(box.outbox_id, 500, ((1_000, last),)),
        ):
            forwarder.receive(forged)
        assert forwarder.ignored_receipts == 6
        assert (box.counts(), forwarder.in_flight) == (before, 3)
        line.on_message = lambda _: forwarder.receive(everything(box, line))
        forwarder.receive(everything(box, line))
        await line.until(lambda: len(box) == 0)


async def test_receipts_that_never_come_fill_neither_memory_nor_the_broker(tmp_path: Path) -> None:
    box, line = Outbox(tmp_path / "o.db", max_samples=1_000_000), Line()
    box.append(samples(1, 60_000))
    async with forwarding(box, line, CreditWindow(8, first_pause_ms=1)) as forwarder:
        for number in range(1, 31):
            box.append(samples(60_000 + number, 60_000 + number))
            forwarder.notify()
            await asyncio.sleep(0.01)
        on_the_way = forwarder.in_flight
        waiting = sum(len(flight.samples) for queue in (forwarder._live, forwarder._backlog) for flight in queue)
        assert on_the_way == 8
        assert waiting <= 2 * CHUNK
        line.on_message = lambda _: forwarder.receive(everything(box, line))
        forwarder.receive(everything(box, line))
        await line.until(lambda: len(box) == 0)
    assert line.received == SeqRanges([(0, 60_030)])
