"""People -> statements: whether what somebody says can be true at all. Pure: of the plant and the time only."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from kpi.timeline.statements import STATABLE
from kpi_api.questions import BadStatement, nearest_word
from shopfloor.additive import COLUMNS
from shopfloor.instant import HOUR, MINUTE, Instant, format_instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import Plant, QuantityUnit
from shopfloor.statement import STATED_QUANTITIES, StatementKind

LONGEST: Final = 31 * 24 * HOUR
"""A longer statement is refused: state it month by month."""
AHEAD: Final = MINUTE
"""Clocks of people's devices may be ahead by so much."""
MOST: Final = 1e9
_NOT_NEGATIVE: Final = frozenset({"planned_scrap", "inspected", "first_pass_good", "attendance_s", "work_s"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What somebody wants to state."""

    unit: str
    kind: StatementKind
    start: Instant
    end: Instant | None = None
    author: str
    reason: str | None = None
    category: TimeCategory | None = None
    product: str | None = None
    order: str | None = None
    quantities: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    supersedes: str | None = None


_SAYS: Final[Mapping[StatementKind, frozenset[str]]] = {
    StatementKind.REASON: frozenset({"reason"}),
    StatementKind.CATEGORY: frozenset({"category"}),
    StatementKind.ORDER: frozenset({"order", "product"}),
    StatementKind.QUANTITY: frozenset({"quantities"}),
    StatementKind.SIGN_OFF: frozenset(),
}
"""Kind -> the fields that it may have."""
_OF_MACHINES: Final = frozenset({StatementKind.REASON, StatementKind.CATEGORY, StatementKind.ORDER})
_INSTEAD: Final[Mapping[TimeCategory, str]] = {
    TimeCategory.NOT_SCHEDULED: "change the calendar, or state planned_stop",
    TimeCategory.MICRO_STOP: "state unplanned_stop, or change micro_stop_s in the plant file",
    TimeCategory.UNKNOWN: "withdraw the statement that is wrong instead",
}


def check(claim: Claim, plant: Plant, now: Instant) -> None:
    """Raise BadStatement when a claim cannot be true, or says nothing."""
    if not claim.author:
        raise BadStatement("nobody signs the statement", "send 'author': who says so")
    _check_times(claim, now)
    _check_fields(claim)
    unit = plant.units[claim.unit]
    if claim.kind in _OF_MACHINES and not unit.is_machine:
        raise BadStatement(f"{claim.unit} is a meter: it has no states, no stops and no orders", "name a machine")
    if claim.kind is StatementKind.REASON and claim.reason not in plant.reasons:
        remedy = nearest_word(plant.reasons, claim.reason or "")
        raise BadStatement(f"the plant has no reason {claim.reason!r}", remedy)
    if claim.category is not None and claim.category not in STATABLE:
        raise BadStatement(f"category {claim.category} cannot be stated: it is derived", _INSTEAD[claim.category])
    if claim.product is not None and claim.product not in plant.products:
        raise BadStatement(f"the plant has no product {claim.product!r}", nearest_word(plant.products, claim.product))
    _check_quantities(claim.quantities, whole=_in_pieces(plant))


def _check_times(claim: Claim, now: Instant) -> None:
    if claim.start > now + AHEAD or (claim.end is not None and claim.end > now + AHEAD):
        said = format_instant(claim.start if claim.end is None else claim.end)
        remedy = f"it is {format_instant(now)}; leave 'to' out while it lasts"
        raise BadStatement(f"{said} is in the future: it has not happened yet", remedy)
    if claim.end is not None and claim.end <= claim.start:
        raise BadStatement("the interval has no length", "give a 'to' that is later than 'from'")
    if (now if claim.end is None else claim.end) - claim.start > LONGEST:
        raise BadStatement("the interval is longer than 31 days", "state it in shorter parts")


def _check_fields(claim: Claim) -> None:
    said = {name for name in ("reason", "category", "product", "order", "quantities") if getattr(claim, name)}
    allowed = _SAYS[claim.kind]
    if odd := sorted(said - allowed):
        raise BadStatement(f"a statement of kind {claim.kind} has no {', '.join(odd)}", "state each kind apart")
    if allowed and not said:
        raise BadStatement(f"a statement of kind {claim.kind} says nothing", f"give {' or '.join(sorted(allowed))}")


def _in_pieces(plant: Plant) -> bool:
    return all(product.quantity_unit is QuantityUnit.PIECE for product in plant.products.values())


def _check_quantities(given: Mapping[str, float], *, whole: bool) -> None:
    if given and not any(given.values()):
        raise BadStatement("every quantity is 0: that says nothing", "give what was counted")
    for name, value in given.items():
        if name not in STATED_QUANTITIES:
            raise BadStatement(f"there is no quantity {name!r}", nearest_word(STATED_QUANTITIES, name))
        if not math.isfinite(value) or abs(value) > MOST:
            raise BadStatement(f"{name} = {value} is no count", "give a number up to 1e9")
        if value < 0 and name in _NOT_NEGATIVE:
            raise BadStatement(f"{name} = {value:g} is negative", "give 0 or more")
        if whole and COLUMNS[name].unit == "piece" and value != int(value):
            raise BadStatement(f"{name} = {value:g} is a part of a piece", "give whole pieces")
    _check_parts(given)


def _check_parts(given: Mapping[str, float]) -> None:
    """More good than produced, more right at first than inspected, or more work than attendance cannot be."""
    if {"produced", "good", "scrap"} <= given.keys() and given["good"] + given["scrap"] > given["produced"] >= 0:
        detail = f"good + scrap = {given['good'] + given['scrap']:g} is more than produced = {given['produced']:g}"
        raise BadStatement(detail, "count again: good and scrap are some of produced")
    for part, all_of in (
        ("good", "produced"),
        ("scrap", "produced"),
        ("first_pass_good", "inspected"),
        ("work_s", "attendance_s"),
    ):
        if part in given and all_of in given and given[part] > given[all_of] >= 0:
            detail = f"{part} = {given[part]:g} is more than {all_of} = {given[all_of]:g}"
            raise BadStatement(detail, f"count again: {part} are some of {all_of}")
