from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopfloor.calendar import Calendar, LocalRange, Planned, Shift
from shopfloor.dated import Dated
from shopfloor.equipment import EquipmentPath
from shopfloor.instant import HOUR, MINUTE, QUARTER, SECOND, parse_instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import DeviceRef, NoOrder, Policy, ProductRule, UnscheduledRun, WorkUnit
from simulators.power import W_MS_PER_KWH, PowerTrace, SumOfLoads
from simulators.scenario import Outcome, Script, Segment
from simulators.truth import energy_truth, machine_truth, meter_truth

MakeUnit = Callable[..., WorkUnit]
BUSY = Calendar("always", (Shift("day", LocalRange(0, 1440)),))
STEP = 10


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 20 * HOUR), st.integers(1, 10 * HOUR), st.integers(0, 5))
def test_categories_tile_any_window_exactly(after: int, length: int, seed: int) -> None:
    unit = _unit()
    start = EPOCH + after
    truth = machine_truth(unit, Script(unit, seed, EPOCH), start, start + length)
    assert sum(round(1000 * seconds) for seconds in truth.seconds.values()) == length
    assert truth.busy_s <= length / 1000


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 20 * HOUR - 1), st.integers(0, 5))
def test_quantities_and_energy_of_two_windows_add_up(cut: int, seed: int) -> None:
    unit = _unit()
    script = Script(unit, seed, EPOCH)
    whole = machine_truth(unit, script, EPOCH, EPOCH + 20 * HOUR)
    parts = [
        machine_truth(unit, script, *window) for window in ((EPOCH, EPOCH + cut), (EPOCH + cut, EPOCH + 20 * HOUR))
    ]
    assert sum(part.quantities.produced for part in parts) == whole.quantities.produced
    assert sum(part.quantities.setup_produced for part in parts) == whole.quantities.setup_produced
    assert sum(part.planned_run_s for part in parts) == pytest.approx(whole.planned_run_s)
    assert sum(part.energy.total_kwh for part in parts) == pytest.approx(whole.energy.total_kwh, rel=1e-12)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_truth_equals_looking_every_10_ms(make_unit: MakeUnit, epoch: int, seed: int) -> None:
    unit = make_unit(mtbf_s=900, micro_stop_every_s=200, order_s=600, setup_s=200, starved_every_s=600)
    script = Script(unit, seed, epoch)
    start, end = epoch + 3 * HOUR + 30 * MINUTE + 7, epoch + 4 * HOUR + 30 * MINUTE + 3  # over the 10:00 break
    truth = machine_truth(unit, script, start, end)
    busy = [(span.start, span.end) for span in unit.calendar.at(epoch).spans(start, end, unit.timezone)  # type: ignore[union-attr]
            if span.planned is Planned.BUSY]  # fmt: skip
    seen: dict[TimeCategory, float] = {}
    energy = 0.0
    for t in range(start, end, STEP):
        inside = any(low <= t < high for low, high in busy)
        category = script.segment_at(t).category if inside else TimeCategory.PLANNED_STOP
        seen[category] = seen.get(category, 0.0) + STEP / 1000
        energy += script.watts_at(t) * STEP
    stops = (TimeCategory.UNPLANNED_STOP, TimeCategory.MICRO_STOP)
    for category in set(seen) - set(stops):
        spells = truth.spells.get(category, 0)
        assert truth.seconds[category] == pytest.approx(seen[category], abs=2 * spells * STEP / 1000)
    stopped = sum(truth.seconds.get(category, 0.0) for category in stops)
    assert stopped == pytest.approx(seen.get(TimeCategory.UNPLANNED_STOP, 0.0), abs=0.02 * 2 * len(script.segments))
    assert truth.energy.total_kwh == pytest.approx(energy / W_MS_PER_KWH, rel=1e-4)
    assert truth.quantities.produced + truth.quantities.setup_produced == script.pieces_at(end) - script.pieces_at(
        start
    )


def test_ratios_follow_their_formulas(make_unit: MakeUnit, epoch: int) -> None:
    unit = make_unit()
    script = Script(unit, 9, epoch)
    truth = machine_truth(unit, script, epoch, epoch + 8 * HOUR)
    run_times = {"brake-disc": 20.0, "pump-housing": 33.0}
    made = [piece for piece in script.pieces if not piece.trial and epoch < piece.time <= epoch + 8 * HOUR]
    planned = sum(run_times[piece.product] for piece in made)
    good = sum(run_times[piece.product] for piece in made if piece.outcome is Outcome.GOOD)
    assert truth.busy_s == 8 * 3600 - 45 * 60
    production = truth.seconds[TimeCategory.RUNNING] + truth.seconds[TimeCategory.MICRO_STOP]
    assert truth.availability == pytest.approx(production / truth.busy_s)
    assert truth.effectiveness == pytest.approx(planned / production)
    assert truth.quality_ratio == pytest.approx(good / planned)
    assert truth.oee_index == pytest.approx(good / truth.busy_s)
    assert truth.kpis()["oee_index"] == truth.oee_index
    assert truth.quantities.produced == truth.quantities.good + truth.quantities.scrap
    assert truth.unscheduled_run_s == 0


def test_the_micro_stop_threshold_moves_availability_and_effectiveness_but_not_the_oee_index(
    make_unit: MakeUnit, epoch: int
) -> None:
    strict = make_unit()
    lenient = replace(strict, micro_stop_s=Dated.always(0.0))
    script = Script(strict, 9, epoch)
    with_micro, without = (machine_truth(unit, script, epoch, epoch + 8 * HOUR) for unit in (strict, lenient))
    assert TimeCategory.MICRO_STOP not in without.seconds
    assert with_micro.availability != without.availability
    assert with_micro.effectiveness != without.effectiveness
    assert with_micro.oee_index == without.oee_index


def test_an_empty_denominator_gives_none(make_unit: MakeUnit, epoch: int) -> None:
    unit = make_unit(calendar=Calendar("closed", ()))
    truth = machine_truth(unit, Script(unit, 1, epoch), epoch, epoch + HOUR)
    assert truth.seconds == {TimeCategory.NOT_SCHEDULED: 3600.0}
    assert set(truth.kpis().values()) == {None}


def test_a_stop_is_judged_by_its_length_inside_the_window(make_unit: MakeUnit, epoch: int) -> None:
    unit = make_unit(calendar=BUSY)
    script = Script(unit, 1, epoch)
    script.until(epoch + HOUR)
    script.segments[:] = [
        Segment(epoch, epoch + 300 * SECOND, TimeCategory.UNPLANNED_STOP, 4),
        Segment(epoch + 300 * SECOND, epoch + 2 * HOUR, TimeCategory.RUNNING, 0),
    ]
    whole = machine_truth(unit, script, epoch, epoch + HOUR)
    cut = machine_truth(unit, script, epoch + 200 * SECOND, epoch + HOUR)
    assert whole.seconds[TimeCategory.UNPLANNED_STOP] == 300
    assert cut.seconds[TimeCategory.MICRO_STOP] == 100
    assert TimeCategory.UNPLANNED_STOP not in cut.seconds


def test_running_outside_planned_time_is_kept_beside_unless_the_policy_counts_it(
    make_unit: MakeUnit, epoch: int
) -> None:
    beside = make_unit(runs_outside_calendar=1)
    counted = replace(beside, policy=Policy(unscheduled_run=UnscheduledRun.COUNTED))
    script = Script(beside, 2, epoch)
    window = epoch, epoch + 8 * HOUR
    aside, inside = machine_truth(beside, script, *window), machine_truth(counted, script, *window)
    assert aside.unscheduled_run_s == inside.unscheduled_run_s > 0
    assert inside.production_s == pytest.approx(aside.production_s + aside.unscheduled_run_s)
    assert inside.busy_s == pytest.approx(aside.busy_s + aside.unscheduled_run_s)
    assert inside.quantities.produced == aside.quantities.produced + aside.quantities.unscheduled_produced
    assert aside.quantities.unscheduled_produced > 0


def test_time_without_order_is_planned_where_the_policy_says_so(make_unit: MakeUnit, epoch: int) -> None:
    loss = make_unit(no_order_rate=1, order_s=600)
    planned = replace(loss, policy=Policy(no_order=NoOrder.PLANNED))
    script = Script(loss, 2, epoch)
    window = epoch, epoch + 4 * HOUR - 5 * MINUTE
    idle = machine_truth(loss, script, *window).seconds[TimeCategory.NO_ORDER]
    assert machine_truth(planned, script, *window).seconds[TimeCategory.PLANNED_STOP] == pytest.approx(idle)
    assert machine_truth(planned, script, *window).busy_s == pytest.approx(4 * 3600 - 300 - idle)


def test_a_window_before_the_epoch_is_refused(make_unit: MakeUnit, epoch: int) -> None:
    unit = make_unit()
    with pytest.raises(ValueError, match="begins at"):
        machine_truth(unit, Script(unit, 1, epoch), epoch - 1, epoch)


def test_energy_is_cut_at_local_months_and_its_peak_carries_the_quarters_end() -> None:
    new_year = parse_instant("2026-01-01T00:00:00+09:00")
    course = PowerTrace([(new_year - HOUR, 1_000), (new_year + QUARTER, 5_000), (new_year + 2 * QUARTER, 0)])
    truth = energy_truth(course.stretches(new_year - HOUR, new_year + HOUR), "Asia/Seoul")
    assert truth.total_kwh == 1.0 + 0.25 + 1.25
    assert truth.by_month_kwh == {"2025-12": 1.0, "2026-01": 1.5}
    assert truth.peak is not None
    assert (truth.peak.kw, truth.peak.at) == (5.0, new_year + 2 * QUARTER)


def test_a_meters_truth_is_the_sum_of_its_loads(make_unit: MakeUnit, epoch: int) -> None:
    units = [make_unit(f"cnc-0{n}") for n in (1, 2)]
    scripts = [Script(unit, 1, epoch) for unit in units]
    load = SumOfLoads([*scripts, PowerTrace([(epoch, 15_000)])])
    meter = make_unit("meter", "abb-b23", states=None)
    window = epoch + 12_345, epoch + 8 * HOUR
    truth = meter_truth(meter, load, *window)
    machines = sum(
        machine_truth(unit, script, *window).energy.total_kwh for unit, script in zip(units, scripts, strict=True)
    )
    base = 15.0 * (window[1] - window[0]) / HOUR
    assert truth.energy.total_kwh == pytest.approx(machines + base, rel=1e-12)
    assert truth.energy.total_kwh == (load.energy_at(window[1]) - load.energy_at(window[0])) / W_MS_PER_KWH
    assert truth.oee_index is None


EPOCH = parse_instant("2026-01-05T06:00:00+07:00")


def _unit() -> WorkUnit:
    """A unit for properties, which may not share a fixture between examples."""
    return WorkUnit(
        path=EquipmentPath("works", "ceper", "machining", "line-1", "cnc-09"),
        name={},
        device=DeviceRef("cnc-generic", "192.0.2.1", 502, 1, 1_000, 500),
        states=Dated.always(
            {0: TimeCategory.NO_ORDER, 1: TimeCategory.RUNNING, 2: TimeCategory.UNPLANNED_STOP, 3: TimeCategory.SETUP}
        ),
        product=Dated.always(ProductRule(fixed="disc")),
        planned_run_time_s=Dated.always({"disc": 30.0}),
        micro_stop_s=Dated.always(120.0),
        max_age_ms=3_000,
        calendar=Dated.always(
            Calendar(
                "two",
                (Shift("pagi", LocalRange(360, 840), (LocalRange(600, 615),)), Shift("sore", LocalRange(840, 1320))),
            )
        ),
        timezone="Asia/Jakarta",
        policy=Policy(),
        max_power_kw=40.0,
        targets={},
    )
