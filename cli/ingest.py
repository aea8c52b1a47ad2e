"""``shopfloor ingest``: what the agents send into the historian, and the facts of it."""

import argparse
import asyncio
import gc
import logging
from fnmatch import fnmatchcase
from typing import Final

from cli.environment import data_folder
from cli.historian_open import historian
from cli.ingest_page import ingest_page
from cli.plants import load_plant
from cli.published import publications
from cli.signals import until_signal
from cli.unit_plans import unit_plans
from ingest.service import IngestService
from messaging.access import BrokerAccess
from messaging.rights import INGEST
from shopfloor.clock import SystemClock
from shopfloor.errors import PlantError
from shopfloor.heap import give_back, share_one_heap
from shopfloor.plant import Plant

log = logging.getLogger(__name__)

GC_THRESHOLD: Final = 1_000_000
"""Containers made and not let go until the collector looks by itself: samples come and go by the ten thousand, and in
no circles, and to look at all that wait costs a fifth of what ingest can take."""
COLLECT_S: Final = 30.0
"""What errors have tied in circles stays so long at most."""


def ingest(arguments: argparse.Namespace) -> int:
    """Store what the agents that match ``--agents`` send, and keep their facts; shared with other such processes."""
    plant = load_plant(arguments.plant)
    mine = [agent for agent in plant.agents if fnmatchcase(agent, arguments.agents)]
    if not mine:
        raise PlantError(f"{arguments.plant}: no agent matches {arguments.agents!r}; it has {', '.join(plant.agents)}")
    return asyncio.run(_ingest(plant, mine))


async def _ingest(plant: Plant, agents: list[str]) -> int:
    share_one_heap()
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
                return await until_signal(service.run())
        finally:
            collecting.cancel()
    finally:
        store.close()


async def _collect() -> None:
    """Let go, now and then, what only the collector finds, and what nobody uses any more."""
    while True:
        await asyncio.sleep(COLLECT_S)
        gc.collect()
        await asyncio.to_thread(give_back)
