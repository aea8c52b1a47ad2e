from kpi.facts.derive import gap_facts
from kpi.facts.rollup import hour_facts, shift_facts, shift_windows
from shopfloor.additive import merge
from shopfloor.calendar import Calendar, LocalRange, Shift
from shopfloor.dated import Dated
from shopfloor.instant import HOUR, MINUTE
from tests.production import MACHINE, START, THREE_SHIFTS, work_unit

DAY = 24 * HOUR
UNIT = work_unit(MACHINE, calendar=Dated.always(THREE_SHIFTS))


def test_an_hour_is_the_merge_of_its_minutes() -> None:
    hours = hour_facts(gap_facts(UNIT, START, START + 4 * HOUR))
    assert [fact.time for fact in hours] == [START + n * HOUR for n in range(4)]
    assert [fact.elements for fact in hours][3] == {"planned_stop_s": 900.0, "unknown_s": 2700.0}


def test_a_shift_is_found_in_its_full_extent_from_any_moment_in_it() -> None:
    (shift,) = shift_windows(UNIT, START + 5 * HOUR, START + 5 * HOUR + MINUTE)
    assert (shift.shift, shift.start, shift.end) == ("pagi", START - HOUR, START + 7 * HOUR)


def test_a_shift_over_midnight_is_one() -> None:
    shifts = shift_windows(UNIT, START, START + DAY)
    assert [shift.shift for shift in shifts] == ["pagi", "sore", "malam", "pagi"]
    assert all(shift.end - shift.start == 8 * HOUR for shift in shifts)


def test_off_shift_time_of_a_day_is_one_although_shifts_lie_in_it() -> None:
    day = Calendar("day", (Shift("day", LocalRange(480, 960)),))
    unit = work_unit(MACHINE, calendar=Dated.always(day), timezone="UTC")
    off = next(shift for shift in shift_windows(unit, START, START + DAY) if shift.shift == "off")
    assert off.pieces == ((START, START + 8 * HOUR), (START + 16 * HOUR, START + DAY))


def test_a_shift_is_the_merge_of_its_hours() -> None:
    (shift,) = shift_windows(UNIT, START, START + MINUTE)
    minutes = gap_facts(UNIT, shift.start, shift.end)
    (fact,) = shift_facts(shift, hour_facts(minutes))
    assert fact.time == shift.start
    assert fact.elements == merge(minute.elements for minute in minutes)
