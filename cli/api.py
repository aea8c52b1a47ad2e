"""``shopfloor api``: the KPI API and the page."""

import argparse
import asyncio

from cli.historian_open import historian
from cli.plants import load_plant
from cli.signals import stop_on_signal
from kpi_api.app import create_app
from kpi_api.server import served
from kpi_api.store import Store
from shopfloor.clock import SystemClock
from shopfloor.errors import PlantError
from shopfloor.plant import Plant


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
