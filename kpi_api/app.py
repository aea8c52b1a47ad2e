"""KPIs -> panels: the HTTP application. Composition only; the answers come from ``store``."""

import asyncio
import os

from fastapi import FastAPI

from kpi_api import problems
from kpi_api.access import AccessGate, key_from
from kpi_api.contract import describe
from kpi_api.live import Snapshots
from kpi_api.metrics import Metrics, RequestMeter
from kpi_api.pages import overview
from kpi_api.routes import (
    energy,
    equipment,
    explain,
    health,
    kpis,
    ledger,
    losses,
    quality,
    scorecards,
    sign_off,
    statements,
    states,
    stops,
    stream,
)
from kpi_api.store import Store

DESCRIPTION = "KPIs of a plant. Times are RFC 3339 with offset, ratios 0..1, an undefined ratio is null."


NOUNS = (
    health,
    equipment,
    kpis,
    states,
    losses,
    stops,
    energy,
    quality,
    explain,
    scorecards,
    statements,
    sign_off,
    ledger,
    stream,
)


def create_app(store: Store, *, api_key: str | None = None, stream_interval_s: float = 2.0) -> FastAPI:
    """The application over one store.

    ``api_key`` defaults to the environment's SHOPFLOOR_API_KEY; without one only loopback clients are answered.
    ``app.state.closing`` ends all live streams when it is set, so that a server can stop at once.
    """
    app = FastAPI(title="Shopfloor KPI API", version="1", description=DESCRIPTION, docs_url=None, redoc_url=None)
    app.state.store = store
    app.state.metrics = Metrics(store)
    app.state.snapshots = Snapshots(store, stream_interval_s / 2)
    app.state.stream_interval_s = stream_interval_s
    app.state.closing = asyncio.Event()
    problems.install(app)
    for noun in NOUNS:
        app.include_router(noun.router)
    overview.install(app)
    describe(app)
    key = api_key or key_from(os.environ)
    app.state.keyed = key is not None
    app.add_middleware(AccessGate, key=key)
    app.add_middleware(overview.PageHeaders)
    app.add_middleware(RequestMeter, metrics=app.state.metrics)
    return app
