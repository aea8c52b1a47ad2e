"""What ``historian.historian.Historian`` promises, asked of every implementation."""

import math
from collections.abc import Iterable

import pytest

from historian.historian import Historian
from historian.point import Point, Query
from shopfloor.instant import parse_instant

BORDER = parse_instant("2026-02-01T00:00:00Z")
UNIT = {"enterprise": "acme", "site": "s", "area": "a", "work_center": "line-1", "work_unit": "cnc-01"}


def sample(time: int, unit: str = "cnc-01", **fields: float | str) -> Point:
    return Point("samples", {**UNIT, "work_unit": unit}, time, fields or {"power_kw": 1.0})


def store(historian: Historian, *points: Point) -> None:
    report = historian.write(points)
    assert report.accepted == frozenset(range(len(points)))
    assert not report.rejected
    assert report.kept(len(points)) == []


def times(points: Iterable[Point]) -> list[int]:
    return [point.time for point in points]


def test_an_empty_store_gives_nothing(historian: Historian) -> None:
    assert historian.read(Query("samples")) == []
    assert historian.read(Query("dirty", descending=True, limit=1)) == []
    assert historian.count(Query("facts")) == 0


def test_nothing_to_write_is_written(historian: Historian) -> None:
    report = historian.write([])
    assert report.accepted == frozenset()
    assert report.rejected == {}


def test_a_point_comes_back_as_it_was_written(historian: Historian) -> None:
    written = sample(BORDER, state=1.0, power_kw=12.41, x_label_text="Cakram rem ⌀280 “ä” 鋼 \\ , = \" '")
    store(historian, written)
    assert historian.read(Query("samples")) == [written]


@pytest.mark.parametrize(
    "number",
    [0.0, 0.1, -273.15, 1 / 3, 2.0**53, 2.0**53 - 1, -(2.0**53), 5e-324, 1.7976931348623157e308, 1e22, 959636.71],
)
def test_numbers_come_back_bit_by_bit(historian: Historian, number: float) -> None:
    store(historian, sample(BORDER, x_number=number))
    store(historian, sample(BORDER, x_other=1.0))  # a merge of fields leaves them alone
    (point,) = historian.read(Query("samples"))
    assert point.fields["x_number"] == number
    assert isinstance(point.fields["x_number"], float)


def test_an_integer_up_to_two_to_the_53_is_exact_and_beyond_it_refused(historian: Historian) -> None:
    store(historian, sample(BORDER, energy_kwh=2**53))
    assert historian.read(Query("samples"))[0].fields == {"energy_kwh": 9007199254740992.0}
    report = historian.write([sample(BORDER + 1, energy_kwh=2**53 + 1)])
    assert "2^53" in report.rejected[0]


def test_writing_a_point_again_changes_nothing(historian: Historian) -> None:
    points = [sample(BORDER + n, x_n=float(n)) for n in range(10)]
    store(historian, *points)
    before = historian.read(Query("samples"))
    store(historian, *points)
    store(historian, *points[3:6], *points[3:6])
    assert historian.read(Query("samples")) == before
    assert historian.count(Query("samples")) == 10


def test_the_last_write_of_a_field_wins_and_the_other_fields_stay(historian: Historian) -> None:
    store(historian, sample(BORDER, x_a=1.0, x_b=2.0, x_note_text="old"))
    store(historian, sample(BORDER, x_b=3.0, x_c=4.0, x_note_text="new"))
    (point,) = historian.read(Query("samples"))
    assert point.fields == {"x_a": 1.0, "x_b": 3.0, "x_c": 4.0, "x_note_text": "new"}


def test_within_one_write_the_later_index_wins(historian: Historian) -> None:
    store(historian, sample(BORDER, x_a=1.0, x_b=1.0), sample(BORDER, x_a=2.0))
    assert historian.read(Query("samples"))[0].fields == {"x_a": 2.0, "x_b": 1.0}


def test_an_explicit_zero_overwrites(historian: Historian) -> None:
    store(historian, sample(BORDER, x_a=7.0))
    store(historian, sample(BORDER, x_a=0.0))
    assert historian.read(Query("samples"))[0].fields == {"x_a": 0.0}


def test_equal_times_of_different_series_stay_apart(historian: Historian) -> None:
    store(historian, sample(BORDER, "cnc-01", x_a=1.0), sample(BORDER, "cnc-02", x_a=2.0))
    found = {point.tags["work_unit"]: point.fields["x_a"] for point in historian.read(Query("samples"))}
    assert found == {"cnc-01": 1.0, "cnc-02": 2.0}


def test_equal_tags_of_different_measurements_stay_apart(historian: Historian) -> None:
    dirty = Point("dirty", {**UNIT, "origin": "ingest"}, BORDER, {"from": 0.0, "to": 1.0, "done": 0.0})
    store(historian, dirty, sample(BORDER, x_a=1.0))
    assert historian.read(Query("dirty")) == [dirty]
    assert historian.count(Query("samples")) == 1


def test_ranges_are_half_open(historian: Historian) -> None:
    store(historian, *(sample(BORDER + n) for n in range(5)))
    assert times(historian.read(Query("samples", start=BORDER + 1, end=BORDER + 3))) == [BORDER + 1, BORDER + 2]
    assert times(historian.read(Query("samples", start=BORDER + 3))) == [BORDER + 3, BORDER + 4]
    assert times(historian.read(Query("samples", end=BORDER + 1))) == [BORDER]
    assert historian.read(Query("samples", start=BORDER + 2, end=BORDER + 2)) == []
    assert historian.read(Query("samples", start=BORDER + 3, end=BORDER + 2)) == []


def test_a_range_may_reach_beyond_all_time(historian: Historian) -> None:
    store(historian, sample(0), sample(BORDER))
    assert times(historian.read(Query("samples", start=-(2**62), end=2**62))) == [0, BORDER]


def test_a_tag_matches_exactly_or_not_at_all(historian: Historian) -> None:
    units = ("cnc-01", "cnc-0", "cnc-011", "cnc-%", "cnc-_1")
    store(historian, *(sample(BORDER + n, unit) for n, unit in enumerate(units)))
    for n, unit in enumerate(units):
        assert times(historian.read(Query("samples", {"work_unit": unit}))) == [BORDER + n]
    assert historian.read(Query("samples", {"work_unit": "CNC-01"})) == []
    assert historian.read(Query("samples", {"work_unit": "cnc-01", "site": "elsewhere"})) == []
    assert historian.count(Query("samples", {"site": "s", "area": "a"})) == len(units)


def test_a_tag_value_may_hold_what_people_write(historian: Historian) -> None:
    tags = {**UNIT, "shift": "pagi, sore = \"malam\" '\\' 夜", "product": "cakram rem"}
    fact = Point("facts", tags, BORDER, {"energy_kwh": 1.5})
    store(historian, fact)
    assert historian.read(Query("facts", {"shift": tags["shift"]})) == [fact]


def test_months_and_years_join_without_a_seam(historian: Historian) -> None:
    borders = [parse_instant(f"{month}-01T00:00:00Z") for month in ("2025-12", "2026-01", "2026-02", "2026-03")]
    expected = sorted(border + offset for border in borders for offset in (-1, 0, 1))
    store(historian, *(sample(time) for time in reversed(expected)))
    assert times(historian.read(Query("samples"))) == expected
    assert times(historian.read(Query("samples", descending=True))) == expected[::-1]
    assert times(historian.read(Query("samples", start=borders[1], end=borders[2]))) == expected[4:7]
    assert times(historian.read(Query("samples", start=borders[1] - 1, end=borders[1] + 1))) == expected[3:5]
    assert times(historian.read(Query("samples", limit=5))) == expected[:5]
    assert times(historian.read(Query("samples", limit=5, descending=True))) == expected[:-6:-1]
    assert historian.count(Query("samples", start=borders[1], end=borders[3])) == 6


def test_the_latest_point_of_each_series_is_found(historian: Historian) -> None:
    silent_since = parse_instant("2025-11-03T10:00:00Z")
    store(historian, sample(silent_since, "cnc-02", x_a=5.0), *(sample(BORDER + n * 1000) for n in range(50)))
    latest = historian.read(Query("samples", {"work_unit": "cnc-02"}, descending=True, limit=1))
    assert latest == [sample(silent_since, "cnc-02", x_a=5.0)]
    before = historian.read(Query("samples", {"work_unit": "cnc-01"}, end=BORDER + 5000, descending=True, limit=1))
    assert times(before) == [BORDER + 4000]


def test_points_written_late_take_their_place_in_time(historian: Historian) -> None:
    store(historian, sample(BORDER + 10), sample(BORDER + 30))
    store(historian, sample(BORDER + 20), sample(BORDER - 10))
    assert times(historian.read(Query("samples"))) == [BORDER - 10, BORDER + 10, BORDER + 20, BORDER + 30]


def test_only_the_asked_fields_come_and_only_points_that_have_one(historian: Historian) -> None:
    store(historian, sample(BORDER, x_a=1.0, x_b=2.0), sample(BORDER + 1, x_b=3.0), sample(BORDER + 2, x_c=4.0))
    query = Query("samples", fields=("x_a", "x_b"))
    assert [dict(point.fields) for point in historian.read(query)] == [{"x_a": 1.0, "x_b": 2.0}, {"x_b": 3.0}]
    assert historian.count(query) == 2
    assert times(historian.read(Query("samples", fields=("x_c",), limit=1))) == [BORDER + 2]


def test_count_says_how_many_read_would_give(historian: Historian) -> None:
    store(historian, *(sample(BORDER + (n - 5) * 1000, f"u-{n % 3}", x_n=float(n)) for n in range(20)))
    for query in (
        Query("samples"),
        Query("samples", {"work_unit": "u-1"}),
        Query("samples", start=BORDER),
        Query("samples", {"work_unit": "u-2"}, BORDER - 2000, BORDER + 9000),
        Query("samples", limit=7),
        Query("samples", limit=0),
        Query("samples", fields=("x_n",), limit=3),
        Query("samples", {"work_unit": "nobody"}),
    ):
        assert historian.count(query) == len(historian.read(query))


def test_a_query_outside_the_schema_is_the_callers_mistake(historian: Historian) -> None:
    for query in (Query("sample"), Query("samples", {"shift": "pagi"}), Query("samples", limit=-1)):
        with pytest.raises(ValueError):
            historian.read(query)
        with pytest.raises(ValueError):
            historian.count(query)


FAULTY = {
    "unknown measurement": Point("sample", UNIT, BORDER, {"x_a": 1.0}),
    "tags of samples are": Point("samples", {**UNIT, "shift": "pagi"}, BORDER, {"x_a": 1.0}),
    "tags of facts are": Point("facts", UNIT, BORDER, {"energy_kwh": 1.0}),
    "tag work_unit is empty": Point("samples", {**UNIT, "work_unit": ""}, BORDER, {"x_a": 1.0}),
    "tag work_unit ends in a backslash": Point("samples", {**UNIT, "work_unit": "a\\"}, BORDER, {"x_a": 1.0}),
    "tag shift has a backslash before": Point(
        "facts_hour", {**UNIT, "shift": "a\\\\ b", "product": "p"}, BORDER, {"good": 1.0}
    ),
    "tag site holds a control": Point("samples", {**UNIT, "site": "a\nb"}, BORDER, {"x_a": 1.0}),
    "no fields": Point("samples", UNIT, BORDER, {}),
    "field x_nan is not finite": sample(BORDER, x_nan=math.nan),
    "field x_inf is not finite": sample(BORDER, x_inf=-math.inf),
    "field x_a must be a number": sample(BORDER, x_a="1"),
    "field x_flag must be a number": sample(BORDER, x_flag=True),
    "field x_a_text must be text": sample(BORDER, x_a_text=1.0),
    "field x_b_text holds a control": sample(BORDER, x_b_text="a\x00b"),
    "field x_c_text holds a control": sample(BORDER, x_c_text="\ud800"),
    "field x_d_text is longer": sample(BORDER, x_d_text="x" * 20_000),
    "unknown field 'Power'": sample(BORDER, Power=1.0),
    "unknown field 'time'": Point("samples", UNIT, BORDER, {"time": 1.0}),
    "unknown field 'site'": Point("samples", UNIT, BORDER, {"site": 1.0}),
    "unknown field 'oee'": Point("facts", {**UNIT, "shift": "s", "product": "p"}, BORDER, {"oee": 1.0}),
    "time -1": sample(-1),
    "time 9999999999999": sample(9_999_999_999_999),
    "time 1.5": sample(1.5),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("reason", FAULTY)
def test_a_faulty_point_is_rejected_with_its_reason_and_harms_no_other(historian: Historian, reason: str) -> None:
    report = historian.write([sample(BORDER), FAULTY[reason], sample(BORDER + 1)])
    assert report.accepted == {0, 2}
    assert list(report.rejected) == [1]
    assert report.rejected[1].startswith(reason)
    assert report.kept(3) == []
    assert times(historian.read(Query("samples"))) == [BORDER, BORDER + 1]


def test_a_write_of_faulty_points_alone_is_a_verdict_and_no_error(historian: Historian) -> None:
    report = historian.write(list(FAULTY.values()))
    assert report.accepted == frozenset()
    assert len(report.rejected) == len(FAULTY)


def test_a_large_write_is_stored_whole(historian: Historian) -> None:
    points = [sample(BORDER + (n - 6000) * 1000, f"u-{n % 7}", x_n=float(n)) for n in range(12_000)]
    store(historian, *points)
    assert historian.read(Query("samples")) == points
