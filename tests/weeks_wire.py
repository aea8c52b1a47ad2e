"""A simulated plant on the real wire: samples enter at the outbox, or by Modbus, and everything after it is real."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli.plants import load_plant
from cli.published import publications
from cli.unit_plans import unit_plans
from devices.library import load as load_template
from edge_agent.agent import EdgeAgent
from edge_agent.disk_thread import DiskThread
from edge_agent.forwarder import Forwarder, Sender
from edge_agent.outbox import Outbox
from historian.connect import connect
from historian.historian import Historian
from historian.point import Query
from historian.records import point_dirty
from historian.schema import Measurement
from ingest.service import IngestService
from messaging.broker import RunningBroker, start_broker
from messaging.client import Message, MqttClient
from messaging.receipt import decode_receipt
from messaging.rights import INGEST
from messaging.topic import SampleTopic, receipt_topic
from shopfloor.clock import CatchUpClock, Clock, SystemClock
from shopfloor.errors import ServiceUnavailable
from shopfloor.instant import HOUR, MINUTE, Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import Plant
from shopfloor.reason import Reason
from shopfloor.sample import Sample
from simulators.factory import Factory

ROOT = Path(__file__).parent.parent
AGENT = "edge-ceper-1"
WARM_UP = HOUR
"""The script begins so long before the first reading."""
CHUNK = 10 * MINUTE
MAX_BACKLOG = 30_000
LIVE_SAMPLES = 3_000
"""More unsent samples than these are a backlog: the live ones overtake it."""
DUPLICATES = 0.05
LONGEST_DELAY_S = 0.1
PATIENCE_S = 300.0
REASONS = {
    "breakdown": Reason(id="breakdown", name={}, failure=True),
    "jam": Reason(id="jam", name={}),
    "maintenance": Reason(id="maintenance", name={}, category=TimeCategory.PLANNED_STOP),
    "no-material": Reason(id="no-material", name={}, category=TimeCategory.STARVED),
    "change-over": Reason(id="change-over", name={}, category=TimeCategory.SETUP),
}


def weeks_plant(folder: Path, scan_s: int) -> Plant:
    """The example plant with one scan period for all machines, and stop reasons."""
    plant = example_plant(folder, scan_s)
    units = {path: replace(unit, reasons=REASONS) for path, unit in plant.units.items()}
    return replace(plant, units=units, reasons=REASONS)


def example_plant(folder: Path, scan_s: int) -> Plant:
    """The example plant with one scan period for all machines."""
    text = (ROOT / "plants" / "ceper" / "plant.yaml").read_text("utf-8")
    file = folder / "plant.yaml"
    file.write_text(text.replace("scan: 5s", f"scan: {scan_s}s").replace("scan: 2s", f"scan: {scan_s}s"), "utf-8")
    return load_plant(file)


class LaterClock(CatchUpClock):
    """Another clock, but never before an instant: what came before it is the past at once."""

    def __init__(self, clock: CatchUpClock, at_least: Instant) -> None:
        super().__init__(at_least)
        self._clock, self._at_least = clock, at_least

    def now(self) -> Instant:
        return max(self._at_least, self._clock.now())


class RoughLink:
    """The way to the real broker, that may be cut, and that delays and doubles messages: they arrive in any order."""

    def __init__(self, client: MqttClient, rng: random.Random) -> None:
        self._client, self._rng = client, rng
        self.open = asyncio.Event()
        self.open.set()
        self.rough = False
        self.doubled = 0

    async def wait_connected(self, timeout_s: float | None = None) -> None:
        await self.open.wait()
        await self._client.wait_connected(timeout_s)

    async def publish(self, message: Message) -> None:
        if self.rough:
            await asyncio.sleep(self._rng.uniform(0, LONGEST_DELAY_S))
        if not self.open.is_set():
            raise ServiceUnavailable("the line is cut")
        await self._client.publish(message)
        if self._rng.random() < DUPLICATES:
            self.doubled += 1
            await self._client.publish(message)


class Feeder:
    """An edge agent without its pollers: real outbox, forwarder and client."""

    def __init__(self, plant: Plant, factory: Factory, outbox: Outbox, link: RoughLink, disk: DiskThread) -> None:
        self._plant, self._factory, self._outbox, self._disk = plant, factory, outbox, disk
        self.link = link
        topics = {path: str(SampleTopic(unit.path, AGENT)) for path, unit in plant.units.items()}
        sender = Sender(AGENT, "b0b0b0b0", topics.__getitem__)
        self.forwarder = Forwarder(outbox, disk, sender, SystemClock(), lambda: None, live_samples=LIVE_SAMPLES)

    async def feed(self, start: Instant, end: Instant) -> int:
        """Put every reading of [start, end) into the outbox; waits while it is long and the line stands."""
        fed = 0
        for low in range(start, end, CHUNK):
            samples = self._readings(low, min(low + CHUNK, end))
            await self._disk.run(self._outbox.append, samples)
            self.forwarder.notify()
            fed += len(samples)
            while self.link.open.is_set() and len(self._outbox) > MAX_BACKLOG:  # noqa: ASYNC110 - a file is asked
                await asyncio.sleep(0.01)
        return fed

    async def drained(self) -> None:
        """Return when every sample is confirmed."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self._outbox):  # noqa: ASYNC110 - a file is asked
                await asyncio.sleep(0.01)

    def _readings(self, low: Instant, high: Instant) -> list[Sample]:
        """Unit by unit: what is settled is then a few long ranges of seqs, and receipts stay short."""
        samples = []
        for path, unit in self._plant.units.items():
            source, scan = self._factory.source(path), unit.device.scan_ms
            for time in range(low + (-low) % scan, high, scan):
                values = {tag: value for tag, value in source.values(time).items() if value is not None}
                samples.append(Sample(unit=path, time=time, values=values))
        return samples


class Wire:
    """Broker, ingest with its facts engine, and historian of one plant, running."""

    def __init__(
        self,
        folder: Path,
        plant: Plant,
        seed: int,
        start: Instant,
        broker: RunningBroker,
        *,
        url: str | None = None,
        at_least: Instant | None = None,
    ) -> None:
        """``url`` is that of the historian, an embedded one by default.

        With ``at_least`` ingest lives in virtual time, never before that instant, and publishes KPIs.
        """
        self.folder, self.plant, self.broker = folder, plant, broker
        self.rng = random.Random(f"{seed}/wire")
        self.clock = CatchUpClock(start)
        self.factory = Factory(
            plant,
            seed=seed,
            epoch=start - WARM_UP,
            clock=self.clock,
            journal_path=folder / "journal.jsonl",
            templates=load_template,
        )
        self.historian: Historian = connect(url or str(folder / "historian"))
        told_by: Clock = SystemClock() if at_least is None else LaterClock(self.clock, at_least)
        self.ingest = IngestService(
            plant,
            unit_plans(plant),
            self.historian,
            access=broker.access_for(INGEST),
            dead_letters=folder / "dead_letters.db",
            clock=told_by,
            teller=None if at_least is None else publications(plant, self.historian, told_by),
        )

    @asynccontextmanager
    async def feeder(self) -> AsyncIterator[Feeder]:
        """The agent's way without Modbus; on leaving, all is confirmed and the outbox closed."""
        outbox, disk = Outbox(self.folder / "outbox.db", max_samples=1_000_000), DiskThread()
        access, topics = self.broker.access_for(AGENT), [receipt_topic(AGENT)]
        try:
            async with MqttClient(access, AGENT, subscriptions=topics) as client:
                feeder = Feeder(self.plant, self.factory, outbox, RoughLink(client, self.rng), disk)
                services = (feeder.forwarder.run(feeder.link), _receipts(client, feeder.forwarder))
                async with running(*services):
                    yield feeder
                    await feeder.drained()
        finally:
            disk.close()
            outbox.close()

    async def modbus(self, start: Instant, end: Instant) -> int:
        """Poll every device over Modbus through [start, end) of virtual time; returns the cycles served."""
        endpoints = await self.factory.start()
        served = self.factory.journal.count()
        try:
            agent = EdgeAgent(
                self.plant,
                AGENT,
                templates=load_template,
                clock=self.clock,
                outbox_path=self.folder / "outbox.db",
                access=self.broker.access_for(AGENT),
                endpoints=endpoints,
            )
            self.clock.start(start, _gate(agent))
            async with running(agent.run()):
                await agent.stop_polling(end)
                if not await agent.drain(PATIENCE_S):
                    raise ServiceUnavailable("not every sample was confirmed")
        finally:
            await self.factory.stop()
        return self.factory.journal.count() - served

    async def settled(self) -> None:
        """Return when nothing is dirty, what other processes noted included."""
        await self.ingest.settle()
        async with asyncio.timeout(PATIENCE_S):
            while await asyncio.to_thread(self._is_dirty):  # noqa: ASYNC110 - a store is asked
                await asyncio.sleep(0.05)

    def _is_dirty(self) -> bool:
        return any(not point_dirty(point).done for point in self.historian.read(Query(Measurement.DIRTY)))


@asynccontextmanager
async def wired(
    folder: Path,
    plant: Plant,
    seed: int,
    start: Instant,
    *,
    url: str | None = None,
    at_least: Instant | None = None,
) -> AsyncIterator[Wire]:
    """Everything between outbox and facts, started and in the end stopped."""
    async with AsyncExitStack() as stack:
        broker = await start_broker(folder / "broker", [AGENT])
        stack.push_async_callback(broker.stop)
        wire = Wire(folder, plant, seed, start, broker, url=url, at_least=at_least)
        stack.callback(wire.historian.close)
        await stack.enter_async_context(running(wire.ingest.run()))
        yield wire


@asynccontextmanager
async def running(*services: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run services beside the block; one that fails ends it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(service, name=service.__qualname__) for service in services]
        yield
        for task in tasks:
            task.cancel()


async def _receipts(client: MqttClient, forwarder: Forwarder) -> None:
    async for delivery in client.deliveries():
        forwarder.receive(decode_receipt(delivery.message.payload))
        delivery.ack()


def _gate(agent: EdgeAgent) -> Callable[[], Awaitable[None]]:
    async def wait() -> None:
        while agent.backlog() > MAX_BACKLOG:  # noqa: ASYNC110 - the agent is asked, it does not tell
            await asyncio.sleep(0.01)

    return wait
