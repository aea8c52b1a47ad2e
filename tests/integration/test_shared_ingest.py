"""Several ingest services on one plant and one real broker: they split the agents, and follow one that goes."""

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from cli.unit_plans import unit_plans
from historian.connect import connect
from historian.records import facts_of, unit_query
from historian.schema import Grain
from ingest.ledger import stored_samples
from ingest.service import IngestService
from messaging.broker import start_broker
from messaging.client import Message, MqttClient
from messaging.receipt import decode_receipt
from messaging.rights import INGEST
from messaging.topic import receipt_topic
from shopfloor.clock import SystemClock
from shopfloor.plant_file import load

PATIENCE_S = 60
UNITS = {"edge-a": "ceper/machining/line-1/cnc-01", "edge-b": "ceper/machining/line-1/cnc-02"}
AGENTS = list(UNITS)


SPLIT = """
agents:
  edge-a: {units: [ceper/machining/line-1/cnc-01]}
  edge-b: {units: [ceper/machining/line-1/cnc-02]}
  edge-c: {units: [ceper/foundry/*, ceper/machining/line-1/cnc-03, ceper/stamping/*, ceper/utilities/*]}
"""


@pytest.fixture
def plant(tmp_path):
    """The example plant with three agents."""
    text = (Path(__file__).parents[2] / "plants" / "ceper" / "plant.yaml").read_text("utf-8")
    file = tmp_path / "plant.yaml"
    file.write_text(text.partition("\nagents:")[0] + SPLIT, "utf-8")
    return load(file)


class Sender:
    """One agent's sending end: sends again and again what no receipt covers."""

    def __init__(self, client, agent):
        self.client, self.agent, self.upto, self.last = client, agent, 0, 0

    async def run(self):
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._send())

    async def _listen(self):
        async for delivery in self.client.deliveries():
            delivery.ack()
            self.upto = max(self.upto, decode_receipt(delivery.message.payload).upto)

    async def _send(self):
        start = SystemClock().now() - 600_000
        while True:
            samples = [{"seq": n, "t": start + n * 1_000, "v": {"state": 1, "good": n}} for n in self._open()]
            envelope = {"agent": self.agent, "outbox": "5f0c", "boot": "b7e1", "clock": "synced", "mono_ms": 1}
            envelope |= {"low": self.upto + 1, "oldest_t": start + self.upto * 1_000, "samples": samples}
            if samples:
                topic = f"v1/logam-jaya/{UNITS[self.agent]}/samples/{self.agent}"
                await self.client.publish(Message(topic, json.dumps(envelope).encode()))
            await asyncio.sleep(0.2)

    def _open(self):
        return range(self.upto + 1, self.last + 1)


@asynccontextmanager
async def running(coroutine):
    task = asyncio.create_task(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition):
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_agents_are_split_and_a_service_that_ends_is_followed(tmp_path, plant):
    broker = await start_broker(tmp_path / "broker", list(plant.agents))
    stores = [connect(str(tmp_path / "historian")) for _ in range(2)]

    def service(number):
        return IngestService(
            plant,
            unit_plans(plant),
            stores[number],
            access=broker.access_for(INGEST),
            dead_letters=tmp_path / "dead_letters.db",
            clock=SystemClock(),
            shared=list(plant.agents),
        )

    try:
        async with AsyncExitStack() as stack:
            senders = []
            for agent in AGENTS:
                client = MqttClient(broker.access_for(agent), agent, subscriptions=[receipt_topic(agent)])
                await client_ready(await stack.enter_async_context(client))
                senders.append(Sender(client, agent))
                await stack.enter_async_context(running(senders[-1].run()))
            one, two = service(0), service(1)
            await stack.enter_async_context(running(two.run()))
            async with running(one.run()):
                for sender in senders:
                    sender.last = 100
                await until(lambda: all(sender.upto == 100 for sender in senders))
                await until(
                    lambda: len(one.served) + len(two.served) == len(plant.agents) and one.served and two.served
                )
                assert not one.served & two.served
            for sender in senders:
                sender.last = 200
            await until(lambda: two.served == frozenset(plant.agents))
            await until(lambda: all(sender.upto == 200 for sender in senders))
            await two.settle()
            for agent, unit in UNITS.items():
                assert stored_samples(stores[1], plant, agent) == 200
                stored = facts_of(stores[1].read(unit_query(Grain.MINUTE, plant.enterprise, unit)))
                fresh = two.engine.rederive_fresh(unit, stored[0].time, stored[-1].time + 60_000)
                assert {fact.key: fact.elements for fact in stored} == {fact.key: fact.elements for fact in fresh}
    finally:
        for store in stores:
            store.close()
        await broker.stop()


async def client_ready(client):
    await client.wait_connected(PATIENCE_S)
