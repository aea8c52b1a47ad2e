"""The store of *points* on an InfluxDB, 1.x, 2.x or 3.x: lines go in by ``/write``, InfluxQL asks ``/query``.

Between messages and KPIs on registers -> samples -> messages -> points -> facts -> KPIs -> panels. ``line_batches``
decides what is sent, ``influx_answers`` what an answer means, ``influxql`` what is asked; here they meet the server.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter
from typing import Final

import msgspec

from historian import influxql
from historian.columnar import of_cells
from historian.fact_columns import FactColumns
from historian.influx_access import InfluxAccess
from historian.influx_answers import LinesRefused, ServerFault, TooLarge
from historian.influx_http import InfluxServer
from historian.influx_names import KEPT, RAW, policy_of
from historian.influxql import Columns, Series
from historian.line_batches import Line, batches, sound
from historian.ownership import Place, place_of, taken
from historian.point import Point, Query, WriteReport
from historian.records import unit_query
from historian.schema import IDENTITY, Grain, Measurement, check_query
from shopfloor.columns import SampleColumns
from shopfloor.errors import Backpressure, ServiceUnavailable
from shopfloor.instant import Instant

MAX_SEARCHES: Final = 2_000
"""Requests that one write may spend on telling refused lines from good ones; what is left is kept."""
FEW: Final = 1_000
"""Rows that are asked for with all the fields that there are."""
_QUESTIONS: Final = 100
"""Statements in one query."""


class InfluxHistorian:
    """A ``Historian`` in a database that ``shopfloor historian init`` has set up.

    While it runs, whatever a server does is Backpressure: a rotated token or a dropped database must not end an
    ingest that holds data. ``check`` tells at the start what a person must do.
    """

    def __init__(self, access: InfluxAccess, *, patience_s: float | None = None) -> None:
        """Nothing is asked yet. ``patience_s`` replaces how long an answer is waited for."""
        self._access = access
        self._server = InfluxServer(access, patience_s=patience_s)

    def check(self) -> None:
        """Read nothing from each place; raises ServiceUnavailable where a person must act, Backpressure when away."""
        try:
            for policy, measurement in ((KEPT, Measurement.DIRTY), (RAW, Measurement.SAMPLES)):
                for _ in self._server.query(policy, influxql.select_nothing(measurement)):
                    pass
        except ServerFault as error:
            if error.final:
                raise ServiceUnavailable(str(error)) from error
            raise

    def write(self, points: Sequence[Point]) -> WriteReport:
        """Dirty intervals first, then the rest, request by request; what follows a failed request is kept."""
        found = sound(points)
        verdict = _Verdict(found.rejected)
        try:
            verdict.rejected |= taken(points, found.claims, self._held(points, found.claims))
            for policy, lines in batches(points, found.heads, verdict.rejected.keys()):
                self._store(policy, lines, verdict)
        except Backpressure:
            if not verdict.accepted:
                raise
        return WriteReport(frozenset(verdict.accepted), verdict.rejected)

    def read(self, query: Query) -> list[Point]:
        with self._understood(query.measurement):
            points = list(influxql.points_of(query.measurement, self._selected(query)))
        points.sort(key=attrgetter("time"), reverse=query.descending)
        return points[: query.limit]

    def samples(self, enterprise: str, unit: str, start: Instant | None, end: Instant | None) -> SampleColumns:
        query = unit_query(Measurement.SAMPLES, enterprise, unit, start, end)
        with self._understood(query.measurement):
            columns = Columns(query.measurement, self._of_many_fields(query))
        return of_cells(unit, columns.times, columns.numbers(), columns.texts())

    def facts(self, grain: Grain, where: Mapping[str, str], start: Instant | None, end: Instant | None) -> FactColumns:
        with self._understood(grain):
            return influxql.fact_columns(grain, self._selected(Query(grain, where, start, end)))

    def count(self, query: Query) -> int:
        check_query(query)
        if influxql.is_vain(query):
            return 0
        if query.fields is not None:
            counted = influxql.row_count(self._selected(query))
        else:
            counted = influxql.first_number(self._asked(query.measurement, influxql.select_count(query)))
        return counted if query.limit is None else min(counted, query.limit)

    def close(self) -> None:
        self._server.close()

    # ------------------------------------------------------------ reading

    def _selected(self, query: Query) -> Iterator[Series]:
        check_query(query)
        if influxql.is_vain(query):
            return iter(())
        return self._asked(query.measurement, influxql.select_points(query))

    def _of_many_fields(self, query: Query) -> Iterable[Series]:
        """The same for a unit's samples: ``*`` is every field of every unit, and a column of each goes over the wire.

        So more than a few rows are asked for by the fields that they have; once more when another came meanwhile.
        """
        few = list(self._selected(replace(query, limit=FEW)))
        if influxql.row_count(few) < FEW:
            return few
        while True:
            names = self._present(query)
            found = list(self._selected(replace(query, fields=tuple(names))))
            if self._present(query) <= names:
                return found

    def _present(self, query: Query) -> set[str]:
        return influxql.present_fields(self._asked(query.measurement, influxql.select_first(query)))

    def _asked(self, measurement: str, text: str) -> Iterator[Series]:
        return (series for _, series in self._server.query(policy_of(measurement), text))

    @contextmanager
    def _understood(self, measurement: str) -> Iterator[None]:
        try:
            yield
        except msgspec.ValidationError as error:
            raise ServiceUnavailable(
                f"the historian {self._access} holds what this system did not write into {measurement} ({error}); "
                "give it a database of its own"
            ) from error

    def _held(self, points: Sequence[Point], claims: Iterable[int]) -> dict[Place, list[str]]:
        """The owners that the places of some points have."""
        places = list(dict.fromkeys(place_of(points[index]) for index in claims))
        held: defaultdict[Place, list[str]] = defaultdict(list)
        for first in range(0, len(places), _QUESTIONS):
            some = places[first : first + _QUESTIONS]
            for number, series in self._server.query(KEPT, "; ".join(map(influxql.select_owners, some))):
                held[some[number]] += influxql.text_cells(series, IDENTITY)
        return held

    # ------------------------------------------------------------ writing

    def _store(self, policy: str, lines: Sequence[Line], verdict: "_Verdict") -> None:
        """Send lines until each has a verdict; raises Backpressure where the server takes no more.

        A refusal does not say which lines it is about, nor that the others are stored: so both halves are sent again,
        which is harmless, until only good ones are together.
        """
        doubtful: list[tuple[Line, str]] = []
        stored = False
        left = [lines]
        for _ in range(MAX_SEARCHES):
            if not left:
                break
            some = left.pop()
            try:
                self._server.write(policy, b"\n".join([line.text for line in some]))
            except (TooLarge, LinesRefused) as refusal:
                if len(some) > 1 and not (isinstance(refusal, LinesRefused) and refusal.dropped == len(some)):
                    middle = len(some) // 2
                    left += some[middle:], some[:middle]
                elif isinstance(refusal, LinesRefused) and not refusal.sure:
                    doubtful += ((line, str(refusal)) for line in some)
                else:
                    verdict.reject(some, str(refusal))
            else:
                stored = True
                verdict.accept(some)
        if doubtful and not stored:  # it may be about anything: the server, a proxy, the request
            raise Backpressure(f"the historian {self._access} refuses a write: {doubtful[0][1]}")
        for line, words in doubtful:
            verdict.reject([line], words)
        if left:
            raise Backpressure(f"the historian {self._access} refuses many lines of a write; the rest comes later")


class _Verdict:
    """What is known of the points of one write."""

    def __init__(self, rejected: dict[int, str]) -> None:
        self.accepted: set[int] = set()
        self.rejected = rejected

    def accept(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self.accepted.update(line.indices)

    def reject(self, lines: Iterable[Line], words: str) -> None:
        for line in lines:
            self.rejected.update(dict.fromkeys(line.indices, words))
