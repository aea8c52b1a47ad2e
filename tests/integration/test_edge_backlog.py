"""After an outage, on a real broker, pipeline and store: what is new goes first, what has piled up drains beside it.

Time is counted in samples, not in seconds: a tick of the plant passes whenever twenty ticks' worth of the backlog has
been stored. So the backlog drains at twenty times the live rate by construction, and a tick that is stored before two
more have passed is under two of the plant's seconds late, however slow the machine is.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.disk_thread import DiskThread
from edge_agent.forwarder import Forwarder, Sender
from edge_agent.outbox import Outbox
from historian.embedded import EmbeddedHistorian
from historian.point import Point, Query
from historian.schema import Measurement
from ingest.dead_letters import DeadLetters
from ingest.pipeline import Pipeline
from messaging.broker import RunningBroker
from messaging.client import Message, MqttClient
from messaging.receipt import decode_receipt
from messaging.rights import INGEST
from messaging.topic import INGEST_SUBSCRIPTIONS, SampleTopic, receipt_topic
from shopfloor.clock import CatchUpClock, SystemClock
from shopfloor.plant import Plant
from shopfloor.plant_file import load
from shopfloor.sample import Sample
from tests.one_line import one_line

AGENT = "edge-2"
UNITS = 50
START = 1_763_830_000_000
OUTAGE_TICKS = 400
TIMES = 20
"""The backlog is to drain so many times as fast as samples come."""
LATE_TICKS = 2
PATIENCE_S = 120.0


class CountingStore:
    """A real store that knows how many samples of the outage it has, and how many of each tick since."""

    def __init__(self, folder: Path) -> None:
        self._real = EmbeddedHistorian(folder)
        self.old = 0
        self.ticks: dict[int, int] = {}
        self.changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def write(self, points: list[Point]):  # type: ignore[no-untyped-def]
        report = self._real.write(points)
        times = [point.time for point in points if point.measurement is Measurement.SAMPLES]
        self._loop.call_soon_threadsafe(self._count, [(time - START) // 1_000 for time in times])
        return report

    def _count(self, ticks: list[int]) -> None:
        for tick in ticks:
            if tick < OUTAGE_TICKS:
                self.old += 1
            else:
                self.ticks[tick] = self.ticks.get(tick, 0) + 1
        self.changed.set()

    def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
        return getattr(self._real, name)


class Gate:
    """The way to the broker, that may be shut."""

    def __init__(self, client: MqttClient) -> None:
        self._client = client
        self.open = asyncio.Event()

    async def wait_connected(self, timeout_s: float | None = None) -> None:
        await self.open.wait()
        await self._client.wait_connected(timeout_s)

    async def publish(self, message: Message) -> None:
        await self._client.publish(message)


def works(folder: Path) -> Plant:
    device = {"template": "cnc-generic", "connection": "modbus-tcp://127.0.0.1:502", "scan": "1s"}
    units = {f"u{number}": {"device": device, "states": {1: "running"}} for number in range(UNITS)}
    (folder / "plant.yaml").write_text(one_line(units, {AGENT: ["site/*"]}), "utf-8")
    return load(folder / "plant.yaml")


def tick(plant: Plant, number: int) -> list[Sample]:
    """One sample of each unit."""
    return [Sample(unit=unit, time=START + number * 1_000, values={"state": 1, "good": number}) for unit in plant.units]


@asynccontextmanager
async def ingesting(broker: RunningBroker, plant: Plant, store: CountingStore, folder: Path) -> AsyncIterator[None]:
    letters = DeadLetters(folder / "dead_letters.db")
    access = broker.access_for(INGEST)
    async with MqttClient(access, INGEST, subscriptions=INGEST_SUBSCRIPTIONS, persistent=True) as client:
        await client.wait_connected(PATIENCE_S)
        pipeline = Pipeline(client, store, plant, CatchUpClock(START + 10**8), letters)
        task = asyncio.create_task(pipeline.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    letters.close()


@pytest.mark.parametrize("restarted", [True, False], ids=["after a restart", "after an outage of the broker"])
async def test_live_samples_go_first_while_a_backlog_drains_at_twenty_times_their_rate(
    tmp_path: Path, broker: RunningBroker, restarted: bool
) -> None:
    plant, store = works(tmp_path), CountingStore(tmp_path / "historian")
    box, disk = Outbox(tmp_path / "outbox.db", max_samples=1_000_000), DiskThread()
    backlog = [sample for number in range(OUTAGE_TICKS) for sample in tick(plant, number)]

    def pile_up() -> None:
        for first in range(0, len(backlog), 2_000):
            box.append(backlog[first : first + 2_000])

    if restarted:
        pile_up()
    topics = {path: str(SampleTopic(unit.path, AGENT)) for path, unit in plant.units.items()}
    forwarder = Forwarder(box, disk, Sender(AGENT, "boot", topics.__getitem__), SystemClock(), lambda: None)
    if not restarted:
        pile_up()

    async def receipts(client: MqttClient) -> None:
        async for delivery in client.deliveries():
            forwarder.receive(decode_receipt(delivery.message.payload))
            delivery.ack()

    async def tick_by_tick() -> dict[int, int]:
        """Live tick -> ticks that passed from its birth until the store had all of it."""
        born, late, number = dict[int, int](), dict[int, int](), OUTAGE_TICKS
        while True:
            store.changed.clear()
            passed = store.old // (TIMES * UNITS)
            for live in born.keys() - late.keys():
                if store.ticks.get(live, 0) >= UNITS:
                    late[live] = passed - born[live]
            while store.old < len(backlog) and len(born) <= passed:
                await disk.run(box.append, tick(plant, number))
                born[number] = passed
                number += 1
                forwarder.notify()
            if store.old >= len(backlog) and born.keys() == late.keys():
                return late
            await store.changed.wait()

    try:
        async with ingesting(broker, plant, store, tmp_path), asyncio.timeout(PATIENCE_S):
            client = MqttClient(broker.access_for(AGENT), AGENT, subscriptions=[receipt_topic(AGENT)])
            async with client, asyncio.TaskGroup() as group:
                gate = Gate(client)
                tasks = [group.create_task(forwarder.run(gate)), group.create_task(receipts(client))]
                gate.open.set()
                late = await tick_by_tick()
                forwarder.hurry()
                while len(box):  # noqa: ASYNC110 - a file is asked
                    await asyncio.sleep(0.01)
                for task in tasks:
                    task.cancel()
        counts, stored = box.counts(), store.count(Query(Measurement.SAMPLES))
    finally:
        disk.close()
        box.close()
        store.close()
    assert len(late) >= OUTAGE_TICKS // TIMES
    assert max(late.values()) < LATE_TICKS, late
    assert stored == counts.confirmed == counts.appended == len(backlog) + UNITS * len(late)
