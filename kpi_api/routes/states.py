"""KPIs -> panels: what machines were doing, second by second."""

from typing import Annotated

from fastapi import APIRouter, Depends

from kpi_api import schemas
from kpi_api.routes.queries import Asked, TheStore, asked

router = APIRouter(prefix="/api/v1", tags=["states"], responses=schemas.PROBLEMS)


@router.get("/states")
def states(store: TheStore, query: Annotated[Asked, Depends(asked)]) -> schemas.Items[schemas.State]:
    """The state intervals of every machine in the window, from raw samples; at most 31 days. Meters have none."""
    return schemas.states_items(store.states(query.unit, query.start, query.end))
