"""People -> statements: what people say beside the machine's data, and what they take back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from kpi_api import schemas
from kpi_api.claims import Claim
from kpi_api.questions import parse_time
from kpi_api.routes.queries import Asked, TheStore, asked, author_of
from kpi_api.schemas_statements import Stated, Statement, StatementBody, WithdrawBody

router = APIRouter(prefix="/api/v1", tags=["statements"])
StatementId = Annotated[str, Path(max_length=64)]
Withdrawn = Annotated[bool, Query(description="also what was superseded or withdrawn, and the withdrawals")]


@router.get("/statements", responses=schemas.PROBLEMS)
def statements(
    store: TheStore, query: Annotated[Asked, Depends(asked)], withdrawn: Withdrawn = False
) -> schemas.Items[Statement]:
    """The statements that touch the window, by unit and time."""
    found = store.statements_in(query.unit, query.start, query.end, withdrawn=withdrawn)
    return schemas.Items[Statement](items=[Statement.model_validate(each) for each in found])


@router.post("/statements", status_code=201, responses=schemas.WRITE_PROBLEMS)
def state(store: TheStore, request: Request, body: StatementBody) -> Stated:
    """State a category, an order, a quantity or a reason. 201 only when the historian has it."""
    claim = Claim(
        unit=body.unit.strip("/"),
        kind=body.kind,
        start=parse_time(body.start),
        end=None if body.end is None else parse_time(body.end),
        author=author_of(request, body.author),
        reason=body.reason,
        category=body.category,
        product=body.product,
        order=body.order,
        quantities=body.quantities,
        note=body.note,
        supersedes=body.supersedes,
    )
    return Stated.of(store.statements.state(claim))


@router.post("/statements/{statement_id}/withdraw", status_code=201, responses=schemas.WRITE_PROBLEMS)
def withdraw(store: TheStore, request: Request, statement_id: StatementId, body: WithdrawBody) -> Stated:
    """Undo a statement: what it replaced holds again."""
    author = author_of(request, body.author)
    return Stated.of(store.statements.withdraw(statement_id, author, body.note))
