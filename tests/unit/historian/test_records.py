"""Typed records and points: what goes in comes out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from historian import records, schema
from historian.admission import fault
from historian.point import Point
from historian.records import AgentWatermark, Dirty, Revision
from historian.schema import Grain
from shopfloor.additive import COLUMNS
from shopfloor.equipment import BadPath
from shopfloor.fact import Fact, Loss, Stop
from shopfloor.quality import COMM_LOST, Quality, Reason, Status
from shopfloor.sample import Sample

UNIT = "ceper/machining/line-1/cnc-01"
INSTANTS = st.integers(0, 2**42)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TAGS = st.sampled_from(["state", "good", "power_kw", "energy_kwh", "x_reading"])
STATUSES = st.builds(Status, st.sampled_from([Quality.BAD, Quality.UNCERTAIN]), st.sampled_from(Reason))
TEXTS = st.text(st.characters(min_codepoint=0xA0, exclude_categories=["Cs"]), max_size=20)


def test_a_sample_becomes_one_point_with_its_doubts_in_one_text() -> None:
    status = {"temperature_c": COMM_LOST, "power_kw": Status(Quality.UNCERTAIN, Reason.STALE)}
    sample = Sample(unit=UNIT, time=1, values={"state": 3, "power_kw": 12.5, "x_label_text": "ä"}, status=status)
    point = records.sample_point("logam-jaya", sample)
    assert point.tags["enterprise"] == "logam-jaya"
    assert point.fields == {
        "state": 3.0,
        "power_kw": 12.5,
        "x_label_text": "ä",
        "status_text": "power_kw=uncertain:stale;temperature_c=bad:comm_lost",
    }


@given(INSTANTS, st.dictionaries(TAGS, NUMBERS | st.integers(-(2**53), 2**53)), st.dictionaries(TAGS, STATUSES))
def test_a_sample_comes_back_with_floats(time: int, values: dict[str, float | int], status: dict[str, Status]) -> None:
    sample = Sample(unit=UNIT, time=time, values=values, status=status)
    point = records.sample_point("e", sample)
    back = records.point_sample(point)
    assert back == sample
    assert all(isinstance(value, float) for value in back.values.values())
    assert (fault(point) is None) == bool(values or status)


def test_an_integer_that_a_float_cannot_hold_is_left_for_the_store_to_reject() -> None:
    point = records.sample_point("e", Sample(unit=UNIT, time=1, values={"energy_kwh": 10**400}))
    assert fault(point) == "field energy_kwh is beyond 2^53"


def test_a_text_that_is_no_unit_path_is_refused() -> None:
    with pytest.raises(BadPath):
        records.sample_point("e", Sample(unit="cnc-01", time=1))


@pytest.mark.parametrize("grain", Grain)
def test_a_fact_comes_back_in_every_grain(grain: Grain) -> None:
    elements = dict.fromkeys(COLUMNS, 1.5) | {"demand_max_kw_at": 60_000.0, "power_max_kw_at": 61_000.0}
    fact = Fact(UNIT, 60_000, "pagi", "brake-disc", elements)
    point = records.fact_point("e", grain, fact)
    assert point.measurement == {"MINUTE": "facts", "HOUR": "facts_hour", "SHIFT": "facts_shift"}[grain.name]
    assert fault(point) is None
    assert records.point_fact(point) == fact


def test_readers_drop_zero_columns_lone_instants_and_empty_facts() -> None:
    half = Fact(UNIT, 0, "pagi", "none", {"good": 0.0, "energy_kwh": 2.0, "power_max_kw": 0.0, "power_max_kw_at": 7.0})
    gone = Fact(UNIT, 60_000, "pagi", "none", {"good": 0.0})
    points = [records.fact_point("e", Grain.MINUTE, fact) for fact in (half, gone)]
    assert records.facts_of(points) == [Fact(UNIT, 0, "pagi", "none", {"energy_kwh": 2.0})]


@given(st.builds(Dirty, st.just(UNIT), INSTANTS, INSTANTS, INSTANTS, st.booleans()))
def test_a_dirty_interval_comes_back(dirty: Dirty) -> None:
    point = records.dirty_point("e", dirty)
    assert fault(point) is None
    assert records.point_dirty(point) == dirty


@given(INSTANTS, st.none() | st.integers(1, 2**42), st.none() | st.integers(-(2**15), 2**32))
def test_a_stop_comes_back_open_or_ended_with_or_without_code(start: int, end: int | None, code: int | None) -> None:
    stop = Stop(UNIT, start, end, "unplanned_stop", code)
    point = records.stop_point("e", stop)
    assert fault(point) is None
    assert records.point_stop(point) == stop


def test_a_stop_that_ends_where_it_starts_is_gone() -> None:
    stops = [Stop(UNIT, 5, 5, "starved", 4), Stop(UNIT, 6, None, "starved", 4)]
    assert records.stops_of(records.stop_point("e", stop) for stop in stops) == stops[1:]


def test_a_loss_comes_back_and_an_emptied_one_is_dropped() -> None:
    loss = Loss(UNIT, 60_000, "malam", "none", "unplanned_stop", "belt torn", 42.5, 1.0)
    gone = Loss(UNIT, 60_000, "malam", "none", "unplanned_stop", "none", 0.0, 0.0)
    points = [records.loss_point("e", each) for each in (loss, gone)]
    assert [fault(point) for point in points] == [None, None]
    assert records.losses_of(points) == [loss]


@pytest.mark.parametrize("grain", Grain)
def test_a_loss_comes_back_in_every_grain(grain: Grain) -> None:
    loss = Loss(UNIT, 3_600_000, "malam", "none", "unplanned_stop", "belt torn", 42.5, 1.0)
    point = records.loss_point("e", loss, grain)
    assert point.measurement == {"MINUTE": "losses", "HOUR": "losses_hour", "SHIFT": "losses_shift"}[grain.name]
    assert fault(point) is None
    assert records.losses_of([point]) == [loss]


def test_the_duration_of_a_stop_is_told_once_it_is_over() -> None:
    start = 1_800_000_000_000
    ends = {None: 0.0, start: 0.0, start + 90_500: 90.5}
    for end, duration in ends.items():
        point = records.stop_point("e", Stop(UNIT, start, end, "starved", 4))
        assert point.fields[schema.STOP_DURATION] == duration


@given(TEXTS, TEXTS, st.integers(1, 59_999))
def test_a_revision_comes_back(cause: str, who: str, n: int) -> None:
    revision = Revision(
        unit=UNIT,
        shift="pagi",
        shift_start=1_800_000_000_000,
        n=n,
        cause=cause,
        who=who,
        before={"good": 3.0, "energy_kwh": 1.25},
        after={"good": 4.0, "power_max_kw": 7.0, "power_max_kw_at": 9.0},
        at=1_900_000_000_123,
    )
    point = records.revision_point("e", revision)
    assert fault(point) is None
    assert records.point_revision(point) == revision


def test_revisions_of_one_shift_never_overwrite_each_other() -> None:
    times = {records.revision_point("e", _revision(n)).time for n in (1, 2, 3)}
    assert len(times) == 3
    for n in (0, 60_000):
        with pytest.raises(ValueError, match="revisions"):
            records.revision_point("e", _revision(n))


def _revision(n: int) -> Revision:
    return Revision(
        unit=UNIT, shift="pagi", shift_start=0, n=n, cause="late samples", who="", before={}, after={}, at=5
    )


def test_a_watermark_comes_back() -> None:
    watermark = AgentWatermark("edge-ceper-1", "5f0c", 1_763_830_000_123, 1_763_829_990_123, 2)
    point = records.watermark_point(watermark)
    assert fault(point) is None
    assert records.point_watermark(point) == watermark


def test_no_measurement_has_a_field_named_like_one_of_its_tags() -> None:
    for measurement, known in schema.FIELDS.items():
        assert not (known or frozenset()) & {"time", *schema.TAG_KEYS[measurement]}


def test_every_measurement_has_tags_and_a_field_rule() -> None:
    assert set(schema.TAG_KEYS) == set(schema.FIELDS) == set(schema.Measurement)


def test_what_would_crash_another_store_is_refused_here() -> None:
    tags = {**records.unit_tags("e", UNIT), "site": "a\\"}
    assert fault(Point("samples", tags, 0, {"x_a": 1.0})) == "tag site ends in a backslash"
