"""KPIs -> panels, and back: the stops of machines, and why they were."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from kpi_api import schemas
from kpi_api.claims import Claim
from kpi_api.questions import parse_time
from kpi_api.routes.queries import Asked, TheStore, asked, author_of
from kpi_api.schemas_losses import Stop
from kpi_api.schemas_statements import ReasonBody, Stated
from shopfloor.statement import StatementKind

router = APIRouter(prefix="/api/v1", tags=["stops"])
StopId = Annotated[str, Path(max_length=200, description="as /api/v1/stops gives it")]


@router.get("/stops", responses=schemas.PROBLEMS)
def stops(store: TheStore, query: Annotated[Asked, Depends(asked)]) -> schemas.Items[Stop]:
    """The stops of every machine that touch the window, with what was stated of them."""
    found = store.stop_answers(query.unit, query.start, query.end)
    return schemas.Items[Stop](items=[Stop.model_validate(stop) for stop in found])


@router.post("/stops/{stop_id}/reason", status_code=201, responses=schemas.WRITE_PROBLEMS)
def reason(store: TheStore, request: Request, stop_id: StopId, body: ReasonBody) -> Stated:
    """State why a stop was, or the part [from, to) of it. What was said of that part before is replaced."""
    stop = store.stops.stop(stop_id)
    claim = Claim(
        unit=stop.unit,
        kind=StatementKind.REASON,
        start=stop.start if body.start is None else parse_time(body.start),
        end=(store.now() if stop.end is None else stop.end) if body.end is None else parse_time(body.end),
        author=author_of(request, body.author),
        reason=body.reason,
        note=body.note,
    )
    return Stated.of(store.statements.reason(stop_id, claim))
