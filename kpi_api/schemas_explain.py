"""KPIs -> panels: the JSON of an explanation."""

from pydantic import Field

from kpi_api import schemas
from kpi_api.explain import Explanation
from kpi_api.schemas import Answer, Ratio, SignOff, State, Time
from kpi_api.schemas_statements import Statement


class Definition(Answer):
    """What the KPI means."""

    id: str
    name: dict[str, str]
    formula: str
    unit: str
    direction: str
    range: str
    source: str
    confidence: str
    notes: str


class Input(Answer):
    """An element that the formula reads, and the parts of those that are sums."""

    element: str
    value: float
    unit: str
    meaning: str
    formula: str


class Revision(Answer):
    """One change of a shift that was final."""

    unit: str
    shift: str
    shift_start: Time
    n: int
    at: Time
    cause: str
    who: str
    before: Ratio = Field(description="the KPI of the shift before the change")
    after: Ratio
    changed: dict[str, tuple[float, float]] = Field(description="column -> its sum before and after")


class Missing(Answer):
    """A stretch of which nothing is known."""

    start: Time
    end: Time


class Child(Answer):
    """A unit's part in a place's KPI."""

    unit: str
    value: Ratio
    coverage: Ratio
    counts: bool


class Explained(Answer):
    """Everything behind one number."""

    unit: str
    start: Time
    end: Time
    definition: Definition
    value: Ratio
    filled: str = Field(description="the formula with its numbers")
    inputs: list[Input]
    time_s: dict[str, float]
    intervals: list[State] | None = Field(description="null for a place, or a window too long for raw samples")
    missing: list[Missing] | None
    coverage: Ratio
    policy: list[str]
    plan_revision: str
    statements: list[Statement]
    revisions: list[Revision]
    final: bool
    watermark: Time | None
    why_provisional: list[str]
    signed: SignOff | None
    flags: list[str]
    targets: dict[str, Ratio]
    children: list[Child]

    @classmethod
    def of(cls, found: Explanation) -> "Explained":
        """The explanation as JSON."""
        item = found.item
        return cls(
            unit=item.unit,
            start=schemas.rfc3339(item.start),
            end=schemas.rfc3339(item.end),
            definition=Definition.model_validate(found.definition),
            value=found.value,
            filled=found.filled,
            inputs=[Input.model_validate(each) for each in found.inputs],
            time_s=dict(found.time_s),
            intervals=None
            if found.intervals is None
            else [State.model_validate(interval) for interval in found.intervals],
            missing=None
            if found.missing is None
            else [Missing(start=schemas.rfc3339(low), end=schemas.rfc3339(high)) for low, high in found.missing],
            coverage=item.coverage,
            policy=list(found.policy),
            plan_revision=found.plan_revision,
            statements=[Statement.model_validate(each) for each in found.statements],
            revisions=[Revision.model_validate(each) for each in found.revisions],
            final=item.final,
            watermark=None if found.watermark is None else schemas.rfc3339(found.watermark),
            why_provisional=list(found.why_provisional),
            signed=None if item.signed is None else SignOff.model_validate(item.signed),
            flags=list(item.flags),
            targets=dict(item.targets),
            children=[Child.model_validate(each) for each in found.children],
        )
