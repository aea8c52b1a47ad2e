"""The book of a window: time, counts and energy by slice, as one array per column. Pure.

Inside, time is in milliseconds and quantities in counts of their register, all integers; both become seconds and units
in one last division, so that neither the order of samples nor the window's borders change a fact.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from kpi.facts.counts import Deltas, Resolution, Step, bound_for, deltas, resolution
from kpi.facts.pricing import demands, peaks, priced
from kpi.facts.quantities import SETUP, STARTUP, UNATTRIBUTED, UNSCHEDULED, Columns, made
from kpi.facts.slices import CATEGORIES, Grid, Indices, Window
from kpi.facts.spread import spread
from kpi.plan import ENERGY, POWER, QUANTITIES, REACTIVE, UnitPlan, dated_values
from kpi.timeline.states import Source, StateInterval
from kpi.timeline.stops import StopRun
from shopfloor.additive import Elements, at_column
from shopfloor.columns import Mask, SampleColumns, Times, Values
from shopfloor.fact import Fact
from shopfloor.instant import HOUR
from shopfloor.machine_state import OUTSIDE_PBT, TimeCategory
from shopfloor.reason import Maintenance
from shopfloor.statement import Statement

_IDLE: Final = "idle_"
_EVENTS: Final = {Step.ROLLOVER: "counter_rollovers", Step.RESET: "counter_resets"}
_COUNTED: Final = {
    TimeCategory.UNPLANNED_STOP: "unplanned_stops",
    TimeCategory.MICRO_STOP: "micro_stops",
    TimeCategory.SETUP: "setups",
}
_PRODUCING: Final = frozenset({TimeCategory.RUNNING, TimeCategory.MICRO_STOP})


class Book:
    """Columns of a window's slices while they are being filled."""

    def __init__(self, plan: UnitPlan, grid: Grid, window: Window) -> None:
        self._plan = plan
        self._grid = grid
        self._window = window
        self._length = grid.end - grid.start
        self._columns: Columns = {}
        self._counts: dict[str, Times | Values] = {}
        self._tops: list[tuple[str, Values, Values | Times]] = []

    def add_time(self, tiles: Sequence[StateInterval]) -> None:
        """Book every moment of the window in its category and by what else is known of it."""
        grid = self._grid
        for position, category in enumerate(CATEGORIES):
            self._add_seconds(f"{category}_s", grid.category == position)
        planned = grid.is_in(set(TimeCategory) - OUTSIDE_PBT)
        self._add_seconds("unscheduled_run_s", grid.running & grid.is_in(OUTSIDE_PBT))
        flags = {
            "observed_s": [tile.observed for tile in tiles],
            "inferred_s": [tile.source is Source.INFERRED for tile in tiles],
            "stated_s": [tile.source is Source.STATED for tile in tiles],
            "staffed_s": [tile.staffed for tile in tiles],
            "order_s": [bool(tile.order) for tile in tiles],
        }
        for column, flag in flags.items():
            self._add_seconds(column, np.array(flag)[grid.tile])
        if self._plan.unit.capacity_per_h is not None:
            self._columns["capacity"] = grid.per_slice(self._length, planned) * self._plan.unit.capacity_per_h / HOUR

    def _add_seconds(self, column: str, where: Mask) -> None:
        self._columns[column] = self._grid.per_slice(self._length, where) / 1000

    def add_stops(self, stops: Sequence[StopRun]) -> None:
        """Book stops and failures in the minute of their start, and the time that failures and maintenance took."""
        for category, column in _COUNTED.items():
            self._add_starts(column, (stop.start for stop in stops if stop.begins and stop.category is category))
        self._add_starts("failures", (stop.start for stop in stops if stop.counted))
        self._add_starts("assumed_failures", (stop.start for stop in stops if stop.counted and stop.assumed))
        position = self._grid.among([(stop.start, stop.end) for stop in stops])
        for column, flag in {
            "repair_s": [stop.failure for stop in stops],
            "corrective_s": [stop.maintenance is Maintenance.CORRECTIVE for stop in stops],
            "preventive_s": [stop.maintenance is Maintenance.PREVENTIVE for stop in stops],
        }.items():
            self._add_seconds(column, np.array([*flag, False])[position])

    def _add_starts(self, column: str, starts: Iterable[int]) -> None:
        low, high = self._window
        inside = np.array([start for start in starts if low <= start < high], dtype=np.int64)
        self._add_events(column, self._grid.at(inside))

    def _add_events(self, column: str, segments: Indices) -> None:
        slots = self._grid.slot_of(segments)
        found = np.bincount(slots[slots >= 0], minlength=len(self._grid.keys)).astype(np.float64)
        self._columns[column] = self._columns.get(column, 0.0) + found

    def add_counters(self, samples: SampleColumns, startup: Mask) -> None:
        """Book each counter's deltas on the slices that they belong to; ``startup`` tells segments of a start-up."""
        for tag in self._plan.counters:
            if tag in samples.values:
                self._add_counter(tag, samples.times, samples.values[tag], startup)

    def _add_counter(self, tag: str, times: Times, values: Values, startup: Mask) -> None:
        spec, unit = self._plan.tags[tag], self._plan.unit
        found = deltas(times, values, spec, unit.max_age_ms, bound_for(self._plan, tag))
        near = (found.end > self._window[0]) & (found.start < self._window[1])
        for step, column in _EVENTS.items():
            self._add_events(column, self._grid.ending(found.end[near & (found.step == step)]))
        self._add_events("implausible", self._grid.ending(found.end[near & ~found.plausible]))
        self._add_counts(tag, found.where(near & (found.counts > 0)), startup)
        if tag == ENERGY:
            self._add_demand(found)

    def _add_counts(self, tag: str, found: Deltas, startup: Mask) -> None:
        grid, piece = self._grid, tag in QUANTITIES
        parts = spread(found, grid, found.attributed & piece)
        slots, attributed = grid.slot[parts.segment], found.attributed[parts.delta]
        corrected = any(correction.tag == tag for correction in self._plan.unit.corrections)
        factors = self._correction(tag, found.start)[parts.delta] if corrected else None

        def add(bucket: str, where: Mask) -> None:
            (chosen,) = np.nonzero(where & (slots >= 0))
            if len(chosen):
                factor = None if factors is None else factors[chosen]
                self._counts[bucket + tag] = _sums(slots[chosen], parts.counts[chosen], factor, len(grid.keys))

        if not piece:
            add("", attributed | (tag == REACTIVE))  # no ratio is made of reactive energy
            add(UNATTRIBUTED, ~attributed & (tag != REACTIVE))
            add(_IDLE, attributed & self._idle()[parts.segment] & (tag == ENERGY))
            return
        # ratios use known time only, so no pieces of unknown time either
        known = attributed & ~grid.is_in([TimeCategory.UNKNOWN])[parts.segment]
        setup = known & grid.is_in([TimeCategory.SETUP])[parts.segment]
        outside = known & grid.is_in(OUTSIDE_PBT)[parts.segment]
        plain = known & ~setup & ~outside
        add("", plain)
        add(SETUP, setup)
        add(UNSCHEDULED, outside)
        add(UNATTRIBUTED, ~known)
        add(STARTUP, plain & startup[parts.segment])

    def _idle(self) -> Mask:
        """Known time of a machine in which it neither produced nor ran outside planned busy time."""
        grid = self._grid
        idle = ~grid.is_in([*_PRODUCING, TimeCategory.UNKNOWN]) & (grid.category >= 0)
        return idle & ~(grid.running & grid.is_in(OUTSIDE_PBT))

    def _correction(self, tag: str, at: Times) -> Values:
        factors = np.ones(len(at))
        for correction in self._plan.unit.corrections:
            if correction.tag == tag:
                factors *= dated_values(correction.factor, at, lambda factor: factor or 1.0, 1.0)
        return factors

    def _add_demand(self, found: Deltas) -> None:
        counts = self._counts.get(ENERGY, np.zeros(len(self._grid.keys), dtype=np.int64))
        ends, kilowatts = demands(found, self._grid, self._window, counts, resolution(self._plan.tags[ENERGY]))
        slots = self._grid.slot_of(self._grid.ending(ends))
        column, when = np.zeros(len(self._grid.keys)), np.zeros(len(self._grid.keys))
        column[slots], when[slots] = kilowatts, ends
        self._tops.append(("demand_max_kw", column, when))

    def add_power(self, samples: SampleColumns) -> None:
        """Book the highest power reading of each slice."""
        if POWER not in self._plan.tags or POWER not in samples.values:
            return
        near = samples.between(*self._window)
        good = ~np.isnan(near.values[POWER])
        times, power = near.times[good], near.values[POWER][good]
        power = power * self._correction(POWER, times)
        slots = self._grid.slot_of(self._grid.ending(times + 1))
        known = slots >= 0
        self._tops.append(("power_max_kw", *peaks(self._grid, slots[known], times[known], power[known])))

    def add_quantities(self, statements: Sequence[Statement]) -> None:
        """Turn counts into quantities, with what people stated, and price the energy. After the counters."""
        counted = {name: self._worth(name).value(counts) for name, counts in self._counts.items()}
        if self._plan.unit.is_machine:
            self._columns |= made(self._plan, self._grid, counted, statements)
        energies = (ENERGY, UNATTRIBUTED + ENERGY, _IDLE + ENERGY, REACTIVE)
        self._columns |= {name: counted[name] for name in energies if name in counted}
        if energy := [counted[name] for name in energies[:2] if name in counted]:
            self._columns |= priced(self._plan.unit, self._grid.minute, sum(energy, np.zeros(len(self._grid.keys))))

    def _worth(self, name: str) -> Resolution:
        tag = name
        for bucket in (SETUP, UNSCHEDULED, UNATTRIBUTED, STARTUP, _IDLE):
            tag = tag.removeprefix(bucket)
        return resolution(self._plan.tags[tag])

    def facts(self) -> list[Fact]:
        """The slices as facts: what is not zero."""
        elements: list[Elements] = [{} for _ in self._grid.keys]
        for column, values in self._columns.items():
            (there,) = np.nonzero(values)
            for slot, value in zip(there.tolist(), values[there].tolist(), strict=True):
                elements[slot][column] = value
        for column, values, when in self._tops:
            (there,) = np.nonzero(values)
            at = at_column(column)
            for slot, value, instant in zip(there.tolist(), values[there].tolist(), when[there].tolist(), strict=True):
                elements[slot][column], elements[slot][at] = value, float(instant)
        unit = self._plan.path
        return [Fact(unit, *key, record) for key, record in zip(self._grid.keys, elements, strict=True) if record]


def _sums(slots: Indices, counts: Times, factors: Values | None, slices: int) -> Times | Values:
    """Counts by slice, exact; corrected counts become floats by factor, so that no order of adding shows."""
    if factors is None:
        whole = np.zeros(slices, dtype=np.int64)
        np.add.at(whole, slots, counts)
        return whole
    corrected = np.zeros(slices)
    for factor in np.unique(factors):
        chosen = factors == factor
        corrected += _sums(slots[chosen], counts[chosen], None, slices) * factor
    return corrected
