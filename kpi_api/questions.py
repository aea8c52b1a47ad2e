"""KPIs -> panels: what may be asked of the store, and why a question or a statement is refused. Pure."""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from enum import StrEnum

from shopfloor.errors import ShopfloorError
from shopfloor.instant import BadInstant, Instant, parse_instant

MAX_ITEMS = 50_000
"""More items than this in one answer are refused."""
END_OF_TIME: Instant = 7_258_118_400_000
"""2200-01-01: nothing is asked or answered beyond."""
_BLANK_FOR_PLUS = re.compile(r" (\d\d:\d\d)$")


class BadQuestion(ShopfloorError):
    """The question cannot be answered. ``remedy`` tells the asker what to do; ``kind`` is a stable word."""

    kind = "bad-question"

    def __init__(self, detail: str, remedy: str) -> None:
        self.detail = detail
        self.remedy = remedy
        super().__init__(f"{detail}; {remedy}")


class BadTime(BadQuestion):
    """A time is no RFC 3339 time with offset, or lies outside what can be asked for."""

    kind = "bad-time"


class BadWindow(BadQuestion):
    """The window is empty, reversed or too long."""

    kind = "bad-window"


class BadSlicing(BadQuestion):
    """``by`` names no slicing that exists."""

    kind = "bad-by"


class NotThere(BadQuestion):
    """What the question names does not exist."""


class UnknownUnit(NotThere):
    """No unit has this path or lies below it."""

    kind = "unknown-unit"


class UnknownKpi(NotThere):
    """No KPI has this id."""

    kind = "unknown-kpi"


class UnknownStop(NotThere):
    """No stop has this id, or it is no longer one."""

    kind = "unknown-stop"


class UnknownStatement(NotThere):
    """No statement has this id."""

    kind = "unknown-statement"


class BadStatement(BadQuestion):
    """What is stated cannot be true: unknown words, impossible times or counts."""

    kind = "bad-statement"


class Conflict(BadQuestion):
    """What is stated contradicts what somebody else stated, or cannot be said yet."""

    kind = "conflict"


class By(StrEnum):
    """How a window is cut into items."""

    TOTAL = "total"
    HOUR = "hour"
    SHIFT = "shift"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    PRODUCT = "product"
    REASON = "reason"


def too_many() -> BadWindow:
    """The refusal of a question with more than MAX_ITEMS items."""
    return BadWindow(f"this gives more than {MAX_ITEMS} items", "ask for a shorter window, fewer units, or by=total")


def parse_time(text: str) -> Instant:
    """RFC 3339 with offset to an instant of the years 1970 to 2199; raises BadTime.

    A ``+`` that the query string has turned into a blank is read as what was meant.
    """
    try:
        instant = parse_instant(_BLANK_FOR_PLUS.sub(r"+\1", text.strip()))
    except (BadInstant, OverflowError) as error:
        detail, _, remedy = str(error).partition("; ")
        raise BadTime(detail, remedy or "write e.g. 2026-01-05T06:00:00+07:00") from None
    if not 0 <= instant < END_OF_TIME:
        raise BadTime(f"{text!r} is out of range", "ask for a time in the years 1970 to 2199")
    return instant


def parse_by(text: str) -> By:
    """The slicing named ``text``; raises BadSlicing."""
    try:
        return By(text)
    except ValueError:
        known = ", ".join(By)
        raise BadSlicing(f"there is no by={text!r}", f"use one of: {known}") from None


def nearest_place(units: Iterable[str], pattern: str) -> str:
    """The remedy for a pattern that matches nothing: the closest place that exists."""
    places = sorted({place for path in units for place in _prefixes(path)})
    closest = get_close_matches(pattern.strip("/").lower(), places, n=1, cutoff=0.4)
    hint = f"did you mean {closest[0]!r}? " if closest else ""
    return f"{hint}/api/v1/equipment lists all units"


def nearest_word(words: Iterable[str], given: str) -> str:
    """The remedy for an unknown word: the closest one, else all of them."""
    known = sorted(words)
    begun = [word for word in known if given and word.startswith(given.lower())]
    closest = begun or get_close_matches(given.lower(), known, n=1, cutoff=0.5)
    if closest:
        return f"did you mean {closest[0]!r}?"
    return f"use one of: {', '.join(known)}" if known else "the plant file defines none"


def _prefixes(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
