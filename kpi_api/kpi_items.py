"""Facts -> KPIs: the items of an answer: which records each merges, what follows from them, and how far to trust it."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from kpi.evaluation.evaluate import observed_coverage
from kpi.plan import UnitPlan
from kpi_api.answers import KpiItem
from kpi_api.changes import Changes, Standing
from kpi_api.garbage import collector_resting
from kpi_api.layout import Item, laid_out
from kpi_api.merged import Indices
from kpi_api.places import Place
from kpi_api.questions import MAX_ITEMS, By, too_many
from kpi_api.records import Asked, Cutter, RecordReader, folded
from kpi_api.reports import Report, reports
from kpi_api.rollups import Roles, quantity_units, roles_of, roll_up, run_time_changes, units_of, untold
from kpi_api.silence import Silence
from kpi_api.slots import Slotted
from kpi_api.windows import Window
from shopfloor.clock import Clock
from shopfloor.instant import HOUR, Instant
from shopfloor.plant import Plant, WorkCenter, WorkUnit

Subject = WorkUnit | Place
_LONGEST_SIGNED = 25 * HOUR
_Drawn = tuple[Sequence[Item], list[Report]]


class KpiReader:
    """Answers with KPI items. Safe to call from several threads at once."""

    def __init__(
        self,
        plant: Plant,
        clock: Clock,
        plans: Mapping[str, UnitPlan],
        records: RecordReader,
        changes: Changes,
        silence: Silence,
    ) -> None:
        self._plant = plant
        self._clock = clock
        self._plans = plans
        self._records = records
        self._changes = changes
        self._silence = silence

    def items(self, subjects: Sequence[Subject], window: Window, by: By) -> list[KpiItem]:
        """The items of every subject, cut by ``by``; raises BadWindow for too many."""
        plain, changing = Cutter(window, by), Cutter(window, by, run_time_changes(_lines(subjects)))
        asked = [
            [(changing if isinstance(subject, Place) else plain).asked(unit) for unit in units_of(subject)]
            for subject in subjects
        ]
        return self.of(list(zip(subjects, asked, strict=True)), by)

    def of(self, questions: Sequence[tuple[Subject, Sequence[Asked]]], by: By = By.TOTAL) -> list[KpiItem]:
        """The items of subjects whose units are asked in windows of their own."""
        if sum(max((len(each.windows) for each in asked), default=0) for _, asked in questions) > MAX_ITEMS:
            raise too_many()
        every = [each for _, asked in questions for each in asked if each.windows]
        if not every:
            return []
        with collector_resting():
            told = self._records.read(every, self._clock.now())
            return self._answer(questions, told, self._standings(every, by), by)

    def periods(
        self, shifts: Sequence[tuple[Subject, Sequence[Asked]]], days: Sequence[tuple[Subject, Sequence[Asked]]]
    ) -> tuple[list[KpiItem], list[KpiItem]]:
        """The items of subjects by shift, and by day, from one reading: units are cut alike in all questions."""
        every = [each for _, asked in (*shifts, *days) for each in asked if each.windows]
        if not every:
            return [], []
        with collector_resting():
            told = self._records.read(every, self._clock.now())
            standings = self._standings(every, By.SHIFT)
            return self._answer(shifts, told, standings, By.SHIFT), self._answer(days, told, standings, By.DAY)

    def _standings(self, every: Sequence[Asked], by: By) -> Mapping[str, Standing]:
        hull = Window(min(each.windows[0].start for each in every), max(each.windows[-1].end for each in every))
        signed = by is By.SHIFT or hull.end - hull.start <= _LONGEST_SIGNED
        units = list({each.path: each.unit for each in every}.values())
        return self._changes.standings(units, hull, signed=signed)

    def _answer(
        self,
        questions: Sequence[tuple[Subject, Sequence[Asked]]],
        told: Slotted,
        standings: Mapping[str, Standing],
        by: By,
    ) -> list[KpiItem]:
        made = self._of_units([asked for subject, asked in questions if not isinstance(subject, Place)], by, told)
        finals = _Finals()
        found: list[KpiItem] = []
        for subject, asked in questions:
            roles = roles_of(subject, self._plans) if isinstance(subject, Place) else None
            drawn = self._of_place(roles, asked, by, told) if roles is not None else made.popleft()
            standing = [standings[str(unit.path)] for unit in units_of(subject)]
            found += self._told(subject, drawn, roles, standing, finals.of(drawn[0], standing))
        return found

    def _of_units(self, questions: Sequence[Sequence[Asked]], by: By, told: Slotted) -> deque[_Drawn]:
        """Items and reports of each unit; all of them are merged and evaluated at once."""
        items, owners = laid_out(questions, by, told.slots)
        ends = np.cumsum([0, *map(len, items)]).tolist()
        mute = {asked.path for (asked,) in questions if asked.unit.is_machine and not self._counts(asked.path)}
        silent = untold(mute, told.slots, told.records)
        counted = [asked.path not in silent for (asked,), own in zip(questions, items, strict=True) for _ in own]
        made = self._reports(told, owners, ends[-1], counted)
        return deque((own, made[low:high]) for own, (low, high) in zip(items, pairwise(ends), strict=True))

    def _of_place(self, roles: Roles, asked: Sequence[Asked], by: By, told: Slotted) -> _Drawn:
        """Items and reports of a place, rolled up from its units."""
        mine = told.taken(np.flatnonzero(told.slots.of_units({each.path for each in asked})))
        parts = {each.path: each.how.windows for each in asked}
        silent = untold(roles.mute, mine.slots, mine.records)
        kept = roles if silent == roles.counts else replace(roles, counts=roles.counts - silent)
        rolled = roll_up(kept, mine.slots, mine.records, lambda slot: parts[slot.unit][slot.part].start)
        (items,), owners = laid_out([asked], by, mine.slots)
        counted = [not silent or kept is not roles] * len(items)
        made = self._reports(Slotted(mine.slots, rolled), owners, len(items), counted)
        return items, [_left_out(report) for report in made] if silent and kept is not roles else made

    def _reports(self, told: Slotted, owners: Indices, size: int, counted: Sequence[bool]) -> list[Report]:
        mixed = quantity_units(told.slots, told.records, owners, size, self._plant.products)
        return reports(folded(told, owners, size), mixed, counted)

    def _counts(self, path: str) -> bool:
        return self._plans[path].counts_quantities

    def _told(
        self, subject: Subject, drawn: _Drawn, roles: Roles | None, standing: Sequence[Standing], finals: Sequence[bool]
    ) -> Iterator[KpiItem]:
        path = subject.path if isinstance(subject, Place) else str(subject.path)
        calm = all(each.calm for each in standing)
        observed_until = self._observed_until(subject)
        for item, report, final in zip(*drawn, finals, strict=True):
            window = item.window
            yield KpiItem(
                unit=path,
                start=window.start,
                end=window.end,
                shift=window.shift,
                period=window.period,
                product=item.product,
                kpis=report.kpis,
                elements=report.elements,
                coverage=report.coverage
                if observed_until is None
                else _observed(subject, report, window, observed_until),
                final=final,
                revision=0 if calm else sum(each.revision(window) for each in standing),
                flags=report.flags
                if calm and roles is None and report.observed
                else _flags(item, report, roles, standing),
                targets=subject.targets,
                signed=None if calm or len(standing) != 1 else standing[0].signed(window),
            )

    def _observed_until(self, subject: Subject) -> Instant | None:
        """Until when something is known of a meter, or of all meters of a place of meters; None with a machine."""
        counted = _counted(subject)
        return None if any(unit.is_machine for unit in counted) else min(map(self._silence.told_until, counted))


def _observed(subject: Subject, report: Report, window: Window, until: Instant) -> float | None:
    """Of a meter, and of a place of meters: the observed share of the time that is past."""
    observed_to = max(window.start, min(window.end, until))
    whole = observed_coverage(report.elements, window.start, observed_to)
    return None if whole is None else whole / len(_counted(subject))


def _left_out(report: Report) -> Report:
    """Some unit of the place is not in its quantities and times."""
    return report._replace(flags=(*report.flags, "not_counted"))


class _Finals:
    """Which items of a subject are final; subjects that are laid out alike and stand alike share the work."""

    def __init__(self) -> None:
        self._known: dict[object, tuple[Sequence[Item], list[bool]]] = {}
        """With the items, so that their identity stays theirs."""

    def of(self, items: Sequence[Item], standing: Sequence[Standing]) -> list[bool]:
        """One word for each item."""
        if not all(each.calm for each in standing):
            return _final(items, standing)
        key = id(items), frozenset((each.watermark, each.reach) for each in standing)
        if key not in self._known:
            self._known[key] = items, _final(items, standing)
        return self._known[key][1]


def _final(items: Sequence[Item], standing: Sequence[Standing]) -> list[bool]:
    return [all(each.final(item.window) for each in standing) for item in items]


def _flags(item: Item, report: Report, roles: Roles | None, standing: Sequence[Standing]) -> tuple[str, ...]:
    flags = [*report.flags]
    if any(each.changed_after_sign_off(item.window) for each in standing):
        flags.append("changed_after_sign_off")
    if roles is not None and roles.by_meters and report.elements.get("energy_kwh"):
        flags.append("energy_of_meters")
    if not report.observed:
        flags.append("no_data")
    return tuple(flags)


def _counted(subject: Subject) -> Sequence[WorkUnit]:
    return subject.machines if isinstance(subject, Place) else [subject]


def _lines(subjects: Sequence[Subject]) -> list[WorkCenter]:
    return [line for subject in subjects if isinstance(subject, Place) for line in subject.lines]
