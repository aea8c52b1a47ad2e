import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from historian.embedded import EmbeddedHistorian
from historian.historian import Historian
from historian.point import Point, Query, WriteReport
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
from historian.statements import put
from ingest.facts_engine import FactsEngine
from kpi.facts.derive import derive
from kpi.facts.rollup import hour_facts, hour_losses, shift_windows
from kpi.plan import UnitPlan
from shopfloor.additive import merge
from shopfloor.calendar import OFF_SHIFT, Calendar, LocalRange, Shift
from shopfloor.clock import CatchUpClock
from shopfloor.columns import SampleColumns
from shopfloor.dated import Dated
from shopfloor.errors import Backpressure
from shopfloor.fact import Fact, Loss, Stop
from shopfloor.instant import HOUR, MINUTE, QUARTER, SECOND, Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.sample import Sample
from shopfloor.statement import Statement, StatementKind
from tests.production import MACHINE, METER, START, THREE_SHIFTS, counter, machine, meter, sample, states

ENTERPRISE = "logam"
DAY = 24 * HOUR


@pytest.fixture
def historian(tmp_path: Path) -> Iterator[EmbeddedHistorian]:
    store = EmbeddedHistorian(tmp_path)
    yield store
    store.close()


class Bench:
    """An engine on a real historian, fed as ingest feeds it."""

    def __init__(self, historian: Historian, plan: UnitPlan) -> None:
        self.historian = historian
        self.plan = plan
        self.watermark: Instant | None = None
        self.engine = self.another()
        self._stamp = START

    def another(self) -> FactsEngine:
        plans = {self.plan.path: self.plan}
        return FactsEngine(
            self.historian, plans, ENTERPRISE, CatchUpClock(START), watermark=lambda unit: self.watermark
        )

    def write(self, samples: Sequence[Sample]) -> Dirty:
        """What ingest does before the engine hears of it."""
        self._stamp += 1
        times = [sample.time for sample in samples]
        dirty = Dirty(self.plan.path, self._stamp, min(times), max(times) + 1)
        points = [dirty_point(ENTERPRISE, dirty), *(sample_point(ENTERPRISE, sample) for sample in samples)]
        assert not self.historian.write(points).rejected
        return dirty

    async def take(self, samples: Sequence[Sample]) -> None:
        self.engine.notify([self.write(samples)])

    def facts(self, grain: Grain = Grain.MINUTE) -> list[Fact]:
        facts = facts_of(self.historian.read(unit_query(grain, ENTERPRISE, self.plan.path)))
        return sorted(facts, key=lambda fact: fact.key)

    def losses(self, grain: Grain = Grain.MINUTE) -> list[Loss]:
        points = self.historian.read(unit_query(LOSSES_OF[grain], ENTERPRISE, self.plan.path))
        return sorted(losses_of(points), key=repr)

    def stops(self) -> list[Stop]:
        return stops_of(self.historian.read(unit_query(Measurement.STOPS, ENTERPRISE, self.plan.path)))

    def revisions(self) -> list[Revision]:
        points = self.historian.read(unit_query(Measurement.REVISIONS, ENTERPRISE, self.plan.path))
        return [point_revision(point) for point in points]

    def open_intervals(self) -> int:
        points = self.historian.read(unit_query(Measurement.DIRTY, ENTERPRISE, self.plan.path))
        return sum(not point_dirty(point).done for point in points)

    def assert_equals_fresh(self, samples: Iterable[Sample]) -> None:
        """Minutes, hours, shifts, stops and losses equal one derivation of all samples."""
        everything = list(samples)
        times = [sample.time for sample in everything]
        window = min(times) - min(times) % QUARTER, max(times) - max(times) % QUARTER + QUARTER
        derived = derive(self.plan, SampleColumns.of(self.plan.path, everything), window)
        assert self.facts() == derived.facts
        assert self.facts(Grain.HOUR) == hour_facts(derived.facts)
        assert self.stops() == derived.stops
        assert self.losses() == sorted(derived.losses, key=repr)
        assert self.losses(Grain.HOUR) == sorted(hour_losses(derived.losses), key=repr)
        self.assert_shifts_add_up(derived.facts, window)

    def assert_shifts_add_up(self, facts: list[Fact], window: tuple[Instant, Instant]) -> None:
        stored = self.facts(Grain.SHIFT)
        for shift in shift_windows(self.plan.unit, *window):
            mine = [f.elements for f in facts if any(low <= f.time < high for low, high in shift.pieces)]
            kept = [f.elements for f in stored if (f.time, f.shift) == (shift.start, shift.shift)]
            assert merge(kept) == pytest.approx(merge(mine))


@asynccontextmanager
async def running(engine: FactsEngine) -> AsyncIterator[FactsEngine]:
    task = asyncio.create_task(engine.run(), name="facts-engine")
    try:
        yield engine
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def shift_of_work() -> list[Sample]:
    """Twenty minutes: runs, a micro-stop, a setup, a long stop; a piece every ten seconds."""
    made = 65_530
    samples = []
    for one in states((1, 290), (2, 30), (1, 200), (3, 100), (2, 400), (1, 180)):
        made += one.values["state"] == 1 and one.time % (10 * SECOND) == 0
        energy = (one.time - START) // SECOND * 3
        samples.append(
            structs.replace(one, values={**one.values, "good": made % 65_536, "scrap": 0, "energy_kwh": energy / 1000})
        )
    return samples


async def test_samples_become_minute_hour_and_shift_facts(historian: EmbeddedHistorian) -> None:
    bench, samples = Bench(historian, machine(calendar=Dated.always(THREE_SHIFTS))), shift_of_work()
    async with running(bench.engine) as engine:
        await bench.take(samples)
        await engine.settle()
    bench.assert_equals_fresh(samples)
    (shift,) = bench.facts(Grain.SHIFT)
    assert (shift.time, shift.shift, shift.elements["good"]) == (START - HOUR, "pagi", 67)
    assert bench.open_intervals() == 0


async def test_pieces_by_piece_gives_the_same_as_all_at_once(historian: EmbeddedHistorian) -> None:
    bench, samples = Bench(historian, machine()), shift_of_work()
    async with running(bench.engine) as engine:
        for first in range(0, len(samples), 97):
            await bench.take(samples[first : first + 97])
            await engine.settle()
            bench.assert_equals_fresh(samples[: first + 97])


async def test_a_long_stop_keeps_its_start_however_it_is_delivered(historian: EmbeddedHistorian) -> None:
    samples = states((1, 60), (2, 3_000), (1, 60))
    bench = Bench(historian, machine(counter("good")))
    async with running(bench.engine) as engine:
        for part in (samples[:400], samples[2_400:], samples[400:1_500], samples[1_500:2_400]):
            await bench.take(part)
            await engine.settle()
    bench.assert_equals_fresh(samples)
    assert bench.stops() == [Stop(MACHINE, START + MINUTE, START + 51 * MINUTE, "unplanned_stop", 2, failure=True)]


async def test_a_late_sample_that_splits_a_stop_overwrites_it(historian: EmbeddedHistorian) -> None:
    samples = states((1, 60), (2, 600), (1, 2), (2, 900), (1, 60))
    bench = Bench(historian, machine(counter("good"), max_age_ms=30 * SECOND))
    async with running(bench.engine) as engine:
        await bench.take([one for one in samples if not 655 < (one.time - START) // SECOND < 665])
        await engine.settle()
        assert len(bench.stops()) == 1
        await bench.take(samples)
        await engine.settle()
    bench.assert_equals_fresh(samples)
    assert len(bench.stops()) == 2


async def test_a_gap_of_days_is_unknown_and_what_it_counted_unattributed(historian: EmbeddedHistorian) -> None:
    before, after = sample(0, state=1, good=5), sample(2 * 86_400, state=1, good=105)
    bench = Bench(historian, machine(counter("good")))
    async with running(bench.engine) as engine:
        await bench.take([before])
        await engine.settle()
        await bench.take([after])
        await engine.settle()
    bench.assert_equals_fresh([before, after])
    total = merge(fact.elements for fact in bench.facts())
    assert (total["unattributed_good"], total["unknown_s"], total["running_s"]) == (100, 2 * 86_400 - 3, 3)


async def test_a_counter_that_was_bad_for_long_is_bridged(historian: EmbeddedHistorian) -> None:
    silent = [sample(second, state=1) for second in range(2, 2_000)]
    samples = [sample(0, state=1, good=1), sample(1, state=1, good=1), *silent, sample(2_000, state=1, good=51)]
    bench = Bench(historian, machine(counter("good")))
    async with running(bench.engine) as engine:
        for part in (samples[:1_000], samples[1_000:2_000], samples[2_000:]):
            await bench.take(part)
            await engine.settle()
    bench.assert_equals_fresh(samples)
    assert merge(fact.elements for fact in bench.facts())["unattributed_good"] == 50


async def test_a_meters_days_are_derived_in_chunks(historian: EmbeddedHistorian) -> None:
    samples = [
        Sample(unit=METER, time=START + index * QUARTER, values={"energy_kwh": index * 1234 / 1000})
        for index in range(9 * 96 + 1)
    ]
    bench = Bench(historian, meter())
    async with running(bench.engine) as engine:
        await bench.take(samples)
        await engine.settle()
    bench.assert_equals_fresh(samples)
    total = merge(fact.elements for fact in bench.facts(Grain.SHIFT))
    assert total["energy_kwh"] == pytest.approx(9 * 96 * 1.234)
    assert total["demand_max_kw"] == pytest.approx(4.936)


async def test_what_was_dirty_when_the_process_died_is_derived_by_the_next(historian: EmbeddedHistorian) -> None:
    bench, samples = Bench(historian, machine()), shift_of_work()
    bench.write(samples)  # killed here: stored with its dirty interval, never heard of
    assert bench.facts() == []
    successor = bench.another()
    await successor.resume()
    assert successor.pending == 1
    async with running(successor):
        await successor.settle()
    bench.assert_equals_fresh(samples)
    assert bench.open_intervals() == 0


class DiesAfterFacts:
    """A historian whose process is killed between the facts and the mark that they are done."""

    def __init__(self, historian: Historian) -> None:
        self._historian = historian
        self.read, self.count, self.close = historian.read, historian.count, historian.close
        self.samples = historian.samples

    def write(self, points: Sequence[Point]) -> WriteReport:
        if points[0].measurement == Measurement.DIRTY and points[0].fields["done"]:
            raise RuntimeError("killed")
        return self._historian.write(points)


async def test_a_kill_between_facts_and_done_derives_again_and_changes_nothing(historian: EmbeddedHistorian) -> None:
    bench, samples = Bench(historian, machine()), shift_of_work()
    dirty = bench.write(samples)
    dying = FactsEngine(DiesAfterFacts(historian), {MACHINE: bench.plan}, ENTERPRISE, CatchUpClock(START))
    dying.notify([dirty])
    with pytest.raises(RuntimeError, match="killed"):
        await dying.run()
    written = bench.facts()
    successor = bench.another()
    await successor.resume()
    async with running(successor):
        await successor.settle()
    assert bench.facts() == written
    assert bench.open_intervals() == 0


class BusyOnce:
    """A historian that is busy at the first write."""

    def __init__(self, historian: Historian) -> None:
        self._historian = historian
        self.read, self.count, self.close = historian.read, historian.count, historian.close
        self.samples = historian.samples
        self.refused = 0

    def write(self, points: Sequence[Point]) -> WriteReport:
        if not self.refused:
            self.refused = 1
            raise Backpressure("busy", retry_after_s=0.0)
        return self._historian.write(points)


async def test_a_busy_store_is_asked_again(historian: EmbeddedHistorian, caplog: pytest.LogCaptureFixture) -> None:
    bench, samples = Bench(historian, machine()), shift_of_work()
    busy = BusyOnce(historian)
    engine = FactsEngine(busy, {MACHINE: bench.plan}, ENTERPRISE, CatchUpClock(START))
    engine.notify([bench.write(samples)])
    async with running(engine):
        await engine.settle()
    bench.assert_equals_fresh(samples)
    assert busy.refused
    assert [record.getMessage() for record in caplog.records] == ["facts wait for the historian: busy"]


async def test_a_change_of_a_final_shift_leaves_a_revision(historian: EmbeddedHistorian) -> None:
    samples = [sample(60 * minute, state=1, good=minute) for minute in range(9 * 60)]
    late = sample(90, state=2, good=1)
    plan = machine(counter("good"), max_age_ms=2 * MINUTE, calendar=Dated.always(THREE_SHIFTS))
    bench = Bench(historian, plan)
    async with running(bench.engine) as engine:
        await bench.take(samples[:100])
        await engine.settle()
        bench.watermark = samples[-1].time
        await bench.take(samples[100:])
        await engine.settle()
        assert bench.revisions() == []
        await bench.take([late])
        await engine.settle()
        await bench.take([structs.replace(late, values={"state": 3, "good": 1})])
        await engine.settle()
    first, second = bench.revisions()
    assert (first.shift, first.shift_start, first.n, first.cause) == ("pagi", START - HOUR, 1, "late data")
    assert second.n == 2
    assert first.after == second.before
    assert first.before["running_s"] - first.after["running_s"] == 30


async def test_the_first_pass_after_a_restart_knows_what_was_final(historian: EmbeddedHistorian) -> None:
    samples = [sample(60 * minute, state=1, good=minute) for minute in range(9 * 60)]
    plan = machine(counter("good"), max_age_ms=2 * MINUTE, calendar=Dated.always(THREE_SHIFTS))
    bench = Bench(historian, plan)
    async with running(bench.engine) as engine:
        await bench.take(samples)
        await engine.settle()
    told: list[Instant | None] = []

    def stored(unit: str, before: Instant | None) -> Instant | None:
        told.append(before)
        return samples[-1].time

    late = bench.write([sample(90, state=2, good=1)])
    successor = FactsEngine(historian, {MACHINE: plan}, ENTERPRISE, CatchUpClock(START), stored_watermark=stored)
    await successor.resume()
    assert told == [late.stamp]
    async with running(successor):
        await successor.settle()
    (revision,) = bench.revisions()
    assert (revision.shift, revision.n, revision.cause) == ("pagi", 1, "late data")


async def test_what_another_process_states_is_derived_by_the_running_engine(historian: EmbeddedHistorian) -> None:
    bench = Bench(historian, machine())
    async with running(bench.engine) as engine:
        await bench.take(shift_of_work())
        await engine.settle()
        said = Statement(
            id="5f0c",
            unit=MACHINE,
            kind=StatementKind.CATEGORY,
            start=START + 2 * MINUTE,
            end=START + 4 * MINUTE,
            author="sari",
            made_at=START,
            category=TimeCategory.PLANNED_STOP,
        )
        put(historian, ENTERPRISE, said, touched=(said.start, said.start + 2 * MINUTE))
        for _ in range(200):
            await asyncio.sleep(0.05 if bench.open_intervals() else 0)
    assert merge(fact.elements for fact in bench.facts())["planned_stop_s"] == 120
    assert [(each.cause, each.who) for each in bench.revisions()] == [("statement 5f0c", "sari")]


async def test_a_stop_that_grows_over_a_shifts_end_is_no_revision(historian: EmbeddedHistorian) -> None:
    """It was a micro-stop when the shift ended and is none a minute later: nothing came late."""
    shift_end = 7 * 3600
    work = [sample(shift_end + second, state=1 if second < -30 else 2) for second in range(-600, 60)]
    bench = Bench(historian, machine(calendar=Dated.always(THREE_SHIFTS)))
    async with running(bench.engine) as engine:
        for part in (work[:605], work[605:610], work[610:]):
            bench.watermark = part[-1].time
            await bench.take(part)
            await engine.settle()
    assert [stop.category for stop in bench.stops()] == ["unplanned_stop"]
    assert bench.revisions() == []


async def test_samples_of_other_engines_units_are_passed_over(historian: EmbeddedHistorian) -> None:
    bench = Bench(historian, machine())
    bench.engine.notify([Dirty("ceper/machining/line-1/cnc-99", START, START, START + 1)])
    assert bench.engine.pending == 0


async def test_fresh_facts_of_any_window_equal_the_stored_ones(historian: EmbeddedHistorian) -> None:
    bench, samples = Bench(historian, machine()), shift_of_work()
    async with running(bench.engine) as engine:
        await bench.take(samples)
        await engine.settle()
    for low, high in ((0, 3), (3, 11), (11, 30)):
        window = START + low * MINUTE, START + high * MINUTE
        stored = [fact for fact in bench.facts() if window[0] <= fact.time < window[1]]
        assert [replace(fact, elements=without_demand(fact)) for fact in stored] == [
            replace(fact, elements=without_demand(fact)) for fact in bench.engine.rederive_fresh(MACHINE, *window)
        ]


def without_demand(fact: Fact) -> dict[str, float]:
    """Demand needs whole quarter hours; these windows cut them."""
    return {name: value for name, value in fact.elements.items() if not name.startswith("demand")}


def test_a_query_for_dirty_points_reads_what_was_written(historian: EmbeddedHistorian) -> None:
    bench = Bench(historian, machine())
    bench.write([sample(0, state=1)])
    assert historian.count(Query(Measurement.DIRTY)) == 1


async def test_late_data_leave_the_time_between_the_shifts_as_it_was(historian: Historian) -> None:
    """The day's off-shift time is stamped at midnight, before the shift that the data fall in."""
    gap = Calendar("two", (Shift("pagi", LocalRange(360, 840)), Shift("malam", LocalRange(1320, 1800))))
    bench = Bench(historian, machine(counter("good"), calendar=Dated.always(gap), max_age_ms=90 * SECOND))
    course = [sample(second, state=1, good=second // 60) for second in range(0, 16 * 3600, 60)]
    async with running(bench.engine) as engine:
        await bench.take([*course[:60], *course[90:]])
        await engine.settle()
        await bench.take(course[60:90])
        await engine.settle()
    (off,) = [fact for fact in bench.facts(Grain.SHIFT) if fact.shift == OFF_SHIFT]
    assert off.elements["unscheduled_run_s"] == 8 * 3600
