"""Which *points* may be stored: one set of rules for every store, applied before anything is written.

Stands at the arrow into the store of registers -> samples -> messages -> points -> facts -> KPIs -> panels.
"""

import math
import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final

from historian.point import EXACT, Number, Point
from historian.schema import TAG_KEYS, is_text, knows_field

LAST_INSTANT: Final = (2**63 - 1) // 1_000_000
"""The last millisecond of a clock that counts nanoseconds in 64 bits (April 2262)."""
MAX_TEXT: Final = 16_384
"""Characters of a text field or tag value."""

_NUMBERS: Final = frozenset({float, int})
_BEFORE_A_SIGN = re.compile(r"\\[,= ]")
_UNSTORABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def fault(point: Point) -> str | None:
    """Why ``point`` can never be stored; None when it can."""
    if point.measurement not in TAG_KEYS:
        return f"unknown measurement {point.measurement!r}"
    return _tags_fault(point.measurement, tuple(point.tags.items())) or fields_fault(point)


@lru_cache(maxsize=2_048)
def _tags_fault(measurement: str, tags: tuple[tuple[str, str], ...]) -> str | None:
    keys = TAG_KEYS[measurement]
    if {key for key, _ in tags} != set(keys):
        return f"tags of {measurement} are {', '.join(keys)}"
    return next(filter(None, (tag_fault(key, value) for key, value in tags)), None)


def tag_fault(key: str, value: str) -> str | None:
    """Why no point can have this tag value; None when it can."""
    if not isinstance(value, str) or not value:
        return f"tag {key} is empty"
    return backslash_fault(f"tag {key}", value) or _text_fault(f"tag {key}", value)


def backslash_fault(what: str, name: str) -> str | None:
    """Why a name with backslashes cannot stand in line protocol, which has no escape for them; None when it can.

    An InfluxDB 1.x takes the sign that follows for an end, and then even the next line for a part of this one.
    """
    if name.endswith("\\"):
        return f"{what} ends in a backslash"
    if _BEFORE_A_SIGN.search(name):
        return f"{what} has a backslash before a comma, an equals sign or a space"
    return None


def fields_fault(point: Point) -> str | None:
    """The same for a point of which measurement and tags are known to be sound."""
    fields, time = point.fields, point.time
    if type(time) is not int or not 0 <= time <= LAST_INSTANT:
        return f"time {time!r} is not a millisecond between 1970 and 2262"
    if not fields:
        return "no fields"
    if _are_numbers(point.measurement, tuple(fields)) and _are_plain(fields.values()):
        return None
    for name, value in point.fields.items():
        text = _is_text_field(point.measurement, name)
        if type(value) is float and text is False and math.isfinite(value):
            continue
        if reason := _field_fault(name, value, text):
            return reason
    return None


def _are_plain(values: Collection[Number | str]) -> bool:
    """The usual case, told at once: numbers that together are below the largest exact one, for the sum may be rounded;
    none is NaN."""
    if not _NUMBERS.issuperset(map(type, values)):
        return False
    try:
        return sum(map(abs, values)) < EXACT  # type: ignore[arg-type]
    except OverflowError:  # a whole number beyond all floats
        return False


@lru_cache(maxsize=1_024)
def _are_numbers(measurement: str, names: tuple[str, ...]) -> bool:
    return all(_is_text_field(measurement, name) is False for name in names)


@lru_cache(maxsize=8_192)
def _is_text_field(measurement: str, name: str) -> bool | None:
    return is_text(name) if knows_field(measurement, name) else None


def _field_fault(name: str, value: Number | str, text: bool | None) -> str | None:
    if text is None:
        return f"unknown field {name!r}"
    if text:
        return _text_fault(f"field {name}", value) if isinstance(value, str) else f"field {name} must be text"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"field {name} must be a number"
    if isinstance(value, int):
        return None if abs(value) <= EXACT else f"field {name} is beyond 2^53"
    return None if math.isfinite(value) else f"field {name} is not finite"


def _text_fault(what: str, value: str) -> str | None:
    if len(value) > MAX_TEXT:
        return f"{what} is longer than {MAX_TEXT} characters"
    return f"{what} holds a control character" if _UNSTORABLE.search(value) else None
