"""What holds of the engine for every machine, however nasty: splits, thresholds, roll-overs, sums, units."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from kpi.evaluation.evaluate import evaluate
from kpi.evaluation.losses import six_big_losses, waterfall
from kpi.facts.derive import derive
from kpi.plan import UnitPlan
from kpi.timeline.states import StateInterval, timeline
from shopfloor.additive import Elements, merge
from shopfloor.columns import SampleColumns
from shopfloor.dated import Dated
from shopfloor.fact import Fact, Loss, Stop
from shopfloor.instant import MINUTE
from shopfloor.plant import QuantityUnit
from shopfloor.sample import Sample
from shopfloor.statement import Statement, in_force
from tests.production import MACHINE
from tests.property.nasty import PLANS, SCRAP_MODULUS, TOLD, courses, statements, window_of

EXAMPLES = settings(max_examples=200, deadline=None)
kinds = st.sampled_from(sorted(PLANS))


def derived(plan: UnitPlan, samples: Sequence[Sample], window: tuple[int, int], said: Sequence[Statement] = ()):  # type: ignore[no-untyped-def]
    return derive(plan, SampleColumns.of(MACHINE, samples), window, in_force(said))


def whole(plan: UnitPlan, samples: Sequence[Sample], said: Sequence[Statement] = ()) -> Elements:
    facts = derived(plan, samples, window_of(samples), said).facts
    return merge(fact.elements for fact in facts)


def without_demand(fact: Fact) -> Fact:
    """A quarter-hour demand belongs to a whole quarter: it is no sum of minutes."""
    kept = {name: value for name, value in fact.elements.items() if not name.startswith("demand")}
    return replace(fact, elements=kept)


@EXAMPLES
@given(kinds, courses(), st.lists(st.integers(1, 600), max_size=4), st.data())
def test_facts_losses_and_stops_of_any_split_are_those_of_the_whole(
    kind: str, samples: list[Sample], minutes: list[int], data: st.DataObject
) -> None:
    said = data.draw(statements(samples))
    start, end = window_of(samples)
    borders = sorted({start, *(cut for minute in minutes if (cut := start + minute * MINUTE) < end), end})
    all_of_it = derived(PLANS[kind], samples, (start, end), said)
    parts = [derived(PLANS[kind], samples, window, said) for window in pairwise(borders)]
    assert [without_demand(fact) for part in parts for fact in part.facts] == [
        without_demand(fact) for fact in all_of_it.facts
    ]
    assert sorted(loss_key(loss) for part in parts for loss in part.losses) == sorted(map(loss_key, all_of_it.losses))
    stops: set[Stop] = {stop for part in parts for stop in part.stops}
    assert sorted(stops, key=lambda stop: stop.start) == all_of_it.stops


def loss_key(loss: Loss) -> tuple[object, ...]:
    return loss.time, loss.shift, loss.product, loss.category, loss.reason, loss.seconds, loss.count


@EXAMPLES
@given(kinds, courses(), st.lists(st.floats(0, 1), max_size=5), st.data())
def test_a_timeline_cut_at_any_instants_is_the_timeline_of_the_whole(
    kind: str, samples: list[Sample], cuts: list[float], data: st.DataObject
) -> None:
    said = in_force(data.draw(statements(samples)))
    columns = SampleColumns.of(MACHINE, samples)
    start, end = samples[0].time, samples[-1].time
    borders = sorted({start, *(start + round(cut * (end - start)) for cut in cuts), end})
    parts = [tile for low, high in pairwise(borders) for tile in timeline(PLANS[kind], columns, low, high, said)]
    one = timeline(PLANS[kind], columns, start, end, said)
    assert joined(parts) == joined(one)
    assert [tile.start for tile in one] == [start, *(tile.end for tile in one[:-1])]
    assert one[-1].end == end


def joined(tiles: Sequence[StateInterval]) -> list[StateInterval]:
    found: list[StateInterval] = []
    for tile in tiles:
        if found and found[-1].end == tile.start and found[-1]._replace(start=tile.start, end=tile.end) == tile:
            found[-1] = found[-1]._replace(end=tile.end)
        else:
            found.append(tile)
    return found


@EXAMPLES
@given(kinds, courses(), st.data())
def test_the_losses_and_good_run_time_are_planned_busy_time(
    kind: str, samples: list[Sample], data: st.DataObject
) -> None:
    elements = whole(PLANS[kind], samples, data.draw(statements(samples)))
    report = evaluate(elements)
    busy, good = report.elements["planned_busy_s"], report.elements.get("good_run_s", 0.0)
    for bars in (waterfall(elements), six_big_losses(elements)):
        assert math.isclose(math.fsum([good, *(bar.seconds for bar in bars)]), busy, abs_tol=1e-9)


@EXAMPLES
@given(kinds, courses(), st.data())
def test_oee_is_good_run_time_over_known_busy_time_and_the_product_of_its_factors(
    kind: str, samples: list[Sample], data: st.DataObject
) -> None:
    report = evaluate(whole(PLANS[kind], samples, data.draw(statements(samples))))
    known, good = report.elements["known_busy_s"], report.elements.get("good_run_s", 0.0)
    oee = report.kpis["oee_index"]
    if not known:
        assert oee is None
        return
    factors = [report.kpis[name] for name in ("availability", "effectiveness", "quality_ratio")]
    if oee is not None:
        assert math.isclose(oee, good / known, rel_tol=1e-12)
    if oee is not None and None not in factors:
        assert math.isclose(oee, math.prod(factors), rel_tol=1e-9, abs_tol=1e-12)  # type: ignore[arg-type]


@EXAMPLES
@given(kinds, courses(), st.integers(0, 1_500), st.integers(0, 1_500), st.data())
def test_moving_the_micro_stop_threshold_trades_availability_for_effectiveness_but_not_oee(
    kind: str, samples: list[Sample], one: int, other: int, data: st.DataObject
) -> None:
    plan, said = PLANS[kind], data.draw(statements(samples))
    low, high = (
        evaluate(
            whole(UnitPlan(replace(plan.unit, micro_stop_s=Dated.always(float(seconds))), plan.tags), samples, said)
        )
        for seconds in sorted((one, other))
    )
    assert close(low.kpis["oee_index"], high.kpis["oee_index"])
    assert close(low.elements["planned_busy_s"], high.elements["planned_busy_s"])
    moved_s = high.elements["production_s"] - low.elements["production_s"]
    stops = ("unplanned_stop_s", "micro_stop_s")
    assert moved_s >= -1e-9
    before, after = (math.fsum(report.elements.get(name, 0.0) for name in stops) for report in (low, high))
    assert math.isclose(before, after, abs_tol=1e-6)
    if moved_s > 1e-6 and low.kpis["availability"] is not None and high.kpis["availability"] is not None:
        assert high.kpis["availability"] > low.kpis["availability"]
        if low.kpis["effectiveness"]:
            assert high.kpis["effectiveness"] is not None
            assert high.kpis["effectiveness"] < low.kpis["effectiveness"]


@EXAMPLES
@given(kinds, courses(plausible=True), st.integers(0, 65_535), st.integers(0, SCRAP_MODULUS - 1))
def test_a_roll_over_at_any_point_changes_nothing_but_its_own_count(
    kind: str, samples: list[Sample], good: int, scrap: int
) -> None:
    moved = [shifted(shifted(one, "good", good, 65_536), "scrap", scrap, SCRAP_MODULUS) for one in samples]
    before, after = (derived(PLANS[kind], course, window_of(course)) for course in (samples, moved))
    assert [uncounted(fact) for fact in before.facts] == [uncounted(fact) for fact in after.facts]
    assert (before.losses, before.stops) == (after.losses, after.stops)


def close(one: float | None, other: float | None) -> bool:
    """Equal but for the order of a sum."""
    return one == other or (one is not None and other is not None and math.isclose(one, other, rel_tol=1e-12))


def shifted(sample: Sample, tag: str, by: int, modulus: int) -> Sample:
    if tag not in sample.values:
        return sample
    return structs.replace(sample, values={**sample.values, tag: (int(sample.values[tag]) + by) % modulus})


def uncounted(fact: Fact) -> Fact:
    kept = {name: value for name, value in fact.elements.items() if name != "counter_rollovers"}
    return replace(fact, elements=kept)


@EXAMPLES
@given(kinds, courses(), st.randoms(use_true_random=False), st.data())
def test_order_and_duplication_of_samples_and_statements_change_nothing(  # type: ignore[no-untyped-def]
    kind: str, samples: list[Sample], random, data: st.DataObject
) -> None:
    said = data.draw(statements(samples))
    mixed = [*samples, *random.choices(samples, k=len(samples) // 3)]
    words = [*said, *random.choices(said, k=len(said) // 2)] if said else []
    random.shuffle(mixed)
    random.shuffle(words)
    window = window_of(samples)
    assert derived(PLANS[kind], mixed, window, words) == derived(PLANS[kind], samples, window, said)


@EXAMPLES
@given(courses(), st.data())
def test_pieces_and_weights_are_never_mixed(samples: list[Sample], data: st.DataObject) -> None:
    facts = derived(TOLD, samples, window_of(samples), data.draw(statements(samples))).facts
    units = {product: TOLD.unit.products[product].quantity_unit for product in ("disc", "melt")}
    report = evaluate(merge(fact.elements for fact in facts), units=frozenset(units.values()))
    assert "mixed_quantity_units" in report.flags
    assert report.kpis["quality_ratio_pieces"] is None
    for product, unit in units.items():
        own = merge(fact.elements for fact in facts if fact.product == product)
        mass = TOLD.unit.products[product].mass_kg or 0.0
        run_s = {"disc": 10.0, "melt": 4.0}[product]
        assert math.isclose(own.get("produced_kg", 0.0), mass * own.get("produced", 0.0), abs_tol=1e-6)
        assert math.isclose(own.get("planned_run_s", 0.0), run_s * own.get("produced", 0.0), abs_tol=1e-6)
        alone = evaluate(own, units=frozenset({unit}))
        assert "mixed_quantity_units" not in alone.flags
        if own.get("produced"):
            assert alone.kpis["quality_ratio_pieces"] == own.get("good", 0.0) / own["produced"]
    assert set(units.values()) == {QuantityUnit.PIECE, QuantityUnit.KILOGRAM}
