"""Minute facts to hour and shift facts: the same record under the same merge rule, at a coarser grain. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kpi.plan import calendar_spans
from shopfloor.additive import Elements, merge
from shopfloor.fact import Fact
from shopfloor.instant import HOUR, Instant, floor_to
from shopfloor.plant import WorkUnit

LONGEST_SHIFT = 25 * HOUR
"""No shift, and no off-shift day, is longer (a day with a clock change has 25 hours)."""


@dataclass(frozen=True, slots=True)
class ShiftWindow:
    """One shift (or the off-shift time of one local day) of a unit."""

    shift: str
    start: Instant
    """Start of the shift: the time stamp of its fact."""
    pieces: tuple[tuple[Instant, Instant], ...]
    """What it covers; off-shift time may lie on both sides of a day's shifts."""

    @property
    def end(self) -> Instant:
        """End of its last piece."""
        return self.pieces[-1][1]


def hour_facts(minutes: Iterable[Fact]) -> list[Fact]:
    """Merge minute facts into UTC hours, by shift and product."""
    return merged(minutes, lambda fact: floor_to(fact.time, HOUR))


def shift_facts(window: ShiftWindow, parts: Iterable[Fact]) -> list[Fact]:
    """Merge the facts of a shift's parts (whole hours or minutes) into its facts, one by product."""
    return merged(parts, lambda fact: window.start)


def merged(facts: Iterable[Fact], stamp: Callable[[Fact], Instant]) -> list[Fact]:
    """Merge facts of one stamp, shift and product, in order of time: the same facts give the same sums to the bit."""
    groups: dict[tuple[str, Instant, str, str], list[Elements]] = defaultdict(list)
    for fact in sorted(facts, key=lambda fact: fact.key):
        groups[fact.unit, stamp(fact), fact.shift, fact.product].append(fact.elements)
    return [Fact(*key, merge(records)) for key, records in sorted(groups.items())]


def shift_windows(unit: WorkUnit, start: Instant, end: Instant) -> list[ShiftWindow]:
    """Every shift that touches [start, end), each in its full extent, in order of start."""
    found: dict[tuple[Instant, str], list[tuple[Instant, Instant]]] = defaultdict(list)
    for span in calendar_spans(unit, start - LONGEST_SHIFT, end + LONGEST_SHIFT):
        pieces = found[span.shift_start, span.shift]
        if pieces and pieces[-1][1] == span.start:
            pieces[-1] = (pieces[-1][0], span.end)
        else:
            pieces.append((span.start, span.end))
    return [
        ShiftWindow(shift, since, tuple(pieces))
        for (since, shift), pieces in sorted(found.items())
        if any(low < end and high > start for low, high in pieces)
    ]
