"""What a register shows of a running total: whole counts that start near the end of the register and roll over.

Head of *registers -> samples*. Totals are exact integers; a register shows their floor in its own resolution.
"""

from collections.abc import Callable
from fractions import Fraction
from random import Random

from devices.template import TemplateTag
from shopfloor.instant import Instant

ROLLS_BELOW = 2**33
"""Registers of a smaller range start near their end; a 64-bit register would never get there."""
START_64 = 1_234_567
"""Where the wide ones start."""

Total = Callable[[Instant], int]
"""A running total at an instant, in its own whole unit."""
Show = Callable[[Instant], float]
"""A register's value at an instant, in the tag's unit."""


def counter(tag: TemplateTag, total: Total, *, per_unit: int, until_rollover: float, rng: Random) -> Show:
    """``total`` as ``tag``'s register shows it.

    ``per_unit`` of the total make one of the tag's unit; ``until_rollover`` is what it grows, in the tag's unit, until
    the register rolls over for the first time (varied by up to a third by ``rng``).
    """
    modulus = tag.ref.modulus
    if modulus is None:
        return lambda t: total(t) / per_unit
    counts_per_total = 1 / (abs(tag.ref.scale) * per_unit)
    grows = max(1, round(until_rollover / float(abs(tag.ref.scale)) * rng.uniform(0.67, 1.33)))
    first = _end(tag) - min(grows, _end(tag)) if modulus < ROLLS_BELOW else START_64
    return _shown(tag, total, counts_per_total, first)


def from_zero(tag: TemplateTag, total: Total) -> Show:
    """A counter of pieces that the machine itself sets back to 0."""
    if tag.ref.modulus is None:
        return lambda t: float(total(t))
    return _shown(tag, total, 1 / abs(tag.ref.scale), 0)


def _shown(tag: TemplateTag, total: Total, counts_per_total: Fraction, first: int) -> Show:
    factor, divisor = counts_per_total.numerator, counts_per_total.denominator
    modulus = tag.ref.modulus or 0
    end = _end(tag)
    scale, offset = tag.ref.scale, float(tag.ref.offset)
    up, down = scale.numerator, scale.denominator

    def show(t: Instant) -> float:
        count = (first + total(t) * factor // divisor) % modulus
        signed = count - modulus if count >= end else count
        return signed * up if down == 1 and not offset else signed * up / down + offset

    return show


def _end(tag: TemplateTag) -> int:
    """The first count that the register cannot show; a signed one turns negative there."""
    modulus = tag.ref.modulus or 0
    return modulus // 2 if tag.ref.type.value.startswith("i") else modulus
