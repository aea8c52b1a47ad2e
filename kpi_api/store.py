"""Facts -> KPIs -> panels: the one place of this package that answers from the historian. Of use without HTTP too.

Everything is computed on read, from facts at the coarsest grain that fits. Synchronous and safe to call from several
threads at once. What people state goes through ``statements``; losses, stops and explanations have rooms of their own.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property

from devices.library import load as load_template
from historian.historian import Historian
from historian.records import latest_query
from historian.schema import Measurement
from kpi.plan import UnitPlan
from kpi_api.answers import EnergyAnswer, KpiItem, Latest, LedgerAnswer, Peak, StateInterval, UnitAnswer
from kpi_api.changes import Changes
from kpi_api.grains import cut
from kpi_api.kpi_items import KpiReader, Subject
from kpi_api.ledger import LedgerReader, LedgerSource
from kpi_api.losses import LossAnswer, LossReader
from kpi_api.memo import Memo
from kpi_api.places import place_of
from kpi_api.questions import By, UnknownUnit, nearest_place
from kpi_api.records import Asked, RecordReader, folded
from kpi_api.silence import Silence
from kpi_api.statements import Statements
from kpi_api.stops import StopAnswer, StopReader
from kpi_api.timelines import Timelines, check_length
from kpi_api.windows import Window, check_size, checked, local_midnight, months, shift_start, snapped
from shopfloor.additive import at_column, merge
from shopfloor.clock import Clock
from shopfloor.equipment import LEVELS
from shopfloor.instant import HOUR, MINUTE, Instant, floor_to
from shopfloor.plant import Area, Plant, WorkCenter, WorkUnit
from shopfloor.statement import Statement


class Store:
    """Answers about one plant, read from its historian."""

    def __init__(
        self,
        plant: Plant,
        historian: Historian,
        clock: Clock,
        *,
        ledger_source: LedgerSource | None = None,
        dead_letters: Callable[[], int] | None = None,
    ) -> None:
        self.plant = plant
        self.historian = historian
        """What the store reads, for rooms that read it in their own way."""
        self._clock = clock
        self._ledger_source = ledger_source
        self._dead_letters = dead_letters
        self._memo = Memo()

    def one_look(self) -> AbstractContextManager[None]:
        """Within it, what changes under way is read once: for one thread with many questions about one moment."""
        return self._memo.held()

    # Its parts

    @cached_property
    def plans(self) -> Mapping[str, UnitPlan]:
        """Every unit with the tags that its device gives."""
        return {path: _plan(unit) for path, unit in self.plant.units.items()}

    @cached_property
    def silence(self) -> Silence:
        """What the newest and first samples tell."""
        return Silence(self.historian, self.plant.enterprise, self._clock, self._memo)

    @cached_property
    def records(self) -> RecordReader:
        """Merged records of facts."""
        return RecordReader(self.historian, self.silence)

    @cached_property
    def changes(self) -> Changes:
        """What can still change, and what was changed."""
        return Changes(self.plant, self.historian, self.plans, self._clock, self._memo)

    @cached_property
    def timelines(self) -> Timelines:
        """States from raw samples."""
        return Timelines(self.historian, self.plant.enterprise, self._clock, self.plans, self.silence)

    @cached_property
    def losses(self) -> LossReader:
        """What time was lost to, by category and reason."""
        return LossReader(self.plant, self.historian, self.plans, self.kpis)

    @cached_property
    def stops(self) -> StopReader:
        """The stops of machines."""
        return StopReader(self.plant, self.historian)

    @cached_property
    def statements(self) -> Statements:
        """What people say."""
        return Statements(self.plant, self.historian, self._clock, self.stops, self.silence, self.changes)

    @cached_property
    def kpis(self) -> KpiReader:
        """KPI items of subjects."""
        return KpiReader(self.plant, self._clock, self.plans, self.records, self.changes, self.silence)

    def now(self) -> Instant:
        """The plant's time."""
        return self._clock.now()

    def check(self) -> None:
        """Ask the historian for something small; raises what the historian raises when it cannot answer."""
        self.historian.read(latest_query(Measurement.SAMPLES, self.plant.enterprise, next(iter(self.plant.units))))

    # Who is asked

    def units(self, pattern: str) -> list[WorkUnit]:
        """The units at or below a path or pattern; raises UnknownUnit when there is none."""
        place = place_of(self.plant, pattern)
        found = place.units if place else self.plant.matching(pattern.strip("/") or "*")
        if not found:
            raise UnknownUnit(f"no unit is or lies below {pattern!r}", nearest_place(self.plant.units, pattern))
        return found

    def subjects(self, pattern: str) -> Sequence[Subject]:
        """The place that a path names, rolled up; else the units at a path or under a pattern. Raises UnknownUnit."""
        place = place_of(self.plant, pattern)
        return [place] if place and place.units else self.units(pattern)

    # KPIs

    def kpi_items(self, unit_pattern: str, start: Instant, end: Instant, by: By = By.TOTAL) -> list[KpiItem]:
        """KPIs per unit (or of one place) and slice of [start, end), snapped to whole minutes; raises BadQuestion."""
        window = snapped(start, end)
        subjects = self.subjects(unit_pattern)
        check_size(window, by, len(subjects))
        items = self.losses.items(subjects, window) if by is By.REASON else self.kpis.items(subjects, window, by)
        if window == Window(start, end):
            return items
        return [replace(item, flags=(*item.flags, "snapped_to_minutes")) for item in items]

    def loss_answers(self, unit_pattern: str, start: Instant, end: Instant, by: By = By.TOTAL) -> list[LossAnswer]:
        """Losses per unit (or of one place) and slice of time; raises BadQuestion."""
        window = snapped(start, end)
        subjects = self.subjects(unit_pattern)
        check_size(window, by, len(subjects))
        return self.losses.answers(subjects, window, by)

    def stop_answers(self, unit_pattern: str, start: Instant, end: Instant) -> list[StopAnswer]:
        """The stops of every machine at or below a path that touch [start, end); raises BadQuestion."""
        checked(start, end)
        return self.stops.answers(self.units(unit_pattern), Window(start, end), self.now())

    def statements_in(
        self, unit_pattern: str, start: Instant, end: Instant, *, withdrawn: bool = False
    ) -> list[Statement]:
        """What was stated of the units at or below a path and touches [start, end); raises BadQuestion."""
        checked(start, end)
        paths = [str(unit.path) for unit in self.units(unit_pattern)]
        return self.statements.listed(paths, Window(start, end), withdrawn=withdrawn)

    def recent_items(self, hours: int) -> list[KpiItem]:
        """KPIs of every unit over the last whole minutes of ``hours``."""
        return self.kpis.items(list(self.plant.units.values()), self.recent(hours), By.TOTAL)

    def shift_items(self) -> list[KpiItem]:
        """KPIs of every unit over its running shift, up to the last whole minute."""
        end = floor_to(self.now(), MINUTE)
        windows = {path: Window(shift_start(unit, end - 1), end) for path, unit in self.plant.units.items()}
        return self._of_windows(windows)

    def today_items(self) -> list[KpiItem]:
        """The elements of every meter since its local midnight, up to the last whole minute."""
        end = floor_to(self.now(), MINUTE)
        meters = {path: unit for path, unit in self.plant.units.items() if not unit.is_machine}
        return self._of_windows(
            {path: Window(local_midnight(end - 1, unit.timezone), end) for path, unit in meters.items()}
        )

    def recent(self, hours: int) -> Window:
        """The last ``hours``, up to the last whole minute."""
        end = floor_to(self.now(), MINUTE)
        return Window(end - hours * HOUR, end)

    def _of_windows(self, windows: Mapping[str, Window]) -> list[KpiItem]:
        units = self.plant.units
        return self.kpis.of([(units[path], [_asked(units[path], [window])]) for path, window in windows.items()])

    # Energy, states, equipment

    def energy(self, unit: str, start: Instant, end: Instant) -> EnergyAnswer | None:
        """Active energy of one unit in [start, end); None where it has none. Raises BadQuestion."""
        found = self.units(unit)[0]
        named = list(months(snapped(start, end), found.timezone))
        told = self.records.read([_asked(found, [window for _, window in named])], self.now())
        records = folded(told, told.slots.part, len(named)).elements
        whole = merge(records)
        if "energy_kwh" not in whole and "unattributed_energy_kwh" not in whole:
            return None
        by_month = {name: _energy_kwh(record) for (name, _), record in zip(named, records, strict=True)}
        return EnergyAnswer(_energy_kwh(whole), by_month, _peak(whole))

    def states(self, unit: str, start: Instant, end: Instant) -> list[StateInterval]:
        """What every machine at or below ``unit`` was doing in [start, end); meters have no states."""
        check_length(start, end)
        machines = [str(machine.path) for machine in self.units(unit) if machine.is_machine]
        return [each for path in machines for each in self.timelines.intervals(path, Window(start, end))]

    def equipment(self) -> list[UnitAnswer]:
        """Every unit in file order, with its newest sample."""
        return [self._unit_answer(unit) for unit in self.plant.units.values()]

    def horizons(self) -> dict[str, Instant]:
        """Unit -> time of its newest sample, where it has one."""
        found = {path: self.silence.horizon(path) for path in self.plant.units}
        return {path: instant for path, instant in found.items() if instant is not None}

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
        path = str(unit.path)
        sample = self.silence.newest(path)
        if sample is None:
            return None
        status = {tag: f"{state.quality}:{state.reason}" for tag, state in sample.status.items()}
        return Latest(time=sample.time, values=sample.values, status=status, category=self.timelines.category(path))

    # Ledger

    def ledger(self) -> LedgerAnswer:
        """Every agent's ledger with what is off in it, and the dead letters."""
        return self._ledger.answer()

    @cached_property
    def _ledger(self) -> LedgerReader:
        source, letters = self._ledger_source, self._dead_letters
        return LedgerReader(self.plant, self.historian, self._clock, self.silence, source=source, dead_letters=letters)


def _plan(unit: WorkUnit) -> UnitPlan:
    tags = load_template(unit.device.template).select(unit.device.tags).tags
    return UnitPlan(unit, {tag.spec.name: tag.spec for tag in tags})


def _asked(unit: WorkUnit, windows: Sequence[Window]) -> Asked:
    return Asked(unit, tuple(windows), cut(unit, windows), tuple(range(len(windows))))


def _energy_kwh(elements: Mapping[str, float]) -> float:
    return elements.get("energy_kwh", 0.0) + elements.get("unattributed_energy_kwh", 0.0)


def _peak(elements: Mapping[str, float]) -> Peak | None:
    if "demand_max_kw" not in elements:
        return None
    return Peak(elements["demand_max_kw"], int(elements[at_column("demand_max_kw")]))
