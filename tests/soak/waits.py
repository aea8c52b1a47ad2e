"""How long processes waited for a processor: what a busy machine, and nobody else, is to blame for."""

import asyncio
import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from shopfloor.clock import SystemClock
from shopfloor.instant import Instant

EVERY_S: Final = 0.2
RIM_MS: Final = 500
"""A look comes late when the machine is busy: what was waited around a time counts, too."""


class Look(NamedTuple):
    """What a process had waited at a time."""

    time: Instant
    waited_ms: float
    """Since the first look at the first process of this name."""


class Waits:
    """Looks at the processes of some names; the kernel counts for each what it was ready and did not run."""

    def __init__(self, pids: Callable[[], Mapping[str, int]]) -> None:
        self._pids = pids
        self._clock = SystemClock()
        self._looks: defaultdict[str, list[Look]] = defaultdict(list)
        self._last: dict[str, tuple[int, float]] = {}

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            self.look({**self._pids(), "harness": os.getpid()})
            await asyncio.sleep(EVERY_S)

    def look(self, pids: Mapping[str, int]) -> None:
        """Look once."""
        for name, pid in pids.items():
            waited = waited_ms(pid)
            if waited is not None:
                self.note(name, pid, waited, self._clock.now())

    def note(self, name: str, pid: int, waited: float, now: Instant) -> None:
        """What a process has waited in all at a time."""
        before, looks = self._last.get(name), self._looks[name]
        grown = waited - before[1] if before is not None and before[0] == pid else 0.0
        looks.append(Look(now, (looks[-1].waited_ms if looks else 0.0) + grown))
        self._last[name] = pid, waited

    def between_s(self, names: tuple[str, ...], start: Instant, end: Instant) -> float:
        """What these, and we who carry their messages, waited in [start, end): one after the other at the worst."""
        return sum(self._of(name, start - RIM_MS, end + RIM_MS) for name in (*names, "harness")) / 1000

    def _of(self, name: str, start: Instant, end: Instant) -> float:
        looks = self._looks[name]
        if not looks:
            return 0.0
        first = max(bisect_left(looks, start, key=lambda look: look.time) - 1, 0)
        last = min(bisect_left(looks, end, key=lambda look: look.time), len(looks) - 1)
        return looks[last].waited_ms - looks[first].waited_ms


def waited_ms(pid: int) -> float | None:
    """What the main thread of a process has waited so far; None where that cannot be read."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e6
    except (OSError, IndexError):
        return None
