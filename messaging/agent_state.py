"""What an agent says of itself, retained on ``v1/agents/{agent}``: that it is there, and its side of the loss ledger.

A word, not a promise: silence, not the will, decides that an agent is gone, and the ledger's ``stored`` is counted.
"""

from typing import Final, Literal

import msgspec

from messaging.payload import MAX_INTEGER, WIRE_ID
from shopfloor.clock import Trust
from shopfloor.errors import MessageRejected

BAD_STATE: Final = "bad_state"
"""The reason of a state that cannot be read."""


class EdgeLedger(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of samples of one outbox, exact in one transaction."""

    polled: int
    appended: int
    confirmed: int
    in_outbox: int
    evicted: int


class AgentState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message on the agent's state topic."""

    agent: str
    state: Literal["online", "offline"]
    outbox: str
    boot: str
    ledger: EdgeLedger | None = None
    """None in a last will: a dead agent counts nothing."""
    clock: Trust = Trust.SYNCED
    """Whether the agent knows the time: UNSYNCED not yet, STEPPED not since its clock was set."""
    jumps: int = 0
    """Times that its clock was found set since it started."""
    undated: int = 0
    """Samples in the outbox that wait until the time is known."""
    quarantined: int = 0
    """Samples that were given up as never to be dated, or as going back in time."""
    set_aside: int = 0
    """Damaged outbox files that lie beside the outbox for a person to look at."""
    outbox_bytes: int = 0


def encode_state(state: AgentState) -> bytes:
    """The payload."""
    return msgspec.json.encode(state)


def decode_state(payload: bytes) -> AgentState:
    """A state from its payload; raises MessageRejected."""
    try:
        state = msgspec.json.decode(payload, type=AgentState)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise MessageRejected(BAD_STATE, str(fault)) from None
    if not (WIRE_ID.fullmatch(state.outbox) and WIRE_ID.fullmatch(state.boot)):
        raise MessageRejected(BAD_STATE, f"outbox and boot must match {WIRE_ID.pattern}")
    counts = msgspec.structs.astuple(state.ledger) if state.ledger else ()
    if not all(0 <= count <= MAX_INTEGER for count in counts):
        raise MessageRejected(BAD_STATE, "a count is negative or beyond 2^53")
    return state
