"""A window's new minute *facts* or losses, and the hours and shifts that follow from them and from what is stored.

Of the facts of registers -> samples -> messages -> points -> facts -> KPIs -> panels: one merge rule for all grains.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final, Generic, Protocol, TypeVar

from historian.overwrite import changes, loss_changes, rewritten
from historian.schema import Grain
from ingest.spans import Window
from kpi.facts.rollup import (
    LONGEST_SHIFT,
    ShiftWindow,
    hour_facts,
    hour_losses,
    shift_facts,
    shift_losses,
    shift_windows,
)
from shopfloor.fact import Fact, Loss
from shopfloor.instant import HOUR, MINUTE, Instant, ceil_to, floor_to
from shopfloor.plant import WorkUnit


class Slice(Protocol):
    """What is rolled up: a fact or a loss."""

    @property
    def time(self) -> Instant:
        """Its start."""
        ...

    @property
    def shift(self) -> str:
        """The shift that it belongs to."""
        ...


SliceT = TypeVar("SliceT", bound=Slice)

Stored = Callable[[Grain, Instant, Instant], list[SliceT]]
"""The unit's stored facts or losses of a grain in [start, end)."""


Shifts = Callable[[Instant, Instant], Sequence[ShiftWindow]]
"""The unit's shifts that touch [start, end)."""


def shifts_of(unit: WorkUnit) -> Shifts:
    """``shift_windows`` of one unit, which remembers what was asked lately."""
    return lru_cache(maxsize=64)(partial(shift_windows, unit))


@dataclass(frozen=True, slots=True)
class Rule(Generic[SliceT]):
    """How slices are merged and compared."""

    changes: Callable[[Iterable[SliceT], Iterable[SliceT]], list[SliceT]]
    """What to write over the first so that it reads as the second."""
    written: Callable[[Iterable[SliceT], Iterable[SliceT]], list[SliceT]]
    """That, and what is written again though it does not differ."""
    hours: Callable[[Iterable[SliceT]], list[SliceT]]
    shift: Callable[[ShiftWindow, Iterable[SliceT]], list[SliceT]]


OF_FACTS: Final[Rule[Fact]] = Rule(changes, changes, hour_facts, shift_facts)
OF_FACTS_AGAIN: Final[Rule[Fact]] = Rule(changes, rewritten, hour_facts, shift_facts)
"""Of a rederivation: with the facts, what a store keeps beside them is made again."""
OF_LOSSES: Final[Rule[Loss]] = Rule(loss_changes, loss_changes, hour_losses, shift_losses)


@dataclass(frozen=True, slots=True)
class ShiftChange(Generic[SliceT]):
    """A shift's facts, by product, or losses, before and after."""

    shift: ShiftWindow
    before: list[SliceT]
    after: list[SliceT]


class RollUp(Generic[SliceT]):
    """Compares one window of fresh facts or losses with the store, grain by grain."""

    def __init__(
        self,
        unit: str,
        shifts: Shifts,
        stored: Stored[SliceT],
        window: Window,
        fresh: list[SliceT],
        rule: Rule[SliceT],
        *,
        whole: bool = False,
    ) -> None:
        """``whole``: hours and shifts of the window are compared even where no minute changes."""
        self.unit = unit
        """The unit's path."""
        self._shifts = shifts
        self._stored = stored
        self._start, self._end = window
        self._fresh = fresh
        self._rule = rule
        self._whole = whole
        self._minutes = rule.written(stored(Grain.MINUTE, *window), fresh)
        self.changed_shifts: list[ShiftChange[SliceT]] = []
        """The shifts that change. After ``changes``."""

    def changes(self) -> Iterator[tuple[Grain, list[SliceT]]]:
        """What to write, by grain."""
        yield Grain.MINUTE, self._minutes
        changed = [each.time for each in self._minutes]
        if self._whole:
            changed += [self._start, self._end - 1]
        if not changed:
            return
        first = floor_to(min(changed), HOUR)
        last = floor_to(max(changed), HOUR) + HOUR
        hours = self._rule.hours(self._between(first, last))
        yield Grain.HOUR, self._rule.written(self._stored(Grain.HOUR, first, last), hours)
        yield Grain.SHIFT, list(self._shift_changes(first, last, hours))

    def unchanged_shifts(
        self, losses: Iterable[tuple[Instant, str]], stops: Iterable[Instant]
    ) -> Iterator[ShiftChange[SliceT]]:
        """The other shifts in which ``losses`` (minute, shift) or ``stops`` (start) are. After ``changes``."""
        lost, begun = set(losses), sorted(stops)
        moments = [*begun, *(minute for minute, _ in lost)]
        if not moments:
            return
        known = {(each.shift.start, each.shift.shift) for each in self.changed_shifts}
        for shift in self._shifts(min(moments), max(moments) + 1):
            if (shift.start, shift.shift) not in known and _touches(shift, lost, begun):
                kept = self._of_shift(shift, self._stored(Grain.SHIFT, shift.start, shift.start + 1))
                yield ShiftChange(shift, kept, kept)

    def _between(self, start: Instant, end: Instant) -> list[SliceT]:
        """The minutes of [start, end): fresh inside the window, stored outside."""
        minutes = [each for each in self._fresh if start <= each.time < end]
        for low, high in ((start, min(end, self._start)), (max(start, self._end), end)):
            if low < high:
                minutes += self._stored(Grain.MINUTE, low, high)
        return minutes

    def _shift_changes(self, first: Instant, last: Instant, hours: list[SliceT]) -> Iterator[SliceT]:
        shifts = self._renewed(first, last)
        low = floor_to(min(shift.pieces[0][0] for shift in shifts), HOUR)
        high = ceil_to(max(shift.end for shift in shifts), HOUR)
        around = [*self._stored(Grain.HOUR, low, first), *hours, *self._stored(Grain.HOUR, last, high)]
        stored = self._stored(Grain.SHIFT, min(first - LONGEST_SHIFT, shifts[0].start), last)
        renewed = [(shift, self._rule.shift(shift, self._parts(shift, around))) for shift in shifts]
        for shift, after in [*renewed, *self._orphans(stored, first, last)]:
            before = self._of_shift(shift, stored)
            if self._rule.changes(before, after):
                self.changed_shifts.append(ShiftChange(shift, before, after))
            yield from self._rule.written(before, after)

    def _renewed(self, first: Instant, last: Instant) -> Sequence[ShiftWindow]:
        """The shifts over the changed hours, and those that lost minutes because they end sooner than they did."""
        over = self._shifts(first, last)
        lost = {each.shift for each in self._minutes} - {shift.shift for shift in over}
        if not lost:
            return over
        around = self._shifts(first - LONGEST_SHIFT, last + LONGEST_SHIFT)
        return [shift for shift in around if shift in over or shift.shift in lost]

    def _orphans(
        self, stored: Iterable[SliceT], first: Instant, last: Instant
    ) -> Iterator[tuple[ShiftWindow, list[SliceT]]]:
        """Stored shifts that today's calendar does not have, with what minutes of the old calendar leave of them."""
        known = {(shift.start, shift.shift) for shift in self._shifts(first - LONGEST_SHIFT, last + LONGEST_SHIFT)}
        for time, name in sorted({(each.time, each.shift) for each in stored} - known):
            end = time + LONGEST_SHIFT
            left = [
                minute
                for minute in self._between(time, end)
                if minute.shift == name
                and not any(each.shift == name for each in self._shifts(minute.time, minute.time + MINUTE))
            ]
            shift = ShiftWindow(name, time, ((time, end),))
            yield shift, self._rule.shift(shift, left)

    @staticmethod
    def _of_shift(shift: ShiftWindow, slices: Iterable[SliceT]) -> list[SliceT]:
        return [each for each in slices if (each.time, each.shift) == (shift.start, shift.shift)]

    def _parts(self, shift: ShiftWindow, hours: Iterable[SliceT]) -> list[SliceT]:
        """A shift's whole hours, and the minutes at its edges."""
        mine = [each for each in hours if each.shift == shift.shift]
        parts: list[SliceT] = []
        for start, end in shift.pieces:
            low, high = ceil_to(start, HOUR), floor_to(end, HOUR)
            edges = [(start, end)] if low > high else [(start, low), (high, end)]
            parts += [each for each in mine if low <= each.time < high]
            parts += [each for edge in edges if edge[0] < edge[1] for each in self._between(*edge)]
        return [each for each in parts if each.shift == shift.shift]


def _touches(shift: ShiftWindow, losses: Iterable[tuple[Instant, str]], stops: Iterable[Instant]) -> bool:
    lost = any(
        name == shift.shift and low - MINUTE < minute < high for minute, name in losses for low, high in shift.pieces
    )
    return lost or any(low <= stop < high for stop in stops for low, high in shift.pieces)
