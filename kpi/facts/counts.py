"""Counter readings to deltas: how much was counted between two good readings. Pure; whole counts, so sums are exact.

A counter that falls has rolled over (when the wrapped delta is plausible) or was reset (then it counted from zero).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpi.plan import ENERGY, REACTIVE, UnitPlan, dated_values
from shopfloor.columns import Mask, Times, Values
from shopfloor.instant import HOUR, MINUTE, SECOND
from shopfloor.tag import TagSpec

FLOAT_RESOLUTION: Final = 1e6
"""Counts per unit of a floating-point register (pieces and heats count as wholes)."""
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
LARGEST_STEP: Final = 2**46
"""No step is believed beyond this many counts, so that a minute's sum of any scan stays below 2^63."""
LARGEST_COUNT: Final = 2**61
"""A reading beyond this many counts has no exact difference: its steps are refused."""


class Step(IntEnum):
    """What a counter did between two readings."""

    FORWARD = 0
    ROLLOVER = 1
    RESET = 2


@dataclass(frozen=True, slots=True, eq=False)
class Deltas:
    """What a counter counted between one good reading and the next, one array element each, in order of time."""

    start: Times
    end: Times
    counts: Times
    """0 where refused."""
    step: NDArray[np.int8]
    """``Step``."""
    plausible: Mask
    attributed: Mask
    """False across a gap longer than the reading may age: in totals, not in ratios."""

    def where(self, mask: Mask) -> "Deltas":
        """The chosen ones."""
        return Deltas(
            self.start[mask],
            self.end[mask],
            self.counts[mask],
            self.step[mask],
            self.plausible[mask],
            self.attributed[mask],
        )


Bound = Callable[[Times, Times], Values]
"""The greatest plausible number of counts over each [start, end)."""


class Resolution(NamedTuple):
    """The value of one count, as a fraction, so that counts and values turn into each other without drift."""

    multiply: float
    divide: float

    def counts(self, values: Values) -> Values:
        """Values in counts, rounded to wholes."""
        return np.asarray(np.rint(values * self.divide / self.multiply), dtype=np.float64)

    def value(self, counts: Values | Times) -> Values:
        """Counts in the tag's unit, correctly rounded where one count is n or 1/n."""
        return np.asarray(counts * self.multiply / self.divide, dtype=np.float64)


def resolution(spec: TagSpec) -> Resolution:
    """What one count of a tag is worth: its register's own for integers, fine enough to lose nothing for floats."""
    if spec.modulus is None:
        return Resolution(1.0, 1.0 if spec.unit in ("piece", "heat") else FLOAT_RESOLUTION)
    inverse = round(1 / spec.scale)
    if spec.scale < 1 and abs(inverse * spec.scale - 1) < 1e-9:
        return Resolution(1.0, float(inverse))
    return Resolution(spec.scale, 1.0)


def deltas(times: Times, values: Values, spec: TagSpec, max_age: int, bound: Bound) -> Deltas:
    """The deltas of a counter. ``values`` are its readings at ``times``, NaN where none is good: those are passed over.

    The first good reading sets the base only.
    """
    good = ~np.isnan(values)
    times, reading = times[good], resolution(spec).counts(values[good])
    beyond = np.abs(reading) >= LARGEST_COUNT
    reading[beyond] = 0
    count, refused = reading.astype(np.int64), beyond[1:] | beyond[:-1]
    start, end, steps = times[:-1], times[1:], np.diff(count)
    (moved,) = np.nonzero((steps != 0) | refused)
    step, counted, plausible = _judge(
        steps[moved], count[1:][moved], spec.modulus, np.minimum(bound(start[moved], end[moved]), LARGEST_STEP)
    )
    step[refused[moved]], plausible[refused[moved]] = Step.FORWARD, False
    found = Deltas(
        start,
        end,
        np.zeros(len(start), dtype=np.int64),
        np.zeros(len(start), dtype=np.int8),
        np.ones(len(start), dtype=np.bool_),
        end - start <= max_age,
    )
    found.counts[moved] = np.where(plausible, counted, 0)
    found.step[moved], found.plausible[moved] = step, plausible
    return found


def _judge(steps: Times, now: Times, modulus: int | None, limit: Values) -> tuple[NDArray[np.int8], Times, Mask]:
    """What each step was, its counts, and whether they are plausible."""
    width = modulus if modulus is not None and modulus < LARGEST_COUNT else LARGEST_COUNT
    fell, wrapped = steps < 0, steps + width
    rolled = fell & (wrapped <= limit) & (width < LARGEST_COUNT)
    step = np.where(rolled, Step.ROLLOVER, np.where(fell, Step.RESET, Step.FORWARD)).astype(np.int8)
    counted = np.where(rolled, wrapped, np.where(fell, now, steps))
    return step, counted, (counted >= 0) & (counted <= limit)


def bound_for(plan: UnitPlan, tag: str) -> Bound:
    """What ``tag`` may plausibly count: by PRI for pieces, by rated power for energy, else by the counter's range."""
    spec = plan.tags[tag]
    if tag in (ENERGY, REACTIVE):
        return _energy_bound(plan.unit.max_power_kw, spec)
    return _pieces_bound(plan, spec)


def _range_bound(spec: TagSpec) -> float:
    return float("inf") if spec.modulus is None else float(spec.modulus // MODULUS_SHARE)


def _energy_bound(max_power_kw: float | None, spec: TagSpec) -> Bound:
    if max_power_kw is None:
        anything = _range_bound(spec)
        return lambda start, end: np.full(len(start), anything)
    counts_per_ms = resolution(spec).counts(np.array([PLAUSIBLE_POWER * max_power_kw])) / HOUR
    return lambda start, end: counts_per_ms * (end - start + ENERGY_SLACK_MS).astype(np.float64) + 1


def _pieces_bound(plan: UnitPlan, spec: TagSpec) -> Bound:
    anything, fraction, dated = _range_bound(spec), resolution(spec), plan.unit.planned_run_time_s

    def bound(start: Times, end: Times) -> Values:
        fastest = dated_values(dated, start, lambda times: min(times.values(), default=0.0))
        known = fastest > 0
        pieces = PLAUSIBLE_SPEED * (end - start) / SECOND / np.where(known, fastest, 1.0) + PLAUSIBLE_BURST
        return np.where(known, fraction.counts(pieces), anything)

    return bound
