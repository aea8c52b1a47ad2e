"""The payload of *messages*: many samples of one unit with their place in the agent's outbox, as JSON.

The envelope is judged as a whole, then every sample alone: a wrong one does not take its neighbours along.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from messaging.topic import SampleTopic
from shopfloor.clock import Trust
from shopfloor.errors import MessageRejected
from shopfloor.instant import Instant
from shopfloor.quality import Quality, Reason, Status
from shopfloor.sample import Sample, Value
from shopfloor.tag import CANONICAL, NAME

MAX_MESSAGE_BYTES: Final = 256 * 1024
"""A larger payload is refused; senders split before."""
MAX_CARRIED_BYTES: Final = 4 * MAX_MESSAGE_BYTES
"""The broker's own limit: so high that what is a little too long is refused where it is counted, by the receiver."""
MAX_TEXT: Final = 1024
"""Characters of a text value."""
MAX_TAGS: Final = 256
"""Tags of one sample."""
MAX_INTEGER: Final = 2**53
"""Integers beyond lose their last digit in every store."""
MAX_INSTANT: Final = 4_102_444_800_000
"""2100-01-01: a source time beyond it is no time (ms)."""
MAX_ID: Final = 64
MOST_REMEMBERED: Final = 512
WIRE_ID: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_ID}}}")
"""Outbox and boot ids: plain enough to be a tag in every store."""


class Fault(StrEnum):
    """Why a message or a sample on the wire is refused: stable words for counters and dead letters."""

    OVERSIZED = "oversized"
    NOT_JSON = "not_json"
    WRONG_TYPE = "wrong_type"
    WRONG_TOPIC = "wrong_topic"
    FOREIGN_AGENT = "foreign_agent"
    EMPTY = "empty"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    BAD_TIME = "bad_time"
    BAD_SEQ = "bad_seq"
    BAD_QUALITY = "bad_quality"
    UNKNOWN_TAG = "unknown_tag"


class Sequenced(NamedTuple):
    """A sample and its number in the outbox."""

    seq: int
    sample: Sample


class SampleMessage(NamedTuple):
    """Samples of one unit from one agent's outbox."""

    agent: str
    outbox: str
    """Random id made with the outbox file; ``seq`` means something only within it."""
    boot: str
    clock: Trust
    mono_ms: int
    low: int
    """Lowest seq that the outbox still holds: all below is settled."""
    oldest_t: Instant
    """Oldest source time that the outbox still holds."""
    samples: tuple[Sequenced, ...]


@dataclass(frozen=True, slots=True)
class RefusedSample:
    """A sample that is not one, as it stood on the wire."""

    seq: int | None
    """None where not even the seq can be read."""
    reason: str
    detail: str
    raw: bytes


class Decoded(NamedTuple):
    """A message with its good samples, and beside it those that were refused."""

    message: SampleMessage
    refused: tuple[RefusedSample, ...]


class _WireSample(msgspec.Struct):
    seq: int
    t: int
    v: dict[str, int | float | str] = {}
    q: dict[str, tuple[Quality, Reason]] = {}


class _Envelope(msgspec.Struct):
    agent: str
    outbox: str
    boot: str
    clock: Trust
    mono_ms: int
    low: int
    oldest_t: int
    samples: list[msgspec.Raw]


class _Typed(_Envelope):
    samples: list[_WireSample]  # type: ignore[assignment] # the same place on the wire, read at once


_TYPED = msgspec.json.Decoder(_Typed)
_ENVELOPES = msgspec.json.Decoder(_Envelope)
_SAMPLES = msgspec.json.Decoder(_WireSample)
_ENCODER = msgspec.json.Encoder()


def encode(message: SampleMessage) -> bytes:
    """The message as JSON. A number that is not finite becomes ``null``, which the receiver refuses."""
    return _ENCODER.encode(
        {
            "agent": message.agent,
            "outbox": message.outbox,
            "boot": message.boot,
            "clock": message.clock,
            "mono_ms": message.mono_ms,
            "low": message.low,
            "oldest_t": message.oldest_t,
            "samples": [encode_sample(seq, sample) for seq, sample in message.samples],
        }
    )


def encode_sample(seq: int, sample: Sample) -> dict[str, Any]:
    """One sample as it stands in ``samples``; no ``q`` when all is good, no ``v`` when nothing has a value."""
    wire: dict[str, Any] = {"seq": seq, "t": sample.time}
    if sample.values:
        wire["v"] = sample.values
    if sample.status:
        wire["q"] = {tag: (status.quality, status.reason) for tag, status in sample.status.items()}
    return wire


def decode(topic: SampleTopic, payload: bytes) -> Decoded:
    """Read a message that came on ``topic``; raises MessageRejected with a ``Fault`` when its envelope is wrong."""
    if len(payload) > MAX_MESSAGE_BYTES:
        raise MessageRejected(Fault.OVERSIZED, f"{len(payload)} bytes; at most {MAX_MESSAGE_BYTES}")
    return _at_once(topic, payload) or _one_by_one(topic, payload)


def _at_once(topic: SampleTopic, payload: bytes) -> Decoded | None:
    """The usual message, in which everything is in order and GOOD; None for any other."""
    try:
        envelope = _TYPED.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not envelope.samples or not all(map(_sound, envelope.samples)):
        return None
    _check(topic, envelope)
    unit = topic.unit
    samples = [Sequenced(wire.seq, Sample(unit=unit, time=wire.t, values=wire.v)) for wire in envelope.samples]
    return Decoded(_message(envelope, tuple(samples)), ())


def _one_by_one(topic: SampleTopic, payload: bytes) -> Decoded:
    envelope = _envelope(payload)
    _check(topic, envelope)
    if not envelope.samples:
        raise MessageRejected(Fault.EMPTY, "no samples")
    good, refused = _split(topic.unit, [bytes(raw) for raw in envelope.samples])
    return Decoded(_message(envelope, good), refused)


def _envelope(payload: bytes) -> _Envelope:
    try:
        return _ENVELOPES.decode(payload)
    except msgspec.ValidationError as fault:
        raise MessageRejected(Fault.WRONG_TYPE, str(fault)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise MessageRejected(Fault.NOT_JSON, str(fault)) from None


def _check(topic: SampleTopic, envelope: _Envelope) -> None:
    """Raise MessageRejected for an envelope that is well typed and still wrong."""
    if not (_is_wire_id(envelope.outbox) and _is_wire_id(envelope.boot)):
        raise MessageRejected(Fault.WRONG_TYPE, f"outbox and boot must match {WIRE_ID.pattern}")
    if not 0 <= envelope.low <= MAX_INTEGER:
        raise MessageRejected(Fault.BAD_SEQ, f"low {envelope.low}")
    if not 0 <= envelope.oldest_t <= MAX_INSTANT:
        raise MessageRejected(Fault.BAD_TIME, f"oldest_t {envelope.oldest_t}")
    if not 0 <= envelope.mono_ms <= MAX_INTEGER:
        raise MessageRejected(Fault.BAD_TIME, f"mono_ms {envelope.mono_ms}")
    if envelope.agent != topic.agent:
        raise MessageRejected(Fault.FOREIGN_AGENT, f"agent {envelope.agent!r} in a message of {topic.agent!r}")


def _is_wire_id(text: str) -> bool:
    return len(text) <= MAX_ID and _is_plain(text)


@lru_cache(maxsize=4_096)
def _is_plain(text: str) -> bool:
    return WIRE_ID.fullmatch(text) is not None


def _message(envelope: _Envelope, good: tuple[Sequenced, ...]) -> SampleMessage:
    return SampleMessage(
        envelope.agent,
        envelope.outbox,
        envelope.boot,
        envelope.clock,
        envelope.mono_ms,
        envelope.low,
        envelope.oldest_t,
        good,
    )


def _split(unit: str, raws: Sequence[bytes]) -> tuple[tuple[Sequenced, ...], tuple[RefusedSample, ...]]:
    good: list[Sequenced] = []
    refused: list[RefusedSample] = []
    for raw in raws:
        try:
            good.append(_sample(unit, raw))
        except MessageRejected as fault:
            refused.append(RefusedSample(legible_seq(raw), fault.reason, str(fault), raw))
    return tuple(good), tuple(refused)


def _sample(unit: str, raw: bytes) -> Sequenced:
    try:
        wire = _SAMPLES.decode(raw)
    except msgspec.ValidationError as fault:
        reason = Fault.NOT_FINITE if "out of range" in str(fault) else Fault.WRONG_TYPE
        raise MessageRejected(reason, str(fault)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise MessageRejected(Fault.NOT_JSON, str(fault)) from None
    for reason, detail in _faults(wire):
        raise MessageRejected(reason, detail)
    status = {tag: Status(quality, cause) for tag, (quality, cause) in wire.q.items()}
    return Sequenced(wire.seq, Sample(unit=unit, time=wire.t, values=wire.v, status=status))


def _sound(wire: _WireSample) -> bool:
    """Whether ``_faults`` finds nothing, told quickly; False for what it must look at. The sum may be rounded."""
    values = wire.v
    if wire.q or not 0 < len(values) <= MAX_TAGS or not 0 <= wire.seq <= MAX_INTEGER or not 0 < wire.t <= MAX_INSTANT:
        return False
    try:
        small = sum(map(abs, values.values())) < MAX_INTEGER  # type: ignore[arg-type]
    except (TypeError, OverflowError):  # a text, or a whole number beyond all floats
        return False
    return small and _are_numbers(tuple(values))


_numeric: Final[set[tuple[str, ...]]] = set()
"""Sets of tags that are known to hold numbers; bounded, since anybody may send any."""


def _are_numbers(tags: tuple[str, ...]) -> bool:
    if tags in _numeric:
        return True
    sound = all(_known(tag) and not tag.endswith("_text") for tag in tags)
    if sound and len(_numeric) < MOST_REMEMBERED:
        _numeric.add(tags)
    return sound


def _faults(wire: _WireSample) -> Iterator[tuple[Fault, str]]:
    if not 0 <= wire.seq <= MAX_INTEGER:
        yield Fault.BAD_SEQ, f"seq {wire.seq}"
    if not 0 < wire.t <= MAX_INSTANT:
        yield Fault.BAD_TIME, f"t {wire.t} is not a time in ms since 1970"
    if not wire.v and not wire.q:
        yield Fault.EMPTY, "neither values nor quality"
    if max(len(wire.v), len(wire.q)) > MAX_TAGS:
        yield Fault.OVERSIZED, f"{max(len(wire.v), len(wire.q))} tags; at most {MAX_TAGS}"
    for tag, value in wire.v.items():
        yield from _value_faults(tag, value)
    yield from _quality_faults(wire.v, wire.q)


def _value_faults(tag: str, value: Value) -> Iterator[tuple[Fault, str]]:
    if not _known(tag):
        yield Fault.UNKNOWN_TAG, f"tag {tag[:MAX_ID]!r} is neither canonical nor x_..."
    if isinstance(value, str) != tag.endswith("_text"):
        yield Fault.WRONG_TYPE, f"{tag} holds {type(value).__name__}; text belongs to tags that end in _text"
    if isinstance(value, str) and len(value) > MAX_TEXT:
        yield Fault.OUT_OF_RANGE, f"{tag} has {len(value)} characters; at most {MAX_TEXT}"
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        yield Fault.OUT_OF_RANGE, f"{tag} is beyond 2^53"


def _quality_faults(
    values: Mapping[str, Value], q: Mapping[str, tuple[Quality, Reason]]
) -> Iterator[tuple[Fault, str]]:
    for tag, (quality, _) in q.items():
        if not _known(tag):
            yield Fault.UNKNOWN_TAG, f"tag {tag[:MAX_ID]!r} is neither canonical nor x_..."
        if quality is Quality.GOOD or (quality is Quality.BAD) == (tag in values):
            yield Fault.BAD_QUALITY, f"{tag} is {quality} {'with' if tag in values else 'without'} a value"


def _known(tag: str) -> bool:
    return tag in CANONICAL or (tag.startswith("x_") and NAME.fullmatch(tag) is not None)


# ---------------------------------------------------------------- what can be read of a refused message


class _SeqOnly(msgspec.Struct):
    seq: int


class _Remains(msgspec.Struct):
    agent: str
    outbox: str
    samples: list[msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Legible:
    """What a refused message still tells: whose samples they were, so that they can be settled one by one."""

    outbox: str
    samples: tuple[tuple[int, bytes], ...]
    """Seq and raw JSON."""


def legible_seq(raw: bytes) -> int | None:
    """The seq of a sample that is otherwise wrong; None when it has none."""
    try:
        seq = _SEQS.decode(raw).seq
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return seq if 0 <= seq <= MAX_INTEGER else None


def legible(topic: SampleTopic, payload: bytes) -> Legible | None:
    """Outbox and seqs of a message whose envelope was refused; None unless all of them can be read."""
    try:
        remains = _REMAINS.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    samples = [(legible_seq(bytes(raw)), bytes(raw)) for raw in remains.samples]
    known = tuple((seq, raw) for seq, raw in samples if seq is not None)
    complete = known and len(known) == len(samples)
    if not complete or remains.agent != topic.agent or not WIRE_ID.fullmatch(remains.outbox):
        return None
    return Legible(remains.outbox, known)


_SEQS = msgspec.json.Decoder(_SeqOnly)
_REMAINS = msgspec.json.Decoder(_Remains)
