"""*messages -> samples*: each message is judged, its good samples told from what can never be stored. Pure."""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from messaging.payload import Decoded, Sequenced, decode, encode_sample, legible
from messaging.topic import SampleTopic
from shopfloor.clock import Trust
from shopfloor.errors import MessageRejected
from shopfloor.instant import QUARTER, Instant
from shopfloor.plant import Plant

FUTURE_MS: Final = 60_000
"""A source time further ahead of our clock is wrong."""


class Refusal(StrEnum):
    """Why a well-formed sample is not stored; beside the faults of the wire in ``messaging.payload.Fault``."""

    UNKNOWN_UNIT = "unknown_unit"
    NOT_OWNER = "not_owner"
    FUTURE_TIME = "future_time"
    CLOCK_UNSYNCED = "clock_unsynced"
    REFUSED_BY_STORE = "refused_by_store"


class Source(NamedTuple):
    """One outbox of one agent: within it a seq names a sample."""

    agent: str
    outbox: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Something that can never be stored as it came, kept with its reason."""

    topic: str
    payload: bytes
    """JSON of the one sample where it could be told from its neighbours, else the whole message."""
    reason: str
    detail: str
    received: Instant
    agent: str | None = None
    outbox: str | None = None
    seq: int | None = None
    clock: Trust | None = None
    """What the message said of its sender's clock; None where that cannot be read."""

    @property
    def identity(self) -> str:
        """The same for every resend: the sample's place in its outbox, else a hash of the message."""
        if self.seq is not None:
            return sample_identity(Source(self.agent or "", self.outbox or ""), self.seq)
        return hashlib.sha256(self.topic.encode() + b"\0" + self.payload).hexdigest()


class Judgement(NamedTuple):
    """The verdict on one message."""

    topic: str
    source: Source | None
    """None where the message does not say whose samples it holds: then nothing can be confirmed."""
    low: int
    oldest_t: Instant | None
    good: tuple[Sequenced, ...]
    letters: tuple[DeadLetter, ...]

    @property
    def weight(self) -> int:
        """Samples and letters in it."""
        return len(self.good) + len(self.letters)

    @property
    def settled_without_store(self) -> Iterator[int]:
        """Seqs of the samples that became dead letters."""
        return (letter.seq for letter in self.letters if letter.seq is not None)

    @property
    def settled(self) -> list[int]:
        """Seqs of all its samples, once the good ones are stored and the letters kept."""
        good = [seq for seq, _ in self.good]
        return [*self.settled_without_store, *good] if self.letters else good


class Judge:
    """Judges messages by one plant file."""

    def __init__(self, plant: Plant) -> None:
        self._enterprise = plant.enterprise
        self._owners = {unit: agent.id for agent in plant.agents.values() for unit in agent.units}
        self._units = frozenset(plant.units)
        self._known = lru_cache(maxsize=4_096)(self._refusal)

    def judge(self, topic: str, payload: bytes, now: Instant) -> Judgement:
        """Tell good from bad; never raises for what a message may contain. ``now`` is the time of arrival."""
        try:
            place = SampleTopic.parse(topic)
        except MessageRejected as fault:
            return unreadable(topic, payload, fault, now)
        try:
            decoded = decode(place, payload)
        except MessageRejected as fault:
            return _whole(place, payload, fault, now)
        return self._each(place, decoded, now)

    def _each(self, place: SampleTopic, decoded: Decoded, now: Instant) -> Judgement:
        message = decoded.message
        source = Source(message.agent, message.outbox)
        topic = str(place)
        everywhere = self._known(topic, message.clock)
        newest, low = 0, message.low
        for seq, sample in message.samples:
            low = min(low, seq)  # what is sent is still held
            newest = max(newest, sample.time)
        if everywhere is None and newest <= now + FUTURE_MS and not decoded.refused:
            return Judgement(topic, source, low, message.oldest_t, message.samples, ())
        good: list[Sequenced] = []
        letters = [
            _letter(place, source, refused.seq, refused.raw, refused.reason, refused.detail, now, message.clock)
            for refused in decoded.refused
        ]
        for sequenced in message.samples:
            verdict = everywhere or _time_refusal(sequenced, now)
            if verdict is None:
                good.append(sequenced)
            else:
                raw = msgspec.json.encode(encode_sample(*sequenced))
                letters.append(_letter(place, source, sequenced.seq, raw, *verdict, now, message.clock))
        return Judgement(str(place), source, low, message.oldest_t, tuple(good), tuple(letters))

    def _refusal(self, topic: str, clock: Trust) -> tuple[Refusal, str] | None:
        """What speaks against every sample of a message."""
        place = SampleTopic.parse(topic)
        unit = place.unit
        if place.path.enterprise != self._enterprise or unit not in self._units:
            return Refusal.UNKNOWN_UNIT, f"{place.path.enterprise}/{unit} is not in the plant file"
        if (owner := self._owners.get(unit)) != place.agent:
            return Refusal.NOT_OWNER, f"{unit} belongs to {owner or 'no agent'}, not to {place.agent}"
        if clock is Trust.UNSYNCED:
            return Refusal.CLOCK_UNSYNCED, "the agent did not know the time"
        return None


def unreadable(topic: str, payload: bytes, fault: MessageRejected, now: Instant) -> Judgement:
    """The verdict on a message that tells nothing of any sample."""
    letter = DeadLetter(topic=topic, payload=payload, reason=fault.reason, detail=str(fault), received=now)
    return Judgement(topic, None, 0, None, (), (letter,))


def refused_by_store(judgement: Judgement, sequenced: Sequenced, reason: str, now: Instant) -> DeadLetter:
    """The letter for a good sample that the historian will never take."""
    place = SampleTopic.parse(judgement.topic)
    raw = msgspec.json.encode(encode_sample(*sequenced))
    return _letter(place, judgement.source, sequenced.seq, raw, Refusal.REFUSED_BY_STORE, reason, now, Trust.SYNCED)


def sample_identity(source: Source, seq: int) -> str:
    """Names one sample of one outbox."""
    return f"{source.agent}/{source.outbox}/{seq}"


def dirty_spans(times: Collection[Instant]) -> list[tuple[Instant, Instant]]:
    """Half-open spans that hold all ``times``; times further apart than a quarter-hour do not share one.

    Live samples and a backlog of yesterday then do not make everything between them dirty.
    """
    if times and max(times) - min(times) < QUARTER:
        return [(min(times), max(times) + 1)]
    spans: list[tuple[Instant, Instant]] = []
    for time in sorted(times):
        if spans and time - spans[-1][1] < QUARTER:
            spans[-1] = spans[-1][0], time + 1
        else:
            spans.append((time, time + 1))
    return spans


def _time_refusal(sequenced: Sequenced, now: Instant) -> tuple[Refusal, str] | None:
    ahead = sequenced.sample.time - now
    return (Refusal.FUTURE_TIME, f"{ahead} ms ahead of the ingest clock") if ahead > FUTURE_MS else None


def _whole(place: SampleTopic, payload: bytes, fault: MessageRejected, now: Instant) -> Judgement:
    """A refused message: a letter for each of its samples where they can still be told apart, else one for it all."""
    remains = legible(place, payload)
    if remains is None:
        letter = DeadLetter(
            topic=str(place), payload=payload, reason=fault.reason, detail=str(fault), received=now, agent=place.agent
        )
        return Judgement(str(place), None, 0, None, (), (letter,))
    source = Source(place.agent, remains.outbox)
    letters = tuple(_letter(place, source, seq, raw, fault.reason, str(fault), now) for seq, raw in remains.samples)
    return Judgement(str(place), source, 0, None, (), letters)


def _letter(
    place: SampleTopic,
    source: Source | None,
    seq: int | None,
    raw: bytes,
    reason: str,
    detail: str,
    now: Instant,
    clock: Trust | None = None,
) -> DeadLetter:
    return DeadLetter(
        topic=str(place),
        payload=raw,
        reason=reason,
        detail=detail,
        received=now,
        agent=place.agent,
        outbox=source.outbox if source else None,
        seq=seq,
        clock=clock,
    )
