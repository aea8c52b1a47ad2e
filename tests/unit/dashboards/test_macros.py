"""Macros and ranges as Grafana expands them."""

import pytest

from dashboards.answers import Answer, Series, number, options, read_answer
from dashboards.macros import Choice, Scope, UnknownVariable, expand, expand_in_alert
from dashboards.time_range import BadRange, TimeRange, duration_ms, instant_of, interval_ms, interval_text
from shopfloor.instant import HOUR, format_instant, parse_instant

NOW = parse_instant("2026-03-04T15:20:30+07:00")
"""A Wednesday."""
SPAN = TimeRange(1_000, 61_000)
SCOPE = Scope(
    SPAN,
    interval_ms=300_000,
    choices={
        "site": Choice(("a", "b"), ".*"),
        "line": Choice(("line-1",)),
        "unit": Choice(("cnc-01", "cnc.02")),
        "grain": Choice(("facts_hour",)),
    },
)


@pytest.mark.parametrize(
    ("query", "expanded"),
    [
        ("time >= ${__from}ms AND time < ${__to}ms", "time >= 1000ms AND time < 61000ms"),
        ("${__from:date:seconds}", "1"),
        ("WHERE $timeFilter", "WHERE time >= 1000ms and time <= 61000ms"),
        ("GROUP BY time($__interval)", "GROUP BY time(5m)"),
        ("$__interval_ms", "300000"),
        ("=~ /^${site:regex}$/", "=~ /^.*$/"),
        ("=~ /^${line:regex}$/", "=~ /^line-1$/"),
        ("=~ /^${unit:regex}$/", r"=~ /^(cnc-01|cnc\.02)$/"),
        ('FROM "${grain:raw}"', 'FROM "facts_hour"'),
        ("'$line'", "'line-1'"),
        ("[[grain]]", "facts_hour"),
        ("${unit:csv}", "cnc-01,cnc.02"),
        ("${unit:pipe}", "cnc-01|cnc.02"),
        ("${unit:singlequote}", "'cnc-01','cnc.02'"),
        ("${unit:doublequote}", '"cnc-01","cnc.02"'),
    ],
)
def test_a_macro_is_expanded(query: str, expanded: str) -> None:
    assert expand(query, SCOPE) == expanded


@pytest.mark.parametrize("query", ["$lime", "${lime:regex}", "${unit:html}", "${__to:date:iso}"])
def test_what_grafana_would_leave_standing_is_told(query: str) -> None:
    with pytest.raises(UnknownVariable, match=r"no variable is named 'lime'; the board has|is not known here; write"):
        expand(query, SCOPE)


@pytest.mark.parametrize(
    ("query", "expanded"),
    [
        ("WHERE $timeFilter", "WHERE time >= 1000ms and time <= 61000ms"),
        ("time($__interval)", "time(5m)"),
        ("time($interval)", "time(5m)"),
        ("$__interval_ms", "300000"),
        ("=~ /^a$/", "=~ /^a$/"),
    ],
)
def test_the_alerting_engine_fills_in_range_and_interval(query: str, expanded: str) -> None:
    assert expand_in_alert(query, SPAN, 300_000) == expanded


@pytest.mark.parametrize("query", ["${__from}", "$__timeFilter", "${__interval}", "${unit:regex}", "[[unit]]"])
def test_it_fills_in_nothing_else(query: str) -> None:
    with pytest.raises(UnknownVariable, match="an alert knows"):
        expand_in_alert(query, SPAN, 300_000)


@pytest.mark.parametrize(
    ("text", "ends", "instant"),
    [
        ("now", False, "2026-03-04T15:20:30+07:00"),
        ("now-24h", False, "2026-03-03T15:20:30+07:00"),
        ("now-15m", False, "2026-03-04T15:05:30+07:00"),
        ("now/d", False, "2026-03-04T00:00:00+07:00"),
        ("now/d", True, "2026-03-04T23:59:59.999+07:00"),
        ("now-1d/d", False, "2026-03-03T00:00:00+07:00"),
        ("now/w", False, "2026-03-02T00:00:00+07:00"),
        ("now-1M/M", False, "2026-02-01T00:00:00+07:00"),
        ("now-1M/M", True, "2026-02-28T23:59:59.999+07:00"),
        ("now/y", False, "2026-01-01T00:00:00+07:00"),
        ("now-7d+12h", False, "2026-02-26T03:20:30+07:00"),
        ("2026-01-05T06:00:00+07:00", False, "2026-01-05T06:00:00+07:00"),
    ],
)
def test_a_boards_time_is_an_instant(text: str, ends: bool, instant: str) -> None:
    assert format_instant(instant_of(text, NOW, "Asia/Jakarta", ends=ends)) == format_instant(parse_instant(instant))


def test_a_day_goes_back_over_the_change_to_summer_time() -> None:
    now = parse_instant("2026-03-29T12:00:00+02:00")
    assert instant_of("now-1d", now, "Europe/Berlin") == now - 23 * HOUR
    assert instant_of("now-24h", now, "Europe/Berlin") == now - 24 * HOUR


@pytest.mark.parametrize("text", ["now-", "now-24x", "nowhere", "now/d!"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(BadRange, match=r"write e\.g\. now-24h"):
        instant_of(text, NOW, "browser")


@pytest.mark.parametrize(
    ("hours", "points", "least", "interval"),
    [
        (1, 936, None, "5s"),
        (24, 936, None, "2m"),
        (24, 936, "5m", "5m"),
        (24 * 90, 936, ">1m", "2h"),
        (1, 10_000, None, "500ms"),
    ],
)
def test_an_interval_is_as_long_as_pixels_ask(hours: int, points: int, least: str | None, interval: str) -> None:
    assert interval_text(interval_ms(TimeRange(0, hours * HOUR), points, least)) == interval


def test_a_length_of_time_is_read() -> None:
    assert [duration_ms(text) for text in ("250ms", ">10s", "5m", "1h", "1d")] == [
        250,
        10_000,
        300_000,
        HOUR,
        24 * HOUR,
    ]
    with pytest.raises(BadRange, match="no length of time"):
        duration_ms("soon")


ROWS = (
    b'{"results":[{"series":[{"name":"m","tags":{"u":"x"},"columns":["time","a","b"],'
    b'"values":[[1,null,2.5],[2,3,null]]}]}]}'
)


def test_an_answer_is_read() -> None:
    (series,) = read_answer(ROWS).series
    assert (number(series, "a"), number(series, "b")) == (3.0, 2.5)
    assert not read_answer(ROWS).empty
    with pytest.raises(KeyError):
        number(series, "c")


def test_an_answer_of_times_alone_is_empty() -> None:
    assert Answer((Series(columns=("time", "a"), values=((1, None), (2, None))),)).empty
    assert read_answer(b'{"results":[{"statement_id":0}]}').empty
    assert read_answer(b'{"results":[{"error":"shard gone"}]}').error == "shard gone"
    assert "cannot be read" in str(read_answer(b"<html>").error)


def test_choices_are_the_second_cells_each_once() -> None:
    values = Answer((Series(columns=("key", "value"), values=(("u", "b"), ("u", "a"), ("u", "b"))),))
    assert options("SHOW TAG VALUES WITH KEY = u", values) == ["b", "a"]
    numbers = Answer((Series(columns=("time", "first"), values=((7, 5.0), (8, 0.25))),))
    assert options("SELECT first(x) FROM m", numbers) == ["5", "0.25"]
    keys = Answer((Series(columns=("fieldKey", "fieldType"), values=(("good", "float"),)),))
    assert options("SHOW FIELD KEYS", keys) == ["good"]
