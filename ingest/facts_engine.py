"""Dirty intervals in, right facts out: registers -> samples -> messages -> points -> *facts* -> KPIs -> panels.

Dirty intervals are durable before they come here (written with the samples that caused them) and are marked done only
after the facts were accepted: a kill anywhere in between costs a second derivation, never a fact.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from historian.historian import Historian
from historian.point import Point, Query
from historian.records import Dirty, dirty_point, point_dirty, unit_tags
from historian.schema import Measurement
from ingest.unit_derivation import UnitDerivation
from kpi.facts import Window
from kpi.plan import UnitPlan
from shopfloor.clock import Clock
from shopfloor.errors import Backpressure
from shopfloor.fact import Fact
from shopfloor.instant import QUARTER, Instant

log = logging.getLogger(__name__)

MIN_INTERVAL_S: Final = 0.25
"""Passes begin at most this often: what arrives meanwhile is derived together."""
REST: Final = 3.0
"""After a pass the engine rests this many times its duration, so that ingest keeps most of the machine."""
MAX_REST_S: Final = 2.0
"""But never longer than this."""
_PAGE: Final = 1_000


@dataclass(slots=True)
class _Progress:
    """What one unit is owed, and up to where its shifts were final when it was last owed nothing."""

    pending: list[Dirty]
    final_before: Instant | None = None


class FactsEngine:
    """Keeps the facts of its units equal to a derivation from raw. One engine owns a unit.

    ``watermark`` tells the oldest source time that a unit's agent may still hold (None: unknown); once it passed a
    shift's end and nothing was dirty, a change of that shift is recorded as a revision.
    """

    def __init__(
        self,
        historian: Historian,
        plans: Mapping[str, UnitPlan],
        enterprise: str,
        clock: Clock,
        *,
        watermark: Callable[[str], Instant | None] = lambda unit: None,
    ) -> None:
        self._historian = historian
        self._enterprise = enterprise
        self._clock = clock
        self._watermark = watermark
        self._units = {path: UnitDerivation(historian, plan, enterprise) for path, plan in plans.items()}
        self._progress = {path: _Progress([]) for path in plans}
        self._work, self._idle, self._hurry = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._delayed = False
        self.passes = 0
        """Derivations of a unit so far."""

    @property
    def pending(self) -> int:
        """Dirty intervals not yet taken up."""
        return sum(len(progress.pending) for progress in self._progress.values())

    async def resume(self) -> None:
        """Take up the dirty intervals that an earlier process left; call once, before ``run``."""
        for unit in self._units:
            self.notify(await asyncio.to_thread(self._left_behind, unit))

    def notify(self, dirties: Iterable[Dirty]) -> None:
        """Intervals whose samples and dirty points are stored. Units of other engines are passed over."""
        for dirty in dirties:
            if dirty.unit in self._progress:
                self._progress[dirty.unit].pending.append(dirty)
        if self.pending:
            self._idle.clear()
            self._work.set()

    async def run(self) -> None:
        """Derive until cancelled. Raises what is not Backpressure: a wrong plan or a broken store."""
        while True:
            await self._work.wait()
            began = time.monotonic()
            retry_s = await self._pass()
            spent_s = time.monotonic() - began
            await asyncio.sleep(retry_s)
            await self._rest(max(MIN_INTERVAL_S, min(REST * spent_s, MAX_REST_S)))

    async def settle(self) -> None:
        """Return when nothing is dirty. ``run`` must be running; it does not rest meanwhile."""
        self._hurry.set()
        await self._idle.wait()

    def rederive_fresh(self, unit: str, start: Instant, end: Instant) -> list[Fact]:
        """Minute facts of [start, end) derived from raw, beside the store: what the stored ones must equal."""
        return self._units[unit].fresh((start, end)).facts

    async def _pass(self) -> float:
        """Derive every unit that is owed something; the seconds to wait when the store was busy, else 0."""
        retry_s = 0.0
        for unit, progress in self._progress.items():
            taken, progress.pending = progress.pending, []
            if not taken:
                continue
            watermark = self._watermark(unit)
            try:
                await _in_thread(self._derive, unit, taken, progress.final_before)
            except Backpressure as busy:
                progress.pending = taken + progress.pending
                retry_s = busy.retry_after_s
                self._note_delay(busy)
                continue
            self.passes += 1
            progress.final_before = watermark
        self._close_pass(retry_s)
        return retry_s

    def _close_pass(self, retry_s: float) -> None:
        if self._delayed and not retry_s:
            self._delayed = False
            log.info("facts are written again")
        if not self.pending:
            self._work.clear()
            self._hurry.clear()
            self._idle.set()

    def _note_delay(self, busy: Backpressure) -> None:
        if not self._delayed:
            self._delayed = True
            log.warning("facts wait for the historian: %s", busy)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    def _derive(self, unit: str, taken: Sequence[Dirty], final_before: Instant | None) -> None:
        derivation = self._units[unit]
        for window in _joined(derivation.touched(start, end) for start, end in _spans(taken)):
            for points in derivation.update(window, final_before=final_before, now=self._clock.now()):
                self._store(points)
        self._store([dirty_point(self._enterprise, replace(dirty, done=True)) for dirty in taken])

    def _store(self, points: list[Point]) -> None:
        while points:
            report = self._historian.write(points)
            for index, reason in report.rejected.items():
                log.error("the historian refused %s of the facts engine: %s", points[index].measurement, reason)
            if not report.accepted and not report.rejected:
                raise Backpressure("the historian took nothing")
            points = [points[index] for index in report.kept(len(points))]

    def _left_behind(self, unit: str) -> list[Dirty]:
        """The unit's open intervals. They are taken up together, so a whole page of done ones ends the search."""
        found: list[Dirty] = []
        query = Query(Measurement.DIRTY, unit_tags(self._enterprise, unit), descending=True, limit=_PAGE)
        while page := [point_dirty(point) for point in self._historian.read(query)]:
            found += [dirty for dirty in page if not dirty.done]
            if all(dirty.done for dirty in page):
                break
            query = replace(query, end=page[-1].stamp)
        return found[::-1]


async def _in_thread(work: Callable[..., None], *arguments: object) -> None:
    """Run in a thread. A cancelled caller still waits for its end: the historian may be closed only after it."""
    task = asyncio.create_task(asyncio.to_thread(work, *arguments), name="derive")
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise


def _spans(dirties: Iterable[Dirty]) -> list[Window]:
    return _joined(((dirty.start, dirty.end) for dirty in dirties), QUARTER)


def _joined(windows: Iterable[Window], gap: int = 0) -> list[Window]:
    """Windows that overlap, or are at most ``gap`` ms apart, as one; in order of time."""
    joined: list[Window] = []
    for start, end in sorted(windows):
        if joined and start <= joined[-1][1] + gap:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined
