"""What the store holds of one unit's newest *facts*, kept in memory, so that a live derivation reads nothing back.

Beside the store on registers -> samples -> messages -> points -> facts -> KPIs -> panels. It holds only what the store
gave or has acknowledged; the unit has one writer, and ``forget`` is for when another one was at work.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Final

from historian.historian import Historian
from historian.point import Point
from historian.records import unit_query, unit_tags
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

_Shelf = dict[tuple[SeriesKey, Instant], Point]


class PointTail:
    """Reads one unit's derived points. Not safe for two threads at once."""

    def __init__(self, historian: Historian, enterprise: str, unit: str) -> None:
        self._historian = historian
        self._enterprise = enterprise
        self._unit = unit
        self._tags = unit_tags(enterprise, unit)
        self.forget()

    def forget(self) -> None:
        """Hold nothing."""
        self._since: dict[str, Instant] = {}
        self._shelves: dict[str, _Shelf] = {}

    def read(self, measurement: str, start: Instant, end: Instant, *, newest: Instant) -> list[Point]:
        """The unit's points of [start, end) in order of time; ``newest`` is about where its time ends."""
        measurement = str(measurement)
        if start < newest - HELD[Measurement(measurement)]:
            return self._historian.read(unit_query(measurement, self._enterprise, self._unit, start, end))
        if start < self._since.get(measurement, start + 1):
            points = self._historian.read(unit_query(measurement, self._enterprise, self._unit, start))
            self._shelves[measurement] = {(key_of(point), point.time): point for point in points}
            self._since[measurement] = start
        self._trim(measurement, newest)
        held = [point for point in self._shelves[measurement].values() if start <= point.time < end]
        return sorted(held, key=attrgetter("time"))

    def written(self, points: Iterable[Point]) -> None:
        """Points of this unit that the store has acknowledged: their fields merge as in the store."""
        for point in points:
            shelf = self._shelves.get(str(point.measurement))
            if shelf is None or point.time < self._since[str(point.measurement)]:
                continue
            place = key_of(point), point.time
            held = shelf.get(place)
            fields = point.fields if held is None else {**held.fields, **point.fields}
            shelf[place] = Point(point.measurement, point.tags, point.time, fields)

    def _trim(self, measurement: str, newest: Instant) -> None:
        kept = HELD[Measurement(measurement)]
        if self._since[measurement] < newest - kept - kept // 8:
            self._since[measurement] = since = newest - kept
            shelf = self._shelves[measurement]
            self._shelves[measurement] = {place: point for place, point in shelf.items() if point.time >= since}
