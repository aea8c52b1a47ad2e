"""Facts -> KPIs: time up to now of which no fact tells, before a unit's first sample and after its last has aged."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from historian.historian import Historian
from historian.records import latest_query, point_sample, unit_query
from historian.schema import Grain, Measurement
from historian.statements import statements_of
from kpi.facts.derive import gap_facts
from kpi.timeline.states import silent_timeline
from kpi_api.memo import Memo
from kpi_api.slots import Row, Slot
from kpi_api.windows import Window
from shopfloor.clock import Clock
from shopfloor.instant import HOUR, Instant
from shopfloor.machine_state import OUTSIDE_PBT
from shopfloor.plant import WorkUnit
from shopfloor.sample import Sample
from shopfloor.statement import in_force

WHOLE: Final = 2**53
"""The grain of a gap: one record for each shift, however long."""


class Piece(NamedTuple):
    """A silent stretch [start, end) of one window."""

    start: Instant
    end: Instant
    window: int


class Silence:
    """What the newest and the first sample of a unit tell. Safe to call from several threads."""

    def __init__(self, historian: Historian, enterprise: str, clock: Clock, memo: Memo | None = None) -> None:
        self._historian = historian
        self._enterprise = enterprise
        self._clock = clock
        self._memo = memo or Memo()

    def newest(self, path: str) -> Sample | None:
        """The unit's newest sample."""
        return self._memo.of(("newest", path), lambda: self._newest(path))

    def _newest(self, path: str) -> Sample | None:
        points = self._historian.read(latest_query(Measurement.SAMPLES, self._enterprise, path))
        return point_sample(points[0]) if points else None

    def horizon(self, path: str) -> Instant | None:
        """The time of the unit's newest sample."""
        newest = self.newest(path)
        return newest.time if newest else None

    def told_until(self, unit: WorkUnit) -> Instant:
        """Until when something, if only silence, is known of a unit."""
        horizon, now = self.horizon(str(unit.path)), self._clock.now()
        return now if horizon is None or horizon + unit.max_age_ms < now else horizon

    def rows(self, unit: WorkUnit, windows: Sequence[tuple[int, Window]]) -> list[Row]:
        """Records of unknown (or planned) time in the given windows, each with its index; a meter has none."""
        if not unit.is_machine or not windows:
            return []
        found: list[Row] = []
        for run in _runs(self._pieces(unit, windows)):
            found += self._gap(unit, run)
        return found

    def _pieces(self, unit: WorkUnit, windows: Sequence[tuple[int, Window]]) -> Iterator[Piece]:
        """The silent parts of windows."""
        path, now = str(unit.path), self._clock.now()
        first, horizon = self._first(path), self.horizon(path)
        for index, window in windows:
            end = min(window.end, now)
            spans = [(window.start, end)]
            if first is not None and horizon is not None:
                aged = max(window.start, horizon + unit.max_age_ms)
                spans = [(window.start, min(first, end)), (aged, end)]
            yield from (Piece(low, high, index) for low, high in spans if low < high)

    def _gap(self, unit: WorkUnit, run: Sequence[Piece]) -> Iterator[Row]:
        """The records of pieces that follow each other."""
        path, start, end = str(unit.path), run[0].start, run[-1].end
        said = in_force(statements_of(self._historian, self._enterprise, path, start, end))
        if not said:
            yield from _planned(unit, run)
            return
        for piece in run:
            for fact in gap_facts(unit, piece.start, piece.end, WHOLE, said):
                yield Row(Slot(path, piece.window, fact.product), fact.elements)

    def _first(self, path: str) -> Instant | None:
        """The unit's first sample; its first fact, where the samples of so long ago are gone."""
        sample, hour = (self._first_time(what, path) for what in (Measurement.SAMPLES, Grain.HOUR))
        if sample is None or hour is None:
            return hour if sample is None else sample
        return sample if sample < hour + HOUR else hour

    def raw_since(self, path: str) -> Instant | None:
        """From when on samples are kept, where older facts show that earlier ones are gone; else None."""
        sample, hour = (self._first_time(what, path) for what in (Measurement.SAMPLES, Grain.HOUR))
        return sample if sample is not None and hour is not None and hour + HOUR <= sample else None

    def _first_time(self, measurement: str, path: str) -> Instant | None:
        query = replace(unit_query(measurement, self._enterprise, path), limit=1)
        points = self._memo.of(("first", measurement, path), lambda: self._historian.read(query))
        return points[0].time if points else None


def _runs(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Pieces grouped where one begins as the other ends."""
    run: list[Piece] = []
    for piece in sorted(pieces):
        if run and run[-1].end != piece.start:
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _planned(unit: WorkUnit, run: Sequence[Piece]) -> Iterator[Row]:
    """What the calendar alone says of silence: years of it are tiled at once, and only then given to their windows."""
    path, starts = str(unit.path), [piece.start for piece in run]
    seconds: dict[tuple[int, str, str], float] = defaultdict(float)
    for tile in silent_timeline(unit, run[0].start, run[-1].end):
        low, position = tile.start, bisect_right(starts, tile.start) - 1
        while low < tile.end:
            high = min(tile.end, run[position].end)
            window, length = run[position].window, (high - low) / 1000
            seconds[window, tile.product, f"{tile.category}_s"] += length
            if tile.staffed:
                seconds[window, tile.product, "staffed_s"] += length
            if unit.capacity_per_h is not None and tile.category not in OUTSIDE_PBT:
                seconds[window, tile.product, "capacity"] += length * unit.capacity_per_h / 3600
            low, position = high, position + 1
    for (window, product, column), length in seconds.items():
        yield Row(Slot(path, window, product), {column: length})
