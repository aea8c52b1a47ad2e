"""Who may write and read which topics of *messages*: the same rule for every broker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from messaging.topic import (
    AGENT_STATES_FILTER,
    INGEST_MEMBERS_FILTER,
    SAMPLES_FILTER,
    SampleTopic,
    agent_state_topic,
    receipt_topic,
    samples_filter,
)
from shopfloor.plant import Plant

INGEST: Final = "ingest"
"""The user of the ingest service: reads samples and agent states, writes receipts; its processes hear one another."""


@dataclass(frozen=True, slots=True)
class Rights:
    """Topic filters of one user."""

    write: tuple[str, ...]
    read: tuple[str, ...]


def rights_of(agents: Plant | Sequence[str]) -> dict[str, Rights]:
    """User -> rights. An agent's user is its id: it writes its own samples and state, and reads its own receipt.

    With a plant an agent writes for the units that the plant file gives it; with bare names for any unit.
    """
    samples = _of_plant(agents) if isinstance(agents, Plant) else {agent: (samples_filter(agent),) for agent in agents}
    receipts = tuple(receipt_topic(agent) for agent in samples)
    ingest = Rights((*receipts, INGEST_MEMBERS_FILTER), (SAMPLES_FILTER, AGENT_STATES_FILTER, INGEST_MEMBERS_FILTER))
    edge = {
        agent: Rights((*topics, agent_state_topic(agent)), (receipt_topic(agent),)) for agent, topics in samples.items()
    }
    return {INGEST: ingest, **edge}


def _of_plant(plant: Plant) -> Mapping[str, tuple[str, ...]]:
    return {
        agent.id: tuple(str(SampleTopic(plant.units[unit].path, agent.id)) for unit in agent.units)
        for agent in plant.agents.values()
    }
