"""KPIs -> panels: why a KPI is what it is."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from kpi_api import schemas
from kpi_api.explain import explain as explained
from kpi_api.routes.queries import Asked, TheStore, asked
from kpi_api.schemas_explain import Explained

router = APIRouter(prefix="/api/v1", tags=["explain"], responses=schemas.PROBLEMS)
Kpi = Annotated[str, Query(description="id of a KPI, e.g. oee_index", max_length=64)]


@router.get("/explain")
def explain(
    store: TheStore, query: Annotated[Asked, Depends(asked)], kpi: Kpi = "oee_index"
) -> schemas.Items[Explained]:
    """Formula with numbers, inputs, intervals, missing spans, statements, revisions, and what it still waits for."""
    found = explained(store, query.unit, query.start, query.end, kpi)
    return schemas.Items[Explained](items=[Explained.of(each) for each in found])
