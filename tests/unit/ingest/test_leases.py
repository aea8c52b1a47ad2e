"""Leases among processes that hear one ordered stream of heartbeats, late, with gaps, kills and pauses."""

import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.leases import BEAT_MS, JOIN_MS, TTL_MS, LeaseBook
from messaging.heartbeat import Heartbeat, decode_heartbeat, encode_heartbeat
from shopfloor.errors import MessageRejected

AGENTS = ("edge-a", "edge-b", "edge-c")


class Process:
    """A book and the way in which its process uses it; its clock is not that of the others."""

    def __init__(self, name, skew_ms, serves=AGENTS):
        self.name, self.skew_ms = name, skew_ms
        self.book = LeaseBook(name, AGENTS, frozenset(serves))
        self.inbox = deque()
        self.connected = True
        self.next_beat = 0

    def cut_off(self):
        """The connection breaks; what was under way to it is lost."""
        self.connected = False
        self.inbox.clear()
        self.book.cut_off()

    def tell(self, now, beat):
        if self.connected:
            self.inbox.append((now, beat))

    def work(self, now, delay_ms):
        own = now + self.skew_ms
        while self.inbox and self.inbox[0][0] + delay_ms <= now:
            self.book.heard(self.inbox.popleft()[1], own)
        self.book.give_up(self.book.to_give(own))

    def beats(self, now):
        if now < self.next_beat:
            return None
        self.next_beat = now + BEAT_MS
        return self.book.beat(now + self.skew_ms)

    def held(self, now):
        return self.book.held(now + self.skew_ms)


class Floor:
    """Some processes on one broker."""

    def __init__(self, *processes, delay_ms=20, step_ms=100):
        self.processes, self.delay_ms, self.step_ms = list(processes), delay_ms, step_ms
        self.now = 1_000_000

    def run(self, ms, watch=lambda: None):
        end = self.now + ms
        while self.now < end:
            self.now += self.step_ms
            for process in self.processes:
                process.work(self.now, self.delay_ms)
            for sender in self.processes:
                if sender.connected and (beat := sender.beats(self.now)) is not None:
                    for process in self.processes:
                        process.tell(self.now, beat)
            self.check()
            watch()

    def check(self):
        owners = [agent for process in self.processes for agent in process.held(self.now)]
        assert len(owners) == len(set(owners)), f"two processes serve one agent at {self.now}"

    def split(self):
        return {process.name: process.held(self.now) for process in self.processes}


def test_a_lonely_process_takes_everything_once_it_has_listened():
    floor = Floor(Process("one", 0))
    floor.run(JOIN_MS)
    assert floor.split() == {"one": frozenset()}
    floor.run(2 * BEAT_MS + 500)
    assert floor.split() == {"one": frozenset(AGENTS)}


def test_processes_that_start_together_soon_share():
    floor = Floor(Process("one", 0), Process("two", -7_000))
    floor.run(JOIN_MS + 4 * BEAT_MS)
    assert sorted(map(len, floor.split().values())) == [1, 2]


def test_a_newcomer_is_given_its_share_without_a_gap_of_a_whole_lease():
    floor = Floor(Process("one", 0))
    floor.run(20_000)
    floor.processes.append(Process("two", 55_000))
    floor.run(JOIN_MS + 4 * BEAT_MS)
    assert sorted(map(len, floor.split().values())) == [1, 2]


def test_a_killed_process_is_followed_by_the_others():
    one, two = Process("one", 0), Process("two", 3_000)
    floor = Floor(one, two)
    floor.run(30_000)
    floor.processes.remove(one)
    floor.run(TTL_MS - BEAT_MS)
    assert two.held(floor.now) < frozenset(AGENTS)
    floor.run(3 * BEAT_MS)
    assert two.held(floor.now) == frozenset(AGENTS)


def test_a_process_serves_only_what_it_may():
    floor = Floor(Process("one", 0, serves=["edge-a"]), Process("two", 0, serves=["edge-b"]))
    floor.run(30_000)
    assert floor.split() == {"one": frozenset({"edge-a"}), "two": frozenset({"edge-b"})}


def test_without_a_broker_nothing_is_held_for_long_and_soon_again_afterwards():
    floor = Floor(Process("one", 0), Process("two", 0))
    floor.run(30_000)
    for process in floor.processes:
        process.cut_off()
    floor.run(TTL_MS)
    assert floor.split() == {"one": frozenset(), "two": frozenset()}
    assert not floor.processes[0].book.hears_itself(floor.now + 2 * BEAT_MS)
    for process in floor.processes:
        process.connected = True
    floor.run(JOIN_MS + TTL_MS)
    assert frozenset().union(*floor.split().values()) == frozenset(AGENTS)


def test_who_was_cut_off_learns_that_its_lease_is_gone_before_it_uses_it_again():
    one, two = Process("one", 0), Process("two", 0)
    floor = Floor(one, two)
    floor.run(30_000)
    one.cut_off()
    floor.run(2 * TTL_MS)
    assert two.held(floor.now) == frozenset(AGENTS)
    one.connected = True
    floor.run(20_000)  # ``check`` looks at every step
    assert sorted(map(len, floor.split().values())) == [1, 2]


@given(st.integers(0, 2**32))
def test_no_agent_is_ever_served_twice_and_all_are_served_in_the_end(seed):
    chance = random.Random(seed)
    floor = Floor(*(Process(f"p-{n}", chance.randint(-(10**6), 10**6)) for n in range(2)), step_ms=250)
    for _ in range(12):
        floor.delay_ms = chance.choice([0, 50, 900])
        what = chance.randrange(4)
        if what == 0 and len(floor.processes) < 4:
            floor.processes.append(Process(f"p-{chance.randrange(10**6)}", chance.randint(-(10**6), 10**6)))
        elif what == 1 and len(floor.processes) > 1:
            floor.processes.pop(chance.randrange(len(floor.processes)))
        else:
            process = chance.choice(floor.processes)
            process.cut_off()
            process.connected = chance.random() < 0.5
        floor.run(chance.randrange(500, 15_000))
    for process in floor.processes:
        process.connected = True
    floor.delay_ms = 50
    floor.run(2 * TTL_MS + 2 * JOIN_MS)
    assert frozenset().union(*floor.split().values()) == frozenset(AGENTS)


def test_a_heartbeat_reads_back_as_it_was_written():
    beat = Heartbeat(instance="one", n=3, serves=("edge-a",), holds={"edge-a": 7})
    assert decode_heartbeat(encode_heartbeat(beat)) == beat


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b'{"instance": 1}', b"[" * 100_000])
def test_what_is_no_heartbeat_is_refused(payload):
    with pytest.raises(MessageRejected, match="bad_heartbeat"):
        decode_heartbeat(payload)
