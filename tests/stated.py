"""What people say in tests: a small tree of reasons, and statements in seconds after START."""

from itertools import count

from shopfloor.instant import SECOND
from shopfloor.machine_state import TimeCategory
from shopfloor.reason import Maintenance, Reason
from shopfloor.statement import Statement, StatementKind
from tests.production import MACHINE, START

REASONS = {
    reason.id: reason
    for reason in (
        Reason(id="breakdown", name={}, failure=True, maintenance=Maintenance.CORRECTIVE),
        Reason(id="no-material", name={}, category=TimeCategory.STARVED),
        Reason(id="jam", name={}),
        Reason(id="service", name={}, category=TimeCategory.PLANNED_STOP, maintenance=Maintenance.PREVENTIVE),
    )
}
_numbers = count()


def said(
    kind: StatementKind, start: float, end: float | None, *, made: float | None = None, **what: object
) -> Statement:
    """A statement on [start, end) in seconds after START."""
    until = None if end is None else START + round(end * SECOND)
    made_at = START + round((made if made is not None else end or start) * SECOND)
    number = f"s{next(_numbers)}"
    return Statement(
        id=str(what.pop("id", number)),
        unit=MACHINE,
        kind=kind,
        start=START + round(start * SECOND),
        end=until,
        author="budi",
        made_at=made_at,
        **what,  # type: ignore[arg-type]
    )


def reason(start: float, end: float | None, why: str, made: float | None = None) -> Statement:
    return said(StatementKind.REASON, start, end, made=made, reason=why)


def category(start: float, end: float | None, what: TimeCategory, made: float | None = None) -> Statement:
    return said(StatementKind.CATEGORY, start, end, made=made, category=what)
