from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from kpi.plan import UnitPlan
from kpi.timeline.states import Source, StateInterval, silent_timeline, timeline
from shopfloor.columns import SampleColumns
from shopfloor.dated import Dated
from shopfloor.instant import HOUR, SECOND
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import NoOrder, Policy, Product, Staffed
from shopfloor.sample import Sample
from shopfloor.statement import Statement, StatementKind, in_force
from tests.production import MACHINE, START, THREE_SHIFTS, machine, minutes, sample, states
from tests.stated import REASONS, category, reason, said

PLAN = machine(reasons=REASONS)


def tiles(samples: list[Sample], *statements: Statement, plan: UnitPlan = PLAN) -> list[StateInterval]:
    columns = SampleColumns.of(MACHINE, samples)
    return timeline(plan, columns, samples[0].time, samples[-1].time, in_force(statements))


def shape(intervals: Iterable[StateInterval]) -> list[tuple[str, str, float]]:
    """Category, reason and seconds of joined neighbours."""
    joined: list[tuple[str, str, float]] = []
    for each in intervals:
        row = (str(each.category), each.reason, (each.end - each.start) / SECOND)
        if joined and joined[-1][:2] == row[:2]:
            row = (*row[:2], joined.pop()[2] + row[2])
        joined.append(row)
    return joined


def test_a_reason_covers_the_whole_stop_that_it_touches() -> None:
    found = tiles(states((1, 10), (2, 100), (1, 10)), reason(0, 20, "jam"))
    assert shape(found) == [("running", "", 10), ("unplanned_stop", "jam", 100), ("running", "", 10)]
    assert {tile.source for tile in found} == {Source.MACHINE}


def test_a_reason_with_a_category_moves_the_stop() -> None:
    found = tiles(states((1, 10), (2, 100), (1, 10)), reason(10, 110, "no-material"))
    assert shape(found)[1] == ("starved", "no-material", 100)
    assert found[1].source is Source.STATED
    assert found[1].machine is TimeCategory.UNPLANNED_STOP


def test_several_reasons_split_a_stop_and_the_rest_goes_to_the_longest() -> None:
    found = tiles(states((2, 100)), reason(10, 30, "jam"), reason(40, 90, "service"))
    assert shape(found) == [
        ("planned_stop", "service", 10),
        ("unplanned_stop", "jam", 20),
        ("planned_stop", "service", 70),
    ]


def test_of_equal_overlaps_the_later_made_has_the_rest() -> None:
    found = tiles(states((2, 100)), reason(10, 30, "jam", made=50), reason(40, 60, "breakdown", made=49))
    assert shape(found) == [
        ("unplanned_stop", "jam", 40),
        ("unplanned_stop", "breakdown", 20),
        ("unplanned_stop", "jam", 40),
    ]


def test_where_two_reasons_overlap_the_later_made_holds() -> None:
    found = tiles(states((2, 100)), reason(0, 60, "jam", made=200), reason(40, 100, "breakdown", made=100))
    assert shape(found) == [("unplanned_stop", "jam", 60), ("unplanned_stop", "breakdown", 40)]


def test_a_reason_survives_a_stop_that_late_data_move() -> None:
    answer = reason(10, 110, "jam")
    later, earlier = states((1, 30), (2, 100), (1, 10)), states((1, 2), (2, 100), (1, 10))
    assert shape(tiles(later, answer))[1] == ("unplanned_stop", "jam", 100)
    assert shape(tiles(earlier, answer))[1] == ("unplanned_stop", "jam", 100)


def test_an_open_reason_ends_with_the_stop_that_lasted_when_it_was_made() -> None:
    found = tiles(states((1, 10), (2, 80), (1, 10), (2, 80), (1, 5)), reason(10, None, "jam", made=40))
    assert [row[:2] for row in shape(found) if row[0] != "running"] == [
        ("unplanned_stop", "jam"),
        ("unplanned_stop", ""),
    ]


def test_a_reason_says_nothing_of_running_and_moves_setup_only_with_a_category() -> None:
    course = states((1, 10), (3, 20), (1, 10))
    assert shape(tiles(course, reason(0, 40, "jam"))) == [("running", "", 10), ("setup", "", 20), ("running", "", 10)]
    assert shape(tiles(course, reason(0, 40, "service")))[1] == ("planned_stop", "service", 20)


def test_a_micro_stop_keeps_its_category_under_a_reason_that_moves_nothing() -> None:
    course = states((1, 10), (2, 20), (1, 10))
    assert shape(tiles(course, reason(10, 30, "jam")))[1] == ("micro_stop", "jam", 20)
    assert shape(tiles(course, reason(10, 30, "no-material")))[1] == ("starved", "no-material", 20)


def test_a_short_rest_of_a_long_stop_is_no_micro_stop() -> None:
    found = tiles(states((1, 5), (2, 100), (1, 5)), category(5, 95, TimeCategory.PLANNED_STOP))
    assert shape(found)[1:3] == [("planned_stop", "", 90), ("unplanned_stop", "", 10)]


def test_a_category_holds_whatever_the_machine_says() -> None:
    found = tiles(states((1, 100)), category(20, 50, TimeCategory.SETUP))
    assert shape(found) == [("running", "", 20), ("setup", "", 30), ("running", "", 50)]
    assert (found[1].source, found[1].machine) == (Source.STATED, TimeCategory.RUNNING)


def test_of_two_categories_the_later_made_holds() -> None:
    found = tiles(
        states((1, 100)),
        category(0, 60, TimeCategory.SETUP, made=10),
        category(40, 100, TimeCategory.NO_ORDER, made=5),
    )
    assert shape(found) == [("setup", "", 60), ("no_order", "", 40)]


def test_only_a_planned_stop_goes_before_the_unknown() -> None:
    gap = [sample(0, state=1), sample(1, state=1), sample(60, state=1), sample(61, state=1)]
    assert shape(tiles(gap, category(0, 61, TimeCategory.SETUP))) == [
        ("setup", "", 4),
        ("unknown", "", 56),
        ("setup", "", 1),
    ]
    assert shape(tiles(gap, category(0, 61, TimeCategory.PLANNED_STOP))) == [("planned_stop", "", 61)]


def test_the_calendar_goes_before_statements() -> None:
    plan = machine(reasons=REASONS, calendar=Dated.always(THREE_SHIFTS))
    course = [sample(3 * 3600 + second, state=2) for second in range(-60, 16 * 60)]  # the break is at 10:00 in Jakarta
    found = tiles(course, category(0, 4 * 3600, TimeCategory.SETUP), plan=plan)
    assert shape(found) == [("setup", "", 60), ("planned_stop", "", 900), ("setup", "", 59)]
    assert [tile.source for tile in found] == [Source.STATED, Source.CALENDAR, Source.STATED]


def test_a_stated_no_order_follows_the_sites_policy() -> None:
    plan = machine(policy=Policy(no_order=NoOrder.PLANNED))
    assert shape(tiles(states((1, 20)), category(5, 20, TimeCategory.NO_ORDER), plan=plan))[1] == (
        "planned_stop",
        "",
        15,
    )


def test_an_order_gives_its_number_and_product_until_it_ends() -> None:
    plan = machine(products={"drum": Product("drum", {})})
    order = said(StatementKind.ORDER, 10, 30, order="4711", product="drum")
    running = said(StatementKind.ORDER, 30, None, order="4712")
    found = tiles(states((1, 50)), order, running, plan=plan)
    assert [(tile.order, tile.product, tile.end - tile.start) for tile in found] == [
        ("", "disc", 10 * SECOND),
        ("4711", "drum", 20 * SECOND),
        ("4712", "disc", 20 * SECOND),
    ]


def test_silence_knows_the_calendar_and_what_people_planned() -> None:
    plan = machine(calendar=Dated.always(THREE_SHIFTS), policy=Policy(staffed=Staffed.SHIFTS))
    stop = category(0, 3600, TimeCategory.PLANNED_STOP)
    found = silent_timeline(plan.unit, START, START + 2 * HOUR, [stop])
    assert shape(found) == [("planned_stop", "", 3600), ("unknown", "", 3600)]
    assert all(tile.staffed for tile in found)
    assert not any(tile.staffed for tile in silent_timeline(machine().unit, *minutes(60)))


def test_statements_on_another_unit_say_nothing_here() -> None:
    other = replace(category(0, 3600, TimeCategory.SETUP), unit="ceper/machining/line-1/cnc-02")
    assert shape(tiles(states((1, 20)), other)) == [("running", "", 20)]


COURSES = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 150)), min_size=1, max_size=12).map(
    lambda codes: states(*codes)
)
SPANS = st.tuples(st.integers(-50, 900), st.integers(1, 400), st.integers(0, 2000))
WORDS = st.sampled_from(
    [TimeCategory.SETUP, TimeCategory.PLANNED_STOP, TimeCategory.RUNNING, TimeCategory.UNPLANNED_STOP]
)
STATEMENTS = st.lists(
    st.one_of(
        st.builds(
            lambda span, why: reason(span[0], span[0] + span[1], why, span[2]), SPANS, st.sampled_from(sorted(REASONS))
        ),
        st.builds(lambda span, what: category(span[0], span[0] + span[1], what, span[2]), SPANS, WORDS),
        st.builds(lambda span: reason(span[0], None, "jam", span[2]), SPANS),
    ),
    max_size=5,
)


@settings(max_examples=200)
@given(COURSES, STATEMENTS)
def test_tiles_tile_the_window_exactly_whatever_is_stated(samples: list[Sample], statements: list[Statement]) -> None:
    found = tiles(samples, *statements)
    assert (found[0].start, found[-1].end) == (samples[0].time, samples[-1].time)
    assert all(before.end == after.start for before, after in pairwise(found))
    assert all(tile.start < tile.end for tile in found)


@settings(max_examples=200)
@given(COURSES, STATEMENTS, st.randoms(use_true_random=False))
def test_the_order_in_which_statements_arrive_does_not_matter(
    samples: list[Sample], statements: list[Statement], random
) -> None:  # type: ignore[no-untyped-def]
    mixed = [*statements, *statements]
    random.shuffle(mixed)
    assert tiles(samples, *mixed) == tiles(samples, *statements)


@settings(max_examples=200)
@given(COURSES, STATEMENTS, STATEMENTS)
def test_an_edit_and_its_undo_restore_every_tile(
    samples: list[Sample], standing: list[Statement], edits: list[Statement]
) -> None:
    undone = [replace(edit, id=f"undo-{edit.id}", supersedes=edit.id, withdrawn=True) for edit in edits]
    assert tiles(samples, *standing, *edits, *undone) == tiles(samples, *standing)


@settings(max_examples=250)
@given(COURSES, st.lists(st.integers(1, 2_000_000), max_size=4), STATEMENTS)
def test_any_split_with_the_stops_whole_gives_the_same_tiles(
    samples: list[Sample], cuts: list[int], statements: list[Statement]
) -> None:
    columns, held = SampleColumns.of(MACHINE, samples), in_force(statements)
    start, end = samples[0].time, samples[-1].time
    borders = sorted({start, end, *(cut for offset in cuts if (cut := start + offset) < end)})
    split = [tile for low, high in pairwise(borders) for tile in timeline(_LONG, columns, low, high, held)]
    assert joined(split) == joined(timeline(_LONG, columns, start, end, held))


_LONG = machine(reasons=REASONS, retrip_s=3600.0)
"""Its context holds every stop of a course whole."""


def joined(found: Iterable[StateInterval]) -> list[StateInterval]:
    whole: list[StateInterval] = []
    for tile in found:
        if whole and whole[-1]._replace(start=0, end=0) == tile._replace(start=0, end=0):
            tile = tile._replace(start=whole.pop().start)
        whole.append(tile)
    return whole


@settings(max_examples=200)
@given(COURSES, STATEMENTS, st.integers(0, 200), st.integers(0, 200))
def test_moving_the_threshold_moves_only_micro_stops_against_unplanned_stops(
    samples: list[Sample], statements: list[Statement], one: int, other: int
) -> None:
    sums = []
    for threshold in (one, other):
        plan = machine(reasons=REASONS, micro_stop_s=Dated.always(float(threshold)))
        booked: dict[str, int] = {}
        for tile in tiles(samples, *statements, plan=plan):
            stopped = tile.category in (TimeCategory.MICRO_STOP, TimeCategory.UNPLANNED_STOP)
            name = "stopped" if stopped else str(tile.category)
            booked[name] = booked.get(name, 0) + tile.end - tile.start
        sums.append(booked)
    assert sums[0] == sums[1]
