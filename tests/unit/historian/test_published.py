"""Published points are changed in place while they can be, else replaced as a whole."""

from historian import schema
from historian.point import Point
from historian.published import holding, place_tags, published_point, replacements, subject_of
from historian.schema import Measurement
from shopfloor.instant import parse_instant

START = parse_instant("2026-01-05T06:00:00+07:00")
TAGS = {**place_tags("acme", "s/a/line-1/cnc-01"), schema.SHIFT: "pagi"}


def told(time: int = START, **numbers: float | None) -> Point:
    return published_point(Measurement.KPI_PUBLISHED, TAGS, time, numbers, {schema.FLAGS: ""})


def laid(*writes: list[Point]) -> list[Point]:
    """What a store holds after these writes: fields are merged, none is removed."""
    there: dict[int, Point] = {}
    for points in writes:
        for each in points:
            under = there[each.time].fields if each.time in there else {}
            there[each.time] = Point(each.measurement, each.tags, each.time, {**under, **each.fields})
    return list(there.values())


def test_a_first_point_is_written_whole_and_again_not_at_all() -> None:
    point = told(oee_index=0.7, mtbf_s=None)
    assert replacements([], [point]) == [point]
    assert replacements([point], [point]) == []


def test_a_changed_number_is_changed_in_place() -> None:
    before, after = told(oee_index=0.7, teep=0.5), told(oee_index=0.8, teep=0.5, mtbf_s=60.0)
    (written,) = replacements([before], [after])
    assert (written.time, written.fields) == (START, {"oee_index": 0.8, "mtbf_s": 60.0})
    assert holding(laid([before], [written])) == [after]


def test_a_number_that_vanishes_makes_a_new_point_and_the_old_one_holds_no_more() -> None:
    before, after = told(oee_index=0.7, mtbf_s=60.0), told(oee_index=0.8)
    there = laid([before], replacements([before], [after]))
    (found,) = holding(there)
    assert (found.time, found.fields) == (START + 1, after.fields)
    again = told(oee_index=0.8, mtbf_s=90.0)
    there = laid(there, replacements(there, [again]))
    assert [each.fields for each in holding(there)] == [again.fields]
    assert replacements(there, [again]) == []


def test_a_sum_that_vanishes_is_0() -> None:
    before, after = told(sum_scrap=3.0, sum_good=1.0), told(sum_good=1.0)
    (written,) = replacements([before], [after])
    assert (written.time, written.fields) == (START, {"sum_scrap": 0.0})
    assert replacements(laid([before], [written]), [after]) == []


def test_a_period_that_is_no_more_holds_no_more_and_can_come_back() -> None:
    before = told(oee_index=0.7)
    there = laid([before], replacements([before], []))
    assert holding(there) == []
    assert replacements(there, []) == []
    there = laid(there, replacements(there, [before]))
    assert holding(there) == [before]


def test_half_of_a_replacement_is_mended() -> None:
    before, after = told(oee_index=0.7, mtbf_s=60.0), told(oee_index=0.8)
    for part in replacements([before], [after]):
        there = laid([before], [part])
        assert [each.fields for each in holding(laid(there, replacements(there, [after])))] == [after.fields]


def test_places_are_told_by_a_dash() -> None:
    for path in ("", "s", "s/a", "s/a/line-1", "s/a/line-1/cnc-01"):
        tags = place_tags("acme", path)
        assert subject_of(Point("kpi_published", tags, START, {})) == path
        assert list(tags.values()).count("-") == 4 - len([*filter(None, path.split("/"))])
