"""Which days a rule of a calendar names: a range of dates, Ramadan of every year, national holidays. Pure.

The tables are those of the libraries ``hijridate`` (Umm al-Qura) and ``holidays``; a day beyond them is an error, for
a wrong plan would be a wrong number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache

from shopfloor.errors import PlantError

RAMADAN = 9
"""The month's number in the Hijri year."""


@dataclass(frozen=True, slots=True)
class DateRange:
    """The days from ``first`` to ``last``, both included."""

    first: date
    last: date

    def covers(self, day: date) -> bool:
        """Whether ``day`` is one of them."""
        return self.first <= day <= self.last


@dataclass(frozen=True, slots=True)
class Ramadan:
    """The month of Ramadan of every Hijri year, as observed at the site."""

    offset_days: int = 0
    """The site begins and ends so many days after the Umm al-Qura calendar (before it when negative)."""
    offset_by_year: Mapping[int, int] = field(default_factory=dict, hash=False)
    """Hijri year -> offset of that year, where it differs."""

    def covers(self, day: date) -> bool:
        """Whether ``day`` is in Ramadan; raises PlantError beyond the Hijri table."""
        from hijridate import Gregorian, Hijri  # only plants that keep Ramadan pay for the table

        try:
            year = Gregorian.fromdate(day).to_hijri().year
            month = Hijri(year, RAMADAN, 1)
            first = month.to_gregorian() + timedelta(days=self.offset_by_year.get(year, self.offset_days))
        except OverflowError:
            raise PlantError(
                f"Ramadan around {day} is not known: the Hijri table reaches from 1924-08-01 to 2077-11-16; "
                "name the days by a rule with from and to"
            ) from None
        return first <= day < first + timedelta(days=month.month_length())


@dataclass(frozen=True, slots=True)
class Holidays:
    """The national holidays of a country, or of a part of it."""

    country: str
    """ISO 3166 code, e.g. ID."""
    subdivision: str | None = None
    categories: tuple[str, ...] = ("public",)

    def covers(self, day: date) -> bool:
        """Whether ``day`` is a holiday; raises PlantError beyond the table."""
        return day in _holidays(self.country, self.subdivision, self.categories, day.year)


@lru_cache(maxsize=512)
def _holidays(country: str, subdivision: str | None, categories: tuple[str, ...], year: int) -> frozenset[date]:
    from holidays import country_holidays  # a tenth of a second that most plants need not pay

    try:
        known = country_holidays(country, subdiv=subdivision, categories=categories, years=year)
    except (NotImplementedError, ValueError) as fault:
        raise PlantError(f"{str(fault).rstrip('.')}; see the countries of the library 'holidays'") from None
    if not known.start_year <= year <= known.end_year:
        raise PlantError(
            f"the holidays of {country} in {year} are not known: the table reaches from {known.start_year} to "
            f"{known.end_year}; name the days by a rule with from and to"
        )
    return frozenset(known)


DayRule = DateRange | Ramadan | Holidays
