"""KPIs -> panels: every sample accounted for."""

from fastapi import APIRouter

from kpi_api import schemas
from kpi_api.routes.queries import TheStore

router = APIRouter(prefix="/api/v1", tags=["ledger"], responses=schemas.PROBLEMS)


@router.get("/ledger")
def ledger(store: TheStore) -> schemas.Ledger:
    """The ledger of every agent, whether its identities hold, and the number of dead letters."""
    return schemas.Ledger.of(store.ledger())
