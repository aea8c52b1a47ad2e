"""What a simulated machine is like: defaults derived from the unit, overrides from the plant file's ``simulation``.

Stands before *registers -> samples*: the scenario is written from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from shopfloor.dated import Dated
from shopfloor.errors import PlantError
from shopfloor.instant import Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import WorkUnit

IDLE_PREFERENCE = (
    TimeCategory.NO_ORDER,
    TimeCategory.STARVED,
    TimeCategory.BLOCKED,
    TimeCategory.PLANNED_STOP,
    TimeCategory.UNPLANNED_STOP,
)
"""What a machine shows while nobody attends it: the first of these that its state map knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """A machine's character. Each may be overridden by name in ``simulation``; 0 switches an event off."""

    cycle_s: float = 60.0
    """Planned cycle of products without a planned run time."""
    speed_loss: float = 0.02
    """Mean excess of every cycle over the planned run time, as a ratio."""
    slow_cycle_rate: float = 0.06
    slow_cycle_factor: float = 1.5
    scrap_rate: float = 0.02
    rework_rate: float = 0.0
    order_s: float = 5_400.0
    """Mean planned running time of an order."""
    setup_s: float = 600.0
    trial_pieces: float = 3.0
    no_order_rate: float = 0.25
    """Chance of a spell without order between two orders."""
    no_order_s: float = 480.0
    mtbf_s: float = 14_400.0
    """Mean running time between breakdowns (Weibull)."""
    weibull_shape: float = 1.5
    mttr_s: float = 720.0
    """Median repair time (lognormal)."""
    repair_sigma: float = 0.5
    micro_stop_every_s: float = 1_200.0
    """Mean running time between micro-stops."""
    starved_every_s: float = 5_400.0
    starved_s: float = 150.0
    blocked_every_s: float = 7_200.0
    blocked_s: float = 120.0
    power_kw: float = 12.0
    """Power while running."""
    base_load_kw: float = 15.0
    """What a meter sees besides the machines."""
    power_factor: float = 0.85
    temperature_c: float = 45.0
    """While running."""
    mass_kg: float = 5.0
    rollover_s: float = 5_400.0
    """Running time until the counters roll over for the first time."""
    counter_reset_per_order: float = 0.0
    """1: the part counters start at 0 with each order."""
    runs_outside_calendar: float = 0.0
    """1: the machine knows no breaks and no end of shift."""


def parameters_of(unit: WorkUnit) -> Parameters:
    """The unit's character. Raises PlantError for a name in ``simulation`` that does not exist."""
    known = {field.name for field in fields(Parameters)}
    unknown = [name for name in unit.simulation if name not in known]
    if unknown:
        raise PlantError(
            [f"{unit.path}: simulation.{name} is unknown; use one of {', '.join(sorted(known))}" for name in unknown]
        )
    return replace(Parameters(**_defaults(unit)), **unit.simulation)


def _defaults(unit: WorkUnit) -> dict[str, float]:
    run_times = planned_run_times(unit, 0).values()
    slowest = max(run_times, default=60.0)
    defaults = {"order_s": max(5_400.0, 4 * slowest), "trial_pieces": 3.0 if slowest <= 300 else 0.0}
    if unit.max_power_kw is not None:
        defaults |= {"power_kw": 0.6 * unit.max_power_kw, "base_load_kw": 0.02 * unit.max_power_kw}
    if slowest > 900:  # a furnace: few long cycles, hot
        defaults |= {"temperature_c": 1_420.0, "slow_cycle_factor": 1.2, "mass_kg": 1_000.0}
    return defaults


def planned_run_times(unit: WorkUnit, t: Instant) -> Mapping[str, float]:
    """Seconds per piece by product at ``t``; the first ones known before the plan begins."""
    if unit.planned_run_time_s is None:
        return {}
    return unit.planned_run_time_s.at(t) or unit.planned_run_time_s.entries[0][1]


@dataclass(frozen=True, slots=True)
class Codes:
    """A unit's state and product codes by meaning: the plant file's maps, inverted."""

    states: Mapping[TimeCategory, int]
    products: Mapping[str, int]
    idle: TimeCategory
    """What the machine shows while nobody attends it."""

    def knows(self, category: TimeCategory) -> bool:
        """Whether the machine can tell this category."""
        return category in self.states


_UNSHOWN = dict(enumerate((*IDLE_PREFERENCE, TimeCategory.RUNNING, TimeCategory.SETUP)))


def codes_of(unit: WorkUnit, t: Instant) -> Codes:
    """The codes at ``t``. Raises PlantError where the states cannot tell running from stopped.

    A machine without states lives all the same; its device does not show it.
    """
    mapping = (unit.states.at(t) or unit.states.entries[0][1]) if unit.states else _UNSHOWN
    states: dict[TimeCategory, int] = {}
    for code, category in mapping.items():
        if category is not None:
            states.setdefault(category, code)
    idle = next((category for category in IDLE_PREFERENCE if category in states), None)
    if TimeCategory.RUNNING not in states or idle is None:
        raise PlantError(f"{unit.path}: states must map one code to running and one to a stop to be simulated")
    return Codes(states, _product_codes(unit, t), idle)


def dated_codes(unit: WorkUnit) -> Dated[Codes]:
    """The codes with their dates: a machine follows the plan's changes of meaning. Raises PlantError as above."""
    dates = {since for dated in (unit.states, unit.product) if dated for since, _ in dated.entries}
    return Dated(tuple((since, codes_of(unit, since)) for since in sorted(dates or {0})))


def _product_codes(unit: WorkUnit, t: Instant) -> dict[str, int]:
    rule = (unit.product.at(t) or unit.product.entries[0][1]) if unit.product else None
    if rule is None:
        return {}
    if rule.fixed is not None:
        return {rule.fixed: 1}
    return {product: code for code, product in sorted(rule.codes.items(), reverse=True)}
