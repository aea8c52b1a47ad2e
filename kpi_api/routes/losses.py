"""KPIs -> panels: what time was lost to."""

from typing import Annotated

from fastapi import APIRouter, Depends

from kpi_api import schemas
from kpi_api.questions import By
from kpi_api.routes.queries import Asked, TheStore, asked, slicing
from kpi_api.schemas_losses import Losses

router = APIRouter(prefix="/api/v1", tags=["losses"], responses=schemas.PROBLEMS)


@router.get("/losses")
def losses(
    store: TheStore, query: Annotated[Asked, Depends(asked)], by: Annotated[By, Depends(slicing)]
) -> schemas.Items[Losses]:
    """Waterfall, six big losses and Pareto per unit (or of one place) and slice of time."""
    found = store.loss_answers(query.unit, query.start, query.end, by)
    return schemas.Items[Losses](items=[Losses.of(answer) for answer in found])
