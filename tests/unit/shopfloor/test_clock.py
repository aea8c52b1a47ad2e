"""The virtual clock jumps only when everybody sleeps, and goes live when it meets the wall."""

import asyncio
import subprocess
import sys

import pytest

from shopfloor import kernel_clock
from shopfloor.clock import VIRTUAL, CatchUpClock, SystemClock


class Wall(SystemClock):
    """A wall clock that stands still, so that a test needs no waiting."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def now(self) -> int:
        return self.at

    async def sleep_until(self, when: int) -> None:
        self.at = max(self.at, when)


async def test_it_stands_still_while_a_joined_task_works() -> None:
    clock = CatchUpClock(0)
    clock.join()
    clock.join()
    first = asyncio.create_task(_sleep_and_leave(clock, 1_000))
    for _ in range(5):
        await asyncio.sleep(0)
    assert clock.now() == 0
    await clock.sleep_until(2_000)
    assert await first == 1_000
    assert clock.now() == 2_000


async def test_tasks_wake_in_order_of_time() -> None:
    clock = CatchUpClock(0)
    woken: list[tuple[int, int]] = []

    async def tick(period: int) -> None:
        for number in range(1, 4):
            await clock.sleep_until(number * period)
            woken.append((clock.now(), period))
        clock.leave()

    clock.join()
    clock.join()
    await asyncio.gather(tick(200), tick(300))
    assert [at for at, _ in woken] == [200, 300, 400, 600, 600, 900]


async def test_it_goes_live_when_it_meets_the_wall() -> None:
    wall = Wall(2_500)
    clock = CatchUpClock(0, wall=wall)
    clock.join()
    times = []
    for second in (1_000, 2_000, 3_000, 4_000):
        await clock.sleep_until(second)
        times.append((clock.now(), clock.live.is_set()))
    assert times == [(1_000, False), (2_000, False), (3_000, True), (4_000, True)]


async def test_the_gate_holds_time_back() -> None:
    opened = asyncio.Event()
    clock = CatchUpClock(0, gate=lambda: _wait(opened))
    clock.join()
    sleeper = asyncio.create_task(clock.sleep_until(1_000))
    for _ in range(5):
        await asyncio.sleep(0)
    assert clock.now() == 0
    opened.set()
    await sleeper
    assert clock.now() == 1_000


async def test_a_gate_that_fails_wakes_the_sleepers_with_its_error() -> None:
    async def broken() -> None:
        raise RuntimeError("the pipeline is gone")

    clock = CatchUpClock(0, gate=broken)
    clock.join()
    with pytest.raises(RuntimeError, match="the pipeline is gone"):
        await clock.sleep_until(1_000)


def test_a_moment_of_this_machine_is_wall_and_steady_time_of_one_boot() -> None:
    clock = SystemClock()
    before, now, after = clock.moment(), clock.now(), clock.moment()
    assert before.wall <= now <= after.wall
    assert before.steady <= after.steady
    assert before.boot == after.boot != VIRTUAL
    assert abs((after.wall - after.steady) - (before.wall - before.steady)) <= 1


def test_the_kernel_speaks_for_its_own_time_alone() -> None:
    wall_s = SystemClock().now() / 1000
    assert kernel_clock.synchronised(wall_s) in (True, False)
    assert kernel_clock.synchronised(wall_s - 3_600) is None


def test_the_steady_time_of_two_processes_is_one() -> None:
    code = "from shopfloor import kernel_clock as k; print(k.BOOT, k.steady_ms())"
    before = kernel_clock.steady_ms()
    boot, steady = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE).stdout.split()
    assert boot.decode() == kernel_clock.BOOT
    assert before <= int(steady) <= kernel_clock.steady_ms()


async def test_a_virtual_moment_is_right_by_definition() -> None:
    clock = CatchUpClock(7_000)
    assert clock.moment() == (7_000, 7_000, VIRTUAL, True)


async def _sleep_and_leave(clock: CatchUpClock, when: int) -> int:
    await clock.sleep_until(when)
    clock.leave()
    return clock.now()


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


def test_clocks_between_which_the_process_had_to_wait_are_read_again(monkeypatch):
    """Else a busy machine looks like one whose clock was set."""
    steady = iter([1_000, 3_500, 3_500, 3_501])
    monkeypatch.setattr("shopfloor.kernel_clock.steady_ms", lambda: next(steady))
    assert SystemClock().moment().steady == 3_501
