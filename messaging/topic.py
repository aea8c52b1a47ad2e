"""Topics of *messages*: built and parsed in one place; a topic object that exists is valid."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from shopfloor.equipment import ID, BadPath, EquipmentPath
from shopfloor.errors import MessageRejected

VERSION: Final = "v1"
SAMPLES_FILTER: Final = f"{VERSION}/+/+/+/+/+/samples/+"
"""Subscription for the samples of every unit and agent."""
AGENT_STATES_FILTER: Final = f"{VERSION}/agents/+"
"""Subscription for the state of every agent."""
INGEST_MEMBERS_FILTER: Final = f"{VERSION}/ingest/+"
"""Subscription for the heartbeats of every ingest process."""
INGEST_SUBSCRIPTIONS: Final = (SAMPLES_FILTER, AGENT_STATES_FILTER)
"""What an ingest service listens to."""


@dataclass(frozen=True, slots=True)
class SampleTopic:
    """``v1/{enterprise}/{site}/{area}/{work_center}/{work_unit}/samples/{agent}``."""

    path: EquipmentPath
    agent: str
    unit: str = field(init=False, repr=False, compare=False)
    """The unit's path ``site/area/work_center/work_unit``."""
    _text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_agent(self.agent)
        object.__setattr__(self, "unit", str(self.path))
        object.__setattr__(self, "_text", f"{VERSION}/{self.path.enterprise}/{self.unit}/samples/{self.agent}")

    def __str__(self) -> str:
        return self._text

    @staticmethod
    @lru_cache(maxsize=4_096)
    def parse(topic: str) -> "SampleTopic":
        """Read a topic; raises MessageRejected ``wrong_topic``."""
        match topic.split("/"):
            case ["v1", enterprise, site, area, center, unit, "samples", agent]:
                return SampleTopic(_path(enterprise, site, area, center, unit), agent)
        raise _wrong(f"{topic!r} is not {VERSION}/enterprise/site/area/work_center/work_unit/samples/agent")


def samples_filter(agent: str) -> str:
    """All sample topics that one agent may write."""
    return f"{VERSION}/+/+/+/+/+/samples/{_check_agent(agent)}"


def receipt_topic(agent: str) -> str:
    """Where the ingest service publishes what it has stored of ``agent``; retained, read by that agent only."""
    return f"{VERSION}/receipts/{_check_agent(agent)}"


def agent_state_topic(agent: str) -> str:
    """Where ``agent`` tells its state; retained, with a last will."""
    return f"{VERSION}/agents/{_check_agent(agent)}"


def ingest_member_topic(instance: str) -> str:
    """Where one ingest process tells the others which agents it serves."""
    return f"{VERSION}/ingest/{_check_agent(instance)}"


@lru_cache(maxsize=4_096)
def agent_of_state(topic: str) -> str | None:
    """The agent of an agent state topic; None for any other topic."""
    match topic.split("/"):
        case ["v1", "agents", agent] if ID.fullmatch(agent):
            return agent
    return None


def _path(enterprise: str, site: str, area: str, center: str, unit: str) -> EquipmentPath:
    try:
        return EquipmentPath(enterprise, site, area, center, unit)
    except BadPath as fault:
        raise _wrong(str(fault)) from None


def _check_agent(agent: str) -> str:
    if not ID.fullmatch(agent):
        raise _wrong(f"agent id {agent!r} must match [a-z0-9][a-z0-9-]{{0,31}}")
    return agent


def _wrong(detail: str) -> MessageRejected:
    return MessageRejected("wrong_topic", detail)
