"""One unit's samples to facts: which time a change touches, what to read for it, and what must be written.

The step *points -> facts* of registers -> samples -> messages -> points -> facts -> KPIs -> panels, as synchronous
calls on the historian. Facts are recomputed from raw and compared with the store; only differences are written.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from historian.columnar import joined as columns_joined
from historian.historian import Historian
from historian.overwrite import stop_changes
from historian.point import Point
from historian.records import (
    fact_point,
    facts_of,
    latest_query,
    loss_point,
    losses_of,
    stop_point,
    stops_of,
)
from historian.schema import LOSSES_OF, Grain, Measurement
from ingest.point_tail import PointTail
from ingest.revisions import Revisions
from ingest.roll_up import OF_FACTS, OF_FACTS_AGAIN, OF_LOSSES, RollUp, shifts_of
from ingest.sample_tail import SampleTail
from ingest.spans import Window, hull
from ingest.statement_book import StatementBook
from kpi.facts.derive import Derived, derive
from kpi.facts.quantities import widened
from kpi.plan import UnitPlan
from kpi.timeline.statements import moved_to
from shopfloor.columns import SampleColumns
from shopfloor.fact import Fact, Loss, Stop
from shopfloor.instant import HOUR, MINUTE, QUARTER, Instant, ceil_to, floor_to
from shopfloor.statement import Statement, StatementKind

DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY
"""The longest stretch derived and written at once, and the longest stop that is looked at as a whole."""
CHUNK_SAMPLES: Final = 300_000
"""About so many samples are derived at once, in whole days."""
_RECENT_STOPS: Final = 20
_MOVABLE: Final = ("setup_s", "no_order_s")


class UnitDerivation:
    """Derives one unit. Not safe for two threads at once: a unit has one owner.

    What it holds in memory is what the store gave or has acknowledged (``stored``); after a write that failed it must
    ``forget``.
    """

    def __init__(self, historian: Historian, plan: UnitPlan, enterprise: str) -> None:
        self._historian = historian
        self._plan = plan
        self.unit = self._unit = plan.path
        self.reach = plan.reach
        """Milliseconds by which a sample can change facts beyond its neighbours."""
        self._shifts = shifts_of(plan.unit)
        self._enterprise = enterprise
        self._samples = SampleTail(historian, enterprise, self._unit)
        self._points = PointTail(historian, enterprise, self._unit)
        self.statements = StatementBook(historian, enterprise, self._unit)
        days = min(max(CHUNK_SAMPLES * plan.unit.device.scan_ms // DAY, 1), WEEK // DAY)
        self._chunk = days * DAY

    def forget(self) -> None:
        """Hold nothing of the store in memory: it may have changed, or a write may have failed half-way."""
        self._samples.forget()
        self._points.forget()

    def forget_facts(self) -> None:
        """The same for what is derived: another process may have written it."""
        self._points.forget()

    def samples_changed(self, start: Instant, end: Instant) -> None:
        """Samples of [start, end) were written since the last look."""
        self._samples.changed(start, end)

    def stored(self, points: Iterable[Point]) -> None:
        """Points of a chunk that the store has acknowledged."""
        self._points.written(points)

    # ------------------------------------------------------------ which time

    def touched(self, start: Instant, end: Instant, *, stated: bool = False) -> Window:
        """The whole quarter hours whose facts may depend on samples, or on what was ``stated``, in [start, end).

        An answer covers its whole stop, so a stated interval touches the stops that it overlaps.
        """
        low, high = start, end
        if stated:
            last = self._samples.last() or end
            low, high = hull((low, high), *((stop.start, stop.end or last) for stop in self._stops_in(start, end)))
        before, after = self._last_readings(low), self._next_readings(high)
        low = min([low, *(int(sample.times[0]) for sample in before)]) - self.reach
        high = max([high, *(int(sample.times[0]) for sample in after)]) + self.reach
        low, high = widened((low, high), self.statements.overlapping(low, high))
        return floor_to(low, QUARTER), ceil_to(high, QUARTER)

    def derivable_from(self) -> Instant | None:
        """Before this instant there is nothing to derive from; None without any sample.

        Where facts are older than the first sample, raw data were dropped: those facts stay, and so do the ones whose
        context is gone.
        """
        first = self._samples.first()
        if first is None:
            return None
        minute = floor_to(first, MINUTE)
        older = facts_of(self._read(Measurement.FACTS, minute - DAY, minute))
        return ceil_to(first + self.reach, QUARTER) if older else floor_to(first, HOUR)

    def chunks(self, window: Window) -> Iterator[Window]:
        """The parts of ``window`` that can be derived, each to be written before the next is derived."""
        start, end = window
        last = self._samples.last()
        if last is None:
            return
        end = min(end, ceil_to(last, QUARTER))
        first = self._samples.first()
        if first is not None and start < first + self.reach:
            start = max(start, self.derivable_from() or start)
        while start < end:
            cut = min(floor_to(start, HOUR) + self._chunk, end)
            yield start, cut
            start = cut

    # ------------------------------------------------------------ what to write

    def update(self, window: Window, revisions: Revisions) -> list[Point]:
        """What must be written so that the facts of one of the ``chunks`` are right, with its revisions.

        It must be stored, and ``stored`` told, before the unit's next chunk is derived.
        """
        derived, window = self._whole_stops(window)
        stops = self._stop_changes(derived, window)
        whole = not revisions.of_late_data
        lost = RollUp(self.unit, self._shifts, self._losses, window, derived.losses, OF_LOSSES, whole=whole)
        losses = dict(lost.changes())
        rule = OF_FACTS_AGAIN if revisions.of_rederivation else OF_FACTS
        roll = RollUp(self.unit, self._shifts, self.facts, window, derived.facts, rule, whole=revisions.of_rederivation)
        points = [stop_point(self._enterprise, stop) for stop in stops]
        # the coarse ones first: after a kill between two writes, a changed minute leads to them again
        for grain in reversed(losses):
            points += [loss_point(self._enterprise, loss, grain) for loss in losses[grain]]
        for grain, facts in roll.changes():
            points += [fact_point(self._enterprise, grain, fact) for fact in facts]
        if points:
            minutes = [(loss.time, loss.shift) for loss in losses[Grain.MINUTE]]
            points += revisions.points(roll, minutes, [stop.start for stop in stops])
        return points

    def fresh(self, window: Window) -> Derived:
        """A derivation from raw samples alone; every stop has its true start and end as far as samples tell."""
        derived, _ = self._whole_stops(window)
        return _cut(derived, window)

    def facts(self, grain: Grain, start: Instant, end: Instant) -> list[Fact]:
        """The unit's stored facts of a grain in [start, end)."""
        return facts_of(self._read(Measurement(grain.value), start, end))

    def _losses(self, grain: Grain, start: Instant, end: Instant) -> list[Loss]:
        return losses_of(self._read(LOSSES_OF[grain], start, end))

    # ------------------------------------------------------------ deriving

    def _whole_stops(self, window: Window) -> tuple[Derived, Window]:
        """A derivation of at least ``window``, widened to the whole of each stop that a stated reason overlaps."""
        limit = window[0] - WEEK, window[1] + WEEK
        derived = self._derive(window)
        while True:
            wide = self._widened(derived, window)
            wide = max(wide[0], limit[0]), min(wide[1], limit[1])
            if wide == window:
                return derived, window
            window, derived = wide, self._derive(wide)

    def _widened(self, derived: Derived, window: Window) -> Window:
        reasons = [
            each
            for each in self.statements.overlapping(window[0] - WEEK, window[1] + WEEK)
            if each.kind is StatementKind.REASON
        ]
        if not reasons:
            return window
        wide = window
        derived_over = [(self._reaches_back(stop, derived.known_from, window), stop.end) for stop in derived.stops]
        for start, until in [*derived_over, *((stop.start, stop.end) for stop in self._stored_over(window))]:
            end = window[1] if until is None else until + 1
            if (start < window[0] or end > window[1]) and any(each.overlaps(start, end) for each in reasons):
                wide = hull(wide, (floor_to(start - 1, QUARTER), ceil_to(end, QUARTER)))
        return self._over_movable(derived, wide, reasons) if wide == window else wide

    def _over_movable(self, derived: Derived, window: Window, reasons: Iterable[Statement]) -> Window:
        """A setup, or time without an order, that a reason may move goes on over the border: look further."""
        moving = [each for each in reasons if moved_to(self._plan.unit.reasons, each) is not None]
        if not moving or not derived.facts:
            return window
        (start, end), length = window, window[1] - window[0]
        for fact in derived.facts:
            if any(fact.elements.get(name) for name in _MOVABLE):
                start = window[0] - length if fact.time == window[0] else start
                end = window[1] + length if fact.time == window[1] - MINUTE else end
        first, last = self._samples.first() or start, self._samples.last() or end
        return min(window[0], max(start, floor_to(first, QUARTER))), max(window[1], min(end, ceil_to(last, QUARTER)))

    def _derive(self, window: Window) -> Derived:
        until = window[1] + self.reach
        while True:
            stretch = widened(window, self.statements.overlapping(*window))
            since, until = stretch[0] - self.reach, max(until, stretch[1] + self.reach)
            samples = self._with_context(since, until, window)
            told = self.statements.overlapping(since - WEEK, until + WEEK)
            derived = derive(self._plan, samples, window, told)
            last = derived.stops[-1] if derived.stops else None
            if last is None or (last.end is not None and last.end < until) or not len(self._samples.after(until)):
                return derived
            until += 4 * (until - window[0])

    def _with_context(self, since: Instant, until: Instant, window: Window) -> SampleColumns:
        """The samples of [since, until), and what decides the window's borders from farther away."""
        self._samples.hold(since)
        around = self._samples.between(since, until)
        before = self._last_readings(since, around.between(since, window[0] + 1))
        after = self._next_readings(until, around.between(window[1], until))
        parts = {int(part.times[0]): part for part in (*before, *after)}
        early = [parts[time] for time in sorted(parts) if time < since]
        late = [parts[time] for time in sorted(parts) if time >= until]
        return columns_joined(self._unit, [*early, around, *late]) if parts else around

    def _last_readings(self, before: Instant, known: SampleColumns | None = None) -> list[SampleColumns]:
        """The last sample before an instant and each counter's last good reading, unless ``known`` has them."""
        return self._readings(known, lambda: self._samples.before(before), self._samples.reading_before, before)

    def _next_readings(self, since: Instant, known: SampleColumns | None = None) -> list[SampleColumns]:
        """The same for what follows."""
        return self._readings(known, lambda: self._samples.after(since), self._samples.reading_after, since)

    def _readings(
        self,
        known: SampleColumns | None,
        nearest: Callable[[], SampleColumns],
        reading: Callable[[str, Instant], SampleColumns],
        at: Instant,
    ) -> list[SampleColumns]:
        missing = [tag for tag in self._plan.counters if known is None or not _reads(known, tag)]
        if known is not None and len(known) and not missing:
            return []
        sample = nearest()
        if not len(sample):
            return []
        found = [reading(tag, at) for tag in missing if not _reads(sample, tag)]
        return [sample, *(each for each in found if len(each))]

    # ------------------------------------------------------------ stops

    def _stop_changes(self, derived: Derived, window: Window) -> list[Stop]:
        stops = [self._whole(stop, derived.known_from, window) for stop in derived.stops]
        starts = {stop.start for stop in stops}
        stored = [
            stop
            for stop in stops_of(self._read(Measurement.STOPS, min([window[0], *starts]), window[1]))
            if stop.start >= window[0] or stop.start in starts
        ]
        return stop_changes(stored, stops)

    def _whole(self, stop: Stop, known_from: Instant, window: Window) -> Stop:
        """A stop that reaches back beyond the context keeps the start under which it is stored."""
        if stop.start > known_from + self._plan.unit.max_age_ms or stop.start >= window[0]:
            return stop
        earlier = next(iter(self._stops_before(stop.start + 1)), None)
        if earlier is None or earlier.category != stop.category or (earlier.end or stop.start) < stop.start:
            return stop
        return replace(stop, start=earlier.start, code=earlier.code)

    def _reaches_back(self, stop: Stop, known_from: Instant, window: Window) -> Instant:
        """Where the whole stop began, of which ``stop`` may be a part or what the context shows."""
        if stop.start > known_from + self._plan.unit.max_age_ms or stop.start >= window[0]:
            return stop.start
        start = stop.start
        for earlier in self._stops_before(start + 1):
            if earlier.end is not None and earlier.end < start:
                break
            start = min(start, earlier.start)
        return start

    def _stored_over(self, window: Window) -> list[Stop]:
        """Stored stops that overlap a window, as they were before: late data may have split them."""
        earlier = [stop for stop in self._stops_before(window[0])[:1] if stop.end is None or stop.end > window[0]]
        return [*earlier, *stops_of(self._read(Measurement.STOPS, *window))]

    def _stops_before(self, instant: Instant) -> Sequence[Stop]:
        """Stored stops that began before an instant, the latest first."""
        query = latest_query(Measurement.STOPS, self._enterprise, self._unit, instant)
        return stops_of(self._historian.read(replace(query, limit=_RECENT_STOPS)))

    def _stops_in(self, start: Instant, end: Instant) -> list[Stop]:
        """Stored stops that overlap or touch [start, end), with the parts of one stop that lead to them."""
        found: list[Stop] = []
        for stop in reversed(stops_of(self._read(Measurement.STOPS, start - WEEK, end + 1))):
            if stop.end is None or stop.end >= min([start, *(each.start for each in found)]):
                found.append(stop)
        return found

    def _read(self, measurement: Measurement, start: Instant, end: Instant) -> list[Point]:
        return self._points.read(measurement, start, end, newest=self._samples.last() or end)


def _reads(samples: SampleColumns, tag: str) -> bool:
    return tag in samples.values and not bool(np.all(np.isnan(samples.values[tag])))


def _cut(derived: Derived, window: Window) -> Derived:
    """The part of a derivation that is in a window."""
    start, end = window
    return Derived(
        [fact for fact in derived.facts if start <= fact.time < end],
        [stop for stop in derived.stops if stop.start < end and (stop.end is None or stop.end > start)],
        [loss for loss in derived.losses if start <= loss.time < end],
        derived.known_from,
    )
