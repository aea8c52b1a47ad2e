"""Facts -> KPIs -> panels: what energy was used, when, at what price, and against its baseline.

Items come from the store's KPI items, so that energy and OEE of a window are always of the same facts. Cut by month
they are calendar months in local time, since bills are; the months of other questions begin with the first shift.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from kpi.energy.enpi import expected
from kpi.energy.tariff import Bill, bill
from kpi.refusal import BadInput
from kpi_api.answers import KpiItem, Peak
from kpi_api.places import Place
from kpi_api.questions import BadSlicing, By
from kpi_api.store import Store
from kpi_api.windows import Window, check_size, months, snapped
from shopfloor.additive import at_column
from shopfloor.dated import Dated
from shopfloor.instant import HOUR, Instant, to_instant
from shopfloor.plant import Tariff, WorkUnit

DAY = 24 * HOUR
_IN_TIME = frozenset({By.HOUR, By.SHIFT, By.DAY, By.WEEK, By.MONTH})
"""Slicings whose items follow each other in time: they have a running sum of savings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Energy against the baseline of ISO 50001/50006, energy counted across gaps included. In kWh."""

    driver: str
    quantity: float
    """Of the driver: a column of the additive record."""
    actual_kwh: float
    expected_kwh: float
    """By the baseline, for the quantity and the time that has passed."""
    saving_kwh: float
    """Expected less actual."""
    index: float | None
    """Actual over expected: below 1 is better than the baseline."""
    cusum_kwh: float | None
    """Running sum of the savings since the first item of the answer; None when items do not follow in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyItem:
    """The energy of one unit or place in one window."""

    unit: str
    start: Instant
    end: Instant
    shift: str | None
    period: str | None
    product: str | None
    energy_kwh: float | None
    """All active energy, that across gaps too; None where none was counted."""
    unattributed_kwh: float
    """Its part that was counted across gaps: in totals, not in ratios."""
    peak_kwh: float | None
    """In the tariff's peak hours; None without a tariff."""
    off_peak_kwh: float | None
    peak_share: float | None
    cost: float | None
    """Of the active energy by its hours."""
    currency: str | None
    carbon_kg: float | None
    idle_kwh: float | None
    """Used while the unit did not produce; None for a meter."""
    idle_share: float | None
    reactive_kvarh: float | None
    power_factor: float | None
    demand: Peak | None
    """Highest quarter-hour demand."""
    kwh_per_good: float | None
    kwh_per_ton: float | None
    """Per ton of good product."""
    cost_per_good: float | None
    carbon_kg_per_ton: float | None
    performance: Performance | None
    """None without a baseline, without data, and cut by product."""
    bill: Bill | None
    """Of a calendar month, with by=month."""
    coverage: float | None
    final: bool
    revision: int
    flags: tuple[str, ...]


def energy_items(store: Store, pattern: str, start: Instant, end: Instant, by: By = By.TOTAL) -> list[EnergyItem]:
    """Energy per unit (or of one place) and slice of [start, end), snapped to whole minutes; raises BadQuestion."""
    if by is By.REASON:
        raise BadSlicing("energy is not kept by reason", "use total, hour, shift, day, week, month or product")
    if by is By.MONTH:
        found = _by_month(store, pattern, snapped(start, end))
    else:
        found = store.kpi_items(pattern, start, end, by)
    units = {
        _path(subject): subject.units if isinstance(subject, Place) else [subject] for subject in _all(store, pattern)
    }
    items = [_item(item, units[item.unit], by, store) for item in found]
    return list(with_cusum(items)) if by in _IN_TIME else items


def energy_of(store: Store, item: KpiItem, units: Sequence[WorkUnit], by: By) -> EnergyItem:
    """The energy of one KPI item of these units, which was cut ``by``."""
    return _item(item, units, by, store)


def day_costs(item: EnergyItem, units: Sequence[WorkUnit]) -> tuple[float | None, float | None]:
    """What the kilowatt-hours of the peak and of the off-peak hours cost; None where no one tariff prices them."""
    tariffs = {tariff for unit in units if (tariff := _at(unit.tariff, item.start)) is not None}
    if len(tariffs) != 1 or item.peak_kwh is None or item.off_peak_kwh is None:
        return None, None
    try:
        priced = bill(peak_kwh=item.peak_kwh, off_peak_kwh=item.off_peak_kwh, kvarh=0.0, tariff=tariffs.pop())
    except BadInput:
        return None, None  # a negative quantity is flagged on the item already
    return priced.peak_cost, priced.off_peak_cost


def _by_month(store: Store, pattern: str, window: Window) -> list[KpiItem]:
    """One item per subject and calendar month of its first unit's zone."""
    subjects = _all(store, pattern)
    check_size(window, By.MONTH, len(subjects))
    return [
        replace(item, period=name)
        for subject in subjects
        for name, month in months(window, _zone(subject))
        for item in store.kpi_items(_path(subject), month.start, month.end)
    ]


def _all(store: Store, pattern: str) -> Sequence[WorkUnit | Place]:
    return store.subjects(pattern)


def _path(subject: WorkUnit | Place) -> str:
    return str(subject.path)


def _zone(subject: WorkUnit | Place) -> str:
    return subject.units[0].timezone if isinstance(subject, Place) else subject.timezone


def _item(item: KpiItem, units: Sequence[WorkUnit], by: By, store: Store) -> EnergyItem:
    elements, kpis = item.elements, item.kpis
    tariffs = {tariff for unit in units if (tariff := _at(unit.tariff, item.start)) is not None}
    currencies = {tariff.currency for tariff in tariffs}
    priced = len(currencies) == 1
    counted = _counted(elements)
    flags = [*item.flags, *(("mixed_currencies",) if len(currencies) > 1 else ())]
    performance = None
    if len(units) == 1 and by is not By.PRODUCT and counted is not None:
        performance = _performance(item, units[0], counted, store.now(), flags)
    charged = None
    if by is By.MONTH and len(tariffs) == 1 and counted is not None:
        charged = _bill(item, next(iter(tariffs)), units, store, flags)
    return EnergyItem(
        unit=item.unit,
        start=item.start,
        end=item.end,
        shift=item.shift,
        period=item.period,
        product=item.product,
        energy_kwh=counted,
        unattributed_kwh=elements.get("unattributed_energy_kwh", 0.0),
        peak_kwh=elements.get("peak_kwh", 0.0) if tariffs and counted is not None else None,
        off_peak_kwh=elements.get("off_peak_kwh", 0.0) if tariffs and counted is not None else None,
        peak_share=kpis.get("peak_share"),
        cost=elements.get("energy_cost") if priced else None,
        currency=currencies.pop() if priced else None,
        carbon_kg=elements.get("carbon_kg"),
        idle_kwh=_idle(elements, units, counted),
        idle_share=kpis.get("idle_energy_share"),
        reactive_kvarh=elements.get("reactive_kvarh"),
        power_factor=kpis.get("power_factor"),
        demand=_demand(elements),
        kwh_per_good=kpis.get("energy_kwh_per_good"),
        kwh_per_ton=kpis.get("sec_kwh_per_t"),
        cost_per_good=kpis.get("energy_cost_per_good") if priced else None,
        carbon_kg_per_ton=kpis.get("carbon_kg_per_t"),
        performance=performance,
        bill=charged,
        coverage=item.coverage,
        final=item.final,
        revision=item.revision,
        flags=tuple(flags),
    )


def _at(dated: Dated[Tariff | None] | None, instant: Instant) -> Tariff | None:
    return dated.at(instant) if dated is not None else None


def _counted(elements: Mapping[str, float]) -> float | None:
    if "energy_kwh" not in elements and "unattributed_energy_kwh" not in elements:
        return None
    return elements.get("energy_kwh", 0.0) + elements.get("unattributed_energy_kwh", 0.0)


def _idle(elements: Mapping[str, float], units: Sequence[WorkUnit], counted: float | None) -> float | None:
    if counted is None or not any(unit.is_machine for unit in units):
        return None
    return elements.get("idle_energy_kwh", 0.0)


def _demand(elements: Mapping[str, float]) -> Peak | None:
    value, at = elements.get("demand_max_kw"), elements.get(at_column("demand_max_kw"))
    return None if value is None or at is None else Peak(value, int(at))


def _performance(item: KpiItem, unit: WorkUnit, counted: float, now: Instant, flags: list[str]) -> Performance | None:
    baseline = unit.baseline.at(item.start) if unit.baseline is not None else None
    if baseline is None or unit.baseline is None:
        return None
    if any(unit.baseline.changes(item.start, item.end)):
        flags.append("baseline_changed")
    quantity = item.elements.get(baseline.driver, 0.0)
    days = max(0, min(item.end, now) - item.start) / DAY
    try:
        planned = expected(baseline, quantity, days)
    except BadInput:
        return None  # a negative quantity is flagged on the item already
    return Performance(
        driver=baseline.driver,
        quantity=quantity,
        actual_kwh=counted,
        expected_kwh=planned,
        saving_kwh=planned - counted,
        index=counted / planned if planned else None,
        cusum_kwh=None,
    )


def with_cusum(items: Sequence[EnergyItem]) -> Iterator[EnergyItem]:
    """The items with the running sum of savings of their unit; what has no baseline or no data adds nothing."""
    sums: dict[str, float] = {}
    for item in items:
        if item.performance is None:
            yield item
            continue
        sums[item.unit] = sums.get(item.unit, 0.0) + item.performance.saving_kwh
        yield replace(item, performance=replace(item.performance, cusum_kwh=sums[item.unit]))


def _bill(item: KpiItem, tariff: Tariff, units: Sequence[WorkUnit], store: Store, flags: list[str]) -> Bill:
    """The bill of a calendar month. Only a whole month of a meter or a site has a contract that asks a minimum."""
    whole = _month(item.period or "", units[0].timezone)
    partial = (item.start, item.end) != (whole.start, whole.end) or item.end > store.now()
    connected = item.unit in {site.id for site in store.plant.sites} or not any(unit.is_machine for unit in units)
    if partial:
        flags.append("partial_month")
    if not connected:
        flags.append("share_of_site")
    if any(change for unit in units if unit.tariff for change in unit.tariff.changes(item.start, item.end)):
        flags.append("tariff_changed")
    used = item.elements
    return bill(
        peak_kwh=used.get("peak_kwh", 0.0),
        off_peak_kwh=used.get("off_peak_kwh", 0.0),
        kvarh=used.get("reactive_kvarh", 0.0),
        tariff=tariff if connected and not partial else replace(tariff, minimum_hours=0.0),
    )


def _month(name: str, zone: str) -> Window:
    year, month = (int(part) for part in name.split("-"))
    tz = ZoneInfo(zone)
    start = datetime(year, month, 1, tzinfo=tz)
    following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=tz)
    return Window(to_instant(start), to_instant(following))
