"""KPIs -> panels: the energy of units and places: amounts, price, carbon, bills, and savings against the baseline."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from kpi_api import schemas
from kpi_api.baselines import fitted_baselines
from kpi_api.energy import energy_items
from kpi_api.questions import By, parse_by
from kpi_api.routes.queries import Asked, TheStore, asked, slicing
from kpi_api.schemas_energy import Energy, FittedBaseline

router = APIRouter(prefix="/api/v1", tags=["energy"], responses=schemas.PROBLEMS)
Points = Annotated[str, Query(description="one point per hour, shift, day, week or month", max_length=64)]
Driver = Annotated[str, Query(description="the element that drives the energy, e.g. good_kg, produced", max_length=64)]


@router.get("/energy")
def energy(
    store: TheStore, query: Annotated[Asked, Depends(asked)], by: Annotated[By, Depends(slicing)]
) -> schemas.Items[Energy]:
    """One item per unit (or of one place) and slice; with by=month a bill per calendar month. Not by reason."""
    found = energy_items(store, query.unit, query.start, query.end, by)
    return schemas.Items[Energy](items=[Energy.model_validate(item) for item in found])


@router.get("/energy/baseline")
def baseline(
    store: TheStore, query: Annotated[Asked, Depends(asked)], by: Points = By.DAY.value, driver: Driver = "good_kg"
) -> schemas.Items[FittedBaseline]:
    """A regression baseline of each unit's own past, by least squares: for the plant file, once a person agrees."""
    found = fitted_baselines(store, query.unit, query.start, query.end, by=parse_by(by), driver=driver)
    return schemas.Items[FittedBaseline](items=[FittedBaseline.model_validate(each) for each in found])
