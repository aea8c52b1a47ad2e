"""A window's new minute *facts*, and the hours and shifts that follow from them and from what is stored around.

Of the facts of registers -> samples -> messages -> points -> facts -> KPIs -> panels: one merge rule for all grains.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from historian.overwrite import changes
from historian.schema import Grain
from ingest.spans import Window
from kpi.facts.rollup import LONGEST_SHIFT, ShiftWindow, hour_facts, shift_facts, shift_windows
from shopfloor.fact import Fact
from shopfloor.instant import HOUR, MINUTE, Instant, ceil_to, floor_to
from shopfloor.plant import WorkUnit

Stored = Callable[[Grain, Instant, Instant], list[Fact]]
"""The unit's stored facts of a grain in [start, end)."""


Shifts = Callable[[Instant, Instant], Sequence[ShiftWindow]]
"""The unit's shifts that touch [start, end)."""


def shifts_of(unit: WorkUnit) -> Shifts:
    """``shift_windows`` of one unit, which remembers what was asked lately."""
    return lru_cache(maxsize=64)(partial(shift_windows, unit))


@dataclass(frozen=True, slots=True)
class ShiftChange:
    """A shift's facts, by product, before and after."""

    shift: ShiftWindow
    before: list[Fact]
    after: list[Fact]


class RollUp:
    """Compares one window of fresh facts with the store, grain by grain."""

    def __init__(self, unit: str, shifts: Shifts, stored: Stored, window: Window, fresh: list[Fact]) -> None:
        self.unit = unit
        """The unit's path."""
        self._shifts = shifts
        self._stored = stored
        self._start, self._end = window
        self._fresh = fresh
        self._minutes = changes(stored(Grain.MINUTE, *window), fresh)
        self.changed_shifts: list[ShiftChange] = []
        """The shifts whose facts change. After ``changes``."""

    def changes(self) -> Iterator[tuple[Grain, list[Fact]]]:
        """What to write, by grain."""
        yield Grain.MINUTE, self._minutes
        if not self._minutes:
            return
        first = floor_to(min(fact.time for fact in self._minutes), HOUR)
        last = floor_to(max(fact.time for fact in self._minutes), HOUR) + HOUR
        hours = hour_facts(self._between(first, last))
        yield Grain.HOUR, changes(self._stored(Grain.HOUR, first, last), hours)
        yield Grain.SHIFT, list(self._shift_changes(first, last, hours))

    def unchanged_shifts(
        self, losses: Iterable[tuple[Instant, str]], stops: Iterable[Instant]
    ) -> Iterator[ShiftChange]:
        """The other shifts in which ``losses`` (minute, shift) or ``stops`` (start) are. After ``changes``."""
        lost, begun = set(losses), sorted(stops)
        moments = [*begun, *(minute for minute, _ in lost)]
        if not moments:
            return
        known = {(each.shift.start, each.shift.shift) for each in self.changed_shifts}
        for shift in self._shifts(min(moments), max(moments) + 1):
            if (shift.start, shift.shift) not in known and _touches(shift, lost, begun):
                facts = self._facts_of(shift, self._stored(Grain.SHIFT, shift.start, shift.start + 1))
                yield ShiftChange(shift, facts, facts)

    def _between(self, start: Instant, end: Instant) -> list[Fact]:
        """The minute facts of [start, end): fresh inside the window, stored outside."""
        facts = [fact for fact in self._fresh if start <= fact.time < end]
        for low, high in ((start, min(end, self._start)), (max(start, self._end), end)):
            if low < high:
                facts += self._stored(Grain.MINUTE, low, high)
        return facts

    def _shift_changes(self, first: Instant, last: Instant, hours: list[Fact]) -> Iterator[Fact]:
        shifts = self._renewed(first, last)
        low = floor_to(min(shift.pieces[0][0] for shift in shifts), HOUR)
        high = ceil_to(max(shift.end for shift in shifts), HOUR)
        around = [*self._stored(Grain.HOUR, low, first), *hours, *self._stored(Grain.HOUR, last, high)]
        stored = self._stored(Grain.SHIFT, min(first - LONGEST_SHIFT, shifts[0].start), last)
        renewed = [(shift, shift_facts(shift, self._parts(shift, around))) for shift in shifts]
        for shift, after in [*renewed, *self._orphans(stored, first, last)]:
            before = self._facts_of(shift, stored)
            if changed := changes(before, after):
                self.changed_shifts.append(ShiftChange(shift, before, after))
                yield from changed

    def _renewed(self, first: Instant, last: Instant) -> Sequence[ShiftWindow]:
        """The shifts over the changed hours, and those that lost minutes because they end sooner than they did."""
        over = self._shifts(first, last)
        lost = {fact.shift for fact in self._minutes} - {shift.shift for shift in over}
        if not lost:
            return over
        around = self._shifts(first - LONGEST_SHIFT, last + LONGEST_SHIFT)
        return [shift for shift in around if shift in over or shift.shift in lost]

    def _orphans(
        self, stored: Iterable[Fact], first: Instant, last: Instant
    ) -> Iterator[tuple[ShiftWindow, list[Fact]]]:
        """Stored shifts that today's calendar does not have, with what minutes of the old calendar leave of them."""
        known = {(shift.start, shift.shift) for shift in self._shifts(first - LONGEST_SHIFT, last + LONGEST_SHIFT)}
        for time, name in sorted({(fact.time, fact.shift) for fact in stored} - known):
            end = time + LONGEST_SHIFT
            left = [
                fact
                for fact in self._between(time, end)
                if fact.shift == name
                and not any(each.shift == name for each in self._shifts(fact.time, fact.time + MINUTE))
            ]
            shift = ShiftWindow(name, time, ((time, end),))
            yield shift, shift_facts(shift, left)

    @staticmethod
    def _facts_of(shift: ShiftWindow, facts: Iterable[Fact]) -> list[Fact]:
        return [fact for fact in facts if (fact.time, fact.shift) == (shift.start, shift.shift)]

    def _parts(self, shift: ShiftWindow, hours: Iterable[Fact]) -> list[Fact]:
        """A shift's whole hours, and the minutes at its edges."""
        mine = [fact for fact in hours if fact.shift == shift.shift]
        parts: list[Fact] = []
        for start, end in shift.pieces:
            low, high = ceil_to(start, HOUR), floor_to(end, HOUR)
            edges = [(start, end)] if low > high else [(start, low), (high, end)]
            parts += [fact for fact in mine if low <= fact.time < high]
            parts += [fact for edge in edges if edge[0] < edge[1] for fact in self._between(*edge)]
        return [fact for fact in parts if fact.shift == shift.shift]


def _touches(shift: ShiftWindow, losses: Iterable[tuple[Instant, str]], stops: Iterable[Instant]) -> bool:
    lost = any(
        name == shift.shift and low - MINUTE < minute < high for minute, name in losses for low, high in shift.pieces
    )
    return lost or any(low <= stop < high for stop in stops for low, high in shift.pieces)
