"""A deployed plant on real parts: simulated Modbus devices, edge agents, mosquitto, ingest service, embedded store.

The broker is a process that may be killed; everything else runs in the test's event loop. Samples carry virtual time,
so that minutes of polling take a moment and every sample's time is known.
"""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cli.plants import load_plant
from cli.unit_plans import unit_plans
from devices.library import load as load_template
from edge_agent.agent import EdgeAgent
from edge_agent.window import WINDOW, CreditWindow
from historian.connect import connect
from historian.historian import Historian
from historian.records import unit_query
from historian.schema import Measurement
from ingest.ledger import stored_samples
from ingest.service import IngestService
from messaging.access import BrokerAccess
from messaging.mosquitto import Mosquitto
from messaging.rights import INGEST
from shopfloor.clock import CatchUpClock, SystemClock
from shopfloor.instant import Instant
from shopfloor.plant import Plant
from simulators.factory import Factory
from tests.two_agents import Deployed, deployed

PATIENCE_S = 60.0
START: Instant = 1_763_830_000_000
SCAN_MS = 1_000
MAX_IN_FLIGHT = 2


@dataclass(slots=True)
class Broker:
    """mosquitto with a deployment's files, to be killed and started again."""

    made: Deployed
    process: Mosquitto | None = None

    async def start(self) -> None:
        self.process = await self.made.broker()

    async def kill(self) -> None:
        """kill -9: what it held is gone."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        await self.process.stop()

    async def stop(self) -> None:
        if self.process is not None:
            await self.process.stop()

    def reload(self) -> None:
        """Let it read users, rights and certificates again."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGHUP)

    def set(self, **settings: str) -> None:
        """Other values in the configuration; before it starts."""
        file = self.made.directory / "mosquitto" / "mosquitto.conf"
        text = file.read_text("utf-8")
        for name, value in settings.items():
            text = re.sub(rf"^{name} .*\n", "", text, flags=re.MULTILINE) + f"{name} {value}\n"
        file.write_text(text, "utf-8")

    @property
    def words(self) -> str:
        """What it has said since it was started last."""
        return (self.made.directory / "mosquitto.log").read_text("utf-8", "replace")


@dataclass(slots=True)
class WiredPlant:
    """The parts, each to be started when a test wants it."""

    folder: Path
    made: Deployed
    plant: Plant
    broker: Broker
    store: Historian
    endpoints: dict[tuple[str, int], tuple[str, int]]
    clock: CatchUpClock
    """Of devices and agents; it waits while an agent has more than MAX_IN_FLIGHT messages on their way."""
    ticks: int
    """Polls of every unit."""
    agents: list[EdgeAgent] = field(default_factory=list)
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def ingest(self, plant: Plant | None = None, access: BrokerAccess | None = None) -> IngestService:
        """An ingest service that runs until the end of the test."""
        plant = plant or self.plant
        service = IngestService(
            plant,
            unit_plans(plant),
            self.store,
            access=access or self.made.access(INGEST),
            dead_letters=self.folder / "dead_letters.db",
            clock=SystemClock(),
        )
        self._run(service.run(), "ingest")
        return service

    def agent(
        self,
        agent_id: str,
        *,
        access: BrokerAccess | None = None,
        plant: Plant | None = None,
        outbox: str | None = None,
        clock: CatchUpClock | None = None,
        resend_ms: int = 300,
        window: int = WINDOW,
    ) -> EdgeAgent:
        """An edge agent; it polls ``ticks`` times from START on as soon as it runs."""
        agent = EdgeAgent(
            plant or self.plant,
            agent_id,
            templates=load_template,
            clock=clock or self.clock,
            outbox_path=self.folder / f"{outbox or agent_id}.db",
            access=access or self.made.access(agent_id),
            endpoints=self.endpoints,
            window=CreditWindow(window, resend_ms),
        )
        self.agents.append(agent)
        return agent

    def start(self, agent: EdgeAgent) -> "asyncio.Task[None]":
        self.tasks.append(asyncio.create_task(agent.stop_polling(START + self.ticks * SCAN_MS)))
        return self._run(agent.run(), agent.agent_id)

    async def polled(self, agent: EdgeAgent) -> None:
        """Return when the agent has polled all that it was to poll."""
        await agent.stop_polling(START + self.ticks * SCAN_MS)

    async def drained(self, *agents: EdgeAgent) -> None:
        """Return when everything that these agents were to poll is confirmed."""
        for agent in agents:
            await self.polled(agent)
            assert await agent.drain(PATIENCE_S), agent.ledger_counts()

    def free_clock(self, after_ticks: int = 0) -> CatchUpClock:
        """One that waits for nobody."""
        return CatchUpClock(START + after_ticks * SCAN_MS)

    def paced_clock(self, step_ms: int) -> CatchUpClock:
        """One that lets this much real time pass between two instants."""
        return CatchUpClock(START, gate=lambda: asyncio.sleep(step_ms / 1000))

    async def gate(self) -> None:
        """Virtual time waits for the samples, so that there is traffic all the time."""
        while any(agent.figures().in_flight > MAX_IN_FLIGHT for agent in self.agents):  # noqa: ASYNC110 - of several
            await asyncio.sleep(0.005)

    def _run(self, service, name: str) -> "asyncio.Task[None]":
        task = asyncio.create_task(service, name=name)
        self.tasks.append(task)
        return task

    async def end_all(self) -> None:
        """End agents and services."""
        while self.tasks:
            task = self.tasks.pop()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for a state of the parts; a task that fails meanwhile fails the test."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                for task in self.tasks:
                    if task.done() and not task.cancelled():
                        task.result()
                await asyncio.sleep(0.01)

    def times(self, unit: str) -> list[Instant]:
        """Source times of a unit's samples in the store."""
        return [point.time for point in self.store.read(unit_query(Measurement.SAMPLES, self.plant.enterprise, unit))]

    def assert_balanced(self, agent: EdgeAgent) -> None:
        """Polled = appended = confirmed = stored, each sample once and at its own time."""
        counts = agent.ledger_counts()
        units = self.plant.agents[agent.agent_id].units
        assert (counts.in_outbox, counts.evicted) == (0, 0)
        assert counts.polled == counts.appended == counts.confirmed == self.ticks * len(units)
        assert stored_samples(self.store, self.plant, agent.agent_id) == counts.appended
        expected = [START + tick * SCAN_MS for tick in range(self.ticks)]
        for unit in units:
            assert self.times(unit) == expected, unit


@asynccontextmanager
async def wired(folder: Path, *, ticks: int, **broker_settings: str) -> AsyncIterator[WiredPlant]:
    """A plant whose broker does not run yet; everything that was started is stopped at the end."""
    made = deployed(folder)
    plant, clock = load_plant(made.plant), CatchUpClock(START)
    broker = Broker(made)
    broker.set(**broker_settings)
    async with AsyncExitStack() as stack:
        factory = Factory(
            plant,
            seed=1,
            epoch=START,
            clock=clock,
            journal_path=folder / "journal.jsonl",
            templates=load_template,
        )
        endpoints = dict(await factory.start())
        stack.push_async_callback(factory.stop)
        store = connect(str(folder / "historian"))
        stack.callback(store.close)
        stack.push_async_callback(broker.stop)
        works = WiredPlant(folder, made, plant, broker, store, endpoints, clock, ticks)
        clock.start(START, works.gate)
        stack.push_async_callback(works.end_all)
        yield works


@asynccontextmanager
async def slow_link(port: int, bytes_per_s: int, chunk: int = 4_096) -> AsyncIterator[tuple[int, Callable[[], None]]]:
    """A TCP proxy that lets so much through each way; gives its port, and a function that cuts what is connected."""
    writers: set[asyncio.StreamWriter] = set()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(chunk):
                await asyncio.sleep(len(data) / bytes_per_s)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writers.update((writer, back))
        await asyncio.gather(forward(reader, back), forward(there, writer))
        writers.difference_update((writer, back))

    def cut() -> None:
        for writer in writers:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], cut
    finally:
        server.close()
        cut()
        await server.wait_closed()
