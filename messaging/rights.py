"""Who may write and read which topics of *messages*: the same rule for every broker."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from messaging.topic import (
    AGENT_STATES_FILTER,
    INGEST_MEMBERS_FILTER,
    SAMPLES_FILTER,
    agent_state_topic,
    receipt_topic,
    samples_filter,
)

INGEST: Final = "ingest"
"""The user of the ingest service: reads samples and agent states, writes receipts; its processes hear one another."""


@dataclass(frozen=True, slots=True)
class Rights:
    """Topic filters of one user."""

    write: tuple[str, ...]
    read: tuple[str, ...]


def rights_of(agents: Sequence[str]) -> dict[str, Rights]:
    """User -> rights: an agent's user is its id; it writes under its own name and reads its own receipt."""
    receipts = tuple(receipt_topic(agent) for agent in agents)
    ingest = Rights((*receipts, INGEST_MEMBERS_FILTER), (SAMPLES_FILTER, AGENT_STATES_FILTER, INGEST_MEMBERS_FILTER))
    edge = {
        agent: Rights((samples_filter(agent), agent_state_topic(agent)), (receipt_topic(agent),)) for agent in agents
    }
    return {INGEST: ingest, **edge}
