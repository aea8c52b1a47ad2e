from collections.abc import Sequence

import pytest
from msgspec import structs

from kpi.plan import UnitPlan
from kpi.timeline.states import StateInterval
from kpi.timeline.states import timeline as timeline_of
from shopfloor.columns import SampleColumns
from shopfloor.dated import Dated
from shopfloor.instant import SECOND
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import NoOrder, Policy, UnscheduledRun
from shopfloor.quality import Quality, Reason, Status
from shopfloor.sample import Sample
from tests.production import START, THREE_SHIFTS, lost, machine, minutes, sample, states

HOUR_S = 3600


def timeline(plan: UnitPlan, samples: Sequence[Sample], start: int, end: int) -> list[StateInterval]:
    return timeline_of(plan, SampleColumns.of(plan.path, samples), start, end)


def shape(intervals: list[StateInterval]) -> list[tuple[str, float]]:
    return [(str(interval.category), (interval.end - interval.start) / SECOND) for interval in intervals]


def test_a_good_state_holds_until_the_next_sample() -> None:
    assert shape(timeline(machine(), states((1, 5), (3, 7)), *minutes(1))) == [("running", 5), ("setup", 7)]


def test_a_state_is_unknown_after_max_age() -> None:
    samples = [sample(0, state=1), sample(3, state=1), sample(10, state=1), sample(11, state=1)]
    assert shape(timeline(machine(), samples, *minutes(1))) == [("running", 6), ("unknown", 4), ("running", 1)]


def test_a_bad_state_is_unknown_at_once() -> None:
    plan = machine()
    samples = [sample(0, state=1), sample(1, state=1), lost(2, plan.tags), sample(3, state=1), sample(4, state=1)]
    assert shape(timeline(plan, samples, *minutes(1))) == [("running", 2), ("unknown", 1), ("running", 1)]


def test_an_uncertain_state_is_not_believed() -> None:
    stale = Status(Quality.UNCERTAIN, Reason.STALE)
    doubtful = structs.replace(sample(1, state=1), status={"state": stale})
    assert shape(timeline(machine(), [sample(0, state=1), doubtful, sample(2, state=1)], *minutes(1))) == [
        ("running", 1),
        ("unknown", 1),
    ]


def test_a_sample_that_does_not_mention_the_state_changes_nothing() -> None:
    samples = [sample(0, state=1), sample(2, good=1), sample(3, state=1)]
    assert shape(timeline(machine(), samples, *minutes(1))) == [("running", 3)]


def test_an_unmapped_code_is_unknown_but_observed() -> None:
    (interval,) = timeline(machine(), [sample(0, state=77), sample(2, state=77)], *minutes(1))
    assert (interval.category, interval.code, interval.observed) == (TimeCategory.UNKNOWN, 77, True)


@pytest.mark.parametrize(("length", "category"), [(60, "micro_stop"), (61, "unplanned_stop")])
def test_a_stop_is_a_micro_stop_up_to_its_threshold(length: int, category: str) -> None:
    samples = states((1, 5), (2, length), (1, 5))
    assert shape(timeline(machine(), samples, *minutes(5)))[1] == (category, length)


def test_a_stop_over_the_windows_edge_is_judged_whole() -> None:
    samples = states((1, 30), (2, 70), (1, 30))
    first, second = (
        timeline(machine(), samples, START + a * SECOND, START + b * SECOND) for a, b in ((0, 60), (60, 130))
    )
    assert shape(first) == [("running", 30), ("unplanned_stop", 30)]
    assert shape(second) == [("unplanned_stop", 40), ("running", 30)]


def test_an_open_stop_counts_with_its_length_so_far() -> None:
    assert shape(timeline(machine(), states((1, 5), (2, 20)), *minutes(5)))[-1] == ("micro_stop", 20)


def test_the_micro_stop_threshold_is_dated() -> None:
    plan = machine(micro_stop_s=Dated(((START - 1, 60.0), (START + 100 * SECOND, 5.0))))
    samples = states((1, 10), (2, 20), (1, 90), (2, 20), (1, 10))
    assert [name for name, _ in shape(timeline(plan, samples, *minutes(5)))] == [
        "running",
        "micro_stop",
        "running",
        "unplanned_stop",
        "running",
    ]


def test_the_calendar_goes_before_the_machine() -> None:
    plan = machine(calendar=Dated.always(THREE_SHIFTS))
    break_start = 3 * HOUR_S  # 10:00 in Jakarta
    samples = [sample(break_start + second, state=1) for second in range(-10, 15 * 60 + 10)]
    found = timeline(plan, samples, *minutes(300))
    assert shape(found) == [("running", 10), ("planned_stop", 900), ("running", 9)]
    assert {interval.shift for interval in found} == {"pagi"}


def test_a_policy_may_count_running_in_a_break() -> None:
    policy = Policy(unscheduled_run=UnscheduledRun.COUNTED)
    plan = machine(calendar=Dated.always(THREE_SHIFTS), policy=policy)
    samples = [sample(3 * HOUR_S + second, state=1 if second < 5 else 2) for second in range(10)]
    assert shape(timeline(plan, samples, *minutes(300))) == [("running", 5), ("planned_stop", 4)]


def test_a_policy_may_plan_the_time_without_an_order() -> None:
    assert shape(timeline(machine(), states((0, 5)), *minutes(1))) == [("no_order", 5)]
    planned = machine(policy=Policy(no_order=NoOrder.PLANNED))
    assert shape(timeline(planned, states((0, 5)), *minutes(1))) == [("planned_stop", 5)]


def test_a_state_map_is_dated() -> None:
    maps = Dated(((START - 1, {1: TimeCategory.RUNNING}), (START + 5 * SECOND, {1: TimeCategory.SETUP})))
    assert shape(timeline(machine(states=maps), states((1, 8)), *minutes(1))) == [("running", 5), ("setup", 3)]


def test_order_and_duplicates_of_arrival_do_not_matter() -> None:
    samples = states((1, 5), (2, 3))
    mixed = [*samples[::-1], *samples]
    assert timeline(machine(), mixed, *minutes(1)) == timeline(machine(), samples, *minutes(1))


def test_without_two_samples_nothing_is_known() -> None:
    assert timeline(machine(), [], *minutes(1)) == []
    assert timeline(machine(), [Sample(unit="u", time=START, values={"state": 1})], *minutes(1)) == []
