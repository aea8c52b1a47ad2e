"""Minute facts and losses to those of hours and shifts: the same record under the same rule, coarser. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter

from kpi.plan import calendar_spans
from shopfloor.additive import Elements, merge
from shopfloor.fact import Fact, Loss
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


def hour_losses(minutes: Iterable[Loss]) -> list[Loss]:
    """Add up minute losses in UTC hours, by shift, product, category and reason."""
    return added(minutes, lambda loss: floor_to(loss.time, HOUR))


def shift_losses(window: ShiftWindow, parts: Iterable[Loss]) -> list[Loss]:
    """Add up the losses of a shift's parts (whole hours or minutes), by product, category and reason."""
    return added(parts, lambda loss: window.start)


def added(losses: Iterable[Loss], stamp: Callable[[Loss], Instant]) -> list[Loss]:
    """Add up losses of one stamp and identity, in order of time: the same losses give the same sums to the bit."""
    sums: dict[tuple[str, Instant, str, str, str, str], tuple[float, float]] = {}
    for loss in sorted(losses, key=attrgetter("time")):
        key = loss.unit, stamp(loss), loss.shift, loss.product, loss.category, loss.reason
        seconds, count = sums.get(key, (0.0, 0.0))
        sums[key] = seconds + loss.seconds, count + loss.count
    return [Loss(*key, *sum_) for key, sum_ in sorted(sums.items())]


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
