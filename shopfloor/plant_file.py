"""plant.yaml -> Plant: parsed once, every fault named with file, line, field and remedy."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from shopfloor import plant_schema as doc
from shopfloor.calendar import ALL_WEEK, Calendar, LocalRange, Shift
from shopfloor.dated import BEGINNING, Dated
from shopfloor.equipment import EquipmentPath
from shopfloor.errors import PlantError
from shopfloor.instant import Instant, to_instant
from shopfloor.plant import (
    Agent,
    Area,
    Correction,
    DeviceRef,
    Energy,
    Plant,
    Policy,
    Product,
    ProductRule,
    Site,
    Tariff,
    WorkCenter,
    WorkUnit,
)
from shopfloor.plant_checks import Problem, TemplateTags, cross_checks
from shopfloor.plant_faults import ABSENT, explained
from shopfloor.yaml_lines import LinedDocument, Place, parse

T = TypeVar("T")
U = TypeVar("U")
DEFAULT_MICRO_STOP_S = 300.0
SCANS_OF_MAX_AGE = 3


def load(path: Path, template_tags: TemplateTags | None = None) -> Plant:
    """Read and validate a plant file; raises PlantError with one line per problem, all at once."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as fault:
        raise PlantError(f"{path}: cannot be read ({fault.strerror}); give the path of a plant.yaml") from None
    except UnicodeDecodeError:
        raise PlantError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    document = parse(text)
    problems = list(document.problems)
    plant_doc: doc.PlantDoc | None = None
    if document.data is None and not problems:
        problems.append(((), "is empty; start from plants/ceper/plant.yaml"))
    if document.data is not None:
        try:
            plant_doc = doc.PlantDoc.model_validate(document.data)
        except ValidationError as fault:
            problems.extend(explained(fault.errors()))
        problems.extend(cross_checks(document.data, template_tags))
    if problems or plant_doc is None:
        raise PlantError(_lines(path, document, problems))
    return _build(plant_doc, hashlib.sha256(text.encode()).hexdigest()[:12])


def _lines(path: Path, document: LinedDocument, problems: list[Problem]) -> list[str]:
    placed = sorted({(document.line(place), _field(place), text) for place, text in _in_file(problems, document)})
    return [f"{path}:{line}: {field}: {text}" if field else f"{path}:{line}: {text}" for line, field, text in placed]


def _in_file(problems: list[Problem], document: LinedDocument) -> Iterator[Problem]:
    """Places without the steps that validation added and the file does not have (a dated wrapper, a union's branch)."""
    for place, text in problems:
        found: Place = ()
        for index, step in enumerate(place):
            if place[index + 1 : index + 2] == ("value",) and (*found, step, "value") not in document.lines:
                continue  # the dated wrapper of a plain value
            as_index = int(step) if isinstance(step, str) and step.isdigit() else step
            found = next(((*found, key) for key in (step, as_index) if (*found, key) in document.lines), found)
        absent = place[-1:] if place and text.startswith(ABSENT) else ()
        yield (*found, *absent), text


def _field(place: Place) -> str:
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _build(root: doc.PlantDoc, revision: str) -> Plant:
    calendars = {name: _calendar(name, calendar) for name, calendar in root.calendars.items()}
    sites = tuple(_site(root, site, calendars) for site in root.sites)
    units = {
        str(unit.path): unit
        for site in sites
        for area in site.areas
        for center in area.work_centers
        for unit in center.units
    }
    return Plant(
        enterprise=root.enterprise,
        language=root.language,
        products={name: Product(name, _labels(item.name), item.mass_kg) for name, item in root.products.items()},
        tariffs={name: _tariff(name, tariff) for name, tariff in root.tariffs.items()},
        sites=sites,
        agents={name: _agent(name, agent, units) for name, agent in root.agents.items()},
        revision=revision,
        units=units,
    )


def _labels(raw: Mapping[Any, U]) -> dict[str, U]:
    return {str(key): value for key, value in raw.items()}


def _agent(name: str, agent: doc.AgentDoc, units: Mapping[str, WorkUnit]) -> Agent:
    own = tuple(path for path in units if any(fnmatchcase(path, pattern) for pattern in agent.units))
    return Agent(name, own, agent.outbox_max_samples)


def _tariff(name: str, tariff: doc.TariffDoc) -> Tariff:
    start, end = doc.local_range(tariff.peak)
    return Tariff(
        name, tariff.currency, tariff.off_peak, tariff.peak_factor, start, end, tariff.kvarh, tariff.free_kvarh_per_kwh
    )


def _calendar(name: str, calendar: doc.CalendarDoc) -> Calendar:
    shifts = tuple(
        _shift(shift, raw if isinstance(raw, str) else raw.hours, calendar, raw)
        for shift, raw in calendar.shifts.items()
    )
    exceptions = {
        day: () if other == "closed" else tuple(_shift(shift, hours, calendar) for shift, hours in other.items())
        for day, other in calendar.exceptions.items()
    }
    return Calendar(name, shifts, exceptions)


def _shift(name: str, hours: str, calendar: doc.CalendarDoc, raw: "str | doc.ShiftDoc" = "") -> Shift:
    own = LocalRange(*doc.local_range(hours))
    rests = tuple(_within(own, *doc.local_range(rest)) for rest in calendar.breaks.get(name, ()))
    days = raw.days if isinstance(raw, doc.ShiftDoc) else None
    weekdays = frozenset(doc.WEEKDAYS.index(day) for day in days) if days else ALL_WEEK
    return Shift(name, own, rests, weekdays)


def _within(shift: LocalRange, start: int, end: int) -> LocalRange:
    """A break after midnight belongs to the night shift that began the day before."""
    return LocalRange(start + 1440, end + 1440) if start < shift.start else LocalRange(start, end)


def _site(root: doc.PlantDoc, site: doc.SiteDoc, calendars: Mapping[str, Calendar]) -> Site:
    zone = ZoneInfo(site.timezone)
    policy = Policy(site.policy.no_order, site.policy.unscheduled_run)

    def center(area_id: str, raw: doc.WorkCenterDoc) -> WorkCenter:
        place = (root.enterprise, site.id, area_id, raw.id)
        units = tuple(_unit(EquipmentPath(*place, unit.id), unit, site, policy, calendars) for unit in raw.work_units)
        return WorkCenter(raw.id, _labels(raw.name), raw.output_unit, units)

    areas = tuple(
        Area(area.id, _labels(area.name), tuple(center(area.id, raw) for raw in area.work_centers))
        for area in site.areas
    )
    energy = _dated(site.energy, zone, lambda raw: Energy(raw.tariff, raw.grid_factor_kg_per_kwh))
    return Site(site.id, _labels(site.name), site.timezone, policy, energy or Dated.always(Energy()), areas)


def _unit(
    path: EquipmentPath, unit: doc.WorkUnitDoc, site: doc.SiteDoc, policy: Policy, calendars: Mapping[str, Calendar]
) -> WorkUnit:
    zone = ZoneInfo(site.timezone)
    scan_ms = doc.duration_ms(unit.device.scan)
    calendar = _dated(unit.calendar or site.calendar, zone, lambda name: calendars[name])
    assert calendar is not None  # noqa: S101 - a site's calendar is required by the schema
    return WorkUnit(
        path=path,
        name=_labels(unit.name),
        device=DeviceRef(
            unit.device.template,
            *doc.connection(unit.device.connection),
            unit.device.unit_id,
            scan_ms,
            doc.duration_ms(unit.device.timeout),
            frozenset(unit.device.tags) if unit.device.tags else None,
        ),
        states=_dated(unit.states, zone, dict),
        product=_dated(unit.product, zone, _product_rule),
        planned_run_time_s=_dated(unit.planned_run_time_s, zone, dict),
        micro_stop_s=_dated(unit.micro_stop_s, zone, float) or Dated.always(DEFAULT_MICRO_STOP_S),
        max_age_ms=doc.duration_ms(unit.max_age) if unit.max_age else SCANS_OF_MAX_AGE * scan_ms,
        calendar=calendar,
        timezone=site.timezone,
        policy=policy,
        max_power_kw=unit.max_power_kw,
        targets=_labels(unit.targets),
        corrections=tuple(_correction(item, zone) for item in unit.corrections),
        simulation=dict(unit.simulation),
    )


def _correction(item: doc.CorrectionDoc, zone: ZoneInfo) -> Correction:
    factor = _dated(item.factor, zone, float)
    assert factor is not None  # noqa: S101 - required by the schema
    return Correction(item.tag, factor)


def _product_rule(raw: "str | doc.ProductByTag") -> ProductRule:
    return ProductRule(fixed=raw) if isinstance(raw, str) else ProductRule(tag=raw.tag, codes=dict(raw.map))


def _dated(raw: "doc.DatedDoc[T] | None", zone: ZoneInfo, build: Callable[[T], U]) -> Dated[U] | None:
    if raw is None:
        return None
    entries = sorted(((_since(entry.valid_from, zone), build(entry.value)) for entry in raw.root), key=lambda e: e[0])
    return Dated(tuple(entries))


def _since(valid_from: "date | datetime | None", zone: ZoneInfo) -> Instant:
    if valid_from is None:
        return BEGINNING
    if not isinstance(valid_from, datetime):
        valid_from = datetime.combine(valid_from, time(), zone)
    return to_instant(valid_from if valid_from.tzinfo else valid_from.replace(tzinfo=zone))
