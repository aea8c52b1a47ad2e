"""KPIs -> panels: yields, and the capability and control charts of measured characteristics."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from kpi_api import schemas
from kpi_api.quality import quality_items
from kpi_api.routes.queries import Asked, TheStore, asked
from kpi_api.schemas_quality import Quality

router = APIRouter(prefix="/api/v1", tags=["quality"], responses=schemas.PROBLEMS)
Tag = Annotated[str | None, Query(description="a characteristic's tag; without it, all", max_length=64)]


@router.get("/quality")
def quality(
    store: TheStore, query: Annotated[Asked, Depends(asked)], characteristic: Tag = None
) -> schemas.Items[Quality]:
    """One item per machine in the window, at most 31 days; capability is computed from raw samples."""
    found = quality_items(store, query.unit, query.start, query.end, characteristic)
    return schemas.Items[Quality](items=[Quality.model_validate(item) for item in found])
