"""The oracle's own reading of what people state."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from shopfloor.machine_state import TimeCategory
from shopfloor.plant import WorkUnit
from shopfloor.reason import Reason
from shopfloor.statement import Statement, StatementKind
from simulators.edits import Interval, edited

MakeUnit = Callable[..., WorkUnit]
RUN, STOP, MICRO = TimeCategory.RUNNING, TimeCategory.UNPLANNED_STOP, TimeCategory.MICRO_STOP
PLANNED, STARVED, SETUP = TimeCategory.PLANNED_STOP, TimeCategory.STARVED, TimeCategory.SETUP
DAY = (Interval(0, 100, RUN), Interval(100, 200, STOP), Interval(200, 300, RUN), Interval(300, 400, SETUP))
REASONS = {
    "jam": Reason(id="jam", name={}),
    "service": Reason(id="service", name={}, category=PLANNED),
    "no-material": Reason(id="no-material", name={}, category=STARVED),
}


@pytest.fixture
def unit(make_unit: MakeUnit) -> WorkUnit:
    return replace(make_unit(), reasons=REASONS)


def because(reason: str, start: int, end: int, made_at: int = 0) -> Statement:
    return Statement(
        id=f"{reason}-{start}-{made_at}",
        unit="",
        kind=StatementKind.REASON,
        start=start,
        end=end,
        author="a",
        made_at=made_at,
        reason=reason,
    )


def used_for(category: TimeCategory, start: int, end: int) -> Statement:
    kind = StatementKind.CATEGORY
    return Statement(id="c", unit="", kind=kind, start=start, end=end, author="a", made_at=0, category=category)


def test_without_statements_nothing_changes(unit: WorkUnit) -> None:
    assert edited(unit, DAY, []) == DAY


def test_one_reason_moves_the_whole_stop_and_nothing_beside(unit: WorkUnit) -> None:
    assert edited(unit, DAY, [because("service", 150, 250)]) == (
        Interval(0, 100, RUN),
        Interval(100, 200, PLANNED),
        Interval(200, 300, RUN),
        Interval(300, 400, SETUP),
    )


def test_of_two_reasons_each_covers_its_own_and_the_longer_the_rest(unit: WorkUnit) -> None:
    said = [because("service", 110, 130), because("no-material", 140, 180)]
    assert edited(unit, DAY, said)[1:4] == (
        Interval(100, 110, STARVED),
        Interval(110, 130, PLANNED),
        Interval(130, 200, STARVED),
    )


def test_a_reason_without_category_leaves_stop_and_setup(unit: WorkUnit) -> None:
    assert edited(unit, DAY, [because("jam", 0, 400)]) == DAY


def test_a_setup_moves_only_for_a_reason_with_a_category(unit: WorkUnit) -> None:
    assert edited(unit, DAY, [because("service", 310, 320)])[-1] == Interval(300, 400, PLANNED)


def test_a_stated_category_holds_to_its_own_borders(unit: WorkUnit) -> None:
    assert edited(unit, DAY, [used_for(PLANNED, 120, 220)])[1:4] == (
        Interval(100, 120, STOP),
        Interval(120, 220, PLANNED),
        Interval(220, 300, RUN),
    )
