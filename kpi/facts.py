"""Samples to facts: the additive record of every minute, split at shift and product, with its stops and losses. Pure.

Inside, time is in milliseconds and quantities in counts of their register, all integers; both become seconds and units
in one last division, so that neither the order of samples nor the window's borders change a fact.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from kpi.counts import Delta, Resolution, Step, bound_for, deltas, part_of, resolution, shares
from kpi.plan import ENERGY, PIECES, POWER, REACTIVE, UnitPlan, planned_run_time_s
from kpi.states import StateInterval, in_order, readings, runs, silent_timeline, untrimmed_timeline
from shopfloor.additive import Elements, at_column
from shopfloor.fact import Fact, Loss, Stop
from shopfloor.instant import MINUTE, QUARTER, Instant, ceil_to, floor_to
from shopfloor.machine_state import OUTSIDE_PBT, TimeCategory
from shopfloor.plant import WorkUnit
from shopfloor.sample import Sample

Window = tuple[Instant, Instant]
"""[start, end) in whole minutes."""
Key = tuple[Instant, str, str]
"""Slice: minute, shift, product."""

STOPS: Final = frozenset(
    {TimeCategory.UNPLANNED_STOP, TimeCategory.MICRO_STOP, TimeCategory.STARVED, TimeCategory.BLOCKED}
)
LOSSES: Final = STOPS | {TimeCategory.SETUP, TimeCategory.NO_ORDER, TimeCategory.UNKNOWN}
_COUNTED_STOPS: Final[Mapping[TimeCategory | None, str]] = {
    TimeCategory.UNPLANNED_STOP: "unplanned_stops",
    TimeCategory.MICRO_STOP: "micro_stops",
}
_STEPS: Final = {Step.ROLLOVER: "counter_rollovers", Step.RESET: "counter_resets"}
_COLUMN: Final = {category: f"{category}_s" for category in TimeCategory}
_MS_COLUMNS: Final = frozenset({*_COLUMN.values(), "observed_s", "unscheduled_run_s"})
_SETUP, _UNSCHEDULED, _UNATTRIBUTED = "setup_", "unscheduled_", "unattributed_"
NO_DATA: Final = "no_data"
"""The reason of unknown time without a good value."""


@dataclass(frozen=True, slots=True)
class Derived:
    """What a window of samples says."""

    facts: list[Fact]
    """Minute grain, in order of (time, shift, product)."""
    stops: list[Stop]
    """Every stop that overlaps the window. One that begins at ``known_from`` may have begun before."""
    losses: list[Loss]
    known_from: Instant
    """Where the context begins that was looked at."""


class _Segment(NamedTuple):
    """A stretch within one minute, shift, product and category."""

    start: Instant
    end: Instant
    key: Key
    category: TimeCategory | None
    running: bool


def derive(plan: UnitPlan, samples: Iterable[Sample], window: Window) -> Derived:
    """The facts, stops and losses of ``window``, as far as it lies between the first and the last sample.

    ``samples`` may come in any order and twice. They include the context that decides the borders: ``plan.reach``
    beyond both, and each counter's last good reading before and next after. Any split of a time into windows gives the
    same facts.
    """
    ordered = in_order(samples)
    tiles = untrimmed_timeline(plan, ordered, *window)
    if not tiles:
        return Derived([], [], [], window[0])
    book = _Book(plan, tiles, window)
    book.add_time(tiles)
    for tag in plan.counters:
        book.add_counter(tag, ordered)
    if POWER in plan.tags:
        book.add_power(ordered)
    inside = [run for run in runs(tiles) if run[0].start < window[1] and run[-1].end > window[0]]
    return Derived(book.facts(), _stops(plan, inside, tiles[-1].end), book.losses(inside), tiles[0].start)


def gap_facts(unit: WorkUnit, start: Instant, end: Instant, step: int = MINUTE) -> list[Fact]:
    """Facts of a stretch of which no sample tells: unknown, or what the calendar plans; nothing for a meter.

    ``step`` is the grain in ms; a coarser one gives fewer facts with the same sum.
    """
    if not unit.is_machine:
        return []
    slices: dict[Key, Elements] = defaultdict(dict)
    for segment in _segments(silent_timeline(unit, start, end), step):
        elements, column = slices[segment.key], f"{segment.category}_s"
        elements[column] = elements.get(column, 0.0) + (segment.end - segment.start) / 1000
    return [Fact(str(unit.path), *key, elements) for key, elements in sorted(slices.items())]


def _segments(tiles: Iterable[StateInterval], step: int = MINUTE) -> Iterator[_Segment]:
    for tile in tiles:
        running = tile.machine is TimeCategory.RUNNING
        low = tile.start
        while low < tile.end:
            slot = low - low % step
            high = min(slot + step, tile.end)
            yield _Segment(low, high, (slot, tile.shift, tile.product), tile.category, running)
            low = high


def _stops(plan: UnitPlan, inside: Iterable[list[StateInterval]], horizon: Instant) -> list[Stop]:
    return [
        Stop(
            plan.path,
            run[0].start,
            run[-1].end if run[-1].end < horizon else None,
            str(run[0].category),
            run[0].code,
        )
        for run in inside
        if run[0].category in STOPS
    ]


def _reason(tile: StateInterval) -> str:
    if tile.code is None:
        return NO_DATA
    return f"unmapped_{tile.code}" if tile.machine is None else f"code_{tile.code}"


class _Slot(defaultdict[str, float]):
    """One slice's raw integers by column; absent is 0."""

    def __init__(self) -> None:
        super().__init__(int)


class _Book:
    """Slices of a window while they are being filled: raw integers by column."""

    def __init__(self, plan: UnitPlan, tiles: Sequence[StateInterval], window: Window) -> None:
        self._plan = plan
        self._start, self._end = window
        context = window[0] - plan.unit.max_age_ms, window[1] + plan.unit.max_age_ms
        self._segments = list(
            _segments(
                tile._replace(start=max(tile.start, context[0]), end=min(tile.end, context[1]))
                for tile in tiles
                if tile.start < context[1] and tile.end > context[0]
            )
        )
        self._starts = [segment.start for segment in self._segments]
        self._slices: dict[Key, _Slot] = defaultdict(_Slot)
        self._worth: dict[str, Resolution] = {}
        self._demand: dict[Instant, float] = {}
        self._peaks: dict[Key, tuple[float, Instant]] = {}

    def add_time(self, tiles: Iterable[StateInterval]) -> None:
        """Book every moment of the window in its category, and stops in the minute of their start."""
        for tile in tiles:
            low, high = max(tile.start, self._start), min(tile.end, self._end)
            while low < high:
                minute = low - low % MINUTE
                until = min(minute + MINUTE, high)
                self._add_stretch(tile, (minute, tile.shift, tile.product), until - low)
                low = until
        for run in runs(tiles):
            column = _COUNTED_STOPS.get(run[0].category)
            if column is not None and self._start <= run[0].start < self._end:
                self._slices[self._key(run[0])][column] += 1

    def _add_stretch(self, tile: StateInterval, key: Key, length: int) -> None:
        slot = self._slices[key]
        if tile.observed:
            slot["observed_s"] += length
        if tile.category is not None:
            slot[_COLUMN[tile.category]] += length
            if tile.machine is TimeCategory.RUNNING and tile.category in OUTSIDE_PBT:
                slot["unscheduled_run_s"] += length

    def add_counter(self, tag: str, samples: Sequence[Sample]) -> None:
        """Book a counter's deltas on the slices that they belong to."""
        spec, unit = self._plan.tags[tag], self._plan.unit
        stretch: list[Delta] = []
        for delta in deltas(readings(samples, tag), spec, unit.max_age_ms, bound_for(self._plan, tag)):
            if delta.end <= self._start or delta.start >= self._end:
                continue
            self._add_events(delta)
            if delta.counts:
                self._add_counts(tag, delta)
            if tag == ENERGY:
                stretch.append(delta)
        if tag == ENERGY:
            self._mark_demand(stretch)

    def _add_events(self, delta: Delta) -> None:
        if delta.plausible and delta.step is Step.FORWARD:
            return
        segment = self._last_of(delta.end)
        if segment is not None and self._start <= segment.key[0] < self._end:
            slot = self._slices[segment.key]
            if delta.step in _STEPS:
                slot[_STEPS[delta.step]] += 1
            if not delta.plausible:
                slot["implausible"] += 1

    def _last_of(self, end: Instant) -> _Segment | None:
        index = bisect_left(self._starts, end) - 1
        return self._segments[index] if index >= 0 and self._segments[index].end >= end else None

    def _add_counts(self, tag: str, delta: Delta) -> None:
        touched = self._touched(delta)
        factor = self._correction(tag, delta.start) if self._plan.unit.corrections else 1
        spread = _by_running if tag in PIECES and delta.attributed else _by_time
        for segment, part in zip(touched, spread(delta, touched), strict=True):
            if part and self._start <= segment.key[0] < self._end:
                self._slices[segment.key][_bucket(segment, delta, tag) + tag] += part * factor

    def _touched(self, delta: Delta) -> list[_Segment]:
        first = max(bisect_right(self._starts, delta.start) - 1, 0)
        return self._segments[first : bisect_left(self._starts, delta.end)]

    def _correction(self, tag: str, at: Instant) -> float:
        factor = 1.0
        for correction in self._plan.unit.corrections:
            if correction.tag == tag:
                factor *= correction.factor.at(at) or 1.0
        return factor if factor != 1.0 else 1

    def _mark_demand(self, stretch: Sequence[Delta]) -> None:
        """Note the quarter hours of which every moment was metered."""
        run_start = run_end = -1
        for delta in stretch:
            if not (delta.attributed and delta.plausible):
                continue
            if delta.start != run_end:
                run_start = delta.start
            quarter = max(ceil_to(run_start, QUARTER), ceil_to(delta.start - QUARTER + 1, QUARTER))
            run_end = delta.end
            while quarter + QUARTER <= run_end:
                self._demand[quarter] = 0.0
                quarter += QUARTER

    def add_power(self, samples: Sequence[Sample]) -> None:
        """Book the highest power reading of each slice."""
        for time, value in readings(samples, POWER):
            if value is None or not self._start <= time < self._end:
                continue
            segment = self._last_of(time + 1)
            if segment is not None:
                power = value * (self._correction(POWER, time) if self._plan.unit.corrections else 1)
                if power > self._peaks.get(segment.key, (0.0, 0))[0]:
                    self._peaks[segment.key] = power, time

    def facts(self) -> list[Fact]:
        """The slices as facts."""
        peaks, unit = self._peak_columns(), self._plan.path
        found = []
        for key in sorted(self._slices.keys() | peaks.keys()):
            elements = self._elements(key, self._slices[key])
            if key in peaks:
                elements.update(peaks[key])
            if elements:
                found.append(Fact(unit, *key, elements))
        return found

    def _peak_columns(self) -> dict[Key, Elements]:
        columns: dict[Key, Elements] = defaultdict(dict)
        for key, (power, time) in self._peaks.items():
            columns[key].update({"power_max_kw": power, at_column("power_max_kw"): float(time)})
        for end, kilowatts in self._demands():
            segment = self._last_of(end)
            if segment is not None and kilowatts:
                columns[segment.key].update({"demand_max_kw": kilowatts, at_column("demand_max_kw"): float(end)})
        return columns

    def _demands(self) -> Iterator[tuple[Instant, float]]:
        """Each complete quarter hour's end and mean power."""
        quarters = {
            quarter: 0.0 for quarter in self._demand if self._start <= quarter and quarter + QUARTER <= self._end
        }
        for (minute, _, _), slot in self._slices.items():
            quarter = floor_to(minute, QUARTER)
            if quarter in quarters:
                quarters[quarter] += slot.get(ENERGY, 0)
        if quarters:
            worth = resolution(self._plan.tags[ENERGY])
            yield from ((quarter + QUARTER, worth.value(4 * counts)) for quarter, counts in quarters.items())

    def _elements(self, key: Key, slot: Mapping[str, float]) -> Elements:
        elements: Elements = {}
        pieces: dict[str, float] = {}
        for name, raw in slot.items():
            multiply, divide = self._worth.get(name) or self._worth_of(name)
            if raw:
                (pieces if name.endswith(PIECES) else elements)[name] = raw * multiply / divide
        if pieces:
            elements.update(_quantities(self._plan, key, pieces))
        return elements

    def _worth_of(self, name: str) -> Resolution:
        tag = name.removeprefix(_SETUP).removeprefix(_UNSCHEDULED).removeprefix(_UNATTRIBUTED)
        if name in _MS_COLUMNS:
            worth = Resolution(1.0, 1000.0)
        else:
            worth = resolution(self._plan.tags[tag]) if tag in self._plan.tags else Resolution(1.0, 1.0)
        self._worth[name] = worth
        return worth

    def _key(self, tile: StateInterval) -> Key:
        return tile.start - tile.start % MINUTE, tile.shift, tile.product

    def losses(self, inside: Iterable[list[StateInterval]]) -> list[Loss]:
        """Seconds and begun stretches by category and reason, per slice."""
        found: dict[tuple[Key, str, str], list[int]] = defaultdict(lambda: [0, 0])
        for run in inside:
            if run[0].category not in LOSSES:
                continue
            if self._start <= run[0].start:
                found[self._key(run[0]), str(run[0].category), _reason(run[0])][1] += 1
            for tile in run:
                reason = _reason(tile)
                low, high = max(tile.start, self._start), min(tile.end, self._end)
                for segment in _segments([tile._replace(start=low, end=high)] if low < high else []):
                    found[segment.key, str(tile.category), reason][0] += segment.end - segment.start
        return [
            Loss(self._plan.path, *key, category, reason, ms / 1000, float(count))
            for (key, category, reason), (ms, count) in sorted(found.items())
        ]


def _bucket(segment: _Segment, delta: Delta, tag: str) -> str:
    if not delta.attributed:
        return "" if tag == REACTIVE else _UNATTRIBUTED  # no ratio is made of reactive energy
    if tag in PIECES and segment.category is TimeCategory.UNKNOWN:
        return _UNATTRIBUTED  # ratios use known time only, so no pieces of unknown time either
    if tag in PIECES and segment.category is TimeCategory.SETUP:
        return _SETUP
    if tag in PIECES and segment.category in OUTSIDE_PBT:
        return _UNSCHEDULED
    return ""


def _by_time(delta: Delta, touched: Sequence[_Segment]) -> list[int]:
    """Shares by elapsed time; segments may cover only part of the delta, which is far longer across a gap."""
    if len(touched) == 1 and touched[0].start <= delta.start and delta.end <= touched[0].end:
        return [delta.counts]
    whole = delta.end - delta.start
    parts = []
    for segment in touched:
        low, high = max(segment.start, delta.start), min(segment.end, delta.end)
        upto = part_of(delta.counts, high - delta.start, whole)
        parts.append(upto - part_of(delta.counts, low - delta.start, whole))
    return parts


def _by_running(delta: Delta, touched: Sequence[_Segment]) -> list[int]:
    if len(touched) == 1:
        return [delta.counts]
    weights = [
        min(segment.end, delta.end) - max(segment.start, delta.start) if segment.running else 0 for segment in touched
    ]
    return shares(delta.counts, weights) if any(weights) else _by_time(delta, touched)


def _quantities(plan: UnitPlan, key: Key, pieces: Mapping[str, float]) -> Elements:
    """All quantity columns of a slice from whichever counters the machine has."""
    made, outside, across = (_complete(plan, pieces, bucket) for bucket in ("", _UNSCHEDULED, _UNATTRIBUTED))
    elements = dict(made)
    elements["setup_produced"] = _complete(plan, pieces, _SETUP)["produced"]
    elements.update({f"{_UNSCHEDULED}{name}": outside[name] for name in ("produced", "good")})
    elements.update({f"{_UNATTRIBUTED}{name}": across[name] for name in ("produced", "good", "scrap")})
    planned = planned_run_time_s(plan.unit, key[2], key[0]) or 0.0
    elements["planned_run_s"] = planned * made["produced"]
    elements["good_run_s"] = planned * made["good"]
    return {name: value for name, value in elements.items() if value}


def _complete(plan: UnitPlan, pieces: Mapping[str, float], bucket: str) -> dict[str, float]:
    """Produced, good, scrap, rework: what has no counter follows from the others."""
    given = {name: pieces.get(bucket + name, 0.0) for name in PIECES if name in plan.tags}
    if "produced" not in given:
        given["produced"] = given.get("good", 0.0) + given.get("scrap", 0.0)
    if "good" not in given:
        given["good"] = given["produced"] - given.get("scrap", 0.0)
    if "scrap" not in given:
        given["scrap"] = given["produced"] - given["good"]
    return {"rework": 0.0, **given}
