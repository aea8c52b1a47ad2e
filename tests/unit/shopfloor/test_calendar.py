"""Calendars tile any window, belong to the day on which a shift starts, and survive days of 23 and 25 hours."""

import itertools
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor.calendar import OFF_SHIFT, Calendar, LocalRange, Planned, Shift
from shopfloor.instant import HOUR, MINUTE, parse_instant
from shopfloor.plant_file import load

ROOT = Path(__file__).parents[3]


def three_shift() -> Calendar:
    calendar = load(ROOT / "plants/ceper/plant.yaml").units["ceper/machining/line-1/cnc-01"].calendar.at(0)
    assert calendar is not None
    return calendar


START = parse_instant("2026-01-01T00:00:00Z")


@given(st.integers(0, 20_000), st.integers(1, 5_000))
def test_spans_tile_the_window_exactly(offset_minutes: int, length_minutes: int) -> None:
    start = START + offset_minutes * MINUTE
    end = start + length_minutes * MINUTE
    spans = three_shift().spans(start, end, "Asia/Jakarta")
    assert spans[0].start == start
    assert spans[-1].end == end
    assert all(left.end == right.start for left, right in itertools.pairwise(spans))


def test_a_shift_over_midnight_belongs_to_the_day_on_which_it_starts() -> None:
    span = three_shift().spans(*_at("2026-01-05T03:00:00+07:00"), "Asia/Jakarta")[0]
    assert (span.shift, span.day) == ("malam", date(2026, 1, 4))
    assert span.shift_start == parse_instant("2026-01-04T22:00:00+07:00")


def test_a_break_after_midnight_lies_in_the_night_shift() -> None:
    span = three_shift().spans(*_at("2026-01-05T02:10:00+07:00"), "Asia/Jakarta")[0]
    assert (span.shift, span.planned) == ("malam", Planned.PLANNED_STOP)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_has_its_true_length_where_the_clocks_change(day: str, hours: int) -> None:
    always = Calendar("always", (Shift("day", LocalRange(0, 1440)),))
    start = parse_instant(f"{day}T00:00:00+01:00" if day < "2026-03-30" else f"{day}T00:00:00+02:00")
    spans = [
        span for span in always.spans(start, start + 26 * HOUR, "Europe/Rome") if span.day == date.fromisoformat(day)
    ]
    assert sum(span.end - span.start for span in spans) == hours * HOUR


def test_a_closed_day_is_not_scheduled_and_named_off_shift() -> None:
    calendar = Calendar("c", (Shift("day", LocalRange(480, 960)),), {date(2026, 1, 5): ()})
    start = parse_instant("2026-01-05T00:00:00+07:00")
    spans = calendar.spans(start, start + 24 * HOUR, "Asia/Jakarta")
    assert {(span.planned, span.shift) for span in spans} == {(Planned.NOT_SCHEDULED, OFF_SHIFT)}


def _at(text: str) -> tuple[int, int]:
    start = parse_instant(text)
    return start, start + MINUTE
