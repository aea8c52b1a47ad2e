"""KPIs -> panels: the live stream of server-sent events."""

import asyncio
import logging
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from kpi_api.live import Snapshots, Span
from kpi_api.metrics import Metrics
from kpi_api.schemas import PROBLEMS
from shopfloor.errors import ShopfloorError

router = APIRouter(prefix="/api/v1", tags=["stream"], responses={503: PROBLEMS[503]})
log = logging.getLogger(__name__)
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.get("/stream", response_class=StreamingResponse)
async def stream(request: Request, window: Span = Span.EIGHT_HOURS) -> StreamingResponse:
    """Server-sent events: a ``snapshot`` (schema Snapshot) every few seconds, until the client or the service goes."""
    state = request.app.state
    snapshots: Snapshots = state.snapshots
    events = _events(snapshots, window, state.stream_interval_s, state.closing, state.metrics)
    return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS)


async def _events(
    snapshots: Snapshots, window: Span, interval_s: float, closing: asyncio.Event, metrics: Metrics
) -> AsyncIterator[str]:
    failing = False
    with metrics.streams.track_inprogress():
        while not closing.is_set():
            try:
                event = f"event: snapshot\ndata: {await asyncio.to_thread(snapshots.json, window)}\n\n"
                failing = False
            except ShopfloorError as error:
                if not failing:
                    log.warning("no snapshot for the live stream: %s", error)
                event, failing = ": the store does not answer\n\n", True
            yield event
            await _closing_within(closing, interval_s)


async def _closing_within(closing: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await closing.wait()
    except TimeoutError:
        pass
