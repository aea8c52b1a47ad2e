"""The past derived again under today's plan: *points -> facts* of registers -> samples -> messages -> points -> facts.

Blocking. Its dirty intervals are stored before the first fact is touched, so that whoever comes after a kill - the
next start of the facts engine, or another rederivation - finishes the job.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

from historian.historian import Historian
from historian.records import Dirty, Revision, dirty_point
from historian.schema import Origin
from ingest.open_intervals import open_of
from ingest.publisher import Publisher
from ingest.rehearsal import Rehearsal
from ingest.revisions import REDERIVE, Cause, Revisions
from ingest.spans import joined
from ingest.unit_derivation import UnitDerivation
from ingest.whole_write import must_be_stored, write_whole
from kpi.plan import UnitPlan
from shopfloor.errors import Backpressure
from shopfloor.instant import QUARTER, Instant, ceil_to, floor_to

_TRIES: Final = 1_000


@dataclass(frozen=True, slots=True)
class UnitDifferences:
    """What a rederivation changed in one unit."""

    unit: str
    shifts: list[Revision]
    """One per shift in which a fact, a loss or a stop changed, in order of time: sums before and after."""
    samples_from: Instant | None
    """Where derivation can begin: facts of the asked time before it stay as they are, since there are no raw data.
    None without any sample."""


Progress = Callable[[str, Instant], None]
"""Told of a unit and up to where it has been derived."""


def rederive(
    historian: Historian,
    plans: Mapping[str, UnitPlan],
    enterprise: str,
    start: Instant,
    end: Instant,
    who: str,
    now: Instant,
    *,
    progress: Progress = lambda unit, until: None,
    dry_run: bool = False,
    publisher: Publisher | None = None,
) -> Iterator[UnitDifferences]:
    """Derive [start, end) of these units again, unit by unit; the answer of each comes when it is stored.

    Widened to whole quarter hours. Facts are written again even where nothing differs, which changes nothing but what a
    store keeps beside them; so doing it twice changes nothing.
    Intervals that an earlier rederivation left open are finished along with it. ``dry_run`` writes nothing and tells
    the same differences. ``publisher`` publishes what follows. Raises Backpressure or ServiceUnavailable: then what is
    left is still dirty.
    """
    window = floor_to(start, QUARTER), ceil_to(end, QUARTER)
    store: Historian = Rehearsal(historian) if dry_run else historian
    owed = {unit: _noted(store, enterprise, Dirty(unit, now, *window, origin=Origin.REDERIVE), who) for unit in plans}
    for unit, plan in plans.items():
        yield _one(
            store,
            UnitDerivation(store, plan, enterprise),
            enterprise,
            owed[unit],
            who,
            now,
            progress,
            None if dry_run else publisher,
        )
    if publisher is not None and not dry_run:
        publisher.finish_for_others()


def _noted(historian: Historian, enterprise: str, dirty: Dirty, who: str) -> list[Dirty]:
    """The intervals that the unit is owed, durable: the new one, and what was left open before."""
    left = open_of(historian, enterprise, dirty.unit, Origin.REDERIVE)
    dirty = replace(dirty, cause=REDERIVE, who=who, id=str(uuid4()))
    for offset in range(_TRIES):
        mine = replace(dirty, stamp=dirty.stamp + offset)
        report = historian.write([dirty_point(enterprise, mine)])
        if report.accepted:
            return [*left, mine]
        if not report.rejected:
            break
    raise Backpressure("the historian took nothing")


def _one(
    historian: Historian,
    derivation: UnitDerivation,
    enterprise: str,
    owed: Sequence[Dirty],
    who: str,
    now: Instant,
    progress: Progress,
    publisher: Publisher | None,
) -> UnitDifferences:
    revisions = Revisions(
        historian, enterprise, Cause(REDERIVE, who), final_before=None, reach=derivation.reach, now=now
    )
    derivation.statements.load()
    windows = joined((dirty.start, dirty.end) for dirty in owed)
    for window in windows:
        for part in derivation.chunks(window):
            points = derivation.update(part, revisions)
            write_whole(historian, points, must_be_stored)
            derivation.stored(points)
            progress(derivation.unit, part[1])
    if publisher is not None:
        publisher.for_others(derivation.unit, windows)
    done = [dirty_point(enterprise, replace(dirty, done=True)) for dirty in owed]
    write_whole(historian, done, must_be_stored)
    changed = sorted(revisions.made.values(), key=lambda each: each.shift_start)
    return UnitDifferences(derivation.unit, changed, derivation.derivable_from())
