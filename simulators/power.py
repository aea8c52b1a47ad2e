"""Electric power over time, integrated exactly. Feeds the energy registers at the head of *registers -> samples*.

Power is whole watts, time whole milliseconds, so energy is whole watt-milliseconds: no rounding anywhere.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from typing import Protocol

from shopfloor.instant import Instant

W_MS_PER_KWH = 3_600_000_000
"""Watt-milliseconds in one kWh."""

Stretch = tuple[Instant, Instant, int]
"""[start, end) and the constant power in it, W."""


class Load(Protocol):
    """A consumer of electricity whose whole course is known."""

    def energy_at(self, t: Instant) -> int:
        """Energy since the load's beginning, W ms."""
        ...

    def watts_at(self, t: Instant) -> int:
        """Power at ``t``, W."""
        ...

    def stretches(self, start: Instant, end: Instant) -> Iterator[Stretch]:
        """The course in [start, end) as stretches of constant power in order; stretches may overlap: they add."""
        ...


class PowerTrace:
    """Piecewise-constant power, appended in order of time; 0 before the first value, and the last holds on."""

    __slots__ = ("_sums", "_times", "_watts")

    def __init__(self, course: Iterable[tuple[Instant, int]] = ()) -> None:
        self._times: list[Instant] = []
        self._watts: list[int] = []
        self._sums: list[int] = []
        for start, watts in course:
            self.append(start, watts)

    def append(self, start: Instant, watts: int) -> None:
        """From ``start`` on the load draws ``watts``."""
        if self._watts and self._watts[-1] == watts:
            return
        self._sums.append(self.energy_at(start))
        self._times.append(start)
        self._watts.append(watts)

    def energy_at(self, t: Instant) -> int:
        index = bisect_right(self._times, t) - 1
        return self._sums[index] + (t - self._times[index]) * self._watts[index] if index >= 0 else 0

    def watts_at(self, t: Instant) -> int:
        index = bisect_right(self._times, t) - 1
        return self._watts[index] if index >= 0 else 0

    def stretches(self, start: Instant, end: Instant) -> Iterator[Stretch]:
        index = max(bisect_right(self._times, start) - 1, 0)
        while index < len(self._times) and self._times[index] < end:
            stop = self._times[index + 1] if index + 1 < len(self._times) else end
            low, high = max(self._times[index], start), min(stop, end)
            if low < high:
                yield low, high, self._watts[index]
            index += 1


class SumOfLoads:
    """What a meter sees that feeds several loads."""

    __slots__ = ("_loads",)

    def __init__(self, loads: Sequence[Load]) -> None:
        self._loads = tuple(loads)

    def energy_at(self, t: Instant) -> int:
        return sum(load.energy_at(t) for load in self._loads)

    def watts_at(self, t: Instant) -> int:
        return sum(load.watts_at(t) for load in self._loads)

    def stretches(self, start: Instant, end: Instant) -> Iterator[Stretch]:
        yield from merge(*(load.stretches(start, end) for load in self._loads))


class PartOfLoad:
    """A fixed share of a load: one of three phases, or the reactive power that goes with the active."""

    __slots__ = ("_load", "_of", "_share")

    def __init__(self, load: Load, share: int, of: int) -> None:
        self._load = load
        self._share = share
        self._of = of

    def energy_at(self, t: Instant) -> int:
        return self._load.energy_at(t) * self._share // self._of

    def watts_at(self, t: Instant) -> int:
        return self._load.watts_at(t) * self._share // self._of

    def stretches(self, start: Instant, end: Instant) -> Iterator[Stretch]:
        for low, high, watts in self._load.stretches(start, end):
            yield low, high, watts * self._share // self._of


class RememberedLoad:
    """A load that answers many questions about one instant: it is asked once."""

    __slots__ = ("_at", "_energy", "_load", "_watts")

    def __init__(self, load: Load) -> None:
        self._load = load
        self._at: Instant | None = None
        self._energy = self._watts = 0

    def energy_at(self, t: Instant) -> int:
        self._ask(t)
        return self._energy

    def watts_at(self, t: Instant) -> int:
        self._ask(t)
        return self._watts

    def stretches(self, start: Instant, end: Instant) -> Iterator[Stretch]:
        return self._load.stretches(start, end)

    def _ask(self, t: Instant) -> None:
        if t != self._at:
            self._at, self._energy, self._watts = t, self._load.energy_at(t), self._load.watts_at(t)
