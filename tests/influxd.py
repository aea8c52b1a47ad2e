"""Debian's influxd as a child process: on free ports of loopback, with a folder of its own, to be killed and restarted.

For tests, the fault harness and benchmarks. ``InfluxDaemon(folder).start()``, then ``url("DATABASE")``.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from historian.influx_access import InfluxAccess
from historian.influx_setup import FOREVER, set_up
from messaging.mosquitto import ends_with_parent

START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 10.0

_CONFIG: Final = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"
[meta]
dir = "{folder}/meta"
logging-enabled = false
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
index-version = "{index}"
query-log-enabled = false
trace-logging-enabled = false
max-series-per-database = {max_series}
max-values-per-tag = {max_values}
cache-max-memory-size = "2g"
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
auth-enabled = {auth}
max-row-limit = {max_rows}
{more}
[continuous_queries]
enabled = false
[logging]
level = "error"
"""


def fresh_database(address: str, raw_retention: int = FOREVER) -> str:
    """The URL of a database of a name that was never used, set up as ``shopfloor historian init`` does it."""
    url = f"{address}/t{uuid4().hex}"
    for _ in set_up(InfluxAccess.of(url), raw_retention):
        pass
    return url


def asked(url: str, influxql: str) -> list[dict[str, Any]]:
    """The series that a database's ``/query`` answers, times in milliseconds; its error fails the test."""
    address, _, name = url.rpartition("/")
    question = urllib.parse.urlencode({"db": name, "q": influxql, "epoch": "ms"})
    with urllib.request.urlopen(f"{address}/query?{question}", timeout=30) as answer:
        (result,) = json.load(answer)["results"]
    assert "error" not in result, (influxql, result)
    series: list[dict[str, Any]] = result.get("series", [])
    return series


def require() -> None:
    """Skip the test where influxd is not installed; in CI that is a failure."""
    if find() is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("influxd is not installed")


def find() -> str | None:
    """The installed influxd; Debian keeps it where a normal user's PATH may not look."""
    return shutil.which("influxd") or shutil.which("influxd", path="/usr/bin:/usr/sbin:/usr/local/bin")


class InfluxDaemon:
    """One server. Its ports stay the same over restarts, so that clients find it again."""

    def __init__(
        self,
        folder: Path,
        *,
        index: str = "tsi1",
        auth: bool = False,
        max_series: int = 0,
        max_values: int = 0,
        max_rows: int = 0,
        more: str = "",
    ) -> None:
        """``more`` are lines of the configuration's [http] section."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port, rpc_port = _free_ports()
        self._process: subprocess.Popen[bytes] | None = None
        self._config = folder / "influxdb.conf"
        self._words = folder / "influxd.log"
        self._config.write_text(
            _CONFIG.format(
                folder=folder,
                port=self.port,
                rpc_port=rpc_port,
                index=index,
                auth=str(auth).lower(),
                max_series=max_series,
                max_values=max_values,
                max_rows=max_rows,
                more=more,
            )
        )

    @property
    def address(self) -> str:
        """``http://127.0.0.1:port``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def url(self, database: str) -> str:
        """The historian's URL of a database."""
        return f"{self.address}/{database}"

    def start(self) -> "InfluxDaemon":
        """Start it and return when it answers; raises RuntimeError with its last words."""
        executable = find()
        if executable is None:
            raise RuntimeError("influxd is not installed; apt-get install influxdb")
        with self._words.open("wb") as words:
            self._process = subprocess.Popen(
                ends_with_parent([executable, "run", "-config", str(self._config)]),
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                start_new_session=True,  # a person's Ctrl-C is for us
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.answers():
            if not self.alive or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"influxd does not start: {self.words()}")
            time.sleep(0.02)
        return self

    def answers(self) -> bool:
        """Whether it answers a ping now."""
        try:
            with urllib.request.urlopen(f"{self.address}/ping", timeout=5) as answer:
                return bool(answer.status == 204)
        except (urllib.error.URLError, OSError):
            return False

    def words(self) -> str:
        """The end of what it said."""
        return self._words.read_text(errors="replace")[-2_000:] if self._words.exists() else ""

    def pause(self) -> None:
        """Let it answer nothing, and keep its connections."""
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        """After ``pause``."""
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None and self.alive:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End it, by force after STOP_TIMEOUT_S."""
        if self._process is None or not self.alive:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def restart(self) -> None:
        """Start it again after ``kill`` or ``stop``, on the same ports and data."""
        self.start()

    def _send(self, what: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(what)


def _free_ports() -> tuple[int, int]:
    """Two ports that nobody uses now."""
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]
