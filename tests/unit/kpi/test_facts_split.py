"""Any split of time gives the same facts, from no more samples than an engine reads for each part."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi.facts.derive import derive
from kpi.facts.quantities import widened
from kpi.facts.slices import Window
from kpi.plan import UnitPlan
from shopfloor.columns import SampleColumns
from shopfloor.dated import Dated
from shopfloor.fact import Fact
from shopfloor.instant import HOUR, MINUTE, SECOND
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import Correction, CounterInference, GaugeInference, Policy, Product, ProductRule, Staffed, Tariff
from shopfloor.quality import COMM_LOST
from shopfloor.sample import Sample
from shopfloor.statement import Statement, StatementKind, in_force
from shopfloor.tag import TagKind, TagSpec
from tests.production import MACHINE, START, STATES, THREE_SHIFTS, WH, counter, machine, sample

BASE = START + 2 * HOUR + 30 * MINUTE
"""Half an hour before the break."""
PLAN = machine(
    counter("good"),
    counter("scrap", modulus=100),
    WH,
    TagSpec(name="power_kw", kind=TagKind.GAUGE, unit="kW"),
    TagSpec(name="product_code", kind=TagKind.STATE, unit=""),
    states=Dated.always({**STATES, 5: None}),
    product=Dated.always(ProductRule(tag="product_code", codes={1: "disc", 2: "drum"})),
    planned_run_time_s=Dated(((START - HOUR, {"disc": 10.0, "drum": 4.0}), (BASE + HOUR, {"disc": 7.0}))),
    micro_stop_s=Dated(((START - HOUR, 60.0), (BASE + HOUR, 200.0))),
    max_age_ms=45 * SECOND,
    calendar=Dated.always(THREE_SHIFTS),
    startup_s=100.0,
    retrip_s=200.0,
    capacity_per_h=500.0,
    policy=Policy(staffed=Staffed.SHIFTS),
    products={"disc": Product("disc", {}, mass_kg=6.2)},
    tariff=Dated.always(Tariff("day", "IDR", 1000.0, 1.5, 10 * 60, 11 * 60)),
    grid_factor_kg_per_kwh=Dated.always(0.87),
    corrections=(Correction("energy_kwh", Dated(((BASE + HOUR, 1.7),))),),
)


INFERRED = UnitPlan(
    replace(PLAN.unit, states=None, inference=Dated.always(CounterInference("good", cycles=2.0))), PLAN.tags
)
GAUGED = UnitPlan(
    replace(PLAN.unit, states=None, inference=Dated.always(GaugeInference("power_kw", 50.0, 30.0))), PLAN.tags
)


@st.composite
def courses(draw: st.DrawFn) -> list[Sample]:
    """A machine's samples at uneven times, with gaps, bad cycles, roll-overs, resets and product changes."""
    pauses = st.sampled_from([1, 7, 20, 44, 46, 61, 300, 1_100])
    steps = st.tuples(
        pauses, st.integers(0, 6), st.integers(0, 12), st.integers(0, 3), st.integers(0, 900), st.integers(0, 9)
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


@st.composite
def sayings(draw: st.DrawFn) -> list[Statement]:
    """Orders, categories and counts, some of them open-ended."""
    instants = st.integers(0, 5_400_000)
    found = []
    for number in range(draw(st.integers(0, 4))):
        start = BASE + draw(instants)
        kind = draw(st.sampled_from([StatementKind.ORDER, StatementKind.CATEGORY, StatementKind.QUANTITY]))
        said = Statement(
            id=str(number),
            unit=MACHINE,
            kind=kind,
            start=start,
            end=start + 1 + draw(instants) if draw(st.booleans()) or kind is StatementKind.CATEGORY else None,
            author="sari",
            made_at=START + number,
            category=draw(st.sampled_from([TimeCategory.PLANNED_STOP, TimeCategory.SETUP])),
            product=draw(st.sampled_from([None, "drum"])),
            order=draw(st.sampled_from([None, "wo-1"])),
            quantities={draw(st.sampled_from(["good", "scrap", "consumed_kg"])): draw(st.integers(-20, 60)) / 2},
        )
        found.append(said)
    return in_force(found)


def window_of(samples: list[Sample]) -> Window:
    return samples[0].time - samples[0].time % HOUR, samples[-1].time - samples[-1].time % HOUR + HOUR


def read(plan: UnitPlan, samples: list[Sample], window: Window, statements: list[Statement]) -> SampleColumns:
    """The samples that the facts of a window may depend on: its reach, and the nearest good readings beyond."""
    low, high = widened(window, statements)
    low, high = low - plan.reach, high + plan.reach
    before = [one for one in samples if one.time <= low]
    after = [one for one in samples if one.time >= high]
    around = [one for one in samples if low < one.time < high]
    good = [one for one in reversed(before) if one.values][:1] + [one for one in after if one.values][:1]
    return SampleColumns.of(MACHINE, [*before[-1:], *around, *after[:1], *good])


def without_demand(facts: list[Fact]) -> list[tuple[object, ...]]:
    return [
        (*fact.key, {name: value for name, value in fact.elements.items() if not name.startswith("demand")})
        for fact in facts
    ]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([PLAN, INFERRED, GAUGED]), courses(), sayings(), st.lists(st.integers(1, 600), max_size=4))
def test_any_split_gives_the_same_facts_and_losses(
    plan: UnitPlan, samples: list[Sample], statements: list[Statement], cuts: list[int]
) -> None:
    start, end = window_of(samples)
    borders = sorted({start, *(cut for minute in cuts if (cut := start + minute * MINUTE) < end), end})
    whole = derive(plan, SampleColumns.of(MACHINE, samples), (start, end), statements)
    parts = [derive(plan, read(plan, samples, window, statements), window, statements) for window in pairwise(borders)]
    assert [one for part in parts for one in without_demand(part.facts)] == without_demand(whole.facts)
    assert [loss for part in parts for loss in part.losses] == whole.losses


@settings(max_examples=200, deadline=None)
@given(courses(), sayings())
def test_a_statement_undone_restores_every_fact(samples: list[Sample], statements: list[Statement]) -> None:
    columns, window = SampleColumns.of(MACHINE, samples), window_of(samples)
    before = derive(PLAN, columns, window)
    undone = in_force([*statements, *(undo(statement) for statement in statements)])
    assert derive(PLAN, columns, window, undone) == before


def undo(statement: Statement) -> Statement:
    return Statement(
        id=f"undo-{statement.id}",
        unit=MACHINE,
        kind=statement.kind,
        start=statement.start,
        end=statement.end,
        author="sari",
        made_at=statement.made_at + 1,
        supersedes=statement.id,
        withdrawn=True,
    )


@settings(max_examples=200, deadline=None)
@given(courses(), st.data())
def test_stated_pieces_are_in_the_facts_to_the_last(samples: list[Sample], data: st.DataObject) -> None:
    start = data.draw(st.integers(samples[0].time, samples[-1].time - 1))
    end = data.draw(st.integers(start + 1, samples[-1].time))
    amount = data.draw(st.integers(-50, 500))
    said = Statement(
        id="q",
        unit=MACHINE,
        kind=StatementKind.QUANTITY,
        start=start,
        end=end,
        author="sari",
        made_at=START,
        quantities={"inspected": amount},
    )
    facts = derive(PLAN, SampleColumns.of(MACHINE, samples), window_of(samples), [said]).facts
    found = [fact.elements["inspected"] for fact in facts if "inspected" in fact.elements]
    assert sum(found) == amount
    assert all(float(part).is_integer() for part in found)


@pytest.mark.parametrize("category", [TimeCategory.SETUP, TimeCategory.PLANNED_STOP, TimeCategory.RUNNING])
def test_what_follows_a_long_stated_category_is_the_rest_of_its_stop_in_every_window(category: TimeCategory) -> None:
    codes = {0: 1, **dict.fromkeys(range(60, 7200, 30), 2), 7200: 1, 7230: 1}
    samples = [sample(second, state=state) for second, state in codes.items()]
    plan = machine(max_age_ms=60 * SECOND)
    stated = [said(category, 1800, 2400), said(category, 2400, 3600)]
    window = START, START + 3 * HOUR
    whole = derive(plan, SampleColumns.of(MACHINE, samples), window, stated)
    for cut in range(START + 50 * MINUTE, START + 70 * MINUTE, MINUTE):
        borders = window[0], cut, window[1]
        parts = [derive(plan, read(plan, samples, part, stated), part, stated) for part in pairwise(borders)]
        assert [one for part in parts for one in without_demand(part.facts)] == without_demand(whole.facts)
        assert [loss for part in parts for loss in part.losses] == whole.losses
    begun = sum(fact.elements.get("unplanned_stops", 0) for fact in whole.facts)
    assert begun == (2 if category is TimeCategory.RUNNING else 1)


def said(category: TimeCategory, since: int, until: int) -> Statement:
    return Statement(
        id=f"{category}-{since}",
        unit=MACHINE,
        kind=StatementKind.CATEGORY,
        start=START + since * SECOND,
        end=START + until * SECOND,
        author="sari",
        made_at=START + 3 * HOUR,
        category=category,
    )


def test_reach_covers_what_looks_back() -> None:
    base = UnitPlan(PLAN.unit, PLAN.tags).reach
    assert base == 2 * 45 * SECOND + 5 * MINUTE + 400 * SECOND
