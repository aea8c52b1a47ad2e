"""What interrupts a machine, how soon and for how long, in running time. Before *registers -> samples*.

Drawn from the script's own generator, so the script stays a function of its seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import gamma, log
from random import Random

from shopfloor.instant import Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import WorkUnit
from simulators.parameters import Parameters

CLEAR_OF_THRESHOLD = 0.25
"""Micro-stops end and breakdowns last this much (as a ratio) away from the micro-stop threshold."""

Draw = Callable[[], int]
"""The next length of time, ms."""


@dataclass(slots=True)
class Hazard:
    """One kind of interruption: ``left_ms`` of running until it comes."""

    category: TimeCategory
    draw_gap: Draw
    draw_length: Draw
    alarms: bool = False
    left_ms: int = 0

    def __post_init__(self) -> None:
        self.left_ms = self.draw_gap()


def hazards_of(unit: WorkUnit, parameters: Parameters, rng: Random, epoch: Instant) -> list[Hazard]:
    """Every kind of interruption that is switched on, in a fixed order."""
    threshold_ms = round(1000 * (unit.micro_stop_s.at(epoch) or unit.micro_stop_s.entries[0][1]))
    kinds = [
        _breakdown(parameters, rng, threshold_ms) if parameters.mtbf_s else None,
        _micro_stop(parameters, rng, threshold_ms, shortest_ms=3 * unit.device.scan_ms),
        _wait(TimeCategory.STARVED, parameters.starved_every_s, parameters.starved_s, rng),
        _wait(TimeCategory.BLOCKED, parameters.blocked_every_s, parameters.blocked_s, rng),
    ]
    return [kind for kind in kinds if kind is not None]


def weibull_ms(rng: Random, mean_s: float, shape: float) -> int:
    """A Weibull draw with the given mean; shape above 1 wears out, below 1 is infant mortality."""
    return max(1, round(1000 * rng.weibullvariate(mean_s / gamma(1 + 1 / shape), shape)))


def lognormal_ms(rng: Random, median_s: float, sigma: float) -> int:
    """A lognormal draw with the given median."""
    return max(1, round(1000 * rng.lognormvariate(log(median_s), sigma)))


def exponential_ms(rng: Random, mean_s: float) -> int:
    """An exponential draw with the given mean."""
    return max(1, round(1000 * rng.expovariate(1 / mean_s)))


def _breakdown(parameters: Parameters, rng: Random, threshold_ms: int) -> Hazard:
    shortest = round(threshold_ms * (1 + CLEAR_OF_THRESHOLD))
    return Hazard(
        TimeCategory.UNPLANNED_STOP,
        lambda: weibull_ms(rng, parameters.mtbf_s, parameters.weibull_shape),
        lambda: max(shortest, lognormal_ms(rng, parameters.mttr_s, parameters.repair_sigma)),
        alarms=True,
    )


def _micro_stop(parameters: Parameters, rng: Random, threshold_ms: int, *, shortest_ms: int) -> Hazard | None:
    longest_ms = round(threshold_ms * (1 - CLEAR_OF_THRESHOLD))
    if not parameters.micro_stop_every_s or longest_ms < shortest_ms:
        return None
    return Hazard(
        TimeCategory.MICRO_STOP,
        lambda: exponential_ms(rng, parameters.micro_stop_every_s),
        lambda: rng.randint(shortest_ms, longest_ms),
    )


def _wait(category: TimeCategory, every_s: float, median_s: float, rng: Random) -> Hazard | None:
    if not every_s:
        return None
    return Hazard(category, lambda: exponential_ms(rng, every_s), lambda: lognormal_ms(rng, median_s, 0.6))
