"""What the KPIs must be: the simulators' truth, restricted to the time of which a stored reading tells.

A reading shows what the machine truly did at its instant, and holds to the next sample, at most ``max_age``: all other
time is unknown. So a border of a state is seen at the next reading; ``continuous_s`` holds the same seconds against the
script's continuous time.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from shopfloor.instant import Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import WorkUnit
from simulators.journal import Entry
from simulators.scenario import Outcome, Piece, Script

STANDS = frozenset({TimeCategory.UNPLANNED_STOP, TimeCategory.MICRO_STOP})


@dataclass(frozen=True, slots=True)
class Known:
    """[start, end) that a reading of the machine at ``seen`` tells of; no category where nothing does."""

    start: Instant
    end: Instant
    category: TimeCategory | None


@dataclass(slots=True)
class Expected:
    """What a unit's KPIs must be made of."""

    seconds: Counter[str] = field(default_factory=Counter)
    """By category, ``unknown`` included; from the first sample to the last."""
    produced: int = 0
    good: int = 0
    setup_produced: int = 0
    unattributed: int = 0
    planned_run_s: float = 0.0
    good_run_s: float = 0.0

    def kpis(self) -> dict[str, float | None]:
        """The four ratios over known time."""
        production = self.seconds["running"] + self.seconds["micro_stop"]
        known = sum(self.seconds.values()) - self.seconds["unknown"]
        return {
            "availability": _ratio(production, known),
            "effectiveness": _ratio(self.planned_run_s, production),
            "quality_ratio": _ratio(self.good_run_s, self.planned_run_s),
            "oee_index": _ratio(self.good_run_s, known),
        }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


Readings = Sequence[tuple[Instant, Entry | None]]


def expected(unit: WorkUnit, script: Script, readings: Readings) -> Expected:
    """From the script at the instants of the stored readings."""
    found = Expected()
    for tile in _judged(unit, _tiles(unit, script, readings)):
        found.seconds[str(tile.category or TimeCategory.UNKNOWN)] += tile.end - tile.start
    found.seconds = Counter({name: length / 1000 for name, length in found.seconds.items()})
    _count(found, unit, script, readings)
    return found


def _tiles(unit: WorkUnit, script: Script, readings: Readings) -> Iterator[Known]:
    for (time, entry), (following, _) in pairwise(readings):
        if entry is None:
            yield Known(time, following, None)
            continue
        until = min(following, time + unit.max_age_ms)
        yield Known(time, until, script.segment_at(entry.t).category)
        if until < following:
            yield Known(until, following, None)


def _judged(unit: WorkUnit, tiles: Iterable[Known]) -> Iterator[Known]:
    """Neighbours of one category are one; of stops, as long as they are known, short ones are micro-stops."""
    runs: list[Known] = []
    for tile in tiles:
        if runs and runs[-1].category is tile.category:
            runs[-1] = Known(runs[-1].start, tile.end, tile.category)
        else:
            runs.append(tile)
    for run in runs:
        threshold_ms = (unit.micro_stop_s.at(run.start) or 0.0) * 1000
        short = run.category is TimeCategory.UNPLANNED_STOP and run.end - run.start <= threshold_ms
        yield Known(run.start, run.end, TimeCategory.MICRO_STOP) if short else run


def _count(found: Expected, unit: WorkUnit, script: Script, readings: Readings) -> None:
    """Pieces between two good readings: by what the machine did at the first, unless time between them is unknown."""
    good = [(time, entry) for time, entry in readings if entry is not None]
    for (time, entry), (later, following) in pairwise(good):
        pieces = pieces_between(script, entry.t, following.t)
        if later - time > unit.max_age_ms:
            found.unattributed += len(pieces)
        elif script.segment_at(entry.t).category is TimeCategory.SETUP:
            found.setup_produced += len(pieces)
        else:
            _add(found, unit, pieces)


def _add(found: Expected, unit: WorkUnit, pieces: Iterable[Piece]) -> None:
    for piece in pieces:
        planned = (
            (unit.planned_run_time_s.at(piece.time) or {}).get(piece.product, 0.0) if unit.planned_run_time_s else 0.0
        )
        found.produced += 1
        found.planned_run_s += planned
        if piece.outcome is Outcome.GOOD:
            found.good += 1
            found.good_run_s += planned


def pieces_between(script: Script, start: Instant, end: Instant) -> Sequence[Piece]:
    """Pieces that a reading at ``end`` counts and one at ``start`` does not."""
    script.until(end)
    return script.pieces[bisect_right(script.piece_times, start) : bisect_right(script.piece_times, end)]


def continuous_s(script: Script, unit: WorkUnit, readings: Readings) -> tuple[Counter[str], Counter[str]]:
    """Seconds by category in truth, over the time that is known; and how far what is seen may be from it.

    Each border within known time is seen at the next reading, a scan later where the machine keeps up; so is what
    happens at the rims of what is known.
    """
    seconds, bounds = Counter[str](), Counter[str]()
    scan_s = unit.device.scan_ms / 1000
    last: TimeCategory | None = None
    for tile in _tiles(unit, script, readings):
        if tile.category is None:
            last = None
            continue
        late_s = max(scan_s, (tile.end - tile.start) / 1000)
        for start, end, category in _true(script, tile.start, tile.end):
            seconds[_merged(category)] += (end - start) / 1000  # type: ignore[assignment]
            if category is not last:
                for each in {last, category} - {None}:
                    bounds[_merged(each)] += late_s  # type: ignore[assignment,arg-type]
                last = category
    return seconds, bounds


def _true(script: Script, start: Instant, end: Instant) -> Iterator[tuple[Instant, Instant, TimeCategory]]:
    while start < end:
        segment = script.segment_at(start)
        until = min(end, segment.end)
        yield start, until, segment.category
        start = until


def _merged(category: TimeCategory) -> str:
    """Stops and micro-stops are told apart by their length, as it is seen: their sum is compared."""
    return "stands" if category in STANDS else str(category)


def seen_merged(elements: Mapping[str, float]) -> dict[str, float]:
    """The same categories of an answer's elements."""
    found: dict[str, float] = {}
    for category in TimeCategory:
        name = _merged(category)
        found[name] = found.get(name, 0.0) + (elements.get(f"{category}_s") or 0.0)
    return found
