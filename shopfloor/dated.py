"""Meaning is dated: a value with the instants from which it holds."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from shopfloor.instant import Instant

T = TypeVar("T")
BEGINNING: Instant = -(2**62)
"""Valid from ever: the date of a meaning written without ``valid_from``."""


@dataclass(frozen=True, slots=True)
class Dated(Generic[T]):
    """Values in ascending order of ``valid_from``; the first may start at BEGINNING."""

    entries: tuple[tuple[Instant, T], ...]

    @classmethod
    def always(cls, value: T) -> "Dated[T]":
        """One value for all time."""
        return cls(((BEGINNING, value),))

    def at(self, instant: Instant) -> T | None:
        """The value that holds at ``instant``; None before the first."""
        index = bisect_right(self.entries, instant, key=lambda entry: entry[0])
        return self.entries[index - 1][1] if index else None

    def changes(self, start: Instant, end: Instant) -> Iterable[Instant]:
        """The instants in (start, end) at which the value changes."""
        return (since for since, _ in self.entries if start < since < end)
