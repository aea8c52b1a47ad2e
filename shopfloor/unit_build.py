"""A work unit as plant.yaml writes it -> WorkUnit: defaults filled in, dates resolved in the site's zone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TypeVar
from zoneinfo import ZoneInfo

from shopfloor import plant_schema as doc
from shopfloor.alerts_file import build_unit_alerts
from shopfloor.calendar import Calendar
from shopfloor.dated import BEGINNING, Dated
from shopfloor.duration import duration_ms, pause_ms
from shopfloor.equipment import EquipmentPath
from shopfloor.instant import Instant, to_instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import (
    Baseline,
    Characteristic,
    Correction,
    CounterInference,
    DeviceRef,
    Energy,
    GaugeInference,
    Inference,
    Product,
    ProductRule,
    Site,
    StateMap,
    Tariff,
    WorkUnit,
)
from shopfloor.plant_fields import DatedDoc, connection
from shopfloor.reason import Reason
from shopfloor.state_models import StateModel, state_map

T = TypeVar("T")
U = TypeVar("U")
DEFAULT_MICRO_STOP_S = 300.0
SCANS_OF_MAX_AGE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a unit takes from its plant and its site."""

    site: Site
    """Without its areas."""
    calendar: DatedDoc[str]
    """The site's, by name."""
    calendars: Mapping[str, Calendar]
    products: Mapping[str, Product]
    tariffs: Mapping[str, Tariff]
    reasons: Mapping[str, Reason]


def build_unit(path: EquipmentPath, unit: doc.WorkUnitDoc, around: Surroundings) -> WorkUnit:
    """The unit of a checked document."""
    site = around.site
    zone = ZoneInfo(site.timezone)
    device = _device(unit.device)
    return WorkUnit(
        path=path,
        name=labels(unit.name),
        device=device,
        states=dated(unit.states, zone, _state_map),
        modes=dated(unit.modes, zone, _modes),
        inference=dated(unit.running_from, zone, _inference),
        product=dated(unit.product, zone, _product_rule),
        planned_run_time_s=dated(unit.planned_run_time_s, zone, dict),
        micro_stop_s=dated(unit.micro_stop_s, zone, float) or Dated.always(DEFAULT_MICRO_STOP_S),
        startup_s=pause_ms(unit.startup) / 1000,
        retrip_s=pause_ms(unit.retrip) / 1000,
        capacity_per_h=unit.capacity_per_h,
        max_age_ms=duration_ms(unit.max_age) if unit.max_age else SCANS_OF_MAX_AGE * device.scan_ms,
        calendar=since(unit.calendar or around.calendar, zone, lambda name: around.calendars[name]),
        timezone=site.timezone,
        policy=site.policy,
        max_power_kw=unit.max_power_kw,
        characteristics=tuple(_characteristic(each) for each in unit.characteristics),
        baseline=dated(unit.baseline, zone, lambda raw: Baseline(raw.kwh_per_unit, raw.base_kwh, raw.driver)),
        tariff=_of_site(site.energy, lambda energy: around.tariffs[energy.tariff] if energy.tariff else None),
        grid_factor_kg_per_kwh=_of_site(site.energy, lambda energy: energy.grid_factor_kg_per_kwh),
        targets=labels(unit.targets),
        alerts=build_unit_alerts(unit.alerts),
        corrections=tuple(Correction(each.tag, since(each.factor, zone, float)) for each in unit.corrections),
        products=around.products,
        reasons=around.reasons,
        simulation=dict(unit.simulation),
    )


def labels(raw: Mapping[U, T]) -> dict[str, T]:
    """A mapping with plain texts as keys."""
    return {str(key): value for key, value in raw.items()}


def dated(raw: DatedDoc[T] | None, zone: ZoneInfo, build: Callable[[T], U]) -> Dated[U] | None:
    """A dated field with its meanings built; None where the file leaves it out."""
    return None if raw is None else since(raw, zone, build)


def since(raw: DatedDoc[T], zone: ZoneInfo, build: Callable[[T], U]) -> Dated[U]:
    """Each meaning from its local date on."""
    entries = sorted(((_start(entry.valid_from, zone), build(entry.value)) for entry in raw.root), key=lambda e: e[0])
    return Dated(tuple(entries))


def _start(valid_from: date | datetime | None, zone: ZoneInfo) -> Instant:
    if valid_from is None:
        return BEGINNING
    if not isinstance(valid_from, datetime):
        valid_from = datetime.combine(valid_from, time(), zone)
    return to_instant(valid_from if valid_from.tzinfo else valid_from.replace(tzinfo=zone))


def _of_site(energy: Dated[Energy], part: Callable[[Energy], U | None]) -> Dated[U | None] | None:
    """A part of the site's energy by date; None where the site never says it."""
    entries = tuple((start, part(each)) for start, each in energy.entries)
    return Dated(entries) if any(value is not None for _, value in entries) else None


def _device(raw: doc.DeviceDoc) -> DeviceRef:
    return DeviceRef(
        raw.template,
        *connection(raw.connection),
        raw.unit_id,
        duration_ms(raw.scan),
        duration_ms(raw.timeout),
        frozenset(raw.tags) if raw.tags else None,
    )


def _state_map(raw: "StateModel | doc.StatesDoc | Mapping[int, doc.StateWord]") -> StateMap:
    if isinstance(raw, StateModel):
        return state_map(raw)
    if isinstance(raw, doc.StatesDoc):
        return state_map(raw.model, raw.codes, {name: _category(word) for name, word in raw.override.items()})
    return {code: _category(word) for code, word in raw.items()}


def _category(word: str) -> TimeCategory | None:
    return None if word == doc.TRANSITION else TimeCategory(word)


def _modes(raw: "Mapping[int, doc.StopWord]") -> dict[int, TimeCategory]:
    return {code: TimeCategory(word) for code, word in raw.items()}


def _inference(raw: "doc.CounterDoc | doc.GaugeDoc") -> Inference:
    if isinstance(raw, doc.CounterDoc):
        return CounterInference(raw.counter, raw.cycles, duration_ms(raw.floor) / 1000)
    return GaugeInference(raw.gauge, raw.running_above, raw.stopped_below)


def _characteristic(raw: doc.CharacteristicDoc) -> Characteristic:
    return Characteristic(raw.tag, labels(raw.name), raw.lsl, raw.usl, raw.target, raw.subgroup)


def _product_rule(raw: "str | doc.ProductByTag") -> ProductRule:
    return ProductRule(fixed=raw) if isinstance(raw, str) else ProductRule(tag=raw.tag, codes=dict(raw.map))
