"""The promise of every store of *points* (registers -> samples -> messages -> points -> facts -> KPIs -> panels).

The docstrings are the specification; ``tests/contract/historian`` holds every implementation to them.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from historian.fact_columns import FactColumns
from historian.point import Point, Query, WriteReport
from historian.schema import Grain
from shopfloor.columns import SampleColumns
from shopfloor.instant import Instant


class Historian(Protocol):
    """A store of points. Synchronous and safe to call from several threads at once; use ``asyncio.to_thread``.

    Several processes may use one store. Readers see a point as soon as its write has been acknowledged, and are
    never kept waiting by a writer.
    """

    def write(self, points: Sequence[Point]) -> WriteReport:
        """Store points; returns only after what it reports as accepted is durable.

        - A point that breaks the rules of ``admission`` is rejected with its reason; the others are not affected.
        - Writing a point again changes nothing. Points of equal identity merge their fields; for a field that both
          have, the later write wins, and within one call the later index.
        - ``dirty`` points are durable no later than any other point of the same call. So samples travel with the
          dirty interval that they cause, while an interval is marked done by a call of its own, made after the
          facts were accepted.
        - A ``dirty`` or ``statements`` point with an ``id_text`` is rejected when another's is stored at its identity
          (``schema.IDENTITY``): what one process said, another can never overwrite. A store that cannot compare and
          set keeps both when two write at one moment, and rejects the later of all others.
        - When the store can take only a part now, the rest is neither accepted nor rejected (``WriteReport.kept``)
          and must be written again. When it can take nothing now (locked, disk full) it raises Backpressure; then
          all points must be written again. Trying again is always harmless.
        - Raises ServiceUnavailable when the store cannot be used at all and a person must act.
        """
        ...

    def read(self, query: Query) -> list[Point]:
        """The matching points in order of time (falling when ``descending``); ties in any order.

        The range is half-open, [start, end). Numbers come back as the floats that were written, bit by bit. A query
        for a measurement or a tag key outside the schema, or with a negative limit, raises ValueError. Raises
        Backpressure or ServiceUnavailable like ``write``.
        """
        ...

    def samples(self, enterprise: str, unit: str, start: Instant | None, end: Instant | None) -> SampleColumns:
        """A unit's samples of [start, end) as columns; None is open. What ``SampleColumns.of`` makes of ``read``."""
        ...

    def facts(self, grain: Grain, where: Mapping[str, str], start: Instant | None, end: Instant | None) -> FactColumns:
        """The facts of [start, end) that have these tags, as columns. What ``FactColumns.of`` makes of ``read``."""
        ...

    def count(self, query: Query) -> int:
        """How many points ``read`` would give for the same query, without reading them."""
        ...

    def close(self) -> None:
        """Release files and connections; a second call does nothing. Afterwards every call fails."""
        ...
