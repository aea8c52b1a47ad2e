"""Slow minutes: where a unit ran, but made fewer pieces than it should. Pure; the signed speed bar by the minute."""

from collections.abc import Iterable
from typing import NamedTuple

from shopfloor.additive import merge
from shopfloor.fact import Fact
from shopfloor.instant import HOUR, SECOND, Instant


class SlowMinute(NamedTuple):
    """A minute of which a unit ran at least a part, slower than a threshold."""

    minute: Instant
    running_s: float
    produced: float
    per_hour: float
    """Pieces per hour of running."""


def slow_minutes(facts: Iterable[Fact], threshold_per_h: float) -> list[SlowMinute]:
    """The minutes of one unit's minute facts that made fewer than ``threshold_per_h`` pieces per hour of running.

    A minute is judged as a whole, over its shifts and products; one without running is not judged.
    """
    minutes: dict[Instant, list[Fact]] = {}
    for fact in facts:
        minutes.setdefault(fact.time, []).append(fact)
    judged = (_minute(minute, parts) for minute, parts in sorted(minutes.items()))
    return [found for found in judged if found is not None and found.per_hour < threshold_per_h]


def _minute(minute: Instant, parts: Iterable[Fact]) -> SlowMinute | None:
    whole = merge(part.elements for part in parts)
    running, produced = whole.get("running_s", 0.0), whole.get("produced", 0.0)
    return SlowMinute(minute, running, produced, produced / running * HOUR / SECOND) if running else None
