from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from kpi.plan import UnitPlan
from kpi.timeline.states import timeline
from kpi.timeline.stops import StopRun, find_stops
from shopfloor.columns import SampleColumns
from shopfloor.dated import Dated
from shopfloor.instant import SECOND
from shopfloor.machine_state import TimeCategory
from shopfloor.reason import Maintenance
from shopfloor.sample import Sample
from shopfloor.statement import Statement, in_force
from tests.production import MACHINE, START, THREE_SHIFTS, machine, sample, states
from tests.stated import REASONS, category, reason

PLAN = machine(reasons=REASONS)


def stops(samples: list[Sample], *statements: Statement, plan: UnitPlan = PLAN) -> list[StopRun]:
    tiles = timeline(plan, SampleColumns.of(MACHINE, samples), samples[0].time, samples[-1].time, in_force(statements))
    return find_stops(plan, tiles)


def shape(found: list[StopRun]) -> list[tuple[str, str, float, bool]]:
    return [(str(run.category), run.reason, (run.end - run.start) / SECOND, run.begins) for run in found]


def test_lost_time_is_found_and_running_is_not() -> None:
    found = stops(states((1, 5), (2, 70), (1, 5), (4, 10), (3, 10), (0, 10), (2, 9), (1, 2)))
    assert shape(found) == [
        ("unplanned_stop", "", 70, True),
        ("starved", "", 10, True),
        ("setup", "", 10, True),
        ("no_order", "", 10, True),
        ("micro_stop", "", 9, True),
    ]
    assert [run.code for run in found] == [2, 4, 3, 0, 2]


def test_a_planned_stop_is_found_where_people_stated_it_only() -> None:
    plan = machine(reasons=REASONS, calendar=Dated.always(THREE_SHIFTS))
    course = [sample(3 * 3600 + second, state=1) for second in range(-60, 17 * 60)]  # over the break
    assert stops(course, plan=plan) == []
    (found,) = stops(course, category(0, 3 * 3600 - 30, TimeCategory.PLANNED_STOP), plan=plan)
    assert (found.category, found.end - found.start) == (TimeCategory.PLANNED_STOP, 30 * SECOND)


def test_an_unplanned_stop_without_a_reason_is_assumed_to_be_a_failure() -> None:
    (found,) = stops(states((1, 5), (2, 70), (1, 5)))
    assert (found.failure, found.counted, found.assumed) == (True, True, True)


def test_a_micro_stop_and_a_stop_for_want_of_material_are_no_failures() -> None:
    assert not any(run.failure for run in stops(states((1, 5), (2, 60), (1, 5), (4, 100), (1, 5))))


def test_the_reason_decides_whether_the_equipment_failed() -> None:
    (failed,) = stops(states((1, 5), (2, 70), (1, 5)), reason(5, 75, "breakdown"))
    assert (failed.failure, failed.assumed, failed.maintenance) == (True, False, Maintenance.CORRECTIVE)
    (jammed,) = stops(states((1, 5), (2, 70), (1, 5)), reason(5, 75, "jam"))
    assert (jammed.failure, jammed.assumed, jammed.maintenance) == (False, False, None)
    (served,) = stops(states((1, 5), (2, 70), (1, 5)), reason(5, 75, "service"))
    assert (served.category, served.failure, served.maintenance) == (
        TimeCategory.PLANNED_STOP,
        False,
        Maintenance.PREVENTIVE,
    )


def test_a_micro_stop_that_a_reason_calls_a_failure_is_none() -> None:
    (found,) = stops(states((1, 5), (2, 20), (1, 5)), reason(5, 25, "breakdown"))
    assert (found.category, found.reason, found.failure) == (TimeCategory.MICRO_STOP, "breakdown", False)


def test_a_failure_soon_after_a_failure_is_a_re_trip() -> None:
    plan = machine(reasons=REASONS, retrip_s=30.0)
    found = stops(states((1, 5), (2, 70), (1, 29), (2, 70), (1, 30), (2, 70), (1, 5)), plan=plan)
    assert [(run.failure, run.counted) for run in found] == [(True, True), (True, False), (True, True)]


def test_re_trips_of_re_trips_are_one_failure() -> None:
    plan = machine(reasons=REASONS, retrip_s=30.0)
    found = stops(states((2, 70), (1, 20), (2, 70), (1, 20), (2, 70), (1, 5)), plan=plan)
    assert [run.counted for run in found] == [True, False, False]


def test_parts_of_one_stop_begin_once_per_category_and_fail_once() -> None:
    plan = machine(reasons=REASONS, retrip_s=0.0)
    found = stops(
        states((1, 10), (2, 100), (1, 10)),
        reason(10, 40, "breakdown"),
        reason(40, 60, "no-material"),
        reason(60, 110, "breakdown"),
        plan=plan,
    )
    assert shape(found) == [
        ("unplanned_stop", "breakdown", 30, True),
        ("starved", "no-material", 20, True),
        ("unplanned_stop", "breakdown", 50, False),
    ]
    assert [run.counted for run in found] == [True, False, False]


def test_running_in_between_makes_two_stops_of_one() -> None:
    plan = machine(reasons=REASONS, retrip_s=0.0)
    found = stops(states((2, 100)), category(40, 50, TimeCategory.RUNNING), plan=plan)
    assert [(run.begins, run.counted) for run in found] == [(True, True), (True, True)]


def test_a_stated_stop_is_a_failure_only_over_the_threshold() -> None:
    course = states((1, 200))
    (short,) = stops(course, category(10, 60, TimeCategory.UNPLANNED_STOP))
    (long,) = stops(course, category(10, 80, TimeCategory.UNPLANNED_STOP))
    assert (short.category, short.failure, long.failure) == (TimeCategory.UNPLANNED_STOP, False, True)


def test_a_stop_keeps_the_shift_and_product_of_its_start() -> None:
    plan = machine(calendar=Dated.always(THREE_SHIFTS))
    border = 7 * 3600  # 14:00 in Jakarta
    course = [sample(border + second, state=1 if second < -50 else 2) for second in range(-60, 100)]
    (found,) = stops(course, plan=plan)
    assert (found.shift, found.product, found.end - found.start) == ("pagi", "disc", 149 * SECOND)


COURSES = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 150)), min_size=1, max_size=15).map(
    lambda codes: states(*codes)
)


@settings(max_examples=200)
@given(COURSES)
def test_stops_account_for_all_lost_time_once(samples: list[Sample]) -> None:
    found = stops(samples)
    tiles = timeline(PLAN, SampleColumns.of(MACHINE, samples), samples[0].time, samples[-1].time)
    lost = sum(tile.end - tile.start for tile in tiles if tile.category is not TimeCategory.RUNNING)
    assert sum(run.end - run.start for run in found) == lost
    assert all(before.end <= after.start for before, after in pairwise(found))


@settings(max_examples=200)
@given(COURSES, st.integers(1, 1_000_000))
def test_a_window_with_its_context_finds_the_same_stops(samples: list[Sample], offset: int) -> None:
    plan = machine(reasons=REASONS, retrip_s=40.0)
    columns = SampleColumns.of(MACHINE, samples)
    start, end = samples[0].time, samples[-1].time
    cut = START + offset
    whole = [run for run in stops(samples, plan=plan) if run.start >= cut]
    tiles = timeline(plan, columns, max(start, cut - plan.reach), end)
    assert [run for run in find_stops(plan, tiles) if run.start >= cut] == whole
