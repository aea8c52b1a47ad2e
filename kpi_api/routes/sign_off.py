"""People -> statements: a person vouches for a final shift."""

from fastapi import APIRouter, Request

from kpi_api import schemas
from kpi_api.questions import parse_time
from kpi_api.routes.queries import TheStore, author_of
from kpi_api.schemas_statements import SignOffBody, Stated

router = APIRouter(prefix="/api/v1", tags=["shifts"])


@router.post("/shifts/sign-off", status_code=201, responses=schemas.WRITE_PROBLEMS)
def sign_off(store: TheStore, request: Request, body: SignOffBody) -> Stated:
    """Sign a shift of a unit. Refused while it is provisional; a later change of it raises a flag."""
    author = author_of(request, body.author)
    return Stated.of(store.statements.sign_off(body.unit.strip("/"), parse_time(body.shift_start), author, body.note))
