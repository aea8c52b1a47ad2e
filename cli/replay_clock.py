"""What time it is for somebody who looks at a demo: the plant's, once the store has it."""

from collections.abc import Callable

from shopfloor.clock import CatchUpClock, Moment
from shopfloor.instant import Instant


class ReplayClock:
    """While the past is replayed, time is as far as the store is; then it is the clock's.

    A virtual clock runs minutes ahead of the pipeline, and the page would call all its data stale.
    """

    def __init__(self, clock: CatchUpClock, stored_until: Callable[[], Instant | None]) -> None:
        self._clock = clock
        self._stored_until = stored_until
        self._start = clock.now()

    def now(self) -> Instant:
        if self._clock.live.is_set():
            return self._clock.now()
        stored = self._stored_until()
        return self._start if stored is None else max(self._start, min(stored, self._clock.now()))

    def mono_ms(self) -> int:
        return self._clock.mono_ms()

    def moment(self) -> Moment:
        return self._clock.moment()

    async def sleep_until(self, when: Instant) -> None:
        await self._clock.sleep_until(when)

    def join(self) -> None:
        self._clock.join()

    def leave(self) -> None:
        self._clock.leave()
