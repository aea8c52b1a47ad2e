"""Counter readings to deltas: how much was counted between two good readings. Pure; whole counts, so sums are exact.

A counter that falls has rolled over (when the wrapped delta is plausible) or was reset (then it counted from zero).
"""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from kpi.plan import ENERGY, REACTIVE, UnitPlan
from kpi.tiles import Reading
from shopfloor.instant import HOUR, MINUTE, SECOND, Instant
from shopfloor.tag import TagSpec

FLOAT_RESOLUTION: Final = 1e6
"""Counts per unit of a floating-point register (pieces count as wholes)."""
PLAUSIBLE_SPEED: Final = 3
"""A machine may be this many times faster than planned before its counter is disbelieved ..."""
PLAUSIBLE_BURST: Final = 2
"""... beside this many pieces that a late cycle may bring at once."""
PLAUSIBLE_POWER: Final = 2
"""A load may draw this many times its rated power ..."""
ENERGY_SLACK_MS: Final = MINUTE
"""... and a meter may publish its register this much late."""
MODULUS_SHARE: Final = 4
"""Without a rate to go by, a step above this fraction (1/n) of the counter's range is disbelieved."""


class Step(StrEnum):
    """What a counter did between two readings."""

    FORWARD = "forward"
    ROLLOVER = "rollover"
    RESET = "reset"


class Delta(NamedTuple):
    """Counts of [start, end): from the previous good reading to this one."""

    start: Instant
    end: Instant
    counts: int
    """0 when refused."""
    step: Step
    plausible: bool
    attributed: bool
    """False across a gap longer than the reading may age: in totals, not in ratios."""


Bound = Callable[[Instant, Instant], float]
"""The greatest plausible number of counts over [start, end)."""


class Resolution(NamedTuple):
    """The value of one count, as a fraction, so that counts and values turn into each other without drift."""

    multiply: float
    divide: float

    def counts(self, value: float) -> int:
        """A value in whole counts."""
        return round(value * self.divide / self.multiply)

    def value(self, counts: float) -> float:
        """Counts in the tag's unit, correctly rounded where one count is n or 1/n."""
        return counts * self.multiply / self.divide


def resolution(spec: TagSpec) -> Resolution:
    """What one count of a tag is worth: its register's own for integers, fine enough to lose nothing for floats."""
    if spec.modulus is None:
        return Resolution(1.0, 1.0 if spec.unit == "piece" else FLOAT_RESOLUTION)
    inverse = round(1 / spec.scale)
    if spec.scale < 1 and abs(inverse * spec.scale - 1) < 1e-9:
        return Resolution(1.0, float(inverse))
    return Resolution(spec.scale, 1.0)


def deltas(readings: Sequence[Reading], spec: TagSpec, max_age: int, bound: Bound) -> Iterator[Delta]:
    """The deltas of a counter, in order. The first good reading sets the base only; bad ones are passed over."""
    multiply, divide = resolution(spec)
    before: tuple[Instant, int] | None = None
    for time, value in readings:
        if value is None:
            continue
        count = round(value * divide / multiply)
        if before is not None:
            yield _delta(before, (time, count), spec.modulus, max_age, bound)
        before = time, count


def _delta(
    before: tuple[Instant, int], now: tuple[Instant, int], modulus: int | None, max_age: int, bound: Bound
) -> Delta:
    (start, base), (end, count) = before, now
    attributed = end - start <= max_age
    if count == base:
        return Delta(start, end, 0, Step.FORWARD, True, attributed)
    limit = bound(start, end)
    step, counts = Step.FORWARD, count - base
    if counts < 0 and modulus is not None and counts + modulus <= limit:
        step, counts = Step.ROLLOVER, counts + modulus
    elif counts < 0:
        step, counts = Step.RESET, count
    plausible = 0 <= counts <= limit
    return Delta(start, end, counts if plausible else 0, step, plausible, attributed)


def bound_for(plan: UnitPlan, tag: str) -> Bound:
    """What ``tag`` may plausibly count: by PRI for pieces, by rated power for energy, else by the counter's range."""
    spec = plan.tags[tag]
    if tag in (ENERGY, REACTIVE):
        return _energy_bound(plan.unit.max_power_kw, spec)
    return _pieces_bound(plan, spec)


def _range_bound(spec: TagSpec) -> float:
    return float("inf") if spec.modulus is None else spec.modulus // MODULUS_SHARE


def _energy_bound(max_power_kw: float | None, spec: TagSpec) -> Bound:
    if max_power_kw is None:
        anything = _range_bound(spec)
        return lambda start, end: anything
    counts_per_ms = resolution(spec).counts(PLAUSIBLE_POWER * max_power_kw) / HOUR
    return lambda start, end: counts_per_ms * (end - start + ENERGY_SLACK_MS) + 1


def _pieces_bound(plan: UnitPlan, spec: TagSpec) -> Bound:
    anything, fraction, dated = _range_bound(spec), resolution(spec), plan.unit.planned_run_time_s

    def bound(start: Instant, end: Instant) -> float:
        fastest = min(((dated.at(start) if dated else None) or {}).values(), default=0.0)
        if fastest <= 0:
            return anything
        return fraction.counts(PLAUSIBLE_SPEED * (end - start) / SECOND / fastest + PLAUSIBLE_BURST)

    return bound


def shares(counts: int, weights: Sequence[int]) -> list[int]:
    """Split whole counts by weights so that nothing is lost: each share is the growth of the rounded running total.

    Of two slices the heavier takes an odd piece; over many the pieces are spread, not heaped at the front.
    """
    total = sum(weights)
    parts, passed, given = [], 0, 0
    for weight in weights:
        passed += weight
        upto = part_of(counts, passed, total)
        parts.append(upto - given)
        given = upto
    return parts


def part_of(counts: int, passed: int, total: int) -> int:
    """The counts due when ``passed`` of ``total`` is over, rounded half up."""
    return (2 * counts * passed + total) // (2 * total)
