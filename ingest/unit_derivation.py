"""One unit's samples to facts: which time a change touches, what to read for it, and what must be written.

The step *points -> facts* of registers -> samples -> messages -> points -> facts -> KPIs -> panels, as synchronous
calls on the historian. Facts are recomputed from raw and compared with the store; only differences are written.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from historian.historian import Historian
from historian.overwrite import changes, loss_changes, stop_changes
from historian.point import Point, Query
from historian.records import (
    Revision,
    fact_point,
    facts_of,
    latest_query,
    loss_point,
    losses_of,
    point_revision,
    point_sample,
    revision_point,
    stop_point,
    stops_of,
    unit_query,
    unit_tags,
)
from historian.schema import SHIFT, Grain, Measurement
from kpi.evaluate import is_final
from kpi.facts import Derived, Window, derive
from kpi.plan import UnitPlan
from kpi.rollup import ShiftWindow, hour_facts, shift_facts, shift_windows
from shopfloor.additive import merge
from shopfloor.fact import Fact, Stop
from shopfloor.instant import HOUR, MINUTE, QUARTER, Instant, ceil_to, floor_to
from shopfloor.sample import Sample

CHUNK: Final = 7 * 24 * HOUR
"""The longest stretch derived and written at once; whole hours."""
LATE_DATA: Final = "late data"
"""Cause of a revision that new samples brought."""
_RECENT_STOPS: Final = 50


class UnitDerivation:
    """Derives one unit. Not safe for two threads at once: a unit has one owner."""

    def __init__(self, historian: Historian, plan: UnitPlan, enterprise: str) -> None:
        self._historian = historian
        self._plan = plan
        self._unit = plan.path
        self._enterprise = enterprise
        self._tags = unit_tags(enterprise, self._unit)

    @property
    def reach(self) -> int:
        """Milliseconds by which a sample can change facts beyond its neighbours."""
        return self._plan.reach

    def touched(self, start: Instant, end: Instant) -> Window:
        """The whole quarter hours whose facts may depend on samples in [start, end)."""
        before = [sample.time for sample in self._last_readings(start)]
        after = [sample.time for sample in self._next_readings(end)]
        low = min([start, *before]) - self._plan.reach
        high = max([end, *after]) + self._plan.reach
        return floor_to(low, QUARTER), ceil_to(high, QUARTER)

    def update(self, window: Window, *, final_before: Instant | None, now: Instant) -> Iterator[list[Point]]:
        """What must be written so that the facts of ``window`` are right, chunk by chunk; empty chunks are left out.

        Each chunk must be stored before the next is asked for. A change of a shift that was final at the watermark
        ``final_before`` brings its revision along.
        """
        for low, high in self._chunks(window):
            if points := self._update_chunk((low, high), final_before, now):
                yield points

    def fresh(self, window: Window) -> Derived:
        """A derivation from raw samples alone; every stop has its true start and end as far as samples tell."""
        until = window[1] + self._plan.reach
        while True:
            samples = self._with_context(window, until)
            derived = derive(self._plan, samples, window)
            last = derived.stops[-1] if derived.stops else None
            if last is None or (last.end is not None and last.end < until) or not self._after(until):
                return derived
            until += 4 * (until - window[0])

    def _chunks(self, window: Window) -> Iterator[Window]:
        start, end = window
        first = self._first_sample()
        start = max(start, floor_to(first, HOUR)) if first is not None else end
        last = self._last_before(None)
        end = min(end, ceil_to(last.time, QUARTER)) if last else start
        while start < end:
            cut = min(floor_to(start, HOUR) + CHUNK, end)
            yield start, cut
            start = cut

    def _update_chunk(self, window: Window, final_before: Instant | None, now: Instant) -> list[Point]:
        derived = self.fresh(window)
        points = self._stop_points(derived, window)
        losses = losses_of(self._read(Measurement.LOSSES, *window))
        points += [loss_point(self._enterprise, loss) for loss in loss_changes(losses, derived.losses)]
        roll = _RollUp(self, window, derived.facts, self.stored(Grain.MINUTE, *window))
        for grain, facts in roll.changes():
            points += [fact_point(self._enterprise, grain, fact) for fact in facts]
        points += [revision_point(self._enterprise, found) for found in roll.revisions(final_before, now)]
        return points

    def _stop_points(self, derived: Derived, window: Window) -> list[Point]:
        stops = [self._whole(stop, derived.known_from, window) for stop in derived.stops]
        starts = {stop.start for stop in stops}
        stored = [
            stop
            for stop in stops_of(self._read(Measurement.STOPS, min([window[0], *starts]), window[1]))
            if stop.start >= window[0] or stop.start in starts
        ]
        return [stop_point(self._enterprise, stop) for stop in stop_changes(stored, stops)]

    def _whole(self, stop: Stop, known_from: Instant, window: Window) -> Stop:
        """A stop that reaches back beyond the context keeps the start under which it is stored."""
        if stop.start > known_from + self._plan.unit.max_age_ms or stop.start >= window[0]:
            return stop
        query = latest_query(Measurement.STOPS, self._enterprise, self._unit, stop.start + 1)
        earlier = next(iter(stops_of(self._historian.read(replace(query, limit=_RECENT_STOPS)))), None)
        if earlier is None or earlier.category != stop.category or (earlier.end or stop.start) < stop.start:
            return stop
        return replace(stop, start=earlier.start, code=earlier.code)

    def stored(self, grain: Grain, start: Instant, end: Instant) -> list[Fact]:
        """The unit's stored facts of a grain in [start, end)."""
        return facts_of(self._read(grain, start, end))

    def shifts(self, start: Instant, end: Instant) -> list[ShiftWindow]:
        """The unit's shifts that touch [start, end)."""
        return shift_windows(self._plan.unit, start, end)

    def last_revision(self, shift: ShiftWindow) -> int:
        """The number of the shift's latest revision; 0 for none."""
        where = {**self._tags, SHIFT: shift.shift}
        query = Query(Measurement.REVISIONS, where, shift.start, shift.start + MINUTE, descending=True, limit=1)
        found = self._historian.read(query)
        return point_revision(found[0]).n if found else 0

    def _read(self, measurement: str, start: Instant, end: Instant) -> list[Point]:
        return self._historian.read(unit_query(measurement, self._enterprise, self._unit, start, end))

    def _with_context(self, window: Window, until: Instant) -> list[Sample]:
        """The window's samples, those around it, and what decides its borders from farther away."""
        since = window[0] - self._plan.reach
        around = [point_sample(point) for point in self._read(Measurement.SAMPLES, since, until)]
        before = [sample for sample in around if sample.time <= window[0]]
        after = [sample for sample in around if sample.time >= window[1]]
        return [*self._last_readings(since, before), *around, *self._next_readings(until, after)]

    def _last_readings(self, before: Instant, known: Sequence[Sample] = ()) -> list[Sample]:
        """The last sample before an instant and each counter's last good reading, unless ``known`` has them."""
        missing = self._unread(known)
        sample = self._last_before(before) if missing or not known else None
        if sample is None:
            return []
        missing = [tag for tag in missing if not _reads(sample, tag)]
        found = [self._nearest(tag, Query(Measurement.SAMPLES, self._tags, end=before)) for tag in missing]
        return [sample, *(sample for sample in found if sample is not None)]

    def _next_readings(self, since: Instant, known: Sequence[Sample] = ()) -> list[Sample]:
        """The same for what follows."""
        missing = self._unread(known)
        sample = self._after(since) if missing or not known else None
        if sample is None:
            return []
        missing = [tag for tag in missing if not _reads(sample, tag)]
        found = [self._nearest(tag, Query(Measurement.SAMPLES, self._tags, start=since)) for tag in missing]
        return [sample, *(sample for sample in found if sample is not None)]

    def _unread(self, known: Sequence[Sample]) -> list[str]:
        return [tag for tag in self._plan.counters if not any(_reads(sample, tag) for sample in known)]

    def _nearest(self, tag: str, query: Query) -> Sample | None:
        """The good reading of ``tag`` nearest to the query's one border."""
        backward = query.end is not None
        query = replace(query, fields=(tag,), descending=backward, limit=1)
        while found := self._historian.read(query):
            time = found[0].time
            (sample,) = map(point_sample, self._read(Measurement.SAMPLES, time, time + 1))
            if _reads(sample, tag):
                return sample
            query = replace(query, end=time) if backward else replace(query, start=time + 1)
        return None

    def _first_sample(self) -> Instant | None:
        found = self._historian.read(Query(Measurement.SAMPLES, self._tags, limit=1))
        return found[0].time if found else None

    def _last_before(self, before: Instant | None) -> Sample | None:
        found = self._historian.read(latest_query(Measurement.SAMPLES, self._enterprise, self._unit, before))
        return point_sample(found[0]) if found else None

    def _after(self, since: Instant) -> Sample | None:
        found = self._historian.read(Query(Measurement.SAMPLES, self._tags, start=since, limit=1))
        return point_sample(found[0]) if found else None


def _reads(sample: Sample, tag: str) -> bool:
    return tag in sample.values and tag not in sample.status


class _RollUp:
    """The new facts of a window, and the hours and shifts that follow from them and from what is stored around."""

    def __init__(self, unit: UnitDerivation, window: Window, fresh: list[Fact], stored: list[Fact]) -> None:
        self._unit = unit
        self._start, self._end = window
        self._fresh = fresh
        self._minutes = changes(stored, fresh)
        self._revised: list[tuple[ShiftWindow, list[Fact], list[Fact]]] = []

    def changes(self) -> Iterator[tuple[Grain, list[Fact]]]:
        """What to write, by grain."""
        yield Grain.MINUTE, self._minutes
        if not self._minutes:
            return
        first = floor_to(min(fact.time for fact in self._minutes), HOUR)
        last = floor_to(max(fact.time for fact in self._minutes), HOUR) + HOUR
        hours = hour_facts(self._between(first, last))
        yield Grain.HOUR, changes(self._unit.stored(Grain.HOUR, first, last), hours)
        yield Grain.SHIFT, list(self._shift_changes(first, last, hours))

    def _between(self, start: Instant, end: Instant) -> list[Fact]:
        """The minute facts of [start, end): fresh inside the window, stored outside."""
        facts = [fact for fact in self._fresh if start <= fact.time < end]
        for low, high in ((start, min(end, self._start)), (max(start, self._end), end)):
            if low < high:
                facts += self._unit.stored(Grain.MINUTE, low, high)
        return facts

    def _shift_changes(self, first: Instant, last: Instant, hours: list[Fact]) -> Iterator[Fact]:
        shifts = self._unit.shifts(first, last)
        low = floor_to(min(shift.pieces[0][0] for shift in shifts), HOUR)
        high = ceil_to(max(shift.end for shift in shifts), HOUR)
        around = [*self._unit.stored(Grain.HOUR, low, first), *hours, *self._unit.stored(Grain.HOUR, last, high)]
        stored = self._unit.stored(Grain.SHIFT, shifts[0].start, shifts[-1].start + 1)
        for shift in shifts:
            before = [fact for fact in stored if (fact.time, fact.shift) == (shift.start, shift.shift)]
            after = shift_facts(shift, self._parts(shift, around))
            if changed := changes(before, after):
                self._revised.append((shift, before, after))
                yield from changed

    def _parts(self, shift: ShiftWindow, hours: Iterable[Fact]) -> list[Fact]:
        """A shift's whole hours, and the minutes at its edges."""
        mine = [fact for fact in hours if fact.shift == shift.shift]
        parts: list[Fact] = []
        for start, end in shift.pieces:
            low, high = ceil_to(start, HOUR), floor_to(end, HOUR)
            edges = [(start, end)] if low > high else [(start, low), (high, end)]
            parts += [fact for fact in mine if low <= fact.time < high]
            parts += [fact for edge in edges if edge[0] < edge[1] for fact in self._between(*edge)]
        return [fact for fact in parts if fact.shift == shift.shift]

    def revisions(self, final_before: Instant | None, now: Instant) -> Iterator[Revision]:
        """One record for each shift that was final and changes. After ``changes``."""
        for shift, before, after in self._revised:
            if not is_final(shift.end, final_before, self._unit.reach):
                continue
            yield Revision(
                unit=(before or after)[0].unit,
                shift=shift.shift,
                shift_start=shift.start,
                n=self._unit.last_revision(shift) + 1,
                cause=LATE_DATA,
                who="",
                before=merge(fact.elements for fact in before),
                after=merge(fact.elements for fact in after),
                at=now,
            )
