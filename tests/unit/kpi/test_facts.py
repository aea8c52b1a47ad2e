from collections.abc import Iterable, Sequence

import pytest
from msgspec import structs

from kpi.evaluation.evaluate import evaluate
from kpi.facts.derive import Derived, gap_facts
from kpi.facts.derive import derive as derive_columns
from kpi.facts.slices import Window
from kpi.plan import UnitPlan
from shopfloor.additive import Elements, merge
from shopfloor.columns import SampleColumns
from shopfloor.dated import Dated
from shopfloor.fact import Stop
from shopfloor.instant import HOUR, MINUTE, QUARTER, SECOND
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import Correction, ProductRule
from shopfloor.quality import COMM_LOST
from shopfloor.sample import Sample
from shopfloor.statement import Statement
from shopfloor.tag import TagKind, TagSpec
from tests.production import (
    MACHINE,
    METER,
    START,
    THREE_SHIFTS,
    counter,
    lost,
    machine,
    meter,
    minutes,
    sample,
    states,
    work_unit,
)

DAY = 24 * HOUR
QUARTERS = (0, 3170, 7170, 10410)


def derive(plan: UnitPlan, samples: Iterable[Sample], window: Window, statements: Sequence[Statement] = ()) -> Derived:
    return derive_columns(plan, SampleColumns.of(plan.path, samples), window, statements)


def total(
    plan: UnitPlan, samples: Iterable[Sample], count: float = 60.0, statements: Sequence[Statement] = ()
) -> Elements:
    return merge(fact.elements for fact in derive(plan, samples, minutes(count), statements).facts)


def metered(*counts: int, every: int = QUARTER) -> list[Sample]:
    return [
        Sample(unit=METER, time=START + index * every, values={"energy_kwh": count / 1000})
        for index, count in enumerate(counts)
    ]


def test_every_second_between_first_and_last_sample_is_in_one_category() -> None:
    samples = states((1, 100), (2, 20), (3, 50), (2, 200), (4, 30))
    found = total(machine(), samples)
    categories = {name: found[f"{name}_s"] for name in TimeCategory if f"{name}_s" in found}
    assert categories == {"running": 100, "micro_stop": 20, "setup": 50, "unplanned_stop": 200, "starved": 30}
    assert (found["micro_stops"], found["unplanned_stops"], found["observed_s"]) == (1, 1, 400)


def test_a_minute_is_split_where_the_product_changes() -> None:
    rule = ProductRule(tag="product_code", codes={7: "disc", 8: "drum"})
    tags = (counter("good"), TagSpec(name="product_code", kind=TagKind.STATE, unit=""))
    plan = machine(*tags, product=Dated.always(rule), planned_run_time_s=Dated.always({"disc": 10.0, "drum": 4.0}))
    samples = [sample(second, state=1, product_code=7 if second < 30 else 8, good=second // 10) for second in range(61)]
    facts = derive(plan, samples, minutes(1)).facts
    assert [(fact.product, fact.elements["running_s"], fact.elements["good"]) for fact in facts] == [
        ("disc", 30.0, 3.0),
        ("drum", 30.0, 3.0),
    ]
    assert [fact.elements["planned_run_s"] for fact in facts] == [30.0, 12.0]


def test_produced_is_good_and_scrap_when_it_has_no_counter() -> None:
    samples = [sample(second, state=1, good=second // 10, scrap=second // 30) for second in range(61)]
    found = total(machine(counter("good"), counter("scrap")), samples)
    assert (found["produced"], found["good"], found["scrap"]) == (8, 6, 2)
    assert (found["planned_run_s"], found["good_run_s"]) == (80, 60)


def test_good_follows_from_produced_and_scrap() -> None:
    samples = [sample(second, state=1, produced=second // 10, scrap=second // 30) for second in range(61)]
    found = total(machine(counter("produced"), counter("scrap")), samples)
    assert (found["produced"], found["good"], found["scrap"]) == (6, 4, 2)


def test_pieces_made_in_setup_are_not_produced() -> None:
    samples = [sample(second, state=3, good=second // 10) for second in range(31)]
    found = total(machine(counter("good")), samples)
    assert found["setup_produced"] == 3
    assert "produced" not in found


def test_running_in_a_break_keeps_its_own_time_and_quantities() -> None:
    plan = machine(counter("good"), calendar=Dated.always(THREE_SHIFTS))
    samples = [sample(3 * 3600 + second, state=1, good=second // 10) for second in range(61)]
    found = total(plan, samples, 300)
    assert (found["planned_stop_s"], found["unscheduled_run_s"]) == (60, 60)
    assert (found["unscheduled_produced"], found["unscheduled_good"]) == (6, 6)
    assert "running_s" not in found
    assert "good" not in found


def test_pieces_go_where_the_machine_ran() -> None:
    """One delta over a minute's border: the machine ran before it and stood after it."""
    plan = machine(counter("good"), max_age_ms=60 * SECOND)
    samples = [sample(50, state=1, good=0), sample(60, state=2), sample(70, state=2, good=5)]
    facts = derive(plan, samples, minutes(2)).facts
    assert [fact.elements.get("good", 0.0) for fact in facts] == [5.0, 0.0]


def test_pieces_across_a_gap_are_unattributed() -> None:
    plan = machine(counter("good"))
    samples = [*(sample(s, state=1, good=1) for s in range(5)), *(sample(s, state=1, good=4) for s in (40, 41))]
    found = total(plan, samples)
    assert found["unattributed_good"] == found["unattributed_produced"] == 3
    assert "good" not in found
    assert found["unknown_s"] == 33


def test_pieces_of_unknown_time_are_in_no_ratio() -> None:
    """The counter runs on while the state tag is not good: no more pieces than known time can be in the OEE."""
    running = [sample(second, state=1, good=second // 10) for second in range(300)]
    silent = [sample(second, good=second // 10) for second in range(300, 601)]
    found = total(
        machine(counter("good")), [*running, *(structs.replace(one, status={"state": COMM_LOST}) for one in silent)]
    )
    assert (found["good"], found["unattributed_good"]) == (30, 30)
    assert (evaluate(found).kpis["oee_index"] or 0.0) <= 1


def test_a_bad_cycle_does_not_lose_its_pieces() -> None:
    plan = machine(counter("good"))
    samples = [sample(0, state=1, good=1), lost(1, plan.tags), sample(2, state=1, good=2), sample(3, state=1, good=2)]
    assert total(plan, samples)["good"] == 1


def test_a_corrected_scale_acts_on_the_deltas_since_its_date() -> None:
    factor = Dated(((START + QUARTER, 2.0),))
    plan = meter(corrections=(Correction("energy_kwh", factor),))
    assert total(plan, metered(*QUARTERS))["energy_kwh"] == pytest.approx(3.17 + 2 * (4.0 + 3.24))


def test_the_quarter_hour_read_at_its_end_is_the_one_before() -> None:
    facts = derive(meter(), metered(*QUARTERS), minutes(60)).facts
    quarters = [
        merge(f.elements for f in facts if START + q <= f.time < START + q + QUARTER)
        for q in range(0, 3 * QUARTER, QUARTER)
    ]
    assert [quarter["energy_kwh"] for quarter in quarters] == pytest.approx([3.17, 4.0, 3.24])
    assert len(facts) == 45
    assert facts[0].elements["observed_s"] == 60


def test_demand_is_four_times_a_whole_quarters_energy_at_its_end() -> None:
    facts = derive(meter(), metered(*QUARTERS), minutes(60)).facts
    demands = {
        f.time: (f.elements["demand_max_kw"], f.elements["demand_max_kw_at"])
        for f in facts
        if "demand_max_kw" in f.elements
    }
    ends = [START + quarter * QUARTER for quarter in (1, 2, 3)]
    assert demands == {end - MINUTE: (kw, float(end)) for end, kw in zip(ends, (12.68, 16.0, 12.96), strict=True)}


def test_a_quarter_that_was_not_metered_throughout_has_no_demand() -> None:
    late = [structs.replace(reading, time=reading.time + MINUTE) for reading in metered(*QUARTERS)]
    facts = derive(meter(), late, minutes(60)).facts
    assert [f.time for f in facts if "demand_max_kw" in f.elements] == [START + n * QUARTER - MINUTE for n in (2, 3)]


def test_a_meter_has_no_categories() -> None:
    found = total(meter(), metered(*QUARTERS))
    assert found["observed_s"] == 2700
    assert not [name for name in found if name.removesuffix("_s") in set(TimeCategory)]


def test_a_stop_ends_where_the_next_state_begins_and_lasts_while_nothing_follows() -> None:
    derived = derive(machine(), states((1, 10), (2, 100), (1, 10), (4, 5)), minutes(5))
    second = START + SECOND * 110
    assert derived.stops == [
        Stop(MACHINE, START + 10 * SECOND, second, "unplanned_stop", 2, failure=True),
        Stop(MACHINE, second + 10 * SECOND, None, "starved", 4),
    ]


def test_losses_carry_the_code_behind_them() -> None:
    losses = derive(machine(), states((1, 30), (2, 70), (99, 5)), minutes(5)).losses
    assert [(loss.category, loss.reason, loss.seconds, loss.count) for loss in losses] == [
        ("unplanned_stop", "code_2", 30.0, 1.0),
        ("unknown", "unmapped_99", 5.0, 1.0),
        ("unplanned_stop", "code_2", 40.0, 0.0),
    ]


def test_a_reset_is_counted_where_it_was_seen() -> None:
    samples = [sample(second, state=1, good=40_000 if second < 5 else second - 5) for second in range(10)]
    found = total(machine(counter("good")), samples)
    assert found["counter_resets"] == 1
    assert "implausible" not in found


def test_time_without_samples_is_unknown_where_it_was_planned() -> None:
    unit = work_unit(MACHINE, calendar=Dated.always(THREE_SHIFTS))
    facts = gap_facts(unit, START, START + DAY, HOUR)
    assert merge(fact.elements for fact in facts) == {"unknown_s": 85_500.0, "planned_stop_s": 900.0}
    assert {fact.shift for fact in facts} == {"pagi", "sore", "malam"}
    assert gap_facts(work_unit(METER, states=None), START, START + DAY) == []
