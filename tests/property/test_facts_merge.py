"""Facts merge: any split of time, any order, duplication and delay of samples gives the same facts."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from historian.embedded import EmbeddedHistorian
from historian.records import Dirty, dirty_point, facts_of, sample_point, stops_of, unit_query
from historian.schema import Grain, Measurement
from ingest.facts_engine import FactsEngine
from kpi.facts import derive
from kpi.plan import UnitPlan
from kpi.rollup import hour_facts
from shopfloor.additive import Elements, merge
from shopfloor.clock import CatchUpClock
from shopfloor.dated import Dated
from shopfloor.instant import HOUR, MINUTE, SECOND
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import ProductRule
from shopfloor.quality import COMM_LOST
from shopfloor.sample import Sample
from shopfloor.tag import TagKind, TagSpec
from tests.production import MACHINE, START, THREE_SHIFTS, WH, counter, machine

ENTERPRISE = "logam"
SPAN_MIN = 60
PLAN = machine(
    counter("good"),
    counter("scrap", modulus=100),
    WH,
    TagSpec(name="power_kw", kind=TagKind.GAUGE, unit="kW"),
    TagSpec(name="product_code", kind=TagKind.STATE, unit=""),
    product=Dated.always(ProductRule(tag="product_code", codes={1: "disc", 2: "drum"})),
    planned_run_time_s=Dated.always({"disc": 10.0, "drum": 4.0}),
    micro_stop_s=Dated(((START - HOUR, 60.0), (START + 100 * MINUTE, 200.0))),
    max_age_ms=45 * SECOND,
    calendar=Dated.always(THREE_SHIFTS),
)
BASE = START + 2 * HOUR + 30 * MINUTE
"""Half an hour before the break."""


@st.composite
def courses(draw: st.DrawFn) -> list[Sample]:
    """A machine's samples at uneven times, with gaps, bad cycles, roll-overs, resets and product changes."""
    pauses = st.sampled_from([1, 7, 20, 44, 46, 61, 300, 1_100])
    steps = st.tuples(
        pauses, st.integers(0, 5), st.integers(0, 12), st.integers(0, 3), st.integers(0, 900), st.integers(0, 9)
    )
    good, scrap, energy, time = draw(st.integers(0, 65_535)), 0, 0, BASE
    samples = []
    for pause, state, made, lost, drawn, luck in draw(st.lists(steps, min_size=2, max_size=60)):
        time += pause * SECOND + luck
        good, scrap, energy = (good + made) % 65_536, (scrap + lost) % 100, 0 if luck == 9 else energy + drawn
        values = {
            "state": state,
            "good": good,
            "scrap": scrap,
            "energy_kwh": energy / 1000,
            "power_kw": drawn / 10,
            "product_code": 1 + (luck > 6),
        }
        if luck == 0:
            samples.append(Sample(unit=MACHINE, time=time, status=dict.fromkeys(values, COMM_LOST)))
        else:
            samples.append(Sample(unit=MACHINE, time=time, values=values))
    return samples


def window_of(samples: Sequence[Sample]) -> tuple[int, int]:
    return samples[0].time - samples[0].time % HOUR, samples[-1].time - samples[-1].time % HOUR + HOUR


def without_demand(elements: Elements) -> Elements:
    return {name: value for name, value in elements.items() if not name.startswith("demand")}


@settings(max_examples=200)
@given(courses(), st.lists(st.integers(1, 600), max_size=4))
def test_any_split_into_windows_gives_the_same_facts(samples: list[Sample], cuts: list[int]) -> None:
    start, end = window_of(samples)
    borders = sorted({start, *(cut for minute in cuts if (cut := start + minute * MINUTE) < end), end})
    whole = derive(PLAN, samples, (start, end)).facts
    parts = [fact for low, high in pairwise(borders) for fact in derive(PLAN, samples, (low, high)).facts]
    assert [replace(fact, elements=without_demand(fact.elements)) for fact in parts] == [
        replace(fact, elements=without_demand(fact.elements)) for fact in whole
    ]


@settings(max_examples=200)
@given(courses())
def test_categories_tile_the_time_from_the_first_sample_to_the_last(samples: list[Sample]) -> None:
    facts = derive(PLAN, samples, window_of(samples)).facts
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


@settings(max_examples=200)
@given(courses())
def test_a_roll_over_changes_no_quantity(samples: list[Sample]) -> None:
    shifted = [
        replace(one, values={**one.values, "good": (int(one.values["good"]) + 40_000) % 65_536}) if one.values else one
        for one in samples
    ]
    before, after = (
        merge(f.elements for f in derive(PLAN, course, window_of(course)).facts) for course in (samples, shifted)
    )
    before.pop("counter_rollovers", None)
    after.pop("counter_rollovers", None)
    assert before == after


@settings(max_examples=200)
@given(courses(), st.data())
def test_merging_any_split_of_facts_gives_the_whole(samples: list[Sample], data: st.DataObject) -> None:
    facts = derive(PLAN, samples, window_of(samples)).facts
    cut = data.draw(st.integers(0, len(facts)))
    halves = [merge(fact.elements for fact in part) for part in (facts[:cut], facts[cut:])]
    whole, merged = merge(fact.elements for fact in facts), merge(halves)
    assert whole.keys() == merged.keys()
    assert all(abs(whole[name] - merged[name]) <= 1e-9 * max(1.0, abs(whole[name])) for name in whole)


@settings(max_examples=12)
@given(courses(), st.randoms(use_true_random=False), st.integers(1, 6), st.booleans())
def test_any_order_duplication_and_delay_gives_the_same_facts(samples, random, batches, settle) -> None:  # type: ignore[no-untyped-def]
    shuffled = [*samples, *random.choices(samples, k=len(samples) // 3)]
    random.shuffle(shuffled)
    deliveries = [part for part in (shuffled[first::batches] for first in range(batches)) if part]
    with tempfile.TemporaryDirectory() as folder:
        historian = EmbeddedHistorian(Path(folder))
        try:
            asyncio.run(delivered(historian, PLAN, deliveries, settle=settle))
            derived = derive(PLAN, samples, window_of(samples))
            assert stored(historian, Grain.MINUTE) == derived.facts
            assert stored(historian, Grain.HOUR) == hour_facts(derived.facts)
            assert stops_of(historian.read(unit_query(Measurement.STOPS, ENTERPRISE, MACHINE))) == derived.stops
        finally:
            historian.close()


def stored(historian: EmbeddedHistorian, grain: Grain):  # type: ignore[no-untyped-def]
    facts = facts_of(historian.read(unit_query(grain, ENTERPRISE, MACHINE)))
    return sorted(facts, key=lambda fact: fact.key)


async def delivered(
    historian: EmbeddedHistorian, plan: UnitPlan, deliveries: Sequence[Sequence[Sample]], *, settle: bool
) -> None:
    """Write batch after batch as ingest does; ``settle`` after each, or only at the end."""
    engine = FactsEngine(historian, {MACHINE: plan}, ENTERPRISE, CatchUpClock(START))
    running = asyncio.create_task(engine.run(), name="facts-engine")
    for stamp, batch in enumerate(deliveries):
        times = [one.time for one in batch]
        dirty = Dirty(MACHINE, START + stamp, min(times), max(times) + 1)
        historian.write([dirty_point(ENTERPRISE, dirty), *(sample_point(ENTERPRISE, one) for one in batch)])
        engine.notify([dirty])
        if settle:
            await engine.settle()
    await engine.settle()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
