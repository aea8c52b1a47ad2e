"""What the derivation must know of a unit, between samples and facts: its plan, its calendar, how far samples reach."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeVar

import numpy as np

from kpi.timeline.inference import lookback
from kpi.timeline.tiles import Tile
from shopfloor.calendar import Calendar, Planned, Span
from shopfloor.columns import Times, Values
from shopfloor.dated import Dated
from shopfloor.instant import Instant
from shopfloor.plant import NO_PRODUCT, NoOrder, ProductRule, QuantityUnit, UnscheduledRun, WorkUnit
from shopfloor.tag import TagKind, TagSpec

T = TypeVar("T")

STATE: Final = "state"
ENERGY: Final = "energy_kwh"
REACTIVE: Final = "reactive_kvarh"
POWER: Final = "power_kw"
PIECES: Final = ("produced", "good", "scrap", "rework")
"""Counters of pieces, each in its own register when the machine has it."""
PRODUCED_IN: Final[Mapping[QuantityUnit, str]] = {
    QuantityUnit.KILOGRAM: "mass_total_kg",
    QuantityUnit.HEAT: "heats",
}
"""The counter of what is produced, for products that are not counted in pieces."""
QUANTITIES: Final = (*PIECES, *PRODUCED_IN.values())
"""Counters that go by running time."""
COUNTERS: Final = (*QUANTITIES, ENERGY, REACTIVE)
"""Counters that become quantities in the facts."""

_NEVER = Calendar("none", ())


@dataclass(frozen=True, slots=True)
class UnitPlan:
    """A work unit with the tags that its device gives: everything its facts depend on, beside the samples."""

    unit: WorkUnit
    tags: Mapping[str, TagSpec]

    @property
    def path(self) -> str:
        """The unit's path ``site/area/work_center/work_unit``."""
        return str(self.unit.path)

    @property
    def counters(self) -> tuple[str, ...]:
        """The unit's counters that become quantities."""
        return tuple(name for name in COUNTERS if name in self.tags and self.tags[name].kind is TagKind.COUNTER)

    @property
    def counts_quantities(self) -> bool:
        """Whether the unit has a counter of what it makes; else only people can tell."""
        return any(name in QUANTITIES for name in self.counters)

    @property
    def reach(self) -> int:
        """Milliseconds by which a sample can change facts beyond its neighbours.

        Two holds (``max_age``); what tells running without a state, or a transition, from samples around
        (``lookback``); the stop that it ends or lengthens, up to the longest micro-stop; and what looks back to the end
        of that stop, a re-trip (``retrip_s``) or a start-up (``startup_s``).
        """
        unit = self.unit
        if not unit.is_machine:
            return 2 * unit.max_age_ms
        longest = max((seconds for _, seconds in unit.micro_stop_s.entries), default=0.0)
        after = max(unit.retrip_s, unit.startup_s)
        return 2 * unit.max_age_ms + lookback(unit) + round((longest + after) * 1000)


def dated_tiles(dated: Dated[T] | None, start: Instant, end: Instant) -> list[Tile[T | None]]:
    """Tile [start, end) with the values of a dated meaning; None where it has none."""
    if dated is None:
        return [Tile(start, end, None)]
    cuts = [start, *dated.changes(start, end), end]
    return [Tile(low, high, dated.at(low)) for low, high in pairwise(cuts)]


def dated_values(dated: Dated[T] | None, at: Times, number: Callable[[T], float], default: float = 0.0) -> Values:
    """The ``number`` of the value that holds at each instant; ``default`` where none does."""
    if dated is None:
        return np.full(len(at), default)
    known = np.array([default, *(number(value) for _, value in dated.entries)])
    return known[np.searchsorted([since for since, _ in dated.entries], at, side="right")]


def calendar_spans(unit: WorkUnit, start: Instant, end: Instant) -> list[Span]:
    """Tile [start, end) with the unit's calendar; time before the first calendar is not scheduled."""
    return [
        span
        for low, high, calendar in dated_tiles(unit.calendar, start, end)
        for span in (calendar or _NEVER).spans(low, high, unit.timezone)
    ]


def product_of(rule: ProductRule | None, code: int | None) -> str:
    """The product in force under ``rule`` while its tag shows ``code``."""
    if rule is None:
        return NO_PRODUCT
    if rule.tag is None:
        return rule.fixed or NO_PRODUCT
    return NO_PRODUCT if code is None else rule.codes.get(code, NO_PRODUCT)


def planned_run_time_s(unit: WorkUnit, product: str, at: Instant) -> float | None:
    """PRI of ``product`` at an instant, seconds per piece; None when the plan gives none."""
    if unit.planned_run_time_s is None:
        return None
    return (unit.planned_run_time_s.at(at) or {}).get(product)


def runs_outside(unit: WorkUnit, planned: Planned) -> bool:
    """Whether running now would be outside planned busy time by calendar and the site's policy."""
    return planned is not Planned.BUSY and unit.policy.unscheduled_run is UnscheduledRun.OUTSIDE


def no_order_is_planned(unit: WorkUnit) -> bool:
    """Whether the site's policy books busy time without an order as planned stop."""
    return unit.policy.no_order is NoOrder.PLANNED
