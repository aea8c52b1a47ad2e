"""KPIs -> panels: the service's own figures for Prometheus, in a registry of their own."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kpi_api.store import Store

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of requests, and the plant's ledger and data age at the time of the scrape."""

    def __init__(self, store: Store) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_PlantCollector(store))
        self._requests = Counter(
            "shopfloor_api_requests", "answered requests", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "shopfloor_api_request_seconds", "time to the head of the answer", ("route",), registry=self._registry
        )
        self.streams = Gauge("shopfloor_api_streams", "open live streams", registry=self._registry)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one answer; ``seconds`` from the request to the head of the answer."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def exposition(self) -> bytes:
        """All figures in the Prometheus text format."""
        return generate_latest(self._registry)


class _PlantCollector(Collector):
    """Reads the store when it is scraped."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterable[Metric]:
        return ()  # registering must not read the store

    def collect(self) -> Iterator[Metric]:
        answer = self._store.ledger()
        ledger = GaugeMetricFamily("shopfloor_ledger_samples", "the loss ledger, in samples", labels=["agent", "count"])
        for agent, counts in answer.agents.items():
            for name, value in asdict(counts).items():
                ledger.add_metric([agent, name], value)
        yield ledger
        yield GaugeMetricFamily("shopfloor_dead_letters", "messages that were refused", value=answer.dead_letters)
        age = GaugeMetricFamily("shopfloor_data_age_seconds", "age of a unit's newest sample", labels=["unit"])
        for unit, instant in self._store.horizons().items():
            age.add_metric([unit], (self._store.now() - instant) / 1000)
        yield age


class RequestMeter:
    """ASGI middleware that counts every answer by its route's pattern, so that labels stay few."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()

        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                self._metrics.answered(route, message["status"], perf_counter() - began)
            await send(message)

        await self._app(scope, receive, count)
