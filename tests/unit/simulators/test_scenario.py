import random
import statistics
from collections.abc import Callable
from itertools import pairwise

import pytest

from shopfloor.calendar import Calendar, Planned
from shopfloor.errors import PlantError
from shopfloor.instant import HOUR, MINUTE, SECOND
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import WorkUnit
from simulators.hazards import weibull_ms
from simulators.parameters import parameters_of
from simulators.scenario import Script

MakeUnit = Callable[..., WorkUnit]
SHIFT = 8 * HOUR
DAY = 24 * HOUR


def story(script: Script, until: int) -> tuple[object, ...]:
    script.until(until)
    segments = [segment for segment in script.segments if segment.end <= until]
    return segments, [piece for piece in script.pieces if piece.time <= until], script.energy_at(until)


def test_the_same_seed_writes_the_same_script(make_unit: MakeUnit, epoch: int) -> None:
    first, second = (Script(make_unit(), 7, epoch) for _ in range(2))
    assert story(first, epoch + DAY) == story(second, epoch + DAY)


@pytest.mark.parametrize("change", ["seed", "unit", "epoch"])
def test_another_seed_unit_or_epoch_writes_another_script(make_unit: MakeUnit, epoch: int, change: str) -> None:
    one = Script(make_unit(), 7, epoch)
    other = Script(
        make_unit("cnc-02" if change == "unit" else "cnc-01"), 8 if change == "seed" else 7, epoch + (change == "epoch")
    )
    one.until(epoch + SHIFT)
    other.until(epoch + SHIFT)
    assert [piece.time - epoch for piece in one.pieces[:50]] != [piece.time - epoch for piece in other.pieces[:50]]


def test_a_script_written_in_pieces_equals_one_written_at_once(make_unit: MakeUnit, epoch: int) -> None:
    pieces, whole = Script(make_unit(), 3, epoch), Script(make_unit(), 3, epoch)
    step = random.Random(1)
    now = epoch
    while now < epoch + DAY:
        now += step.randrange(1, 2 * HOUR)
        pieces.until(now)
    assert story(pieces, epoch + DAY) == story(whole, epoch + DAY)


def test_what_was_read_does_not_change_when_the_script_goes_on(make_unit: MakeUnit, epoch: int) -> None:
    script = Script(make_unit(), 5, epoch)
    instants = [epoch + n * 97_003 for n in range(300)]
    early = [(script.segment_at(t).category, script.pieces_at(t), script.energy_at(t)) for t in instants]
    script.until(epoch + 2 * DAY)
    assert [(script.segment_at(t).category, script.pieces_at(t), script.energy_at(t)) for t in instants] == early


def test_segments_follow_each_other_without_gap(make_unit: MakeUnit, epoch: int) -> None:
    script = Script(make_unit(), 2, epoch)
    script.until(epoch + DAY)
    assert script.segments[0].start == epoch
    assert all(before.end == after.start for before, after in pairwise(script.segments))
    assert all(segment.start < segment.end for segment in script.segments)


def test_a_machine_rests_around_every_break(make_unit: MakeUnit, epoch: int) -> None:
    unit = make_unit()
    script = Script(unit, 4, epoch)
    script.until(epoch + DAY)
    spans = unit.calendar.at(epoch).spans(epoch, epoch + DAY, unit.timezone)  # type: ignore[union-attr]
    breaks = [span for span in spans if span.planned is Planned.PLANNED_STOP]
    assert breaks
    for rest in breaks:
        segment = script.segment_at(rest.start)
        assert segment.category is TimeCategory.NO_ORDER
        assert segment.start <= rest.start - 3 * SECOND
        assert segment.end >= rest.end + 3 * SECOND
        assert script.pieces_at(rest.start - 3 * SECOND) == script.pieces_at(rest.end + 3 * SECOND)


def test_a_machine_that_runs_outside_the_calendar_knows_no_break(make_unit: MakeUnit, epoch: int) -> None:
    script = Script(make_unit(runs_outside_calendar=1, mtbf_s=0, micro_stop_every_s=0, starved_every_s=0,
                              blocked_every_s=0, no_order_rate=0, order_s=1e9), 4, epoch)  # fmt: skip
    script.until(epoch + SHIFT)
    assert {segment.category for segment in script.segments} == {TimeCategory.RUNNING}


def test_every_kind_of_event_happens(make_unit: MakeUnit, epoch: int) -> None:
    script = Script(make_unit(), 1, epoch)
    script.until(epoch + 3 * DAY)
    expected = {category for category in TimeCategory if category in script.codes.states}
    assert {segment.category for segment in script.segments} == expected
    stops = [segment for segment in script.segments if segment.category is TimeCategory.UNPLANNED_STOP]
    assert any(stop.alarm for stop in stops)
    assert any(not stop.alarm and stop.end - stop.start < 120 * SECOND for stop in stops)


def test_trial_pieces_and_orders_lie_well_inside_a_setup(make_unit: MakeUnit, epoch: int) -> None:
    script = Script(make_unit(setup_s=200), 6, epoch)
    script.until(epoch + 3 * DAY)
    trials = [piece.time for piece in script.pieces if piece.trial]
    setups = [segment for segment in script.segments if segment.category is TimeCategory.SETUP]
    assert trials
    for time in [*trials, *(order.start for order in script.orders[1:])]:
        around = [setup for setup in setups if setup.start <= time <= setup.end]
        assert around, "not in a setup"
    for running in (segment for segment in script.segments if segment.category is TimeCategory.RUNNING):
        assert not any(running.start - 30 * SECOND < time <= running.start for time in trials)
        assert not any(abs(order.start - running.end) < 20 * SECOND for order in script.orders[1:])


def test_no_piece_falls_out_right_after_a_start_and_no_spell_of_running_is_too_short_to_see(
    make_unit: MakeUnit, epoch: int
) -> None:
    script = Script(make_unit(scan_ms=2_000), 8, epoch)
    script.until(epoch + 3 * DAY)
    runs = [segment for segment in script.segments if segment.category is TimeCategory.RUNNING]
    made = [piece for piece in script.pieces if not piece.trial]
    assert all(any(run.start + 3_000 <= piece.time <= run.end for run in runs) for piece in made)
    for run, after in pairwise(script.segments):
        if run.category is TimeCategory.RUNNING and after.category is TimeCategory.UNPLANNED_STOP:
            assert run.end - run.start >= 3 * 2_000


def test_cycles_pause_in_a_stop_and_go_on_after_it(make_unit: MakeUnit, epoch: int) -> None:
    script = Script(make_unit(run_times={"heat": 2_400.0}), 3, epoch)
    script.until(epoch + DAY)
    runs = [segment for segment in script.segments if segment.category is TimeCategory.RUNNING]
    made = [piece for piece in script.pieces if not piece.trial]
    for before, piece in pairwise(made):
        ran = sum(max(0, min(run.end, piece.time) - max(run.start, before.time)) for run in runs)
        assert piece.cycle_ms <= ran <= piece.cycle_ms + 30 * SECOND


def test_cycles_are_slower_than_planned_and_some_much_slower(make_unit: MakeUnit, epoch: int) -> None:
    script = Script(make_unit(run_times={"disc": 20.0}), 3, epoch)
    script.until(epoch + 3 * DAY)
    ratios = [piece.cycle_ms / 20_000 for piece in script.pieces if not piece.trial]
    assert min(ratios) >= 1.0
    assert 1.0 < statistics.mean(ratios) < 1.1
    assert max(ratios) > 1.4


def test_scrap_comes_at_its_rate(make_unit: MakeUnit, epoch: int) -> None:
    script = Script(make_unit(run_times={"disc": 5.0}, scrap_rate=0.1, rework_rate=0.05), 3, epoch)
    script.until(epoch + 3 * DAY)
    made = [piece.outcome for piece in script.pieces if not piece.trial]
    assert made.count("scrap") / len(made) == pytest.approx(0.1, abs=0.01)
    assert made.count("rework") / len(made) == pytest.approx(0.05, abs=0.01)


def test_weibull_draws_have_the_mean_that_was_asked_for() -> None:
    rng = random.Random(11)
    draws = [weibull_ms(rng, 14_400, 1.5) / 1000 for _ in range(20_000)]
    assert statistics.mean(draws) == pytest.approx(14_400, rel=0.02)


def test_breakdowns_come_at_their_mean_running_time(make_unit: MakeUnit, epoch: int) -> None:
    script = Script(make_unit(mtbf_s=1_800, run_times={"disc": 60.0}), 3, epoch)
    script.until(epoch + 30 * DAY)
    ran = sum(segment.end - segment.start for segment in script.segments if segment.category is TimeCategory.RUNNING)
    failures = {segment.start for segment in script.segments if segment.alarm}
    assert ran / 1000 / len(failures) == pytest.approx(1_800, rel=0.1)


def test_closed_days_only_pass_time(make_unit: MakeUnit, epoch: int) -> None:
    script = Script(make_unit(calendar=Calendar("closed", ())), 3, epoch)
    script.until(epoch + 40 * DAY)
    assert {segment.category for segment in script.segments} == {TimeCategory.NO_ORDER}
    assert not script.pieces


def test_an_unknown_parameter_is_refused_by_name(make_unit: MakeUnit) -> None:
    with pytest.raises(PlantError, match=r"cnc-01: simulation\.mtfb_s is unknown; use one of .*mtbf_s"):
        parameters_of(make_unit(mtfb_s=3.0))


def test_states_that_cannot_tell_running_are_refused(make_unit: MakeUnit, epoch: int) -> None:
    with pytest.raises(PlantError, match="must map one code to running and one to a stop"):
        Script(make_unit(states={1: TimeCategory.RUNNING}), 1, epoch)


def test_a_machine_with_two_states_still_has_a_script(make_unit: MakeUnit, epoch: int) -> None:
    states = {0: TimeCategory.UNPLANNED_STOP, 1: TimeCategory.RUNNING}
    script = Script(make_unit(states=states), 1, epoch)
    script.until(epoch + DAY)
    assert {segment.category for segment in script.segments} == set(states.values())
    assert not any(piece.trial for piece in script.pieces)
    assert len(script.orders) > 1
    assert all(order.start % MINUTE for order in script.orders[1:])
