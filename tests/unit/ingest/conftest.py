"""The plant that the messages are about, and messages as an agent would write them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from historian.embedded import EmbeddedHistorian
from ingest.dead_letters import DeadLetters
from messaging.client import Message
from shopfloor.plant import Plant
from shopfloor.plant_file import load

AGENT = "edge-ceper-1"
UNIT = "ceper/machining/line-1/cnc-01"
NOON = 1_763_830_000_000
"""A source time, and about the time at which the tests' clocks stand."""

Say = Callable[..., Message]


@pytest.fixture(scope="session")
def plant() -> Plant:
    return load(Path(__file__).parents[3] / "plants" / "ceper" / "plant.yaml")


@pytest.fixture
def historian(tmp_path: Path) -> Iterator[EmbeddedHistorian]:
    store = EmbeddedHistorian(tmp_path / "historian")
    yield store
    store.close()


@pytest.fixture
def dead_letters(tmp_path: Path) -> Iterator[DeadLetters]:
    letters = DeadLetters(tmp_path / "dead_letters.sqlite", settle_s=0)
    yield letters
    letters.close()


@pytest.fixture
def say() -> Say:
    """``say(7, 8)``: a message with the samples of these seqs; a dict stands for itself."""

    def build(*samples: Any, topic: str | None = None, unit: str = UNIT, agent: str = AGENT, **changes: Any) -> Message:
        envelope = {
            "agent": agent,
            "outbox": "5f0c",
            "boot": "b7e1",
            "clock": "synced",
            "mono_ms": 1,
            "low": 1,
            "oldest_t": NOON,
            "samples": [_sample(one) if isinstance(one, int) else one for one in samples],
        }
        payload = json.dumps(envelope | changes).encode()
        return Message(topic or f"v1/logam-jaya/{unit}/samples/{agent}", payload)

    return build


def _sample(seq: int) -> dict[str, Any]:
    return {"seq": seq, "t": NOON + 1_000 * seq, "v": {"state": 1, "good": seq}}
