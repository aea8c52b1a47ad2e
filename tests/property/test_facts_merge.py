"""Facts in the store: any order, duplication and delay of samples, any edit and its undo give the same facts."""

import asyncio
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from historian.embedded import EmbeddedHistorian
from historian.records import Dirty, dirty_point, facts_of, losses_of, sample_point, stops_of, unit_query
from historian.schema import LOSSES_OF, Grain, Measurement
from historian.statements import put
from ingest.facts_engine import FactsEngine
from kpi.facts.derive import derive
from kpi.facts.rollup import hour_facts
from kpi.plan import UnitPlan
from shopfloor.additive import merge
from shopfloor.clock import CatchUpClock
from shopfloor.columns import SampleColumns
from shopfloor.instant import MINUTE
from shopfloor.machine_state import TimeCategory
from shopfloor.sample import Sample
from shopfloor.statement import Statement, in_force
from tests.production import MACHINE, START
from tests.property.nasty import PLANS, TOLD, courses, statements, window_of

kinds = st.sampled_from(sorted(PLANS))
numbers = itertools.count()


@settings(max_examples=200, deadline=None)
@given(courses())
def test_categories_tile_the_time_from_the_first_sample_to_the_last(samples: list[Sample]) -> None:
    facts = derive(TOLD, SampleColumns.of(MACHINE, samples), window_of(samples)).facts
    first, last = samples[0].time, samples[-1].time
    by_minute: dict[int, int] = {}
    for fact in facts:
        booked = sum(round(fact.elements.get(f"{category}_s", 0.0) * 1000) for category in TimeCategory)
        by_minute[fact.time] = by_minute.get(fact.time, 0) + booked
    expected = {
        minute: min(minute + MINUTE, last) - max(minute, first)
        for minute in range(first - first % MINUTE, last, MINUTE)
    }
    assert by_minute == expected


@settings(max_examples=200, deadline=None)
@given(courses(), st.data())
def test_merging_any_split_of_facts_gives_the_whole(samples: list[Sample], data: st.DataObject) -> None:
    facts = derive(TOLD, SampleColumns.of(MACHINE, samples), window_of(samples)).facts
    cut = data.draw(st.integers(0, len(facts)))
    halves = [merge(fact.elements for fact in part) for part in (facts[:cut], facts[cut:])]
    whole, merged = merge(fact.elements for fact in facts), merge(halves)
    assert whole.keys() == merged.keys()
    assert all(abs(whole[name] - merged[name]) <= 1e-9 * max(1.0, abs(whole[name])) for name in whole)


class Store:
    """A real historian that all examples of a test share, each under an enterprise of its own."""

    def __init__(self, folder: Path) -> None:
        self.historian = EmbeddedHistorian(folder)
        self.enterprise = ""

    def begin(self) -> None:
        """Nothing of earlier examples is seen from here on."""
        self.enterprise = f"works-{next(numbers)}"

    def facts(self, grain: Grain):  # type: ignore[no-untyped-def]
        found = facts_of(self.historian.read(unit_query(grain, self.enterprise, MACHINE)))
        return sorted(found, key=lambda fact: fact.key)

    def everything(self):  # type: ignore[no-untyped-def]
        """Facts of all grains, losses and stops, as they read."""
        return [(self.facts(grain), self.losses(grain)) for grain in Grain], self.stops()

    def losses(self, grain: Grain):  # type: ignore[no-untyped-def]
        found = losses_of(self.historian.read(unit_query(LOSSES_OF[grain], self.enterprise, MACHINE)))
        return sorted(found, key=repr)

    def stops(self):  # type: ignore[no-untyped-def]
        return stops_of(self.historian.read(unit_query(Measurement.STOPS, self.enterprise, MACHINE)))

    def bring(self, batch: Sequence[Sample], stamp: int) -> Dirty:
        """Write as ingest does."""
        times = [one.time for one in batch]
        dirty = Dirty(MACHINE, START + stamp, min(times), max(times) + 1)
        points = [dirty_point(self.enterprise, dirty), *(sample_point(self.enterprise, one) for one in batch)]
        assert not self.historian.write(points).rejected
        return dirty


@contextmanager
def stored() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        with closing(store.historian):
            yield store


def test_any_order_duplication_and_delay_gives_the_same_facts() -> None:
    with stored() as store:

        @settings(max_examples=200, deadline=None)
        @given(kinds, courses(most=20), st.randoms(use_true_random=False), st.integers(1, 4), st.booleans())
        def example(kind, samples, random, batches, settle) -> None:  # type: ignore[no-untyped-def]
            shuffled = [*samples, *random.choices(samples, k=len(samples) // 3)]
            random.shuffle(shuffled)
            deliveries = [part for part in (shuffled[first::batches] for first in range(batches)) if part]
            store.begin()
            asyncio.run(delivered(store, PLANS[kind], deliveries, settle=settle))
            derived = derive(PLANS[kind], SampleColumns.of(MACHINE, samples), window_of(samples))
            assert store.facts(Grain.MINUTE) == derived.facts
            assert store.facts(Grain.HOUR) == hour_facts(derived.facts)
            assert store.stops() == derived.stops

        example()


def test_an_edit_and_its_undo_restore_every_fact() -> None:
    with stored() as store:

        @settings(max_examples=200, deadline=None)
        @given(kinds, courses(most=10), st.data())
        def example(kind: str, samples: list[Sample], data: st.DataObject) -> None:
            said = data.draw(statements(samples, least=1, most=2))
            store.begin()
            asyncio.run(undone(store, PLANS[kind], samples, said))

        example()


async def undone(store: Store, plan: UnitPlan, samples: Sequence[Sample], said: Sequence[Statement]) -> None:
    """All but the last statement, then the last and its undo: every time the store has what follows from raw."""
    *others, last = said
    undo = replace(last, id=str(UUID(int=99)), made_at=last.made_at + 1, supersedes=last.id, withdrawn=True)
    engine = FactsEngine(store.historian, {MACHINE: plan}, store.enterprise, CatchUpClock(START))
    running = asyncio.create_task(engine.run(), name="facts-engine")
    try:
        engine.notify([store.bring(samples, 0)])
        for each in others:
            speak(store, each)
        await engine.settle()
        before = store.everything()
        for heard in ([*others, last], [*others, last, undo]):
            speak(store, heard[-1])
            await engine.settle()
            derived = derive(plan, SampleColumns.of(MACHINE, samples), window_of(samples), in_force(heard))
            assert store.facts(Grain.MINUTE) == derived.facts
        assert store.everything() == before
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def speak(store: Store, statement: Statement) -> None:
    assert statement.end is not None
    put(store.historian, store.enterprise, statement, touched=(statement.start, statement.end))


async def delivered(store: Store, plan: UnitPlan, deliveries: Sequence[Sequence[Sample]], *, settle: bool) -> None:
    """Write batch after batch as ingest does; ``settle`` after each, or only at the end."""
    engine = FactsEngine(store.historian, {MACHINE: plan}, store.enterprise, CatchUpClock(START))
    running = asyncio.create_task(engine.run(), name="facts-engine")
    for stamp, batch in enumerate(deliveries):
        engine.notify([store.bring(batch, stamp)])
        if settle:
            await engine.settle()
    await engine.settle()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
