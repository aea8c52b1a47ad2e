"""Messages that must never become points: malformed, hostile, or of somebody else. One of them at a time, by chance.

All of them are wrong on purpose in at least one way that the wire's rules forbid, so nothing of them may be stored.
"""

import json
import math
import random
from collections.abc import Callable
from typing import Any

from messaging.payload import MAX_INTEGER
from messaging.topic import SampleTopic
from shopfloor.clock import SystemClock
from shopfloor.instant import Instant
from shopfloor.plant import Plant

OUTBOX = "f0f0f0f0f0f0f0f0"
"""The outbox that forged messages claim: of no agent."""
DAY = 86_400_000

Told = tuple[str, bytes]


class Garbage:
    """Makes broken messages of a plant's agents."""

    def __init__(self, plant: Plant, rng: random.Random) -> None:
        self._plant, self._rng = plant, rng
        self._clock = SystemClock()
        self._seq = 0
        self._kinds: list[Callable[[str], Told]] = [
            self._noise,
            self._torn,
            self._deep,
            self._huge_number,
            self._not_a_number,
            self._wrong_type,
            self._wrong_envelope,
            self._other_agent,
            self._other_unit,
            self._doubled_keys,
            self._far_future,
            self._negative_time,
            self._unknown_tag,
            self._bad_quality,
            self._empty,
            self._bad_seq,
            self._long_text,
        ]
        self.kinds = [kind.__name__.strip("_") for kind in self._kinds]

    def message(self, agent: str) -> Told:
        """A broken message under an agent's name; no two are alike."""
        self._seq += 1
        return self._rng.choice(self._kinds)(agent)

    # ------------------------------------------------------------ what a good one looks like

    def nothing(self, agent: str) -> Told:
        """No bytes at all; retained, the broker forgets what it kept."""
        return self._topic(agent), b""

    def long(self, agent: str, size: int) -> Told:
        """A string of so many bytes where a message should be."""
        self._seq += 1
        return self._topic(agent), json.dumps(self._envelope(agent, boot=f"{self._seq}" + "x" * size)).encode()

    def good(self, agent: str, outbox: str, t: Instant) -> tuple[Told, str]:
        """A good message with one sample of some machine of the agent, its seq and ``low`` as absurd as may be; and the
        unit."""
        self._seq += 1
        units = [unit for unit in self._plant.agents[agent].units if self._plant.units[unit].is_machine]
        unit, far = self._rng.choice(units), self._rng.randrange(MAX_INTEGER - self._seq) + self._seq
        sample = {"seq": self._rng.choice((self._seq, far)), "t": t, "v": {"state": 1, "power_kw": self._seq % 40}}
        low = self._rng.choice((0, 1, self._seq, far, MAX_INTEGER))
        envelope = self._envelope(agent, sample, outbox=outbox, low=low)
        return (self._topic(agent, unit), json.dumps(envelope).encode()), unit

    def _unit(self, agent: str) -> str:
        return self._rng.choice(self._plant.agents[agent].units)

    def _topic(self, agent: str, unit: str | None = None) -> str:
        return str(SampleTopic(self._plant.units[unit or self._unit(agent)].path, agent))

    def _sample(self, **changes: Any) -> dict[str, Any]:
        t = self._clock.now() - self._rng.randrange(3_600_000)
        return {"seq": self._seq, "t": t, "v": {"state": 1, "power_kw": 1.5}} | changes

    def _envelope(self, agent: str, *samples: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """Boot and ``mono_ms`` tell it from any other."""
        told = {"agent": agent, "outbox": OUTBOX, "boot": f"{self._seq:08x}", "clock": "synced", "mono_ms": self._seq}
        told |= {"low": 1, "oldest_t": self._clock.now(), "samples": list(samples) or [self._sample()]}
        return told | changes

    def _told(self, agent: str, envelope: Any) -> Told:
        return self._topic(agent), json.dumps(envelope).encode()

    def _one(self, agent: str, **changes: Any) -> Told:
        return self._told(agent, self._envelope(agent, self._sample(**changes)))

    # ------------------------------------------------------------ what is wrong with these

    def _noise(self, agent: str) -> Told:
        return self._topic(agent), self._rng.randbytes(self._rng.randrange(16, 2_000))

    def _torn(self, agent: str) -> Told:
        topic, whole = self._told(agent, self._envelope(agent))
        return topic, whole[: self._rng.randrange(len(whole) // 2, len(whole))]

    def _deep(self, agent: str) -> Told:
        depth = self._rng.choice((50, 2_000, 20_000))
        opening = self._rng.choice((b"[", b'{"samples":', b'{"a":[{"v":'))
        return self._topic(agent), opening * depth + str(self._seq).encode()

    def _huge_number(self, agent: str) -> Told:
        number = self._rng.choice(("1e999", "-1e400", "9" * 400, "18446744073709551616", str(2**60)))
        topic, whole = self._one(agent, v={"state": 1, "produced": "NUMBER"})
        return topic, whole.replace(b'"NUMBER"', number.encode())

    def _not_a_number(self, agent: str) -> Told:
        return self._one(agent, v={"power_kw": self._rng.choice((math.nan, math.inf, -math.inf))})

    def _wrong_type(self, agent: str) -> Told:
        wrong = self._rng.choice((None, True, [1], {"a": 1}, "text", []))
        return self._one(agent, v={"state": wrong})

    def _wrong_envelope(self, agent: str) -> Told:
        name = self._rng.choice(("agent", "outbox", "boot", "clock", "mono_ms", "low", "oldest_t", "samples"))
        envelope = self._envelope(agent)
        if self._rng.random() < 0.5:
            del envelope[name]
        else:
            envelope[name] = self._rng.choice((None, [], {}, -(2**70), "no/../such thing\n", True))
        return self._told(agent, envelope)

    def _other_agent(self, agent: str) -> Told:
        other = self._rng.choice([name for name in self._plant.agents if name != agent] or ["nobody"])
        return self._told(agent, self._envelope(other))

    def _other_unit(self, agent: str) -> Told:
        """A unit of another agent, or of no plant."""
        foreign = [unit for name, each in self._plant.agents.items() if name != agent for unit in each.units]
        if foreign and self._rng.random() < 0.5:
            topic = self._topic(agent, self._rng.choice(foreign))
        else:
            topic = f"v1/{self._rng.choice(('nowhere', self._plant.enterprise))}/a/b/c/d-{self._seq}/samples/{agent}"
        return topic, json.dumps(self._envelope(agent)).encode()

    def _doubled_keys(self, agent: str) -> Told:
        """The key that counts is the last, and it is wrong."""
        topic, whole = self._told(agent, self._envelope(agent))
        return topic, whole[:-1] + b',"samples":[{"seq":%d,"t":"noon","v":{"state":1}}]}' % self._seq

    def _far_future(self, agent: str) -> Told:
        ahead = self._rng.choice((120_000, DAY, 400 * DAY, 10**15, 2**62))
        return self._one(agent, t=self._clock.now() + ahead)

    def _negative_time(self, agent: str) -> Told:
        return self._one(agent, t=self._rng.choice((-1, 0, -(2**53), -(2**62))))

    def _unknown_tag(self, agent: str) -> Told:
        tag = self._rng.choice(
            ("oee", "State", "x-1", "x_\u00e4", "state,unit=a", "a b=1", "time", "x_" + "y" * 300, "")
        )
        return self._one(agent, v={tag: 1.0})

    def _bad_quality(self, agent: str) -> Told:
        q = self._rng.choice(
            (
                {"state": ["bad", "comm_lost"]},
                {"state": ["good", "stale"]},
                {"state": "bad"},
                {"power_kw": ["worse", "x"]},
            )
        )
        return self._one(agent, q=q)

    def _empty(self, agent: str) -> Told:
        """As good as empty; a payload of no bytes is one of a kind, and ``nothing`` makes it."""
        if self._rng.random() < 0.5:
            return self._told(agent, self._rng.choice(([self._seq], {"n": self._seq}, str(self._seq), self._seq)))
        return self._told(agent, self._envelope(agent, samples=[]))

    def _bad_seq(self, agent: str) -> Told:
        return self._one(agent, seq=self._rng.choice((-1, MAX_INTEGER + 1, 2**63, 1.5, "1", None)))

    def _long_text(self, agent: str) -> Told:
        return self._one(agent, v={"state": 1, "x_note_text": "\u20ac" * self._rng.choice((1_025, 5_000, 30_000))})
