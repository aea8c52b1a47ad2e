"""What an agent says of itself, retained on ``v1/agents/{agent}``: that it is there, and its side of the loss ledger.

A word, not a promise: silence, not the will, decides that an agent is gone, and the ledger's ``stored`` is counted.
"""

from typing import Literal

import msgspec

from shopfloor.errors import MessageRejected


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


def encode_state(state: AgentState) -> bytes:
    """The payload."""
    return msgspec.json.encode(state)


def decode_state(payload: bytes) -> AgentState:
    """A state from its payload; raises MessageRejected."""
    try:
        return msgspec.json.decode(payload, type=AgentState)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise MessageRejected("bad_state", str(fault)) from None
