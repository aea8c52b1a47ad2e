"""KPIs -> panels: the service's own figures for Prometheus, in a registry of their own."""

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from historian.schema import NOBODY
from kpi_api.answers import NOTHING, AgentAccount, LedgerAnswer, Severity, Standing, receipt_lag_s, standing
from kpi_api.store import Store
from shopfloor.instant import Instant
from shopfloor.ledger import AgentLedger

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
        yield from _ledger_metrics(answer)
        age = GaugeMetricFamily("shopfloor_data_age_seconds", "age of a unit's newest sample", labels=["unit"])
        for unit, instant in self._store.horizons().items():
            age.add_metric([unit], (self._store.now() - instant) / 1000)
        yield age


def _ledger_metrics(answer: LedgerAnswer) -> Iterator[Metric]:
    """The books of every agent; an agent of which something is not known has no line there."""
    ledger = GaugeMetricFamily("shopfloor_ledger_samples", "the loss ledger, in samples", labels=["agent", "count"])
    for agent, counts in answer.agents.items():
        for name, value in counts.as_dict().items():
            ledger.add_metric([agent, name], value)
    yield ledger
    balanced = GaugeMetricFamily(
        "shopfloor_ledger_broken", "1 when an identity of the ledger is broken, else 0", labels=["agent"]
    )
    missing = GaugeMetricFamily(
        "shopfloor_ledger_missing_samples", "confirmed samples that are neither stored nor rejected", labels=["agent"]
    )
    for agent, counts in answer.agents.items():
        balanced.add_metric([agent], standing(counts) is Standing.BROKEN)
        missing.add_metric([agent], max(0, counts.confirmed - counts.stored - counts.rejected))
    yield balanced
    yield missing
    letters = GaugeMetricFamily(
        "shopfloor_dead_letters", "letters that were refused; agent - is nobody's", labels=["agent", "reason"]
    )
    whose = {**{agent: account.dead_letters for agent, account in answer.accounts.items()}, NOBODY: answer.unclaimed}
    for agent, by_reason in whose.items():
        for reason, count in by_reason.items():
            letters.add_metric([agent, reason], count)
    yield letters
    for name, text, of in _AGES:
        age = GaugeMetricFamily(name, text, labels=["agent"])
        for agent, account in answer.accounts.items():
            seconds = of(answer.agents.get(agent, NOTHING), account, answer.time)
            if seconds is not None:
                age.add_metric([agent], seconds)
        yield age
    concerns = GaugeMetricFamily(
        "shopfloor_ledger_concerns",
        "troubles of an agent's samples; GET /api/v1/ledger tells them",
        labels=["agent", "severity"],
    )
    for agent, account in answer.accounts.items():
        for severity in Severity:
            count = sum(concern.trouble.severity is severity for concern in account.concerns)
            concerns.add_metric([agent, severity], count)
    yield concerns


def _age_s(instant: Instant | None, now: Instant) -> float | None:
    return None if instant is None else max(0, now - instant) / 1000


_Age = Callable[[AgentLedger, AgentAccount, Instant], float | None]
_AGES: tuple[tuple[str, str, _Age], ...] = (
    ("shopfloor_receipt_lag_seconds", "age of the oldest sample that is not confirmed; 0 without one", receipt_lag_s),
    (
        "shopfloor_receipt_age_seconds",
        "time since a receipt last confirmed anything",
        lambda counts, account, now: _age_s(account.receipt_moved, now),
    ),
    (
        "shopfloor_stored_age_seconds",
        "age of the newest sample of the agent's units in the historian",
        lambda counts, account, now: _age_s(account.newest_stored, now),
    ),
    (
        "shopfloor_agent_silence_seconds",
        "time since the agent last said anything",
        lambda counts, account, now: _age_s(account.heard, now),
    ),
)
"""Name, help and value of what is measured in time."""


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
