"""Runs of the harnesses (``python -m tests.soak`` and its kind), for tests of what their last line tells."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from messaging import mosquitto
from tests import influxd

ROOT = Path(__file__).parents[1]


def verdict_of(module: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, verdict and all words of a run. Both servers must be there: in CI a missing one is a failure."""
    if mosquitto.find() is None or influxd.find() is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("mosquitto or influxd is not installed")
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    told = done.stdout + done.stderr
    last = (done.stdout.splitlines() or [""])[-1]
    assert last.startswith("{"), told
    verdict: dict[str, Any] = json.loads(last)
    return done.returncode, verdict, told
