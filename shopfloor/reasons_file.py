"""The tree of stop reasons: nested in plant.yaml, flat by id in the plant, with what each inherits filled in."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from shopfloor.calendar_checks import Problem
from shopfloor.machine_state import TimeCategory
from shopfloor.plant_schema import ReasonDoc
from shopfloor.reason import Maintenance, Reason
from shopfloor.yaml_lines import Place


def build_reasons(tree: Mapping[str, ReasonDoc]) -> dict[str, Reason]:
    """Every reason by its id, parents before children; raises nothing for a checked tree."""
    return {reason.id: reason for _, reason in _flat((), tree, None)}


def _flat(at: Place, tree: Mapping[str, ReasonDoc], parent: Reason | None) -> Iterator[tuple[Place, Reason]]:
    for name, raw in tree.items():
        inherited = parent or Reason(id="", name={})
        reason = Reason(
            id=name,
            name={str(language): text for language, text in raw.name.items()},
            parent=parent.id if parent else None,
            category=TimeCategory(raw.category) if raw.category else inherited.category,
            failure=inherited.failure if raw.failure is None else raw.failure,
            maintenance=raw.maintenance or inherited.maintenance,
        )
        yield (*at, name), reason
        yield from _flat((*at, name, "children"), raw.children, reason)


def reason_problems(raw: Any) -> Iterator[Problem]:
    """Ids that stand twice in the tree, and reasons that contradict themselves; nothing where the shape is wrong."""
    tree: dict[str, ReasonDoc] = {}
    for name, each in raw.items() if isinstance(raw, dict) else ():
        try:
            tree[name] = ReasonDoc.model_validate(each)
        except ValidationError:
            continue
    seen: dict[str, Place] = {}
    faulty: set[str] = set()
    for place, reason in _flat(("reasons",), tree, None):
        if reason.id in seen:
            above = ".".join(str(step) for step in seen[reason.id])
            yield place, f"the reason {reason.id!r} stands twice (also as {above}); an id is unique in the whole tree"
        seen.setdefault(reason.id, place)
        fault = _contradiction(reason)
        if fault and reason.parent not in faulty:
            yield place, fault
        if fault:
            faulty.add(reason.id)


def _contradiction(reason: Reason) -> str:
    if reason.failure and reason.category not in (None, TimeCategory.UNPLANNED_STOP):
        return f"is a failure and {reason.category}; a failure is an unplanned_stop, so say failure: false"
    if reason.failure and reason.maintenance is Maintenance.PREVENTIVE:
        return "is a failure and preventive maintenance; say failure: false, or maintenance: corrective"
    return ""
