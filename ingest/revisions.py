"""The history of changed *facts*: who changed a shift's sums, why, and from what to what.

On registers -> samples -> messages -> points -> facts -> KPIs -> panels this is written beside the facts, never read
for them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from historian.historian import Historian
from historian.point import Point, Query
from historian.records import Revision, point_revision, revision_point, sparse, unit_tags
from historian.schema import SHIFT, Measurement
from ingest.roll_up import RollUp, ShiftChange
from kpi.evaluation.evaluate import is_final
from shopfloor.additive import merge
from shopfloor.fact import Fact
from shopfloor.instant import MINUTE, Instant

LATE_DATA: Final = "late data"
REDERIVE: Final = "rederive"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why facts are derived again."""

    cause: str = LATE_DATA
    who: str = ""

    @property
    def is_late_data(self) -> bool:
        """New samples change a shift without anybody's doing: a revision only when it was final."""
        return self.cause == LATE_DATA

    @property
    def is_rederivation(self) -> bool:
        """Somebody asked for the past to be derived again."""
        return self.cause == REDERIVE


class Revisions:
    """The revisions of one change of one unit, which may come in several chunks.

    New samples revise the shifts that were final at the watermark ``final_before``; any other cause revises every
    shift in which it changes a fact, a loss or a stop.
    """

    def __init__(
        self,
        historian: Historian,
        enterprise: str,
        cause: Cause,
        *,
        final_before: Instant | None,
        reach: int,
        now: Instant,
    ) -> None:
        self._historian = historian
        self._enterprise = enterprise
        self._cause = cause
        self._final_before = final_before
        self._reach = reach
        self._now = now
        self.of_late_data = cause.is_late_data
        """Whether samples are the cause, and no person."""
        self.of_rederivation = cause.is_rederivation
        """Whether facts are to be written again even where they do not differ."""
        self.made: dict[tuple[Instant, str], Revision] = {}
        """The revisions so far, by shift."""

    def points(
        self, roll: RollUp[Fact], losses: Iterable[tuple[Instant, str]], stops: Iterable[Instant]
    ) -> list[Point]:
        """The records for a chunk, in which ``losses`` (minute, shift), ``stops`` (start) and facts change."""
        made = [self._revision(roll.unit, each) for each in self._revised(roll, losses, stops)]
        self.made |= {(each.shift_start, each.shift): each for each in made}
        return [revision_point(self._enterprise, each) for each in made]

    def _revised(
        self, roll: RollUp[Fact], losses: Iterable[tuple[Instant, str]], stops: Iterable[Instant]
    ) -> Iterator[ShiftChange[Fact]]:
        if not self._cause.is_late_data:
            yield from roll.changed_shifts
            yield from roll.unchanged_shifts(losses, stops)
            return
        for change in roll.changed_shifts:
            if is_final(change.shift.end, self._final_before, self._reach):
                yield change

    def _revision(self, unit: str, change: ShiftChange[Fact]) -> Revision:
        shift = change.shift
        revision = Revision(
            unit=unit,
            shift=shift.shift,
            shift_start=shift.start,
            n=1,
            cause=self._cause.cause,
            who=self._cause.who,
            before=sparse(merge(fact.elements for fact in change.before)),
            after=sparse(merge(fact.elements for fact in change.after)),
            at=self._now,
        )
        last = self.made.get((shift.start, shift.shift)) or self._last(revision)
        if last is None:
            return revision
        if self._continues(last, revision):
            return replace(revision, n=last.n, before=last.before)
        return replace(revision, n=last.n + 1)

    def _continues(self, last: Revision, revision: Revision) -> bool:
        """Whether ``last`` is of this very change: an earlier chunk, or a process that was killed in the middle."""
        if (last.shift_start, last.shift) in self.made:
            return True
        if (last.cause, last.who) != (revision.cause, revision.who):
            return False
        return last.cause not in (LATE_DATA, REDERIVE) or last.after == revision.after

    def _last(self, revision: Revision) -> Revision | None:
        """The shift's latest revision."""
        where = {**unit_tags(self._enterprise, revision.unit), SHIFT: revision.shift}
        start = revision.shift_start
        found = self._historian.read(
            Query(Measurement.REVISIONS, where, start, start + MINUTE, descending=True, limit=1)
        )
        return point_revision(found[0]) if found else None
