"""The fault harness in its short form, and that it sees what it must see."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from messaging import mosquitto
from tests import influxd

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def servers() -> None:
    """Both servers. In CI a missing one is a failure."""
    if mosquitto.find() is None or influxd.find() is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("mosquitto or influxd is not installed")


def verdict_of(module: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    told = done.stdout + done.stderr
    assert done.stdout, told
    verdict: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return done.returncode, verdict, told


def test_whatever_happens_to_a_plant_nothing_is_lost_invented_or_changed() -> None:
    code, verdict, told = verdict_of("tests.soak", "--seconds", "30", "--seed", "1")
    assert code == 0, told
    assert verdict["lost"] == verdict["phantom"] == verdict["wrong"] == 0
    assert verdict["stored"] == verdict["appended"] > 0
    assert verdict["faults"] >= 10
    assert verdict["kpi_error"] < 0.002


@pytest.mark.parametrize(
    ("sabotage", "faults", "seen"),
    [
        ("ingest-1=ack-before-write", ["kill ingest"], "lost"),
        ("edge-a=trim-on-puback", ["kill broker", "stall link"], "lost"),
        ("ingest-1=write-twice", ["kill api"], "phantom"),
        ("ingest-1=overwrite", ["kill api"], "wrong"),
    ],
)
def test_a_broken_promise_is_seen(sabotage: str, faults: list[str], seen: str) -> None:
    only = [part for kind in faults for part in ("--only", kind)]
    both = [sabotage, sabotage.replace("ingest-1", "ingest-2")] if "ingest" in sabotage else [sabotage]
    broken = [part for each in both for part in ("--sabotage", each)]
    code, verdict, told = verdict_of("tests.soak", "--seconds", "10", "--pause", "0.8", "--seed", "3", *only, *broken)
    assert code == 1, told
    assert verdict[seen] > 0, told


def test_hostile_messages_are_each_counted_and_good_ones_in_between_stored() -> None:
    code, verdict, told = verdict_of("tests.soak.hostile", "--messages", "20000", "--seed", "1")
    assert code == 0, told
    assert verdict["counted"] == verdict["sent_as_letter"] > 10_000
    assert verdict["good_missing"] == verdict["lost"] == verdict["phantom"] == 0
