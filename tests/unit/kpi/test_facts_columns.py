from collections.abc import Mapping
from dataclasses import replace

import pytest

from kpi.facts.derive import derive, gap_facts
from kpi.facts.quantities import widened
from kpi.plan import UnitPlan
from shopfloor.additive import COLUMNS, Elements, merge
from shopfloor.columns import SampleColumns
from shopfloor.dated import Dated
from shopfloor.instant import HOUR, MINUTE, QUARTER, SECOND
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import (
    CounterInference,
    Policy,
    Product,
    ProductRule,
    QuantityUnit,
    Staffed,
    Tariff,
)
from shopfloor.reason import Maintenance, Reason
from shopfloor.sample import Sample
from shopfloor.statement import Statement, StatementKind
from shopfloor.tag import TagKind, TagSpec
from tests.production import (
    MACHINE,
    METER,
    START,
    THREE_SHIFTS,
    WH,
    counter,
    machine,
    meter,
    minutes,
    sample,
    states,
    work_unit,
)

REASONS = {
    reason.id: reason
    for reason in (
        Reason(id="tool", name={}, failure=True, maintenance=Maintenance.CORRECTIVE),
        Reason(id="material", name={}),
        Reason(id="service", name={}, category=TimeCategory.PLANNED_STOP, maintenance=Maintenance.PREVENTIVE),
    )
}
TARIFF = Tariff("pln-i3", "IDR", 1000.0, 1.5, 18 * 60, 22 * 60)
DISC = {"disc": Product("disc", {}, mass_kg=6.2)}


def said(kind: StatementKind, start_s: float, end_s: float | None, **what: object) -> Statement:
    end = None if end_s is None else START + round(end_s * SECOND)
    return Statement(
        id=f"{kind}-{start_s}",
        unit=MACHINE,
        kind=kind,
        start=START + round(start_s * SECOND),
        end=end,
        author="sari",
        made_at=START + HOUR,
        **what,  # type: ignore[arg-type]
    )


def counted(quantities: Mapping[str, float], start_s: float = 0, end_s: float | None = 600) -> Statement:
    return said(StatementKind.QUANTITY, start_s, end_s, quantities=quantities)


def total(plan: UnitPlan, samples: list[Sample], *statements: Statement, count: float = 60.0) -> Elements:
    derived = derive(plan, SampleColumns.of(plan.path, samples), minutes(count), statements)
    return merge(fact.elements for fact in derived.facts)


def ran(seconds: int, **counters: int) -> list[Sample]:
    """Running throughout; a part of each counter every so many seconds."""
    return [
        sample(second, state=1, **{tag: second // every for tag, every in counters.items()})
        for second in range(seconds + 1)
    ]


def test_every_column_that_facts_carry_is_in_the_table() -> None:
    plan = machine(startup_s=60.0, capacity_per_h=300.0, tariff=Dated.always(TARIFF), products=DISC)
    found = total(plan, ran(900, good=10, scrap=50), counted({"scrap": 3}))
    assert found.keys() <= {*COLUMNS, *(f"{name}_at" for name in COLUMNS)}


def test_a_failure_without_a_reason_is_assumed_and_its_retrip_is_none() -> None:
    """Runs 100 s, down 200 s, runs 60 s, down 120 s (a re-trip), runs 600 s, down 90 s (a new failure)."""
    found = total(machine(), states((1, 100), (2, 200), (1, 60), (2, 120), (1, 600), (2, 90), (1, 10)))
    assert (found["failures"], found["assumed_failures"], found["unplanned_stops"]) == (2, 2, 3)
    assert found["repair_s"] == 410


def test_reasons_decide_what_is_a_failure_and_which_maintenance_it_was() -> None:
    samples = states((1, 100), (2, 200), (1, 600), (2, 100), (1, 600), (2, 80), (1, 10))
    found = total(
        machine(reasons=REASONS),
        samples,
        said(StatementKind.REASON, 150, 160, reason="tool"),
        said(StatementKind.REASON, 900, 1000, reason="material"),
        said(StatementKind.REASON, 1600, 1680, reason="service"),
    )
    assert (found["failures"], found["repair_s"]) == (1, 200)
    assert "assumed_failures" not in found
    assert (found["corrective_s"], found["preventive_s"]) == (200, 80)
    assert (found["planned_stop_s"], found["stated_s"], found["unplanned_stop_s"]) == (80, 80, 300)


def test_losses_and_stops_carry_the_stated_reason() -> None:
    plan, samples = machine(reasons=REASONS), states((1, 30), (2, 100), (1, 10))
    reason = said(StatementKind.REASON, 30, 130, reason="material")
    derived = derive(plan, SampleColumns.of(MACHINE, samples), minutes(5), [reason])
    assert [(loss.category, loss.reason, loss.seconds, loss.count) for loss in derived.losses] == [
        ("unplanned_stop", "material", 30.0, 1.0),
        ("unplanned_stop", "material", 60.0, 0.0),
        ("unplanned_stop", "material", 10.0, 0.0),
    ]
    (stop,) = derived.stops
    assert (stop.reason, stop.statement, stop.failure) == ("material", reason.id, False)


def test_a_stop_that_a_statement_planned_stays_a_stop_with_its_loss() -> None:
    samples = states((1, 30), (2, 100), (1, 10))
    planned = said(StatementKind.CATEGORY, 30, 130, category=TimeCategory.PLANNED_STOP, reason="service")
    derived = derive(machine(reasons=REASONS), SampleColumns.of(MACHINE, samples), minutes(5), [planned])
    assert [(stop.category, stop.reason, stop.failure) for stop in derived.stops] == [
        ("planned_stop", "service", False)
    ]
    assert sum(loss.seconds for loss in derived.losses if loss.reason == "service") == 100


def test_setups_are_counted_in_the_minute_of_their_start() -> None:
    derived = derive(machine(), SampleColumns.of(MACHINE, states((1, 70), (3, 90), (1, 5), (3, 5))), minutes(5))
    assert [fact.elements.get("setups", 0) for fact in derived.facts] == [0, 1, 1]


def test_time_inferred_from_a_counter_says_so() -> None:
    rule = Dated.always(CounterInference("good", cycles=3.0))
    plan = machine(counter("good"), states=None, inference=rule)
    samples = [sample(second, good=min(second, 300) // 10) for second in range(600)]
    derived = derive(plan, SampleColumns.of(MACHINE, samples), minutes(60))
    found = merge(fact.elements for fact in derived.facts)
    assert found["running_s"] == 300
    assert found["inferred_s"] == 599
    assert {loss.reason for loss in derived.losses} == {"inferred"}


def test_staffed_and_order_time_accumulate() -> None:
    plan = machine(calendar=Dated.always(THREE_SHIFTS), policy=Policy(staffed=Staffed.SHIFTS))
    found = total(plan, states((1, 300)), said(StatementKind.ORDER, 60, 180, order="wo-7"))
    assert (found["staffed_s"], found["order_s"]) == (300, 120)


def test_a_stated_product_takes_the_quantities_of_its_time() -> None:
    plan = machine(counter("good"), planned_run_time_s=Dated.always({"disc": 10.0, "drum": 4.0}))
    order = said(StatementKind.ORDER, 60, 120, product="drum")
    derived = derive(plan, SampleColumns.of(MACHINE, ran(180, good=10)), minutes(3), [order])
    assert [(fact.product, fact.elements["planned_run_s"]) for fact in derived.facts] == [
        ("disc", 60.0),
        ("drum", 24.0),
        ("disc", 60.0),
    ]


def test_scrap_soon_after_a_setup_is_the_start_ups() -> None:
    """Setup to second 100; scrap at 110, 150 and 300; the start-up ends at 160."""
    plan = machine(counter("good"), counter("scrap"), startup_s=60.0)
    scrap = {110: 1, 150: 2, 300: 3}
    samples, lost = [], 0
    for second in range(400):
        lost = scrap.get(second, lost)
        samples.append(sample(second, state=3 if second < 100 else 1, good=second // 20, scrap=lost))
    found = total(plan, samples)
    assert found["scrap"] == 3
    assert found["startup_scrap_run_s"] == 20


def test_a_start_up_over_a_minutes_border_splits_its_scrap_exactly() -> None:
    """Scrap in a stop that goes on is no start-up's; one part of a 20 s scan belongs to it, one does not."""
    plan = machine(
        counter("good"), counter("scrap"), startup_s=30.0, max_age_ms=60 * SECOND, micro_stop_s=Dated.always(10.0)
    )
    samples = [
        sample(0, state=2, good=0, scrap=0),
        sample(40, state=1, good=0, scrap=1),
        sample(60, state=1, good=0, scrap=1),
        sample(80, state=1, good=0, scrap=3),
        sample(100, state=1, good=0, scrap=3),
    ]
    found = total(plan, samples)
    assert found["scrap"] == 3
    assert found["startup_scrap_run_s"] == 10


def test_mass_follows_from_the_product() -> None:
    found = total(machine(products=DISC), ran(60, good=10, scrap=30))
    assert (found["good_kg"], found["produced_kg"]) == pytest.approx((6 * 6.2, 8 * 6.2))


def test_capacity_is_the_rated_one_of_planned_busy_time() -> None:
    plan = machine(capacity_per_h=360.0, calendar=Dated.always(THREE_SHIFTS))
    found = total(plan, [sample(3 * 3600 - 100 + second, state=1) for second in range(201)], count=300)
    assert (found["planned_stop_s"], found["capacity"]) == (100, 10)


def test_products_in_kilograms_go_by_the_mass_counter() -> None:
    tags = (
        TagSpec(name="mass_total_kg", kind=TagKind.COUNTER, unit="kg"),
        TagSpec(name="product_code", kind=TagKind.STATE, unit=""),
        counter("produced"),
    )
    products = {"billet": Product("billet", {}, quantity_unit=QuantityUnit.KILOGRAM), **DISC}
    rule = ProductRule(tag="product_code", codes={1: "billet", 2: "disc"})
    plan = machine(*tags, products=products, product=Dated.always(rule), planned_run_time_s=None)
    samples = [
        sample(second, state=1, produced=second // 10, mass_total_kg=second * 0.25, product_code=1 + (second >= 60))
        for second in range(121)
    ]
    derived = derive(plan, SampleColumns.of(MACHINE, samples), minutes(2))
    assert [(fact.product, fact.elements["produced"], fact.elements["good_kg"]) for fact in derived.facts] == [
        ("billet", 15.0, 15.0),
        ("disc", 6.0, pytest.approx(37.2)),
    ]


def test_a_furnace_without_counters_of_pieces_counts_its_heats() -> None:
    plan = machine(counter("heats", "heat"), planned_run_time_s=Dated.always({"disc": 30.0}))
    found = total(plan, ran(120, heats=30))
    assert (found["produced"], found["good"], found["planned_run_s"]) == (4, 4, 120)


def test_energy_while_standing_still_is_idle() -> None:
    samples = [sample(second, state=1 if second < 100 else 2, energy_kwh=second / 1000) for second in range(301)]
    found = total(machine(WH), samples)
    assert (found["energy_kwh"], found["idle_energy_kwh"]) == (0.3, 0.2)


def test_stated_pieces_go_by_running_time_and_lose_none() -> None:
    plan, samples = machine(counter("good"), counter("scrap")), states((1, 120), (2, 180), (1, 60))
    derived = derive(plan, SampleColumns.of(MACHINE, samples), minutes(6), [counted({"good": 7}, 0, 360)])
    assert [fact.elements.get("good", 0) for fact in derived.facts] == [2, 3, 0, 0, 0, 2]
    assert merge(fact.elements for fact in derived.facts)["stated_produced"] == 7


def test_stated_pieces_of_standing_time_go_evenly_and_count_as_produced() -> None:
    derived = derive(
        machine(counter("good")),
        SampleColumns.of(MACHINE, states((3, 180))),
        minutes(3),
        [counted({"good": 3}, 0, 180)],
    )
    assert [fact.elements["produced"] for fact in derived.facts] == [1, 1, 1]
    assert not any("setup_produced" in fact.elements for fact in derived.facts)


def test_a_count_without_an_end_is_in_its_minute() -> None:
    derived = derive(
        machine(), SampleColumns.of(MACHINE, states((1, 180))), minutes(3), [counted({"scrap": 2}, 70, None)]
    )
    assert [fact.elements.get("scrap", 0) for fact in derived.facts] == [0, 2, 0]
    later = START + HOUR, START + 2 * HOUR
    assert widened(later, [counted({"scrap": 2}, 70, None)]) == later
    assert widened(later, [counted({"scrap": 2}, 70, 3601)]) == (START + 70 * SECOND, later[1])


@pytest.mark.parametrize(
    ("counters", "stated", "produced", "good", "scrap"),
    [
        (("good", "scrap"), {"good": 5, "scrap": 2}, 7, 5, 2),
        (("good",), {"scrap": 2}, 2, 0, 2),
        (("good",), {"good": -2, "scrap": 2}, 0, -2, 2),
        (("produced",), {"scrap": 2}, 0, -2, 2),
        (("produced",), {"produced": 10, "good": 8}, 10, 8, 2),
        (("produced",), {"good": 8}, 8, 8, 0),
        (("good",), {"inspected": 9, "first_pass_good": 8}, 0, 0, 0),
    ],
)
def test_what_a_statement_leaves_open_follows(
    counters: tuple[str, ...], stated: dict[str, float], produced: float, good: float, scrap: float
) -> None:
    plan = machine(*map(counter, counters))
    found = total(plan, states((1, 600)), counted(stated))
    assert [found.get(name, 0) for name in ("produced", "good", "scrap")] == [produced, good, scrap]
    assert found.get("inspected", 0) == stated.get("inspected", 0)


def test_more_taken_away_than_was_made_is_negative_for_the_evaluation_to_flag() -> None:
    found = total(machine(counter("good")), ran(60, good=10), counted({"good": -10}, 0, 60))
    assert (found["good"], found["good_run_s"]) == (-4, -40)


def test_stated_kilograms_are_spread_to_the_millionth() -> None:
    derived = derive(
        machine(), SampleColumns.of(MACHINE, states((1, 180))), minutes(3), [counted({"consumed_kg": 100.5}, 0, 180)]
    )
    assert [fact.elements["consumed_kg"] for fact in derived.facts] == [33.5, 33.5, 33.5]


def test_silent_time_carries_what_people_stated() -> None:
    """A stated count of half silent time: its half of the gap is in the gap, the rest in the facts."""
    count = counted({"good": 10}, 0, 600)
    known = total(machine(counter("good")), states((1, 300)), count)
    gap = merge(f.elements for f in gap_facts(work_unit(MACHINE), START + 5 * MINUTE, START + HOUR, statements=[count]))
    assert (known["good"], gap["good"], gap["planned_run_s"]) == (5, 5, 50)
    stop = said(StatementKind.CATEGORY, 600, 900, category=TimeCategory.PLANNED_STOP)
    gap = merge(f.elements for f in gap_facts(work_unit(MACHINE), START, START + HOUR, HOUR, statements=[stop]))
    assert (gap["planned_stop_s"], gap["unknown_s"], gap["stated_s"]) == (300, 3300, 300)


def test_a_gap_asked_for_in_parts_is_the_same_gap() -> None:
    count, unit = counted({"good": 11}, 90, 1000), work_unit(MACHINE)
    whole = gap_facts(unit, START, START + HOUR, statements=[count])
    parts = [
        fact
        for q in range(4)
        for fact in gap_facts(unit, START + q * QUARTER, START + (q + 1) * QUARTER, statements=[count])
    ]
    assert parts == whole


def test_a_meters_energy_is_priced_by_the_local_hour_and_the_tariff_in_force() -> None:
    """18:00 in Jakarta is 11:00 UTC; from 11:30 on another tariff holds."""
    since, changed = START + 10 * HOUR + 45 * MINUTE, START + 11 * HOUR + 30 * MINUTE
    cheaper = replace(TARIFF, off_peak=100.0, peak_factor=2.0)
    plan = meter(
        tariff=Dated(((since - HOUR, TARIFF), (changed, cheaper))),
        grid_factor_kg_per_kwh=Dated.always(0.87),
    )
    samples = [Sample(unit=METER, time=since + n * QUARTER, values={"energy_kwh": 10.0 * n}) for n in range(5)]
    window = START + 10 * HOUR, START + 12 * HOUR
    found = merge(fact.elements for fact in derive(plan, SampleColumns.of(METER, samples), window).facts)
    assert (found["off_peak_kwh"], found["peak_kwh"], found["energy_kwh"]) == pytest.approx((10, 30, 40))
    assert found["energy_cost"] == pytest.approx(10 * 1000 + 20 * 1500 + 10 * 200)
    assert found["carbon_kg"] == pytest.approx(34.8)


def test_energy_across_a_gap_is_paid_for_too() -> None:
    plan = meter(tariff=Dated.always(TARIFF), max_age_ms=QUARTER)
    samples = [Sample(unit=METER, time=START + n * HOUR, values={"energy_kwh": 10.0 * n}) for n in range(2)]
    found = merge(fact.elements for fact in derive(plan, SampleColumns.of(METER, samples), minutes(60)).facts)
    assert (found["unattributed_energy_kwh"], found["off_peak_kwh"]) == pytest.approx((10, 10))
    assert found["energy_cost"] == pytest.approx(10_000)
