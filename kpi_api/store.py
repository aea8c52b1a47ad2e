"""Facts -> KPIs -> panels: the one place of this package that reads the historian. Of use without HTTP too.

Everything is computed on read, from facts at the coarsest grain that fits. Synchronous and safe to call from several
threads at once.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import groupby

from historian.historian import Historian
from historian.point import Query
from historian.records import (
    facts_of,
    latest_query,
    point_dirty,
    point_revision,
    point_sample,
    unit_query,
    unit_tags,
)
from historian.schema import AGENT, LEDGER_OLDEST, OUTBOX, STATUS, Grain, Measurement
from kpi.evaluate import evaluate, is_final, observed_coverage
from kpi.facts import gap_facts
from kpi.plan import STATE, UnitPlan
from kpi.rollup import LONGEST_SHIFT, shift_windows
from kpi.states import StateInterval as Tile
from kpi.states import silent_timeline, timeline
from kpi_api.answers import EnergyAnswer, KpiItem, Latest, LedgerAnswer, Peak, StateInterval, UnitAnswer
from kpi_api.questions import (
    MAX_ITEMS,
    BadWindow,
    By,
    UnknownUnit,
    Window,
    check_size,
    cut_hours,
    local_midnight,
    months,
    nearest_place,
    shift_start,
    slices,
    snapped,
    too_many,
)
from shopfloor.additive import Elements, at_column, merge
from shopfloor.clock import Clock
from shopfloor.equipment import LEVELS
from shopfloor.fact import Fact
from shopfloor.instant import HOUR, MINUTE, Instant, ceil_to, floor_to
from shopfloor.ledger import AgentLedger
from shopfloor.plant import Area, Plant, WorkCenter, WorkUnit
from shopfloor.sample import Sample

LONGEST_STATES = 31 * 24 * HOUR
"""States come from raw samples: a longer window is refused."""
RECENT = 1_000
"""So many of an agent's last reports are looked through for its outboxes, and of dirty intervals at a time."""

LedgerSource = Callable[[], Mapping[str, AgentLedger]]
"""Agent -> ledger. The edge's counts are read before those of the store, or a moving ledger looks broken."""


@dataclass(frozen=True, slots=True)
class _Question:
    """One unit and the contiguous windows that are asked of it."""

    unit: WorkUnit
    windows: tuple[Window, ...]

    @property
    def path(self) -> str:
        return str(self.unit.path)


class Store:
    """Answers about one plant, read from its historian."""

    def __init__(
        self,
        plant: Plant,
        historian: Historian,
        clock: Clock,
        *,
        ledger_source: LedgerSource | None = None,
        dead_letters: Callable[[], int] = lambda: 0,
    ) -> None:
        self.plant = plant
        self._historian = historian
        self._clock = clock
        self._ledger_source = ledger_source or self._stored_ledger
        self._dead_letters = dead_letters

    def now(self) -> Instant:
        """The plant's time."""
        return self._clock.now()

    def check(self) -> None:
        """Ask the historian for something small; raises what the historian raises when it cannot answer."""
        self._historian.read(latest_query(Measurement.SAMPLES, self.plant.enterprise, next(iter(self.plant.units))))

    def units(self, pattern: str) -> list[WorkUnit]:
        """The units at or below a path or pattern; raises UnknownUnit when there is none."""
        found = self.plant.matching(pattern.strip("/") or "*")
        if not found:
            raise UnknownUnit(f"no unit is or lies below {pattern!r}", nearest_place(self.plant.units, pattern))
        return found

    def kpi_items(self, unit_pattern: str, start: Instant, end: Instant, by: By = By.TOTAL) -> list[KpiItem]:
        """KPIs per unit and slice of [start, end), snapped to whole minutes; raises BadQuestion."""
        window = snapped(start, end)
        units = self.units(unit_pattern)
        check_size(window, by, len(units))
        questions = [_Question(unit, tuple(slices(unit, window, by))) for unit in units]
        flags = () if window == Window(start, end) else ("snapped_to_minutes",)
        return self._items(questions, flags)

    def recent_items(self, hours: int) -> list[KpiItem]:
        """KPIs of every unit over the last whole minutes of ``hours``."""
        window = self.recent(hours)
        return self._items([_Question(unit, (window,)) for unit in self.plant.units.values()])

    def shift_items(self) -> list[KpiItem]:
        """KPIs of every unit over its running shift, up to the last whole minute."""
        end = floor_to(self.now(), MINUTE)
        starts = {path: shift_start(unit, end - 1) for path, unit in self.plant.units.items()}
        return self._items([_Question(unit, (Window(starts[path], end),)) for path, unit in self.plant.units.items()])

    def today_items(self) -> list[KpiItem]:
        """The elements of every meter since its local midnight, up to the last whole minute."""
        end = floor_to(self.now(), MINUTE)
        meters = [unit for unit in self.plant.units.values() if not unit.is_machine]
        return self._items([_Question(unit, (Window(local_midnight(end - 1, unit.timezone), end),)) for unit in meters])

    def recent(self, hours: int) -> Window:
        """The last ``hours``, up to the last whole minute."""
        end = floor_to(self.now(), MINUTE)
        return Window(end - hours * HOUR, end)

    def energy(self, unit: str, start: Instant, end: Instant) -> EnergyAnswer | None:
        """Active energy of one unit in [start, end); None where it has none. Raises BadQuestion."""
        found = self.units(unit)[0]
        named = list(months(snapped(start, end), found.timezone))
        question = _Question(found, tuple(window for _, window in named))
        records = [merge(parts) for parts in self._records([question])[question.path]]
        whole = merge(records)
        if "energy_kwh" not in whole and "unattributed_energy_kwh" not in whole:
            return None
        by_month = {name: _energy_kwh(record) for (name, _), record in zip(named, records, strict=True)}
        return EnergyAnswer(_energy_kwh(whole), by_month, _peak(whole))

    def states(self, unit: str, start: Instant, end: Instant) -> list[StateInterval]:
        """What every machine at or below ``unit`` was doing in [start, end); meters have no states."""
        if end <= start or end - start > LONGEST_STATES:
            raise BadWindow("the window of states is empty or too long", "ask for up to 31 days, 'from' before 'to'")
        machines = [machine for machine in self.units(unit) if machine.is_machine]
        return [interval for machine in machines for interval in self._states(machine, Window(start, end))]

    def equipment(self) -> list[UnitAnswer]:
        """Every unit in file order, with its newest sample."""
        return [self._unit_answer(unit) for unit in self.plant.units.values()]

    def ledger(self) -> LedgerAnswer:
        """Every agent's ledger, and the number of dead letters."""
        return LedgerAnswer(dict(self._ledger_source()), self._dead_letters())

    def horizons(self) -> dict[str, Instant]:
        """Unit -> time of its newest sample, where it has one."""
        found = {path: self._horizon(path) for path in self.plant.units}
        return {path: instant for path, instant in found.items() if instant is not None}

    # KPIs

    def _items(self, questions: Sequence[_Question], flags: tuple[str, ...] = ()) -> list[KpiItem]:
        if sum(len(question.windows) for question in questions) > MAX_ITEMS:
            raise too_many()
        records = self._records(questions)
        dirty = self._dirty()
        return [
            item
            for question in questions
            for item in self._unit_items(question, records[question.path], dirty[question.path], flags)
        ]

    def _unit_items(
        self, question: _Question, records: Sequence[list[Elements]], dirty: Sequence[Window], flags: tuple[str, ...]
    ) -> Iterator[KpiItem]:
        watermark = self._watermark(question.path)
        revisions = self._revisions(question)
        told = self._told(question.path, question.unit)
        reach = UnitPlan(question.unit, {}).reach
        for window, parts in zip(question.windows, records, strict=True):
            report = evaluate(merge(parts))
            observed_to = max(window.start, min(window.end, told))
            known = report.coverage
            if not question.unit.is_machine:
                known = observed_coverage(report.elements, window.start, observed_to)
            yield KpiItem(
                unit=question.path,
                start=window.start,
                end=window.end,
                shift=window.shift,
                kpis=report.kpis,
                elements=report.elements,
                coverage=known,
                final=is_final(window.end, watermark, reach, dirty=any(_overlap(window, stain) for stain in dirty)),
                revision=sum(n for shift, n in revisions.items() if _overlap(window, shift)),
                flags=(*report.flags, *flags, *(() if report.elements.get("observed_s") else ("no_data",))),
            )

    def _records(self, questions: Sequence[_Question]) -> dict[str, list[list[Elements]]]:
        """Unit -> for each of its windows the records of facts and of silence."""
        facts = self._facts(questions)
        return {
            question.path: [
                stored + self._silence(question, window)
                for window, stored in zip(question.windows, facts[question.path], strict=True)
            ]
            for question in questions
        }

    def _facts(self, questions: Sequence[_Question]) -> dict[str, list[list[Elements]]]:
        """Unit -> for each of its windows the stored records. Units that ask the same windows share the reading."""
        found: dict[str, list[list[Elements]]] = {}
        by_windows: dict[tuple[Window, ...], list[_Question]] = defaultdict(list)
        for question in questions:
            by_windows[question.windows].append(question)
            found[question.path] = [[] for _ in question.windows]
        for windows, same in by_windows.items():
            starts = [window.start for window in windows]
            for fact in self._facts_of([question.unit for question in same], windows):
                if fact.unit in found:
                    found[fact.unit][bisect_right(starts, fact.time) - 1].append(fact.elements)
        return found

    def _facts_of(self, units: Sequence[WorkUnit], windows: Sequence[Window]) -> Iterator[Fact]:
        """Hour facts, and minute facts where a window begins or ends within the hour."""
        if not windows:
            return
        where = _common_tags(units)
        cut = cut_hours(windows)
        in_minutes = {floor_to(hour.start, HOUR) for hour in cut}
        start, end = ceil_to(windows[0].start, HOUR), floor_to(windows[-1].end, HOUR)
        if start < end:
            hours = self._historian.read(Query(Grain.HOUR, where, start, end))
            yield from facts_of(point for point in hours if point.time not in in_minutes)
        for hour in cut:
            yield from facts_of(self._historian.read(Query(Grain.MINUTE, where, hour.start, hour.end)))

    def _silence(self, question: _Question, window: Window) -> list[Elements]:
        """Time up to now that no sample tells of, before the first and after the last has aged: unknown, or planned."""
        end = min(window.end, self.now())
        first, horizon = self._first(question.path), self._horizon(question.path)
        spans = [(window.start, end)]
        if first is not None and horizon is not None:
            aged = max(window.start, horizon + question.unit.max_age_ms)
            spans = [(window.start, min(first, end)), (aged, end)]
        return [
            fact.elements for low, high in spans if low < high for fact in gap_facts(question.unit, low, high, HOUR)
        ]

    def _first(self, path: str) -> Instant | None:
        query = replace(unit_query(Measurement.SAMPLES, self.plant.enterprise, path), limit=1)
        points = self._historian.read(query)
        return points[0].time if points else None

    def _told(self, path: str, unit: WorkUnit) -> Instant:
        """Until when something, if only silence, is known of a unit."""
        horizon, now = self._horizon(path), self.now()
        return now if horizon is None or horizon + unit.max_age_ms < now else horizon

    def _horizon(self, path: str) -> Instant | None:
        newest = self._newest(path)
        return newest.time if newest else None

    def _newest(self, path: str) -> Sample | None:
        points = self._historian.read(latest_query(Measurement.SAMPLES, self.plant.enterprise, path))
        return point_sample(points[0]) if points else None

    # What can still change

    def _watermark(self, path: str) -> Instant | None:
        """The oldest source time that an outbox of the unit's agent may still hold; None when it never said."""
        reports = self._reports(self.plant.agent_of(path))
        return min((int(report[LEDGER_OLDEST]) for report in reports if LEDGER_OLDEST in report), default=None)

    def _dirty(self) -> dict[str, list[Window]]:
        """Unit -> intervals that wait to be derived. A whole page of done ones ends the search."""
        waiting: dict[str, list[Window]] = defaultdict(list)
        query = Query(Measurement.DIRTY, descending=True, limit=RECENT)
        while page := [point_dirty(point) for point in self._historian.read(query)]:
            for stain in page:
                if not stain.done:
                    waiting[stain.unit].append(Window(stain.start, stain.end))
            if all(stain.done for stain in page):
                break
            query = replace(query, end=page[-1].stamp)
        return waiting

    def _revisions(self, question: _Question) -> dict[Window, int]:
        """The unit's shifts around its windows that were changed, and how often."""
        start, end = question.windows[0].start - LONGEST_SHIFT, question.windows[-1].end
        points = self._historian.read(
            unit_query(Measurement.REVISIONS, self.plant.enterprise, question.path, start, end)
        )
        if not points:
            return {}
        shifts = {
            (shift.start, shift.shift): Window(shift.pieces[0][0], shift.end)
            for shift in shift_windows(question.unit, start, end)
        }
        changed: dict[Window, int] = {}
        for revision in map(point_revision, points):
            shift = shifts.get((revision.shift_start, revision.shift))
            if shift is not None:
                changed[shift] = max(revision.n, changed.get(shift, 0))
        return changed

    # States

    def _states(self, unit: WorkUnit, window: Window) -> Iterator[StateInterval]:
        path, plan = str(unit.path), UnitPlan(unit, {})
        tiles = timeline(plan, self._samples_around(plan, window), window.start, window.end)
        horizon = self._horizon(path)
        if horizon is not None:
            silent = max(window.start, horizon + unit.max_age_ms)
            tiles += silent_timeline(unit, silent, min(window.end, self.now()))
        return _joined(path, tiles)

    def _samples_around(self, plan: UnitPlan, window: Window) -> list[Sample]:
        """The window's samples with their reach, and one more on either side so that silence at a border is seen."""
        low, high = window.start - plan.reach, window.end + plan.reach
        query = unit_query(Measurement.SAMPLES, self.plant.enterprise, plan.path)
        inside = self._historian.read(replace(query, start=low, end=high, fields=_STATE_FIELDS))
        before = self._historian.read(replace(query, end=low, descending=True, limit=1))
        after = self._historian.read(replace(query, start=high, limit=1))
        return [point_sample(point) for point in (*before, *inside, *after)]

    # Equipment

    def _unit_answer(self, unit: WorkUnit) -> UnitAnswer:
        path = str(unit.path)
        area, work_center = self._places[path]
        tags = {level: getattr(unit.path, level) for level in LEVELS}
        return UnitAnswer(
            unit=path,
            **tags,
            name=unit.name,
            work_center_name=work_center.name,
            area_name=area.name,
            machine=unit.is_machine,
            agent=self.plant.agent_of(path),
            timezone=unit.timezone,
            max_age_s=unit.max_age_ms / 1000,
            max_power_kw=unit.max_power_kw,
            targets=unit.targets,
            latest=self._latest(unit),
        )

    @cached_property
    def _places(self) -> dict[str, tuple[Area, WorkCenter]]:
        return {
            str(unit.path): (area, work_center)
            for site in self.plant.sites
            for area in site.areas
            for work_center in area.work_centers
            for unit in work_center.units
        }

    def _latest(self, unit: WorkUnit) -> Latest | None:
        sample = self._newest(str(unit.path))
        if sample is None:
            return None
        status = {tag: f"{state.quality}:{state.reason}" for tag, state in sample.status.items()}
        return Latest(time=sample.time, values=sample.values, status=status, category=self._category(unit, sample))

    def _category(self, unit: WorkUnit, newest: Sample) -> str | None:
        """What the unit does at its newest sample: a stop is a micro-stop until it has lasted longer than one."""
        if not unit.is_machine:
            return None
        plan = UnitPlan(unit, {})
        samples = self._samples_around(plan, Window(newest.time - plan.reach, newest.time))
        instant = replace(newest, time=newest.time + 1)  # the timeline ends before its last sample
        tiles = timeline(plan, [*samples, instant], newest.time, newest.time + 1)
        return str(tiles[-1].category) if tiles else None

    # Ledger

    def _stored_ledger(self) -> dict[str, AgentLedger]:
        """The ledgers of agents whose edge counts rest in the historian, with ``stored`` counted."""
        names = {entry.name for entry in fields(AgentLedger)}
        found = {}
        for agent in self.plant.agents.values():
            told = self._reports(agent.id)
            if any("polled" in report for report in told):
                counts = {name: int(sum(report.get(name, 0.0) for report in told)) for name in names}
                found[agent.id] = AgentLedger(**{**counts, "stored": self._stored(agent.units)})
        return found

    def _reports(self, agent: str) -> list[dict[str, float]]:
        """Per outbox, the newest that was told of each count."""
        newest: dict[str, dict[str, float]] = {}
        query = Query(Measurement.LEDGER, {AGENT: agent}, descending=True, limit=RECENT)
        for point in self._historian.read(query):
            report = newest.setdefault(point.tags[OUTBOX], {})
            for name, value in point.fields.items():
                report.setdefault(name, float(value))
        return list(newest.values())

    def _stored(self, units: Iterable[str]) -> int:
        queries = (unit_query(Measurement.SAMPLES, self.plant.enterprise, unit) for unit in units)
        return sum(self._historian.count(query) for query in queries)


_STATE_FIELDS = (STATE, STATUS)


def _overlap(one: Window, other: Window) -> bool:
    return one.start < other.end and other.start < one.end


def _common_tags(units: Sequence[WorkUnit]) -> dict[str, str]:
    """The tags in which all units agree: one query reads them all."""
    tags = [unit_tags(unit.path.enterprise, str(unit.path)) for unit in units]
    return {level: value for level, value in tags[0].items() if all(other[level] == value for other in tags)}


def _joined(path: str, tiles: Iterable[Tile]) -> Iterator[StateInterval]:
    """Neighbours of one category and code as one interval."""
    for (category, code), group in groupby(tiles, key=lambda tile: (tile.category, tile.code)):
        run = list(group)
        yield StateInterval(path, run[0].start, run[-1].end, str(category), code)


def _energy_kwh(elements: Mapping[str, float]) -> float:
    return elements.get("energy_kwh", 0.0) + elements.get("unattributed_energy_kwh", 0.0)


def _peak(elements: Mapping[str, float]) -> Peak | None:
    if "demand_max_kw" not in elements:
        return None
    return Peak(elements["demand_max_kw"], int(elements[at_column("demand_max_kw")]))
