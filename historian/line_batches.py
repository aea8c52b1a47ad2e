"""One write as lines: which *points* make which line, in which order the lines must become durable. Pure.

Between messages and the InfluxDB on registers -> samples -> messages -> points -> facts -> KPIs -> panels.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from historian.admission import fault, fields_fault
from historian.fact_sums import with_sums
from historian.influx_names import KEPT, RAW, policy_of
from historian.line_protocol import bodies, head
from historian.ownership import owner_of, time_ns
from historian.point import Number, Point
from historian.schema import OWNED, Measurement

MAX_LINES: Final = 5_000
"""Lines in one request: more do not go faster."""
MAX_BYTES: Final = 4 * 1024 * 1024
"""Bytes in one request; 3.x takes 10 MB, 1.x 25 MB."""


class Line(NamedTuple):
    """A line and the indices of the points that are in it."""

    text: bytes
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sound:
    """The points of a write that may be stored."""

    heads: dict[int, bytes]
    """Index -> what the lines of its series begin with, in the order of the call."""
    rejected: dict[int, str]
    """Index -> why it is none of them."""
    claims: list[int]
    """Indices of those that have an owner."""


@dataclass(slots=True)
class _Lines:
    """Lines of one request or several, one per identity."""

    places: dict[tuple[bytes, int], list[int]] = field(default_factory=dict)
    """Identity -> the points that make its line."""

    def add(self, begin: bytes, time: int, index: int) -> None:
        """A point makes the line of its identity, or is merged into it."""
        indices = self.places.get((begin, time))
        if indices is None:
            self.places[begin, time] = [index]
        else:
            indices.append(index)

    def written(self, points: Sequence[Point]) -> list[Line]:
        """The lines, in the order of each one's first point."""
        texts = bodies([(_fields(points, indices), time) for (_, time), indices in self.places.items()])
        return [
            Line(begin + text, tuple(indices))
            for text, ((begin, _), indices) in zip(texts, self.places.items(), strict=True)
        ]


def _fields(points: Sequence[Point], indices: Sequence[int]) -> Mapping[str, Number | str]:
    point = points[indices[0]]
    if len(indices) == 1:
        return with_sums(point.measurement, point.fields)
    merged: dict[str, Number | str] = {}
    for index in indices:
        merged.update(points[index].fields)
    return with_sums(point.measurement, merged)


def sound(points: Sequence[Point]) -> Sound:
    """Sort out what breaks the rules of ``admission``."""
    found = Sound({}, {}, [])
    known: dict[tuple[str, int], bytes] = {}
    for index, point in enumerate(points):
        place = point.measurement, id(point.tags)  # many points share one mapping, which lives as long as they do
        begin = known.get(place)
        if reason := fault(point) if begin is None else fields_fault(point):
            found.rejected[index] = reason
            continue
        if begin is None:
            begin = known[place] = head(point.measurement, tuple(point.tags.items()))
        found.heads[index] = begin
        if point.measurement in OWNED and owner_of(point):
            found.claims.append(index)
    return found


def batches(
    points: Sequence[Point], heads: Mapping[int, bytes], without: Collection[int]
) -> Iterator[tuple[str, list[Line]]]:
    """Policy and lines of each request, in the order in which they must become durable.

    Dirty intervals come first: a server writes the shards of one request in any order. A statement of the very
    millisecond of a dirty interval rests in the same shard, and goes with it: the server logs both in one entry.
    """
    dirty, beside, later = _Lines(), _Lines(), {KEPT: _Lines(), RAW: _Lines()}
    moments = {
        points[index].time for index in heads if points[index].measurement == Measurement.DIRTY and index not in without
    }
    for index, begin in heads.items():
        if index in without:
            continue
        point = points[index]
        measurement = point.measurement
        if measurement == Measurement.DIRTY:
            group = dirty
        elif measurement == Measurement.STATEMENTS and point.time in moments:
            group = beside
        else:
            group = later[policy_of(measurement)]
        group.add(begin, time_ns(point), index)
    for lines in _cut(dirty.written(points) + beside.written(points)):
        yield KEPT, lines
    for policy, group in later.items():
        for lines in _cut(group.written(points)):
            yield policy, lines


def _cut(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Lines in pieces that one request may carry."""
    piece: list[Line] = []
    size = 0
    for line in lines:
        size += len(line.text) + 1
        if piece and (len(piece) == MAX_LINES or size > MAX_BYTES):
            yield piece
            piece, size = [], len(line.text) + 1
        piece.append(line)
    if piece:
        yield piece
