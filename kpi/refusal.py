"""Numbers that have no answer: refused with one line that says what to do."""

import math

from shopfloor.errors import ShopfloorError


class BadInput(ShopfloorError, ValueError):
    """What was given cannot be computed with; the message says what is wrong and what to give instead."""


def amount(name: str, value: float) -> float:
    """``value``, when it is a finite number of at least 0; else raises BadInput with its ``name``."""
    if not math.isfinite(value) or value < 0:
        raise BadInput(f"{name} is {value!r}; give a finite number of at least 0")
    return float(value)
