"""The order of the promises: disk, MQTT ack, receipt. The broker is a list here, in tests/integration a real one."""

import asyncio
import json
import threading
from collections import deque
from contextlib import asynccontextmanager

import pytest

from historian.point import Query, WriteReport
from historian.records import point_dirty, point_sample, point_watermark, unit_query
from historian.schema import Measurement
from ingest.ledger import stored_samples
from ingest.mapping import Refusal
from ingest.pipeline import MAX_OUTBOXES, Pipeline
from kpi_api.store import Store
from messaging.agent_state import BAD_STATE, AgentState, EdgeLedger, encode_state
from messaging.client import Delivery, Message
from messaging.payload import Fault
from messaging.receipt import Receipt, decode_receipt
from shopfloor.clock import CatchUpClock, SystemClock
from shopfloor.errors import Backpressure
from shopfloor.instant import HOUR

AGENT = "edge-ceper-1"
UNIT = "ceper/machining/line-1/cnc-01"
NOON = 1_763_830_000_000
PATIENCE_S = 30
WRONG = {"seq": 8, "t": NOON, "v": {"state": "on"}}


class Line:
    """Both directions of a broker's connection, in memory."""

    def __init__(self):
        self.incoming = asyncio.Queue()
        self.log = []
        self.told = asyncio.Condition()

    def send(self, *messages):
        for message in messages:
            self.incoming.put_nowait(Delivery(message, lambda: self.log.append("ack")))

    async def take(self, most):
        first = await self.incoming.get()
        return [first, *(self.incoming.get_nowait() for _ in range(min(most - 1, self.incoming.qsize())))]

    async def publish(self, message):
        async with self.told:
            self.log.append(decode_receipt(message.payload))
            self.told.notify_all()

    @property
    def receipts(self):
        return [entry for entry in self.log if isinstance(entry, Receipt)]

    async def receipt(self, wanted):
        async with self.told:
            await asyncio.wait_for(self.told.wait_for(lambda: wanted(self.receipts)), PATIENCE_S)
        return self.receipts[-1]


class Moody:
    """A real historian behind a door, which does first what it is told to."""

    def __init__(self, real):
        self.real = real
        self.moods = deque()
        self.asked = threading.Event()
        self.open = threading.Event()
        self.open.set()
        self.calls = []

    def write(self, points):
        self.asked.set()
        assert self.open.wait(PATIENCE_S)
        self.calls.append([point.measurement for point in points])
        mood = self.moods.popleft() if self.moods else self.real.write
        return mood(points)

    def read(self, query):
        return self.real.read(query)

    def count(self, query):
        return self.real.count(query)

    def close(self):
        pass


@pytest.fixture
def store(historian):
    return Moody(historian)


@pytest.fixture
def start(plant, dead_letters, store):
    @asynccontextmanager
    async def run(**options):
        line = Line()
        pipeline = Pipeline(line, store, plant, CatchUpClock(NOON + 60_000), dead_letters, **options)
        task = asyncio.create_task(pipeline.run())
        try:
            yield line, pipeline
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return run


def upto(seq):
    return lambda receipts: bool(receipts) and receipts[-1].upto >= seq


async def test_samples_are_stored_acknowledged_and_confirmed(start, store, say):
    async with start() as (line, pipeline):
        line.send(say(1, 2), say(3))
        assert await line.receipt(upto(3)) == Receipt("5f0c", 3)
    assert [sample.values["good"] for sample in map(point_sample, store.read(Query(Measurement.SAMPLES)))] == [1, 2, 3]
    assert line.log.count("ack") == 2
    assert (pipeline.counts.messages, pipeline.counts.samples, pipeline.counts.stored) == (2, 3, 3)


async def test_nothing_is_confirmed_before_the_historian_has_it(start, store, say):
    store.open.clear()
    async with start() as (line, _):
        line.send(say(1))
        assert await asyncio.to_thread(store.asked.wait, PATIENCE_S)
        assert line.log == []
        store.open.set()
        await line.receipt(upto(1))
        assert line.log == ["ack", Receipt("5f0c", 1)]


async def test_the_dirty_interval_is_written_with_the_samples_and_before_them(start, store, say):
    told = []
    async with start(on_dirty=told.extend) as (line, _):
        line.send(say(1, 2))
        await line.receipt(upto(2))
    assert store.calls[0] == ["dirty", "samples", "samples", "ledger"]
    [dirty] = [point_dirty(point) for point in store.read(Query(Measurement.DIRTY))]
    assert (dirty.unit, dirty.start, dirty.end, dirty.done) == (UNIT, NOON + 1_000, NOON + 2_001, False)
    assert told == [dirty]


async def test_dirty_stamps_never_repeat(start, store, say):
    told = []
    async with start(on_dirty=told.extend) as (line, _):
        line.send(say(1), say(2, unit="ceper/machining/line-1/cnc-02"))
        await line.receipt(upto(2))
        line.send(say(3))
        await line.receipt(upto(3))
    stamps = [dirty.stamp for dirty in told]
    assert stamps == sorted(set(stamps))


async def test_dirty_stamps_never_repeat_over_a_restart_under_a_clock_that_was_set_back(start, store, say):
    told = []
    for seq in (1, 2, 3):
        async with start(on_dirty=told.extend) as (line, _):
            line.send(say(seq), say(seq, unit="ceper/machining/line-1/cnc-02"))
            await line.receipt(upto(seq) if seq == 1 else bool)
    stamps = [dirty.stamp for dirty in told]
    assert stamps == sorted(set(stamps))
    assert len(store.read(Query(Measurement.DIRTY))) == len(told)


async def test_the_watermark_is_kept_beside_the_samples(start, store, say):
    async with start() as (line, _):
        line.send(say(1, oldest_t=NOON), say(2, oldest_t=NOON + 500), say(3, oldest_t=NOON + 100))
        await line.receipt(upto(3))
    [watermark] = [point_watermark(point) for point in store.read(Query(Measurement.LEDGER))]
    assert (watermark.agent, watermark.outbox, watermark.oldest_t) == (AGENT, "5f0c", NOON + 500)


async def test_a_busy_store_gets_the_same_batch_again(start, store, say):
    def busy(_):
        raise Backpressure("busy", 0.0)

    store.moods.extend([busy, busy])
    async with start() as (line, pipeline):
        line.send(say(1, 2))
        assert await line.receipt(upto(2)) == Receipt("5f0c", 2)
    assert store.calls[0] == store.calls[1] == store.calls[2]
    assert (pipeline.counts.backpressure, pipeline.counts.stored) == (2, 2)


async def test_what_the_store_kept_back_is_written_again_alone(start, store, say):
    def half(points):
        store.real.write(points[:2])
        return WriteReport(frozenset({0, 1}), {})

    store.moods.append(half)
    async with start() as (line, _):
        line.send(say(1, 2))
        await line.receipt(upto(2))
    assert store.calls == [["dirty", "samples", "samples", "ledger"], ["samples", "ledger"]]
    assert store.count(unit_query(Measurement.SAMPLES, "logam-jaya", UNIT)) == 2


async def test_what_the_store_will_never_take_is_a_dead_letter_and_settled(start, store, dead_letters, say):
    def picky(points):
        report = store.real.write([point for index, point in enumerate(points) if index != 2])
        assert not report.rejected
        return WriteReport(frozenset({0, 1, 3}), {2: "too round"})

    store.moods.append(picky)
    async with start() as (line, pipeline):
        line.send(say(1, 2))
        assert await line.receipt(upto(2)) == Receipt("5f0c", 2)
    [kept] = dead_letters.list()
    assert (kept.letter.seq, kept.letter.reason, kept.letter.detail) == (2, Refusal.REFUSED_BY_STORE, "too round")
    assert (pipeline.counts.stored, pipeline.counts.rejected) == (1, 1)


async def test_bad_samples_are_settled_beside_good_ones_and_counted_once(start, plant, store, dead_letters, say):
    async with start() as (line, pipeline):
        line.send(say(7, WRONG, 9, low=7), say(7, WRONG, 9, low=7))
        assert await line.receipt(lambda receipts: upto(9)(receipts) and pipeline.counts.messages == 2)
    assert dead_letters.rejected(AGENT) == 1
    assert stored_samples(store, plant, AGENT) == 2
    assert (pipeline.counts.rejected, pipeline.counts.by_reason) == (1, {Fault.WRONG_TYPE: 1})


async def test_a_message_that_nobody_can_read_is_kept_and_everything_else_goes_on(start, dead_letters, say):
    async with start() as (line, _):
        garbage = Message(say(1).topic, b'{"agent": ')
        line.send(garbage, say(1, topic="v1/nowhere/samples/x"), say(1))
        await line.receipt(upto(1))
    assert line.log.count("ack") == 3
    assert dead_letters.by_reason() == {Fault.NOT_JSON: 1, Fault.WRONG_TOPIC: 1}
    assert dead_letters.rejected(AGENT) == 0


async def test_a_sample_stored_after_all_is_no_dead_letter_any_more(start, plant, store, dead_letters, say):
    async with start() as (line, pipeline):
        line.send(say(1, 2, clock="unsynced"))
        await line.receipt(upto(2))
        line.send(say(1))
        await line.receipt(lambda _: pipeline.counts.stored == 1)
    assert (dead_letters.rejected(AGENT), stored_samples(store, plant, AGENT)) == (1, 1)


async def test_after_a_restart_nothing_is_claimed_that_was_not_seen_stored(start, say):
    async with start() as (line, _):
        line.send(say(1, 2, 3))
        await line.receipt(upto(3))
    async with start() as (line, _):
        line.send(say(3, low=2))
        assert await line.receipt(bool) == Receipt("5f0c", 1, ((3, 3),))


async def test_two_live_outboxes_are_both_stored_and_told_apart(start, plant, store, caplog, say):
    async with start() as (line, _):
        other = {"outbox": "a11e", "unit": "ceper/machining/line-1/cnc-02"}
        line.send(say(1), say(1, **other), say(2), say(2, **other))
        await line.receipt(lambda receipts: {("5f0c", 2), ("a11e", 2)} <= {(r.outbox, r.upto) for r in receipts})
    assert stored_samples(store, plant, AGENT) == 4
    assert len([record for record in caplog.records if "two outboxes" in record.message]) == 1


async def test_silence_is_measured_from_what_an_agent_says_now(start, say):
    states = [
        Message(f"v1/agents/{agent}", encode_state(AgentState(agent=agent, state="online", outbox="a", boot="b")), kept)
        for agent, kept in (("edge-2", True), ("edge-3", False))
    ]
    async with start() as (line, pipeline):
        line.send(*states, say(1))
        await line.receipt(upto(1))
    heard = [agent for agent in (AGENT, "edge-2", "edge-3") if pipeline.liveness.silence_ms(agent, 10**9) is not None]
    assert heard == [AGENT, "edge-3"]
    assert pipeline.counts.messages == 1
    assert line.log.count("ack") == 3


async def test_the_edges_side_of_the_ledger_rests_in_the_store(start, plant, store, say):
    ledger = EdgeLedger(polled=3, appended=2, confirmed=1, in_outbox=1, evicted=0)
    told = AgentState(agent=AGENT, state="online", outbox="5f0c", boot="b7e1", ledger=ledger)
    async with start() as (line, _):
        line.send(Message(f"v1/agents/{AGENT}", encode_state(told)), say(1))
        await line.receipt(upto(1))
    (counts,) = Store(plant, store, SystemClock()).ledger().agents.values()
    assert (counts.polled, counts.appended, counts.confirmed, counts.in_outbox) == (3, 2, 1, 1)
    assert counts.stored == stored_samples(store, plant, AGENT) == 1


@pytest.mark.parametrize("outbox", ["", "a\\b", "back\\", "new\nline", "x" * 65])
async def test_a_state_that_cannot_be_stored_is_a_dead_letter_and_everything_else_goes_on(
    start, dead_letters, say, outbox
):
    ledger = EdgeLedger(polled=3, appended=2, confirmed=1, in_outbox=1, evicted=0)
    told = AgentState(agent=AGENT, state="online", outbox=outbox, boot="b7e1", ledger=ledger)
    async with start() as (line, _):
        line.send(Message(f"v1/agents/{AGENT}", encode_state(told)), Message(f"v1/agents/{AGENT}", b"{"), say(1))
        await line.receipt(upto(1))
    assert dead_letters.by_reason() == {BAD_STATE: 2}
    assert line.log.count("ack") == 3


async def test_dead_letters_reach_the_ledger_by_cause_with_the_agents_own_word(start, plant, store, say):
    """Were they told later, the agent's confirmed samples would look lost for a while."""
    ledger = EdgeLedger(polled=3, appended=3, confirmed=3, in_outbox=0, evicted=0)
    state = AgentState(agent=AGENT, state="online", outbox="5f0c", boot="b7e1", ledger=ledger)
    report = Message(f"v1/agents/{AGENT}", encode_state(state))
    async with start() as (line, pipeline):
        line.send(say(1, WRONG, {"seq": 3, "t": NOON + 3 * HOUR, "v": {"state": 1}}), Message("v1/x", b"{"))
        await line.receipt(lambda _: pipeline.counts.dead_letters == 3)
        line.send(report, say(4))
        await line.receipt(lambda _: pipeline.counts.stored == 2)
    answer = Store(plant, store, CatchUpClock(NOON + 60_000)).ledger()
    counts, account = answer.agents[AGENT], answer.accounts[AGENT]
    assert (counts.confirmed, counts.stored, counts.rejected) == (3, 2, 2)
    assert account.dead_letters == {Refusal.FUTURE_TIME: 1, Fault.WRONG_TYPE: 1}
    assert (answer.unclaimed, answer.dead_letters) == ({Fault.WRONG_TOPIC: 1}, 3)
    assert account.heard == NOON + 60_000


@pytest.mark.parametrize("count", [-1, 2**53 + 1, 10**400])
async def test_a_count_that_nobody_can_have_is_a_dead_letter(start, dead_letters, say, count):
    ledger = {"polled": count, "appended": 2, "confirmed": 1, "in_outbox": 1, "evicted": 0}
    state = {"agent": AGENT, "state": "online", "outbox": "5f0c", "boot": "b7e1", "ledger": ledger}
    async with start() as (line, _):
        line.send(Message(f"v1/agents/{AGENT}", json.dumps(state).encode()), say(1))
        await line.receipt(upto(1))
    assert dead_letters.by_reason() == {BAD_STATE: 1}


async def test_invented_outboxes_are_stored_and_get_no_ledger_beyond_a_bound(start, plant, store, caplog, say):
    async with start() as (line, pipeline):
        for number in range(MAX_OUTBOXES + 6):
            line.send(say(number + 1, outbox=f"x{number}"))
        await line.receipt(lambda _: pipeline.counts.stored == MAX_OUTBOXES + 6)
    assert len({point.tags["outbox"] for point in store.read(Query(Measurement.LEDGER))}) == MAX_OUTBOXES
    assert len([record for record in caplog.records if "further ones get no ledger" in record.message]) == 1
    assert stored_samples(store, plant, AGENT) == MAX_OUTBOXES + 6
