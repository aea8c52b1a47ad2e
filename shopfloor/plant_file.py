"""plant.yaml -> Plant: parsed once, every fault named with file, line, field and remedy."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from shopfloor import plant_schema as doc
from shopfloor.alerts_file import build_plant_alerts
from shopfloor.calendar import Calendar
from shopfloor.calendar_file import build_calendar
from shopfloor.dated import Dated
from shopfloor.duration import duration_ms
from shopfloor.equipment import EquipmentPath
from shopfloor.errors import PlantError
from shopfloor.file_problems import lines_of, text_of
from shopfloor.plant import (
    Agent,
    Area,
    Energy,
    Plant,
    Policy,
    Product,
    QuantityUnit,
    Site,
    Tariff,
    WorkCenter,
    WorkUnit,
)
from shopfloor.plant_checks import TemplateTags, cross_checks
from shopfloor.plant_faults import explained
from shopfloor.plant_fields import local_range
from shopfloor.plant_guidelines import ReadGuidelines, build_goals, read_guidelines
from shopfloor.reasons_file import build_reasons
from shopfloor.unit_build import Surroundings, build_unit, dated, labels
from shopfloor.yaml_lines import parse


def load(path: Path, template_tags: TemplateTags | None = None, sources: Collection[str] | None = None) -> Plant:
    """Read and validate a plant file; raises PlantError with one line per problem, all at once.

    ``sources`` are those of a guideline's metrics that can be computed; None leaves that unchecked.
    """
    text = text_of(path, "a plant.yaml")
    document = parse(text)
    problems = list(document.problems)
    guidelines = ReadGuidelines()
    plant_doc: doc.PlantDoc | None = None
    if document.data is None and not problems:
        problems.append(((), "is empty; start from plants/ceper/plant.yaml"))
    if document.data is not None and not isinstance(document.data, dict):
        problems.append(((), "is no plant file: it holds no 'name: value' lines; start from plants/ceper/plant.yaml"))
    elif document.data is not None:
        try:
            plant_doc = doc.PlantDoc.model_validate(document.data)
        except ValidationError as fault:
            problems.extend(explained(fault.errors()))
        problems.extend(cross_checks(document.data, template_tags))
        guidelines = read_guidelines(document.data, path.parent, sources)
        problems.extend(guidelines.problems)
    if problems or guidelines.lines or plant_doc is None:
        raise PlantError([*lines_of(path, document, problems), *guidelines.lines])
    plant = _build(plant_doc, hashlib.sha256(text.encode()).hexdigest()[:12])
    return replace(plant, guidelines=tuple(guidelines.found.values()))


def _build(root: doc.PlantDoc, revision: str) -> Plant:
    calendars = {name: build_calendar(name, calendar) for name, calendar in root.calendars.items()}
    plant = Plant(
        enterprise=root.enterprise,
        language=root.language,
        products={name: _product(name, product) for name, product in root.products.items()},
        tariffs={name: _tariff(name, tariff) for name, tariff in root.tariffs.items()},
        reasons=build_reasons(root.reasons),
        alerts=build_plant_alerts(root.alerts),
        sites=(),
        agents={},
        revision=revision,
        units={},
    )
    sites = tuple(_site(plant, site, calendars) for site in root.sites)
    units = {
        str(unit.path): unit
        for site in sites
        for area in site.areas
        for center in area.work_centers
        for unit in center.units
    }
    agents = {name: _agent(name, agent, units) for name, agent in root.agents.items()}
    return replace(plant, sites=sites, units=units, agents=agents)


def _product(name: str, raw: doc.ProductDoc) -> Product:
    mass_kg = 1.0 if raw.unit is QuantityUnit.KILOGRAM else raw.mass_kg
    return Product(name, labels(raw.name), mass_kg, raw.unit)


def _agent(name: str, agent: doc.AgentDoc, units: Mapping[str, WorkUnit]) -> Agent:
    own = tuple(path for path in units if any(fnmatchcase(path, pattern) for pattern in agent.units))
    return Agent(
        name,
        own,
        agent.outbox_max_samples,
        agent.outbox_max_mb * 1024 * 1024,
        agent.clock,
        duration_ms(agent.clock_settle),
    )


def _tariff(name: str, raw: doc.TariffDoc) -> Tariff:
    start, end = local_range(raw.peak)
    return Tariff(
        id=name,
        currency=raw.currency,
        off_peak=raw.off_peak,
        peak_factor=raw.peak_factor,
        peak_start_minute=start,
        peak_end_minute=end,
        kvarh=raw.kvarh,
        free_kvarh_per_kwh=raw.free_kvarh_per_kwh,
        contract_kva=raw.contract_kva,
        minimum_hours=raw.minimum_hours,
    )


def _site(plant: Plant, raw: doc.SiteDoc, calendars: Mapping[str, Calendar]) -> Site:
    zone = ZoneInfo(raw.timezone)
    policy = Policy(raw.policy.no_order, raw.policy.unscheduled_run, raw.policy.staffed)
    energy = dated(raw.energy, zone, lambda each: Energy(each.tariff, each.grid_factor_kg_per_kwh))
    site = Site(
        id=raw.id,
        name=labels(raw.name),
        timezone=raw.timezone,
        policy=policy,
        energy=energy or Dated.always(Energy()),
        areas=(),
        targets=labels(raw.targets),
        goals=build_goals(raw.goals),
    )
    around = Surroundings(
        site=site,
        calendar=raw.calendar,
        calendars=calendars,
        products=plant.products,
        tariffs=plant.tariffs,
        reasons=plant.reasons,
    )
    return replace(site, areas=tuple(_area(plant.enterprise, area, around) for area in raw.areas))


def _area(enterprise: str, raw: doc.AreaDoc, around: Surroundings) -> Area:
    centers = tuple(_center((enterprise, around.site.id, raw.id), center, around) for center in raw.work_centers)
    return Area(raw.id, labels(raw.name), centers, labels(raw.targets))


def _center(place: tuple[str, str, str], raw: doc.WorkCenterDoc, around: Surroundings) -> WorkCenter:
    return WorkCenter(
        id=raw.id,
        name=labels(raw.name),
        output_unit=raw.output_unit,
        units=tuple(build_unit(EquipmentPath(*place, raw.id, unit.id), unit, around) for unit in raw.work_units),
        planned_run_time_s=dated(raw.planned_run_time_s, ZoneInfo(around.site.timezone), dict),
        targets=labels(raw.targets),
    )
