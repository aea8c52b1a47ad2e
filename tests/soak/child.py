"""One process of the plant: started in its own group, killed, frozen, started again, and watched."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from messaging.mosquitto import ends_with_parent

ROOT = Path(__file__).parents[2]
POLITE_S = 20.0
SHOPFLOOR = (sys.executable, "-m", "cli.main")


@dataclass(frozen=True, slots=True)
class Crash:
    """A process that ended by itself."""

    name: str
    code: int
    words: str
    """Its last line."""

    def __str__(self) -> str:
        return f"{self.name} ended by itself with {self.code}: {self.words}"


class Child:
    """A process that is meant to run until it is stopped here. What it says goes to ``name.log`` in ``folder``."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.name, self.command = name, tuple(command)
        self.environment = dict(environment)
        self.wanted = False
        """Whether it is meant to run now."""
        self.starts = 0
        self.kills = 0
        self._log = folder / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Of the running process, or the last one."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.returncode is None

    async def start(self, command: Sequence[str] | None = None) -> None:
        """Start it, or ``command`` in its place."""
        self.starts += 1
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *ends_with_parent(command or self.command, by=signal.SIGKILL),
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wanted = True

    async def kill(self) -> None:
        """End it as a power cut does."""
        self.wanted = False
        if self.running:
            self.kills += 1
            self.signal(signal.SIGKILL)
            await self.ended()

    async def ended(self) -> int:
        """Wait for its end; its exit code."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self, patience_s: float = POLITE_S) -> int:
        """Ask it to end, and insist after ``patience_s``; its exit code."""
        self.wanted = False
        if not self.running:
            return 0
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(patience_s):
                return await self.ended()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            return await self.ended()

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self._process is not None
        os.kill(self._process.pid, number)

    def crash(self) -> Crash | None:
        """That it has ended though it was wanted."""
        if not self.wanted or self.running or self._process is None:
            return None
        lines = self.words().strip().splitlines()
        return Crash(self.name, self._process.returncode or 0, lines[-1] if lines else "")

    def words(self) -> str:
        """All that it has said."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def rss_mb(self) -> float | None:
        """Its resident memory; None when it does not run."""
        try:
            return psutil.Process(self.pid).memory_info().rss / 2**20 if self.running else None
        except psutil.Error:
            return None


async def listening(port: int, child: Child, patience_s: float = 30.0) -> None:
    """Return when something accepts connections on loopback; raises RuntimeError when the child ended or did not."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if not child.running or time.monotonic() > deadline:
                raise RuntimeError(f"{child.name} does not start: {child.words()[-500:]}") from None
            await asyncio.sleep(0.05)
        else:
            writer.transport.abort()
            return
