"""Facts -> KPIs, published: when, for whom, and that it is written once. What is told comes from above (``Teller``).

Beside registers -> samples -> messages -> points -> facts -> KPIs -> panels: an output, read only to be compared.
Running periods are told again about once a minute; ended ones when their facts change, before the dirty interval that
changed them is marked done, and again as long as they are not final. Blocking; one thread at a time.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Final, Protocol
from uuid import uuid4

from historian.historian import Historian
from historian.point import Point, Query
from historian.published import Told, holding, place_tags, replacements, subject_of
from historian.records import Dirty, dirty_point, unit_of
from historian.schema import FINAL, PERIOD_START, PERIOD_UNTIL, Measurement, Origin
from ingest.spans import Window, hull, joined
from ingest.whole_write import must_be_stored, write_whole
from shopfloor.instant import HOUR, MINUTE, SECOND, Instant, floor_to

ROUND_S: Final = 60.0
"""Running shifts and days are published so often ..."""
SLOW_S: Final = 300.0
"""... and so often their charts and energy, which cost more, and what has ended and is not final ..."""
SHARE: Final = 0.0001
"""... but less often where a round cost more than this many seconds of CPU per unit and second."""
LAG: Final = 20 * SECOND
"""Facts follow the samples by up to so much: a running period ends at the last whole minute before that."""
OPEN_FOR: Final = 72 * HOUR
"""An ended period that is still not final is looked at again for so long; after that only once after a change, when the
dirty interval that changed it is done."""
CHUNK: Final = 7 * 24 * HOUR
"""The longest stretch whose KPIs are told at once."""
_CHANGED: Final = frozenset({Measurement.FACTS, Measurement.LOSSES, Measurement.STOPS})


class Teller(Protocol):
    """Answers what is to be published, as the KPI API would. A subject is a unit's or a place's path."""

    def one_look(self) -> AbstractContextManager[None]:
        """Within it everything is told as of one moment."""
        ...

    def above(self, unit: str) -> Sequence[str]:
        """The places that hold a unit."""
        ...

    def first_unit(self, subject: str) -> str:
        """The first unit of a place in the plant file; a unit itself."""
        ...

    def measures(self, subject: str) -> bool:
        """Whether it has control charts."""
        ...

    def running_since(self, subject: str, now: Instant) -> Instant:
        """The start of its running shift."""
        ...

    def kpis(self, subjects: Sequence[str], start: Instant, end: Instant, until: Instant) -> Told:
        """Shifts and production days that touch [start, end), as far as they are past at ``until``."""
        ...

    def charts(self, unit: str, start: Instant, end: Instant, until: Instant) -> Told:
        """The unit's charts, by shift, in the same way."""
        ...

    def energy(self, subject: str, start: Instant, end: Instant, until: Instant) -> Told:
        """Energy by day and month, in the same way."""
        ...

    def scorecards(self, subject: str, start: Instant, end: Instant, until: Instant) -> Told:
        """Scorecards by day, in the same way; nothing of what is neither site nor enterprise."""
        ...


class Publisher:
    """Publishes the units that it is given, and the places of which it has the first unit.

    A process that changes an ended period of a place that another publishes leaves a dirty interval of origin
    ``publish`` for that place's first unit.
    """

    def __init__(
        self,
        historian: Historian,
        teller: Teller,
        enterprise: str,
        now: Callable[[], Instant],
        *,
        alone: bool = False,
    ) -> None:
        """``alone``: a process that comes and goes; it publishes for the owners, too, who may not be there."""
        self._historian = historian
        self._alone = alone
        self._teller = teller
        self._enterprise = enterprise
        self._now = now
        self._units: set[str] = set()
        self._owed: dict[str, _Owed] = defaultdict(_Owed)
        self._open: dict[str, Window] = {}
        """Subject -> what has ended and is not final."""
        self._seen: dict[str, Instant] = {}
        """Subject -> up to when a round has told it."""
        self._others_places: dict[str, list[Window]] = defaultdict(list)
        self._round_at = self._slow_at = 0.0
        self._stamp = 0
        self.written = 0
        """Points so far."""

    def take(self, units: Iterable[str]) -> None:
        """Publish these, too: what runs, and what an earlier process left unfinished, in the next round."""
        self._units |= set(units)
        self._round_at, self._slow_at = time.monotonic(), 0.0

    def leave(self, units: Iterable[str]) -> None:
        """Publish these no more."""
        gone = set(units)
        self._units -= gone
        mine = set(self._subjects())
        for subject in (self._open.keys() | self._seen.keys()) - mine:
            self._open.pop(subject, None)
            self._seen.pop(subject, None)
        for unit in gone:
            self._owed.pop(unit, None)

    # ------------------------------------------------------------ what runs

    @property
    def due(self) -> bool:
        """Whether it is time for a round."""
        return bool(self._units) and time.monotonic() >= self._round_at

    @property
    def overdue(self) -> bool:
        """Whether a round has waited for so long that it must not wait for samples any more."""
        return bool(self._units) and time.monotonic() >= self._round_at + SLOW_S

    def round(self, *, all_of_it: bool = False, give_way: Callable[[], bool] = lambda: False) -> None:
        """Publish what runs, and what has ended since; with ``all_of_it`` also what is only due now and then.

        That is left for the next round when ``give_way`` says so. Raises Backpressure when the store takes nothing; the
        next round tells it all again.
        """
        began, until = time.thread_time(), self._until()
        slow = all_of_it or time.monotonic() >= self._slow_at
        self.pay()
        if subjects := self._subjects():
            with self._teller.one_look():
                since = {each: self._since(each, until) for each in subjects}
                for start, alike in _by_value(since).items():
                    self._kpis(alike, (start, until + 1), until, since=until - OPEN_FOR)
                complete = not slow or self._slowly(since, until, give_way)
            slow = slow and complete
            if complete:
                self._seen = dict.fromkeys(subjects, until - 1)
        rest_s = (time.thread_time() - began) / max(len(self._units), 1) / SHARE
        if slow:
            self._slow_at = time.monotonic() + max(SLOW_S, rest_s)
        self._round_at = time.monotonic() + (ROUND_S if slow else max(ROUND_S, rest_s))

    def _since(self, subject: str, until: Instant) -> Instant:
        running = self._teller.running_since(subject, until)
        seen = self._seen.get(subject)
        return min(running, self._left(subject, until) if seen is None else seen)

    def _left(self, subject: str, until: Instant) -> Instant:
        """From when on an earlier process left something of a subject unpublished, or not final."""
        tags = place_tags(self._enterprise, subject)
        there = holding(self._historian.read(Query(Measurement.KPI_PUBLISHED, tags, until - OPEN_FOR)))
        unfinished = [int(float(point.fields[PERIOD_START])) for point in there if point.fields[FINAL] == 0.0]
        return min([until, *unfinished, *sorted(int(float(point.fields[PERIOD_UNTIL])) for point in there)[-1:]])

    def _slowly(self, since: Mapping[str, Instant], until: Instant, give_way: Callable[[], bool]) -> bool:
        """False when it gave way; then all of it is due again."""
        for subject, start in since.items():
            if give_way():
                return False
            self._write_told(self._teller.energy(subject, start, until + 1, until))
            self._write_told(self._teller.scorecards(subject, start, until + 1, until))
            self._charts(subject, [(start, until + 1)], until)
        left, self._open = self._open, {}
        try:
            self._ended({subject: [window] for subject, window in left.items()}, until, since=until - OPEN_FOR)
        except BaseException:
            self._open = {**left, **self._open}
            raise
        return True

    # ------------------------------------------------------------ what has changed

    def owe(self, changes: Mapping[str, Sequence[Window]], fed: Mapping[str, Sequence[Window]]) -> None:
        """Remember that facts of units, or with ``fed`` their samples, were changed in these windows."""
        for unit, windows in changes.items():
            self._owed[unit].facts += windows
        for unit, windows in fed.items():
            if self._teller.measures(unit):
                self._owed[unit].samples += windows

    def pay(self, units: Collection[str] | None = None) -> None:
        """Publish the ended periods in what is owed of these units (None: of all), and of their places.

        Raises Backpressure when the store takes nothing; then it is still owed.
        """
        until = self._until()
        paid = [unit for unit in self._owed if units is None or unit in units]
        mine: dict[str, list[Window]] = defaultdict(list)
        others: dict[str, list[Window]] = defaultdict(list)
        for unit in paid:
            for subject in (unit, *self._teller.above(unit)):
                ended = self._past(unit, self._owed[unit].facts, until)
                first = self._teller.first_unit(subject)
                ours = subject == unit or first in self._units
                if ended and (ours or self._alone):
                    mine[subject] += ended
                if ended and not ours:
                    others[first] += ended
        self._ended(mine, until)
        for unit in paid:
            self._charts(unit, self._past(unit, self._owed[unit].samples, until), until)
        self._write([dirty_point(self._enterprise, note) for note in self._notes(others)])
        for unit in paid:
            del self._owed[unit]

    def _past(self, unit: str, windows: Iterable[Window], until: Instant) -> list[Window]:
        """What of the windows lies before the running shift, which the rounds tell."""
        running = self._teller.running_since(unit, until)
        return joined(((start, min(end, running)) for start, end in windows if start < running), HOUR)

    def noted(self, notes: Sequence[Dirty]) -> None:
        """Publish what other processes changed of units, and of the places of which they are the first."""
        mine: dict[str, list[Window]] = defaultdict(list)
        until = self._until()
        for note in notes:
            for subject in (note.unit, *self._teller.above(note.unit)):
                if self._teller.first_unit(subject) == note.unit:
                    mine[subject].append((note.start, note.end))
            self._charts(note.unit, [(note.start, note.end)], until)
        self._ended(mine, until)
        self._write([dirty_point(self._enterprise, replace(note, done=True)) for note in notes])

    def for_others(self, unit: str, windows: Sequence[Window]) -> None:
        """Publish a unit beside its owner, and leave this owner and those of its places word of it: a rederivation."""
        places, until = self._teller.above(unit), self._until()
        firsts = {unit, *map(self._teller.first_unit, places)}
        notes = self._notes(dict.fromkeys(sorted(firsts), windows))
        self._write([dirty_point(self._enterprise, note) for note in notes])
        self._ended({unit: windows}, until)
        self._charts(unit, windows, until)
        for place in places:
            self._others_places[place] += windows

    def finish_for_others(self) -> None:
        """Publish the places of all these units, each once."""
        self._ended(self._others_places, self._until())
        self._others_places.clear()

    def _notes(self, windows: Mapping[str, Iterable[Window]]) -> list[Dirty]:
        """Dirty intervals that tell the owners of these first units to publish."""
        found = []
        for unit, given in windows.items():
            for start, end in joined(given):
                self._stamp = max(self._now(), self._stamp + 1)
                found.append(Dirty(unit, self._stamp, start, end, origin=Origin.PUBLISH, id=str(uuid4())))
        return found

    # ------------------------------------------------------------ parts

    def _until(self) -> Instant:
        return floor_to(self._now() - LAG, MINUTE)

    def _subjects(self) -> list[str]:
        """The units, and the places of which one of them is the first."""
        places = dict.fromkeys(place for unit in sorted(self._units) for place in self._teller.above(unit))
        return [*sorted(self._units), *(place for place in places if self._teller.first_unit(place) in self._units)]

    def _ended(self, windows: Mapping[str, Sequence[Window]], until: Instant, since: Instant = 0) -> None:
        """Subjects with the same windows are told together; what is not final is told again if it ended ``since``."""
        alike: dict[tuple[Window, ...], list[str]] = defaultdict(list)
        for subject, given in windows.items():
            alike[tuple(joined(given, HOUR))].append(subject)
        told = [(subjects, window) for together, subjects in alike.items() for window in together]
        with self._teller.one_look():
            for subjects, window in told:
                self._kpis(subjects, window, until, since)
                for subject in subjects:
                    self._write_told(self._teller.energy(subject, *window, until))
                    self._write_told(self._teller.scorecards(subject, *window, until))

    def _kpis(self, subjects: Sequence[str], window: Window, until: Instant, since: Instant) -> None:
        for start in range(window[0], window[1], CHUNK):
            told = self._teller.kpis(subjects, start, min(start + CHUNK, window[1]), until)
            self._write_told(told)
            self._note_open(told.wanted, since, until)

    def _note_open(self, points: Iterable[Point], since: Instant, until: Instant) -> None:
        for point in points:
            end = int(float(point.fields[PERIOD_UNTIL]))
            if point.fields[FINAL] == 0.0 and since < end < until:
                subject = subject_of(point)
                window = int(float(point.fields[PERIOD_START])), end
                self._open[subject] = hull(window, self._open.get(subject, window))

    def _charts(self, subject: str, windows: Iterable[Window], until: Instant) -> None:
        if self._teller.measures(subject):
            for window in joined(windows, HOUR):
                self._write_told(self._teller.charts(subject, *window, until))

    def _write_told(self, told: Told) -> None:
        stored = [point for scope in told.scopes for point in told.stored(self._historian.read(scope))]
        self._write(replacements(stored, told.wanted))

    def _write(self, points: Sequence[Point]) -> None:
        self.written += write_whole(self._historian, points, must_be_stored)


@dataclass(slots=True)
class _Owed:
    """Windows of one unit."""

    facts: list[Window] = field(default_factory=list)
    samples: list[Window] = field(default_factory=list)


def _by_value(since: Mapping[str, Instant]) -> dict[Instant, list[str]]:
    found: dict[Instant, list[str]] = defaultdict(list)
    for subject, start in since.items():
        found[start].append(subject)
    return found


def changes_of(points: Iterable[Point]) -> dict[str, list[Window]]:
    """Unit -> the minutes of which facts, losses or stops are written."""
    found: dict[str, list[Window]] = defaultdict(list)
    for point in points:
        if point.measurement in _CHANGED:
            found[unit_of(point.tags)].append((point.time, point.time + MINUTE))
    return {unit: joined(windows, HOUR) for unit, windows in found.items()}
