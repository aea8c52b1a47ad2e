"""Whoever looks at a demo sees the plant's time as far as the store has it."""

from cli.replay_clock import ReplayClock
from shopfloor.clock import CatchUpClock, SystemClock

START, LATER = 1_000_000, 2_000_000


async def test_while_the_past_is_replayed_time_is_as_far_as_the_store_is() -> None:
    clock = CatchUpClock(START, wall=SystemClock())
    stored: list[int | None] = [None]
    seen = ReplayClock(clock, lambda: stored[0])
    clock.start(LATER, None)
    assert seen.now() == START
    stored[0] = START + 500
    assert seen.now() == START + 500
    stored[0] = LATER + 500
    assert seen.now() == LATER


async def test_live_it_is_the_clocks_time() -> None:
    wall = SystemClock()
    clock = CatchUpClock(START, wall=wall)
    seen = ReplayClock(clock, lambda: START)
    clock.live.set()
    assert abs(seen.now() - wall.now()) < 60_000
