"""Samples as columns: every store gives what ``SampleColumns.of`` makes of the same samples read one by one."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from historian.historian import Historian
from historian.records import point_sample, sample_point, unit_query
from historian.schema import Measurement
from shopfloor.columns import SampleColumns
from shopfloor.instant import HOUR, Instant, parse_instant
from shopfloor.quality import COMM_LOST, Quality, Reason, Status
from shopfloor.sample import Sample

BORDER = parse_instant("2026-02-01T00:00:00Z")
DAY = 24 * HOUR
UNIT = "s/a/line-1/cnc-01"
OTHER = "s/a/line-1/cnc-02"
ENTERPRISE = "acme"
TAGS = ["state", "good", "power_kw", "x_note_text", "x_class", "class"]
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
STATUSES = st.builds(Status, st.sampled_from([Quality.BAD, Quality.UNCERTAIN]), st.sampled_from(Reason))


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    tags = draw(st.lists(st.sampled_from(TAGS), unique=True, min_size=1))
    values = {tag: draw(st.just('merah {"}') if tag.endswith("_text") else NUMBERS) for tag in tags}
    status = {tag: draw(STATUSES) for tag in draw(st.lists(st.sampled_from(TAGS), unique=True, max_size=2))}
    known = {tag: value for tag, value in values.items() if status.get(tag) is None or draw(st.booleans())}
    at = BORDER + draw(st.integers(-9 * DAY, 9 * DAY))
    return Sample(unit=UNIT, time=at, values=known, status=status or ({} if known else {tags[0]: COMM_LOST}))


def store(historian: Historian, written: Sequence[Sample]) -> None:
    points = [sample_point(ENTERPRISE, sample) for sample in written]
    assert len(historian.write(points).accepted) == len(points)


def assert_same(columns: SampleColumns, expected: SampleColumns) -> None:
    assert columns.unit == expected.unit
    assert columns.times.tolist() == expected.times.tolist()
    assert columns.values.keys() == columns.heard.keys() == expected.values.keys()
    for tag, values in expected.values.items():
        np.testing.assert_array_equal(columns.values[tag], values, strict=True)
        np.testing.assert_array_equal(columns.heard[tag], expected.heard[tag], strict=True)
    np.testing.assert_array_equal(columns.alive, expected.alive, strict=True)


def by_points(historian: Historian, unit: str, start: Instant | None, end: Instant | None) -> SampleColumns:
    points = historian.read(unit_query(Measurement.SAMPLES, ENTERPRISE, unit, start, end))
    return SampleColumns.of(unit, map(point_sample, points))


number = iter(range(1_000_000))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(samples(), max_size=12, unique_by=lambda sample: sample.time), st.data())
def test_columns_say_what_the_points_say(historian: Historian, written: list[Sample], data: st.DataObject) -> None:
    unit = f"s/a/line-1/u-{next(number)}"
    mine = [Sample(unit=unit, time=each.time, values=each.values, status=each.status) for each in written]
    store(historian, mine)
    store(historian, [Sample(unit=OTHER, time=each.time, values={"state": 7}) for each in written])
    assert_same(historian.samples(ENTERPRISE, unit, None, None), SampleColumns.of(unit, mine))
    bounds = st.none() | st.integers(BORDER - 9 * DAY, BORDER + 9 * DAY)
    window = data.draw(bounds), data.draw(bounds)
    assert_same(historian.samples(ENTERPRISE, unit, *window), by_points(historian, unit, *window))


def test_a_unit_that_never_spoke_has_no_samples(historian: Historian) -> None:
    assert len(historian.samples(ENTERPRISE, UNIT, None, None)) == 0
    assert len(historian.samples(ENTERPRISE, UNIT, BORDER, BORDER + DAY)) == 0


def test_a_range_that_ends_before_it_begins_is_empty(historian: Historian) -> None:
    store(historian, [Sample(unit=UNIT, time=BORDER, values={"state": 1})])
    assert len(historian.samples(ENTERPRISE, UNIT, BORDER + 1, BORDER - 1)) == 0


@pytest.mark.parametrize("days", [1, 16])
def test_long_stretches_come_whole_over_months(historian: Historian, days: int) -> None:
    written = [
        Sample(unit=UNIT, time=BORDER - DAY // 2 + minute * 60_000, values={"state": minute % 4, "good": minute})
        for minute in range(days * 1440)
    ]
    store(historian, written)
    assert_same(historian.samples(ENTERPRISE, UNIT, None, None), SampleColumns.of(UNIT, written))


def test_a_machine_day_is_read_faster_than_the_points_of_four_hours(historian: Historian) -> None:
    """86,400 samples of five tags; docs/figures.md has the figure."""
    values = {"state": 1, "good": 1201, "scrap": 3, "power_kw": 12.41, "energy_kwh": 5120.334}
    store(historian, [Sample(unit=UNIT, time=BORDER + second * 1000, values=values) for second in range(86_400)])
    assert len(historian.samples(ENTERPRISE, UNIT, BORDER, BORDER + DAY)) == 86_400
    whole_s = min(spent_s(lambda: historian.samples(ENTERPRISE, UNIT, BORDER, BORDER + DAY)) for _ in range(3))
    assert whole_s < spent_s(lambda: by_points(historian, UNIT, BORDER, BORDER + DAY // 6))


def spent_s(work: Callable[[], object]) -> float:
    """Processor time."""
    began = time.process_time()
    work()
    return time.process_time() - began
