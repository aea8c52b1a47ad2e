"""Cross-references of a plant file, checked on the raw data so that they show together with faults of shape."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import available_timezones

from shopfloor import plant_schema as doc
from shopfloor.errors import PlantError
from shopfloor.yaml_lines import Place

TemplateTags = Callable[[str], frozenset[str]]
"""Template name -> the tags it has; raises PlantError for an unknown or broken template."""

Problem = tuple[Place, str]
"""A place in the file, and what is wrong there with its remedy."""


def cross_checks(root: Any, template_tags: TemplateTags | None) -> Iterator[Problem]:
    """Every reference that leads nowhere, every id that stands twice, every unit without an agent."""
    root = _mapping(root)
    yield from _check_calendars(root)
    units: dict[str, Place] = {}
    for site_index, site in _items(root, "sites"):
        at_site: Place = ("sites", site_index)
        yield from _check_site(root, site, at_site)
        for area_index, area in _items(site, "areas"):
            for center_index, center in _items(area, "work_centers"):
                at_center = (*at_site, "areas", area_index, "work_centers", center_index)
                yield from _check_output_unit(center, at_center)
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
    if isinstance(raw, list) and raw and all(isinstance(item, dict) and "value" in item for item in raw):
        for index, item in enumerate(raw):
            yield (index, "value"), item["value"]
    elif raw is not None:
        yield (), raw


def _unknown(kind: str, name: Any, known: Mapping[Any, Any]) -> str:
    close = difflib.get_close_matches(str(name), [str(key) for key in known], n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(map(str, known)) or 'none'}"
    return f"there is no {kind} {name!r}; {hint}"


def _check_calendars(root: Mapping[Any, Any]) -> Iterator[Problem]:
    for name, calendar in _mapping(root.get("calendars")).items():
        shifts = _mapping(_mapping(calendar).get("shifts"))
        at: Place = ("calendars", name)
        for shift in _mapping(_mapping(calendar).get("breaks")):
            if shift not in shifts:
                yield (*at, "breaks", shift), _unknown("shift", shift, shifts)
        hours = []
        for shift, raw in shifts.items():
            try:
                hours.append((shift, *doc.local_range(_mapping(raw).get("hours", raw))))
            except (ValueError, TypeError):
                continue
        yield from _check_overlaps(at, hours)


def _check_overlaps(at: Place, hours: list[tuple[Any, int, int]]) -> Iterator[Problem]:
    ordered = sorted(hours, key=lambda shift: shift[1])
    for (first, start, end), (second, next_start, _) in zip(
        ordered, [*ordered[1:], *[(name, low + 1440, high) for name, low, high in ordered[:1]]], strict=True
    ):
        if next_start < end and first != second:
            yield (*at, "shifts", second), f"overlaps with shift {first!r}; a moment belongs to one shift"
        if end - start > 1440:
            yield (*at, "shifts", first), "is longer than a day"


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


def _check_output_unit(center: Mapping[Any, Any], at: Place) -> Iterator[Problem]:
    output = center.get("output_unit")
    ids = {unit.get("id"): unit for _, unit in _items(center, "work_units")}
    if output is not None and output not in ids:
        yield (*at, "output_unit"), _unknown("work unit in this work center", output, ids)


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
    for below, times in _dated_values(unit.get("planned_run_time_s")):
        for product in _mapping(times):
            if product not in products:
                yield (*at, "planned_run_time_s", *below, product), _unknown("product", product, products)
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
    if isinstance(chosen, list):
        yield from _check_chosen(chosen, tags, name, (*at, "device", "tags"))
        tags &= {str(tag) for tag in chosen}
    wanted: list[tuple[Place, Any]] = [((*at, "states"), "state")] if "states" in unit else []
    for below, rule in _dated_values(unit.get("product")):
        if isinstance(rule, dict) and "tag" in rule:
            wanted.append(((*at, "product", *below, "tag"), rule["tag"]))
    wanted += [((*at, "corrections", index, "tag"), item.get("tag")) for index, item in _items(unit, "corrections")]
    for place, tag in wanted:
        if tag not in tags:
            yield place, f"template {name!r} gives no tag {tag!r} here; it gives {', '.join(sorted(tags))}"
    if "state" in tags and not difflib.get_close_matches("states", list(map(str, unit)), n=1):
        yield (*at, "device", "template"), f"template {name!r} reads a state; say what its codes mean in 'states'"


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
