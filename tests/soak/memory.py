"""Resident memory of our own processes over a run, and whether it grows."""

import asyncio
import time
from collections import defaultdict

import numpy as np

from tests.soak.works import Works

EVERY_S = 1.0
OURS = ("edge-a", "edge-b", "ingest-1", "ingest-2", "api", "simulators")
WARM_S = 240.0
TELL_S = 300.0
"""A young process fills its caches."""


class Memory:
    """Looks once a second."""

    def __init__(self, works: Works) -> None:
        self._works = works
        self._seen: defaultdict[str, list[tuple[float, int, float]]] = defaultdict(list)
        self._began = time.monotonic()

    async def watch(self) -> None:
        """Until cancelled."""
        told = self._began
        while True:
            for name in OURS:
                child = self._works.children.get(name)
                if child is not None and (rss := child.rss_mb()) is not None:
                    self._seen[name].append((time.monotonic() - self._began, child.pid, rss))
            await asyncio.sleep(EVERY_S)
            if time.monotonic() - told >= TELL_S:
                told = time.monotonic()
                self._works.tell("memory", **{name: seen[-1][2] for name, seen in self._seen.items()})

    def peaks_mb(self) -> dict[str, float]:
        """The most that each has had."""
        return {name: round(max(rss for _, _, rss in seen), 1) for name, seen in self._seen.items()}

    def slopes_mb_per_h(self) -> dict[str, float]:
        """Growth over the last three quarters of the run, of the processes that lived through all of it."""
        end = time.monotonic() - self._began
        found = {}
        for name, seen in self._seen.items():
            late = [(t, pid, rss) for t, pid, rss in seen if t >= end / 4]
            if late and len({pid for _, pid, _ in late}) == 1 and end >= WARM_S:
                slope = np.polyfit([t for t, _, _ in late], [rss for _, _, rss in late], 1)[0]
                found[name] = round(float(slope) * 3_600, 2)
        return found
