"""A historian that only pretends to write: what a rederivation of *facts* would do, without doing it.

Beside registers -> samples -> messages -> points -> facts -> KPIs -> panels; used for dry runs only.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from msgspec import structs

from historian.admission import fault
from historian.fact_columns import FactColumns
from historian.historian import Historian
from historian.point import Point, Query, WriteReport
from historian.schema import Grain
from historian.series import SeriesKey, key_of
from shopfloor.columns import SampleColumns
from shopfloor.instant import Instant


class Rehearsal:
    """Reads from another store; what is written stays in memory, over it. Samples cannot be written."""

    def __init__(self, historian: Historian) -> None:
        self._historian = historian
        self._written: defaultdict[str, dict[tuple[SeriesKey, Instant], Point]] = defaultdict(dict)

    def write(self, points: Sequence[Point]) -> WriteReport:
        rejected: dict[int, str] = {}
        for index, point in enumerate(points):
            if reason := fault(point):
                rejected[index] = reason
            else:
                self._lay(self._written[str(point.measurement)], point)
        return WriteReport(frozenset(range(len(points))) - rejected.keys(), rejected)

    def read(self, query: Query) -> list[Point]:
        over = self._written.get(str(query.measurement))
        if not over:
            return self._historian.read(query)
        found: dict[tuple[SeriesKey, Instant], Point] = {}
        for point in self._historian.read(replace(query, fields=None, limit=None)):
            self._lay(found, point)
        for point in over.values():
            if _matches(point, query):
                self._lay(found, point)
        points = sorted(found.values(), key=lambda point: point.time, reverse=query.descending)
        if query.fields is not None:
            points = [kept for kept in (_only(point, query.fields) for point in points) if kept.fields]
        return points[: query.limit]

    def count(self, query: Query) -> int:
        return len(self.read(query))

    def samples(self, enterprise: str, unit: str, start: Instant | None, end: Instant | None) -> SampleColumns:
        return self._historian.samples(enterprise, unit, start, end)

    def facts(self, grain: Grain, where: Mapping[str, str], start: Instant | None, end: Instant | None) -> FactColumns:
        return FactColumns.of(self.read(Query(grain, where, start, end)))

    def close(self) -> None:
        self._written.clear()

    @staticmethod
    def _lay(shelf: dict[tuple[SeriesKey, Instant], Point], point: Point) -> None:
        place = key_of(point), point.time
        under: Mapping[str, float | str] = shelf[place].fields if place in shelf else {}
        shelf[place] = Point(point.measurement, point.tags, point.time, {**under, **point.fields})


def _matches(point: Point, query: Query) -> bool:
    inside = (query.start is None or query.start <= point.time) and (query.end is None or point.time < query.end)
    return inside and all(point.tags.get(key) == value for key, value in query.where.items())


def _only(point: Point, fields: Sequence[str]) -> Point:
    return structs.replace(point, fields={name: point.fields[name] for name in fields if name in point.fields})
