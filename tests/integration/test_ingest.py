"""The whole way from a real broker into a real store, with wrong input, a slow store, kills and restarts."""

import asyncio
import json
import os
import signal
import threading
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

import pytest

from historian.embedded import EmbeddedHistorian
from historian.point import Query
from historian.schema import Measurement
from ingest.dead_letters import DeadLetters
from ingest.ledger import stored_samples
from ingest.mapping import Refusal
from ingest.pipeline import Pipeline
from messaging.broker import start_broker
from messaging.client import Message, MqttClient
from messaging.payload import MAX_MESSAGE_BYTES, Fault
from messaging.receipt import Receipt, decode_receipt
from messaging.rights import INGEST
from messaging.topic import INGEST_SUBSCRIPTIONS, receipt_topic
from shopfloor.clock import CatchUpClock
from shopfloor.errors import ServiceUnavailable
from shopfloor.plant_file import load

AGENT = "edge-ceper-1"
UNIT = "ceper/machining/line-1/cnc-01"
NOON = 1_763_830_000_000
PATIENCE_S = 30
FAST = (1, 1)


class Door:
    """A real store behind a door that may be shut."""

    def __init__(self, real):
        self.real = real
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Event()

    def write(self, points):
        self.asked.set()
        assert self.open.wait(PATIENCE_S)
        return self.real.write(points)

    def read(self, query):
        return self.real.read(query)

    def count(self, query):
        return self.real.count(query)

    def close(self):
        self.real.close()


@pytest.fixture(scope="module")
def plant():
    return load(Path(__file__).parents[2] / "plants" / "ceper" / "plant.yaml")


@pytest.fixture
def store(tmp_path):
    door = Door(EmbeddedHistorian(tmp_path / "historian"))
    yield door
    door.open.set()
    door.close()


@pytest.fixture
def dead_letters(tmp_path):
    letters = DeadLetters(tmp_path / "dead_letters.sqlite")
    yield letters
    letters.close()


@pytest.fixture
def ingest(plant, store, dead_letters):
    @asynccontextmanager
    async def run(broker):
        access = broker.access_for(INGEST)
        subscriptions = INGEST_SUBSCRIPTIONS
        async with MqttClient(access, INGEST, subscriptions=subscriptions, persistent=True, retry_s=FAST) as client:
            await client.wait_connected(PATIENCE_S)
            pipeline = Pipeline(client, store, plant, CatchUpClock(NOON + 600_000), dead_letters)
            task = asyncio.create_task(pipeline.run())
            try:
                yield pipeline
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    return run


class Agent:
    """The sending end: publishes anything under its name, and reads its receipts."""

    def __init__(self, client):
        self.client = client

    async def send(self, *samples, topic=None, **changes):
        envelope = {"agent": AGENT, "outbox": "5f0c", "boot": "b7e1", "clock": "synced", "mono_ms": 1, "low": 1}
        envelope |= {"oldest_t": NOON, "samples": [sample(one) if isinstance(one, int) else one for one in samples]}
        await self.raw(json.dumps(envelope | changes).encode(), topic)

    async def raw(self, payload, topic=None):
        await self.client.publish(Message(topic or f"v1/logam-jaya/{UNIT}/samples/{AGENT}", payload))

    async def receipt(self, wanted):
        async with asyncio.timeout(PATIENCE_S), aclosing(self.client.deliveries()) as deliveries:
            async for delivery in deliveries:
                delivery.ack()
                receipt = decode_receipt(delivery.message.payload)
                if wanted(receipt):
                    return receipt
        raise AssertionError("the deliveries ended")


def sample(seq):
    return {"seq": seq, "t": NOON + 1_000 * seq, "v": {"state": 1, "good": seq}}


@asynccontextmanager
async def agent_at(broker):
    access, topics = broker.access_for(AGENT), [receipt_topic(AGENT)]
    async with MqttClient(access, AGENT, subscriptions=topics, retry_s=FAST) as client:
        await client.wait_connected(PATIENCE_S)
        yield Agent(client)


async def test_samples_reach_the_store_through_any_broker(any_broker, ingest, plant, store):
    async with ingest(any_broker), agent_at(any_broker) as agent:
        for seq in range(1, 201, 10):
            await agent.send(*range(seq, seq + 10))
        assert await agent.receipt(lambda receipt: receipt.upto == 200) == Receipt("5f0c", 200)
    assert stored_samples(store, plant, AGENT) == 200


async def test_wrong_messages_become_dead_letters_and_everything_else_goes_on(
    broker, ingest, plant, store, dead_letters
):
    async with ingest(broker) as pipeline, agent_at(broker) as agent:
        await agent.raw(b'{"agent": ')
        await agent.raw(b"\x00\xff")
        await agent.send(1, 2, padding="x" * MAX_MESSAGE_BYTES)
        await agent.send(3, topic=f"v1/logam-jaya/{UNIT}/samples/{AGENT}".replace("cnc-01", "CNC_01"))
        await agent.send(3, topic=f"v1/logam-jaya/{UNIT}/samples/{AGENT}".replace("cnc-01", "cnc-99"))
        await agent.send(4, {"seq": 5, "t": "noon", "v": {"state": 1}}, 6)
        await agent.send({"seq": 7, "t": NOON + 10**9, "v": {"state": 1}}, 8)
        await agent.send(9, low="nine")
        await agent.send(10)
        assert await agent.receipt(lambda receipt: receipt.upto == 10) == Receipt("5f0c", 10)
    expected = {
        Fault.NOT_JSON: 2,
        Fault.OVERSIZED: 2,
        Fault.WRONG_TOPIC: 1,
        Refusal.UNKNOWN_UNIT: 1,
        Fault.WRONG_TYPE: 2,
        Refusal.FUTURE_TIME: 1,
    }
    assert dead_letters.by_reason() == expected == pipeline.counts.by_reason
    assert stored_samples(store, plant, AGENT) == 4
    assert stored_samples(store, plant, AGENT) + dead_letters.rejected(AGENT) == 10


async def test_no_receipt_and_no_ack_before_the_store_has_it_and_a_restart_gets_it_again(broker, ingest, plant, store):
    store.open.clear()
    async with agent_at(broker) as agent:
        async with ingest(broker):
            await agent.send(1, 2)
            assert await asyncio.to_thread(store.asked.wait, PATIENCE_S)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await agent.receipt(lambda _: True)
            assert store.count(Query(Measurement.SAMPLES)) == 0
        store.open.set()
        async with ingest(broker) as pipeline:  # nobody sends anything: the broker still holds the message
            assert await agent.receipt(lambda receipt: receipt.upto == 2) == Receipt("5f0c", 2)
            assert pipeline.counts.stored == 2
    assert stored_samples(store, plant, AGENT) == 2


async def test_a_broker_killed_under_way_costs_nothing_that_is_sent_again(broker, tmp_path, ingest, plant, store):
    async with ingest(broker) as pipeline, agent_at(broker) as agent:
        await agent.send(1)
        await agent.receipt(lambda receipt: receipt.upto == 1)
        os.kill(broker.process.pid, signal.SIGKILL)
        await broker.stop()
        again = await start_broker(tmp_path / "broker", [AGENT], port=broker.port, kind="mosquitto")
        try:
            resend = asyncio.create_task(keep_sending(agent, 1, 2))
            assert (await agent.receipt(lambda receipt: receipt.upto == 2)).ranges == ()
            resend.cancel()
            await asyncio.gather(resend, return_exceptions=True)
        finally:
            await again.stop()
    assert stored_samples(store, plant, AGENT) == 2
    assert pipeline.counts.dead_letters == 0


async def keep_sending(agent, *seqs):
    """As an agent does: again and again what no receipt covers."""
    while True:
        with suppress(ServiceUnavailable):
            await agent.send(*seqs)
        await asyncio.sleep(0.1)
