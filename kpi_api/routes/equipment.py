"""KPIs -> panels: what the plant consists of, and each unit's newest sample."""

from fastapi import APIRouter

from kpi_api import schemas
from kpi_api.routes.queries import TheStore, Unit

router = APIRouter(prefix="/api/v1", tags=["equipment"], responses=schemas.PROBLEMS)


@router.get("/equipment")
def equipment(store: TheStore, unit: Unit = "*") -> schemas.EquipmentItems:
    """Every unit at or below ``unit``, in the order of the plant file."""
    wanted = {str(found.path) for found in store.units(unit)}
    return schemas.equipment_items([item for item in store.equipment() if item.unit in wanted], store.plant)
