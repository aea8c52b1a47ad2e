"""Dirty intervals in, right facts out: registers -> samples -> messages -> points -> *facts* -> KPIs -> panels.

Dirty intervals are durable before they come here (written with the samples or statements that caused them) and are
marked done only after the facts were accepted: a kill anywhere in between costs a second derivation, never a fact.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from historian.historian import Historian
from historian.records import Dirty
from historian.schema import Origin
from ingest.derivation_pass import DerivationPass, Owed
from ingest.open_intervals import Elsewhere, left_behind, open_of
from ingest.publisher import Publisher
from ingest.unit_derivation import UnitDerivation
from ingest.whole_write import insist
from kpi.plan import UnitPlan
from shopfloor.clock import Clock
from shopfloor.errors import Backpressure
from shopfloor.fact import Fact
from shopfloor.instant import Instant

log = logging.getLogger(__name__)
T = TypeVar("T")

SHARE: Final = 0.0007
"""Seconds of CPU that live facts may cost per unit and second: after a pass the engine rests accordingly ..."""
MIN_REST_S: Final = 2.0
"""... so long at least, since what arrives meanwhile is derived together ..."""
MAX_REST_S: Final = 10.0
"""... but never longer than this."""
BACKLOG_S: Final = 0.05
"""A pass that cost more CPU per unit worked on a backlog: the engine rests a third of its time, so that ingest goes on
beside."""
YIELD: Final = 4.0
"""While samples wait to be stored the engine rests so many times as long as it worked: samples first, facts follow."""
MAX_YIELD_S: Final = 20.0
"""... but never longer than this."""
SWEEPS_S: Final = (15.0, 60.0, 300.0)
"""So long after a unit was taken over it is looked at again: the process that had it may have stored a last batch."""
POLL_S: Final = 1.0
"""How often the store is asked for statements that other processes put."""


@dataclass(slots=True)
class _Progress:
    """What one unit is owed, and up to where its shifts were final when it was last owed nothing."""

    pending: list[Dirty]
    final_before: Instant | None = None
    resumed: bool = False
    """Whether another process may have begun with what is pending."""


class FactsEngine:
    """Keeps the facts of its units equal to a derivation from raw and statements. One engine owns a unit.

    ``watermark`` tells the oldest source time that a unit's agent may still hold (None: unknown); once it passed a
    shift's end and nothing was dirty, late data that change that shift are recorded as a revision. ``stored_watermark``
    tells what it was before an instant of the ingest clock (None: at the end), as an earlier process stored it.
    """

    def __init__(
        self,
        historian: Historian,
        plans: Mapping[str, UnitPlan],
        enterprise: str,
        clock: Clock,
        *,
        watermark: Callable[[str], Instant | None] = lambda unit: None,
        stored_watermark: Callable[[str, Instant | None], Instant | None] = lambda unit, before: None,
        pressed: Callable[[], bool] = lambda: False,
        publisher: Publisher | None = None,
    ) -> None:
        """``pressed`` tells whether samples wait to be stored. Without a ``publisher`` nothing is published."""
        self._publisher = publisher
        if publisher is not None:
            publisher.take(plans)
        self._historian = historian
        self._enterprise = enterprise
        self._clock = clock
        self._watermark = watermark
        self._stored_watermark = stored_watermark
        self._pressed = pressed
        self._units = {path: UnitDerivation(historian, plan, enterprise) for path, plan in plans.items()}
        self._progress = {path: _Progress([]) for path in plans}
        self._elsewhere = Elsewhere(historian, enterprise)
        self._sweeps: dict[str, list[float]] = {}
        self._notes: list[Dirty] = []
        self._passing = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="facts")
        self._under_way: DerivationPass | None = None
        self._work, self._idle, self._hurry = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._polled_at = self._next_at = 0.0
        self._delayed = False
        self.passes = 0
        """Derivations of a unit so far."""

    @property
    def pending(self) -> int:
        """Dirty intervals not yet taken up."""
        return sum(len(progress.pending) for progress in self._progress.values())

    async def resume(self) -> None:
        """Take up the dirty intervals that an earlier process left; call once, before ``run``."""
        for unit in list(self._progress):
            await self._take_up(unit)

    async def take(self, plans: Mapping[str, UnitPlan]) -> None:
        """Own these units, too: take up what another process left of them."""
        for unit, plan in plans.items():
            self._units[unit] = UnitDerivation(self._historian, plan, self._enterprise)
            self._progress[unit] = _Progress([])
            now = time.monotonic()
            self._sweeps[unit] = [now + later_s for later_s in SWEEPS_S]
            await self._take_up(unit)
        async with self._passing:
            if self._publisher is not None:
                self._publisher.take(plans)

    async def leave(self, units: Iterable[str]) -> None:
        """Own these units no more; returns when nothing of them is being derived or written."""
        gone = set(units)
        if self._under_way is not None and any(each.derivation.unit in gone for each in self._under_way.owed):
            self._under_way.stop()
        async with self._passing:
            for unit in gone & self._units.keys():
                del self._units[unit], self._progress[unit]
                self._sweeps.pop(unit, None)
            if self._publisher is not None:
                self._publisher.leave(gone)

    async def _take_up(self, unit: str) -> None:
        if self._publisher is not None:
            self._notes += await self._insist(lambda: open_of(self._historian, self._enterprise, unit, Origin.PUBLISH))
        found = await self._insist(lambda: left_behind(self._historian, self._enterprise, unit))
        since = min((dirty.stamp for dirty in found if dirty.origin is Origin.INGEST), default=None)
        final_before = await self._insist(lambda: self._stored_watermark(unit, since))
        if unit in self._progress:
            self._progress[unit].final_before = final_before
            self._progress[unit].resumed = bool(found)
            self.notify(found)

    async def _insist(self, call: Callable[[], T]) -> T:
        return await insist(call, self._note_delay)

    def notify(self, dirties: Iterable[Dirty]) -> None:
        """Intervals whose dirty points are stored, with what caused them. Units of other engines are passed over."""
        for dirty in dirties:
            if dirty.unit in self._progress:
                self._progress[dirty.unit].pending.append(dirty)
        if self.pending:
            self._idle.clear()
            self._work.set()

    async def run(self) -> None:
        """Derive until cancelled. Raises what is not Backpressure: a wrong plan or a broken store."""
        while True:
            await self._wake()
            retry_s = await self._poll()
            due = self._hurry.is_set() or time.monotonic() >= self._next_at
            began = time.monotonic()
            units = self._owed() if due else self._urgent()
            busy_s, cpu_s = await self._pass(units)
            busy_s = max(busy_s, await self._publish())
            if due:
                spent_s = time.monotonic() - began
                self._next_at = time.monotonic() + rest_s(spent_s, cpu_s, len(units), pressed=self._pressed())
            await asyncio.sleep(max(retry_s, busy_s))

    async def settle(self) -> None:
        """Return when nothing is dirty, statements included. ``run`` must be running; it does not rest meanwhile."""
        self._polled_at = 0.0
        self._idle.clear()
        self._hurry.set()
        self._work.set()
        await self._idle.wait()

    def rederive_fresh(self, unit: str, start: Instant, end: Instant) -> list[Fact]:
        """Minute facts of [start, end) derived from raw, beside the store: what the stored ones must equal."""
        return self._units[unit].fresh((start, end)).facts

    async def _wake(self) -> None:
        """Wait for the next pass, or for the next look at what other processes stated."""
        left_s = self._next_at - time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(left_s, 0.0), POLL_S) if self.pending else POLL_S):
                await (self._hurry if self.pending else self._work).wait()

    async def _poll(self) -> float:
        """Take up what other processes put, about once a second; the seconds to wait when the store was busy."""
        if time.monotonic() < self._polled_at + POLL_S:
            return 0.0
        try:
            found, others = await self._on_thread(lambda: self._elsewhere.look(frozenset(self._units)))
            found += await self._on_thread(self._swept)
            if self._publisher is not None:
                noted = await self._on_thread(lambda: self._elsewhere.notes(frozenset(self._units)))
                self._notes += [note for note in noted if note not in self._notes]
        except Backpressure as busy:
            self._note_delay(busy)
            return busy.retry_after_s
        self._polled_at = time.monotonic()
        for unit in others & self._units.keys():
            self._units[unit].forget_facts()
        self.notify(dirty for dirty in found if dirty not in self._pending(dirty.unit))
        return 0.0

    def _swept(self) -> list[Dirty]:
        """What is open of the units that were taken over a while ago (blocking)."""
        found: list[Dirty] = []
        for unit, due in list(self._sweeps.items()):
            if due and time.monotonic() >= due[0]:
                found += (left := left_behind(self._historian, self._enterprise, unit))
                if left and unit in self._progress:
                    self._progress[unit].resumed = True
                due.pop(0)
        return found

    def _owed(self) -> list[str]:
        return [unit for unit, progress in self._progress.items() if progress.pending]

    def _urgent(self) -> list[str]:
        """People wait for what they stated."""
        return [unit for unit in self._owed() if any(each.origin is not Origin.INGEST for each in self._pending(unit))]

    def _pending(self, unit: str) -> list[Dirty]:
        progress = self._progress.get(unit)
        return [] if progress is None else progress.pending

    async def _pass(self, units: Iterable[str]) -> tuple[float, float]:
        """Derive these units; the seconds to wait when the store was busy, else 0, and the seconds of CPU spent."""
        async with self._passing:
            return await self._pass_over([unit for unit in units if unit in self._units])

    async def _pass_over(self, units: Iterable[str]) -> tuple[float, float]:
        owed: list[Owed] = []
        for unit in units:
            progress = self._progress[unit]
            taken, progress.pending = progress.pending, []
            owed.append(Owed(self._units[unit], taken, progress.final_before, progress.resumed))
        marks = {each.derivation.unit: self._watermark(each.derivation.unit) for each in owed}
        retry_s = cpu_s = 0.0
        if owed:
            self._under_way = work = DerivationPass(
                self._historian, self._enterprise, owed, self._clock.now(), self._publisher
            )
            retry_s = await self._in_thread(work.run, work.stop)
            self._under_way = None
            cpu_s = work.cpu_s
            self._settle_accounts(work, marks)
            if self._delayed and not retry_s:
                self._delayed = False
                log.info("facts are written again")
        if self._hurry.is_set() and not self.pending and self._polled_at and not retry_s:
            retry_s = await self._publish_now(all_of_it=True)
        if not self.pending and self._polled_at and not retry_s:
            self._work.clear()
            self._hurry.clear()
            self._idle.set()
        return retry_s, cpu_s

    async def _publish(self) -> float:
        """Publish what is due; the seconds to wait when the store was busy, else 0."""
        if self._publisher is None or not (self._publisher.due or self._notes):
            return 0.0
        if self._pressed() and not self._publisher.overdue:
            return 0.0
        async with self._passing:
            return await self._publish_now(all_of_it=False)

    async def _publish_now(self, *, all_of_it: bool) -> float:
        publisher, notes = self._publisher, self._notes
        if publisher is None:
            return 0.0
        patient = not (all_of_it or publisher.overdue)

        def work() -> None:
            mine = [note for note in notes if note.unit in self._units]
            if mine:
                publisher.noted(mine)
            if all_of_it or publisher.due:
                publisher.round(all_of_it=all_of_it, give_way=lambda: patient and self._pressed())

        busy_s = await self._in_thread(work, lambda: None)
        if not busy_s:
            self._notes = [note for note in self._notes if note not in notes]
        return busy_s

    def _settle_accounts(self, work: DerivationPass, marks: Mapping[str, Instant | None]) -> None:
        for each in work.owed:
            progress = self._progress[each.derivation.unit]
            if each.settled:
                self.passes += 1
                progress.final_before = marks[each.derivation.unit] or progress.final_before
                progress.resumed = False
            else:
                progress.pending = [*each.taken, *progress.pending]

    async def _in_thread(self, work: Callable[[], None], stop: Callable[[], None]) -> float:
        """Run in a thread. A cancelled caller still waits for its end: the historian may be closed only after it."""
        task = self._on_thread(work)
        try:
            await asyncio.shield(task)
        except Backpressure as busy:
            self._note_delay(busy)
            return busy.retry_after_s
        except asyncio.CancelledError:
            stop()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()
            raise
        finally:
            del task  # else it holds this frame by its error, and the frame it
        return 0.0

    def _on_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Always the same one: what it once needed of memory serves it again."""
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _note_delay(self, busy: Backpressure) -> None:
        if not self._delayed:
            self._delayed = True
            log.warning("facts wait for the historian: %s", busy)


def rest_s(spent_s: float, cpu_s: float, units: int, *, pressed: bool = False) -> float:
    """Seconds until the next pass, after one over so many units; ``pressed``: samples wait to be stored."""
    each_s = cpu_s / max(units, 1)
    rest = spent_s / 3 if each_s > BACKLOG_S else min(max(each_s / SHARE, MIN_REST_S), MAX_REST_S)
    return max(rest, min(YIELD * spent_s, MAX_YIELD_S)) if pressed else rest
