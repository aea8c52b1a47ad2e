"""Real brokers and influxd on free ports. In CI a missing one is a failure."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from messaging import mosquitto
from messaging.broker import RunningBroker, start_broker
from tests import influxd

AGENTS = ["edge-ceper-1", "edge-2"]


def require_mosquitto() -> None:
    if mosquitto.find() is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("mosquitto is not installed")


@pytest.fixture(params=["mosquitto", "amqtt"])
async def any_broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningBroker]:
    """Each kind of broker that the demo may start."""
    if request.param == "mosquitto":
        require_mosquitto()
    broker = await start_broker(tmp_path / "broker", AGENTS, kind=request.param)
    yield broker
    await broker.stop()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[RunningBroker]:
    """mosquitto."""
    require_mosquitto()
    running = await start_broker(tmp_path / "broker", AGENTS, kind="mosquitto")
    yield running
    await running.stop()


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[influxd.InfluxDaemon]:
    """Debian's influxd, for the tests of one file."""
    influxd.require()
    daemon = influxd.InfluxDaemon(tmp_path_factory.mktemp("influxd")).start()
    yield daemon
    daemon.stop()
