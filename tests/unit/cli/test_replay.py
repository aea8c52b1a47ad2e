"""History from a CSV: into the real store, through the real pipeline, to KPIs."""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cli.main import main
from cli.plants import load_plant
from cli.replay import replay
from historian.connect import connect
from historian.historian import Historian
from historian.published import subject_of
from historian.records import AgentWatermark, edge_ledger_point, facts_of, point_sample, unit_query, watermark_point
from historian.schema import Grain, Measurement
from kpi_api.answers import KpiItem
from kpi_api.store import Store
from shopfloor.clock import SystemClock
from shopfloor.fact import Fact
from shopfloor.instant import HOUR, MINUTE, SECOND, Instant, format_instant, parse_instant
from shopfloor.quality import Quality
from shopfloor.sample import Sample
from tests.agreement import all_agree, stored

ROOT = Path(__file__).parents[3]
PLANT = ROOT / "plants" / "ceper" / "plant.yaml"
AGENT = "edge-ceper-1"
UNIT = "ceper/machining/line-1/cnc-01"
PRESS = "ceper/stamping/press-shop/press-01"
START = parse_instant("2025-11-03T07:00:00+07:00")
"""Monday, one hour into the morning shift; the first break is three hours away."""
HEADER = "time,work_unit,tag,value"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("SHOPFLOOR_DATA", str(folder))
    monkeypatch.delenv("SHOPFLOOR_HISTORIAN", raising=False)
    return folder


@contextmanager
def opened(data: Path) -> Iterator[Historian]:
    with closing(connect(str(data / "historian"))) as store:
        yield store


def row(at: Instant, tag: str, value: object, unit: str = UNIT) -> str:
    return f"{format_instant(at)},{unit},{tag},{value}"


def production(minutes: int = 60, *, unit: str = UNIT, scan_s: int = 2) -> list[str]:
    """Brake discs of 42 s each, one every 50 s, near the counter's end; every tenth is scrap; ten minutes of stop."""
    rows = []
    for second in range(0, minutes * 60 + 1, scan_s):
        at, runs = START + second * SECOND, second < (minutes - 10) * 60
        made = min(second, (minutes - 10) * 60) // 50
        values = {"state": 1 if runs else 2, "product_code": 1, "good": (65_530 + made - made // 10) % 65_536}
        rows += [row(at, tag, value, unit) for tag, value in (values | {"scrap": made // 10, "produced": made}).items()]
    return rows


def brought(folder: Path, rows: Iterable[str], header: str = HEADER, name: str = "samples.csv") -> int:
    file = folder.parent / name
    file.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return replay(argparse.Namespace(plant=PLANT, samples=file))


def kpis(data: Path, start: Instant, end: Instant, unit: str = UNIT) -> KpiItem:
    with opened(data) as store:
        (item,) = Store(load_plant(PLANT), store, SystemClock()).kpi_items(unit, start, end)
    return item


def samples(store: Historian, unit: str = UNIT) -> list[Sample]:
    return [point_sample(point) for point in store.read(unit_query(Measurement.SAMPLES, "logam-jaya", unit))]


def facts(data: Path) -> list[Fact]:
    with opened(data) as store:
        return facts_of(store.read(unit_query(Grain.MINUTE, "logam-jaya", UNIT)))


def test_history_becomes_kpis(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert brought(data, production()) == 0
    item = kpis(data, START, START + HOUR)
    assert (item.elements["good"], item.elements["scrap"]) == (54, 6)
    assert item.elements["running_s"] == 3000
    assert item.elements["unplanned_stop_s"] == 600
    assert item.kpis["availability"] == pytest.approx(5 / 6)
    assert item.kpis["effectiveness"] == pytest.approx(60 * 42 / 3000)
    assert item.kpis["quality_ratio"] == pytest.approx(0.9)
    assert item.kpis["oee_index"] == pytest.approx(54 * 42 / 3600)
    assert item.coverage == 1
    assert item.final
    summary = capsys.readouterr().out
    assert "rows=9005 samples=1801 stored=1801 new=1801 rejected=0" in summary


def test_what_it_brings_is_published(data: Path) -> None:
    assert brought(data, production()) == 0
    with opened(data) as store:
        all_agree(Store(load_plant(PLANT), store, SystemClock()))
        points = [each for each in stored(store, Measurement.KPI_PUBLISHED) if each.tags["shift"] == "pagi"]
    made = {subject_of(each): each.fields.get("sum_good") for each in points if each.fields["start"] == START - HOUR}
    assert made[UNIT] == kpis(data, START - HOUR, START + 7 * HOUR).elements["good"]
    assert {"", "ceper", "ceper/machining", "ceper/machining/line-1"} <= made.keys()


def test_the_command_line_brings_it_in_and_asks_for_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = data.parent / "samples.csv"
    file.write_text("\n".join([HEADER, *production(20, scan_s=2)]), "utf-8")
    assert main(["replay", str(PLANT), str(file)]) == 0
    window = ["--from", format_instant(START), "--to", format_instant(START + 20 * MINUTE)]
    capsys.readouterr()
    assert main(["kpi", str(PLANT), "--unit", UNIT, *window, "--json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert item["kpis"]["oee_index"] == pytest.approx(11 * 42 / 1200)


def test_the_order_of_rows_changes_nothing(data: Path) -> None:
    rows = production(30)
    assert brought(data, rows) == 0
    ordered = facts(data)
    random.Random(3).shuffle(rows)
    other = data.parent / "other" / "data"
    other.parent.mkdir()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SHOPFLOOR_DATA", str(other))
        assert brought(other, [*rows, *rows[:500]]) == 0
    assert facts(other) == ordered


def test_a_second_run_adds_nothing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert brought(data, production(20)) == 0
    before = facts(data)
    capsys.readouterr()
    assert brought(data, production(20)) == 0
    assert "new=0" in capsys.readouterr().out
    assert facts(data) == before
    ledger = ledger_of(data)
    assert ledger["confirmed"] == ledger["stored"] == 601
    assert kpis(data, START, START + 20 * MINUTE).revision == 0


def test_columns_may_stand_in_any_order_and_a_byte_order_mark_is_no_fault(data: Path) -> None:
    rows = [",".join(reversed(one.split(","))) for one in production(10)]
    assert brought(data, rows, header="\ufeffValue,tag,work_unit,time") == 0
    with opened(data) as store:
        assert len(samples(store)) == 301


def test_rows_far_apart_are_one_sample_and_the_last_of_equal_rows_stands(data: Path) -> None:
    others = [row(START + second * SECOND, "state", 1) for second in range(1, 200)]
    rows = [row(START, "state", 2), row(START, "good", ""), *others, row(START, "good", 7), row(START, "power_kw", "")]
    assert brought(data, [*rows, row(START, "state", 1)]) == 0
    with opened(data) as store:
        first = samples(store)[0]
    assert dict(first.values) == {"good": 7, "state": 1}
    assert {tag: status.quality for tag, status in first.status.items()} == {"power_kw": Quality.BAD}


def test_wrong_rows_are_told_with_their_lines_and_the_others_are_stored(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [
        row(START, "state", 1).replace("2025", "2025x"),
        f"2025-11-03T07:00:00,{UNIT},state,1",
        row(START, "state", 1, unit=UNIT.replace("cnc-01", "cnc-11")),
        row(START, "stat", 1),
        row(START, "good", "NaN"),
        row(START, "good", "many"),
        row(START, "good", 2**53 + 2),
        row(START, "state", 1) + ",1",
        row(START, "state", 1.5),
        row(SystemClock().now() + HOUR, "state", 1),
        row(-HOUR, "state", 1),
        row(START, "power_kw", "1,5"),
    ]
    assert brought(data, [*wrong, *production(10)]) == 0
    answer = capsys.readouterr()
    told = answer.err.splitlines()
    expected = [
        "is not a time",
        "no UTC offset",
        "did you mean 'ceper/machining/line-1/cnc-01'",
        "did you mean 'state'",
    ]
    expected += ["leave the value empty", "not a number", "2^53", "5 columns instead of 4", "whole number", "future"]
    for line, words in enumerate(expected, start=2):
        assert f"line {line}: " in told[line - 2]
        assert words in told[line - 2]
    assert "12 of 1517 rows were rejected" in told[10]
    assert "rows=1517 samples=301 stored=301 new=301 rejected=12" in answer.out


@pytest.mark.parametrize("header", ["", "time,unit,tag,value", "time,work_unit,tag", row(START, "state", 1)])
def test_a_wrong_header_is_refused(data: Path, header: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert brought(data, production(1), header=header) == 2
    assert "the header must be time,work_unit,tag,value" in capsys.readouterr().err
    assert not data.exists()


@pytest.mark.parametrize("name", ["none.csv", "."])
def test_a_path_that_is_no_file_is_one_clear_line(data: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(PLANT), str(data / name)]) == 2
    told = capsys.readouterr().err
    assert (told.count("\n"), "give the path of a CSV" in told) == (1, True)


def test_a_file_without_a_usable_row_is_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert brought(data, [row(START, "state", "on")]) == 2
    assert "no row can be used" in capsys.readouterr().err
    assert brought(data, []) == 2
    assert not data.exists()


def test_tags_that_no_fact_follows_from_are_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert brought(data, [row(START, "temperature_c", 40), row(START, "x_mine", 3)]) == 0
    assert "has no temperature_c: stored, but no fact follows from it" in capsys.readouterr().err


def ledger_of(data: Path) -> dict[str, int]:
    with opened(data) as store:
        ledger = Store(load_plant(PLANT), store, SystemClock()).ledger().agents[AGENT]
    assert ledger.imbalances() == []
    return ledger.as_dict()


def agents_word(data: Path, *, oldest: Instant, stored: int) -> None:
    """The real agent speaks: so many of its samples are confirmed, and so old is what it may still hold."""
    counts = {"polled": stored, "appended": stored, "confirmed": stored, "in_outbox": 0, "evicted": 0}
    at = SystemClock().now() - 5 * MINUTE
    with opened(data) as store:
        report = [
            watermark_point(AgentWatermark(AGENT, "0123456789abcdef", at, oldest, 0)),
            edge_ledger_point(AGENT, "0123456789abcdef", at, counts),
        ]
        assert len(store.write(report).accepted) == 2


def test_the_agents_ledger_and_watermark_are_as_they_were(data: Path) -> None:
    agents_word(data, oldest=START - HOUR, stored=0)
    assert brought(data, production(20)) == 0
    assert ledger_of(data)["stored"] == 601
    assert not kpis(data, START, START + 20 * MINUTE).final  # the agent may still hold something older
    agents_word(data, oldest=START + HOUR, stored=0)
    assert kpis(data, START, START + 20 * MINUTE).final
    assert not kpis(data, START, START + 2 * HOUR).final


def test_what_the_agent_has_stored_itself_counts_once(data: Path) -> None:
    assert brought(data, production(20), name="a.csv") == 0
    assert brought(data, production(30), name="b.csv") == 0  # the first ten minutes are equal
    assert ledger_of(data)["confirmed"] == 901


def replaying(data: Path, file: Path) -> "subprocess.Popen[str]":
    program = (
        "import sys, argparse, pathlib; from cli.replay import replay;"
        " sys.exit(replay(argparse.Namespace(plant=pathlib.Path(sys.argv[1]), samples=pathlib.Path(sys.argv[2]))))"
    )
    environment = {**os.environ, "SHOPFLOOR_DATA": str(data)}
    return subprocess.Popen(
        [sys.executable, "-c", program, str(PLANT), str(file)],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_one_that_was_ended_on_the_way_goes_on_with_the_next_start(data: Path, how: signal.Signals) -> None:
    file = data.parent / "long.csv"
    file.write_text("\n".join([HEADER, *production(600)]), "utf-8")
    process = replaying(data, file)
    deadline = time.monotonic() + 60
    while not any((data / "historian").glob("2025-*.db-wal")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(how)
    output, errors = process.communicate(timeout=60)
    assert process.returncode in ((130, 0) if how is signal.SIGINT else (-signal.SIGKILL, 0)), errors
    if how is signal.SIGINT:
        ledger_of(data)
    assert replay(argparse.Namespace(plant=PLANT, samples=file)) == 0, output
    assert ledger_of(data)["confirmed"] == 18_001
    item = kpis(data, START, START + 10 * HOUR)
    assert item.final
    assert item.elements["good"] + item.elements.get("unscheduled_good", 0) == 708 - 70
