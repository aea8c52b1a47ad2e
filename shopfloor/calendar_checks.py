"""Contradictions of a calendar: what has the right shape and cannot all be meant."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import combinations
from typing import Any

from pydantic import ValidationError

from shopfloor import calendar_schema as doc
from shopfloor.calendar import DAY_MINUTES, Calendar, LocalRange
from shopfloor.calendar_file import (
    breaks_on,
    build_calendar,
    days_of_rule,
    laid,
    lies_within,
    weekdays_of,
)
from shopfloor.day_rules import DateRange, DayRule, Holidays
from shopfloor.errors import PlantError
from shopfloor.plant_fields import WEEKDAYS, local_range
from shopfloor.yaml_lines import Place

Problem = tuple[Place, str]
"""A place in the file, and what is wrong there with its remedy."""
Shifts = Mapping[str, "str | doc.ShiftDoc"]
Breaks = Mapping[str, Sequence["str | doc.BreakDoc"]]

WEEK_MINUTES = 7 * DAY_MINUTES
HIJRI_YEARS = range(1343, 1501)


def calendar_problems(name: str, raw: Any) -> Iterator[Problem]:
    """What contradicts itself in a calendar; nothing where its shape is wrong already."""
    try:
        calendar = doc.CalendarDoc.model_validate(raw)
    except ValidationError:
        return
    at: Place = ("calendars", name)
    problems = [
        *_overlaps((*at, "shifts"), calendar.shifts, weekly=True),
        *_break_problems(at, calendar.shifts, calendar.breaks),
        *_rule_problems((*at, "rules"), calendar),
    ]
    for day, other in calendar.exceptions.items():
        if other != "closed":
            at_day: Place = (*at, "exceptions", day.isoformat())
            problems += _overlaps(at_day, other, weekly=False)
            problems += _cut_breaks(at_day, other, calendar.breaks, frozenset({day.weekday()}))
    yield from problems
    if not problems:
        built = build_calendar(name, calendar)
        for day in built.exceptions:
            yield from _neighbours((*at, "exceptions", day.isoformat()), built, day)


def _overlaps(at: Place, shifts: Shifts, *, weekly: bool) -> Iterator[Problem]:
    """Shifts that claim the same moment; ``weekly`` ones follow each other from day to day."""
    starts = [
        (weekday * DAY_MINUTES + start, weekday * DAY_MINUTES + end, name)
        for name, entry in shifts.items()
        for start, end in [local_range(doc.hours_of(entry))]
        for weekday in weekdays_of(entry)
    ]
    if weekly:
        starts += [(start + WEEK_MINUTES, end + WEEK_MINUTES, name) for start, end, name in starts]
    seen: set[frozenset[str]] = set()
    for (_, end, first), (start, _, second) in combinations(sorted(starts), 2):
        pair = frozenset({first, second})
        if start < end and first != second and pair not in seen and (weekly or start // DAY_MINUTES == 0):
            seen.add(pair)
            yield (*at, second), f"overlaps with shift {first!r}; a moment belongs to one shift"


def _break_problems(at: Place, shifts: Shifts, breaks: Breaks) -> Iterator[Problem]:
    for name, entries in breaks.items():
        if name not in shifts:
            yield (*at, "breaks", name), _no_shift(name, shifts)
            continue
        hours = LocalRange(*local_range(doc.hours_of(shifts[name])))
        places: list[Place] = [(*at, "breaks", name, index) for index in range(len(entries))]
        texts = [entry if isinstance(entry, str) else entry.at for entry in entries]
        for place, text in zip(places, texts, strict=True):
            if not lies_within(laid(hours, text), hours):
                yield place, f"the break {text} lies outside its shift {name!r} ({doc.hours_of(shifts[name])}); move it"
        astray = list(_replaced(places, entries))
        yield from astray or _clashes(places, entries, hours, weekdays_of(shifts[name]))


def _no_shift(name: str, shifts: Shifts) -> str:
    close = difflib.get_close_matches(name, list(shifts), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(shifts)}"
    return f"there is no shift {name!r}; {hint}"


def _replaced(places: list[Place], entries: Sequence["str | doc.BreakDoc"]) -> Iterator[Problem]:
    daily = [entry for entry in entries if isinstance(entry, str)]
    ranges = {local_range(text) for text in daily}
    for place, entry in zip(places, entries, strict=True):
        for text in entry.replaced if isinstance(entry, doc.BreakDoc) else ():
            if local_range(text) not in ranges:
                yield (*place, "replaces"), f"there is no daily break {text}; known: {', '.join(daily) or 'none'}"


def _clashes(
    places: list[Place], entries: Sequence["str | doc.BreakDoc"], hours: LocalRange, weekdays: frozenset[int]
) -> Iterator[Problem]:
    seen: set[tuple[int, int]] = set()
    for weekday in sorted(weekdays):
        for (first, one), (second, other) in combinations(breaks_on(weekday, entries), 2):
            low, high = laid(hours, one), laid(hours, other)
            if low.start < high.end and high.start < low.end and (first, second) not in seen:
                seen.add((first, second))
                by_day = isinstance(entries[second], doc.BreakDoc) and isinstance(entries[first], str)
                remedy = f'say replaces: "{one}"' if by_day else "keep one, or move it"
                yield places[second], f"overlaps with the break {one} on {WEEKDAYS[weekday]}; {remedy}"


def _cut_breaks(at: Place, shifts: Shifts, breaks: Breaks, weekdays: frozenset[int]) -> Iterator[Problem]:
    """Breaks of the week that other hours would cut through."""
    for name, entry in shifts.items():
        hours = LocalRange(*local_range(doc.hours_of(entry)))
        held = {text for day in weekdays & weekdays_of(entry) for _, text in breaks_on(day, breaks.get(name, ()))}
        across = [text for text in sorted(held) if _is_cut(laid(hours, text), hours)]
        if across:
            yield (
                (*at, name),
                f"cuts through the week's break {' and '.join(across)}; take other hours, or by a rule other breaks",
            )


def _is_cut(rest: LocalRange, hours: LocalRange) -> bool:
    start = hours.start + DAY_MINUTES  # a break that begins before the shift was laid into the next day
    return rest.start < hours.end < rest.end or rest.start < start < rest.end


def _rule_problems(at: Place, calendar: doc.CalendarDoc) -> Iterator[Problem]:
    for index, rule in enumerate(calendar.rules):
        here: Place = (*at, index)
        selectors = [rule.from_ is not None or rule.to is not None, rule.ramadan is not None, rule.holidays is not None]
        if sum(selectors) != 1:
            yield here, "a rule names its days in one way; write one of from with to, ramadan, or holidays"
            continue
        yield from _day_problems(here, rule)
        hidden = list(_hidden(here, calendar.rules[:index], rule))
        if hidden:
            yield from hidden
            continue
        if bool(rule.closed) == bool(rule.shifts):
            yield here, "a rule says what its days are; add either shifts or closed: true"
        if rule.breaks is not None and not rule.shifts:
            yield (*here, "breaks"), "closed days have no breaks; remove them"
        if rule.shifts:
            yield from _overlaps((*here, "shifts"), rule.shifts, weekly=True)
            if rule.breaks is not None:
                yield from _break_problems(here, rule.shifts, rule.breaks)
            else:
                yield from _cut_breaks((*here, "shifts"), rule.shifts, calendar.breaks, frozenset(range(7)))


def _day_problems(at: Place, rule: doc.RuleDoc) -> Iterator[Problem]:
    if rule.from_ is not None or rule.to is not None:
        if rule.from_ is None or rule.to is None:
            yield at, f"a range of days has two ends; add {'from' if rule.from_ is None else 'to'}"
        elif rule.to < rule.from_:
            yield (*at, "to"), f"{rule.to} is before {rule.from_}; exchange them"
    if rule.ramadan is not None:
        offset = doc.ramadan_of(rule.ramadan).offset_days
        for year in offset if isinstance(offset, dict) else ():
            if year not in HIJRI_YEARS:
                yield (
                    (*at, "ramadan", "offset_days", year),
                    f"{year} is not a Hijri year of the table (1343 to 1500); 2026 is 1447",
                )
    if rule.holidays is not None:
        yield from _country_problems((*at, "holidays"), doc.country_of(rule.holidays))


def _country_problems(at: Place, named: doc.HolidaysDoc) -> Iterator[Problem]:
    from holidays import country_holidays, list_supported_countries  # slow to load: only where a rule asks

    countries = list_supported_countries(include_aliases=True)
    if named.country not in countries:
        yield at, f"{named.country!r} is not a country with known holidays; write its ISO code, e.g. ID"
        return
    known = country_holidays(named.country)
    if named.subdivision is not None and named.subdivision not in countries[named.country]:
        listed = ", ".join(countries[named.country]) or "none"
        yield (*at, "subdivision"), f"{named.country} has no subdivision {named.subdivision!r}; it has {listed}"
    for index, category in enumerate(named.categories):
        if category not in known.supported_categories:
            listed = ", ".join(known.supported_categories)
            yield (
                (*at, "categories", index),
                f"{named.country} has no holidays of category {category!r}; it has {listed}",
            )


def _hidden(at: Place, before: Sequence[doc.RuleDoc], rule: doc.RuleDoc) -> Iterator[Problem]:
    """A rule all of whose days an earlier one names never holds."""
    try:
        days = days_of_rule(rule)
        earlier = [days_of_rule(each) for each in before]
    except ValueError:
        return
    for index, other in enumerate(earlier):
        if _includes(other, days):
            yield at, f"never holds, for rule {index + 1} names all of its days; remove one or put this one first"
            return


def _includes(outer: DayRule, inner: DayRule) -> bool:
    if isinstance(outer, DateRange) and isinstance(inner, DateRange):
        return outer.first <= inner.first and inner.last <= outer.last
    if isinstance(outer, Holidays) and isinstance(inner, Holidays):
        same = (outer.country, outer.subdivision) == (inner.country, inner.subdivision)
        return same and set(inner.categories) <= set(outer.categories)
    return outer == inner


def _neighbours(at: Place, calendar: Calendar, day: date) -> Iterator[Problem]:
    """An exception whose shifts overlap with those of the day before or after."""
    try:
        before, own, after = (calendar.shifts_of(day + timedelta(days=step)) for step in (-1, 0, 1))
    except PlantError as fault:
        yield at, str(fault)
        return
    for shift in before:
        if own and own[0].hours.start < shift.hours.end - DAY_MINUTES:
            yield (
                (*at, own[0].name),
                f"overlaps with shift {shift.name!r} of the day before; move it, or give that day an exception too",
            )
    for shift in own:
        if after and after[0].hours.start < shift.hours.end - DAY_MINUTES and _next(day) not in calendar.exceptions:
            yield (
                (*at, shift.name),
                f"overlaps with shift {after[0].name!r} of the day after; move it, or give that day an exception too",
            )


def _next(day: date) -> date:
    return day + timedelta(days=1)
