"""Contradictions of one work unit: states, inference, characteristics and tags that cannot all be meant."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from shopfloor import plant_schema as doc
from shopfloor.alerts_file import alert_problems, watched_tags
from shopfloor.calendar_checks import Problem
from shopfloor.plant_fields import DatedDoc, is_dated
from shopfloor.state_models import CODES, MEANINGS, StateModel
from shopfloor.tag import CANONICAL, TagKind
from shopfloor.yaml_lines import Place

PART_COUNTERS = ("produced", "good", "scrap", "rework", "heats")
"""Canonical counters that count what a unit makes."""
Kinds = Mapping[str, TagKind | None]
"""The tags that a unit's device gives; None for a kind that nobody told."""


def machine_problems(raw: Mapping[Any, Any], at: Place, products: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """What contradicts itself within a unit; fields whose shape is wrong already are left out."""
    for place, states in _entries(raw, "states", DatedDoc[doc.States], at):
        yield from _state_problems(place, states, raw)
    for place, inference in _entries(raw, "running_from", DatedDoc[doc.RunningFrom], at):
        yield from _inference_problems(place, inference, raw)
    for place, baseline in _entries(raw, "baseline", DatedDoc[doc.BaselineDoc], at):
        if baseline.driver.endswith("_kg") and not all(_has_mass(product) for product in products):
            yield place, f"{baseline.driver} needs the mass of what is made here; add mass_kg to its products"
    yield from _characteristic_problems((*at, "characteristics"), raw.get("characteristics"))
    yield from alert_problems(raw, (*at, "alerts"))
    if "startup" in raw and not {"states", "running_from"} & raw.keys():
        yield (*at, "startup"), "a unit without states and running_from never starts; remove it"


def _has_mass(product: Any) -> bool:
    return isinstance(product, dict) and ("mass_kg" in product or product.get("unit") == "kg")


def _entries(raw: Mapping[Any, Any], field: str, shape: Any, at: Place) -> Iterator[tuple[Place, Any]]:
    """The valid values of a dated field with their places."""
    if raw.get(field) is None:
        return
    try:
        dated = shape.model_validate(raw[field])
    except ValidationError:
        return
    for index, value in enumerate(dated.values()):
        yield (*at, field, *((index, "value") if is_dated(raw[field]) else ())), value


def _state_problems(at: Place, states: Any, unit: Mapping[Any, Any]) -> Iterator[Problem]:
    if isinstance(states, dict):
        if "running" not in states.values() and "running_from" not in unit:
            yield at, "no code means running; say which one does"
        return
    model = states if isinstance(states, StateModel) else states.model
    codes = {} if isinstance(states, StateModel) else states.codes or {}
    override = {} if isinstance(states, StateModel) else states.override
    if not codes and not CODES[model]:
        names = ", ".join(MEANINGS[model])
        yield at, f"{model} numbers no states; write {{model: {model}, codes: {{1: prd, ...}}}} with {names}"
    placed = [((*at, "codes", code), name) for code, name in codes.items()]
    placed += [((*at, "override", name), name) for name in override]
    for place, name in placed:
        if name not in MEANINGS[model]:
            yield place, f"{model} has no state {name!r}; it has {', '.join(MEANINGS[model])}"


def _inference_problems(
    at: Place, inference: "doc.CounterDoc | doc.GaugeDoc", unit: Mapping[Any, Any]
) -> Iterator[Problem]:
    if isinstance(inference, doc.GaugeDoc):
        if inference.stopped_below > inference.running_above:
            yield (
                (*at, "stopped_below"),
                f"{inference.stopped_below:g} is above running_above {inference.running_above:g}; exchange them",
            )
    elif not {"planned_run_time_s", "product"} & unit.keys():  # a product without its time is told elsewhere
        yield (*at, "counter"), "a counter tells of cycles only where their time is known; add planned_run_time_s"


def _characteristic_problems(at: Place, raw: Any) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, each in enumerate(raw if isinstance(raw, list) else ()):
        try:
            measured = doc.CharacteristicDoc.model_validate(each)
        except ValidationError:
            continue
        here: Place = (*at, index)
        if measured.tag in seen:
            yield (*here, "tag"), f"the tag {measured.tag!r} has a specification already; keep one"
        seen.add(measured.tag)
        yield from _limit_problems(here, measured)


def _limit_problems(at: Place, measured: doc.CharacteristicDoc) -> Iterator[Problem]:
    low, high, target = measured.lsl, measured.usl, measured.target
    if low is None and high is None:
        yield at, "has no limit; add lsl, usl or both"
    if low is not None and high is not None and low >= high:
        yield (*at, "lsl"), f"{low:g} is not below usl {high:g}; exchange or correct them"
    elif target is not None and ((low is not None and target < low) or (high is not None and target > high)):
        yield (*at, "target"), f"{target:g} lies outside the limits; correct it"


def tag_problems(raw: Mapping[Any, Any], at: Place, template: str, kinds: Kinds) -> Iterator[Problem]:
    """Tags that a unit names and its device does not give, or gives as another kind.

    A device without any tag has a fault of its own, which is told where it stands.
    """
    if not kinds:
        return
    for place, tag, kind in _wanted(raw, at):
        if tag not in kinds:
            yield place, f"template {template!r} gives no tag {tag!r} here; it gives {', '.join(sorted(kinds))}"
            continue
        given = kinds[tag] or _canonical(tag)
        if kind is not None and given is not None and given is not kind:
            yield place, f"the tag {tag!r} is a {given}; choose a {kind}{_choices(kind, kinds)}"
    for place, inference in _entries(raw, "running_from", DatedDoc[doc.RunningFrom], at):
        counter = inference.counter if isinstance(inference, doc.CounterDoc) else ""
        if _canonical(counter) is TagKind.COUNTER and counter not in PART_COUNTERS:
            yield (*place, "counter"), f"{counter!r} counts no parts; use one of {', '.join(PART_COUNTERS)}"
    if "state" in kinds and not (_says(raw, "states") or _says(raw, "running_from")):
        yield (
            (*at, "device", "template"),
            f"template {template!r} reads a state; say what its codes mean in 'states'",
        )


def _wanted(raw: Mapping[Any, Any], at: Place) -> Iterator[tuple[Place, str, TagKind | None]]:
    """Every tag that the unit names, with its place and the kind that it must have."""
    for field, tag in (("states", "state"), ("modes", "unit_mode")):
        if field in raw:
            yield (*at, field), tag, TagKind.STATE
    for place, rule in _entries(raw, "product", DatedDoc[str | doc.ProductByTag], at):
        if isinstance(rule, doc.ProductByTag):
            yield (*place, "tag"), rule.tag, None
    for place, inference in _entries(raw, "running_from", DatedDoc[doc.RunningFrom], at):
        if isinstance(inference, doc.CounterDoc):
            yield (*place, "counter"), inference.counter, TagKind.COUNTER
        else:
            yield (*place, "gauge"), inference.gauge, TagKind.GAUGE
    for place, tag in watched_tags(raw, (*at, "alerts")):
        yield place, tag, TagKind.GAUGE
    for field, kind in (("characteristics", TagKind.GAUGE), ("corrections", None)):
        listed = raw.get(field)
        for index, item in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(item, dict) and isinstance(item.get("tag"), str):
                yield (*at, field, index, "tag"), item["tag"], kind


def _choices(kind: TagKind, kinds: Kinds) -> str:
    fitting = [tag for tag, given in sorted(kinds.items()) if given is kind or _canonical(tag) is kind]
    fitting.sort(key=lambda tag: tag not in PART_COUNTERS)
    return f", e.g. {fitting[0]}" if fitting else ""


def _canonical(tag: str) -> TagKind | None:
    return CANONICAL[tag][0] if tag in CANONICAL else None


def _says(raw: Mapping[Any, Any], field: str) -> bool:
    """Whether the unit has the field, perhaps misspelt (that is told elsewhere)."""
    strange = [str(key) for key in raw if key not in doc.WorkUnitDoc.model_fields]
    return field in raw or bool(difflib.get_close_matches(field, strange, n=1))
