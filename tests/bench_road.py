"""The whole road on real processes: how late a reading can be queried, and how a backlog drains beside live samples.

``python -m tests.bench_road [latency|backlog]``: simulated devices, one edge agent, mosquitto, one ingest process with
its facts engine, influxd. Exit 1 when a limit is missed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from edge_agent.outbox import Outbox
from historian.connect import connect
from historian.historian import Historian
from historian.influx_access import InfluxAccess
from historian.influx_setup import FOREVER, set_up
from historian.point import Query
from historian.records import unit_tags
from historian.schema import Measurement
from shopfloor.clock import SystemClock
from shopfloor.instant import SECOND, Instant, floor_to
from shopfloor.sample import Sample
from tests.bench_ingest import AGENT, UNITS, broker, started, until, usage, write_plant
from tests.influxd import InfluxDaemon

TEMPLATE_TAGS: Final = 10
LATENCY_SCAN: Final = "100ms"
P50_MS: Final = 300
P99_MS: Final = 1_000
OUTAGE_S: Final = 3_600
DRAIN_RATIO: Final = 20
LIVE_LATE_MS: Final = 2_000
WATCHED: Final = "works/hall/line-1/u-07"
SETTLING_S: Final = 10.0


class Road:
    """All processes of a plant but the agent, which is started when its outbox is ready."""

    def __init__(self, folder: Path, scan: str, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.plant = write_plant(folder, scan)
        self.influx = InfluxDaemon(folder / "influx").start()
        stack.callback(self.influx.stop)
        url = self.influx.url("road")
        for _ in set_up(InfluxAccess.of(url), FOREVER):
            pass
        port = stack.enter_context(broker(folder))
        self._environment = os.environ | {
            "SHOPFLOOR_MQTT_URL": f"mqtt://127.0.0.1:{port}",
            "SHOPFLOOR_HISTORIAN": url,
        }
        self.store: Historian = connect(url)
        stack.callback(self.store.close)
        self.devices = self._run("simulate", "simulate")
        self.endpoints = folder / "simulate" / "endpoints.json"
        until(self.endpoints.exists)
        self.ingest = self._run("ingest", "--verbose", "ingest")
        until(lambda: b"membership: serving" in (folder / "ingest.log").read_bytes())

    def start_agent(self) -> "subprocess.Popen[bytes]":
        return self._run(AGENT, "edge", "--agent", AGENT, "--endpoints", str(self.endpoints))

    def outbox(self) -> Path:
        return self.folder / AGENT / f"outbox-{AGENT}.db"

    def newest(self, unit: str) -> Instant:
        """Source time of the newest point that can be queried."""
        query = Query(Measurement.SAMPLES, unit_tags("bench", unit), descending=True, limit=1)
        found = self.store.read(query)
        return found[0].time if found else 0

    def _run(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        home = self.folder / name
        home.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "cli.main", *arguments, str(self.plant)]
        process = started(command, self.folder / f"{name}.log", self._environment | {"SHOPFLOOR_DATA": str(home)})
        self._stack.callback(_end, process)
        return process


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait()


@contextmanager
def road(scan: str) -> Iterator[Road]:
    """A plant of UNITS machines that runs, but for its agent."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        yield Road(Path(name), scan, stack)


def lateness(plant: Road, seconds: float) -> list[int]:
    """For each new point of one unit: milliseconds from its poll until a query found it."""
    clock, found, last = SystemClock(), [], plant.newest(WATCHED)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        newest = plant.newest(WATCHED)
        if newest > last:
            found.append(clock.now() - newest)
            last = newest
        time.sleep(0.01)
    return found


def p99(values: Sequence[int]) -> float:
    return statistics.quantiles(values, n=100)[98]


def latency(seconds: float) -> bool:
    """Print p50 and p99 from poll to queryable point; whether both hold."""
    with road(LATENCY_SCAN) as plant:
        agent = plant.start_agent()
        until(lambda: plant.newest(WATCHED) > 0)
        time.sleep(SETTLING_S)
        before, began = plant.store.count(Query(Measurement.SAMPLES)), time.monotonic()
        late = lateness(plant, seconds)
        rate = (plant.store.count(Query(Measurement.SAMPLES)) - before) * TEMPLATE_TAGS / (time.monotonic() - began)
        print(f"  agent: {usage(agent.pid)}; ingest: {usage(plant.ingest.pid)}; devices: {usage(plant.devices.pid)}")
    middle, high = statistics.median(late), p99(late)
    print(f"| poll to queryable point, p50 at {rate:,.0f} values/s | {middle:.0f} ms | < {P50_MS} |", flush=True)
    print(f"| poll to queryable point, p99 of {len(late)} points | {high:.0f} ms | < {P99_MS} |", flush=True)
    return middle < P50_MS and high < P99_MS


def fill(path: Path, until_t: Instant) -> int:
    """An outbox as an agent leaves it that polled for OUTAGE_S without a broker; how many samples."""
    path.parent.mkdir(exist_ok=True)
    box = Outbox(path, max_samples=10_000_000)
    start = floor_to(until_t, SECOND) - OUTAGE_S * SECOND
    for tick in range(OUTAGE_S):
        values = {
            "state": 1,
            "product_code": 1,
            "alarm_code": 0,
            "good": tick // 10,
            "scrap": tick // 500,
            "produced": tick // 10 + tick // 500,
            "energy_kwh": 100 + tick * 0.003,
            "power_kw": 10.5,
            "cycle_time_s": 10.0,
            "x_reading": tick,
        }
        at = start + tick * SECOND
        box.append([Sample(unit=f"works/hall/line-1/u-{unit:02}", time=at, values=values) for unit in range(UNITS)])
    box.close()
    return OUTAGE_S * UNITS


def backlog() -> bool:
    """Print how fast an hour of backlog drains and how late live samples are meanwhile; whether both hold."""
    with road("1s") as plant:
        held = fill(plant.outbox(), SystemClock().now())
        began = time.monotonic()
        agent = plant.start_agent()
        until(lambda: plant.newest(WATCHED) > SystemClock().now() - 30 * SECOND)
        late: list[int] = []
        stored = 0
        while stored < held:
            late += lateness(plant, 2.0)
            stored = plant.store.count(Query(Measurement.SAMPLES))
        spent = time.monotonic() - began
        print(f"  agent: {usage(agent.pid)}; ingest: {usage(plant.ingest.pid)}")
    ratio, worst = OUTAGE_S / spent, max(late)
    name = f"an hour of {UNITS} units at 1 s drains"
    print(
        f"| {name}, in {spent:.0f} s, start of the agent included | {ratio:.0f} x live | >= {DRAIN_RATIO} |", flush=True
    )
    print(f"| live samples meanwhile, latest of {len(late)} | {worst} ms | < {LIVE_LATE_MS} |", flush=True)
    return ratio >= DRAIN_RATIO and worst < LIVE_LATE_MS


def main() -> int:
    """Print each figure beside its limit; 1 when one does not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", default=["latency", "backlog"])
    parser.add_argument("--seconds", type=float, default=60, help="of watching for the latency")
    arguments = parser.parse_args()
    held = True
    if "latency" in arguments.what:
        held &= latency(arguments.seconds)
    if "backlog" in arguments.what:
        held &= backlog()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
