"""The demo as a newcomer meets it: one command, real broker, real Modbus, and the simulator's truth beside the KPIs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from simulators.journal import Journal

ROOT = Path(__file__).parents[2]
PATIENCE_S = 150
FACTORS = ("availability", "effectiveness", "quality_ratio", "oee_index")
pytestmark = pytest.mark.timeout(2 * PATIENCE_S)


def shopfloor(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "cli.main", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finished(process: "subprocess.Popen[str]") -> str:
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output
    return output


def report_of(data: Path, *arguments: str) -> dict[str, Any]:
    out = data.with_suffix(".json")
    finished(shopfloor("demo", "--data", str(data), "--port", "0", "--json", str(out), *arguments))
    report: dict[str, Any] = json.loads(out.read_text("utf-8"))
    return report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    return report_of(folder, "--history", "2h", "--for", "2s", "--seed", "7")


def test_every_sample_is_accounted_for(report: dict[str, Any]) -> None:
    ledger = report["ledger"]
    (counts,) = ledger["agents"].values()
    assert counts["polled"] == counts["appended"] == counts["confirmed"] == counts["stored"] == ledger["served"] > 0
    assert counts["in_outbox"] == counts["evicted"] == counts["rejected"] == counts["unpersisted"] == 0
    assert ledger["dead_letters"] == 0


def test_what_is_measured_equals_the_simulators_truth(report: dict[str, Any]) -> None:
    machines = {unit: both for unit, both in report["units"].items() if "oee_index" in both["kpi"]}
    assert len(machines) == 5
    for unit, both in machines.items():
        kpi, truth = both["kpi"], both["truth"]
        assert kpi["coverage"] >= 0.999, unit
        assert [kpi[name] for name in ("produced", "good", "scrap")] == [
            truth[name] for name in ("produced", "good", "scrap")
        ], unit
        # a quarter of the window for which 0.002 is promised: four times the weight of each transition
        assert {name: kpi[name] for name in FACTORS} == pytest.approx(
            {name: truth[name] for name in FACTORS}, abs=0.008
        ), unit


def test_energy_is_that_of_the_plants_meter(report: dict[str, Any]) -> None:
    meter = report["units"]["ceper/utilities/intake/main-meter"]
    assert report["energy"]["total_kwh"] == meter["kpi"]["energy_kwh"]
    assert meter["kpi"]["energy_kwh"] == pytest.approx(meter["truth"]["energy_kwh"], abs=0.02)  # two counts of 0.01
    assert report["energy"]["peak_kw"]["value"] > 0


def test_a_second_start_continues_with_the_stored_data(folder: Path, report: dict[str, Any]) -> None:
    again = report_of(folder, "--history", "2h", "--for", "1s", "--seed", "7")
    assert again["window"]["start"] == report["window"]["start"]
    assert again["ledger"]["served"] > report["ledger"]["served"]
    (counts,) = again["ledger"]["agents"].values()
    assert counts["polled"] == counts["stored"] == again["ledger"]["served"]
    assert all(both["kpi"]["coverage"] >= 0.999 for both in again["units"].values())


def test_another_seed_in_the_same_folder_is_refused(folder: Path, report: dict[str, Any]) -> None:
    process = shopfloor("demo", "--data", str(folder), "--seed", "8", "--for", "1s")
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "holds a demo of logam-jaya with seed 7; choose another --data folder or remove this one" in output


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_when_asked_and_leaves_no_process(tmp_path: Path, ending: signal.Signals) -> None:
    process = shopfloor("demo", "--data", str(tmp_path), "--port", "0", "--history", "1h")
    journal = tmp_path / "journal.jsonl"
    deadline = time.monotonic() + PATIENCE_S
    while not (journal.exists() and journal.stat().st_size > 10_000):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, ending)
    os.kill(process.pid, ending)  # as from a supervisor that tells the process and its group
    output = finished(process)
    assert "Traceback" not in output
    assert "ledger edge-ceper-1: polled" in output
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert Journal(journal).count() > 0


def test_a_month_of_the_steel_works_arrives_to_the_last_watt_hour(tmp_path: Path, shared_data: Path) -> None:
    year = (shared_data / "steel_energy" / "Steel_industry_data.csv").read_text("utf-8-sig").splitlines()
    january = tmp_path / "january.csv"
    january.write_text("\n".join(year[: 1 + 31 * 96]) + "\n", "utf-8")  # the file begins on 1 January
    report = report_of(tmp_path / "demo", "--plant", "plants/steel-year/plant.yaml", "--source", str(january))
    (counts,) = report["ledger"]["agents"].values()
    assert counts["stored"] == report["ledger"]["served"] == 31 * 96 + 1
    assert report["energy"]["total_kwh"] == 126_238.29
    assert report["energy"]["by_month_kwh"] == {"2018-01": 126_238.29}
    assert report["window"] == {"start": "2017-12-31T15:00:00Z", "end": "2018-01-31T15:00:00Z"}
