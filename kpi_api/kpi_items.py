"""Facts -> KPIs: the items of an answer: which records each merges, what follows from them, and how far to trust it."""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from kpi.evaluate import KpiReport, observed_coverage
from kpi.plan import UnitPlan
from kpi_api.answers import KpiItem
from kpi_api.changes import Changes, Standing
from kpi_api.garbage import collector_resting
from kpi_api.grains import Slot
from kpi_api.places import Place
from kpi_api.questions import MAX_ITEMS, By, too_many
from kpi_api.records import Asked, Cutter, RecordReader, Slotted, folded
from kpi_api.reports import reports
from kpi_api.rollups import Roles, quantity_units, roles_of, roll_up, run_time_changes, units_of
from kpi_api.silence import Silence
from kpi_api.windows import Window
from shopfloor.clock import Clock
from shopfloor.instant import HOUR
from shopfloor.plant import Plant, WorkCenter, WorkUnit

Subject = WorkUnit | Place
_LONGEST_SIGNED = 25 * HOUR
Key = tuple[object, ...]


@dataclass(slots=True)
class _Item:
    """One item in the making: its window and the product it is of."""

    window: Window
    product: str | None = None


_Drawn = tuple[list[_Item], list[KpiReport]]


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
            return self._answer(questions, every, by)

    def _answer(
        self, questions: Sequence[tuple[Subject, Sequence[Asked]]], every: Sequence[Asked], by: By
    ) -> list[KpiItem]:
        told = self._records.read(every, self._clock.now())
        hull = Window(min(each.windows[0].start for each in every), max(each.windows[-1].end for each in every))
        signed = by is By.SHIFT or hull.end - hull.start <= _LONGEST_SIGNED
        units = list({each.path: each.unit for each in every}.values())
        standings = self._changes.standings(units, hull, signed=signed)
        mine = _by_unit(told)
        units_only = [(subject, asked) for subject, asked in questions if not isinstance(subject, Place)]
        made = self._of_units(units_only, by, told, mine)
        found: list[KpiItem] = []
        for subject, asked in questions:
            roles = roles_of(subject, self._plans) if isinstance(subject, Place) else None
            drawn = self._of_place(roles, asked, by, told, mine) if roles is not None else made.popleft()
            found += self._told(subject, drawn, roles, standings)
        return found

    def _of_units(
        self,
        questions: Sequence[tuple[Subject, Sequence[Asked]]],
        by: By,
        told: Slotted,
        mine: Mapping[str, Sequence[int]],
    ) -> deque[_Drawn]:
        """Items and reports of each unit; all of them are merged and evaluated at once."""
        owners = np.full(len(told.slots), -1, np.int64)
        items: list[_Item] = []
        ends: list[int] = []
        for _, asked in questions:
            indices = mine.get(asked[0].path, ())
            own, places = _items(asked, by, [told.slots[index] for index in indices])
            owners[np.array(indices, np.int64)] = np.array(places, np.int64) + len(items)
            items += own
            ends.append(len(items))
        made = self._reports(told, owners.tolist(), len(items))
        return deque((items[low:high], made[low:high]) for low, high in pairwise([0, *ends]))

    def _of_place(
        self, roles: Roles, asked: Sequence[Asked], by: By, told: Slotted, mine: Mapping[str, Sequence[int]]
    ) -> _Drawn:
        """Items and reports of a place, rolled up from its units."""
        indices = [index for each in asked for index in mine.get(each.path, ())]
        slots = [told.slots[index] for index in indices]
        parts = {each.path: each.how.windows for each in asked}
        rolled = roll_up(roles, slots, told.records.taken(indices), lambda slot: parts[slot.unit][slot.part].start)
        items, owners = _items(asked, by, slots)
        return items, self._reports(Slotted(slots, rolled), owners, len(items))

    def _reports(self, told: Slotted, owners: Sequence[int], size: int) -> list[KpiReport]:
        mixed = quantity_units(told.slots, told.records, owners, size, self._plant.products)
        return reports(folded(told, owners, size), mixed)

    def _told(
        self, subject: Subject, drawn: _Drawn, roles: Roles | None, standings: Mapping[str, Standing]
    ) -> Iterator[KpiItem]:
        standing = [standings[str(unit.path)] for unit in units_of(subject)]
        calm = all(each.calm for each in standing)
        for item, report in zip(*drawn, strict=True):
            yield self._item(subject, item, report, roles, standing, calm=calm)

    def _item(
        self,
        subject: Subject,
        item: _Item,
        report: KpiReport,
        roles: Roles | None,
        standing: Sequence[Standing],
        *,
        calm: bool,
    ) -> KpiItem:
        window = item.window
        flags = [*report.flags]
        if not calm and any(each.changed_after_sign_off(window) for each in standing):
            flags.append("changed_after_sign_off")
        if roles is not None and roles.by_meters and report.elements.get("energy_kwh"):
            flags.append("energy_of_meters")
        if not report.elements.get("observed_s"):
            flags.append("no_data")
        return KpiItem(
            unit=subject.path if isinstance(subject, Place) else str(subject.path),
            start=window.start,
            end=window.end,
            shift=window.shift,
            period=window.period,
            product=item.product,
            kpis=report.kpis,
            elements=report.elements,
            coverage=self._coverage(subject, report, window),
            final=all(each.final(window) for each in standing),
            revision=0 if calm else sum(each.revision(window) for each in standing),
            flags=tuple(flags),
            targets=subject.targets,
            signed=None if calm or len(standing) != 1 else standing[0].signed(window),
        )

    def _coverage(self, subject: Subject, report: KpiReport, window: Window) -> float | None:
        """Of a meter, and of a place of meters, the observed share of the time that is past."""
        counted = subject.machines if isinstance(subject, Place) else [subject]
        if any(unit.is_machine for unit in counted):
            return report.coverage
        until = min(self._silence.told_until(unit) for unit in counted)
        observed_to = max(window.start, min(window.end, until))
        whole = observed_coverage(report.elements, window.start, observed_to)
        return None if whole is None else whole / len(counted)


def _lines(subjects: Sequence[Subject]) -> list[WorkCenter]:
    return [line for subject in subjects if isinstance(subject, Place) for line in subject.lines]


def _by_unit(told: Slotted) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, slot in enumerate(told.slots):
        found.setdefault(slot.unit, []).append(index)
    return found


def _items(asked: Sequence[Asked], by: By, slots: Sequence[Slot]) -> tuple[list[_Item], list[int]]:
    """The items of one subject in order of time, and for each of its records the item that it belongs to."""
    items: dict[Key, _Item] = {}
    keys: dict[tuple[str, int], Key] = {}
    for each in asked:
        for index, key in enumerate(_keys(each.windows, by)):
            window, known = each.windows[index], items.get(key)
            if known is None:
                items[key] = _Item(window)
            else:
                wide = replace(
                    known.window, start=min(known.window.start, window.start), end=max(known.window.end, window.end)
                )
                known.window = wide
            keys[each.path, index] = key
    parts = {each.path: each.owners for each in asked}
    if by is By.PRODUCT:
        return _by_product(items, slots)
    ordered = sorted(items, key=lambda key: items[key].window.start)
    place = {key: number for number, key in enumerate(ordered)}
    owners = [place[keys[slot.unit, parts[slot.unit][slot.part]]] for slot in slots]
    return [items[key] for key in ordered], owners


def _by_product(items: Mapping[Key, _Item], slots: Sequence[Slot]) -> tuple[list[_Item], list[int]]:
    (whole,) = items.values()
    products = sorted({slot.product for slot in slots})
    place = {product: number for number, product in enumerate(products)}
    return [_Item(whole.window, product) for product in products], [place[slot.product] for slot in slots]


def _keys(windows: Sequence[Window], by: By) -> Iterator[Key]:
    """What makes windows of units with different calendars one item: the same day, week, month or shift by name."""
    seen: Counter[Key] = Counter()
    for window in windows:
        if by is By.SHIFT:
            key: Key = (window.period, window.shift)
            seen[key] += 1
            yield (*key, seen[key])
        elif window.period is not None:
            yield (window.period,)
        else:
            yield (window.start if by is By.HOUR else 0,)
