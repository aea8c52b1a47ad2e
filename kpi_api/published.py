"""KPIs -> panels: what is published for readers that cannot compute: the answers of this package, as points.

Every number is that of the KPI API for the same unit or place and window, since the same code makes it. Nothing
published is read here. ``ingest.publisher`` says when, compares with the store and writes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import lru_cache

from historian import schema
from historian.point import Point, Query
from historian.published import Told, place_tags, published_point, score_point
from historian.schema import Measurement
from kpi_api.answers import KpiItem
from kpi_api.energy import EnergyItem, day_costs, energy_items, energy_of, with_cusum
from kpi_api.kpi_items import Subject
from kpi_api.periods import Days, PeriodCutter, days_of, midnight, runs, year_of
from kpi_api.places import places_over
from kpi_api.quality import CharacteristicAnswer, characteristics_of
from kpi_api.questions import By
from kpi_api.rollups import run_time_changes, units_of
from kpi_api.scorecards import ENTERPRISE, scorecards_of
from kpi_api.scores import scores
from kpi_api.store import Store
from kpi_api.windows import Window, months, slices
from shopfloor.calendar import OFF_SHIFT
from shopfloor.instant import HOUR, Instant
from shopfloor.plant import WorkUnit

_EVERY_POINT = 2**31
_DAY = 24 * HOUR


class Publications:
    """Tells what is to be published. Synchronous; safe to call from several threads at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._plant = store.plant
        lines = [line for site in store.plant.sites for area in site.areas for line in area.work_centers]
        self._cuts = run_time_changes(lines)
        self._subject = lru_cache(maxsize=None)(self._find)

    # Who

    def one_look(self) -> AbstractContextManager[None]:
        return self._store.one_look()

    def above(self, unit: str) -> Sequence[str]:
        """The places that hold a unit, the line first; the enterprise is ``""``."""
        return [place.path for place in places_over(self._plant, unit)[:-1]] + [""]

    def first_unit(self, subject: str) -> str:
        """The first unit of a place in the plant file; a unit itself."""
        return str(units_of(self._subject(subject))[0].path)

    def measures(self, subject: str) -> bool:
        """Whether it is a unit with measured characteristics."""
        found = self._subject(subject)
        return isinstance(found, WorkUnit) and bool(found.characteristics)

    def _find(self, subject: str) -> Subject:
        """A unit or place; the enterprise goes by ``""``, so that a site may have its id."""
        if subject in self._plant.units:
            return self._plant.units[subject]
        *places, whole = places_over(self._plant, subject)
        return next(place for place in places if place.path == subject) if subject else replace(whole, path="")

    # When

    def running_since(self, subject: str, now: Instant) -> Instant:
        """The start of the first shift of the subject's units that is not over at ``now``."""
        return min(
            (windows[0].start if windows else now)
            for windows in (slices(unit, Window(now - _DAY, now + 1), By.SHIFT)[-1:] for unit in self._alike(subject))
        )

    def _alike(self, subject: str) -> Sequence[WorkUnit]:
        units = units_of(self._subject(subject))
        return list({(unit.timezone, id(unit.calendar)): unit for unit in units}.values())

    # What

    def kpis(self, subjects: Sequence[str], start: Instant, end: Instant, until: Instant) -> Told:
        """Shifts and production days that touch [start, end), as far as they are past at ``until``."""
        found = [self._subject(path) for path in subjects]
        units = {str(unit.path): unit for subject in found for unit in units_of(subject)}.values()
        days = days_of(units, start, min(end, until))
        shifts, whole = self._periods(found, days, until)
        wanted = [self._kpi_point(item, item.shift or OFF_SHIFT, until) for item in shifts]
        wanted += [self._kpi_point(item, schema.WHOLE, until) for item in whole]
        zones = {unit.timezone for unit in units}
        midnights = frozenset(midnight(day, zone) for day in days for zone in zones)
        scopes = [
            Query(Measurement.KPI_PUBLISHED, self._tags(path), min(midnights), max(midnights) + 2 * _DAY)
            for path in subjects
        ]
        return Told(wanted, scopes if midnights else [], midnights)

    def charts(self, unit: str, start: Instant, end: Instant, until: Instant) -> Told:
        """Capability and control charts of a unit's shifts that touch [start, end)."""
        subject = self._plant.units[unit]
        wanted: list[Point] = []
        scopes: list[Query] = []
        tags = self._tags(unit)
        for shift in self._shifts(subject, start, min(end, until), until):
            window = Window(shift.start, min(shift.end, until))
            for answer in characteristics_of(self._store, subject, window, _EVERY_POINT):
                if answer.readings:
                    wanted += self._chart_points(tags, shift, window, answer)
            scopes += [
                Query(each, tags, shift.start, shift.end) for each in (Measurement.CAPABILITY, Measurement.CHART_POINTS)
            ]
        return Told(wanted, scopes)

    def energy(self, subject: str, start: Instant, end: Instant, until: Instant) -> Told:
        """Energy of the days and months that touch [start, end); with a baseline every day of their years."""
        found = self._subject(subject)
        units = units_of(found)
        zone, tags = units[0].timezone, self._tags(subject)
        days = days_of(units, start, min(end, until))
        if not days:
            return Told([], [])
        items = [item for run in self._energy_runs(units, days, until) for item in self._days(found, run, until)]
        wanted = [self._energy_point(tags, item, units, zone, until) for item in items]
        scopes = [
            Query(
                Measurement.ENERGY_PUBLISHED, {**tags, schema.PERIOD: "day"}, midnight(run[0], zone), _after(run, zone)
            )
            for run in runs(str(item.period) for item in items)
        ]
        for item in self._months(subject, found, days, until):
            wanted.append(self._energy_point(tags, item, units, zone, until))
            at = midnight(f"{item.period}-01", zone)
            scopes.append(Query(Measurement.ENERGY_PUBLISHED, {**tags, schema.PERIOD: "month"}, at, at + HOUR))
        return Told([point for point in wanted if len(point.fields) > 1], scopes)

    def scorecards(self, subject: str, start: Instant, end: Instant, until: Instant) -> Told:
        """Scorecards of a site, or of the enterprise, by production day of its first unit; nothing of other places."""
        if "/" in subject or not self._plant.guidelines:
            return Told([], [])
        site, first = subject or ENTERPRISE, units_of(self._subject(subject))[0]
        wanted: list[Point] = []
        scopes: list[Query] = []
        for run in runs(days_of([first], start, min(end, until))):
            windows = PeriodCutter(run, until, ()).asked(first).days.windows
            for card in scorecards_of(self._store, site, windows, self._plant.guidelines) if windows else ():
                day = midnight(str(card.period), first.timezone)
                wanted += [score_point(self._plant.enterprise, score) for score in scores(card, day)]
            tags = {"enterprise": self._plant.enterprise, "site": site}
            scopes.append(
                Query(Measurement.SCORECARDS, tags, midnight(run[0], first.timezone), _after(run, first.timezone))
            )
        return Told(wanted, scopes)

    # KPIs

    def _periods(
        self, subjects: Sequence[Subject], days: Iterable[str], until: Instant
    ) -> tuple[list[KpiItem], list[KpiItem]]:
        shifts: list[KpiItem] = []
        whole: list[KpiItem] = []
        for run in runs(days):
            cutter = PeriodCutter(run, until, self._cuts)
            asked: dict[str, Days] = {}
            for subject in subjects:
                for unit in units_of(subject):
                    asked.setdefault(str(unit.path), cutter.asked(unit))
            of = [(subject, [asked[str(unit.path)] for unit in units_of(subject)]) for subject in subjects]
            of = [(subject, mine) for subject, mine in of if any(each.shifts.windows for each in mine)]
            found = self._store.kpis.periods(
                [(subject, [each.shifts for each in mine]) for subject, mine in of],
                [(subject, [each.days for each in mine]) for subject, mine in of],
            )
            shifts += found[0]
            whole += found[1]
        return shifts, whole

    def _kpi_point(self, item: KpiItem, shift: str, until: Instant) -> Point:
        zone = units_of(self._subject(item.unit))[0].timezone
        day = midnight(str(item.period), zone)
        numbers: dict[str, float | None] = {
            **item.kpis,
            **{schema.SUM + name: value for name, value in item.elements.items()},
            **{schema.TARGET + name: value for name, value in item.targets.items()},
            schema.PERIOD_DAY: day,
            schema.SIGNED: item.signed is not None,
            **_trust(item, until),
        }
        tags = {**self._tags(item.unit), schema.SHIFT: shift}
        time = day if shift == schema.WHOLE else item.start
        return published_point(Measurement.KPI_PUBLISHED, tags, time, numbers, {schema.FLAGS: ",".join(item.flags)})

    def _tags(self, path: str) -> Mapping[str, str]:
        return place_tags(self._plant.enterprise, path)

    # Charts

    @staticmethod
    def _shifts(unit: WorkUnit, start: Instant, end: Instant, until: Instant) -> list[Window]:
        """The unit's shifts that touch [start, end), whole, time without a shift left out."""
        around = slices(unit, Window(start - _DAY, min(end, until) + _DAY), By.SHIFT)[1:-1] if start < end else []
        return [each for each in around if each.overlaps(start, end) and each.shift != OFF_SHIFT]

    def _chart_points(
        self, tags: Mapping[str, str], shift: Window, window: Window, answer: CharacteristicAnswer
    ) -> Iterator[Point]:
        mine = {**tags, schema.CHARACTERISTIC: answer.tag}
        told = {} if answer.capability is None else asdict(answer.capability)
        location = answer.charts[0] if answer.charts else None
        numbers: dict[str, float | None] = {
            **{name: told.get(name) for name in schema.CAPABILITY_NUMBERS},
            **dict(zip(schema.CAPABILITY_LIMITS, (answer.lsl, answer.usl, answer.target), strict=True)),
            schema.PERIOD_START: window.start,
            schema.PERIOD_UNTIL: window.end,
            schema.CAPABILITY_READINGS: answer.readings,
            schema.CAPABILITY_SUBGROUP: answer.subgroup,
            schema.CAPABILITY_POINTS: location.total if location else 0,
            schema.CAPABILITY_ALARMS: sum(chart.alarms for chart in answer.charts),
        }
        if location is not None:
            numbers |= {schema.CAPABILITY_NELSON + rule: hits for rule, hits in location.nelson.items()}
        texts = {schema.FLAGS: ",".join(answer.flags), schema.CAPABILITY_UNIT: answer.measured_in}
        yield published_point(
            Measurement.CAPABILITY, {**mine, schema.SHIFT: str(shift.shift)}, shift.start, numbers, texts
        )
        for chart in answer.charts:
            of_chart = {**mine, schema.STATISTIC: chart.statistic}
            for point in chart.points:
                lines = {
                    schema.CHART_VALUE: point.value,
                    schema.CHART_CENTRE: chart.centre,
                    schema.CHART_LOWER: chart.lower,
                    schema.CHART_UPPER: chart.upper,
                    schema.CHART_RULE: min(point.nelson, default=0),
                    schema.CHART_ALARM: point.alarm,
                    schema.CHART_SHIFT_START: shift.start,
                }
                yield published_point(Measurement.CHART_POINTS, of_chart, point.time, lines, {})

    # Energy

    @staticmethod
    def _energy_runs(units: Sequence[WorkUnit], days: Iterable[str], until: Instant) -> Iterator[list[str]]:
        """The days to tell: those given; with a baseline every day of their years, for the running sum of savings."""
        if len(units) > 1 or units[0].baseline is None:
            yield from runs(days)
            return
        for year in sorted({day[:4] for day in days}):
            first, after = year_of(f"{year}-01-01", units[0].timezone)
            told = days_of(units, midnight(first, units[0].timezone), min(after, until))
            yield from runs(day for day in told if day.startswith(year))

    def _days(self, subject: Subject, run: Sequence[str], until: Instant) -> list[EnergyItem]:
        units = units_of(subject)
        _, days = self._periods([subject], run, until)
        items = [energy_of(self._store, item, units, By.DAY) for item in days]
        return list(with_cusum(items))

    def _months(self, path: str, subject: Subject, days: Iterable[str], until: Instant) -> Iterator[EnergyItem]:
        """The calendar months of the days; of no enterprise that has the id of a site, which a path cannot name."""
        if not path and any(site.id == self._plant.enterprise for site in self._plant.sites):
            return
        zone = units_of(subject)[0].timezone
        for month in sorted({day[:7] for day in days}):
            start = midnight(f"{month}-01", zone)
            _, window = next(months(Window(start, start + 32 * _DAY), zone))
            if start < until:
                yield from energy_items(
                    self._store, path or self._plant.enterprise, start, min(window.end, until), By.MONTH
                )

    @staticmethod
    def _energy_point(
        tags: Mapping[str, str], item: EnergyItem, units: Sequence[WorkUnit], zone: str, until: Instant
    ) -> Point:
        told = asdict(item)
        numbers: dict[str, float | None] = {name: told.get(name) for name in schema.ENERGY_NUMBERS}
        costs = day_costs(item, units) if item.bill is None else (item.bill.peak_cost, item.bill.off_peak_cost)
        numbers |= dict(zip(("peak_cost", "off_peak_cost"), costs, strict=True))
        if item.demand is not None:
            numbers |= {"demand_max_kw": item.demand.value, "demand_max_kw_at": item.demand.at}
        texts = {schema.FLAGS: ",".join(item.flags), schema.ENERGY_CURRENCY: item.currency or ""}
        if (done := item.performance) is not None:
            against = (done.quantity, done.expected_kwh, done.saving_kwh, done.index, done.cusum_kwh)
            numbers |= dict(zip(schema.BASELINE_NUMBERS, against, strict=True))
            texts[schema.ENERGY_DRIVER] = done.driver
        if item.bill is not None:
            billed = asdict(item.bill)
            numbers |= {f"bill_{name}": billed[name] for name in _BILLED}
        day, period = (f"{item.period}-01", "month") if _is_month(item) else (str(item.period), "day")
        tags = {**tags, schema.PERIOD: period}
        numbers |= _trust(item, until)
        return published_point(Measurement.ENERGY_PUBLISHED, tags, midnight(day, zone), numbers, texts)


_BILLED = tuple(name.removeprefix("bill_") for name in schema.BILL_NUMBERS)


def _trust(item: KpiItem | EnergyItem, until: Instant) -> dict[str, float | None]:
    """What runs is not final, although nothing can change what is past of it."""
    return {
        schema.PERIOD_START: item.start,
        schema.PERIOD_UNTIL: item.end,
        schema.FINAL: item.final and item.end < until,
        schema.REVISION: item.revision,
        schema.COVERAGE: item.coverage,
    }


def _is_month(item: EnergyItem) -> bool:
    return len(item.period or "") == len("2026-01")


def _after(run: Sequence[str], zone: str) -> Instant:
    return midnight(run[-1], zone) + HOUR
