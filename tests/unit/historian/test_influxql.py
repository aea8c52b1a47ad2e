"""Questions that nobody can bend, and answers to the bit."""

import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from historian import influxql
from historian.influxql import Columns, Series
from historian.point import Query

UNIT = {"enterprise": "acme", "site": "s", "area": "a", "work_center": "line-1", "work_unit": "cnc-01"}


def unquoted(text: str, quote: str) -> tuple[str, str]:
    """What a lexer of InfluxQL reads of a quoted text, and what stands behind it."""
    assert text[0] == quote
    read, at = "", 1
    while text[at] != quote:
        assert text[at] != "\n"
        if text[at] == "\\":
            at += 1
            read += {"n": "\n", "\\": "\\", '"': '"', "'": "'"}[text[at]]
        else:
            read += text[at]
        at += 1
    return read, text[at + 1 :]


@given(st.text() | st.text("'\"\\\n; "))
def test_a_quoted_text_ends_where_it_should(text: str) -> None:
    assert unquoted(influxql.literal(text) + " rest", "'") == (text, " rest")
    assert unquoted(influxql.identifier(text) + " rest", '"') == (text, " rest")


def test_a_query_is_one_statement_with_quoted_names() -> None:
    query = Query("samples", {"work_unit": "x' OR 1=1; DROP DATABASE ceper --"}, 1, 2, descending=True, limit=3)
    assert influxql.select_points(query) == (
        'SELECT * FROM "samples" WHERE "work_unit" = \'x\\\' OR 1=1; DROP DATABASE ceper --\' '
        "AND time >= 1000000 AND time < 2000000 GROUP BY * ORDER BY time DESC LIMIT 3"
    )


def test_an_open_range_is_all_that_the_clock_has() -> None:
    asked = influxql.select_count(Query("samples", start=-5))
    assert asked.endswith("WHERE time >= 0 AND time <= 9223372036854775806")
    assert influxql.select_count(Query("samples", end=2**62)) == influxql.select_count(Query("samples"))


@pytest.mark.parametrize(
    "query",
    [
        Query("samples", limit=0),
        Query("samples", start=5, end=5),
        Query("samples", end=0),
        Query("samples", start=2**62),
        Query("samples", {"work_unit": ""}),
        Query("samples", {"work_unit": "a\\"}),
        Query("samples", {"work_unit": "a\x00'"}),
        Query("samples", {"work_unit": "\ud800"}),
        Query("samples", fields=()),
        Query("facts", fields=("oee", '"; DROP DATABASE ceper')),
    ],
)
def test_what_no_point_can_have_is_never_asked_for(query: Query) -> None:
    assert influxql.is_vain(query)


def test_only_fields_of_the_schema_are_asked_for() -> None:
    query = Query("samples", fields=("x_a", 'y", "z', "x_a", "Time"))
    assert influxql.select_points(query).startswith('SELECT "x_a" FROM')


def answered(values: str, *columns: str) -> Series:
    document = influxql.document(
        b'{"results":[{"series":[{"name":"samples","tags":%b,"columns":%b,"values":%b}]}]}'
        % (msgspec.json.encode(UNIT), msgspec.json.encode(["time", *columns]), values.encode())
    )
    return document.results[0].series[0]


ROWS = "[[1,-0,1e+22],[2,null,5e-324],[3,123456789012345680000,null],[4,0.1,-0]]"


def test_numbers_are_read_bit_by_bit_the_negative_zero_too() -> None:
    expected = {"x_a": [-0.0, None, 1.2345678901234568e20, 0.1], "x_b": [1e22, 5e-324, None, -0.0]}
    points = list(influxql.points_of("samples", [answered(ROWS, "x_a", "x_b")]))
    columns = Columns("samples", [answered(ROWS, "x_a", "x_b")])
    for name, numbers in expected.items():
        for row, number in enumerate(numbers):
            if number is None:
                assert name not in points[row].fields
                assert np.isnan(columns.numbers()[name][row])
            else:
                wanted = struct.pack("<d", number)
                assert struct.pack("<d", points[row].fields[name]) == wanted
                assert struct.pack("<d", columns.numbers()[name][row]) == wanted
    assert columns.times.tolist() == [1, 2, 3, 4]


def test_texts_that_look_like_rows_are_texts() -> None:
    series = answered('[[1,-0,"],[ ,-0, null"],[2,1.5,null]]', "x_a", "x_b_text")
    one, two = influxql.points_of("samples", [series])
    assert one.fields == {"x_a": 0.0, "x_b_text": "],[ ,-0, null"}
    assert str(one.fields["x_a"]) == "-0.0"
    assert two.fields == {"x_a": 1.5}
    columns = Columns("samples", [series])
    assert columns.texts() == {"x_b_text": ["],[ ,-0, null", None]}
    assert str(columns.numbers()["x_a"][0]) == "-0.0"


def test_a_column_that_the_schema_does_not_know_is_left_out() -> None:
    series = answered("[[1,1,2]]", "N", "x_a")
    (point,) = influxql.points_of("samples", [series])
    assert point.fields == {"x_a": 2.0}
    assert point.tags == UNIT
    assert set(Columns("samples", [series]).numbers()) == {"x_a"}


def test_a_column_without_any_value_is_left_out() -> None:
    columns = Columns("samples", [answered("[[1,null,2,null]]", "x_a", "x_b", "status_text")])
    assert (set(columns.numbers()), columns.texts()) == ({"x_b"}, {})


def test_pieces_with_different_columns_are_joined() -> None:
    columns = Columns("samples", [answered("[[1,1.5]]", "x_a"), answered('[[2,2.5,"t"]]', "x_b", "x_c_text")])
    assert columns.times.tolist() == [1, 2]
    assert columns.lengths == [1, 1]
    assert columns.numbers(absent=0.0)["x_a"].tolist() == [1.5, 0.0]
    assert columns.numbers(absent=0.0)["x_b"].tolist() == [0.0, 2.5]
    assert columns.texts() == {"x_c_text": [None, "t"]}


def test_an_answer_says_whether_more_must_follow() -> None:
    whole = influxql.document(b'{"results":[{"statement_id":0}]}')
    rows = influxql.document(b'{"results":[{"statement_id":0,"series":[{"name":"m","values":[],"partial":true}]}]}')
    more = influxql.document(b'{"results":[{"statement_id":0,"partial":true}]}')
    assert [each.unfinished for each in (whole, rows, more)] == [False, True, True]


def test_a_dirty_interval_that_is_still_being_written_is_not_there_yet() -> None:
    """The server shows the fields of a point one by one; a missing end would read as 0, and nothing be derived."""
    columns = ("from", "to", "done", "N")
    whole = answered("[[1000, 5, 9, 0, 3]]", *columns)
    half = answered("[[2000, 5, null, 0, 3], [3000, 5, 9, 0, null]]", *columns)
    (point,) = influxql.points_of("dirty", [whole, half])
    assert (point.time, point.fields) == (1000, {"from": 5.0, "to": 9.0, "done": 0.0})
    assert len(list(influxql.points_of("samples", [answered("[[1000, 5, 2]]", "x_a", "N")]))) == 1
