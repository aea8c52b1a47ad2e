"""Cross-references of a plant file, checked on the raw data so that they show together with faults of shape."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import available_timezones

from shopfloor.calendar_checks import Problem, calendar_problems
from shopfloor.errors import PlantError
from shopfloor.plant_fields import is_dated
from shopfloor.reasons_file import reason_problems
from shopfloor.tag import TagKind
from shopfloor.unit_checks import machine_problems, tag_problems
from shopfloor.yaml_lines import Place

TemplateTags = Callable[[str], Mapping[str, TagKind] | frozenset[str]]
"""Template name -> the tags it has, with their kinds where the caller knows them; raises PlantError for an unknown or
broken template."""


def cross_checks(root: Any, template_tags: TemplateTags | None) -> Iterator[Problem]:
    """Every reference that leads nowhere, every id that stands twice, every unit without an agent."""
    root = _mapping(root)
    for name, calendar in _mapping(root.get("calendars")).items():
        yield from calendar_problems(name, calendar)
    yield from reason_problems(root.get("reasons"))
    yield from _check_measures(root)
    units: dict[str, Place] = {}
    for site_index, site in _items(root, "sites"):
        at_site: Place = ("sites", site_index)
        yield from _check_site(root, site, at_site)
        for area_index, area in _items(site, "areas"):
            for center_index, center in _items(area, "work_centers"):
                at_center = (*at_site, "areas", area_index, "work_centers", center_index)
                yield from _check_line(root, center, at_center)
                for unit_index, unit in _items(center, "work_units"):
                    at_unit = (*at_center, "work_units", unit_index)
                    path = "/".join(str(part.get("id")) for part in (site, area, center, unit))
                    if path in units:
                        yield (*at_unit, "id"), f"the unit {path} stands twice; give each its own id"
                    units[path] = at_unit
                    yield from _check_unit(root, unit, at_unit, template_tags)
    yield from _check_agents(root, units)


def _mapping(raw: Any) -> Mapping[Any, Any]:
    return raw if isinstance(raw, dict) else {}


def _items(raw: Any, key: str) -> Iterator[tuple[int, Mapping[Any, Any]]]:
    listed = _mapping(raw).get(key)
    for index, item in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(item, dict):
            yield index, item


def _dated_values(raw: Any) -> Iterator[tuple[Place, Any]]:
    """Each value of a dated meaning with its place below the field."""
    if is_dated(raw):
        for index, item in enumerate(raw):
            yield (index, "value"), item["value"]
    elif raw is not None:
        yield (), raw


def _unknown(kind: str, name: Any, known: Mapping[Any, Any]) -> str:
    close = difflib.get_close_matches(str(name), [str(key) for key in known], n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(map(str, known)) or 'none'}"
    return f"there is no {kind} {name!r}; {hint}"


def _check_site(root: Mapping[Any, Any], site: Mapping[Any, Any], at: Place) -> Iterator[Problem]:
    zone = site.get("timezone")
    if isinstance(zone, str) and zone not in available_timezones():
        close = difflib.get_close_matches(zone, available_timezones(), n=1)
        yield (
            (*at, "timezone"),
            f"{zone!r} is not an IANA zone; " + (f"did you mean {close[0]!r}?" if close else "write e.g. Asia/Jakarta"),
        )
    yield from _check_references(site.get("calendar"), (*at, "calendar"), "calendar", _mapping(root.get("calendars")))
    for below, energy in _dated_values(site.get("energy")):
        tariff = _mapping(energy).get("tariff")
        if tariff is not None and tariff not in _mapping(root.get("tariffs")):
            yield (*at, "energy", *below, "tariff"), _unknown("tariff", tariff, _mapping(root.get("tariffs")))


def _check_references(raw: Any, at: Place, kind: str, known: Mapping[Any, Any]) -> Iterator[Problem]:
    for below, name in _dated_values(raw):
        if isinstance(name, str) and name not in known:
            yield (*at, *below), _unknown(kind, name, known)


def _check_measures(root: Mapping[Any, Any]) -> Iterator[Problem]:
    """Tariffs and products that contradict themselves."""
    for name, product in _mapping(root.get("products")).items():
        product = _mapping(product)
        if product.get("unit") == "kg" and product.get("mass_kg", 1) != 1:
            yield ("products", name, "mass_kg"), "a kilogram has the mass 1; remove mass_kg, or count in piece or heat"
    for name, tariff in _mapping(root.get("tariffs")).items():
        tariff = _mapping(tariff)
        if tariff.get("minimum_hours") not in (None, 0) and "contract_kva" not in tariff:
            yield ("tariffs", name, "minimum_hours"), "a minimum bill needs the contracted power; add contract_kva"


def _check_line(root: Mapping[Any, Any], center: Mapping[Any, Any], at: Place) -> Iterator[Problem]:
    output = center.get("output_unit")
    ids = {unit.get("id"): unit for _, unit in _items(center, "work_units")}
    if output is not None and output not in ids:
        yield (*at, "output_unit"), _unknown("work unit in this work center", output, ids)
    if output is None and "planned_run_time_s" in center:
        yield (*at, "planned_run_time_s"), "only a serial line has its own; add output_unit, or give it to the units"
    yield from _check_timed(root, center, at)


def _check_timed(root: Mapping[Any, Any], holder: Mapping[Any, Any], at: Place) -> Iterator[Problem]:
    products = _mapping(root.get("products"))
    for below, times in _dated_values(holder.get("planned_run_time_s")):
        for product in _mapping(times):
            if product not in products:
                yield (*at, "planned_run_time_s", *below, product), _unknown("product", product, products)


def _check_unit(
    root: Mapping[Any, Any], unit: Mapping[Any, Any], at: Place, template_tags: TemplateTags | None
) -> Iterator[Problem]:
    products = _mapping(root.get("products"))
    yield from _check_references(unit.get("calendar"), (*at, "calendar"), "calendar", _mapping(root.get("calendars")))
    made: list[tuple[Place, Any]] = []
    for below, rule in _dated_values(unit.get("product")):
        if isinstance(rule, str):
            made.append(((*at, "product", *below), rule))
        for code, product in _mapping(_mapping(rule).get("map")).items():
            made.append(((*at, "product", *below, "map", code), product))
    timed = [_mapping(times) for _, times in _dated_values(unit.get("planned_run_time_s"))]
    for place, product in made:
        if product not in products:
            yield place, _unknown("product", product, products)
        elif not any(product in times for times in timed):
            yield place, f"product {product!r} has no planned_run_time_s here; add its seconds per piece"
    yield from _check_timed(root, unit, at)
    yield from machine_problems(unit, at, [products[name] for _, name in made if name in products])
    if template_tags is not None:
        yield from _check_template(unit, at, template_tags)


def _check_template(unit: Mapping[Any, Any], at: Place, template_tags: TemplateTags) -> Iterator[Problem]:
    name = _mapping(unit.get("device")).get("template")
    if not isinstance(name, str):
        return
    try:
        tags = template_tags(name)
    except PlantError as fault:
        yield from (((*at, "device", "template"), problem) for problem in fault.problems)
        return
    chosen = _mapping(unit.get("device")).get("tags")
    kinds = tags if isinstance(tags, Mapping) else dict.fromkeys(tags)
    if isinstance(chosen, list):
        yield from _check_chosen(chosen, frozenset(kinds), name, (*at, "device", "tags"))
        kinds = {tag: kind for tag, kind in kinds.items() if tag in chosen}
    yield from tag_problems(unit, at, name, kinds)


def _check_chosen(chosen: list[Any], tags: frozenset[str], template: str, at: Place) -> Iterator[Problem]:
    for index, tag in enumerate(chosen):
        if tag not in tags:
            close = difflib.get_close_matches(str(tag), tags, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(sorted(tags))}"
            yield (*at, index), f"template {template!r} has no tag {tag!r}; {hint}"


def _check_agents(root: Mapping[Any, Any], units: Mapping[str, Place]) -> Iterator[Problem]:
    owner: dict[str, Any] = {}
    unmatched = False
    agents = _mapping(root.get("agents"))
    for name, agent in agents.items():
        patterns = _mapping(agent).get("units")
        for index, pattern in enumerate(patterns if isinstance(patterns, list) else []):
            place: Place = ("agents", name, "units", index)
            matched = [path for path in units if fnmatchcase(path, str(pattern))]
            if not matched and units:
                unmatched = True
                close = difflib.get_close_matches(str(pattern), list(units), n=1)
                yield place, f"{pattern!r} matches no unit; " + (f"did you mean {close[0]!r}?" if close else "check it")
            for path in matched:
                if owner.setdefault(path, name) != name:
                    yield place, f"the unit {path} belongs to agent {owner[path]!r} already; a unit has one agent"
    orphans = [path for path in units if path not in owner]
    if agents and orphans and not unmatched:  # a pattern that matches nothing was meant for them
        place = (*units[orphans[0]], "id") if len(orphans) == 1 else ("agents",)
        yield place, f"no agent reads {', '.join(orphans)}; add it under agents"
