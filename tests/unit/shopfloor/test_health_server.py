"""The health page over real sockets: what it answers, and that nobody can hold up the service through it."""

import asyncio
import json
import logging
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from shopfloor import health_server
from shopfloor.errors import Backpressure, ServiceUnavailable
from shopfloor.health_server import MOST, Address, Figure, FiguresCollector, health_address, health_page

KNOWN = (
    Figure("polled", "shopfloor_x_polled_samples", "samples", counter=True),
    Figure("lag_ms", "shopfloor_x_lag_seconds", "lag", scale=0.001),
    Figure("by_reason", "shopfloor_x_letters", "letters", label="reason"),
    Figure("absent", "shopfloor_x_absent", "never told"),
)
TOLD: Mapping[str, Any] = {"polled": 7, "lag_ms": 1_500, "by_reason": {'a"b': 2}, "unknown": 9, "absent": None}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def page(figures: Any = lambda: TOLD, ready: Any = lambda: None) -> AsyncIterator[httpx.AsyncClient]:
    address = Address("127.0.0.1", free_port())
    async with (
        health_page(address, FiguresCollector(KNOWN, figures, {"agent": "edge-1"}), ready),
        httpx.AsyncClient(base_url=f"http://{address}", timeout=30) as client,
    ):
        await answering(client)
        yield client


async def answering(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await client.get("/health/live")
            except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
                await asyncio.sleep(0.02)
            else:
                return


async def test_a_live_and_ready_process_says_so() -> None:
    async with page() as client:
        for path, status in (("/health/live", "live"), ("/health/ready", "ready")):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": status})
        assert (await client.get("/etc/passwd")).status_code == 404
        assert (await client.head("/health/live")).status_code == 200
        assert (await client.post("/health/live")).status_code == 501


async def test_figures_are_told_in_prometheus_words() -> None:
    async with page() as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert 'shopfloor_x_polled_samples_total{agent="edge-1"} 7.0' in lines
    assert 'shopfloor_x_lag_seconds{agent="edge-1"} 1.5' in lines
    assert 'shopfloor_x_letters{agent="edge-1",reason="a\\"b"} 2.0' in lines
    assert "absent" not in answer.text
    assert re.search(r"^process_resident_memory_bytes \d", answer.text, re.MULTILINE)


async def test_what_is_amiss_is_said_with_503() -> None:
    def away() -> Any:
        raise Backpressure("the disk is full")

    async with page(away, lambda: "not connected to the broker") as client:
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "not connected to the broker"})
        metrics = await client.get("/metrics")
        assert (metrics.status_code, metrics.json()) == (503, {"status": "the disk is full"})
        assert (await client.get("/health/live")).status_code == 200


async def test_a_process_whose_loop_stands_still_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_server, "STUCK_S", 0.5)
    async with page() as client:
        url = str(client.base_url)

        def asked_until_stuck() -> int:
            status = 200
            while status == 200:
                status = httpx.get(f"{url}/health/live", timeout=30).status_code
            return status

        found: list[int] = []
        asking = threading.Thread(target=lambda: found.append(asked_until_stuck()))
        asking.start()
        asking.join(60)  # the loop stands still here, and the page answers all the same
        assert found == [503]


async def test_slow_and_many_clients_are_hung_up_on_and_the_page_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_server, "PATIENCE_S", 1.0)
    async with page() as client:
        with ExitStack() as stack:
            before = threading.active_count()
            address = ("127.0.0.1", client.base_url.port or 0)
            slow = [stack.enter_context(socket.create_connection(address)) for _ in range(4 * MOST)]
            for one in slow:
                try:
                    one.sendall(b"GET /health/live HTTP/1.1\r\nX: ")
                except OSError:
                    continue
            await answering(client)
            assert threading.active_count() <= before + MOST + 1
            assert [_ended(one) for one in slow] == [True] * len(slow)


def _ended(one: socket.socket) -> bool:
    """Whether the other side hangs up, however slowly we go on."""
    one.settimeout(0.2)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            one.sendall(b"a")
            if one.recv(1) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


async def test_a_port_that_is_taken_is_one_clear_line_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(health_server, "RETRY_S", 0.05)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = Address("127.0.0.1", taken.getsockname()[1])
        async with health_page(address, FiguresCollector(KNOWN, lambda: TOLD), lambda: None):
            for _ in range(3_000):
                if caplog.records:
                    break
                await asyncio.sleep(0.01)
            await asyncio.sleep(3 * health_server.RETRY_S)  # told once, however often it is tried
            [line] = [record for record in caplog.records if record.levelno == logging.ERROR]
            assert str(address) in line.getMessage()
            assert "SHOPFLOOR_HEALTH" in line.getMessage()
            taken.close()
            async with httpx.AsyncClient(base_url=f"http://{address}", timeout=30) as client:
                await answering(client)
                assert json.loads((await client.get("/health/live")).text) == {"status": "live"}


async def test_without_an_address_there_is_no_page() -> None:
    before = threading.active_count()
    async with health_page(None, FiguresCollector(KNOWN, lambda: TOLD), lambda: None):
        assert threading.active_count() == before


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("", None),
        ("9101", Address("127.0.0.1", 9101)),
        (":9101", Address("127.0.0.1", 9101)),
        ("0.0.0.0:9101", Address("0.0.0.0", 9101)),
        ("[::1]:9101", Address("::1", 9101)),
    ],
)
def test_the_page_is_on_loopback_unless_a_host_is_given(told: str, address: Address | None) -> None:
    assert health_address({"SHOPFLOOR_HEALTH": told}) == address


@pytest.mark.parametrize("told", ["localhost", "1.2.3.4:", ":0", ":65536", "a:b", ":-1", ":٣"])
def test_a_wrong_address_is_refused_with_an_example(told: str) -> None:
    with pytest.raises(ServiceUnavailable, match=r"write host:port, e\.g\. 127\.0\.0\.1:9101"):
        health_address({"SHOPFLOOR_HEALTH": told})
