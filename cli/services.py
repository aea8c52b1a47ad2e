"""``shopfloor simulate | edge | ingest | api``: one process each, for deployment. Settings come from the environment.

SHOPFLOOR_MQTT_URL, _USERNAME, _PASSWORD   the broker (default mqtt://127.0.0.1)
SHOPFLOOR_MQTT_CA                          CA file for mqtts:// (default: the system's)
SHOPFLOOR_HISTORIAN                        embedded:///path (default: historian in the data folder), or
                                           http[s]://host:8086/DATABASE after 'shopfloor historian init'
SHOPFLOOR_HISTORIAN_TOKEN, _ORG            of an InfluxDB 2.x or 3.x; _USERNAME, _PASSWORD of a 1.x; _CA for https
SHOPFLOOR_DATA                             folder for outbox, dead letters, journal (default: data)
SHOPFLOOR_API_KEY                          needed by the API to answer anybody but this machine
SHOPFLOOR_HEALTH                           host:port of the health page and metrics of edge and ingest (default: none)
"""

import argparse
import asyncio
import gc
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from cli.causes import first_cause
from cli.health import edge_page, ingest_page
from cli.plants import load_plant, unit_plans
from cli.published import publications
from cli.signals import stop_on_signal
from devices.library import load as load_template
from edge_agent.agent import EdgeAgent, Endpoint
from historian.connect import connect
from historian.historian import Historian
from ingest.service import IngestService
from kpi_api.app import create_app
from kpi_api.server import served
from kpi_api.store import Store
from messaging.access import BrokerAccess
from messaging.rights import INGEST
from shopfloor.clock import SystemClock
from shopfloor.errors import PlantError
from shopfloor.instant import Instant
from shopfloor.plant import Plant
from simulators.factory import Factory

log = logging.getLogger(__name__)

GC_THRESHOLD = 1_000_000
"""Containers made and not let go until the collector looks by itself: samples come and go by the ten thousand, and in
no circles, and to look at all that wait costs a fifth of what ingest can take."""
COLLECT_S = 30.0
"""What errors have tied in circles stays so long at most."""


def data_folder() -> Path:
    """Where this process keeps its files."""
    return Path(os.environ.get("SHOPFLOOR_DATA", "data"))


def historian() -> Historian:
    """The store that the environment names."""
    return connect(os.environ.get("SHOPFLOOR_HISTORIAN", str(data_folder() / "historian")))


def simulate(arguments: argparse.Namespace) -> int:
    """Serve a plant's devices; ``endpoints.json`` in the data folder tells where."""
    return asyncio.run(_simulate(load_plant(arguments.plant), arguments.seed, arguments.epoch))


async def _simulate(plant: Plant, seed: int, epoch: Instant | None) -> int:
    stop, clock, folder = stop_on_signal(), SystemClock(), data_folder()
    factory = Factory(
        plant,
        seed=seed,
        epoch=clock.now() if epoch is None else epoch,
        clock=clock,
        journal_path=folder / "journal.jsonl",
        templates=load_template,
    )
    endpoints = await factory.start()
    try:
        table = {f"{host}:{port}": f"{to_host}:{to_port}" for (host, port), (to_host, to_port) in endpoints.items()}
        (folder / "endpoints.json").write_bytes(msgspec.json.encode(table))
        print(f"serving {len(plant.units)} units; addresses in {folder / 'endpoints.json'}", flush=True)
        await stop.wait()
    finally:
        await factory.stop()
    return 0


def edge(arguments: argparse.Namespace) -> int:
    """Run one edge agent."""
    plant = load_plant(arguments.plant)
    if arguments.agent not in plant.agents:
        known = ", ".join(plant.agents)
        raise PlantError(f"{arguments.plant}: there is no agent {arguments.agent!r}; it has {known}")
    return asyncio.run(_edge(plant, arguments.agent, _endpoints(arguments.endpoints), arguments.drain_ms / 1000))


def _endpoints(path: Path | None) -> dict[Endpoint, Endpoint] | None:
    if path is None:
        return None
    try:
        table = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        return {_endpoint(given): _endpoint(served_at) for given, served_at in table.items()}
    except (msgspec.MsgspecError, ValueError) as fault:
        raise PlantError(f"--endpoints {path}: {fault}; give the file that 'shopfloor simulate' wrote") from None


def _endpoint(text: str) -> Endpoint:
    host, _, port = text.rpartition(":")
    return host, int(port)


async def _edge(plant: Plant, agent_id: str, endpoints: dict[Endpoint, Endpoint] | None, drain_s: float) -> int:
    access = BrokerAccess.from_environment()
    if access.username not in (None, agent_id):
        log.warning(
            "agent %s uses the MQTT user %s, which a broker set up by 'shopfloor deploy init' lets write nothing of "
            "its; give SHOPFLOOR_MQTT_USERNAME and _PASSWORD of %s",
            agent_id,
            access.username,
            agent_id,
        )
    agent = EdgeAgent(
        plant,
        agent_id,
        templates=load_template,
        clock=SystemClock(),
        outbox_path=data_folder() / f"outbox-{agent_id}.db",
        access=access,
        endpoints=endpoints,
    )
    print(f"{agent_id}: reading {len(plant.agents[agent_id].units)} units", flush=True)
    async with edge_page(agent):
        return await _until_signal(agent.run(), lambda: _drained(agent, drain_s))


async def _drained(agent: EdgeAgent, patience_s: float) -> None:
    """Poll no more, and wait until the historian has everything; what is held even then goes out at the next start."""
    if patience_s:
        await agent.stop_polling()
        if not await agent.drain(patience_s):
            print(f"{agent.agent_id}: {agent.backlog()} samples stay in the outbox", file=sys.stderr, flush=True)


def ingest(arguments: argparse.Namespace) -> int:
    """Store what the agents that match ``--agents`` send, and keep their facts; shared with other such processes."""
    plant = load_plant(arguments.plant)
    mine = [agent for agent in plant.agents if fnmatchcase(agent, arguments.agents)]
    if not mine:
        raise PlantError(f"{arguments.plant}: no agent matches {arguments.agents!r}; it has {', '.join(plant.agents)}")
    return asyncio.run(_ingest(plant, mine))


async def _ingest(plant: Plant, agents: list[str]) -> int:
    gc.freeze()  # what was imported stays: the collector need not look at it again and again
    gc.set_threshold(GC_THRESHOLD)
    access = BrokerAccess.from_environment()
    if access.username in plant.agents:
        log.warning(
            "ingest uses the MQTT user of agent %s, who may read no samples; give SHOPFLOOR_MQTT_USERNAME and "
            "_PASSWORD of %s",
            access.username,
            INGEST,
        )
    store = historian()
    try:
        service = IngestService(
            plant,
            unit_plans(plant),
            store,
            access=access,
            dead_letters=data_folder() / "dead_letters.db",
            clock=SystemClock(),
            shared=agents,
            teller=publications(plant, store, SystemClock()),
        )
        print(f"ingest: ready to serve {', '.join(agents)}", flush=True)
        collecting = asyncio.create_task(_collect(), name="collector")
        try:
            async with ingest_page(service, store):
                return await _until_signal(service.run())
        finally:
            collecting.cancel()
    finally:
        store.close()


async def _collect() -> None:
    """Let go, now and then, what only the collector finds."""
    while True:
        await asyncio.sleep(COLLECT_S)
        gc.collect()


def api(arguments: argparse.Namespace) -> int:
    """Serve the KPI API and the page."""
    if not 0 <= arguments.port <= 65_535:
        raise PlantError(f"--port {arguments.port} is no port; give one of 0 to 65535, 0 for any free one")
    return asyncio.run(_api(load_plant(arguments.plant), arguments.host, arguments.port))


async def _api(plant: Plant, host: str, port: int) -> int:
    stop, store = stop_on_signal(), historian()
    try:
        async with served(create_app(Store(plant, store, SystemClock())), host, port) as url:
            print(f"page and API: {url}", flush=True)
            await stop.wait()
    finally:
        store.close()
    return 0


async def _nothing() -> None:
    """No farewell."""


async def _until_signal(
    service: Coroutine[None, None, None], farewell: Callable[[], Awaitable[None]] = _nothing
) -> int:
    """Run a service until SIGINT or SIGTERM and its ``farewell`` after that, or raise what ended it."""
    stop = stop_on_signal()
    running = asyncio.create_task(service, name="service")
    asked = asyncio.create_task(_asked(stop, farewell), name="signal")
    await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if not running.done():
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return 0
    fault = running.exception()
    if fault is not None:
        raise first_cause(fault)
    return 1


async def _asked(stop: asyncio.Event, farewell: Callable[[], Awaitable[None]]) -> None:
    await stop.wait()
    await farewell()
