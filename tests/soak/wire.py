"""What was said on the wire: every sample that an agent has sent, every receipt that it was given.

An outbox sends only what it has committed, so its messages tell which reading each seq is.
"""

import json
import math
import random
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from messaging.receipt import SeqRanges, decode_receipt
from messaging.topic import VERSION, SampleTopic
from shopfloor.errors import MessageRejected
from shopfloor.instant import Instant

PUBLISH = 3
REMEMBERED = 400
"""Messages of each agent that may be said again."""

Published = tuple[str, bytes]
"""Topic and payload."""


class Frames:
    """The PUBLISH packets of one direction of an MQTT 3.1.1 connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Published]:
        """The messages that are complete now."""
        self._buffer += data
        while (packet := self._packet()) is not None:
            head, body = packet
            if head >> 4 == PUBLISH:
                yield _published(head, body)

    def _packet(self) -> tuple[int, bytes] | None:
        length, at = 0, 1
        while True:
            if at >= len(self._buffer):
                return None
            digit = self._buffer[at]
            length |= (digit & 0x7F) << 7 * (at - 1)
            at += 1
            if digit < 0x80:
                break
        if len(self._buffer) < at + length:
            return None
        head, body = self._buffer[0], bytes(self._buffer[at : at + length])
        del self._buffer[: at + length]
        return head, body


def _published(head: int, body: bytes) -> Published:
    end = 2 + int.from_bytes(body[:2], "big")
    payload = body[end + 2 :] if head & 0x06 else body[end:]
    return body[2:end].decode("utf-8", "replace"), payload


@dataclass(slots=True)
class HeardOutbox:
    """One outbox, as its messages tell it."""

    agent: str
    samples: dict[int, tuple[str, Instant]] = field(default_factory=dict)
    """Seq -> unit and source time."""
    redated: set[int] = field(default_factory=set)
    """Seqs that were sent with two different places or times."""
    settled: SeqRanges = field(default_factory=SeqRanges)
    """What its receipts covered, and what the agent itself said is settled."""

    @property
    def last(self) -> int:
        """The highest seq heard."""
        return max(self.samples, default=0)


class Wire:
    """All that the agents' links have carried."""

    def __init__(self) -> None:
        self.outboxes: dict[str, HeardOutbox] = {}
        self.said: defaultdict[str, deque[Published]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        """Agent -> its latest messages."""
        self.messages = 0
        self._confirmed_at: dict[str, float] = {}

    def ear(self, agent: str) -> Callable[[], "AgentEar"]:
        """Makes an ear for each connection of an agent."""
        return lambda: AgentEar(self, agent)

    def heard(self, agent: str, topic: str, payload: bytes) -> None:
        """An agent says something."""
        try:
            unit = str(SampleTopic.parse(topic).path)
        except MessageRejected:
            return
        told = json.loads(payload)
        self.messages += 1
        self.said[agent].append((topic, payload))
        outbox = self.outboxes.setdefault(told["outbox"], HeardOutbox(agent))
        outbox.settled.add(0, told["low"] - 1)
        for sample in told["samples"]:
            place = unit, sample["t"]
            if outbox.samples.setdefault(sample["seq"], place) != place:
                outbox.redated.add(sample["seq"])

    def receipted(self, topic: str, payload: bytes) -> None:
        """An agent is told something."""
        if not topic.startswith(f"{VERSION}/receipts/"):
            return
        try:
            receipt = decode_receipt(payload)
        except MessageRejected:
            return
        outbox = self.outboxes.get(receipt.outbox)
        if outbox is not None and max([receipt.upto, *(last for _, last in receipt.ranges)]) <= outbox.last:
            before = _size(outbox.settled)
            outbox.settled.merge(receipt.settled())
            if _size(outbox.settled) > before:
                self._confirmed_at[outbox.agent] = time.monotonic()

    def confirmed(self, agent: str) -> int:
        """How many samples of an agent receipts covered."""
        return sum(_size(each.settled) for each in self.outboxes.values() if each.agent == agent)

    def quiet_s(self, agent: str) -> float:
        """Since a receipt last covered more of an agent's samples; without end before the first."""
        return time.monotonic() - self._confirmed_at.get(agent, -math.inf)

    def unsettled(self, agent: str) -> int:
        """How many samples an agent has sent, or skipped for later, that no receipt covered."""
        return sum(each.last - _size(each.settled) for each in self.outboxes.values() if each.agent == agent)

    def repeated(self, agent: str, count: int, rng: random.Random) -> list[Published]:
        """Old messages in any order, some of them twice and more."""
        old = list(self.said[agent])
        return rng.choices(old, k=count) if old else []


class AgentEar:
    """Listens to one connection of an agent."""

    def __init__(self, wire: Wire, agent: str) -> None:
        self._wire, self._agent = wire, agent
        self._frames, self._told = Frames(), Frames()

    def up(self, data: bytes) -> None:
        for topic, payload in self._frames.feed(data):
            self._wire.heard(self._agent, topic, payload)

    def down(self, data: bytes) -> None:
        for topic, payload in self._told.feed(data):
            self._wire.receipted(topic, payload)


def _size(settled: SeqRanges) -> int:
    """Seqs from 1 on."""
    return sum(last - max(first, 1) + 1 for first, last in settled)
