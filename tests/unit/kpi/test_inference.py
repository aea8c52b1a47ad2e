from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi.plan import UnitPlan
from kpi.timeline.inference import MEMORY_MS, lookback
from kpi.timeline.states import Source, StateInterval, timeline
from shopfloor.columns import SampleColumns
from shopfloor.dated import Dated
from shopfloor.instant import SECOND
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import CounterInference, GaugeInference
from shopfloor.quality import COMM_LOST
from shopfloor.sample import Sample
from shopfloor.tag import TagKind, TagSpec
from tests.production import MACHINE, START, STATES, counter, lost, machine, sample

CURRENT = TagSpec(name="current_a", kind=TagKind.GAUGE, unit="A")
AMPERES = GaugeInference("current_a", running_above=10.0, stopped_below=4.0)
MEMORY_S = MEMORY_MS // SECOND


def counted(**changes: object) -> UnitPlan:
    """A machine without a state: 10 s a part, so that 30 s without one are a stop."""
    plain: dict[str, object] = {
        "states": None,
        "inference": Dated.always(CounterInference("good")),
        "micro_stop_s": Dated.always(0.0),
    }
    return machine(counter("good", modulus=100), **(plain | changes))


def gauged(**changes: object) -> UnitPlan:
    plain: dict[str, object] = {"states": None, "inference": Dated.always(AMPERES), "micro_stop_s": Dated.always(0.0)}
    return machine(CURRENT, **(plain | changes))


def found(plan: UnitPlan, samples: Sequence[Sample]) -> list[StateInterval]:
    return timeline(plan, SampleColumns.of(MACHINE, samples), samples[0].time, samples[-1].time)


def shape(intervals: Iterable[StateInterval]) -> list[tuple[str, float]]:
    joined: list[tuple[str, float]] = []
    for interval in intervals:
        length = (interval.end - interval.start) / SECOND
        if joined and joined[-1][0] == str(interval.category):
            joined[-1] = joined[-1][0], joined[-1][1] + length
        else:
            joined.append((str(interval.category), length))
    return joined


def parts(*seconds: int, until: int, start: int = 0, base: int = 0) -> list[Sample]:
    """One reading a second of a counter that grows at the given seconds."""
    return [sample(now, good=(base + sum(part <= now for part in seconds)) % 100) for now in range(start, until + 1)]


def amperes(*stretches: tuple[float, int]) -> list[Sample]:
    values = [value for value, seconds in stretches for _ in range(seconds)]
    return [sample(second, current_a=value) for second, value in enumerate([*values, values[-1]])]


def test_parts_in_time_are_running() -> None:
    assert shape(found(counted(), parts(10, 20, 30, until=40))) == [("running", 40)]


def test_a_stop_is_back_dated_to_the_last_part_and_ends_a_cycle_before_the_next() -> None:
    intervals = found(counted(), parts(10, 20, 90, 100, until=110))
    assert shape(intervals) == [("running", 20), ("unplanned_stop", 60), ("running", 30)]
    assert {interval.source for interval in intervals} == {Source.INFERRED}


def test_a_pause_of_exactly_the_patience_is_no_stop() -> None:
    assert shape(found(counted(), parts(10, 40, until=41))) == [("running", 41)]
    assert shape(found(counted(), parts(10, 41, until=42))) == [
        ("running", 10),
        ("unplanned_stop", 21),
        ("running", 11),
    ]


def test_the_floor_spares_fast_machines_with_slow_scans() -> None:
    fast = counted(planned_run_time_s=Dated.always({"disc": 1.0}))
    assert shape(found(fast, parts(5, 15, 26, until=30))) == [
        ("unknown", 4),
        ("running", 11),
        ("unplanned_stop", 10),
        ("running", 5),
    ]


def test_an_unknown_product_is_judged_by_the_slowest() -> None:
    slow = counted(product=None, planned_run_time_s=Dated.always({"disc": 10.0, "drum": 40.0}))
    assert shape(found(slow, parts(10, 110, until=120))) == [("running", 120)]


def test_before_the_first_part_it_is_unknown_as_far_as_a_cycle_does_not_reach() -> None:
    intervals = found(counted(), parts(25, 35, until=40))
    assert shape(intervals) == [("unknown", 15), ("running", 25)]
    assert all(interval.observed for interval in intervals)


def test_a_machine_that_never_makes_a_part_stands_since_it_was_first_heard() -> None:
    assert shape(found(counted(), parts(until=60))) == [("unplanned_stop", 60)]
    assert shape(found(counted(), parts(until=30))) == [("unknown", 30)]


def test_a_gap_is_unknown_and_begins_anew() -> None:
    samples = [*parts(10, 20, until=25), *parts(60, 70, start=55, until=80, base=7)]
    assert shape(found(counted(), samples)) == [("running", 28), ("unknown", 27), ("running", 25)]


def test_a_roll_over_is_a_part_and_a_reset_is_none() -> None:
    rolled = [sample(second, good=99 if second < 20 else 0) for second in range(41)]
    assert shape(found(counted(), rolled)) == [("unknown", 10), ("running", 30)]
    reset = [sample(second, good=50 if second < 20 else 0) for second in range(41)]
    assert shape(found(counted(), reset)) == [("unplanned_stop", 40)]


def test_a_gauge_runs_above_and_stands_below_and_between_as_before() -> None:
    samples = amperes((12.0, 10), (7.0, 10), (2.0, 10), (7.0, 10), (12.0, 10))
    assert shape(found(gauged(), samples)) == [("running", 20), ("unplanned_stop", 20), ("running", 10)]


def test_a_gauge_between_its_limits_from_the_start_is_unknown() -> None:
    intervals = found(gauged(), amperes((7.0, 10), (12.0, 5)))
    assert shape(intervals) == [("unknown", 10), ("running", 5)]
    assert intervals[0].observed


def test_a_gauge_is_not_remembered_for_ever() -> None:
    samples = amperes((12.0, 10), (7.0, MEMORY_S + 30), (2.0, 5))
    assert shape(found(gauged(), samples)) == [("running", 10 + MEMORY_S), ("unknown", 30), ("unplanned_stop", 5)]


def test_a_gauge_that_is_lost_is_unknown_and_forgotten() -> None:
    plan = gauged()
    samples = [*amperes((12.0, 5))[:5], lost(5, plan.tags), *[sample(second, current_a=7.0) for second in range(6, 10)]]
    assert shape(found(plan, samples)) == [("running", 5), ("unknown", 4)]


def test_the_state_goes_before_what_is_inferred() -> None:
    plan = gauged(states=Dated.always(STATES))
    samples = [sample(second, state=3, current_a=12.0) for second in range(5)]
    dead_state = {"state": COMM_LOST}
    samples += [
        Sample(unit=MACHINE, time=START + second * SECOND, values={"current_a": 12.0}, status=dead_state)
        for second in range(5, 9)
    ]
    samples += [sample(second, state=77, current_a=12.0) for second in range(9, 12)]
    intervals = found(plan, samples)
    assert shape(intervals) == [("setup", 5), ("running", 4), ("unknown", 2)]
    assert [interval.source for interval in intervals] == [Source.MACHINE, Source.INFERRED, Source.MACHINE]


def test_a_mode_goes_before_the_state() -> None:
    modes = Dated.always({2: TimeCategory.SETUP})
    plan = machine(TagSpec(name="unit_mode", kind=TagKind.STATE, unit=""), modes=modes)
    samples = [sample(second, state=1, unit_mode=2 if 3 <= second < 6 else 1) for second in range(10)]
    assert shape(found(plan, samples)) == [("running", 3), ("setup", 3), ("running", 3)]


TRANSITIONS: Mapping[int, TimeCategory | None] = {**STATES, 8: None, 9: None}


@pytest.mark.parametrize(("before", "category"), [(1, "running"), (3, "setup"), (77, "unplanned_stop")])
def test_a_transition_counts_as_the_known_state_before_it(before: int, category: str) -> None:
    plan = machine(states=Dated.always(TRANSITIONS), micro_stop_s=Dated.always(0.0))
    codes = [before] * 5 + [8, 8, 9, 9] + [2] * 3
    samples = [sample(second, state=code) for second, code in enumerate([*codes, 2])]
    intervals = found(plan, samples)
    assert [str(interval.category) for interval in intervals if interval.code in (8, 9)] == [category, category]


def test_a_transition_at_the_start_of_knowledge_or_for_too_long_is_a_stop() -> None:
    plan = machine(states=Dated.always(TRANSITIONS), micro_stop_s=Dated.always(0.0))
    assert shape(found(plan, [sample(second, state=8) for second in range(4)])) == [("unplanned_stop", 3)]
    codes = [1] * 5 + [8] * (MEMORY_S + 20)
    samples = [sample(second, state=code) for second, code in enumerate([*codes, 8])]
    assert shape(found(plan, samples)) == [("running", 5 + MEMORY_S), ("unplanned_stop", 20)]


def test_how_far_a_unit_looks_back_follows_from_how_it_is_told() -> None:
    assert lookback(machine().unit) == 0
    assert lookback(counted().unit) == 30 * SECOND
    assert lookback(gauged().unit) == lookback(machine(states=Dated.always(TRANSITIONS)).unit) == MEMORY_MS


@st.composite
def signals(draw: st.DrawFn) -> list[Sample]:
    """A counter and a current at uneven times, with long stretches of one kind, gaps and lost readings."""
    time, good, samples = 0, draw(st.integers(0, 99)), []
    pauses, parts_made = st.sampled_from([1, 2, 3, 4, 4, 12, 70]), st.sampled_from([0, 0, 0, 1, 2])
    currents, codes = st.sampled_from([2.0, 7.0, 7.0, 12.0, None]), st.sampled_from([1, 2, 3, 8, 8, 9])
    steps = st.tuples(pauses, parts_made, currents, codes, st.sampled_from([1, 1, 5, 90]))
    for pause, made, current, code, often in draw(st.lists(steps, min_size=2, max_size=25)):
        for _ in range(often):
            time, good = time + pause, (good + made) % 100
            if current is None:
                dead = dict.fromkeys(("state", "good", "current_a"), COMM_LOST)
                samples.append(Sample(unit=MACHINE, time=START + time * SECOND, status=dead))
            else:
                samples.append(sample(time, state=code, good=good, current_a=current))
    return samples


PLANS = {
    "counter": counted(max_age_ms=5 * SECOND, retrip_s=0.0),
    "gauge": gauged(max_age_ms=5 * SECOND, retrip_s=0.0),
    "transition": machine(states=Dated.always(TRANSITIONS), max_age_ms=5 * SECOND, retrip_s=0.0),
}


@pytest.mark.parametrize("kind", PLANS)
@settings(max_examples=250)
@given(samples=signals(), cuts=st.lists(st.integers(1, 8_000), max_size=5))
def test_what_is_told_is_the_same_for_every_split_of_the_time(
    kind: str, samples: list[Sample], cuts: list[int]
) -> None:
    plan = PLANS[kind]
    start, end = samples[0].time, samples[-1].time
    borders = sorted({start, end, *(cut for second in cuts if (cut := start + second * SECOND + 137) < end)})
    columns = SampleColumns.of(MACHINE, samples)
    split: list[StateInterval] = []
    for low, high in pairwise(borders):
        split += timeline(plan, around(columns, low - plan.reach, high + plan.reach), low, high)
    assert told(split) == told(timeline(plan, columns, start, end))


def around(columns: SampleColumns, start: int, end: int) -> SampleColumns:
    """What a reader of the store gets: the context, the last sample before it and the next after it."""
    before, after = columns.times[columns.times < start], columns.times[columns.times >= end]
    low = int(before[-1]) if len(before) else start
    high = int(after[0]) + 1 if len(after) else end
    return columns.between(low, high)


def told(tiles: Iterable[StateInterval]) -> list[tuple[int, int, object]]:
    joined: list[tuple[int, int, object]] = []
    for tile in tiles:
        word = (tile.category, tile.observed, tile.source)
        if joined and joined[-1][2] == word:
            joined[-1] = (joined[-1][0], tile.end, word)
        else:
            joined.append((tile.start, tile.end, word))
    return joined


def gauge_at(samples: Sequence[Sample], instant: int, max_age: int) -> str:
    """The rule in words, reading by reading: what the gauge says of one moment."""
    since = instant
    for index in range(len(samples) - 1, -1, -1):
        reading = samples[index]
        until = samples[index + 1].time if index + 1 < len(samples) else instant + 1
        if reading.time > instant:
            continue
        if reading.status or min(until, instant + 1) - 1 - reading.time >= max_age:
            return "unknown"
        current = float(reading.values["current_a"])
        if AMPERES.stopped_below <= current <= AMPERES.running_above:
            since = reading.time
            continue
        decided = "running" if current > AMPERES.running_above else "unplanned_stop"
        return decided if since == instant or instant - since < MEMORY_MS else "unknown"
    return "unknown"


@settings(max_examples=300)
@given(signals(), st.lists(st.integers(0, 1_000_000), max_size=40))
def test_a_gauge_is_read_as_the_rule_says(samples: list[Sample], offsets: list[int]) -> None:
    plan, start, end = PLANS["gauge"], samples[0].time, samples[-1].time
    intervals = timeline(plan, SampleColumns.of(MACHINE, samples), start, end)
    for instant in {start + offset for offset in offsets if start + offset < end}:
        (found_there,) = [str(each.category) for each in intervals if each.start <= instant < each.end]
        assert found_there == gauge_at(samples, instant, plan.unit.max_age_ms)


def test_a_noisy_gauge_costs_no_tiles() -> None:
    samples = amperes(*[(12.0 if second % 2 else 7.0, 1) for second in range(1, 601)])
    assert len(found(gauged(), samples)) == 1
