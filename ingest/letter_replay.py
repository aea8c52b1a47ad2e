"""Dead letters once more through the judge of arriving *messages*: what can be stored now is stored, with its facts.

Blocking, and safe beside a running ingest: the samples go in one write with the dirty interval that they cause, which
the facts engine of their unit finds (``open_intervals``). Only then is a letter withdrawn, so that a kill anywhere
costs nothing but another replay, which finds its samples stored.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, Final, TypeVar
from uuid import uuid4

import msgspec

from historian.historian import Historian
from historian.point import Point, Query, WriteReport
from historian.records import Dirty, dirty_point, sample_point, unit_tags
from historian.schema import Measurement, Origin
from ingest.dead_letters import DeadLetters, StoredLetter, Wanted
from ingest.ledger import tally_points
from ingest.mapping import Judge, Refusal, Source, dirty_spans
from messaging.payload import Sequenced
from shopfloor.clock import Trust
from shopfloor.errors import Backpressure
from shopfloor.instant import Instant
from shopfloor.plant import Plant
from shopfloor.sample import Sample

T = TypeVar("T")

PATIENCE_S: Final = 60.0
"""So long a store may ask to wait."""
PAUSE_S: Final = 0.2
_TRUSTED: Final = frozenset({Refusal.FUTURE_TIME, Refusal.REFUSED_BY_STORE})
"""Reasons that are found only after the sender's clock was found good."""


class Kept(StrEnum):
    """Why a letter is kept beside the judge's refusals."""

    CUT = "payload_cut"
    """Only its first bytes are left."""
    TIME_TAKEN = "time_taken"
    """Another sample of the unit has this source time: history is never overwritten."""


@dataclass(slots=True)
class ReplayCounts:
    """What became of the letters."""

    letters: int = 0
    stored: int = 0
    """Now in the historian, letters no more."""
    present: int = 0
    """Of these, found there already: an earlier replay had been killed."""
    kept: Counter[str] = field(default_factory=Counter)
    """Still refused, by reason."""
    units: Counter[str] = field(default_factory=Counter)
    """Stored by unit."""


@dataclass(frozen=True, slots=True)
class Dating:
    """How letters of an agent that did not know the time are dated: not at all, as they say, or moved."""

    accept: bool = False
    shift_ms: int = 0


@dataclass(frozen=True, slots=True)
class _Candidate:
    letter: StoredLetter
    source: Source
    sequenced: Sequenced
    point: Point

    @property
    def place(self) -> tuple[str, Instant]:
        return self.sequenced.sample.unit, self.sequenced.sample.time

    def is_in(self, stored: Mapping[str, Any] | None) -> bool:
        """Whether what is stored at its place was written by an earlier replay of this letter."""
        return self.letter.replaying and stored == self.point.fields


class LetterReplay:
    """Replays letters of one file into one historian. ``dry_run`` judges and counts, and writes nothing."""

    def __init__(
        self,
        letters: DeadLetters,
        historian: Historian,
        plant: Plant,
        now: Instant,
        *,
        dating: Dating | None = None,
        dry_run: bool = False,
        progress: Callable[[int], None] = lambda letters: None,
    ) -> None:
        self._letters = letters
        self._historian = historian
        self._plant = plant
        self._now = self._stamp = now
        self._dating = dating or Dating()
        self._dry_run = dry_run
        self._progress = progress
        self._judge = Judge(plant)
        self._taken: set[tuple[str, Instant]] = set()
        self.counts = ReplayCounts()
        self.seen: set[int] = set()
        """Ids of the letters that were judged."""

    def run(self, wanted: Wanted) -> ReplayCounts:
        """Replay the letters that tell their sample. Raises Backpressure or ServiceUnavailable: run it again."""
        for page in self._letters.oldest_first(
            Wanted(wanted.reason, wanted.agent, wanted.since, wanted.ids, named=True)
        ):
            self.counts.letters += len(page)
            self.seen.update(stored.id for stored in page)
            self._page(page)
            self._progress(self.counts.letters)
        return self.counts

    def _page(self, page: Sequence[StoredLetter]) -> None:
        candidates = self._free([one for stored in page if (one := self._candidate(stored)) is not None])
        stored = candidates if self._dry_run else self._write(candidates)
        self.counts.stored += len(stored)
        self.counts.units.update(one.sequenced.sample.unit for one in stored)
        if not self._dry_run:
            self._letters.withdraw((one.source, one.sequenced.seq) for one in stored)
            self._tell()

    # ------------------------------------------------------------ judging

    def _candidate(self, stored: StoredLetter) -> _Candidate | None:
        """The sample of a letter that the judge lets pass; counts why it does not."""
        letter = stored.letter
        if stored.digest is not None:
            self.counts.kept[Kept.CUT] += 1
            return None
        judgement = self._judge.judge(letter.topic, _message(stored, self._clock_of(stored), self._dating), self._now)
        if not judgement.good or judgement.source is None:
            self.counts.kept[judgement.letters[0].reason] += 1
            return None
        [sequenced] = judgement.good
        point = sample_point(self._plant.enterprise, sequenced.sample)
        return _Candidate(stored, judgement.source, sequenced, point)

    def _clock_of(self, stored: StoredLetter) -> Trust:
        """What is known of the sender's clock; a letter that does not say is trusted no more than an unsynced one."""
        clock = stored.letter.clock
        if clock is None:
            clock = Trust.SYNCED if stored.letter.reason in _TRUSTED else Trust.UNSYNCED
        return Trust.SYNCED if clock is Trust.UNSYNCED and self._dating.accept else clock

    def _free(self, candidates: Sequence[_Candidate]) -> list[_Candidate]:
        """Those whose time no other sample of their unit has."""
        stored = self._stored_around(one.sequenced.sample for one in candidates)
        free = []
        for one in candidates:
            there = stored.get(one.place)
            if one.place in self._taken or (there is not None and not one.is_in(there)):
                self.counts.kept[Kept.TIME_TAKEN] += 1
                continue
            self.counts.present += there is not None
            self._taken.add(one.place)
            free.append(one)
        return free

    def _stored_around(self, samples: Iterable[Sample]) -> dict[tuple[str, Instant], Mapping[str, Any]]:
        times: defaultdict[str, list[Instant]] = defaultdict(list)
        for sample in samples:
            times[sample.unit].append(sample.time)
        found = {}
        for unit, own in times.items():
            for span in dirty_spans(own):
                query = Query(Measurement.SAMPLES, unit_tags(self._plant.enterprise, unit), *span)
                for point in _patiently(partial(self._historian.read, query)):
                    found[unit, point.time] = point.fields
        return found

    # ------------------------------------------------------------ writing

    def _write(self, candidates: Sequence[_Candidate]) -> list[_Candidate]:
        """Store samples and the intervals that they make dirty; returns what is stored now."""
        if not candidates:
            return []
        self._letters.mark_replaying([one.letter.id for one in candidates])
        times: defaultdict[str, list[Instant]] = defaultdict(list)
        for one in candidates:
            times[one.sequenced.sample.unit].append(one.sequenced.sample.time)
        owed = [(unit, span, str(uuid4())) for unit, own in times.items() for span in dirty_spans(own)]
        refused: dict[int, str] = {}
        while owed:
            dirty = [Dirty(unit, self._next(), *span, origin=Origin.REPLAY, id=key) for unit, span, key in owed]
            points = [dirty_point(self._plant.enterprise, each) for each in dirty]
            report = _written(self._historian, [*points, *(one.point for one in candidates)])
            refused = {index - len(dirty): why for index, why in report.rejected.items() if index >= len(dirty)}
            owed = [each for index, each in enumerate(owed) if index in report.rejected]  # another's stamp: once more
        if refused:
            self.counts.kept[Refusal.REFUSED_BY_STORE] += len(refused)
        return [one for index, one in enumerate(candidates) if index not in refused]

    def _next(self) -> Instant:
        self._stamp += 1
        return self._stamp

    def _tell(self) -> None:
        """The ledger's counts of what was withdrawn."""
        points = tally_points(self._letters.take_tallies(self._plant.agents), self._now)
        if points:
            _written(self._historian, points)


def earliest(letters: DeadLetters, wanted: Wanted) -> tuple[Instant | None, set[Source], set[str]]:
    """Of the letters that tell their sample: the earliest source time, their outboxes and their reasons."""
    first: Instant | None = None
    sources, reasons = set(), set()
    for page in letters.oldest_first(Wanted(wanted.reason, wanted.agent, wanted.since, wanted.ids, named=True)):
        for stored in page:
            letter = stored.letter
            sources.add(Source(letter.agent or "", letter.outbox or ""))
            reasons.add(letter.reason)
            if (at := _time_of(letter.payload)) is not None:
                first = at if first is None else min(first, at)
    return first, sources, reasons


def _written(historian: Historian, points: Sequence[Point]) -> WriteReport:
    """Write until every point has its verdict; all are written again each time, which changes nothing."""
    until = time.monotonic() + PATIENCE_S
    while True:
        report = _patiently(partial(historian.write, points))
        if not report.kept(len(points)):
            return report
        if time.monotonic() > until:
            raise Backpressure("the historian takes only a part; run the replay again to go on")
        time.sleep(PAUSE_S)


def _patiently(call: Callable[[], T]) -> T:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except Backpressure as busy:
            if time.monotonic() > until:
                raise
            time.sleep(busy.retry_after_s)


def _message(stored: StoredLetter, clock: Trust, dating: Dating) -> bytes:
    """The letter's sample in a message of its own, as its agent would have sent it."""
    letter = stored.letter
    envelope = {
        "agent": letter.agent,
        "outbox": letter.outbox,
        "boot": "replay",
        "clock": clock,
        "mono_ms": 0,
        "low": 0,
        "oldest_t": 0,
        "samples": [msgspec.Raw(_shifted(letter.payload, dating.shift_ms))],
    }
    return msgspec.json.encode(envelope)


class _Timed(msgspec.Struct):
    t: int


def _time_of(payload: bytes) -> Instant | None:
    try:
        return msgspec.json.decode(payload, type=_Timed).t
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _shifted(payload: bytes, shift_ms: int) -> bytes:
    """The sample with its time moved; one without a readable time as it is, for the judge to refuse."""
    if not shift_ms or _time_of(payload) is None:
        return payload
    sample = msgspec.json.decode(payload)
    return msgspec.json.encode({**sample, "t": sample["t"] + shift_ms})
