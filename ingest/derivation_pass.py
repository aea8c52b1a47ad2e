"""One pass over the units that are owed something: *points -> facts*, many units in few writes. Blocking.

Within registers -> samples -> messages -> points -> facts -> KPIs -> panels. Facts first, and only when the store has
them the marks that their intervals are done.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from historian.historian import Historian
from historian.point import Point
from historian.records import Dirty, dirty_point
from historian.schema import Origin
from ingest.publisher import Publisher, changes_of
from ingest.revisions import Cause, Revisions
from ingest.spans import Window, joined
from ingest.unit_derivation import UnitDerivation
from ingest.whole_write import write_whole
from shopfloor.instant import QUARTER, Instant

log = logging.getLogger(__name__)

MAX_BATCH: Final = 5_000
"""Points in one write, about."""
_SAMPLES: Final = frozenset({Origin.INGEST, Origin.REPLAY})
"""What brings new samples."""


@dataclass(slots=True)
class Owed:
    """A unit with the intervals that it is owed, and up to where its shifts were final before them."""

    derivation: UnitDerivation
    taken: list[Dirty]
    final_before: Instant | None
    resumed: bool = False
    """Whether an earlier process may have written facts of the intervals, and published nothing."""
    settled: bool = False
    """Whether its facts and the marks are stored."""


class DerivationPass:
    """Derives what is owed. ``run`` raises Backpressure when the store takes nothing: the rest is not settled."""

    def __init__(
        self,
        historian: Historian,
        enterprise: str,
        owed: Sequence[Owed],
        now: Instant,
        publisher: Publisher | None = None,
    ) -> None:
        """``publisher``: is told what changes, and publishes it before it is marked as done."""
        self._historian = historian
        self._publisher = publisher
        self._enterprise = enterprise
        self.owed = owed
        self._now = now
        self.cpu_s = 0.0
        """What ``run`` has cost its thread."""
        self._stopped = threading.Event()
        self._waiting: list[tuple[UnitDerivation, list[Point]]] = []
        self._derived: list[Owed] = []

    def stop(self) -> None:
        """End soon, between two writes; what is not settled stays dirty. From any thread."""
        self._stopped.set()

    def run(self) -> None:
        """Derive unit after unit. A unit's chunks are written one by one, short ones of many units together."""
        began = time.thread_time()
        try:
            for each in self.owed:
                if not self._derive(each):
                    return
                self._derived.append(each)
            self._settle()
        except BaseException:
            for each in self.owed:
                if not each.settled:
                    each.derivation.forget()
            raise
        finally:
            self.cpu_s += time.thread_time() - began

    def _derive(self, owed: Owed) -> bool:
        """False when it was stopped."""
        derivation = owed.derivation
        for cause, windows, dirties in _changes(derivation, owed.taken):
            revisions = Revisions(
                self._historian,
                self._enterprise,
                cause,
                final_before=owed.final_before,
                reach=derivation.reach,
                now=self._now,
            )
            derivation.statements.take_up(dirties)
            self._owe(owed, cause, windows, dirties)
            for window in windows:
                for number, part in enumerate(derivation.chunks(window)):
                    if self._stopped.is_set():
                        return False
                    if number or any(unit is derivation for unit, _ in self._waiting):
                        self._flush()
                    self._waiting.append((derivation, derivation.update(part, revisions)))
                    if sum(len(points) for _, points in self._waiting) > MAX_BATCH:
                        self._settle()
            if not cause.is_late_data:  # what comes next looks at the stops as they are now
                self._flush()
        return True

    def _settle(self) -> None:
        """Write what waits, publish what follows from it, then mark what was derived as done."""
        self._flush()
        if self._publisher is not None:
            self._publisher.pay({each.derivation.unit for each in self._derived})
        done = [dirty for each in self._derived for dirty in each.taken]
        self._store([dirty_point(self._enterprise, replace(dirty, done=True)) for dirty in done])
        for each in self._derived:
            each.settled = True
        self._derived = []

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._store([point for _, points in waiting for point in points])
        for derivation, points in waiting:
            derivation.stored(points)
            if self._publisher is not None:
                self._publisher.owe(changes_of(points), {})

    def _owe(self, owed: Owed, cause: Cause, windows: Sequence[Window], dirties: Sequence[Dirty]) -> None:
        """What is owed whether or not a fact changes: sign-offs, charts, and what may have been written before."""
        if self._publisher is not None:
            unit, told = owed.derivation.unit, owed.resumed or not cause.is_late_data
            fed = [(each.start, each.end) for each in dirties if each.origin in _SAMPLES]
            self._publisher.owe({unit: windows} if told else {}, {unit: fed})

    def _store(self, points: Sequence[Point]) -> None:
        write_whole(self._historian, points, _refused)


def _refused(point: Point, reason: str) -> None:
    log.error("the historian refused %s of the facts engine: %s", point.measurement, reason)


def _changes(derivation: UnitDerivation, taken: Sequence[Dirty]) -> Iterator[tuple[Cause, list[Window], list[Dirty]]]:
    """What is to be derived for each cause: new samples together, then each statement in the order of their making.

    A statement counts only from its own turn on, so that every revision has its own cause.
    """
    fed = [dirty for dirty in taken if dirty.origin in _SAMPLES]
    told = sorted((dirty for dirty in taken if dirty.origin not in _SAMPLES), key=lambda each: each.stamp)
    if told:
        derivation.statements.load()
        derivation.forget_facts()
    spans = joined(((dirty.start, dirty.end) for dirty in fed), QUARTER)
    for span in spans:
        derivation.samples_changed(*span)
    if fed:
        yield Cause(), joined(derivation.touched(*span) for span in spans), fed
    for (cause, who, _), group in groupby(told, key=lambda each: (each.cause, each.who, each.id)):
        dirties = list(group)
        derivation.statements.take_up(dirties)
        windows = [derivation.touched(each.start, each.end, stated=each.origin is Origin.STATEMENT) for each in dirties]
        yield Cause(cause, who), joined(windows), dirties
