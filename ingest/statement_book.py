"""A unit's statements as its derivation sees them: read once, and again when somebody stated something.

Beside *points -> facts* of registers -> samples -> messages -> points -> facts -> KPIs -> panels. A statement counts
from the moment in which its own dirty interval is taken up, so that each change of a fact has its own cause.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import attrgetter

from historian.admission import LAST_INSTANT
from historian.historian import Historian
from historian.point import Query
from historian.records import Dirty, point_dirty, unit_tags
from historian.schema import ORIGIN, Measurement, Origin
from historian.statements import all_statements
from shopfloor.instant import Instant
from shopfloor.statement import Statement, in_force


class StatementBook:
    """The statements of one unit. Not safe for two threads at once."""

    def __init__(self, historian: Historian, enterprise: str, unit: str) -> None:
        self._historian = historian
        self._enterprise = enterprise
        self._unit = unit
        self._all: list[Statement] | None = None
        self._waiting: set[str] = set()
        self._force: list[Statement] = []
        self._ends: list[Instant] = []

    def load(self) -> None:
        """Read what was stated, and whose interval is still to be taken up. In this order: a put may come between."""
        self._all = all_statements(self._historian, self._enterprise, self._unit)
        where = {**unit_tags(self._enterprise, self._unit), ORIGIN: Origin.STATEMENT.value}
        dirties = map(point_dirty, self._historian.read(Query(Measurement.DIRTY, where)))
        self._waiting = {dirty.id for dirty in dirties if not dirty.done}
        self._judge()

    def take_up(self, dirties: Iterable[Dirty]) -> None:
        """From now on these intervals' statements count."""
        self._waiting -= {dirty.id for dirty in dirties}
        self._judge()

    def in_force(self) -> Sequence[Statement]:
        """What counts and nobody superseded or withdrew."""
        if self._all is None:
            self.load()
        return self._force

    def overlapping(self, start: Instant, end: Instant) -> list[Statement]:
        """Of these, what says something of [start, end)."""
        force = self.in_force()
        low = bisect_right(self._ends, start)
        high = bisect_left(force, end, key=attrgetter("start"))
        return [each for each in force[low:high] if each.overlaps(start, end)]

    def _judge(self) -> None:
        self._force = in_force(each for each in self._all or () if each.id not in self._waiting)
        self._ends = list(accumulate((LAST_INSTANT if each.end is None else each.end for each in self._force), max))
