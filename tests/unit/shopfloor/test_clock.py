"""The virtual clock jumps only when everybody sleeps, and goes live when it meets the wall."""

import asyncio

import pytest

from shopfloor.clock import CatchUpClock, SystemClock, Trust


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


def test_a_step_of_the_wall_clock_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    assert clock.trust() is Trust.SYNCED
    monkeypatch.setattr(SystemClock, "_measure", staticmethod(lambda: 0.0))
    assert clock.trust() is Trust.STEPPED
    clock.settle()
    assert clock.trust() is Trust.SYNCED


async def _sleep_and_leave(clock: CatchUpClock, when: int) -> int:
    await clock.sleep_until(when)
    clock.leave()
    return clock.now()


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
