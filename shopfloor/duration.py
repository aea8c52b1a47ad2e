"""Lengths of time as people write them, in plant files and on the command line alike."""

import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|m|h|d)")
_MS = {"ms": 1, "s": 1_000, "min": 60_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def pause_ms(text: str) -> int:
    """``0s``, ``500ms``, ``15min`` in milliseconds, not negative; raises ValueError."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a duration; write e.g. 500ms, 1s, 15min or 8h")
    return round(float(match[1]) * _MS[match[2]])


def duration_ms(text: str) -> int:
    """``500ms``, ``1s``, ``15min``, ``8h`` in milliseconds, above 0; raises ValueError."""
    value = pause_ms(text)
    if value <= 0:
        raise ValueError(f"{text!r} is not a duration; write e.g. 500ms, 1s, 15min or 8h")
    return value
