"""KPIs -> panels: is the service alive, can it answer, and its figures for Prometheus."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from kpi_api.metrics import CONTENT_TYPE, Metrics
from kpi_api.routes.queries import TheStore
from kpi_api.schemas import PROBLEMS

router = APIRouter(tags=["health"])


@router.get("/health/live")
def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@router.get("/health/ready", responses={503: PROBLEMS[503]})
def ready(store: TheStore) -> dict[str, str]:
    """The historian answers too."""
    store.check()
    return {"status": "ready"}


@router.get("/metrics", response_class=Response)
def metrics(request: Request) -> Response:
    """The figures in the Prometheus text format."""
    figures: Metrics = request.app.state.metrics
    return Response(figures.exposition(), media_type=CONTENT_TYPE)
