"""The store on Debian's real influxd: killed, away, choosy, with users; and 20,000 odd points to the bit."""

import itertools
import random
import string
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cli.main import main
from historian import influx_setup, influxql
from historian.admission import fault
from historian.connect import connect
from historian.historian import Historian
from historian.influx import FEW, InfluxHistorian
from historian.influx_access import InfluxAccess
from historian.influx_answers import LinesRefused
from historian.influx_http import InfluxServer
from historian.influx_names import KEPT, RAW
from historian.influx_setup import DAY, FOREVER, set_up
from historian.line_batches import batches, sound
from historian.line_protocol import LineRefused, line
from historian.point import Point, Query
from historian.records import Dirty, dirty_point, point_dirty, point_sample
from historian.schema import TAG_KEYS, Grain, Origin
from shopfloor.columns import SampleColumns
from shopfloor.errors import Backpressure, ServiceUnavailable
from shopfloor.instant import HOUR, parse_instant
from tests import influxd
from tests.influxd import InfluxDaemon, fresh_database

UNIT = {"enterprise": "acme", "site": "s", "area": "a", "work_center": "line-1", "work_unit": "cnc-01"}
NOON = parse_instant("2026-02-03T12:00:00Z")


def sample(n: int, unit: str = "cnc-01", **fields: float | str) -> Point:
    return Point("samples", {**UNIT, "work_unit": unit}, NOON + n, fields or {"x_n": float(n)})


@pytest.fixture
def url(influx: InfluxDaemon) -> str:
    return fresh_database(influx.address)


@pytest.fixture
def historian(url: str) -> Iterator[Historian]:
    store = connect(url)
    yield store
    store.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Callable[..., InfluxDaemon]]:
    """Starts a server of the test's own."""
    influxd.require()
    started: list[InfluxDaemon] = []

    def start(**options: object) -> InfluxDaemon:
        started.append(InfluxDaemon(tmp_path / f"influxd-{len(started)}", **options).start())  # type: ignore[arg-type]
        return started[-1]

    yield start
    for daemon in started:
        daemon.stop()


# ------------------------------------------------------------ killed and away


def test_what_was_acknowledged_survives_every_kill_of_the_server(own: Callable[..., InfluxDaemon]) -> None:
    daemon, acknowledged = own(), 0
    historian = connect(fresh_database(daemon.address))
    for _ in range(3):
        enough = threading.Event()
        killer = threading.Thread(target=lambda: enough.wait() and daemon.kill())  # noqa: B023 - joined below
        killer.start()
        acknowledged = written_until_refused(historian, acknowledged, enough)
        killer.join()
        daemon.restart()
        assert {point.time for point in historian.read(Query("samples"))} >= {NOON + n for n in range(acknowledged)}
        assert historian.count(Query("samples")) >= acknowledged
    historian.close()


def written_until_refused(historian: Historian, first: int, enough: threading.Event) -> int:
    """Write point after point, ``enough`` of them and then on; the number of the first that was not acknowledged."""
    for n in itertools.count(first):
        try:
            assert historian.write([sample(n)]).accepted == {0}
        except Backpressure:
            return n
        if n == first + 25:
            enough.set()
    raise AssertionError


def test_a_server_that_was_away_is_found_again(own: Callable[..., InfluxDaemon]) -> None:
    daemon = own()
    historian = connect(fresh_database(daemon.address))
    assert historian.write([sample(1)]).accepted == {0}
    daemon.stop()
    for work in (lambda: historian.write([sample(2)]), lambda: historian.read(Query("samples"))):
        with pytest.raises(Backpressure, match="cannot be reached"):
            work()
    daemon.restart()
    assert historian.write([sample(2)]).accepted == {0}
    assert historian.count(Query("samples")) == 2
    historian.close()


def test_a_server_that_hangs_loses_nothing_and_is_not_waited_for(own: Callable[..., InfluxDaemon]) -> None:
    daemon = own()
    url = fresh_database(daemon.address)
    patient, impatient = connect(url), InfluxHistorian(InfluxAccess.of(url, {}), patience_s=0.3)
    patient.write([sample(1)])
    daemon.pause()
    with pytest.raises(Backpressure, match="in time"):
        impatient.write([sample(2)])
    daemon.go_on()
    patient.write([sample(2)])
    assert patient.count(Query("samples")) == 2
    patient.close()
    impatient.close()


# ------------------------------------------------------------ choosy


def test_lines_of_another_type_are_told_apart_with_the_servers_words(url: str, historian: Historian) -> None:
    server = InfluxServer(InfluxAccess.of(url, {}))
    server.write(
        RAW, b'samples,area=a,enterprise=acme,site=s,work_center=line-1,work_unit=cnc-01 x_b="text" 1770120000000000000'
    )
    points = [sample(n, **{"x_b" if n % 10 == 3 else "x_a": 1.0}) for n in range(100)]
    report = historian.write(points)
    assert sorted(report.rejected) == list(range(3, 100, 10))
    assert "field type conflict" in report.rejected[13]
    assert len(report.accepted) == 90
    assert historian.count(Query("samples", fields=("x_a",))) == 90
    server.close()


def test_a_database_that_others_write_into_is_refused_with_what_to_do(url: str, historian: Historian) -> None:
    InfluxServer(InfluxAccess.of(url, {})).write(RAW, b'samples,work_unit=w x_b="text" 1770120000000000000')
    with pytest.raises(ServiceUnavailable, match="a database of its own"):
        historian.read(Query("samples"))


def test_samples_beyond_the_retention_are_rejected_and_facts_are_not(influx: InfluxDaemon) -> None:
    historian = connect(fresh_database(influx.address, DAY))
    old, new = sample(0), Point("facts", {**UNIT, "shift": "s", "product": "p"}, NOON - 400 * DAY, {"energy_kwh": 1.0})
    report = historian.write([old, new])
    assert report.accepted == {1}
    assert "beyond retention policy" in report.rejected[0]
    assert historian.read(Query("facts")) == [new]
    historian.close()


def test_a_server_that_is_full_of_series_says_so_and_what_to_raise(own: Callable[..., InfluxDaemon]) -> None:
    historian = connect(fresh_database(own(index="inmem", max_values=3).address))
    assert len(historian.write([sample(n, f"u-{n}") for n in range(3)]).accepted) == 3
    report = historian.write([sample(n, f"u-{n}") for n in range(6)])
    assert report.accepted == {0, 1, 2}
    assert report.rejected.keys() == {3, 4, 5}
    assert all("raise max-values-per-tag" in words for words in report.rejected.values())
    historian.close()


def test_a_server_that_limits_rows_gives_all_rows(own: Callable[..., InfluxDaemon]) -> None:
    historian = connect(fresh_database(own(max_rows=10).address))
    historian.write([sample(n, f"u-{n % 3}") for n in range(100)])
    assert len(historian.read(Query("samples"))) == 100
    assert len(historian.samples("acme", "s/a/line-1/u-0", None, None)) == 34
    historian.close()


def test_answers_longer_than_a_piece_come_whole(historian: Historian) -> None:
    for first in range(0, 25_000, 5_000):
        historian.write([sample(n) for n in range(first, first + 5_000)])
    assert [point.time for point in historian.read(Query("samples"))] == [NOON + n for n in range(25_000)]
    assert len(historian.samples("acme", "s/a/line-1/cnc-01", NOON, NOON + 24_999)) == 24_999
    assert len(historian.read(Query("samples", descending=True, limit=20_001))) == 20_001


def test_a_units_samples_come_whole_among_many_fields_of_others(historian: Historian) -> None:
    """Also the field that only the last of many samples has, and texts."""
    historian.write([sample(0, f"u-{n}", **{f"x_{n}_{field}": 1.0 for field in range(20)}) for n in range(5)])
    historian.write([sample(n, x_n=float(n), status_text="x_lost=bad:comm_lost") for n in range(2 * FEW)])
    historian.write([sample(2 * FEW, x_late=1.0, x_word_text="merah")])
    unit = "s/a/line-1/cnc-01"
    found = historian.samples("acme", unit, None, None)
    points = historian.read(Query("samples", UNIT))
    expected = SampleColumns.of(unit, map(point_sample, points))
    assert len(found) == 2 * FEW + 1
    assert found.heard.keys() == expected.heard.keys() == {"x_n", "x_lost", "x_late", "x_word_text"}
    for tag in expected.heard:
        assert found.heard[tag].tolist() == expected.heard[tag].tolist()
        assert np.array_equal(found.values[tag], expected.values[tag], equal_nan=True)


def test_a_database_that_is_dropped_while_running_keeps_the_data_and_says_what_to_do(
    url: str, historian: Historian
) -> None:
    server = InfluxServer(InfluxAccess.of(url, {}))
    list(server.query("", f"DROP DATABASE {influxql.identifier(url.rpartition('/')[2])}"))
    for work in (lambda: historian.write([sample(1)]), lambda: historian.read(Query("samples"))):
        with pytest.raises(Backpressure, match="shopfloor historian init"):
            work()
    with pytest.raises(ServiceUnavailable, match="shopfloor historian init"):
        connect(url)
    list(set_up(InfluxAccess.of(url, {}), FOREVER))
    assert historian.write([sample(1)]).accepted == {0}
    server.close()


# ------------------------------------------------------------ what one says, another never overwrites


def test_two_that_write_at_one_moment_are_stored_side_by_side(url: str, historian: Historian) -> None:
    """Without the look before the write: as if both had looked before either wrote."""
    server, unit = InfluxServer(InfluxAccess.of(url, {})), "s/a/line-1/cnc-01"
    both = [Dirty(unit, NOON, 1, 2, origin=Origin.STATEMENT, id=who) for who in ("one", "two")]
    for dirty in both:
        points = [dirty_point("acme", dirty)]
        ((policy, lines),) = batches(points, sound(points).heads, ())
        server.write(policy, lines[0].text)
    assert sorted(map(point_dirty, historian.read(Query("dirty"))), key=lambda each: each.id) == both
    assert historian.count(Query("dirty")) == 2
    done = [Dirty(unit, NOON, 1, 2, done=True, origin=Origin.STATEMENT, id=who) for who in ("one", "two")]
    assert historian.write([dirty_point("acme", dirty) for dirty in done]).accepted == {0, 1}
    assert sorted(map(point_dirty, historian.read(Query("dirty"))), key=lambda each: each.id) == done
    third = Dirty(unit, NOON, 5, 9, origin=Origin.STATEMENT, id="three")
    assert "taken by" in historian.write([dirty_point("acme", third)]).rejected[0]
    server.close()


def test_many_claims_of_one_call_are_looked_up_together(historian: Historian) -> None:
    unit = "s/a/line-1/cnc-01"
    mine = [Dirty(unit, NOON + n, n, n + 1, origin=Origin.STATEMENT, id=f"mine-{n}") for n in range(250)]
    theirs = [Dirty(unit, NOON + n, 7, 8, origin=Origin.STATEMENT, id=f"theirs-{n}") for n in range(250)]
    assert len(historian.write([dirty_point("acme", each) for each in mine]).accepted) == 250
    assert len(historian.write([dirty_point("acme", each) for each in theirs]).rejected) == 250
    assert list(map(point_dirty, historian.read(Query("dirty")))) == mine


# ------------------------------------------------------------ set-up


def test_setting_up_again_changes_nothing(influx: InfluxDaemon) -> None:
    access = InfluxAccess.of(f"{influx.address}/again", {})
    first, second = list(set_up(access)), list(set_up(access))
    assert first[1:4] == [
        "database again: made",
        "retention policy autogen: is there, for ever, shards of 91d",
        "retention policy raw: made, 400d, shards of 7d",
    ]
    assert second[1:4] == [
        "database again: is there",
        "retention policy autogen: is there, for ever, shards of 91d",
        "retention policy raw: is there, 400d, shards of 7d",
    ]
    assert first[-1] == second[-1] == f"{access} is ready"


def test_a_database_that_somebody_made_by_hand_is_set_right(influx: InfluxDaemon) -> None:
    access = InfluxAccess.of(f"{influx.address}/byhand", {})
    server = InfluxServer(access)
    list(server.query("", 'CREATE DATABASE "byhand" WITH DURATION 30d NAME "short"'))
    list(server.query("", 'CREATE RETENTION POLICY "raw" ON "byhand" DURATION 1d REPLICATION 1 DEFAULT'))
    told = list(set_up(access, 90 * DAY))
    assert "retention policy autogen: made, for ever, shards of 91d" in told
    assert "retention policy raw: changed from 1d, shards of 1h to 90d, shards of 7d" in told
    assert all("changed" not in each for each in set_up(access, 90 * DAY))
    server.close()


@pytest.mark.parametrize(("index", "told"), [("tsi1", "index: tsi1"), ("inmem", "warning: the index is inmem")])
def test_the_index_is_told(own: Callable[..., InfluxDaemon], index: str, told: str) -> None:
    access = InfluxAccess.of(f"{own(index=index).address}/ceper", {})
    list(set_up(access))
    connect(str(access)).write([sample(0), Point("ledger", {"agent": "a", "outbox": "o"}, NOON, {"oldest_t": 1.0})])
    assert any(each.startswith(told) for each in set_up(access))


def test_the_command_tells_what_it_found_and_ends_with_0(
    influx: InfluxDaemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOPFLOOR_HISTORIAN", f"{influx.address}/command")
    assert main(["historian", "init", "plants/ceper/plant.yaml", "--raw-retention", "30d"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].endswith("198,720 samples a day, 5,961,600 when the raw retention is full")
    assert told[-1] == f"{influx.address}/command is ready"


def test_the_command_makes_the_embedded_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOPFLOOR_HISTORIAN", str(tmp_path / "store"))
    assert main(["historian", "init"]) == 0
    assert "is ready" in capsys.readouterr().out
    assert (tmp_path / "store" / "catalog.db").exists()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:9/ceper", "cannot be reached"),
        ("http://127.0.0.1:9", "names no database"),
        ("http://user:pass-7@127.0.0.1/ceper", "SHOPFLOOR_HISTORIAN_PASSWORD"),
    ],
)
def test_what_is_wrong_is_one_line_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str, told: str
) -> None:
    monkeypatch.setenv("SHOPFLOOR_HISTORIAN", url)
    assert main(["historian", "init"]) == 1
    words = capsys.readouterr().err
    assert told in words
    assert words.count("\n") == 1
    assert "pass-7" not in words


def test_a_retention_below_an_hour_is_refused(influx: InfluxDaemon) -> None:
    with pytest.raises(ServiceUnavailable, match="1h or more"):
        list(set_up(InfluxAccess.of(f"{influx.address}/short", {}), HOUR - 1))


def test_users_and_rights_are_needed_where_the_server_asks_for_them(own: Callable[..., InfluxDaemon]) -> None:
    daemon = own(auth=True)
    address = f"{daemon.address}/ceper"
    nobody = InfluxServer(InfluxAccess.of(address, {}))
    list(nobody.query("", "CREATE USER root WITH PASSWORD 'pass-7' WITH ALL PRIVILEGES"))
    nobody.close()

    def user(name: str, password: str = "pass-7") -> dict[str, str]:
        return {"SHOPFLOOR_HISTORIAN_USERNAME": name, "SHOPFLOOR_HISTORIAN_PASSWORD": password}

    for secrets in ({}, user("root", "pass-8")):
        with pytest.raises(ServiceUnavailable, match="SHOPFLOOR_HISTORIAN_USERNAME") as fault:
            list(set_up(InfluxAccess.of(address, secrets)))
        assert "pass-8" not in str(fault.value)
    access = InfluxAccess.of(address, user("root"))
    list(set_up(access, FOREVER))
    root = InfluxServer(access)
    for statement in ("CREATE USER reader WITH PASSWORD 'pass-7'", 'GRANT READ ON "ceper" TO reader'):
        list(root.query("", statement))
    reader, writer = connect(address, user("reader")), connect(address, user("root"))
    assert writer.write([sample(1)]).accepted == {0}
    assert reader.count(Query("samples")) == 1
    with pytest.raises(Backpressure, match="the right to read and write") as refusal:
        reader.write([sample(2)])
    assert "pass-7" not in str(refusal.value)
    with pytest.raises(ServiceUnavailable, match="the right"):
        list(set_up(InfluxAccess.of(address, user("reader"))))
    for each in (root, reader, writer):
        each.close()


# ------------------------------------------------------------ odd names, strings and numbers

ODD = [
    *"\\\\\\,,,===   \"\"'';;%$#@!/*`~|()[]{}<>\t\n\x00\x7f\x85",
    *"äßéø鋼夜ⵣ\u200b\u2028\ufeff\ufffd\U0001f3ed",
    *"nrtux019azAZ_-.",
]
LIKE_OTHERS = [
    *(
        "null",
        "true",
        "1i",
        "-0",
        "1e5",
        "NaN",
        "time",
        "_field",
        "N",
        "name",
        "select",
        "x,y=z",
        "\\n",
        "\\\\",
        "a\\ b",
    ),
    *(
        "],[",
        ",-0,",
        '"],["',
        "# no comment",
        "'; DROP DATABASE t; --",
        "${x}",
        "=~ /.*/",
        "a\\,b",
        "a\\=b",
        '\\"',
        "x" * 3_000,
    ),
]


def odd_text(chance: random.Random) -> str:
    if chance.random() < 0.1:
        return chance.choice(LIKE_OTHERS)
    text = "".join(chance.choices(ODD, k=chance.randint(0, 9)))
    return text + chance.choice(string.ascii_letters) if chance.random() < 0.7 else text


def odd_number(chance: random.Random) -> float:
    if chance.random() < 0.2:
        return chance.choice([0.0, -0.0, 5e-324, 1.7976931348623157e308, 1e22, 1e21, 1e-7, 2.0**53, -(2.0**53), 0.1])
    (number,) = struct.unpack("<d", chance.randbytes(8))
    return float(number)


def odd_point(chance: random.Random, n: int) -> Point:
    """One in four a fact with odd tags, the others samples with odd fields; each at its own time."""
    if n % 4 == 0:
        tags = {**UNIT, "shift": odd_text(chance), "product": odd_text(chance)}
        return Point(Grain.MINUTE, tags, NOON + n, {"energy_kwh": odd_number(chance)})
    fields: dict[str, float | str] = {}
    for _ in range(chance.randint(1, 3)):
        if chance.random() < 0.5:
            fields[f"x_{chance.choice('abc')}_text"] = odd_text(chance)
        else:
            fields[f"x_{chance.choice('abc')}"] = odd_number(chance)
    if chance.random() < 0.05:
        fields[odd_text(chance)] = 1.0
    tags = UNIT if chance.random() < 0.9 else {**UNIT, "work_unit": odd_text(chance)}
    return Point("samples", tags, NOON + n, fields)


def bits(point: Point) -> tuple[object, ...]:
    fields = {name: v if isinstance(v, str) else struct.pack("<d", float(v)) for name, v in point.fields.items()}
    return str(point.measurement), point.time, dict(point.tags), fields


def test_odd_points_are_refused_or_come_back_bit_by_bit(influx: InfluxDaemon, historian: Historian) -> None:
    chance, points = random.Random(20_260_203), []
    for first in range(0, 24_000, 4_000):
        some = [odd_point(chance, n) for n in range(first, first + 4_000)]
        report = historian.write(some)
        assert report.rejected.keys() == {index for index, point in enumerate(some) if fault(point)}
        assert report.kept(len(some)) == []
        points += [some[index] for index in sorted(report.accepted)]
    assert len(points) > 12_000
    found = [point for measurement in ("facts", "samples") for point in historian.read(Query(measurement))]
    assert sorted(map(bits, found), key=repr) == sorted(map(bits, points), key=repr)
    assert historian.count(Query("samples")) + historian.count(Query("facts")) == len(points)
    assert influx.alive


def test_odd_tag_values_are_found_by_what_they_are(historian: Historian) -> None:
    chance = random.Random(7)
    texts = list({odd_text(chance): None for _ in range(300)})
    points = [
        Point("facts", {**UNIT, "shift": t, "product": "p"}, NOON + n, {"good": 1.0}) for n, t in enumerate(texts)
    ]
    accepted = historian.write(points).accepted
    for index, text in enumerate(texts):
        expected = [NOON + index] if index in accepted else []
        assert [point.time for point in historian.read(Query("facts", {"shift": text}))] == expected, text
        assert historian.count(Query("facts", {"shift": text})) == len(expected)


def test_no_line_that_is_written_is_refused_or_kills_the_server(influx: InfluxDaemon, url: str) -> None:
    """Any names, not only those of the schema: whatever ``line`` does not refuse, the server takes."""
    chance, server, lines = random.Random(11), InfluxServer(InfluxAccess.of(url, {})), []
    while len(lines) < 10_000:
        tags = {odd_text(chance): odd_text(chance) for _ in range(chance.randint(0, 2))}
        fields: dict[str, float | str] = {
            f"{odd_text(chance)}n": odd_number(chance),
            f"{odd_text(chance)}t": odd_text(chance),
        }
        try:
            lines.append(line(odd_text(chance), tags, fields, NOON * 1_000_000 + len(lines)))
        except LineRefused:
            continue
    for first in range(0, len(lines), 2_000):
        server.write(KEPT, "\n".join(lines[first : first + 2_000]).encode())
    assert influx.answers()
    server.close()


def test_a_backslash_before_a_sign_would_take_the_next_line_along(url: str) -> None:
    """Why ``admission`` refuses it: the server of 1.6 answers, and the second line is not there."""
    server, head = InfluxServer(InfluxAccess.of(url, {})), b"facts,product=p,shift="
    swallowing = head + rb"a\\ b\\=c" + b'" good=1 1\n' + head + b"s good=2 2"
    with suppress(LinesRefused):
        server.write(KEPT, swallowing)
    ((_, found),) = [*server.query(KEPT, "SELECT good FROM facts"), (0, influxql.Series())][:1]
    assert b"2]" not in bytes(found.values)
    server.write(KEPT, head + b"s good=2 2")
    ((_, found),) = server.query(KEPT, "SELECT good FROM facts WHERE good = 2")
    assert b",2]" in bytes(found.values)
    server.close()


def test_the_schema_of_the_store_is_the_schema_of_points(url: str, historian: Historian) -> None:
    """Tags are tags and fields are fields on the server, for whoever else reads it."""
    points = [
        Point(name, dict.fromkeys(keys, "x"), NOON, {"from": 1.0} if name == "dirty" else {"good": 1.0})
        for name, keys in TAG_KEYS.items()
        if name in (*Grain, "dirty")
    ]
    assert len(historian.write(points).accepted) == len(points)
    server = InfluxServer(InfluxAccess.of(url, {}))
    for name, keys in ((point.measurement, TAG_KEYS[point.measurement]) for point in points):
        found = [series for _, series in server.query(KEPT, f"SHOW TAG KEYS FROM {influxql.identifier(name)}")]
        assert {row[0] for series in found for row in msgspec.json.decode(series.values)} == set(keys)
    server.close()


def test_a_raw_retention_decides_how_much_time_a_shard_spans() -> None:
    spans = [influx_setup.policies(days * DAY)[1].shard for days in (0, 1, 2, 27, 28, 400)]
    assert spans == [28 * DAY, HOUR, DAY, DAY, 7 * DAY, 7 * DAY]
