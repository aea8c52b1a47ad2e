"""People -> statements: the JSON in which people state, and in which it is told back."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from kpi_api.schemas import Answer, Time
from kpi_api.statements import Receipt
from shopfloor.machine_state import TimeCategory
from shopfloor.statement import StatementKind

Word = Annotated[str, Field(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]
Note = Annotated[str, Field(max_length=1_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Moment = Annotated[
    str, Field(max_length=64, description="RFC 3339 with offset", examples=["2026-01-05T06:00:00+07:00"])
]
Author = Annotated[
    Word | None, Field(description="who says so; needed where no API key is configured, and good to have anyway")
]


class Body(BaseModel):
    """Common to all bodies: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    author: Author = None
    note: Note = ""


class ReasonBody(Body):
    """Why a stop was, or the part [from, to) of it."""

    reason: Word
    start: Moment | None = Field(None, alias="from")
    end: Moment | None = Field(None, alias="to")


class StatementBody(Body):
    """A statement on a unit and [from, to); without ``to`` it holds until somebody says otherwise."""

    kind: StatementKind
    unit: Annotated[str, Field(max_length=160)]
    start: Moment = Field(alias="from")
    end: Moment | None = Field(None, alias="to")
    reason: Word | None = None
    category: TimeCategory | None = None
    product: Word | None = None
    order: Word | None = None
    quantities: dict[str, float] = Field(default_factory=dict, max_length=20)
    supersedes: Word | None = Field(None, description="id of the statement that this one replaces")


class WithdrawBody(Body):
    """Why a statement is taken back."""


class SignOffBody(Body):
    """A person vouches for a final shift."""

    unit: Annotated[str, Field(max_length=160)]
    shift_start: Moment


class Statement(Answer):
    """What somebody said. It is never changed: a later one supersedes or withdraws it."""

    id: str
    unit: str
    kind: str
    start: Time
    end: Time | None = Field(description="null while it holds")
    author: str
    made_at: Time
    supersedes: str | None
    withdrawn: bool
    reason: str | None
    category: str | None
    product: str | None
    order: str | None
    quantities: dict[str, float]
    note: str


class Rederived(Answer):
    """The stretch whose facts are derived again."""

    start: Time
    end: Time


class Stated(Answer):
    """The statement is durable; its facts follow within seconds."""

    statement: Statement
    also: list[Statement] = Field(description="what else had to be said: the rest of what was cut, or said again")
    rederived: Rederived

    @classmethod
    def of(cls, receipt: Receipt) -> "Stated":
        """The receipt as JSON."""
        return cls(
            statement=Statement.model_validate(receipt.statement),
            also=[Statement.model_validate(each) for each in receipt.also],
            rederived=Rederived.model_validate(receipt),
        )
