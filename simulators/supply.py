"""The electrical values of a load, as meters and machines show them. Head of *registers -> samples*."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from devices.template import TemplateTag
from shopfloor.instant import Instant
from shopfloor.sample import Value
from shopfloor.tag import TagKind
from simulators.counting import counter
from simulators.power import W_MS_PER_KWH, Load, PartOfLoad, PowerTrace, RememberedLoad

VOLTAGE_V = 230.0
FREQUENCY_HZ = 50.0
PHASE = re.compile(r"x_(.+)_l[123](_.+)?")
"""Names of one phase's values: ``x_power_l1_kw`` is a third of ``power_kw``."""
NOTHING = PowerTrace()

Show = Callable[[Instant], Value | None]
"""What a tag reads at an instant; None for "not available"."""


@dataclass(frozen=True, slots=True)
class Supply:
    """Active power and the reactive power beside it; var are counted like W."""

    active: Load
    reactive: Load
    """Lagging, imported."""
    reactive_export: Load = NOTHING
    """Leading."""


def supply_of(load: Load, power_factor: float) -> Supply:
    """A load with a constant lagging power factor."""
    load = RememberedLoad(load)
    return Supply(load, PartOfLoad(load, round(1000 * math.tan(math.acos(power_factor))), 1000))


def electrical(tag: TemplateTag, supply: Supply, *, rollover_kwh: float, rng: Random) -> Show | None:
    """How ``tag`` shows the supply; None for a tag that is not electrical.

    Energy registers of up to 32 bits roll over after about ``rollover_kwh``.
    """
    name, phases = _whole_name(tag.spec.name)
    if tag.spec.kind is TagKind.COUNTER:
        load = _energies(supply).get(name)
        if load is None:
            return None
        part = PartOfLoad(load, 1, phases) if phases > 1 else load
        return counter(tag, part.energy_at, per_unit=W_MS_PER_KWH, until_rollover=rollover_kwh / phases, rng=rng)
    return _gauge(name, supply, phases)


def _whole_name(name: str) -> tuple[str, int]:
    """The canonical name behind one phase's, and of how many phases the tag is one."""
    match = PHASE.fullmatch(name)
    return (match[1] + (match[2] or ""), 3) if match else (name, 1)


def _energies(supply: Supply) -> dict[str, Load]:
    return {
        "energy_kwh": supply.active,
        "energy_export_kwh": NOTHING,
        "reactive_kvarh": supply.reactive,
        "reactive_export_kvarh": supply.reactive_export,
    }


def _gauge(name: str, supply: Supply, phases: int) -> Show | None:
    def kva(t: Instant) -> float:
        return math.hypot(supply.active.watts_at(t), supply.reactive.watts_at(t)) / 1000

    def factor(t: Instant) -> float:
        apparent = kva(t)
        return supply.active.watts_at(t) / 1000 / apparent if apparent else 1.0

    gauges: dict[str, Show] = {
        "power_kw": lambda t: supply.active.watts_at(t) / 1000 / phases,
        "reactive_kvar": lambda t: supply.reactive.watts_at(t) / 1000 / phases,
        "apparent_kva": lambda t: kva(t) / phases,
        "power_factor": factor,
        "current_a": lambda t: kva(t) * 1000 / 3 / VOLTAGE_V,
        "voltage_v": lambda _: VOLTAGE_V,
        "frequency_hz": lambda _: FREQUENCY_HZ,
    }
    return gauges.get(name)
