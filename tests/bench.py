"""The figures of docs/figures.md, each beside its limit, measured here and now: ``make bench``."""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devices.codec import decode, encode
from devices.library import load
from edge_agent.outbox import Outbox
from historian.connect import connect
from historian.point import Query
from historian.records import fact_point
from historian.schema import Grain, Measurement
from shopfloor.equipment import EquipmentPath
from shopfloor.fact import Fact
from shopfloor.instant import MINUTE, format_instant, parse_instant
from shopfloor.sample import Sample

ROOT = Path(__file__).parent.parent
STEEL = ROOT.parent / "shared" / "data" / "steel_energy" / "Steel_industry_data.csv"
FACTORS = ("availability", "effectiveness", "quality_ratio", "oee_index")
SEEDS = (7, 1, 2, 3)
START = parse_instant("2026-01-05T00:00:00Z")
UNIT = "ceper/machining/line-1/cnc-01"


@dataclass(frozen=True)
class Figure:
    """One measured number and what it must be."""

    name: str
    value: float
    unit: str
    limit: str
    holds: bool


def demo(*arguments: str) -> tuple[dict[str, Any], float]:
    """A demo's report, with its store's size, and the seconds it took as a whole process."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        out = Path(folder) / "out.json"
        command = [sys.executable, "-m", "cli.main", "demo", "--data", f"{folder}/demo", "--port", "0"]
        began = time.monotonic()
        subprocess.run([*command, "--json", str(out), *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - began
        report: dict[str, Any] = json.loads(out.read_text("utf-8"))
        report["store_bytes"] = sum(file.stat().st_size for file in Path(folder).glob("demo/historian/*"))
        return report, seconds


def shifts() -> Iterator[Figure]:
    """Eight simulated hours and a live minute against the simulator's truth."""
    for seed in SEEDS:
        report, seconds = demo("--for", "60s", "--history", "8h", "--seed", str(seed))
        machines = [both for both in report["units"].values() if "oee_index" in both["kpi"]]
        apart = max(abs(both["kpi"][name] - both["truth"][name]) for both in machines for name in FACTORS)
        pieces = sum(
            abs(both["kpi"][name] - both["truth"][name]) for both in machines for name in ("produced", "good", "scrap")
        )
        coverage = min(both["kpi"]["coverage"] for both in report["units"].values())
        (counts,) = report["ledger"]["agents"].values()
        lost = report["ledger"]["served"] - counts["stored"]
        size = report["store_bytes"] / counts["stored"]
        yield Figure(f"seed {seed}: whole command", seconds, "s", "<= 300", seconds <= 300)
        yield Figure(
            f"seed {seed}: largest difference of a factor from the truth", apart, "1", "<= 0.002", apart <= 0.002
        )
        yield Figure(f"seed {seed}: pieces that differ from the truth", pieces, "piece", "0", pieces == 0)
        yield Figure(f"seed {seed}: least coverage", coverage, "1", ">= 0.999", coverage >= 0.999)
        yield Figure(f"seed {seed}: store, facts included", size, "B/sample", "<= 300", size <= 300)
        yield Figure(f"seed {seed}: served minus stored", lost, "sample", "0", lost == 0 and counts["rejected"] == 0)


def steel_year() -> Iterator[Figure]:
    """The steel works' year."""
    if not STEEL.exists():
        return
    plant = str(ROOT / "plants" / "steel-year" / "plant.yaml")
    report, seconds = demo("--plant", plant, "--source", str(STEEL))
    (counts,) = report["ledger"]["agents"].values()
    energy = report["energy"]
    peak = energy["peak_kw"]
    at_end = peak["at"] == "2018-11-22T00:45:00Z"
    january, december = (energy["by_month_kwh"][month] for month in ("2018-01", "2018-12"))
    yield Figure("steel year: whole command", seconds, "s", "<= 300", seconds <= 300)
    yield Figure("steel year: readings stored", counts["stored"], "sample", "35041", counts["stored"] == 35_041)
    yield Figure("steel year: total", energy["total_kwh"], "kWh", "959636.71", energy["total_kwh"] == 959_636.71)
    yield Figure("steel year: January", january, "kWh", "126238.29", january == 126_238.29)
    yield Figure("steel year: December", december, "kWh", "59436.78", december == 59_436.78)
    yield Figure(
        f"steel year: peak, ends {peak['at']}", peak["value"], "kW", "628.72", at_end and peak["value"] == 628.72
    )


def codec() -> Iterator[Figure]:
    """Ten tags of a machine's registers."""
    tags = load("cnc-generic").tags[:10]
    words = [encode(tag.ref, 1) for tag in tags]
    rounds = 20_000
    began = time.perf_counter()
    for _ in range(rounds):
        for tag, word in zip(tags, words, strict=True):
            decode(tag.ref, word)
    each = (time.perf_counter() - began) / rounds * 1e6
    yield Figure("decode 10 tags", each, "us", "< 100", each < 100)


def outbox() -> Iterator[Figure]:
    """Appending one unit's cycles, committed in groups of 100."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        box = Outbox(Path(folder) / "outbox.db", max_samples=1_000_000)
        values = {"state": 1, "good": 1201, "power_kw": 12.41, "energy_kwh": 5120.33}
        began = time.perf_counter()
        for group in range(200):
            at = START + group * 100_000
            box.append([Sample(unit=UNIT, time=at + 1_000 * number, values=values) for number in range(100)])
        rate = 20_000 / (time.perf_counter() - began)
        box.close()
    yield Figure("outbox: append, groups of 100, each synced", rate, "samples/s", ">= 2000", rate >= 2_000)


def store() -> Iterator[Figure]:
    """A month of minute facts in the embedded historian."""
    path = EquipmentPath.parse("logam-jaya", UNIT)
    elements = {"observed_s": 60.0, "running_s": 52.0, "good": 1.0, "energy_kwh": 0.21}
    facts = [
        fact_point(path.enterprise, Grain.MINUTE, Fact(UNIT, START + minute * MINUTE, "pagi", "none", elements))
        for minute in range(40_000)
    ]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        historian = connect(folder)
        began = time.perf_counter()
        for first in range(0, len(facts), 5_000):
            historian.write(facts[first : first + 5_000])
        written = len(facts) / (time.perf_counter() - began)
        began = time.perf_counter()
        read = len(historian.read(Query(Measurement.FACTS))) / (time.perf_counter() - began)
        historian.close()
    yield Figure("embedded store: write facts, groups of 5000", written, "points/s", ">= 20000", written >= 20_000)
    yield Figure("embedded store: read facts", read, "points/s", ">= 50000", read >= 50_000)


def main() -> int:
    """Print every figure; exit 1 when one does not hold."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"machine: {machine}; {format_instant(int(time.time()) * 1000)}", flush=True)
    broken = 0
    for part in (codec, outbox, store, steel_year, shifts):
        for figure in part():
            broken += not figure.holds
            mark = "ok" if figure.holds else "NOT MET"
            print(f"| {figure.name} | {figure.value:,.10g} {figure.unit} | {figure.limit} | {mark} |", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
