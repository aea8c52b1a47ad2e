"""*Points* as line protocol, the text in which InfluxDB takes them. Pure; every number is a float.

On registers -> samples -> messages -> points -> facts -> KPIs -> panels at the arrow into the store. ``line`` writes
any names and values and refuses what a server would refuse, misread or die of; ``head`` and ``bodies`` are its two
halves for points that ``admission`` let through, and keep what recurs.
"""

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from historian.admission import LAST_INSTANT, backslash_fault
from historian.influx_names import MARKER, NS
from historian.point import EXACT, Number

_TOGETHER: Final = 500
"""Points written as one piece of JSON."""
_MARK: Final = MARKER.encode()
_json: Final = msgspec.json.Encoder().encode
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
    if "time" in tags or "time" in fields:
        raise LineRefused("time is the name of the time")
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
    return f"{head(measurement, tuple(tags.items())).decode()}{written} {time_ns}"


def _check_name(what: str, name: str) -> None:
    if not name:
        raise LineRefused(f"{what} is empty")
    if reason := backslash_fault(what, name):
        raise LineRefused(reason)
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


@lru_cache(maxsize=2_048)
def head(measurement: str, tags: tuple[tuple[str, str], ...]) -> bytes:
    """What all lines of a series begin with. Tags stand in the order of their keys, which spares the server a sort."""
    pairs = (f",{key.translate(_KEY_ESCAPES)}={value.translate(_KEY_ESCAPES)}" for key, value in sorted(tags))
    return f"{measurement.translate(_NAME_ESCAPES)}{''.join(pairs)} ".encode()


def bodies(points: Sequence[tuple[Mapping[str, Number | str], int]]) -> list[bytes]:
    """What follows the head of each admitted point, told by its fields and time: fields, the marker and the time."""
    written: list[bytes] = []
    for first in range(0, len(points), _TOGETHER):
        some = points[first : first + _TOGETHER]
        texts = _numbers([fields for fields, _ in some]) or [_fields(fields) for fields, _ in some]
        written += [
            b"%b,%b=%d %d" % (text, _MARK, len(fields), time_ns)
            for text, (fields, time_ns) in zip(texts, some, strict=True)
        ]
    return written


def _numbers(many: list[Mapping[str, Number | str]]) -> list[bytes] | None:
    """The fields of points that hold numbers alone, which are JSON but for the quotes; None where any holds a text."""
    try:
        text = _json(many)
    except TypeError:  # a mapping or a number of another kind
        return None
    if b':"' in text:
        return None
    return text[3:-2].replace(b'":', b"=").replace(b',"', b",").split(b'},{"')


def _fields(fields: Mapping[str, Number | str]) -> bytes:
    return ",".join(f"{name}={_value(value)}" for name, value in fields.items()).encode()
