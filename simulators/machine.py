"""What a device's tags read at an instant: script and supply to tag values. Head of *registers -> samples*.

A source is asked for any instant; it keeps no state but what the script has written.
"""

import math
from collections.abc import Mapping
from random import Random
from typing import Protocol

from devices.template import READING, Template, TemplateTag
from shopfloor.instant import Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.sample import Value
from shopfloor.tag import TagKind
from simulators.counting import Total, counter, from_zero
from simulators.parameters import dated_codes, planned_run_times
from simulators.scenario import Outcome, Script
from simulators.supply import Show, Supply, electrical, supply_of

AMBIENT_C = 28.0
COOLED = 0.85
"""Share of its heat that a machine keeps while it stands."""
RUN_PRESSURE_BAR = 180.0
RUN_SPEED_RPM = 1_450.0
WAVE_MS = 600_000
"""Period of the small movement of process values."""


class Source(Protocol):
    """What a simulated device measures."""

    def values(self, t: Instant) -> dict[str, Value | None]:
        """Every tag of the template but the journal's reading number; None for "not available"."""
        ...


class Machine:
    """A machine that follows a script."""

    def __init__(self, template: Template, script: Script, rng: Random) -> None:
        self._script = script
        self._codes = dated_codes(script.unit)
        self._rng = rng
        self._supply = supply_of(script, script.parameters.power_factor)
        self._shows = {tag.spec.name: self._show(tag) for tag in template.tags if tag.spec.name != READING}

    def values(self, t: Instant) -> dict[str, Value | None]:
        return {name: show(t) for name, show in self._shows.items()}

    def _show(self, tag: TemplateTag) -> Show:
        name = tag.spec.name
        if name in self._totals():
            return self._piece_counter(tag, self._totals()[name])
        parameters = self._script.parameters
        rollover_kwh = parameters.power_kw * parameters.rollover_s / 3600
        show = self._own().get(name) or electrical(tag, self._supply, rollover_kwh=rollover_kwh, rng=self._rng)
        return within(tag, show or unknown(tag))

    def _totals(self) -> Mapping[str, Total]:
        tallies, count = self._script.tallies, self._script.pieces_at
        return {
            "produced": count,
            "heats": count,
            "good": lambda t: tallies[Outcome.GOOD][count(t)],
            "scrap": lambda t: tallies[Outcome.SCRAP][count(t)],
            "rework": lambda t: tallies[Outcome.REWORK][count(t)],
        }

    def _piece_counter(self, tag: TemplateTag, total: Total) -> Show:
        parameters, script = self._script.parameters, self._script
        if parameters.counter_reset_per_order:
            return from_zero(tag, lambda t: total(t) - total(max(script.order_at(t).start, script.epoch)))
        fastest = min(planned_run_times(script.unit, script.epoch).values(), default=parameters.cycle_s)
        share = {"scrap": parameters.scrap_rate, "rework": parameters.rework_rate}.get(tag.spec.name, 1.0)
        pieces = share * parameters.rollover_s / fastest
        return counter(tag, total, per_unit=1, until_rollover=pieces, rng=self._rng)

    def _own(self) -> Mapping[str, Show]:
        parameters = self._script.parameters
        return {
            "state": self._state,
            "product_code": self._product_code,
            "alarm_code": lambda t: self._script.segment_at(t).alarm,
            "cycle_time_s": self._cycle_time_s,
            "temperature_c": lambda t: AMBIENT_C + (parameters.temperature_c - AMBIENT_C) * self._warmth(t),
            "mass_kg": lambda t: parameters.mass_kg * (1 + 0.01 * _wave(t)),
            "pressure_bar": lambda t: RUN_PRESSURE_BAR * self._warmth(t) if self._runs(t) else 5.0,
            "speed_rpm": lambda t: RUN_SPEED_RPM * (1 + 0.01 * _wave(t)) if self._runs(t) else 0.0,
        }

    def _state(self, t: Instant) -> int:
        codes = self._codes.at(t) or self._codes.entries[0][1]
        category = self._script.segment_at(t).category
        return codes.states.get(category, codes.states[codes.idle])

    def _product_code(self, t: Instant) -> int:
        codes = self._codes.at(t) or self._codes.entries[0][1]
        return codes.products.get(self._script.order_at(t).product, 0)

    def _cycle_time_s(self, t: Instant) -> float | None:
        count = self._script.pieces_at(t)
        return self._script.pieces[count - 1].cycle_ms / 1000 if count else None

    def _runs(self, t: Instant) -> bool:
        return self._script.segment_at(t).category is TimeCategory.RUNNING

    def _warmth(self, t: Instant) -> float:
        return (1.0 if self._runs(t) else COOLED) * (1 + 0.01 * _wave(t))


class Meter:
    """A device that sees nothing but electricity."""

    def __init__(self, template: Template, supply: Supply, rng: Random, *, rollover_kwh: float) -> None:
        self._shows = {
            tag.spec.name: within(tag, electrical(tag, supply, rollover_kwh=rollover_kwh, rng=rng) or unknown(tag))
            for tag in template.tags
            if tag.spec.name != READING
        }

    def values(self, t: Instant) -> dict[str, Value | None]:
        return {name: show(t) for name, show in self._shows.items()}


def within(tag: TemplateTag, show: Show) -> Show:
    """``show`` kept inside the tag's plausible range."""
    if tag.range is None:
        return show
    low, high = tag.range

    def kept(t: Instant) -> Value | None:
        value = show(t)
        return value if value is None or isinstance(value, str) else min(max(value, low), high)

    return kept


def unknown(tag: TemplateTag) -> Show:
    """A tag whose meaning the simulator does not know: a constant."""
    constant: Value = "SIM" if tag.spec.kind is TagKind.TEXT else 0
    return lambda _: constant


def _wave(t: Instant) -> float:
    return math.sin(2 * math.pi * (t % WAVE_MS) / WAVE_MS)
