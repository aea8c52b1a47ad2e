"""``shopfloor demo``: all stages in one place, on a virtual clock that catches up with the wall and follows it."""

import argparse
import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cli.causes import first_cause
from cli.demo_report import report
from cli.demo_state import DemoState, alone_in
from cli.live_table import LiveTable
from cli.plants import load_plant
from cli.published import publications
from cli.replay_clock import ReplayClock
from cli.signals import stop_on_signal
from cli.unit_plans import unit_plans
from devices.library import load as load_template
from edge_agent.agent import EdgeAgent
from historian.connect import connect
from historian.historian import Historian
from ingest.ledger import stored_samples
from ingest.service import IngestService
from kpi_api.app import create_app
from kpi_api.server import served
from kpi_api.store import Store
from messaging.broker import RunningBroker, start_broker
from messaging.rights import INGEST
from shopfloor.clock import CatchUpClock, SystemClock
from shopfloor.errors import PlantError, ServiceUnavailable
from shopfloor.instant import MINUTE, Instant, floor_to
from shopfloor.ledger import AgentLedger
from shopfloor.plant import Plant
from simulators.factory import Factory
from simulators.meter_replay import MeterReplay, load_replay

log = logging.getLogger(__name__)

MAX_BACKLOG = 10_000
"""Samples on their way before virtual time waits for the pipeline."""
DRAIN_S = 120.0
"""Longest wait at a planned end until every sample is confirmed."""
HURRIED_DRAIN_S = 2.0
"""The same when somebody pressed Ctrl-C: what is left stays in the outbox for the next start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asked for."""

    plant: Path
    source: Path | None
    live_ms: int | None
    history_ms: int
    data: Path
    seed: int
    port: int
    json: Path | None


def demo(arguments: argparse.Namespace) -> int:
    """The command, from its arguments."""
    data = arguments.data or Path(".demo") / f"{arguments.plant.resolve().parent.name}-seed-{arguments.seed}"
    asked = {field.name: getattr(arguments, field.name) for field in fields(Options) if field.name != "data"}
    return run(Options(**asked, data=data))


def run(options: Options) -> int:
    """Run the demo to its end; 0 when everything was drained or a person ended it."""
    plant = load_plant(options.plant)
    if options.json is not None and not options.json.resolve().parent.is_dir():
        raise PlantError(f"{options.json}: its folder does not exist; make it or choose another file")
    replay = load_replay(options.source, _meter_zone(plant)) if options.source else None
    return asyncio.run(_run(options, plant, replay))


def _meter_zone(plant: Plant) -> str:
    meters = [unit for unit in plant.units.values() if not unit.is_machine]
    if len(plant.units) != 1 or not meters:
        raise PlantError("--source replays one meter; give a plant file with that meter alone")
    return meters[0].timezone


async def _run(options: Options, plant: Plant, replay: MeterReplay | None) -> int:
    stop = stop_on_signal()
    async with AsyncExitStack() as stack:
        demo = await stack.enter_async_context(_started(options, plant, replay))
        url = await stack.enter_async_context(_page(demo, options.port))
        table = LiveTable(demo.store, demo.clock, url)
        showing = asyncio.create_task(table.run(), name="live table")
        showing.add_done_callback(demo.failed)
        try:
            drained = await demo.until_end(stop)
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)
        result = await asyncio.to_thread(report, demo.store, demo.factory, demo.state.since)
        table.finish(result)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if not drained and not stop.is_set():
        raise ServiceUnavailable(f"not every sample was confirmed within {DRAIN_S:.0f} s; see the log")
    return 0


@asynccontextmanager
async def _page(demo: "Demo", port: int) -> AsyncIterator[str]:
    """The page on the wished port, or on a free one when another program has it."""
    async with AsyncExitStack() as stack:
        try:
            url = await stack.enter_async_context(served(create_app(demo.store), port=port))
        except ServiceUnavailable:
            url = await stack.enter_async_context(served(create_app(demo.store), port=0))
        yield url


class Demo:
    """Factory, broker, agents and ingest of one plant, running."""

    def __init__(
        self, options: Options, plant: Plant, factory: Factory, clock: CatchUpClock, replay: MeterReplay | None
    ) -> None:
        self.plant, self.factory, self.clock = plant, factory, clock
        self._options, self._replay = options, replay
        self.state: DemoState
        self.historian: Historian = connect(str(options.data / "historian"))
        self.agents: list[EdgeAgent] = []
        self.ingest: IngestService
        self.store: Store
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def until_end(self, stop: asyncio.Event) -> bool:
        """Wait for the end (of ``--for``, of the source, or asked for) and drain; whether all is confirmed."""
        ending = asyncio.create_task(self._end(), name="end of demo")
        asked = asyncio.create_task(stop.wait(), name="signal")
        first_of: set[asyncio.Future[Any]] = {ending, asked, self._failed}
        await asyncio.wait(first_of, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if self._failed.done():
            ending.cancel()
            self._failed.result()
        if not ending.done():
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)
            return await self._drain(HURRIED_DRAIN_S)
        await ending
        return await self._drain(DRAIN_S)

    async def _end(self) -> None:
        """Return when polling should end by itself (never, without ``--for`` and without a source)."""
        if self._replay is not None:
            await self._stop_polling(self._replay.end + 1)
            return
        await self.clock.live.wait()
        if self._options.live_ms is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(self._options.live_ms / 1000)

    async def _drain(self, patience_s: float) -> bool:
        try:
            async with asyncio.timeout(patience_s):
                await self._stop_polling(None)
                drained = [await agent.drain(patience_s) for agent in self.agents]
                await self.ingest.settle()
                return all(drained)
        except TimeoutError:
            return False

    async def _stop_polling(self, at: Instant | None) -> None:
        await asyncio.gather(*(agent.stop_polling(at) for agent in self.agents))

    async def gate(self) -> None:
        """Let virtual time wait while the pipeline is full."""
        while any(agent.backlog() > MAX_BACKLOG for agent in self.agents):  # noqa: ASYNC110 - several sources
            await asyncio.sleep(0.01)

    def ledger(self) -> Mapping[str, AgentLedger]:
        """Every agent's ledger (blocking). The edge is read before the store, or a moving ledger looks broken."""
        return {agent.agent_id: self._ledger(agent) for agent in self.agents}

    def _ledger(self, agent: EdgeAgent) -> AgentLedger:
        edge = agent.ledger_counts()
        return AgentLedger(
            polled=edge.polled,
            appended=edge.appended,
            confirmed=edge.confirmed,
            in_outbox=edge.in_outbox,
            evicted=edge.evicted,
            stored=stored_samples(self.historian, self.plant, agent.agent_id),
            rejected=self.ingest.rejected(agent.agent_id),
        )

    def failed(self, task: "asyncio.Task[None]") -> None:
        """A service ended by itself: the demo cannot go on."""
        if task.cancelled() or self._failed.done():
            return
        fault = task.exception() or ServiceUnavailable(f"{task.get_name()} ended by itself")
        self._failed.set_exception(first_cause(fault))


@asynccontextmanager
async def _started(options: Options, plant: Plant, replay: MeterReplay | None) -> AsyncIterator[Demo]:
    """Everything running, on time resumed where the last start ended; stopped in reverse on leaving."""
    wall = SystemClock()
    start = replay.start if replay else floor_to(wall.now() - options.history_ms, MINUTE)
    state = DemoState.open(options.data, plant=plant.enterprise, seed=options.seed, start=start)
    clock = CatchUpClock(state.epoch, wall=None if replay else wall)
    async with AsyncExitStack() as stack:
        stack.enter_context(alone_in(options.data))
        factory = Factory(
            plant,
            seed=options.seed,
            epoch=state.epoch,
            clock=clock,
            journal_path=options.data / "journal.jsonl",
            templates=load_template,
            replay=replay,
        )
        endpoints = await factory.start()
        stack.push_async_callback(factory.stop)
        broker = await start_broker(options.data / "broker", plant)
        stack.push_async_callback(broker.stop)
        demo = Demo(options, plant, factory, clock, replay)
        stack.callback(demo.historian.close)
        demo.agents = [_agent(options, plant, agent, clock, broker, endpoints) for agent in plant.agents]
        last = [at for agent in demo.agents if (at := agent.resume_from()) is not None]
        demo.state, resume = state.resumed(options.data, min(last, default=None), start)
        clock.start(resume, demo.gate)
        demo.ingest = IngestService(
            plant,
            unit_plans(plant),
            demo.historian,
            access=broker.access_for(INGEST),
            dead_letters=options.data / "dead_letters.db",
            clock=wall,
            teller=publications(plant, demo.historian, wall),
        )
        demo.store = Store(
            plant,
            demo.historian,
            ReplayClock(clock, demo.ingest.stored_until),
            ledger_source=demo.ledger,
            dead_letters=demo.ingest.dead_letters,
        )
        services = {"ingest": demo.ingest.run(), **{agent.agent_id: agent.run() for agent in demo.agents}}
        tasks = [asyncio.create_task(service, name=name) for name, service in services.items()]
        for task in tasks:
            task.add_done_callback(demo.failed)
        stack.push_async_callback(_end_all, list(reversed(tasks)))
        yield demo


def _agent(
    options: Options,
    plant: Plant,
    agent_id: str,
    clock: CatchUpClock,
    broker: RunningBroker,
    endpoints: Mapping[tuple[str, int], tuple[str, int]],
) -> EdgeAgent:
    return EdgeAgent(
        plant,
        agent_id,
        templates=load_template,
        clock=clock,
        outbox_path=options.data / f"outbox-{agent_id}.db",
        access=broker.access_for(agent_id),
        endpoints=endpoints,
    )


async def _end_all(tasks: "list[asyncio.Task[None]]") -> None:
    """Cancel one after the other: the agents first, so that their last words find the ingest."""
    for task in tasks:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
