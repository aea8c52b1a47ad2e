"""KPIs -> guidelines: what sites come to by smart-factory guidelines, and the guidelines themselves."""

from typing import Annotated

from fastapi import APIRouter, Query

from kpi_api import schemas
from kpi_api.questions import parse_time
from kpi_api.routes.queries import From, TheStore, To
from kpi_api.schemas_scorecards import GuidelineInfo, ScorecardItem, guideline_info, scorecard_item
from kpi_api.scorecards import scorecards
from shopfloor.instant import HOUR

router = APIRouter(prefix="/api/v1", tags=["guidelines"], responses=schemas.PROBLEMS)
Site = Annotated[str, Query(description="a site's id; * for every site, - for the enterprise", max_length=64)]
OneGuideline = Annotated[str | None, Query(description="one guideline's id; without it, all", max_length=64)]
DEFAULT_HOURS = 24


@router.get("/scorecards")
def scorecard_items(
    store: TheStore, site: Site = "*", guideline: OneGuideline = None, start: From = None, end: To = None
) -> schemas.Items[ScorecardItem]:
    """Evidence per site and guideline, by default of the last 24 hours. Not an official assessment."""
    until = store.now() if end is None else parse_time(end)
    since = until - DEFAULT_HOURS * HOUR if start is None else parse_time(start)
    found = scorecards(store, site, since, until, guideline)
    return schemas.Items[ScorecardItem](items=[scorecard_item(each) for each in found])


@router.get("/guidelines")
def guidelines(store: TheStore) -> schemas.Items[GuidelineInfo]:
    """The guidelines of the plant with their metrics, thresholds, weights and provenance."""
    return schemas.Items[GuidelineInfo](items=[guideline_info(each) for each in store.plant.guidelines])
