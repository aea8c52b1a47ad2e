"""``shopfloor simulate``, ``edge`` and ``ingest`` as real processes: what their pages say is what the API says."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from historian.connect import connect
from kpi_api.answers import Trouble
from kpi_api.store import Store
from messaging.broker import start_broker
from messaging.rights import INGEST
from shopfloor.clock import SystemClock
from shopfloor.plant import Plant
from shopfloor.plant_file import load
from tests.integration.conftest import require_mosquitto

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "plants" / "ceper" / "plant.yaml"
AGENT = "edge-ceper-1"
PATIENCE_S = 90


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def process(folder: Path, *command: str, **environment: str) -> AsyncIterator[None]:
    with (folder / f"{command[0]}.log").open("wb") as log:
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli.main", command[0], str(PLANT), *command[1:]),
            cwd=ROOT,
            env={**os.environ, "SHOPFLOOR_DATA": str(folder), **environment},
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            running.send_signal(signal.SIGTERM)
            await asyncio.wait_for(running.wait(), PATIENCE_S)
    assert running.returncode == 0, (folder / f"{command[0]}.log").read_text("utf-8")


async def scraped(client: httpx.AsyncClient, port: int) -> dict[str, float]:
    """The page's figures; empty while there is no page yet."""
    try:
        answer = await client.get(f"http://127.0.0.1:{port}/metrics")
    except httpx.TransportError:
        return {}
    lines = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def until(client: httpx.AsyncClient, port: int, wanted: Mapping[str, float]) -> dict[str, float]:
    """The first figures that reach what is wanted."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = await scraped(client, port)
            if all(found.get(name, -1) >= least for name, least in wanted.items()):
                return found
            await asyncio.sleep(0.2)


@pytest.fixture
def plant() -> Plant:
    return load(PLANT)


async def test_the_pages_of_edge_and_ingest_tell_the_same_story_as_the_api(tmp_path: Path, plant: Plant) -> None:
    require_mosquitto()
    broker = await start_broker(tmp_path / "broker", plant)
    edge, ingest = free_port(), free_port()

    def as_user(user: str, port: int) -> dict[str, str]:
        access = broker.access_for(user)
        return {
            "SHOPFLOOR_MQTT_URL": access.url,
            "SHOPFLOOR_MQTT_USERNAME": user,
            "SHOPFLOOR_MQTT_PASSWORD": access.password or "",
            "SHOPFLOOR_HEALTH": f"127.0.0.1:{port}",
        }

    try:
        async with httpx.AsyncClient(timeout=30) as client, process(tmp_path, "simulate"):
            async with asyncio.timeout(PATIENCE_S):
                while not (tmp_path / "endpoints.json").exists():  # noqa: ASYNC110 - another process makes it
                    await asyncio.sleep(0.1)
            endpoints = str(tmp_path / "endpoints.json")
            async with process(tmp_path, "ingest", **as_user(INGEST, ingest)):
                async with process(
                    tmp_path, "edge", "--agent", AGENT, "--endpoints", endpoints, **as_user(AGENT, edge)
                ):
                    confirmed = f'shopfloor_edge_confirmed_samples{{agent="{AGENT}"}}'
                    told = await until(client, edge, {confirmed: 30})
                    up = [name for name in told if name.startswith("shopfloor_edge_device_up")]
                    assert len(up) == len(plant.units)
                    assert {told[name] for name in up} == {1.0}
                    stored = await until(client, ingest, {"shopfloor_ingest_stored_samples_total": told[confirmed]})
                    assert stored["shopfloor_ingest_broker_connected"] == 1
                    for port in (edge, ingest):
                        ready = await client.get(f"http://127.0.0.1:{port}/health/ready")
                        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
                historian = connect(str(tmp_path / "historian"))
                store = Store(plant, historian, SystemClock())
                async with asyncio.timeout(PATIENCE_S):
                    while True:  # the agent's last word tells that all is confirmed
                        answer = await asyncio.to_thread(store.ledger)
                        ledger = answer.agents.get(AGENT)
                        if ledger and ledger.appended >= told[confirmed] and ledger.stored == ledger.appended:
                            break
                        await asyncio.sleep(0.2)
                account = answer.accounts[AGENT]
                historian.close()
        assert account.heard is not None
        assert account.receipt_moved is not None
        [outbox] = account.outboxes
        assert outbox.told is not None
        assert {concern.trouble for concern in account.concerns} <= {Trouble.WAITING, Trouble.SILENT}
    finally:
        await broker.stop()


async def test_a_wrong_address_of_the_page_is_one_clear_line(tmp_path: Path) -> None:
    environment = {**os.environ, "SHOPFLOOR_DATA": str(tmp_path), "SHOPFLOOR_HEALTH": "everywhere"}
    command = [sys.executable, "-m", "cli.main", "edge", str(PLANT), "--agent", AGENT]
    ended = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        "shopfloor: SHOPFLOOR_HEALTH='everywhere' is no address; write host:port, e.g. 127.0.0.1:9101\n"
    )
