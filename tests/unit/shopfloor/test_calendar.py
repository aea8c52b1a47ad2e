"""Calendars tile any window, belong to the day on which a shift starts, and survive days of 23 and 25 hours."""

import itertools
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopfloor.calendar import OFF_SHIFT, Calendar, LocalRange, OtherDays, Planned, Shift, Span
from shopfloor.day_rules import DateRange
from shopfloor.instant import HOUR, MINUTE, format_instant, parse_instant
from shopfloor.plant_file import load

ROOT = Path(__file__).parents[3]
BERLIN = "Europe/Berlin"
DAY = 24 * HOUR
NIGHT = Shift("night", LocalRange(1320, 1800), (LocalRange(1410, 1470), LocalRange(1590, 1620)))


def three_shift() -> Calendar:
    calendar = load(ROOT / "plants/ceper/plant.yaml").units["ceper/machining/line-1/cnc-01"].calendar.at(0)
    assert calendar is not None
    return calendar


START = parse_instant("2026-01-01T00:00:00Z")


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 600_000),
    st.integers(1, 20_000),
    st.sampled_from(["Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura", BERLIN, "America/St_Johns", "Africa/Cairo"]),
)
def test_spans_tile_the_window_exactly(offset_minutes: int, length_minutes: int, zone: str) -> None:
    start = START + offset_minutes * MINUTE
    end = start + length_minutes * MINUTE
    spans = THREE_SHIFT.spans(start, end, zone)
    assert spans[0].start == start
    assert spans[-1].end == end
    assert all(left.end == right.start for left, right in itertools.pairwise(spans))
    assert all(span.start < span.end for span in spans)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 600_000), st.integers(2, 5_000), st.floats(0.01, 0.99), st.sampled_from(["Asia/Jakarta", BERLIN]))
def test_a_window_split_anywhere_has_the_same_plan(offset: int, length: int, share: float, zone: str) -> None:
    start, end = START + offset * MINUTE, START + (offset + length) * MINUTE
    cut = start + round((end - start) * share)
    whole = THREE_SHIFT.spans(start, end, zone)
    parts = [*THREE_SHIFT.spans(start, cut, zone), *THREE_SHIFT.spans(cut, end, zone)]
    for instant in (*(span.start for span in parts), *(span.start for span in whole)):
        assert _plan_at(whole, instant) == _plan_at(parts, instant)


def test_a_shift_over_midnight_belongs_to_the_day_on_which_it_starts() -> None:
    span = THREE_SHIFT.spans(*_at("2026-01-05T03:00:00+07:00"), "Asia/Jakarta")[0]
    assert (span.shift, span.day) == ("malam", date(2026, 1, 4))
    assert span.shift_start == parse_instant("2026-01-04T22:00:00+07:00")


def test_a_break_after_midnight_lies_in_the_night_shift() -> None:
    span = THREE_SHIFT.spans(*_at("2026-01-05T02:10:00+07:00"), "Asia/Jakarta")[0]
    assert (span.shift, span.planned) == ("malam", Planned.PLANNED_STOP)


def test_a_break_over_midnight_is_one_break_of_the_night_shift() -> None:
    calendar = Calendar("night", (NIGHT,))
    start = parse_instant("2026-01-05T12:00:00+07:00")
    breaks = [span for span in calendar.spans(start, start + DAY, "Asia/Jakarta") if span.planned == "planned_stop"]
    assert [(format_instant(span.start + 7 * HOUR), span.end - span.start) for span in breaks] == [
        ("2026-01-05T23:30:00Z", HOUR),
        ("2026-01-06T02:30:00Z", 30 * MINUTE),
    ]
    assert {span.day for span in breaks} == {date(2026, 1, 5)}


@pytest.mark.parametrize(
    ("zone", "offset"), [("Asia/Jakarta", "+07:00"), ("Asia/Makassar", "+08:00"), ("Asia/Jayapura", "+09:00")]
)
def test_the_three_zones_of_indonesia_start_the_morning_at_their_own_six(zone: str, offset: str) -> None:
    start = parse_instant(f"2026-05-04T00:00:00{offset}")
    (first,) = [span for span in THREE_SHIFT.spans(start, start + DAY, zone) if span.shift == "pagi"][:1]
    assert first.start == parse_instant(f"2026-05-04T06:00:00{offset}")


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
@pytest.mark.parametrize("zone", ["Europe/Rome", BERLIN])
def test_a_day_has_its_true_length_where_the_clocks_change(day: str, hours: int, zone: str) -> None:
    always = Calendar("always", (Shift("day", LocalRange(0, 1440)),))
    start = parse_instant(f"{day}T00:00:00+01:00" if day < "2026-03-30" else f"{day}T00:00:00+02:00")
    spans = [span for span in always.spans(start, start + 26 * HOUR, zone) if span.day == date.fromisoformat(day)]
    assert sum(span.end - span.start for span in spans) == hours * HOUR


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 7), ("2026-10-24", 9), ("2026-06-01", 8)])
def test_a_night_shift_over_the_change_has_its_true_length(day: str, hours: int) -> None:
    spans = _night_of(Calendar("night", (NIGHT,)), day)
    assert sum(span.end - span.start for span in spans) == hours * HOUR
    assert spans[0].start == parse_instant(f"{day}T22:00:00{'+01:00' if hours == 7 else '+02:00'}")


@pytest.mark.parametrize(
    ("rest", "minutes"),
    [((1560, 1620), 0), ((1590, 1620), 0), ((1590, 1650), 30), ((1530, 1590), 30), ((1500, 1680), 120)],
    ids=["02:00-03:00", "02:30-03:00", "02:30-03:30", "01:30-02:30", "01:00-04:00"],
)
def test_minutes_that_the_clocks_skip_are_no_break(rest: tuple[int, int], minutes: int) -> None:
    night = Calendar("night", (Shift("night", LocalRange(1320, 1800), (LocalRange(*rest),)),))
    spans = _night_of(night, "2026-03-28")
    assert sum(span.end - span.start for span in spans if span.planned == "planned_stop") == minutes * MINUTE
    assert sum(span.end - span.start for span in spans) == 7 * HOUR


@pytest.mark.parametrize("rest", [(1590, 1620), (1590, 1635), (1530, 1590)], ids=["in", "out of", "into the hour"])
def test_a_break_in_the_hour_that_comes_twice_is_taken_once(rest: tuple[int, int]) -> None:
    night = Calendar("night", (Shift("night", LocalRange(1320, 1800), (LocalRange(*rest),)),))
    spans = _night_of(night, "2026-10-24")
    assert (
        sum(span.end - span.start for span in spans if span.planned == "planned_stop") == (rest[1] - rest[0]) * MINUTE
    )
    assert sum(span.end - span.start for span in spans) == 9 * HOUR


def test_a_closed_day_is_not_scheduled_and_named_off_shift() -> None:
    calendar = Calendar("c", (Shift("day", LocalRange(480, 960)),), {date(2026, 1, 5): ()})
    start = parse_instant("2026-01-05T00:00:00+07:00")
    spans = calendar.spans(start, start + 24 * HOUR, "Asia/Jakarta")
    assert {(span.planned, span.shift) for span in spans} == {(Planned.NOT_SCHEDULED, OFF_SHIFT)}


def test_an_exception_goes_before_the_rules_and_the_first_rule_before_the_week() -> None:
    def shift(name: str) -> tuple[Shift, ...]:
        return (Shift(name, LocalRange(480, 960)),)

    calendar = Calendar(
        "c",
        shift("week"),
        {date(2026, 1, 3): shift("exception")},
        (
            OtherDays(DateRange(date(2026, 1, 2), date(2026, 1, 3)), shift("first")),
            OtherDays(DateRange(date(2026, 1, 1), date(2026, 1, 4)), shift("second")),
        ),
    )
    names = [calendar.shifts_of(date(2026, 1, day))[0].name for day in range(1, 6)]
    assert names == ["second", "first", "exception", "second", "week"]


def test_where_two_days_overlap_the_shift_that_began_first_keeps_its_time() -> None:
    early = OtherDays(DateRange(date(2026, 1, 6), date(2026, 1, 6)), (Shift("early", LocalRange(300, 720)),))
    calendar = Calendar("c", (NIGHT,), rules=(early,))
    start = parse_instant("2026-01-06T00:00:00+07:00")
    spans = calendar.spans(start, start + 12 * HOUR, "Asia/Jakarta")
    assert [span for span in spans if span.shift == "night"][-1].end == start + 6 * HOUR
    (cut,) = [span for span in spans if span.shift == "early"]
    assert (cut.start, cut.end, cut.shift_start) == (start + 6 * HOUR, start + 12 * HOUR, start + 5 * HOUR)


@pytest.mark.parametrize("hours", [(0, 1441), (1440, 1500), (600, 600), (-10, 20)])
def test_a_shift_that_is_no_part_of_a_day_is_refused(hours: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at most 24 hours"):
        Shift("s", LocalRange(*hours))


def test_equal_calendars_stay_equal_and_hash_alike_after_use() -> None:
    one, other = Calendar("c", (NIGHT,), {date(2026, 1, 5): ()}), Calendar("c", (NIGHT,), {date(2026, 1, 5): ()})
    one.spans(START, START + DAY, "Asia/Jakarta")
    assert one == other
    assert hash(one) == hash(other)
    assert one != Calendar("c", (NIGHT,))


def test_a_year_is_cut_into_spans_once_and_not_for_each_of_fifty_units() -> None:
    calendar, end = three_shift(), START + 365 * DAY
    first = calendar.spans(START, end, "Asia/Jakarta")
    for _ in range(50):
        again = calendar.spans(START, end, "Asia/Jakarta")
        assert again == first
        made_anew = [one for one, other in zip(again, first, strict=True) if one is not other]
        assert all(one.end <= START + DAY or one.start >= end - DAY for one in made_anew), "only the days at the ends"


def _night_of(calendar: Calendar, day: str) -> list[Span]:
    start = parse_instant(f"{day}T12:00:00Z")
    return [span for span in calendar.spans(start, start + DAY, BERLIN) if span.shift == "night"]


def _plan_at(spans: list[Span], instant: int) -> tuple[object, ...]:
    (span,) = [span for span in spans if span.start <= instant < span.end]
    return span.planned, span.shift, span.shift_start, span.day


def _at(text: str) -> tuple[int, int]:
    start = parse_instant(text)
    return start, start + MINUTE


THREE_SHIFT = three_shift()
