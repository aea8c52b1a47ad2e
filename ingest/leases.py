"""Which agents this ingest process serves when several share a plant: leases, told by heartbeats. Pure.

Beside *messages -> points -> facts*. A broker hands one stream of heartbeats to all processes in one order, so all of
them see the same claim come first. A lease is kept by renewing it; its holder stops using it well before the others
may take it, so that two processes do not derive one unit at one time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from messaging.heartbeat import Heartbeat

BEAT_MS: Final = 1_000
"""Time between heartbeats."""
TRUST_MS: Final = 4_000
"""How long a holder relies on a renewal, from when it was sent. Shorter than anybody waits before taking over."""
JOIN_MS: Final = 5_000
"""How long a process listens before it claims anything, and before it is given anything."""
TTL_MS: Final = 8_000
"""A process that was not heard for so long is gone, and its leases are free."""
_SENT_KEPT: Final = 64
_NEVER: Final = -(2**62)


@dataclass(slots=True)
class _Member:
    first_ms: int
    last_ms: int
    serves: frozenset[str]


@dataclass(slots=True)
class _Lease:
    holder: str
    term: int
    heard_ms: int
    """When it was last renewed; _NEVER when it was given up."""


@dataclass(slots=True)
class LeaseBook:
    """What one process has heard, on its own monotonic clock (ms)."""

    me: str
    plant_agents: Sequence[str]
    """All agents of the plant in an order that all processes share."""
    serves: frozenset[str]
    """Those that this process may serve."""
    _members: dict[str, _Member] = field(default_factory=dict)
    _leases: dict[str, _Lease] = field(default_factory=dict)
    _sent: dict[int, int] = field(default_factory=dict)
    _proven: dict[str, int] = field(default_factory=dict)
    """Agent -> when the renewal was sent that last came back."""
    _given_up: set[str] = field(default_factory=set)
    _claimed: dict[str, int] = field(default_factory=dict)
    """Agent -> the term that we last claimed, and may be given by our own heartbeat."""
    _n: int = 0

    def beat(self, now_ms: int) -> Heartbeat:
        """What to tell now: leases to renew, and claims on what is free and falls to us."""
        self._n += 1
        self._sent[self._n] = now_ms
        self._sent.pop(self._n - _SENT_KEPT, None)
        holds = {agent: lease.term for agent, lease in self._leases.items() if self._renews(agent, lease)}
        if self._settled_in(now_ms):
            for agent in self.serves - self._given_up:
                if agent not in holds and self._free(agent, now_ms) and self._chosen(agent, now_ms) == self.me:
                    holds[agent] = self._claimed[agent] = self._term(agent) + 1
        return Heartbeat(instance=self.me, n=self._n, serves=tuple(sorted(self.serves)), holds=holds)

    def heard(self, beat: Heartbeat, now_ms: int) -> None:
        """A heartbeat has come, from another process or our own one back."""
        self._meet(beat, now_ms)
        for agent, term in beat.holds.items():
            lease = self._leases.get(agent)
            if lease is not None and lease.holder == beat.instance and lease.term == term:
                lease.heard_ms = now_ms if lease.heard_ms != _NEVER else _NEVER
            elif beat.instance == self.me and self._claimed.get(agent) != term:
                continue  # what we held before we were cut off
            elif self._beats(beat, term, lease, agent, now_ms):
                self._leases[agent] = _Lease(beat.instance, term, now_ms)
        for agent, lease in self._leases.items():
            if lease.holder == beat.instance and agent not in beat.holds:
                lease.heard_ms = _NEVER
        if beat.instance == self.me:
            self._given_up &= beat.holds.keys()  # the others have heard it by now
        self._prove(beat)

    def held(self, now_ms: int) -> frozenset[str]:
        """The agents that this process may serve now."""
        return frozenset(agent for agent, sent_ms in self._proven.items() if now_ms - sent_ms < TRUST_MS)

    def to_give(self, now_ms: int) -> frozenset[str]:
        """Held agents that fall to another process: finish with them, then ``give_up``."""
        return frozenset(agent for agent in self.held(now_ms) if self._chosen(agent, now_ms) != self.me)

    def give_up(self, agents: Iterable[str]) -> None:
        """From the next heartbeat on these are free."""
        for agent in agents:
            self._given_up.add(agent)
            self._proven.pop(agent, None)

    def cut_off(self) -> None:
        """The connection was lost: others may claim unheard, so what we held must be claimed anew.

        What was proven before stays in use for the rest of its time.
        """
        self._claimed.clear()
        self._members.pop(self.me, None)
        for lease in self._leases.values():
            if lease.holder == self.me:
                lease.heard_ms = _NEVER

    def hears_itself(self, now_ms: int) -> bool:
        """Whether the broker brings our own heartbeats back: without it nothing can be held."""
        own = self._members.get(self.me)
        return own is not None and now_ms - own.last_ms <= TTL_MS

    def forget_silent(self, now_ms: int) -> None:
        """Drop processes that have been gone for long."""
        gone = [name for name, member in self._members.items() if now_ms - member.last_ms > 10 * TTL_MS]
        for name in gone:
            del self._members[name]

    def _meet(self, beat: Heartbeat, now_ms: int) -> None:
        member = self._members.get(beat.instance)
        known = member is not None and now_ms - member.last_ms <= TTL_MS
        first_ms = member.first_ms if member is not None and known else now_ms
        self._members[beat.instance] = _Member(first_ms, now_ms, frozenset(beat.serves))

    def _beats(self, beat: Heartbeat, term: int, lease: _Lease | None, agent: str, now_ms: int) -> bool:
        """Whether what a heartbeat claims stands from now on. Of two at once, all keep the same."""
        if lease is None or term > lease.term or self._free(agent, now_ms):
            return True
        return term == lease.term and beat.instance < lease.holder

    def _prove(self, beat: Heartbeat) -> None:
        sent_ms = self._sent.get(beat.n) if beat.instance == self.me else None
        for agent, lease in self._leases.items():
            if lease.holder != self.me or agent in self._given_up:
                self._proven.pop(agent, None)
            elif sent_ms is not None and beat.holds.get(agent) == lease.term:
                self._proven[agent] = max(sent_ms, self._proven.get(agent, sent_ms))

    def _renews(self, agent: str, lease: _Lease) -> bool:
        return lease.holder == self.me and lease.heard_ms != _NEVER and agent not in self._given_up

    def _settled_in(self, now_ms: int) -> bool:
        own = self._members.get(self.me)
        return own is not None and self.hears_itself(now_ms) and now_ms - own.first_ms >= JOIN_MS

    def _free(self, agent: str, now_ms: int) -> bool:
        lease = self._leases.get(agent)
        return lease is None or now_ms - lease.heard_ms > TTL_MS

    def _term(self, agent: str) -> int:
        lease = self._leases.get(agent)
        return 0 if lease is None else lease.term

    def _chosen(self, agent: str, now_ms: int) -> str:
        """Whose it should be: the agents are dealt out in turn to the processes that are there."""
        able = sorted(name for name, member in self._members.items() if self._may_take(name, member, agent, now_ms))
        return able[self.plant_agents.index(agent) % len(able)] if able else self.me

    def _may_take(self, name: str, member: _Member, agent: str, now_ms: int) -> bool:
        there = now_ms - member.last_ms <= TTL_MS and agent in member.serves
        return there and (name == self.me or member.last_ms - member.first_ms >= JOIN_MS)
