"""The oracle: what the other end of *registers -> samples -> messages -> points -> facts -> KPIs* must find.

Computed from the script alone, with code of its own: nothing here is shared with the derivation or with the registers.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import fsum
from zoneinfo import ZoneInfo

from shopfloor.calendar import Planned
from shopfloor.instant import QUARTER, Instant, floor_to, to_datetime
from shopfloor.machine_state import OUTSIDE_PBT, TimeCategory
from shopfloor.plant import NoOrder, UnscheduledRun, WorkUnit
from shopfloor.statement import Statement, in_force
from simulators.edits import Interval, edited
from simulators.power import W_MS_PER_KWH, Load, Stretch
from simulators.scenario import Outcome, Piece, Script


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest quarter-hour demand: mean power of a whole UTC quarter, and when that quarter ends."""

    kw: float
    at: Instant


@dataclass(frozen=True, slots=True)
class EnergyTruth:
    """Active energy of a window, kWh, from exact integers."""

    total_kwh: float
    by_month_kwh: Mapping[str, float]
    """``YYYY-MM`` of the site's local time -> kWh."""
    peak: Peak | None
    """None when nothing was drawn. Energy outside the window does not count in a quarter that the window cuts."""


@dataclass(frozen=True, slots=True)
class Quantities:
    """Pieces whose count appeared between the window's first and last reading."""

    produced: int = 0
    good: int = 0
    scrap: int = 0
    rework: int = 0
    setup_produced: int = 0
    """Trial pieces: none of the above."""
    unscheduled_produced: int = 0
    """Made outside planned busy time: none of the above, unless the site's policy counts it."""
    unscheduled_good: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What truly happened to one unit in [start, end)."""

    unit: str
    start: Instant
    end: Instant
    seconds: Mapping[TimeCategory, float] = field(default_factory=dict)
    """Tiles the window; categories without time are absent. Empty for a meter."""
    spells: Mapping[TimeCategory, int] = field(default_factory=dict)
    """Intervals per category: two transitions each, so sampled seconds may differ by scan x 2 x spells at most."""
    intervals: tuple[Interval, ...] = ()
    """The spells themselves, in order."""
    unscheduled_run_s: float = 0.0
    """Running outside planned busy time; also inside its category, which the site's policy chooses."""
    quantities: Quantities = field(default_factory=Quantities)
    planned_run_s: float = 0.0
    """Sum of planned run time x produced."""
    good_run_s: float = 0.0
    """Sum of planned run time x good."""
    energy: EnergyTruth

    @property
    def production_s(self) -> float:
        """Actual production time: running, with the micro-stops in it (a loss of speed, not of availability)."""
        return _exact(self.seconds.get(category, 0.0) for category in (TimeCategory.RUNNING, TimeCategory.MICRO_STOP))

    @property
    def busy_s(self) -> float:
        """Planned busy time."""
        return _exact(length for category, length in self.seconds.items() if category not in OUTSIDE_PBT)

    @property
    def availability(self) -> float | None:
        """Production time / busy."""
        return _ratio(self.production_s, self.busy_s)

    @property
    def effectiveness(self) -> float | None:
        """Planned run time of what was produced / production time."""
        return _ratio(self.planned_run_s, self.production_s)

    @property
    def quality_ratio(self) -> float | None:
        """Planned run time of what was good / of what was produced."""
        return _ratio(self.good_run_s, self.planned_run_s)

    @property
    def oee_index(self) -> float | None:
        """Planned run time of what was good / busy."""
        return _ratio(self.good_run_s, self.busy_s)

    def kpis(self) -> dict[str, float | None]:
        """The four ratios by name."""
        names = ("availability", "effectiveness", "quality_ratio", "oee_index")
        return {name: getattr(self, name) for name in names}


def machine_truth(
    unit: WorkUnit, script: Script, start: Instant, end: Instant, statements: Iterable[Statement] = ()
) -> Truth:
    """The truth of a machine between two readings, at ``start`` and at ``end``, neither before the epoch.

    With what people stated of it since: ``statements`` on this unit, superseded and withdrawn ones included.
    """
    if start < script.epoch:
        raise ValueError(f"the script of {unit.path} begins at {script.epoch}, after {start}")
    script.until(end)
    plan = _plan(unit, start, end)
    slices = _with_micro_stops(unit, _slices(unit, script, plan, start, end))
    outside_s = sum(piece.end - piece.start for piece in slices if piece.runs_outside) / 1000
    intervals = tuple(Interval(piece.start, piece.end, piece.category) for piece in slices)
    intervals = edited(unit, intervals, [each for each in in_force(statements) if each.unit == str(unit.path)])
    made = _production(unit, [piece for piece in script.pieces if start < piece.time <= end], plan)
    return Truth(
        unit=str(unit.path),
        start=start,
        end=end,
        seconds=_seconds(intervals),
        spells=Counter(piece.category for piece in intervals),
        intervals=intervals,
        unscheduled_run_s=outside_s,
        quantities=made.quantities,
        planned_run_s=made.planned_run_s,
        good_run_s=made.good_run_s,
        energy=energy_truth(script.stretches(start, end), unit.timezone),
    )


def meter_truth(unit: WorkUnit, load: Load, start: Instant, end: Instant) -> Truth:
    """The truth of a meter between two readings."""
    energy = energy_truth(load.stretches(start, end), unit.timezone)
    return Truth(unit=str(unit.path), start=start, end=end, energy=energy)


def energy_truth(stretches: Iterable[Stretch], zone: str) -> EnergyTruth:
    """Total, months and peak of a course of power, cut at UTC quarter hours (which no month border crosses)."""
    quarters: dict[Instant, int] = {}
    for start, end, watts in stretches:
        while start < end:
            quarter = floor_to(start, QUARTER)
            cut = min(end, quarter + QUARTER)
            quarters[quarter] = quarters.get(quarter, 0) + (cut - start) * watts
            start = cut
    months: dict[str, int] = {}
    for quarter, energy in quarters.items():
        month = to_datetime(quarter).astimezone(ZoneInfo(zone)).strftime("%Y-%m")
        months[month] = months.get(month, 0) + energy
    by_month = {month: energy / W_MS_PER_KWH for month, energy in sorted(months.items())}
    return EnergyTruth(sum(quarters.values()) / W_MS_PER_KWH, by_month, _peak(quarters))


def _peak(quarters: Mapping[Instant, int]) -> Peak | None:
    if not any(quarters.values()):
        return None
    highest = max(quarters, key=lambda quarter: (quarters[quarter], -quarter))
    return Peak(quarters[highest] / QUARTER / 1000, highest + QUARTER)


@dataclass(frozen=True, slots=True)
class _Plan:
    start: Instant
    end: Instant
    planned: Planned


@dataclass(frozen=True, slots=True)
class _Slice:
    start: Instant
    end: Instant
    category: TimeCategory
    runs_outside: bool = False


def _plan(unit: WorkUnit, start: Instant, end: Instant) -> list[_Plan]:
    """What the calendar in force wants, tiling [start, end)."""
    edges = [start, *unit.calendar.changes(start, end), end]
    tiles: list[_Plan] = []
    for low, high in pairwise(edges):
        calendar = unit.calendar.at(low)
        if calendar is None:
            tiles.append(_Plan(low, high, Planned.NOT_SCHEDULED))
            continue
        spans = calendar.spans(low, high, unit.timezone)
        tiles.extend(_Plan(span.start, span.end, span.planned) for span in spans)
    return tiles


def _slices(unit: WorkUnit, script: Script, plan: list[_Plan], start: Instant, end: Instant) -> Iterator[_Slice]:
    """Script x calendar: one category each, tiling [start, end)."""
    tiles = iter(plan)
    tile = next(tiles, None)
    for segment in script.segments:
        low, last = max(segment.start, start), min(segment.end, end)
        while tile is not None and low < last:
            high = min(last, tile.end)
            yield _slice(unit, low, high, segment.category, tile.planned)
            low = high
            if low == tile.end:
                tile = next(tiles, None)


def _slice(unit: WorkUnit, low: Instant, high: Instant, shown: TimeCategory, planned: Planned) -> _Slice:
    runs_outside = planned is not Planned.BUSY and shown is TimeCategory.RUNNING
    if planned is not Planned.BUSY and not (runs_outside and unit.policy.unscheduled_run is UnscheduledRun.COUNTED):
        return _Slice(low, high, TimeCategory(planned.value), runs_outside)
    if shown is TimeCategory.NO_ORDER and unit.policy.no_order is NoOrder.PLANNED:
        return _Slice(low, high, TimeCategory.PLANNED_STOP)
    return _Slice(low, high, shown, runs_outside)


def _with_micro_stops(unit: WorkUnit, slices: Iterable[_Slice]) -> list[_Slice]:
    """Neighbours of one category become one; an unplanned stop up to the threshold becomes a micro-stop."""
    joined: list[_Slice] = []
    for piece in slices:
        last = joined[-1] if joined else None
        if last and (last.category, last.runs_outside) == (piece.category, piece.runs_outside):
            joined[-1] = _Slice(last.start, piece.end, last.category, last.runs_outside)
        else:
            joined.append(piece)
    return [
        _Slice(piece.start, piece.end, TimeCategory.MICRO_STOP) if _is_micro(unit, piece) else piece for piece in joined
    ]


def _is_micro(unit: WorkUnit, piece: _Slice) -> bool:
    threshold_s = unit.micro_stop_s.at(piece.start) or 0.0
    return piece.category is TimeCategory.UNPLANNED_STOP and piece.end - piece.start <= threshold_s * 1000


def _seconds(slices: Iterable[Interval]) -> dict[TimeCategory, float]:
    lengths: dict[TimeCategory, int] = {}
    for piece in slices:
        lengths[piece.category] = lengths.get(piece.category, 0) + piece.end - piece.start
    return {category: length / 1000 for category, length in lengths.items()}


@dataclass(frozen=True, slots=True)
class _Production:
    quantities: Quantities
    planned_run_s: float
    good_run_s: float


def _production(unit: WorkUnit, pieces: list[Piece], plan: list[_Plan]) -> _Production:
    """Sort the pieces: trial, outside planned busy time, or counted."""
    counts_outside = unit.policy.unscheduled_run is UnscheduledRun.COUNTED
    trials = [piece for piece in pieces if piece.trial]
    made = [piece for piece in pieces if not piece.trial]
    outside = [piece for piece in made if not counts_outside and not _is_busy(plan, piece.time)]
    counted = [piece for piece in made if counts_outside or _is_busy(plan, piece.time)]
    return _Production(
        Quantities(
            produced=len(counted),
            good=_count(counted, Outcome.GOOD),
            scrap=_count(counted, Outcome.SCRAP),
            rework=_count(counted, Outcome.REWORK),
            setup_produced=len(trials),
            unscheduled_produced=len(outside),
            unscheduled_good=_count(outside, Outcome.GOOD),
        ),
        planned_run_s=_run_time_s(unit, counted),
        good_run_s=_run_time_s(unit, [piece for piece in counted if piece.outcome is Outcome.GOOD]),
    )


def _is_busy(plan: list[_Plan], t: Instant) -> bool:
    """Whether the cycle that ended at ``t`` ended in planned busy time."""
    index = bisect_left(plan, t, key=lambda tile: tile.start) - 1
    return plan[max(index, 0)].planned is Planned.BUSY


def _count(pieces: list[Piece], outcome: Outcome) -> int:
    return sum(piece.outcome is outcome for piece in pieces)


def _run_time_s(unit: WorkUnit, pieces: list[Piece]) -> float:
    dated = unit.planned_run_time_s
    return fsum((dated.at(piece.time) or {}).get(piece.product, 0.0) for piece in pieces) if dated else 0.0


def _exact(seconds: Iterable[float]) -> float:
    """A sum of whole milliseconds, without the dust of binary fractions."""
    return round(fsum(seconds), 3)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
