"""Ramadan and holidays fall where the published calendars have them, and a year without a table is an error."""

from datetime import date, timedelta

import pytest

from shopfloor.day_rules import DateRange, Holidays, Ramadan
from shopfloor.errors import PlantError


def days_of(rule: Ramadan | Holidays, year: int) -> list[date]:
    first = date(year, 1, 1)
    return [
        day for day in (first + timedelta(days=index) for index in range(366)) if day.year == year and rule.covers(day)
    ]


@pytest.mark.parametrize(
    ("year", "first", "last"),
    [(2024, "2024-03-11", "2024-04-09"), (2025, "2025-03-01", "2025-03-29"), (2026, "2026-02-18", "2026-03-19")],
)
def test_ramadan_falls_where_umm_al_qura_has_it(year: int, first: str, last: str) -> None:
    days = days_of(Ramadan(), year)
    assert (days[0].isoformat(), days[-1].isoformat()) == (first, last)
    assert len(days) == (days[-1] - days[0]).days + 1


def test_a_gregorian_year_can_hold_two_ramadans() -> None:
    days = days_of(Ramadan(), 2030)
    assert (days[0], days[-1]) == (date(2030, 1, 5), date(2030, 12, 31))
    assert 29 < len(days) < 40


def test_a_site_shifts_the_month_as_a_whole_or_in_one_year_only() -> None:
    plain, later, once = Ramadan(), Ramadan(1), Ramadan(0, {1447: 1})
    assert days_of(later, 2026) == [day + timedelta(days=1) for day in days_of(plain, 2026)]
    assert days_of(once, 2026) == days_of(later, 2026)
    assert days_of(once, 2025) == days_of(plain, 2025)


@pytest.mark.parametrize("day", [date(1924, 7, 31), date(2078, 1, 1)])
def test_ramadan_beyond_the_table_is_an_error_that_says_what_to_do(day: date) -> None:
    with pytest.raises(PlantError, match="1924-08-01 to 2077-11-16; name the days by a rule with from and to"):
        Ramadan().covers(day)


def test_the_national_holidays_of_indonesia_are_known() -> None:
    days = days_of(Holidays("ID"), 2026)
    assert {date(2026, 1, 1), date(2026, 5, 1), date(2026, 8, 17), date(2026, 12, 25)} <= set(days)
    assert date(2026, 8, 18) not in days


def test_a_subdivision_has_holidays_of_its_own() -> None:
    epiphany = date(2026, 1, 6)
    assert Holidays("DE", "BY").covers(epiphany)
    assert not Holidays("DE").covers(epiphany)


def test_holidays_of_a_year_without_a_table_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(PlantError, match="holidays of ID in 2150 are not known: the table reaches from 1946 to 2100"):
        Holidays("ID").covers(date(2150, 1, 1))


def test_a_country_without_a_table_is_an_error() -> None:
    with pytest.raises(PlantError, match="Country XX not available"):
        Holidays("XX").covers(date(2026, 1, 1))


def test_a_range_has_both_of_its_ends() -> None:
    days = DateRange(date(2026, 1, 2), date(2026, 1, 3))
    assert [days.covers(date(2026, 1, day)) for day in range(1, 5)] == [False, True, True, False]
