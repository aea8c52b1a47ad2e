"""Samples as rows of the outbox: packed with a checksum, for a card that returns other bits than it was given. Pure."""

import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from shopfloor.clock import Trust
from shopfloor.instant import Instant
from shopfloor.quality import Quality, Reason, Status
from shopfloor.sample import Sample, Value

TRUSTS: Final = (Trust.SYNCED, Trust.STEPPED, Trust.UNSYNCED)
"""How a trust is written: its place here."""
_SUM: Final = struct.Struct(">I")
_TIME: Final = struct.Struct(">q")


class Unreadable(ValueError):
    """A row that is no sample."""


@dataclass(frozen=True, slots=True)
class StoredSample:
    """A sample in the outbox."""

    seq: int
    sample: Sample
    trust: Trust
    """How far its source time may be trusted."""
    size: int
    """Bytes of its stored content."""


def pack(sample: Sample) -> bytes:
    """Values and qualities, with a checksum that covers the time."""
    status = {tag: (status.quality, status.reason) for tag, status in sample.status.items()}
    body = _encoder.encode((sample.values, status))
    return _sum(sample.time, body) + body


def redate(content: bytes, time: Instant) -> bytes:
    """The same content under another time. An unreadable one stays unreadable."""
    body = content[_SUM.size :]
    return _sum(time, body) + body


def unpack(unit: str | None, time: Instant, content: bytes) -> Sample:
    """The sample of a row; raises Unreadable."""
    if unit is None or not isinstance(time, int) or not isinstance(content, bytes):
        raise Unreadable("a unit, a time or the content is missing")
    body = content[_SUM.size :]
    if _sum(time, body) != content[: _SUM.size]:
        raise Unreadable("the checksum is wrong")
    try:
        values, status = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise Unreadable(str(fault)) from None
    return Sample(unit=unit, time=time, values=values, status={tag: Status(*pair) for tag, pair in status.items()})


def trust_of(code: object) -> Trust:
    """The trust that was written as ``code``; raises Unreadable."""
    if isinstance(code, int) and 0 <= code < len(TRUSTS):
        return TRUSTS[code]
    raise Unreadable(f"{code!r} is no trust")


def stored(seq: int, unit: str | None, time: Instant, code: object, content: bytes) -> StoredSample:
    """A row as a sample; raises Unreadable."""
    return StoredSample(seq, unpack(unit, time, content), trust_of(code), len(content))


def _sum(time: Instant, body: bytes) -> bytes:
    try:
        return _SUM.pack(zlib.crc32(body, zlib.crc32(_TIME.pack(time))))
    except struct.error:
        raise Unreadable(f"{time} is no time") from None


_Content = tuple[dict[str, Value], dict[str, tuple[Quality, Reason]]]
_encoder = msgspec.json.Encoder()
_decoder: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder(_Content)
