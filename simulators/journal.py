"""The reading journal: what every simulated device has answered, written before the answer leaves.

Stands at *registers*: with it, what was lost, invented or changed on the way can be told afterwards.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from shopfloor.instant import Instant
from shopfloor.sample import Value


class Entry(msgspec.Struct, frozen=True):
    """One cycle of one unit."""

    unit: str
    n: int
    """Number of the reading, from 1 on per unit, over restarts."""
    t: Instant
    values: dict[str, Value | None]
    """What the registers decode to; None where they say "not available"."""


@dataclass(slots=True)
class Span:
    """What the journal knows of one unit."""

    count: int = 0
    """Entries, which is also the last number."""
    first: Instant = 0
    last: Instant = 0


class Journal:
    """Append-only file, one JSON line per entry, one unbuffered write each: a killed process loses at most one line.

    A torn last line was never answered; it is cut off on opening. One process writes at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._encode = msgspec.json.Encoder().encode
        self._spans: dict[str, Span] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        _cut_torn_line(self._file)
        for entry in self.entries():
            self._note(entry.unit, entry.t)

    def append(self, unit: str, t: Instant, values: Mapping[str, Value | None]) -> int:
        """Write the unit's next reading and return its number. Raises OSError when it could not be written whole."""
        n = self.next_number(unit)
        line = self._encode({"unit": unit, "n": n, "t": t, "values": values}) + b"\n"
        written = os.write(self._file, line)
        if written != len(line):
            _cut_torn_line(self._file)
            raise OSError(f"{self.path}: only {written} of {len(line)} bytes were written")
        self._note(unit, t)
        return n

    def next_number(self, unit: str) -> int:
        """The number that the unit's next reading will have."""
        span = self._spans.get(unit)
        return span.count + 1 if span else 1

    def count(self, unit: str | None = None) -> int:
        """Entries of one unit, or of all."""
        if unit is None:
            return sum(span.count for span in self._spans.values())
        return self.span(unit).count

    def span(self, unit: str) -> Span:
        """Count, first and last instant of a unit; all 0 for one that was never read."""
        return self._spans.get(unit, Span())

    def entries(self, unit: str | None = None) -> Iterator[Entry]:
        """The entries of one unit, or of all, in the order of writing."""
        decode = msgspec.json.Decoder(Entry).decode
        with self.path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    entry = decode(line)
                    if unit is None or entry.unit == unit:
                        yield entry

    def close(self) -> None:
        """Close the file; the journal can still be read."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _note(self, unit: str, t: Instant) -> None:
        span = self._spans.get(unit)
        if span is None:
            span = self._spans[unit] = Span(first=t)
        span.count += 1
        span.last = t


def _cut_torn_line(file: int) -> None:
    """Cut off what follows the last line feed."""
    size = end = os.fstat(file).st_size
    while end:
        begin = max(0, end - 4096)
        feed = os.pread(file, end - begin, begin).rfind(b"\n")
        end = begin + feed + 1 if feed >= 0 else begin
        if feed >= 0:
            break
    if end != size:
        os.ftruncate(file, end)
