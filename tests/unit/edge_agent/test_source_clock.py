"""Wall and steady time part in every way that a plant has seen, and no sample gets a time that is not true."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.source_clock import NOT_BEFORE, Anchor, ClockRules, SourceClock
from shopfloor.clock import VIRTUAL, CatchUpClock, Moment, Trust
from shopfloor.instant import HOUR, MINUTE

TRUE = 1_763_830_000_000


@dataclass
class Machine(CatchUpClock):
    """A machine whose wall clock may be wrong by ``error`` ms."""

    steady: int = 50_000
    error: int = 0
    boot: str = "boot-1"
    synced: bool | None = None

    @property
    def true(self) -> int:
        return TRUE + self.steady

    def moment(self) -> Moment:
        return Moment(self.true + self.error, self.steady, self.boot, self.synced)


def run(machine: Machine, source: SourceClock, ms: int, step_ms: int = 1_000) -> None:
    """Let time pass as a poller sees it."""
    for _ in range(ms // step_ms):
        machine.steady += step_ms
        source.observe()


def test_a_clock_that_nobody_touches_is_the_wall() -> None:
    machine = Machine()
    source = SourceClock(machine)
    run(machine, source, MINUTE)
    assert source.stamp() == (machine.true, machine.steady, "boot-1", True)
    assert (source.trust, source.jumps, source.shifts) == (Trust.SYNCED, 0, 0)


@pytest.mark.parametrize("error", [HOUR, -HOUR, 1_100, -1_100])
def test_a_step_is_held_back_and_leaves_the_ticks_alone_until_it_is_undone(error: int) -> None:
    machine = Machine()
    source = SourceClock(machine)
    machine.error = error
    run(machine, source, 9 * MINUTE)
    assert source.stamp() == (machine.true + error, machine.steady, "boot-1", False)
    assert (source.trust, source.jumps, source.now()) == (Trust.STEPPED, 1, machine.true)
    machine.error = 0
    assert source.stamp() == (machine.true, machine.steady, "boot-1", True)
    assert (source.trust, source.shifts) == (Trust.SYNCED, 0)


def test_a_new_time_is_believed_when_it_has_stood_for_long_enough() -> None:
    machine = Machine()
    source = SourceClock(machine, rules=ClockRules(settle_ms=5 * MINUTE))
    machine.error = -HOUR
    run(machine, source, 4 * MINUTE)
    machine.error = -2 * HOUR  # set again: it counts anew
    run(machine, source, 4 * MINUTE)
    assert (source.trust, source.jumps) == (Trust.STEPPED, 2)
    run(machine, source, 2 * MINUTE)
    assert (source.trust, source.shifts) == (Trust.SYNCED, 1)
    assert source.stamp().time == source.now() == machine.true - 2 * HOUR


def test_a_new_time_that_the_kernel_vouches_for_is_believed_at_once() -> None:
    machine = Machine(error=-HOUR)  # the battery clock was wrong
    source = SourceClock(machine)
    run(machine, source, MINUTE)
    machine.error, machine.synced = 0, True
    source.observe()
    assert source.trust is Trust.STEPPED
    stamp = source.stamp()
    assert (stamp.time, stamp.dated, source.shifts) == (machine.true, True, 1)
    assert stamp.anchor == Anchor("boot-1", TRUE)


@given(st.lists(st.tuples(st.integers(1, 5_000), st.integers(-1_000, 1_000)), max_size=40))
def test_small_corrections_are_followed_and_time_never_stands_still_or_goes_back(moves: list[tuple[int, int]]) -> None:
    machine = Machine()
    source = SourceClock(machine)
    last = source.stamp().time
    for ms, correction in moves:
        machine.steady += ms
        wanted = machine.error + correction
        apart = machine.true + wanted - (source.stamp().time if not ms else source.now())
        if abs(apart) <= 1_000:
            machine.error = wanted
        stamp = source.stamp()
        assert stamp.dated
        assert stamp.time > last
        last = stamp.time
    run(machine, source, 20_000)
    assert source.now() == machine.true + machine.error


def test_a_step_is_noticed_over_a_kill_and_restart() -> None:
    machine = Machine()
    anchor = SourceClock(machine).stamp().anchor
    machine.steady += 30_000
    machine.error = -HOUR
    again = SourceClock(machine, newest=machine.true - 31_000, anchor=anchor)
    assert (again.trust, again.now(), again.stamp().dated) == (Trust.STEPPED, machine.true, False)
    machine.error = 0
    assert again.stamp() == (machine.true, machine.steady, "boot-1", True)


@pytest.mark.parametrize("wall", [5_000, NOT_BEFORE - 1, TRUE - 60_000])
def test_after_a_power_cut_a_time_that_is_too_early_is_not_known(wall: int) -> None:
    machine = Machine(boot="boot-2")
    machine.error = wall - machine.true
    source = SourceClock(machine, newest=TRUE, anchor=Anchor("boot-1", TRUE))
    assert (source.trust, source.stamp().dated) == (Trust.UNSYNCED, False)
    run(machine, source, 30 * MINUTE if wall < NOT_BEFORE else 50_000)
    assert source.trust is Trust.UNSYNCED
    machine.error, machine.synced = 0, True
    run(machine, source, 2_000)
    assert source.stamp() == (machine.true, machine.steady, "boot-2", True)


def test_a_clock_that_runs_on_where_the_machine_was_stopped_waits_for_somebody_who_knows() -> None:
    """What a board without a battery clock shows: it passes the newest sample soon, and is wrong for ever."""
    machine = Machine(boot="boot-2", error=-HOUR)
    source = SourceClock(machine, newest=machine.true - HOUR + 3 * MINUTE)
    run(machine, source, 4 * MINUTE)
    assert source.trust is Trust.UNSYNCED  # it is past the newest, but nothing speaks for it yet
    machine.error = 0  # a time service whose word the kernel does not pass on
    run(machine, source, 9 * MINUTE)
    assert source.trust is Trust.UNSYNCED
    run(machine, source, 2 * MINUTE)
    assert source.stamp().time == machine.true


def test_a_time_service_that_is_relied_upon_must_have_spoken() -> None:
    machine = Machine(synced=False)
    source = SourceClock(machine, rules=ClockRules(needs_sync=True))
    run(machine, source, 20 * MINUTE)
    assert source.trust is Trust.UNSYNCED
    machine.synced = True
    assert source.stamp().dated


def test_within_a_boot_that_is_known_nobody_waits_for_the_time_service_again() -> None:
    machine = Machine(synced=False)
    source = SourceClock(machine, anchor=Anchor("boot-1", TRUE), rules=ClockRules(needs_sync=True))
    assert source.stamp().dated


async def test_virtual_time_jumps_as_it_likes_and_real_time_takes_over() -> None:
    clock = CatchUpClock(TRUE)
    source = SourceClock(clock, newest=TRUE + 10_000, anchor=Anchor("boot-1", 7))
    assert source.stamp() == (TRUE, TRUE, VIRTUAL, True)
    await clock.sleep_until(TRUE + HOUR)
    assert (source.stamp().time, source.now(), source.jumps) == (TRUE + HOUR, TRUE + HOUR, 0)
    machine = Machine()
    machine.error = HOUR
    live = CatchUpClock(TRUE, wall=machine)
    source = SourceClock(live)
    live.live.set()
    assert source.stamp() == (machine.true + HOUR, machine.steady, "boot-1", True)
