"""Line protocol: a public corpus, any names at all, and what one write becomes."""

import base64
import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from historian.admission import fault
from historian.influx_names import KEPT, MARKER, NS, RAW, slot_of
from historian.line_batches import MAX_BYTES, MAX_LINES, batches, sound
from historian.line_protocol import LineRefused, line
from historian.point import Point
from historian.records import Dirty, dirty_point, statement_point
from historian.schema import TAG_KEYS, Origin
from shopfloor.statement import Statement, StatementKind
from tests.line_parser import UNITS, NotALine, Parsed, parse

UNIT = {"enterprise": "acme", "site": "s", "area": "a", "work_center": "line-1", "work_unit": "cnc-01"}
NOON = 1_790_000_000_000


@pytest.fixture(scope="module")
def corpus(shared_data: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(
        (shared_data / "lineproto" / "influxdata_line-protocol_corpus.json").read_text("utf-8")
    )
    return found


def octets(given: str | dict[str, str]) -> bytes:
    return given.encode() if isinstance(given, str) else base64.b64decode(given["binary"])


def value(of: dict[str, Any]) -> Any:
    ((kind, given),) = of.items()
    return octets(given).decode() if kind == "string" else given


def test_the_tests_own_parser_reads_the_corpus_as_its_authors_do(corpus: dict[str, dict[str, Any]]) -> None:
    for key, case in corpus["decode"].items():
        given, told = case["input"], case["output"]
        try:
            found = parse(octets(given["text"]).decode(), given["precision"])
        except (NotALine, UnicodeDecodeError):
            assert "error" in told, key
            continue
        now = given["defaultTime"] - given["defaultTime"] % UNITS[given["precision"]]
        read = [(p.measurement, p.tags, p.fields, now if p.time is None else p.time) for p in found]
        assert read == [
            (
                p["name"],
                {tag["key"]: tag["value"] for tag in p["tags"]},
                {each["key"]: value(each["value"]) for each in p["fields"]},
                p["time"],
            )
            for p in told.get("result", "an error")
        ], key


def test_the_corpus_is_written_as_it_reads_or_refused_with_a_reason(corpus: dict[str, dict[str, Any]]) -> None:
    written = refused = 0
    for key, case in corpus["encode"].items():
        point = case["input"]["point"]
        tags = {tag["key"]: tag["value"] for tag in point["tags"]}
        fields = {each["key"]: value(each["value"]) for each in point["fields"]}
        kinds = {kind for each in point["fields"] for kind in each["value"]}
        told = told_of(point["name"], tags, fields, point["time"])
        if isinstance(told, LineRefused):
            assert outside(point, kinds, fields) or "error" in case["output"], (key, str(told))
            refused += 1
        else:
            assert not outside(point, kinds, fields), key
            assert parse(told) == [Parsed(point["name"], tags, as_floats(fields), point["time"])], key
            written += 1
    assert (written, refused) == (74, 41)


def told_of(*given: Any) -> str | LineRefused:
    try:
        return line(*given)
    except LineRefused as reason:
        return reason


def outside(point: dict[str, Any], kinds: set[str], fields: dict[str, Any]) -> bool:
    """Whether a case holds what no point of ours can: truth values, huge integers, texts of several lines, names in
    which a backslash stands before a sign, times before 1970.
    """
    huge = any(isinstance(each, int) and abs(each) > 2**53 for each in fields.values())
    split = any(isinstance(each, str) and "\n" in each for each in fields.values())
    names = [*fields, *(each for tag in point["tags"] for each in tag.values())]
    unsafe = any(re.search(r"\\[,= ]", name) for name in names)
    return "bool" in kinds or huge or split or unsafe or point["time"] < 0


def as_floats(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: each if isinstance(each, str) else float(each) for name, each in fields.items()}


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.text('\\,= "#%m0\x00\n', max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)


@given(
    NAMES, st.dictionaries(NAMES, NAMES, max_size=3), st.dictionaries(NAMES, NAMES | NUMBERS), st.integers(0, 2**63 - 1)
)
def test_any_names_are_written_as_they_read_or_refused(
    measurement: str, tags: dict[str, str], fields: dict[str, float | str], time: int
) -> None:
    told = told_of(measurement, tags, fields, time)
    if isinstance(told, LineRefused):
        assert str(told)
    else:
        assert parse(told) == [Parsed(measurement, tags, as_floats(fields), time)]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (("0", {"\\": '"='}, {"a": '"'}, 0), "tag key ends in a backslash"),
        (("0", {}, {"\\\\": "="}, 0), "field key ends in a backslash"),
        (("m", {"k": "x\\"}, {"a": 1.0}, 0), "tag k ends in a backslash"),
        (("m\\", {}, {"a": 1.0}, 0), "measurement ends in a backslash"),
        (("m", {}, {"a\\": 1.0}, 0), "field key ends in a backslash"),
        (("m", {}, {"a\\,b": 1.0}, 0), "field key has a backslash before a comma, an equals sign or a space"),
        (("m", {"time": "x"}, {"a": 1.0}, 0), "time is the name of the time"),
        (("m", {"k": 'a\\ b\\=c"'}, {"a": 1.0}, 0), "tag k has a backslash before a comma, an equals sign or a space"),
        (("m", {}, {"a\x00": 1.0}, 0), "field key holds a control character"),
        (("m", {}, {"a": "x\ny"}, 0), "field a holds a control character"),
        (("#m", {}, {"a": 1.0}, 0), "a measurement that starts with # is a comment"),
        (("", {}, {"a": 1.0}, 0), "measurement is empty"),
        (("m", {"k": ""}, {"a": 1.0}, 0), "tag k is empty"),
        (("m", {}, {}, 0), "no fields"),
        (("m", {}, {"a": float("nan")}, 0), "field a is not finite"),
        (("m", {}, {"a": True}, 0), "field a is neither a number nor text"),
        (("m", {}, {"a": 2**53 + 1}, 0), "field a is beyond 2^53"),
        (("m", {}, {"a": 2**53 + 1, "b": 0.0}, 0), "field a is beyond 2^53"),
        (("m", {}, {"a": 1.0}, -1), "time -1 is not between 1970 and 2262"),
    ],
)
def test_what_a_server_would_misread_or_die_of_is_refused(given: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(LineRefused) as told:
        line(*given)
    assert str(told.value) == reason


# ------------------------------------------------------------ one write


def sample(time: int, unit: str = "cnc-01", **fields: float | str) -> Point:
    return Point("samples", {**UNIT, "work_unit": unit}, time, fields or {"power_kw": 1.0})


def requests(points: list[Point]) -> list[tuple[str, list[Parsed], list[tuple[int, ...]]]]:
    """Of each request the policy, its lines as they read, and the points in each."""
    found = sound(points)
    assert not found.rejected
    return [
        (policy, parse(b"\n".join(each.text for each in lines).decode()), [each.indices for each in lines])
        for policy, lines in batches(points, found.heads, ())
    ]


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10)


@given(
    TEXTS,
    TEXTS,
    st.dictionaries(st.sampled_from(["x_a", "x_b", "good"]), NUMBERS),
    st.dictionaries(st.sampled_from(["x_a_text", "x_b_text"]), TEXTS),
    st.integers(0, 9_223_372_036_854),
)
def test_an_admitted_point_is_one_line_that_says_the_same_bit_by_bit(
    site: str, unit: str, numbers: dict[str, float], texts: dict[str, str], time: int
) -> None:
    point = Point("samples", {**UNIT, "site": site, "work_unit": unit}, time, {**numbers, **texts})
    if fault(point):
        assert list(sound([point]).rejected) == [0]
        return
    ((policy, (read,), indices),) = requests([point])
    assert (policy, indices) == (RAW, [(0,)])
    assert read == Parsed(
        "samples", dict(point.tags), {**as_floats(dict(point.fields)), MARKER: float(len(point.fields))}, time * NS
    )
    for name, number in numbers.items():
        assert struct.pack("<d", read.fields[name]) == struct.pack("<d", number)


FIELDS = st.dictionaries(st.sampled_from(["x_a", "x_b", "good"]), NUMBERS, min_size=1)


@given(st.lists(st.tuples(FIELDS, st.dictionaries(st.just("x_a_text"), TEXTS | st.sampled_from(["},{", ',"', '":'])))))
def test_many_points_are_written_as_each_alone(many: list[tuple[dict[str, float], dict[str, str]]]) -> None:
    points = [sample(NOON + n, **numbers, **texts) for n, (numbers, texts) in enumerate(many)]
    points = [point for point in points if not fault(point)]
    together = [each for _, read, _ in requests(points) for each in read]
    assert together == [each for point in points for _, (each,), _ in requests([point])]


def test_tags_stand_in_the_order_of_their_keys() -> None:
    found = sound([Point("samples", dict(reversed(UNIT.items())), NOON, {"x_a": 1.0})])
    head = found.heads[0].decode()
    assert [pair.split("=")[0] for pair in head.strip().split(",")[1:]] == sorted(TAG_KEYS["samples"])


def test_points_of_one_identity_are_one_line_in_which_the_later_wins() -> None:
    points = [sample(NOON, x_a=1.0, x_b=1.0), sample(NOON, "cnc-02"), sample(NOON, x_a=2.0), sample(NOON, x_c=3.0)]
    ((_, (merged, other), indices),) = requests(points)
    assert merged.fields == {"x_a": 2.0, "x_b": 1.0, "x_c": 3.0, MARKER: 3.0}
    assert other.tags["work_unit"] == "cnc-02"
    assert indices == [(0, 2, 3), (1,)]
    assert points[0].fields == {"x_a": 1.0, "x_b": 1.0}


def test_dirty_intervals_go_first_and_a_statement_with_its_own() -> None:
    unit = "s/a/line-1/cnc-01"
    statement = Statement(
        id="one", unit=unit, kind=StatementKind.REASON, start=1, end=2, author="sari", made_at=NOON, reason="broken"
    )
    told = statement_point("acme", statement, NOON)
    earlier = statement_point("acme", statement, NOON - 1)
    dirty = dirty_point("acme", Dirty(unit, NOON, 1, 2, origin=Origin.STATEMENT, id="one"))
    points = [sample(NOON), told, earlier, dirty]
    assert [(policy, [read.measurement for read in lines], of) for policy, lines, of in requests(points)] == [
        (KEPT, ["dirty", "statements"], [(3,), (1,)]),
        (KEPT, ["statements"], [(2,)]),
        (RAW, ["samples"], [(0,)]),
    ]
    ((_, (first, second), _), *_) = requests(points)
    assert first.time == second.time == NOON * NS + slot_of("one")


def test_a_request_is_bounded_in_lines_and_bytes() -> None:
    many = [sample(NOON + n) for n in range(MAX_LINES + 1)]
    assert [len(lines) for _, lines, _ in requests(many)] == [MAX_LINES, 1]
    long = [sample(NOON + n, x_a_text="x" * 16_000) for n in range(600)]
    found = sound(long)
    sizes = [sum(len(each.text) + 1 for each in lines) for _, lines in batches(long, found.heads, ())]
    assert len(sizes) == 3
    assert max(sizes) <= MAX_BYTES


def test_every_slot_lies_within_its_millisecond_up_to_the_end_of_the_clock() -> None:
    slots = {slot_of(f"statement-{n}") for n in range(20_000)}
    assert min(slots) >= 1
    assert 9_223_372_036_854 * NS + max(slots) < 2**63 - 1
    assert len(slots) > 19_000
