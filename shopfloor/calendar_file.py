"""A calendar as plant.yaml writes it -> Calendar: breaks laid into their shifts, day by day of the week."""

from collections.abc import Mapping, Sequence

from shopfloor import calendar_schema as doc
from shopfloor.calendar import ALL_WEEK, DAY_MINUTES, Calendar, LocalRange, OtherDays, Shift
from shopfloor.day_rules import DateRange, DayRule, Holidays, Ramadan
from shopfloor.plant_fields import WEEKDAYS, local_range

Entries = Mapping[str, Sequence["str | doc.BreakDoc"]]


def build_calendar(name: str, calendar: doc.CalendarDoc) -> Calendar:
    """The calendar of a valid document; raises ValueError for a rule that names no days."""
    return Calendar(
        name,
        build_shifts(calendar.shifts, calendar.breaks),
        {
            day: () if other == "closed" else build_shifts(other, calendar.breaks, inherited=True)
            for day, other in calendar.exceptions.items()
        },
        tuple(OtherDays(days_of_rule(rule), rule_shifts(rule, calendar)) for rule in calendar.rules),
    )


def build_shifts(
    shifts: Mapping[str, "str | doc.ShiftDoc"], breaks: Entries, *, inherited: bool = False
) -> tuple[Shift, ...]:
    """Shifts with their breaks; ``inherited`` breaks, written for other hours, hold where they lie within these."""
    return tuple(
        shift for name, entry in shifts.items() for shift in _shifts_of(name, entry, breaks.get(name, ()), inherited)
    )


def _shifts_of(
    name: str, entry: "str | doc.ShiftDoc", breaks: Sequence["str | doc.BreakDoc"], inherited: bool
) -> list[Shift]:
    hours = LocalRange(*local_range(doc.hours_of(entry)))
    by_breaks: dict[tuple[LocalRange, ...], set[int]] = {}
    for weekday in sorted(weekdays_of(entry)):
        rests = [rest for rest in _breaks_on(weekday, hours, breaks) if not inherited or lies_within(rest, hours)]
        by_breaks.setdefault(tuple(sorted(rests, key=lambda rest: rest.start)), set()).add(weekday)
    return [Shift(name, hours, rests, frozenset(weekdays)) for rests, weekdays in by_breaks.items()]


def _breaks_on(weekday: int, hours: LocalRange, breaks: Sequence["str | doc.BreakDoc"]) -> list[LocalRange]:
    return [laid(hours, text) for _, text in breaks_on(weekday, breaks)]


def breaks_on(weekday: int, breaks: Sequence["str | doc.BreakDoc"]) -> list[tuple[int, str]]:
    """Index and text of the breaks that hold on a weekday: the daily ones not replaced, and the day's own."""
    own = [
        (index, each)
        for index, each in enumerate(breaks)
        if isinstance(each, doc.BreakDoc) and weekday in weekdays_of(each)
    ]
    replaced = {local_range(text) for _, each in own for text in each.replaced}
    daily = [
        (index, each)
        for index, each in enumerate(breaks)
        if isinstance(each, str) and local_range(each) not in replaced
    ]
    return sorted([*daily, *((index, each.at) for index, each in own)])


def laid(hours: LocalRange, text: str) -> LocalRange:
    """A break in its shift's minutes: one after midnight belongs to the night shift that began the day before."""
    start, end = local_range(text)
    return LocalRange(start + DAY_MINUTES, end + DAY_MINUTES) if start < hours.start else LocalRange(start, end)


def lies_within(rest: LocalRange, hours: LocalRange) -> bool:
    """Whether a break lies within its shift."""
    return hours.start <= rest.start and rest.end <= hours.end


def weekdays_of(entry: "str | doc.ShiftDoc | doc.BreakDoc") -> frozenset[int]:
    """The weekdays on which a shift starts or a break holds; Monday is 0."""
    days = doc.days_of(entry)
    return frozenset(WEEKDAYS.index(day) for day in days) if days else ALL_WEEK


def rule_shifts(rule: doc.RuleDoc, calendar: doc.CalendarDoc) -> tuple[Shift, ...]:
    """The shifts of a rule's days; none where it closes them."""
    if rule.breaks is not None:
        return build_shifts(rule.shifts or {}, rule.breaks)
    return build_shifts(rule.shifts or {}, calendar.breaks, inherited=True)


def days_of_rule(rule: doc.RuleDoc) -> DayRule:
    """The days that a rule names; raises ValueError where it names none."""
    if rule.ramadan is not None:
        offset = doc.ramadan_of(rule.ramadan).offset_days
        return Ramadan(0, offset) if isinstance(offset, dict) else Ramadan(offset)
    if rule.holidays is not None:
        named = doc.country_of(rule.holidays)
        return Holidays(named.country, named.subdivision, tuple(named.categories))
    if rule.from_ is None or rule.to is None:
        raise ValueError("names no days")
    return DateRange(rule.from_, rule.to)
