from collections.abc import Mapping
from dataclasses import replace

import pytest

from kpi.statements import conflicts
from shopfloor.instant import HOUR, MINUTE, SECOND
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import Product
from shopfloor.statement import Statement, StatementKind
from tests.production import START, machine, meter
from tests.stated import REASONS, category, reason, said

UNIT = machine(reasons=REASONS, products={"disc": Product("disc", {})}).unit
NOW = START + 10 * HOUR


def refusal(new: Statement, *others: Statement) -> str:
    line = conflicts(new, others, UNIT, NOW)
    assert line is not None
    assert "\n" not in line
    return line


def accepted(new: Statement, *others: Statement) -> bool:
    return conflicts(new, others, UNIT, NOW) is None


def quantity(start: float = 0, end: float | None = 3600, **quantities: float) -> Statement:
    return said(StatementKind.QUANTITY, start, end, quantities=quantities)


def test_sound_statements_are_accepted() -> None:
    assert accepted(reason(0, 60, "jam"))
    assert accepted(reason(0, None, "jam"))
    assert accepted(category(0, 60, TimeCategory.SETUP))
    assert accepted(said(StatementKind.ORDER, 0, None, order="4711", product="disc"))
    assert accepted(quantity(produced=100, good=90, scrap=10))
    assert accepted(said(StatementKind.SIGN_OFF, 0, 8 * 3600))


def test_a_statement_that_ends_before_it_starts_is_refused() -> None:
    assert "is not after the start" in refusal(reason(60, 60, "jam"))
    assert "is not after the start" in refusal(reason(60, 30, "jam"))


def test_the_future_and_the_distant_past_are_refused() -> None:
    late = NOW - START + 61 * SECOND
    assert "lies in the future" in refusal(reason(late / SECOND, None, "jam"))
    assert "lies in the future" in refusal(reason(0, late / SECOND, "jam"))
    assert accepted(reason(0, late / SECOND - 1, "jam"))
    assert "before 1970" in refusal(replace(reason(0, 60, "jam"), start=-1))
    assert "lies in the future" in refusal(replace(reason(0, 60, "jam"), end=10**18))


def test_a_statement_longer_than_a_month_is_refused() -> None:
    long = replace(category(0, 60, TimeCategory.SETUP), start=START - 31 * 24 * HOUR)
    assert "longer than 31 days" in refusal(long)
    assert "longer than 31 days" in refusal(replace(long, end=None))


def test_an_unknown_reason_is_refused_with_the_nearest() -> None:
    assert "unknown reason 'brakdown'; did you mean 'breakdown'?" in refusal(reason(0, 60, "brakdown"))
    assert "known are breakdown, jam" in refusal(reason(0, 60, "zzz"))
    assert "needs a reason" in refusal(said(StatementKind.REASON, 0, 60))


def test_an_unknown_product_is_refused_with_the_nearest() -> None:
    assert "did you mean 'disc'?" in refusal(said(StatementKind.ORDER, 0, None, product="disk"))
    assert "needs an order" in refusal(said(StatementKind.ORDER, 0, None))


@pytest.mark.parametrize("word", [TimeCategory.NOT_SCHEDULED, TimeCategory.UNKNOWN, TimeCategory.MICRO_STOP])
def test_a_category_that_nobody_can_state_is_refused_with_what_to_do(word: TimeCategory) -> None:
    line = refusal(category(0, 60, word))
    assert str(word) in line
    assert any(remedy in line for remedy in ("change the calendar", "withdraw", "state unplanned_stop"))


def test_running_may_be_stated() -> None:
    assert accepted(category(0, 60, TimeCategory.RUNNING))
    assert "needs a category" in refusal(said(StatementKind.CATEGORY, 0, 60))


@pytest.mark.parametrize(
    ("quantities", "line"),
    [
        ({}, "at least one quantity"),
        ({"good": 0.0}, "at least one quantity"),
        ({"goods": 5.0}, "did you mean 'good'?"),
        ({"good": float("nan")}, "give a number"),
        ({"good": float("inf")}, "give a number"),
        ({"good": 1e12}, "larger than any statement may be"),
        ({"inspected": -5.0}, "is negative"),
        ({"attendance_s": -5.0}, "is negative"),
        ({"inspected": 5.0, "first_pass_good": 6.0}, "first_pass_good 6 is more than inspected 5"),
        ({"work_s": 60.0, "attendance_s": 50.0}, "work_s 60 is more than attendance_s 50"),
        ({"produced": 10.0, "good": 9.0, "scrap": 2.0}, "good + scrap 11 is more than produced 10"),
    ],
)
def test_impossible_quantities_are_refused(quantities: Mapping[str, float], line: str) -> None:
    assert line in refusal(said(StatementKind.QUANTITY, 0, 3600, quantities=quantities))


def test_a_count_may_be_corrected_downwards() -> None:
    assert accepted(quantity(good=-5.0, scrap=5.0), quantity(good=100.0))


def test_overlapping_statements_of_a_kind_are_refused_unless_superseded() -> None:
    old = category(0, 100, TimeCategory.SETUP)
    assert f"overlaps the category statement {old.id}" in refusal(category(99, 200, TimeCategory.STARVED), old)
    assert accepted(category(100, 200, TimeCategory.STARVED), old)
    assert accepted(reason(0, 100, "jam"), old)
    assert accepted(replace(category(99, 200, TimeCategory.STARVED), supersedes=old.id), old)
    undo = replace(category(0, 100, TimeCategory.SETUP), supersedes=old.id, withdrawn=True)
    assert accepted(category(99, 200, TimeCategory.STARVED), old, undo)


def test_an_open_order_stands_in_the_way_of_the_next() -> None:
    running = said(StatementKind.ORDER, 0, None, order="4711")
    assert "(2026-01-05T00:00:00Z to open)" in refusal(said(StatementKind.ORDER, 600, None, order="4712"), running)
    closed = replace(running, id="closed", end=START + 10 * MINUTE, supersedes=running.id)
    assert accepted(said(StatementKind.ORDER, 600, None, order="4712"), running, closed)


def test_an_open_reason_ends_where_it_was_made() -> None:
    open_reason = reason(0, None, "jam", made=60)
    assert accepted(reason(61, 100, "jam"), open_reason)
    assert "overlaps" in refusal(reason(50, 100, "jam"), open_reason)


def test_the_same_quantity_is_not_stated_twice_for_one_time() -> None:
    assert "overlaps the quantity statement" in refusal(quantity(good=5.0), quantity(good=5.0))
    assert accepted(quantity(scrap=5.0), quantity(good=5.0))


def test_what_is_superseded_must_be_there_and_still_stand() -> None:
    old = reason(0, 60, "jam")
    assert "no statement has the id nothing" in refusal(replace(reason(0, 60, "jam"), supersedes="nothing"))
    elsewhere = replace(old, unit="ceper/machining/line-1/cnc-02")
    assert "only a statement on that unit" in refusal(replace(reason(0, 60, "jam"), supersedes=old.id), elsewhere)
    setup = category(0, 60, TimeCategory.SETUP)
    assert "withdraw it" in refusal(replace(reason(0, 60, "jam"), supersedes=setup.id), setup)
    newer = replace(reason(0, 60, "breakdown"), supersedes=old.id)
    late = replace(reason(0, 60, "no-material"), supersedes=old.id)
    assert f"already superseded by {newer.id}" in refusal(late, old, newer)


def test_a_withdrawal_needs_only_what_it_undoes() -> None:
    old = reason(0, 60, "jam")
    assert accepted(replace(reason(0, 60, "long-gone"), supersedes=old.id, withdrawn=True), old)
    assert "needs supersedes" in refusal(replace(reason(0, 60, "jam"), withdrawn=True))


def test_a_statement_is_on_its_unit_and_has_an_author_and_an_id_of_its_own() -> None:
    assert "send it to the unit" in refusal(replace(reason(0, 60, "jam"), unit="a/b/c/d"))
    assert "needs its author" in refusal(replace(reason(0, 60, "jam"), author=" "))
    old = reason(0, 60, "jam")
    assert "is taken" in refusal(replace(old, reason="breakdown"), old)
    assert accepted(old, old)


def test_a_meter_has_no_stops() -> None:
    unit = meter().unit
    line = conflicts(replace(reason(0, 60, "jam"), unit=str(unit.path)), (), unit, NOW)
    assert line is not None
    assert "is a meter" in line


def test_a_sign_off_needs_its_end() -> None:
    assert "needs the end of its shift" in refusal(said(StatementKind.SIGN_OFF, 0, None))
