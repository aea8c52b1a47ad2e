"""A small page for machines about one process: ``/health/live``, ``/health/ready`` and ``/metrics`` for Prometheus.

Beside registers -> samples -> messages -> points -> facts -> KPIs -> panels, for services that have no web server. It
runs in threads of its own and reads plain figures; whoever asks slowly, often or wrongly can only make the page slow.
"""

import asyncio
import json
import logging
import socket
import socketserver
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from shopfloor.errors import ServiceUnavailable, ShopfloorError

log = logging.getLogger(__name__)

VARIABLE: Final = "SHOPFLOOR_HEALTH"
"""Environment variable: ``host:port`` of the page; no page without it."""
LOOPBACK: Final = "127.0.0.1"
MOST: Final = 8
"""Answers under way at one time; further ones are hung up on."""
PATIENCE_S: Final = 5.0
"""So long a whole request may take, however slowly it comes."""
STUCK_S: Final = 15.0
"""A process whose event loop has not moved for so long is not alive."""
BEAT_S: Final = 1.0
RETRY_S: Final = 10.0
"""A port that is taken is tried again."""
_POLL_S: Final = 0.25
_NO_PAGE: Final = (
    "no health page at %s: %s; give each service a free port of its own in %s. The service runs on, and tries again"
)


class Address(NamedTuple):
    """Where the page is."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def health_address(environment: Mapping[str, str]) -> Address | None:
    """Where the environment wants the page; loopback unless it names a host. Raises ServiceUnavailable."""
    told = environment.get(VARIABLE, "").strip()
    if not told:
        return None
    host, _, port = told.rpartition(":")
    if not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ServiceUnavailable(f"{VARIABLE}={told!r} is no address; write host:port, e.g. {LOOPBACK}:9101")
    return Address(host.strip("[]") or LOOPBACK, int(port))


# ---------------------------------------------------------------- figures


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a service and its place in Prometheus."""

    key: str
    """Its name among the service's figures."""
    name: str
    """Its metric's name, with the unit; of a counter without ``_total``."""
    help: str
    label: str | None = None
    """What its values are told apart by: then the figure is a mapping; None for a plain number."""
    counter: bool = False
    """It only grows within a process."""
    scale: float = 1.0
    """What the figure is multiplied by, e.g. 0.001 for milliseconds."""

    @property
    def exposed(self) -> str:
        """The name as it is written out."""
        return f"{self.name}_total" if self.counter else self.name


Figures = Callable[[], Mapping[str, Any]]
"""The figures now; called in a thread of the page. One that is missing or None has no line."""


class FiguresCollector(Collector):
    """Asks for the figures when it is scraped."""

    def __init__(self, known: Sequence[Figure], figures: Figures, labels: Mapping[str, str] | None = None) -> None:
        """``labels`` stand on every line."""
        self._known = known
        self._figures = figures
        self._labels = dict(labels or {})

    def describe(self) -> Iterable[Metric]:
        return ()  # registering must not ask

    def collect(self) -> Iterator[Metric]:
        told = self._figures()
        for figure in self._known:
            value = told.get(figure.key)
            if value is not None:
                yield self._metric(figure, value)

    def _metric(self, figure: Figure, value: Any) -> Metric:
        family = CounterMetricFamily if figure.counter else GaugeMetricFamily
        labels = [*self._labels, *([figure.label] if figure.label else [])]
        metric = family(figure.name, figure.help, labels=labels)
        for label, number in value.items() if figure.label else [("", value)]:
            named = [*self._labels.values(), *([str(label)] if figure.label else [])]
            metric.add_metric(named, float(number) * figure.scale)
        return metric


# ---------------------------------------------------------------- the page


@asynccontextmanager
async def health_page(
    address: Address | None, collector: Collector, ready: Callable[[], str | None]
) -> AsyncIterator[None]:
    """Serve the page while inside; without an address, nothing. ``ready`` tells what is amiss, None when nothing is.

    ``collector`` and ``ready`` are called in threads of the page. The service is not held up by its page: a port that
    is taken is told in one line and tried again.
    """
    if address is None:
        yield
        return
    pulse = _Pulse()
    page = _Page(collector, ready, pulse.stuck)
    serving = asyncio.create_task(_serve(address, page), name="health page")
    beating = asyncio.create_task(pulse.beat(), name="health pulse")
    try:
        yield
    finally:
        for task in (serving, beating):
            task.cancel()
        await asyncio.gather(serving, beating, return_exceptions=True)


async def _serve(address: Address, page: "_Page") -> None:
    told = False
    while True:
        try:
            server = _Server(address, page)
        except OSError as fault:
            if not told:
                why = fault.strerror or fault
                log.error(_NO_PAGE, address, why, VARIABLE)  # noqa: TRY400 - one line says it all
            told = True
            await asyncio.sleep(RETRY_S)
            continue
        break
    if told:
        log.warning("the health page is at %s now", address)
    thread = Thread(target=server.serve_forever, args=(_POLL_S,), name="health page", daemon=True)
    thread.start()
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.shield(asyncio.to_thread(server.shutdown))
        server.server_close()


class _Pulse:
    """Whether the event loop still moves."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    async def beat(self) -> None:
        while True:
            self._last = time.monotonic()
            await asyncio.sleep(BEAT_S)

    def stuck(self) -> str | None:
        """What is amiss; None when nothing is."""
        still = time.monotonic() - self._last
        return f"the event loop has not moved for {still:.0f} s" if still > STUCK_S else None


class _Page:
    """What is answered."""

    def __init__(self, collector: Collector, ready: Callable[[], str | None], stuck: Callable[[], str | None]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(collector)
        ProcessCollector(registry=self._registry)
        self._ready = ready
        self._stuck = stuck

    def answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, type and body for a path."""
        if path == "/health/live":
            return _health(self._stuck(), "live")
        if path == "/health/ready":
            return _health(self._stuck() or self._amiss(), "ready")
        if path == "/metrics":
            try:
                return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self._registry)
            except ShopfloorError as fault:
                return _health(str(fault), "")
        return _json(HTTPStatus.NOT_FOUND, "there are /health/live, /health/ready and /metrics")

    def _amiss(self) -> str | None:
        try:
            return self._ready()
        except ShopfloorError as fault:
            return str(fault)


def _health(amiss: str | None, well: str) -> tuple[HTTPStatus, str, bytes]:
    return _json(HTTPStatus.OK, well) if amiss is None else _json(HTTPStatus.SERVICE_UNAVAILABLE, amiss)


def _json(status: HTTPStatus, words: str) -> tuple[HTTPStatus, str, bytes]:
    return status, "application/json", json.dumps({"status": words}).encode()


class _Server(ThreadingHTTPServer):
    """A thread for each request, few at a time, each for a bounded time."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: Address, page: _Page) -> None:
        self.page = page
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._open: dict[socket.socket, float] = {}
        super().__init__((address.host, address.port), _Handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # without asking a name server who we are
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._open) >= MOST:
            self.shutdown_request(request)
            return
        self._open[request] = time.monotonic() + PATIENCE_S
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Hang up on whoever takes too long; called again and again while serving."""
        self._hang_up(time.monotonic())

    def server_close(self) -> None:
        super().server_close()
        self._hang_up(float("inf"))

    def _hang_up(self, now: float) -> None:
        for request, until in list(self._open.items()):
            if until < now:
                with suppress(OSError):  # it may be gone already
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a request of the health page failed", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE_S
    server_version = "shopfloor"
    sys_version = ""

    def do_GET(self) -> None:
        status, kind, body = self.server.page.answer(self.path.partition("?")[0])
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Scrapes are no news."""
