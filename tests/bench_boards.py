"""How long influxd takes for each query of the boards, for 200 machines over 90 days, and over the last day.

``python -m tests.bench_boards``. Debian's influxd is filled as the facts engine and the agents would: 90 days of facts
and losses by shift, stops and published KPIs; four days of them by hour; samples every 10 s of the last day of one line
of 40 machines, and of the last quarter of an hour of all others. Each query is asked three times with every choice of
the board left at all (the machine board and the line board: at one), and the quickest counts: a busy machine makes the
others slower.
"""

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

from dashboards.boards import boards_of
from dashboards.queries import INTERVAL
from historian import schema
from historian.connect import connect
from historian.historian import Historian
from historian.influx_access import InfluxAccess
from historian.influx_names import MARKER
from historian.influx_setup import FOREVER, set_up
from historian.lookups import GRAINS, lookup_points
from historian.point import Point
from historian.published import place_tags, published_point
from historian.records import fact_point, loss_point, sample_point, stop_point
from historian.schema import Grain, Measurement
from ingest.whole_write import must_be_stored, write_whole
from kpi.facts.rollup import ShiftWindow, shift_windows
from shopfloor.fact import Fact, Loss, Stop
from shopfloor.instant import HOUR, MINUTE, SECOND, Instant, floor_to, parse_instant
from shopfloor.plant import Plant, WorkCenter
from shopfloor.sample import Sample
from tests.bench_query import PRI_S, fleet
from tests.influxd import InfluxDaemon, asked

MACHINES: Final = 200
PER_LINE: Final = 40
DAYS: Final = 90
BY_HOUR_DAYS: Final = 4
END: Final = parse_instant("2026-03-31T12:00:00+07:00")
START: Final = END - DAYS * 24 * HOUR
LOST: Final = {
    ("unplanned_stop", "spindle"): 900.0,
    ("unplanned_stop", "sensor"): 500.0,
    ("unplanned_stop", "code_2"): 700.0,
    ("micro_stop", "code_2"): 400.0,
    ("setup", "changeover"): 1_200.0,
    ("starved", "code_4"): 600.0,
    ("blocked", "code_5"): 300.0,
    ("no_order", "code_0"): 200.0,
}
"""Category and reason -> mean seconds a shift."""
STOPS_A_SHIFT: Final = 6
GROUP: Final = 50_000
TIMES: Final = 3
LIMIT_S: Final = 2.0
BOARDS: Final = ("overview", "line", "losses", "machine")
RANGES: Final = {"90d": DAYS * 24 * HOUR, "24h": 24 * HOUR}


def works() -> Plant:
    """The fleet of ``bench_query`` in lines of 40."""
    plant = fleet(MACHINES)
    units = [
        replace(unit, path=replace(unit.path, work_center=f"line-{number // PER_LINE}", work_unit=f"cnc-{number:03}"))
        for number, unit in enumerate(plant.units.values())
    ]
    lines = tuple(
        WorkCenter(f"line-{first // PER_LINE}", {}, None, tuple(units[first : first + PER_LINE]))
        for first in range(0, MACHINES, PER_LINE)
    )
    (site,) = plant.sites
    areas = (replace(site.areas[0], work_centers=lines),)
    return replace(plant, sites=(replace(site, areas=areas),), units={str(unit.path): unit for unit in units})


def fill(historian: Historian, plant: Plant) -> int:
    """Everything that the boards read; the number of points."""
    written, group = 0, []
    for point in _points(plant):
        group.append(point)
        if len(group) == GROUP:
            written += write_whole(historian, group, must_be_stored)
            group = []
    return written + write_whole(historian, group, must_be_stored)


def _points(plant: Plant) -> Iterator[Point]:
    yield from lookup_points(plant)
    shifts = shift_windows(next(iter(plant.units.values())), START, END)
    for path in plant.units:
        dice = random.Random(path)
        for shift in shifts:
            yield from _shift(plant.enterprise, path, shift, dice)
        yield from _samples(plant.enterprise, path, dice)


def _shift(enterprise: str, path: str, shift: ShiftWindow, dice: random.Random) -> Iterator[Point]:
    lost = {key: round(dice.uniform(0.2, 1.8) * mean, 3) for key, mean in LOST.items() if dice.random() < 0.7}
    product = dice.choice(tuple(PRI_S))
    elements = _elements(lost, PRI_S[product], dice)
    for grain, slices in _sliced(shift):
        for at in slices:
            share = {name: value / len(slices) for name, value in elements.items()}
            yield fact_point(enterprise, grain, Fact(path, at, shift.shift, product, share))
            for (category, reason), seconds in lost.items():
                loss = Loss(path, at, shift.shift, product, category, reason, seconds / len(slices), 1.0)
                yield loss_point(enterprise, loss, grain)
    for number in range(STOPS_A_SHIFT):
        begun = shift.start + number * HOUR + dice.randrange(40 * MINUTE)
        category, reason = dice.choice(tuple(LOST))
        stop = Stop(path, begun, begun + dice.randrange(5, 900) * SECOND, category, 2, reason, "", failure=False)
        yield stop_point(enterprise, stop)
    kpis = {"oee_index": 0.7, "availability": 0.85, "effectiveness": 0.9, "quality_ratio": 0.97, "coverage": 0.99}
    numbers = {schema.CURRENT: 1.0, schema.FINAL: 1.0, schema.REVISION: 0.0, "target_oee": 0.75, **kpis}
    for name in (shift.shift, *([schema.WHOLE] if shift.shift == "pagi" else [])):
        tags = {**place_tags(enterprise, path), schema.SHIFT: name}
        yield published_point(Measurement.KPI_PUBLISHED, tags, shift.start, numbers, {schema.FLAGS: ""})


def _sliced(shift: ShiftWindow) -> Iterator[tuple[Grain, list[Instant]]]:
    yield Grain.SHIFT, [shift.start]
    if shift.start >= END - BY_HOUR_DAYS * 24 * HOUR:
        yield Grain.HOUR, list(range(floor_to(shift.start, HOUR), min(shift.end, END), HOUR))


def _elements(lost: dict[tuple[str, str], float], pri_s: float, dice: random.Random) -> dict[str, float]:
    times: dict[str, float] = {}
    for (category, _), seconds in lost.items():
        times[f"{category}_s"] = times.get(f"{category}_s", 0.0) + seconds
    running = 27_000.0 - sum(times.values())
    produced = float(int(running / pri_s * 0.93))
    scrap = float(dice.randint(0, 6))
    return {
        **times,
        "running_s": running,
        "planned_stop_s": 1_800.0,
        "unknown_s": 60.0,
        "produced": produced,
        "good": produced - scrap,
        "scrap": scrap,
        "planned_run_s": produced * pri_s,
        "good_run_s": (produced - scrap) * pri_s,
        "repair_s": times.get("unplanned_stop_s", 0.0) * 0.6,
        "failures": float(dice.randint(0, 2)),
        "micro_stops": float(dice.randint(0, 12)),
        "unplanned_stops": 3.0,
    }


def _samples(enterprise: str, path: str, dice: random.Random) -> Iterator[Point]:
    length = 24 * HOUR if "/line-0/" in path else 15 * MINUTE
    for at in range(END - length, END, 10 * SECOND):
        values = {
            "state": float(dice.randrange(6)),
            "alarm_code": 0.0,
            "cycle_time_s": 44.0,
            "power_kw": dice.uniform(3, 22),
        }
        yield sample_point(enterprise, Sample(unit=path, time=at, values=values))


def questions(plant: Plant) -> Iterator[tuple[str, str]]:
    """Board and panel, query with its places chosen."""
    one = {"line": "line-0", "machine": "line-0"}
    for board in boards_of(plant):
        if board.id not in BOARDS:
            continue
        line = one.get(board.id, ".*")
        unit = "cnc-007" if board.id == "machine" else ".*"
        for panel in board.panels:
            for target in panel.targets:
                query = target.query
                for name, value in (("site", ".*"), ("line", line), ("unit", unit), ("shift", ".*")):
                    query = query.replace(f"${{{name}:regex}}", value)
                yield panel.text, query


def asked_in(daemon: InfluxDaemon, url: str, query: str, length: int) -> tuple[float, float]:
    """Seconds of one query over the end of the time, and the server's processor seconds: the least of some."""
    _, grain, bucket = next(each for each in GRAINS if each[0] >= length)
    values = {
        "${grain:raw}": grain.value,
        "${losses:raw}": schema.LOSSES_OF[grain].value,
        "${bucket:raw}": bucket,
        "${tz:raw}": "Asia/Jakarta",
        "${__from}": str(END - length),
        "${__to}": str(END),
        INTERVAL: "2m" if length <= 24 * HOUR else "1h",
    }
    for name, value in values.items():
        query = query.replace(name, value)
    took = []
    for _ in range(TIMES):
        began, used = time.perf_counter(), processor_s(daemon.pid)
        asked(url, query)
        took.append((time.perf_counter() - began, processor_s(daemon.pid) - used))
    seconds, cpu = (round(min(each), 3) for each in zip(*took, strict=True))
    return seconds, cpu


def processor_s(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(argv: list[str]) -> int:
    """Fill, ask, print the slowest; 1 when a query takes two seconds or more. A folder that is given is used again."""
    plant = works()
    with tempfile.TemporaryDirectory(prefix="bench-boards-") as temporary:
        daemon = InfluxDaemon(Path(argv[1] if len(argv) > 1 else temporary)).start()
        try:
            url = daemon.url("boards")
            for _ in set_up(InfluxAccess.of(url), FOREVER):
                pass
            if not asked(url, f'SELECT count("{MARKER}") FROM "{Measurement.SITES}"'):
                began = time.perf_counter()
                with closing(connect(url)) as historian:
                    written = fill(historian, plant)
                print(f"filled with {written} points in {time.perf_counter() - began:.0f} s", flush=True)
            told = {name: _slowest(daemon, url, plant, length) for name, length in RANGES.items()}
        finally:
            daemon.stop()
    holds = all(seconds < LIMIT_S for found in told.values() for _, (seconds, _) in found)
    slowest = {name: dict(found[:8]) for name, found in told.items()}
    print(json.dumps({"slowest_s": slowest, "limit_s": LIMIT_S, "holds": holds}))
    return 0 if holds else 1


def _slowest(daemon: InfluxDaemon, url: str, plant: Plant, length: int) -> list[tuple[str, tuple[float, float]]]:
    """Panels by their slowest query: seconds, and processor seconds of the server."""
    found: dict[str, tuple[float, float]] = {}
    for panel, query in questions(plant):
        found[panel] = max(found.get(panel, (0.0, 0.0)), asked_in(daemon, url, query, length))
    return sorted(found.items(), key=lambda entry: -entry[1][0])


if __name__ == "__main__":
    sys.exit(main(sys.argv))
