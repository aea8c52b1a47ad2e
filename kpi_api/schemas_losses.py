"""KPIs -> panels: the JSON of losses and stops."""

from pydantic import Field

from kpi_api.losses import LossAnswer
from kpi_api.schemas import Answer, Ratio, Time


class Bar(Answer):
    """One bar of a waterfall."""

    id: str
    name: dict[str, str]
    seconds: float = Field(description="lost time; the speed bar is negative where the unit ran faster than planned")
    factor: str = Field(description="availability | effectiveness | quality | unknown")


class ParetoBar(Answer):
    """One reason, or one category of which nobody told the reason."""

    category: str
    reason: str
    name: dict[str, str]
    seconds: float
    count: float
    share: Ratio
    cumulative: Ratio


class Losses(Answer):
    """The losses of a unit or place in [start, end): PBT less all bars of the waterfall is the good run time."""

    unit: str
    start: Time
    end: Time
    shift: str | None
    period: str | None
    planned_busy_s: float
    good_run_s: float
    waterfall: list[Bar]
    six_big_losses: list[Bar] = Field(description="of Nakajima, and what is none of them: together the waterfall")
    pareto: list[ParetoBar] = Field(description="stopped time by reason, the longest first")
    coverage: Ratio
    final: bool
    revision: int
    flags: list[str]

    @classmethod
    def of(cls, answer: LossAnswer) -> "Losses":
        """The answer as JSON."""
        item = answer.item
        return cls(
            unit=item.unit,
            start=item.start,  # type: ignore[arg-type]
            end=item.end,  # type: ignore[arg-type]
            shift=item.shift,
            period=item.period,
            planned_busy_s=item.elements["planned_busy_s"],
            good_run_s=item.elements.get("good_run_s", 0.0),
            waterfall=[Bar.model_validate(bar) for bar in answer.waterfall],
            six_big_losses=[Bar.model_validate(bar) for bar in answer.six_big_losses],
            pareto=[ParetoBar.model_validate(bar) for bar in answer.pareto],
            coverage=item.coverage,
            final=item.final,
            revision=item.revision,
            flags=list(item.flags),
        )


class Stop(Answer):
    """A stop of a machine, derived; it carries the statement that overlaps it most."""

    id: str = Field(description="for POST stops/{id}/reason; late data may move a stop and so change it")
    unit: str
    start: Time
    end: Time | None = Field(description="null while it lasts")
    seconds: float
    category: str
    code: int | None
    reason: str = Field(description="empty where nobody stated one")
    reason_name: dict[str, str]
    statement: str
    failure: bool
