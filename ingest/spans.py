"""Stretches of time that are owed a derivation, put together. Pure."""

from collections.abc import Iterable

from shopfloor.instant import Instant

Window = tuple[Instant, Instant]
"""[start, end)."""


def joined(windows: Iterable[Window], gap: int = 0) -> list[Window]:
    """Windows that overlap, or are at most ``gap`` ms apart, as one; in order of time."""
    found: list[Window] = []
    for start, end in sorted(windows):
        if found and start <= found[-1][1] + gap:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def hull(*windows: Window) -> Window:
    """The shortest stretch that holds all."""
    return min(start for start, _ in windows), max(end for _, end in windows)
