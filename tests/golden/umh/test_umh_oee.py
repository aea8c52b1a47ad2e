"""A peer's recorded states and counts go in; its micro-stops and its low-speed minutes come out.

The one difference is a decision: docs/decisions/0009-differences-from-umh.md.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kpi.evaluation.speed import slow_minutes
from kpi.facts.derive import derive
from kpi.plan import UnitPlan
from kpi.timeline.states import timeline
from kpi.timeline.stops import find_stops
from shopfloor.columns import SampleColumns
from shopfloor.dated import Dated
from shopfloor.instant import HOUR, MINUTE, SECOND, Instant, ceil_to, floor_to, parse_instant
from shopfloor.machine_state import TimeCategory
from shopfloor.sample import Sample
from tests.production import MACHINE, counter, machine

RUN, STOP, NO_SHIFT, MICRO_STOP, LOW_SPEED = 0, 1, 9, 7, 19
MEANING = {RUN: TimeCategory.RUNNING, STOP: TimeCategory.UNPLANNED_STOP, NO_SHIFT: TimeCategory.PLANNED_STOP}
THEIRS = {RUN: "running", STOP: "unplanned_stop", NO_SHIFT: "planned_stop", MICRO_STOP: "micro_stop"}
DAY = 24 * HOUR
"""Their entries come at changes only: a state holds until the next one."""
MICRO_STOPS = ("1601323170", "1601323210", "1601323241")
LOW = "1601391491"

Interval = tuple[Instant, Instant, str]


def recorded(folder: Path, name: str) -> Any:
    return json.loads((folder / "umh_oee" / f"{name}.golden").read_text(encoding="utf-8"))


def entries(rows: Iterable[dict[str, Any]], value: str) -> list[tuple[Instant, int]]:
    return sorted((parse_instant(row["Timestamp"]), row[value]) for row in rows)


def plan_for(configuration: dict[str, Any]) -> UnitPlan:
    return machine(
        counter("produced", modulus=None),
        states=Dated.always(MEANING),
        micro_stop_s=Dated.always(float(configuration["MicrostopDurationInSeconds"])),
        planned_run_time_s=None,
        max_age_ms=DAY,
    )


def states_of(rows: Iterable[tuple[Instant, int]]) -> list[Sample]:
    return [Sample(unit=MACHINE, time=time, values={"state": state}) for time, state in rows]


def ours(plan: UnitPlan, samples: Sequence[Sample]) -> list[Interval]:
    columns = SampleColumns.of(MACHINE, samples)
    tiles = timeline(plan, columns, samples[0].time, samples[-1].time)
    return joined((tile.start, tile.end, str(tile.category)) for tile in tiles)


def joined(intervals: Iterable[Interval]) -> list[Interval]:
    whole: list[Interval] = []
    for start, end, word in intervals:
        if whole and whole[-1][1:] == (start, word):
            start = whole.pop()[0]
        whole.append((start, end, word))
    return whole


@pytest.mark.parametrize("case", MICRO_STOPS)
def test_the_micro_stops_are_theirs(shared_data: Path, case: str) -> None:
    given = entries(recorded(shared_data, f"addUnknownMicrostops_stateArray_{case}"), "State")
    processed = entries(recorded(shared_data, f"addUnknownMicrostops_processedStateArray_{case}"), "State")
    plan = plan_for(recorded(shared_data, f"addUnknownMicrostops_configuration_{case}"))
    theirs = joined((low, high, THEIRS[state]) for (low, state), (high, _) in pairwise(processed))
    assert sum(word == "micro_stop" for *_, word in theirs) >= 6
    assert ours(plan, states_of(given)) == theirs


def test_the_micro_stops_are_counted_as_often_as_theirs(shared_data: Path) -> None:
    for case in MICRO_STOPS:
        samples = states_of(entries(recorded(shared_data, f"addUnknownMicrostops_stateArray_{case}"), "State"))
        processed = entries(recorded(shared_data, f"addUnknownMicrostops_processedStateArray_{case}"), "State")
        plan = plan_for(recorded(shared_data, f"addUnknownMicrostops_configuration_{case}"))
        tiles = timeline(plan, SampleColumns.of(MACHINE, samples), samples[0].time, samples[-1].time)
        counted = [run for run in find_stops(plan, tiles) if run.category is TimeCategory.MICRO_STOP and run.begins]
        assert len(counted) == sum(state == MICRO_STOP for _, state in processed[:-1])


def test_the_low_speed_is_theirs_but_for_whole_clock_minutes(shared_data: Path) -> None:
    configuration = recorded(shared_data, f"addLowSpeedStates_configuration_{LOW}")
    given = entries(recorded(shared_data, f"addLowSpeedStates_stateArray_{LOW}"), "State")
    counts = entries(recorded(shared_data, f"addLowSpeedStates_countSlice_{LOW}"), "Count")
    processed = entries(recorded(shared_data, f"addLowSpeedStates_processedStateArray_{LOW}"), "State")
    horizon = counts[-1][0]
    theirs = [(low, high) for (low, state), (high, _) in pairwise([*processed, (horizon, RUN)]) if state == LOW_SPEED]

    plan = plan_for(configuration)
    samples = [*states_of(given), *counted_up(given[0][0], counts)]
    found = slow_running(plan, samples, configuration["LowSpeedThresholdInPcsPerHour"])

    assert len(found) == len(theirs) == 2
    assert found[0] == theirs[0]
    (our_start, our_end), (their_start, their_end) = found[1], theirs[1]
    assert our_end == their_end
    began = next(low for (low, state), (high, _) in pairwise(given) if state == RUN and low < their_start < high)
    assert (their_start - began) % MINUTE == 0  # their minutes begin with the running ...
    assert our_start == ceil_to(their_start, MINUTE)  # ... ours with the clock's
    assert our_start - their_start < 9 * SECOND


def counted_up(start: Instant, increments: Iterable[tuple[Instant, int]]) -> list[Sample]:
    """Their counts are increments; a counter shows their sum, and 0 when the recording begins."""
    total, samples = 0, [Sample(unit=MACHINE, time=start - 1, values={"produced": 0})]
    for time, count in increments:
        total += count
        samples.append(Sample(unit=MACHINE, time=time, values={"produced": total}))
    return samples


def slow_running(plan: UnitPlan, samples: Sequence[Sample], threshold_per_h: float) -> list[tuple[Instant, Instant]]:
    """The running stretches inside slow minutes."""
    columns = SampleColumns.of(MACHINE, samples)
    start, end = int(columns.times[0]), int(columns.times[-1])
    facts = derive(plan, columns, (floor_to(start, MINUTE), ceil_to(end, MINUTE))).facts
    slow = {found.minute for found in slow_minutes(facts, threshold_per_h)}
    pieces = (
        (max(tile.start, minute), min(tile.end, minute + MINUTE), "slow")
        for tile in timeline(plan, columns, start, end)
        if tile.category is TimeCategory.RUNNING
        for minute in range(floor_to(tile.start, MINUTE), tile.end, MINUTE)
        if minute in slow
    )
    return [(low, high) for low, high, _ in joined(pieces)]
