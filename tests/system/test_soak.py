"""The fault harness in its short form."""

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
