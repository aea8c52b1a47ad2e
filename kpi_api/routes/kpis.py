"""KPIs -> panels: the KPIs of units in windows of whole minutes."""

from typing import Annotated

from fastapi import APIRouter, Depends

from kpi_api import schemas
from kpi_api.questions import By
from kpi_api.routes.queries import Asked, TheStore, asked, slicing

router = APIRouter(prefix="/api/v1", tags=["kpis"], responses=schemas.PROBLEMS)


@router.get("/kpis")
def kpis(
    store: TheStore, query: Annotated[Asked, Depends(asked)], by: Annotated[By, Depends(slicing)]
) -> schemas.Items[schemas.Kpi]:
    """One item per unit and slice. A window that is not of whole minutes is widened to some, and flagged."""
    found = store.kpi_items(query.unit, query.start, query.end, by)
    return schemas.Items[schemas.Kpi](items=[schemas.Kpi.model_validate(item) for item in found])
