"""Statements at rest: what one process said no other can overwrite, and its dirty interval is there with it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from historian.connect import connect
from historian.historian import Historian
from historian.point import Point, Query
from historian.records import Dirty, dirty_point, point_dirty
from historian.schema import Measurement, Origin
from historian.statements import all_statements, put, statements_of
from shopfloor.instant import HOUR, parse_instant
from shopfloor.machine_state import TimeCategory
from shopfloor.statement import STATED_QUANTITIES, Statement, StatementKind

MADE = parse_instant("2026-01-05T09:00:00Z")
UNIT = "s/a/line-1/cnc-01"
ENTERPRISE = "acme"
SAYER = Path(__file__).with_name("sayer.py")
TEXTS = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc"]), max_size=20)
OPTIONAL = st.none() | TEXTS.filter(bool)


def stated(number: int = 1, **changes: object) -> Statement:
    given: dict[str, object] = {
        "id": f"00000000-0000-4000-8000-{number:012}",
        "unit": UNIT,
        "kind": StatementKind.REASON,
        "start": MADE - HOUR,
        "end": MADE,
        "author": "sari",
        "made_at": MADE,
        "reason": "tool_broken",
    }
    return Statement(**(given | changes))  # type: ignore[arg-type]


def say(historian: Historian, statement: Statement) -> None:
    put(historian, ENTERPRISE, statement, touched=(statement.start, statement.end or statement.start + 1))


def dirties(historian: Historian) -> list[Dirty]:
    return [point_dirty(point) for point in historian.read(Query(Measurement.DIRTY, {"origin": "statement"}))]


statements = st.builds(
    Statement,
    id=st.just(""),
    unit=st.just(UNIT),
    kind=st.sampled_from(StatementKind),
    start=st.integers(0, 2**42),
    end=st.none() | st.integers(0, 2**42),
    author=TEXTS,
    made_at=st.just(MADE),
    supersedes=st.none() | st.uuids().map(str),
    withdrawn=st.booleans(),
    reason=OPTIONAL,
    category=st.none() | st.sampled_from(TimeCategory),
    product=OPTIONAL,
    order=OPTIONAL,
    quantities=st.dictionaries(st.sampled_from(STATED_QUANTITIES), st.floats(-1e9, 1e9)),
    note=TEXTS,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statements)
def test_a_statement_comes_back_as_it_was_put(historian: Historian, statement: Statement) -> None:
    statement = replace(statement, id=str(uuid4()))
    say(historian, statement)
    assert statement in all_statements(historian, ENTERPRISE, UNIT)
    interval = next(dirty for dirty in dirties(historian) if dirty.cause == f"statement {statement.id}")
    assert (interval.start, interval.who, interval.done) == (statement.start, statement.author, False)


def test_many_statements_of_one_millisecond_keep_apart(historian: Historian) -> None:
    made = [stated(number) for number in range(5)]
    for statement in [*made, *reversed(made)]:
        say(historian, statement)
    assert sorted(all_statements(historian, ENTERPRISE), key=lambda each: each.id) == made
    assert len(dirties(historian)) == 5
    say(historian, stated(9, unit="s/a/line-1/cnc-02"))
    assert len(all_statements(historian, ENTERPRISE, UNIT)) == 5


def test_putting_it_again_opens_its_interval_again(historian: Historian) -> None:
    say(historian, stated())
    (interval,) = dirties(historian)
    historian.write([dirty_point(ENTERPRISE, replace(interval, done=True))])
    assert dirties(historian)[0].done
    say(historian, stated())
    assert [dirty.done for dirty in dirties(historian)] == [False]


def test_a_point_of_another_is_refused_and_its_own_is_not(historian: Historian) -> None:
    mine = Dirty(UNIT, MADE, 1, 2, origin=Origin.STATEMENT, id="a")
    theirs = replace(mine, start=5, end=9, id="b")
    points = [dirty_point(ENTERPRISE, each) for each in (mine, theirs, replace(mine, done=True))]
    report = historian.write(points)
    assert report.accepted == {0, 2}
    assert "taken" in report.rejected[1]
    again = historian.write(points[1:2])
    assert list(again.rejected) == [0]
    assert dirties(historian) == [replace(mine, done=True)]


def test_only_what_overlaps_is_given_with_whatever_replaced_it(historian: Historian) -> None:
    first = stated(1)
    moved = stated(2, start=MADE + 5 * HOUR, end=MADE + 6 * HOUR, made_at=MADE + 1, supersedes=first.id)
    undone = stated(
        3, start=MADE + 8 * HOUR, end=MADE + 9 * HOUR, made_at=MADE + 2, supersedes=moved.id, withdrawn=True
    )
    running = stated(4, start=MADE - 9 * HOUR, end=None, kind=StatementKind.ORDER, order="A-17", made_at=MADE + 3)
    elsewhere = stated(5, start=MADE - 20 * HOUR, end=MADE - 10 * HOUR, made_at=MADE + 4)
    for each in (first, moved, undone, running, elsewhere):
        say(historian, each)
    assert statements_of(historian, ENTERPRISE, UNIT, MADE - HOUR, MADE) == [first, moved, undone, running]
    assert statements_of(historian, ENTERPRISE, UNIT, MADE + 5 * HOUR, None) == [moved, undone, running]
    assert statements_of(historian, ENTERPRISE, UNIT, None, MADE - 9 * HOUR) == [elsewhere]
    assert len(statements_of(historian, ENTERPRISE, UNIT)) == 5


def test_what_can_never_be_stored_is_told(historian: Historian) -> None:
    with pytest.raises(ValueError, match="control character"):
        say(historian, stated(note="a\x00b"))
    assert all_statements(historian, ENTERPRISE) == []


def test_processes_that_speak_at_once_never_overwrite_one_another(url: str) -> None:
    said = 60
    historian = connect(url)
    try:
        speakers = [
            subprocess.Popen([sys.executable, str(SAYER), url, str(speaker), str(said)]) for speaker in range(2)
        ]
        assert [speaker.wait(timeout=50) for speaker in speakers] == [0, 0]
        ids = {each.id for each in all_statements(historian, ENTERPRISE)}
        assert ids == {f"speaker-{speaker}-{number}" for speaker in range(2) for number in range(said)}
        assert {dirty.id for dirty in dirties(historian)} == ids
        assert {(dirty.start, dirty.end) for dirty in dirties(historian)} == {(0, 10), (1, 11)}
    finally:
        historian.close()


def test_a_kill_leaves_a_statement_with_its_interval_or_neither(url: str) -> None:
    with subprocess.Popen([sys.executable, str(SAYER), url, "0", "100000"]) as speaker:
        historian = connect(url)
        try:
            while len(all_statements(historian, ENTERPRISE)) < 20:
                assert speaker.poll() is None
            speaker.kill()
            speaker.wait()
            ids = {each.id for each in all_statements(historian, ENTERPRISE)}
            assert {dirty.id for dirty in dirties(historian)} == ids
        finally:
            speaker.kill()
            historian.close()


def test_stored_statements_are_plain_points(historian: Historian) -> None:
    say(historian, stated(end=None, quantities={"scrap": -3.0}, reason=None, kind=StatementKind.QUANTITY))
    (point,) = historian.read(Query(Measurement.STATEMENTS))
    assert isinstance(point, Point)
    assert "end" not in point.fields
    assert point.fields["quantity_scrap"] == -3.0
