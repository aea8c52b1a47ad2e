"""*Points* as line protocol, the text in which InfluxDB takes them. Pure; every number is a float.

On registers -> samples -> messages -> points -> facts -> KPIs -> panels at the arrow into the store. ``line`` writes
any names and values and refuses what a server would refuse, misread or die of; ``head`` and ``body`` are its two
halves for points that ``admission`` let through, and keep what recurs.
"""

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from historian.admission import LAST_INSTANT
from historian.influx_names import MARKER, NS
from historian.point import EXACT, Number
from historian.schema import is_text

_PLAIN: Final = frozenset({float, int})
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NAME_ESCAPES = str.maketrans({",": r"\,", " ": r"\ "})
_KEY_ESCAPES = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})
_TEXT_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\""})


class LineRefused(ValueError):
    """A point cannot be a line; the message says why."""


def line(measurement: str, tags: Mapping[str, str], fields: Mapping[str, Number | str], time_ns: int) -> str:
    """One line. A field's value decides whether it is text or a number; raises LineRefused."""
    _check_name("measurement", measurement)
    if measurement.startswith("#"):
        raise LineRefused("a measurement that starts with # is a comment")
    for key, value in tags.items():
        _check_name("tag key", key)
        _check_name(f"tag {key}", value)
    if not fields:
        raise LineRefused("no fields")
    for key, field in fields.items():
        _check_name("field key", key)
        _check_field(key, field)
    if not 0 <= time_ns < (LAST_INSTANT + 1) * NS:
        raise LineRefused(f"time {time_ns} is not between 1970 and 2262")
    written = ",".join(f"{key.translate(_KEY_ESCAPES)}={_value(field)}" for key, field in fields.items())
    return f"{head(measurement, tuple(tags.items()))} {written} {time_ns}"


def _check_name(what: str, name: str) -> None:
    if not name:
        raise LineRefused(f"{what} is empty")
    if name.endswith("\\"):  # it would escape what follows it; InfluxDB 1.6 dies of some such lines
        raise LineRefused(f"{what} ends in a backslash")
    if _CONTROL.search(name):
        raise LineRefused(f"{what} holds a control character")


def _check_field(key: str, value: Number | str) -> None:
    if isinstance(value, str):
        if _CONTROL.search(value):
            raise LineRefused(f"field {key} holds a control character")
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise LineRefused(f"field {key} is neither a number nor text")
    elif isinstance(value, int) and abs(value) > EXACT:
        raise LineRefused(f"field {key} is beyond 2^53")
    elif not math.isfinite(value):
        raise LineRefused(f"field {key} is not finite")


def _value(value: Number | str) -> str:
    return f'"{value.translate(_TEXT_ESCAPES)}"' if isinstance(value, str) else repr(float(value))


@lru_cache(maxsize=65_536)
def head(measurement: str, tags: tuple[tuple[str, str], ...]) -> str:
    """What all lines of a series begin with. Tags stand in the order of their keys, which spares the server a sort."""
    pairs = (f",{key.translate(_KEY_ESCAPES)}={value.translate(_KEY_ESCAPES)}" for key, value in sorted(tags))
    return measurement.translate(_NAME_ESCAPES) + "".join(pairs)


def body(fields: Mapping[str, Number | str], time_ns: int) -> str:
    """What follows the head of an admitted point: its fields, the marker and the time."""
    form, texts = _form(tuple(fields))
    values = fields.values()
    if texts or not _PLAIN.issuperset(map(type, values)):
        return form % (*map(_value, values), time_ns)
    return form % (*values, time_ns)


@lru_cache(maxsize=65_536)
def _form(names: tuple[str, ...]) -> tuple[str, bool]:
    """How fields of these names are written, and whether any of them is text."""
    return f" {''.join(f'{name}=%s,' for name in names)}{MARKER}=1 %d", any(map(is_text, names))
