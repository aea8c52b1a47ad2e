"""What the store holds of one unit's newest *facts*, kept in memory, so that a live derivation reads nothing back.

Beside the store on registers -> samples -> messages -> points -> facts -> KPIs -> panels. It holds only what the store
gave or has acknowledged; the unit has one writer, and ``forget`` is for when another one was at work.
"""

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from historian.historian import Historian
from historian.point import Number, Point
from historian.records import unit_query
from historian.schema import Measurement
from historian.series import SeriesKey, key_of
from shopfloor.instant import HOUR, Instant

HELD: Final = {
    Measurement.FACTS: 2 * HOUR,
    Measurement.LOSSES: 2 * HOUR,
    Measurement.STOPS: 12 * HOUR,
    Measurement.FACTS_HOUR: 48 * HOUR,
    Measurement.FACTS_SHIFT: 48 * HOUR,
    Measurement.LOSSES_HOUR: 48 * HOUR,
    Measurement.LOSSES_SHIFT: 48 * HOUR,
}
"""How much of the newest time stays in memory once it was asked for, and an eighth more at most."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[float | str]).decode


class PointTail:
    """Reads one unit's derived points. Not safe for two threads at once."""

    def __init__(self, historian: Historian, enterprise: str, unit: str) -> None:
        self._historian = historian
        self._enterprise = enterprise
        self._unit = unit
        self.forget()

    def forget(self) -> None:
        """Hold nothing."""
        self._shelves: dict[str, _Shelf] = {}

    def read(self, measurement: str, start: Instant, end: Instant, *, newest: Instant) -> list[Point]:
        """The unit's points of [start, end) in order of time; ``newest`` is about where its time ends."""
        measurement = str(measurement)
        kept = HELD[Measurement(measurement)]
        if start < newest - kept:
            return self._historian.read(unit_query(measurement, self._enterprise, self._unit, start, end))
        shelf = self._shelves.get(measurement)
        if shelf is None or start < shelf.since:
            points = self._historian.read(unit_query(measurement, self._enterprise, self._unit, start))
            shelf = self._shelves[measurement] = _Shelf(measurement, start)
            for point in points:
                shelf.put(point)
        if shelf.since < newest - kept - kept // 8:
            shelf.trim(newest - kept)
        return sorted(shelf.between(start, end), key=attrgetter("time"))

    def written(self, points: Iterable[Point]) -> None:
        """Points of this unit that the store has acknowledged: their fields merge as in the store."""
        for point in points:
            shelf = self._shelves.get(str(point.measurement))
            if shelf is not None and point.time >= shelf.since:
                shelf.put(point)


class _Shelf:
    """Points of one measurement in little memory: hours of them live on, so each is three objects, not one a field."""

    def __init__(self, measurement: str, since: Instant) -> None:
        self.since = since
        self._measurement = measurement
        self._series: dict[SeriesKey, _Series] = {}
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}

    def put(self, point: Point) -> None:
        """Merge a point's fields into what is there."""
        key = key_of(point)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series(point.tags, {})
        held, fields = series.held.get(point.time), point.fields
        if held is not None:
            fields = {**_fields(held), **fields}
        names = tuple(fields)
        series.held[point.time] = self._names.setdefault(names, names), _encode(list(fields.values()))

    def between(self, start: Instant, end: Instant) -> Iterator[Point]:
        """The points of [start, end)."""
        for series in self._series.values():
            for time, packed in series.held.items():
                if start <= time < end:
                    yield Point(self._measurement, series.tags, time, _fields(packed))

    def trim(self, since: Instant) -> None:
        """Let go what is earlier."""
        self.since = since
        self._series = {
            key: _Series(series.tags, left)
            for key, series in self._series.items()
            if (left := {time: packed for time, packed in series.held.items() if time >= since})
        }


class _Series(NamedTuple):
    tags: Mapping[str, str]
    held: dict[Instant, "_Packed"]


_Packed = tuple[tuple[str, ...], bytes]
"""Names of fields, and their values as one MessagePack list."""


def _fields(packed: _Packed) -> dict[str, Number | str]:
    names, values = packed
    return dict(zip(names, _decode(values), strict=True))
