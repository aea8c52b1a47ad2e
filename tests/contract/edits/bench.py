"""A machine's two shifts on a real store with a real engine, and what every store must hold after an edit."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from uuid import uuid4

from historian.historian import Historian
from historian.point import Point, Query
from historian.records import (
    Dirty,
    Revision,
    dirty_point,
    facts_of,
    losses_of,
    point_dirty,
    point_revision,
    sample_point,
    stops_of,
    unit_query,
)
from historian.schema import LOSSES_OF, Grain, Measurement
from historian.statements import all_statements, put
from ingest.facts_engine import FactsEngine
from kpi.facts.derive import Derived, derive
from kpi.facts.rollup import hour_facts, hour_losses, shift_windows
from kpi.plan import UnitPlan
from shopfloor.additive import Elements, merge
from shopfloor.clock import CatchUpClock
from shopfloor.columns import SampleColumns
from shopfloor.dated import Dated
from shopfloor.fact import Fact, Loss, Stop
from shopfloor.instant import HOUR, QUARTER, SECOND, Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import Product
from shopfloor.reason import Reason
from shopfloor.sample import Sample
from shopfloor.statement import Statement, StatementKind, in_force
from tests.production import MACHINE, START, THREE_SHIFTS, counter, machine

ENTERPRISE = "logam"
SCAN_S = 5
REASONS = {
    reason.id: reason
    for reason in (
        Reason(id="broken", name={}, failure=True),
        Reason(id="cleaning", name={}, category=TimeCategory.PLANNED_STOP),
        Reason(id="no_material", name={}, category=TimeCategory.STARVED),
    )
}
SHIFT_END = START + 7 * HOUR
"""14:00 in Jakarta: pagi ends, sore begins."""
LONG_STOP = START + HOUR, START + 2 * HOUR
"""One of the recorded stops."""
NIGHT_STOP = SHIFT_END - 1200 * SECOND, SHIFT_END + 1200 * SECOND
"""One that goes over the shifts' border."""


def plan(**changes: object) -> UnitPlan:
    meanings = {
        "calendar": Dated.always(THREE_SHIFTS),
        "max_age_ms": 3 * SCAN_S * SECOND,
        "reasons": REASONS,
        "products": {name: Product(name, {}) for name in ("disc", "hub")},
        "planned_run_time_s": Dated.always({"disc": 10.0, "hub": 20.0}),
    }
    return machine(counter("good"), counter("scrap"), **(meanings | changes))


def recorded() -> list[Sample]:
    """Eight hours: a piece every 20 s of running, short and long stops, a setup, a break and the shifts' border."""
    made, samples = 65_400, []
    for index in range(8 * 3600 // SCAN_S):
        at = START + index * SCAN_S * SECOND
        state = _state(at)
        made += state == 1 and index % 4 == 0
        samples.append(
            Sample(unit=MACHINE, time=at, values={"state": state, "good": made % 65_536, "scrap": made // 100 % 65_536})
        )
    return samples


def _state(at: Instant) -> int:
    second = (at - START) // SECOND
    if LONG_STOP[0] <= at < LONG_STOP[1] or NIGHT_STOP[0] <= at < NIGHT_STOP[1]:
        return 2
    if 3 * 3600 <= second < 3 * 3600 + 900:
        return 3
    return 2 if 600 <= second % 1800 < 640 else 1


class Shop:
    """One machine on a store: samples, statements and plans go in, the engine derives, and all is compared."""

    def __init__(self, historian: Historian, unit_plan: UnitPlan | None = None) -> None:
        self.historian = historian
        self.plan = unit_plan or plan()
        self.watermark: Instant | None = None
        self.samples: dict[Instant, Sample] = {}
        self._stamp = START

    def engine(self) -> FactsEngine:
        return FactsEngine(
            self.historian,
            {MACHINE: self.plan},
            ENTERPRISE,
            CatchUpClock(START),
            watermark=lambda unit: self.watermark,
        )

    async def derive(self) -> None:
        """A new process takes up what is open, and ends when nothing is."""
        engine = self.engine()
        await engine.resume()
        running = asyncio.create_task(engine.run(), name="facts engine")
        try:
            await engine.settle()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def store(self, samples: Sequence[Sample]) -> Dirty:
        """As ingest does: samples with the interval that they make dirty."""
        self._stamp += 1
        times = [sample.time for sample in samples]
        dirty = Dirty(MACHINE, self._stamp, min(times), max(times) + 1)
        points = [dirty_point(ENTERPRISE, dirty), *(sample_point(ENTERPRISE, sample) for sample in samples)]
        assert len(self.historian.write(points).accepted) == len(points)
        self.samples |= {sample.time: sample for sample in samples}
        return dirty

    def state(self, statement: Statement) -> Statement:
        """As the API does."""
        put(self.historian, ENTERPRISE, statement, touched=(statement.start, statement.end or statement.start + 1))
        return statement

    def undo(self, statement: Statement) -> Statement:
        return self.state(
            replace(statement, id=str(uuid4()), supersedes=statement.id, withdrawn=True, made_at=statement.made_at + 1)
        )

    # ------------------------------------------------------------ what is stored

    def facts(self, grain: Grain = Grain.MINUTE) -> list[Fact]:
        points = self.historian.read(unit_query(grain, ENTERPRISE, MACHINE))
        return sorted(facts_of(points), key=lambda fact: fact.key)

    def losses(self, grain: Grain = Grain.MINUTE) -> list[Loss]:
        points = self.historian.read(unit_query(LOSSES_OF[grain], ENTERPRISE, MACHINE))
        return sorted(losses_of(points), key=repr)

    def stops(self) -> list[Stop]:
        return stops_of(self.historian.read(unit_query(Measurement.STOPS, ENTERPRISE, MACHINE)))

    def revisions(self) -> list[Revision]:
        points = self.historian.read(unit_query(Measurement.REVISIONS, ENTERPRISE, MACHINE))
        return [point_revision(point) for point in points]

    def everything(self) -> tuple[object, ...]:
        """All that is derived, revisions aside."""
        return tuple((self.facts(grain), self.losses(grain)) for grain in Grain), self.stops()

    def open_intervals(self) -> int:
        points = self.historian.read(unit_query(Measurement.DIRTY, ENTERPRISE, MACHINE))
        return sum(not point_dirty(point).done for point in points)

    def fresh(self) -> Derived:
        """One derivation of everything that was ever said and measured, in one piece."""
        times = sorted(self.samples)
        window = times[0] - times[0] % QUARTER, times[-1] - times[-1] % QUARTER + QUARTER
        columns = SampleColumns.of(MACHINE, self.samples.values())
        return derive(self.plan, columns, window, in_force(all_statements(self.historian, ENTERPRISE, MACHINE)))

    def assert_right(self) -> None:
        """What is stored equals the fresh derivation, and so do its totals by every tag in every grain."""
        fresh = self.fresh()
        assert self.open_intervals() == 0
        assert self.facts() == fresh.facts
        assert self.facts(Grain.HOUR) == hour_facts(fresh.facts)
        assert self.stops() == fresh.stops
        assert self.losses() == sorted(fresh.losses, key=repr)
        for grain in (Grain.HOUR, Grain.SHIFT):
            for tag in ("shift", "product"):
                assert_close(totals(self.facts(grain), tag), totals(fresh.facts, tag))
        assert self.losses(Grain.HOUR) == sorted(hour_losses(fresh.losses), key=repr)
        for grain, tag in product(Grain, ("shift", "product", "category", "reason")):
            assert lost(self.losses(grain), tag) == lost(fresh.losses, tag)
        self._assert_shifts(fresh.facts)
        self._assert_shift_losses(fresh.losses)

    def _assert_shifts(self, facts: Sequence[Fact]) -> None:
        stored = self.facts(Grain.SHIFT)
        for shift in shift_windows(self.plan.unit, facts[0].time, facts[-1].time + 1):
            mine = [fact for fact in facts if any(low <= fact.time < high for low, high in shift.pieces)]
            kept = [fact for fact in stored if (fact.time, fact.shift) == (shift.start, shift.shift)]
            for made in {fact.product for fact in (*mine, *kept)}:
                both = (merge(f.elements for f in group if f.product == made) for group in (kept, mine))
                assert_close(*({made: elements} for elements in both))

    def _assert_shift_losses(self, losses: Sequence[Loss]) -> None:
        """Each shift's own losses, by reason, are those of its minutes."""
        stored = self.losses(Grain.SHIFT)
        times = [loss.time for loss in losses]
        for shift in shift_windows(self.plan.unit, min(times), max(times) + 1):
            mine = [loss for loss in losses if any(low <= loss.time < high for low, high in shift.pieces)]
            kept = [loss for loss in stored if (loss.time, loss.shift) == (shift.start, shift.shift)]
            assert lost(kept, "reason") == lost(mine, "reason")
            assert len(kept) == len({(loss.product, loss.category, loss.reason) for loss in mine})


def totals(facts: Iterable[Fact], tag: str) -> dict[str, Elements]:
    """The merged record of each value of a tag."""
    groups: defaultdict[str, list[Elements]] = defaultdict(list)
    for fact in facts:
        groups[getattr(fact, tag)].append(fact.elements)
    return {value: merge(records) for value, records in groups.items()}


def lost(losses: Iterable[Loss], tag: str) -> dict[str, tuple[int, float]]:
    """Milliseconds and times lost by the values of a tag."""
    found: defaultdict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    for loss in losses:
        seconds, count = found[getattr(loss, tag)]
        found[getattr(loss, tag)] = seconds + round(loss.seconds * 1000), count + loss.count
    return dict(found)


def assert_close(stored: dict[str, Elements], fresh: dict[str, Elements]) -> None:
    """Equal but for the order in which floats were added."""
    assert stored.keys() == fresh.keys()
    for value, elements in fresh.items():
        kept = {name: number for name, number in stored[value].items() if number}
        wanted = {name: number for name, number in elements.items() if number}
        assert kept.keys() == wanted.keys(), value
        for name, number in wanted.items():
            assert abs(kept[name] - number) <= 1e-6 * max(1.0, abs(number)), (value, name)


def stated(kind: StatementKind, window: tuple[Instant, Instant], **says: object) -> Statement:
    """A statement of the shift leader on the machine."""
    start, end = window
    given: dict[str, object] = {
        "id": str(uuid4()),
        "unit": MACHINE,
        "kind": kind,
        "start": start,
        "end": end,
        "author": "sari",
        "made_at": SHIFT_END,
    }
    return Statement(**(given | says))  # type: ignore[arg-type]


@contextmanager
def restored(shop: Shop) -> Iterator[None]:
    """What is derived afterwards is to the bit what it was before."""
    before = shop.everything()
    yield
    assert shop.everything() == before


class Pruned:
    """The same store after its retention dropped the raw samples before an instant."""

    def __init__(self, historian: Historian, since: Instant) -> None:
        self._historian = historian
        self._since = since
        self.write, self.close = historian.write, historian.close

    def read(self, query: Query) -> list[Point]:
        if query.measurement == Measurement.SAMPLES:
            query = replace(query, start=max(query.start or 0, self._since))
        return self._historian.read(query)

    def count(self, query: Query) -> int:
        return len(self.read(query))

    def samples(self, enterprise: str, unit: str, start: Instant | None, end: Instant | None) -> SampleColumns:
        return self._historian.samples(enterprise, unit, max(start or 0, self._since), end)
