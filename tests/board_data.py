"""Days of the example plant in an InfluxDB, for its boards: samples enter at the outbox, the end comes by Modbus.

Everything after the outbox is real: forwarder, mosquitto, ingest with its facts engine and publisher, influxd. Some of
the stops get a reason, as operators give them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from historian.connect import connect
from historian.influx_access import InfluxAccess
from historian.influx_setup import DAY, set_up
from kpi_api.app import create_app
from kpi_api.server import served
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.instant import HOUR, MINUTE, Instant, parse_instant
from shopfloor.plant import Plant
from tests.influxd import InfluxDaemon
from tests.weeks_edits import People
from tests.weeks_wire import example_plant, wired

START: Final = parse_instant("2025-11-03T06:00:00+07:00")
"""A Monday, the morning shift's begin."""
RUNNING: Final = HOUR
"""So much of the running shift comes after the whole days: it is not over, and neither is its day."""
BY_MODBUS: Final = 20 * MINUTE
"""The last of it, by which the agent tells of itself too."""
KEPT_DAYS: Final = 100 * 365
"""Raw data of a fixed date are kept, whenever this runs."""
SEED: Final = 7


@dataclass(frozen=True, slots=True)
class BoardData:
    """A filled database."""

    plant: Plant
    plant_file: Path
    url: str
    now: Instant
    """A minute after the end of the data: what agents told at that end is past, and stands in a board's range."""


def fresh_url(influx: InfluxDaemon) -> str:
    """The URL of a new database of its own."""
    url = influx.url(f"t{uuid4().hex}")
    made(url)
    return url


def made(url: str) -> None:
    """Make a database as ``shopfloor historian init`` does, raw samples in a policy of their own."""
    for _ in set_up(InfluxAccess.of(url, {}), KEPT_DAYS * DAY):
        pass


async def filled(folder: Path, url: str, days: int, scan_s: int) -> BoardData:
    """So many days and an hour, stored, derived and published."""
    plant, end = example_plant(folder, scan_s), START + days * DAY + RUNNING
    async with wired(folder, plant, SEED, START, url=url, at_least=end - BY_MODBUS) as wire:
        async with wire.feeder() as feeder:
            await feeder.feed(START, end - BY_MODBUS)
            await feeder.drained()
        await wire.modbus(end - BY_MODBUS, end)
        await wire.settled()
        people = People(wire.historian, plant, SEED, plant.reasons)
        await asyncio.to_thread(people.explain, START, end - BY_MODBUS)
        await wire.settled()
    return BoardData(plant, folder / "plant.yaml", url, end + MINUTE)


@asynccontextmanager
async def kpi_api(data: BoardData) -> AsyncIterator[str]:
    """The KPI API of the data over HTTP, at their now; gives its URL."""
    with closing(connect(data.url, {})) as historian:
        store = Store(data.plant, historian, CatchUpClock(data.now))
        async with served(create_app(store), port=0) as url:
            yield url
