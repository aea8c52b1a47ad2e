"""``shopfloor edge``: one agent, from its devices to the broker."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

import msgspec

from cli.edge_page import edge_page
from cli.environment import data_folder
from cli.plants import load_plant
from cli.signals import until_signal
from devices.library import load as load_template
from edge_agent.agent import EdgeAgent, Endpoint
from messaging.access import BrokerAccess
from shopfloor.clock import SystemClock
from shopfloor.errors import PlantError
from shopfloor.plant import Plant

log = logging.getLogger(__name__)


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
        return await until_signal(agent.run(), lambda: _drained(agent, drain_s))


async def _drained(agent: EdgeAgent, patience_s: float) -> None:
    """Poll no more, and wait until the historian has everything; what is held even then goes out at the next start."""
    if patience_s:
        await agent.stop_polling()
        if not await agent.drain(patience_s):
            print(f"{agent.agent_id}: {agent.backlog()} samples stay in the outbox", file=sys.stderr, flush=True)
