"""Facts -> KPIs: what can still change, what was changed, and who vouched for it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from historian.historian import Historian
from historian.point import Query
from historian.records import Revision, point_dirty, point_revision, unit_of
from historian.schema import AGENT, LEDGER_OLDEST, OUTBOX, Measurement, Origin
from historian.statements import statements_of
from kpi.evaluation.evaluate import is_final
from kpi.facts.rollup import LONGEST_SHIFT, shift_windows
from kpi.plan import UnitPlan
from kpi_api.answers import SignOff
from kpi_api.grains import common_tags
from kpi_api.memo import Memo
from kpi_api.windows import Window
from shopfloor.clock import Clock
from shopfloor.instant import Instant
from shopfloor.plant import Plant, WorkUnit
from shopfloor.statement import Statement, StatementKind, in_force

RECENT: Final = 1_000
"""So many of an agent's last reports are looked through for its outboxes, and of dirty intervals at a time."""


@dataclass(frozen=True, slots=True)
class ShiftChanges:
    """The changes of one shift after it was final."""

    window: Window
    """From its first moment to its last; time without a shift comes in pieces of one local day."""
    pieces: tuple[tuple[Instant, Instant], ...]
    revisions: tuple[Revision, ...]
    """In order of ``n``."""

    def touches(self, window: Window) -> bool:
        """Whether any of its time lies in the window."""
        return any(window.overlaps(start, end) for start, end in self.pieces)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the facts of one unit can be trusted to stay."""

    watermark: Instant | None
    """Oldest source time that the unit's agent may still hold; None when it never said."""
    reach: int
    dirty: Sequence[Window] = ()
    """Intervals that wait to be derived."""
    changed: Sequence[ShiftChanges] = ()
    sign_offs: Sequence[Statement] = field(default_factory=tuple)

    def final(self, window: Window) -> bool:
        """Whether nothing can change the window any more without a revision."""
        dirty = any(window.overlaps(stain.start, stain.end) for stain in self.dirty)
        return is_final(window.end, self.watermark, self.reach, dirty=dirty)

    def why_provisional(self, window: Window) -> list[str]:
        """What a final window still waits for, in words; nothing for a final one."""
        told = []
        if self.watermark is None:
            told.append("the unit's agent has not reported yet")
        elif self.watermark < window.end + self.reach:
            told.append("the agent may still hold samples of the window, or of what decides its last stop")
        if any(window.overlaps(stain.start, stain.end) for stain in self.dirty):
            told.append("an interval of the window waits to be derived")
        return told

    def revision(self, window: Window) -> int:
        """How often the window's shifts were changed."""
        return sum(change.revisions[-1].n for change in self._of(window))

    def signed(self, window: Window) -> SignOff | None:
        """Who signed the shift in which the window lies."""
        for said in self.sign_offs:
            if said.start <= window.start and said.end is not None and window.end <= said.end:
                return SignOff(said.author, said.made_at, said.note)
        return None

    def changed_after_sign_off(self, window: Window) -> bool:
        """Whether a signed shift that the window touches was changed later."""
        return any(
            change.revisions[-1].at >= said.made_at
            for change in self._of(window)
            for said in self.sign_offs
            if change.touches(Window(said.start, said.end or change.window.end))
        )

    @property
    def calm(self) -> bool:
        """Whether only time can make a window final or not."""
        return not (self.dirty or self.changed or self.sign_offs)

    def _of(self, window: Window) -> list[ShiftChanges]:
        return [change for change in self.changed if change.touches(window)]


class Changes:
    """Reads the standing of units. Safe to call from several threads at once."""

    def __init__(
        self,
        plant: Plant,
        historian: Historian,
        plans: Mapping[str, UnitPlan],
        clock: Clock,
        memo: Memo | None = None,
    ) -> None:
        self._plant = plant
        self._historian = historian
        self._plans = plans
        self._clock = clock
        self._memo = memo or Memo()

    def standings(self, units: Sequence[WorkUnit], window: Window, *, signed: bool) -> dict[str, Standing]:
        """Unit -> its standing around a window. Sign-offs are read where ``signed``, and where there are revisions."""
        revisions = self._revisions(units, window)
        dirty = self._memo.of("dirty", self._dirty)
        watermarks: dict[str, Instant | None] = {}
        found = {}
        for unit in units:
            path = str(unit.path)
            agent = self._plant.agent_of(path)
            if agent not in watermarks:
                watermarks[agent] = self._memo.of(("watermark", agent), partial(self._watermark, agent))
            changed = self._by_shift(unit, revisions.get(path, []))
            sign_offs = self._sign_offs(path, window) if signed or changed else []
            stains = dirty.get(path, [])
            found[path] = Standing(watermarks[agent], self._plans[path].reach, stains, changed, sign_offs)
        return found

    def reports(self, agent: str) -> list[dict[str, float]]:
        """Per outbox of an agent, the newest that was told of each count."""
        newest: dict[str, dict[str, float]] = {}
        query = Query(Measurement.LEDGER, {AGENT: agent}, descending=True, limit=RECENT)
        for point in self._historian.read(query):
            report = newest.setdefault(point.tags[OUTBOX], {})
            for name, value in point.fields.items():
                report.setdefault(name, float(value))
        return list(newest.values())

    def _watermark(self, agent: str) -> Instant | None:
        """The oldest source time that any outbox of the agent may still hold; None when none ever said.

        Never later than now: an outbox that owes nothing for ever, as a replayed file's, knows nothing of the future.
        """
        told = [int(report[LEDGER_OLDEST]) for report in self.reports(agent) if LEDGER_OLDEST in report]
        return min(*told, self._clock.now()) if told else None

    def _dirty(self) -> dict[str, list[Window]]:
        """Unit -> intervals that wait to be derived. A whole page of done ones ends the search."""
        waiting: dict[str, list[Window]] = defaultdict(list)
        query = Query(Measurement.DIRTY, descending=True, limit=RECENT)
        while page := [point_dirty(point) for point in self._historian.read(query)]:
            for stain in page:
                if not stain.done and stain.origin is not Origin.PUBLISH:
                    waiting[stain.unit].append(Window(stain.start, stain.end))
            if all(stain.done for stain in page):
                break
            query = replace(query, end=page[-1].stamp)
        return waiting

    def _revisions(self, units: Sequence[WorkUnit], window: Window) -> dict[str, list[Revision]]:
        """Unit -> the revisions of its shifts around a window."""
        found: dict[str, list[Revision]] = defaultdict(list)
        if not units:
            return found
        query = Query(Measurement.REVISIONS, common_tags(units), window.start - LONGEST_SHIFT, window.end)
        for point in self._historian.read(query):
            found[unit_of(point.tags)].append(point_revision(point))
        return found

    def _by_shift(self, unit: WorkUnit, revisions: Iterable[Revision]) -> list[ShiftChanges]:
        shifts: dict[tuple[Instant, str], list[Revision]] = defaultdict(list)
        for revision in revisions:
            shifts[revision.shift_start, revision.shift].append(revision)
        found = []
        for (start, name), changes in shifts.items():
            ordered = tuple(sorted(changes, key=lambda change: change.n))
            found += [
                ShiftChanges(Window(shift.pieces[0][0], shift.end, name), tuple(shift.pieces), ordered)
                for shift in shift_windows(unit, start, start + 1)
                if (shift.start, shift.shift) == (start, name)
            ]
        return found

    def _sign_offs(self, path: str, window: Window) -> list[Statement]:
        span = window.start, window.end
        said = self._memo.of(
            ("said", path, span), lambda: statements_of(self._historian, self._plant.enterprise, path, *span)
        )
        return [each for each in in_force(said) if each.kind is StatementKind.SIGN_OFF]
