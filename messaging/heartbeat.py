"""What one ingest process tells the others on ``v1/ingest/{instance}``, every few seconds and not retained.

Beside *messages -> points*: from these heartbeats each process works out which agents are its own.
"""

from collections.abc import Mapping

import msgspec

from shopfloor.errors import MessageRejected


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """One process at one time."""

    instance: str
    n: int
    """Number of this heartbeat: the process finds out when it sent the one that came back."""
    serves: tuple[str, ...]
    """Agents that it may serve."""
    holds: Mapping[str, int]
    """Agents that it serves, or claims, and the term of each claim. One that is left out is given up."""


def encode_heartbeat(beat: Heartbeat) -> bytes:
    """The payload."""
    return msgspec.json.encode(beat)


def decode_heartbeat(payload: bytes) -> Heartbeat:
    """A heartbeat from its payload; raises MessageRejected ``bad_heartbeat``."""
    try:
        return _DECODER.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise MessageRejected("bad_heartbeat", str(fault)) from None


_DECODER = msgspec.json.Decoder(Heartbeat)
