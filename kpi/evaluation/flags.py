"""What a reader should know before trusting a record's numbers. Facts to KPIs.

A flag is a short stable id; ``FLAGS`` says what each means, and the reference page prints it.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Any, Final

SLACK: Final = 1e-9
"""Relative: how far sums of floats may be apart."""

FLAGS: Final[Mapping[str, str]] = {
    "effectiveness_above_1": "made faster than planned: the planned run time (PRI), the product or a count is wrong",
    "effectiveness_above_1_1": "more than 10 % faster than planned: an error rather than a fast crew",
    "planned_run_time_missing": "pieces were made of a product without PRI: KPIs that need it are null",
    "nothing_produced": "the unit produced, by its state, and nothing was counted: is there a counter?",
    "produced_without_running": "pieces were counted while no production time was seen",
    "good_above_produced": "more good pieces than produced ones: a counter is wrong or counts something else",
    "negative_quantity": "a quantity is negative: a stated correction takes away more than was counted",
    "mixed_quantity_units": "products of several quantity units in one record: KPIs of quantities are null",
    "not_counted": "no counter and nobody tells quantities: their KPIs are null, a place leaves the unit out",
    "no_failures": "no failure in the window: MTBF, MTTF and MTTR are null, not infinite",
    "assumed_failures": "some failures are unplanned stops that no reason confirms",
    "orders_incomplete": "busy for longer than orders were stated: KPIs over order time are too high",
    "unattributed": "pieces or energy counted across a gap: in totals, not in ratios",
    "unscheduled_run": "ran outside planned busy time: kept beside",
    "inferred_time": "some time follows from a counter or a gauge, not from a state",
    "stated_time": "some time was put in its category by a person",
    "stated_quantities": "some of the produced quantity was stated by a person",
    "counter_resets": "a counter was reset in the window",
    "implausible_counts": "a counter step was refused as beyond the plausible rate",
}
"""Flags of an evaluated record, in the order in which they are raised."""

ITEM_FLAGS: Final[Mapping[str, str]] = {
    "snapped_to_minutes": "the window was widened to whole minutes",
    "changed_after_sign_off": "signed off, and changed since: the revisions tell what",
    "energy_of_meters": "no machine counts energy: that of the place is of its meters",
    "no_data": "nothing is known of this time",
}
"""Beside those of the record, of an item that the API answers."""

ENERGY_FLAGS: Final[Mapping[str, str]] = {
    "mixed_currencies": "several tariffs with several currencies: no cost",
    "baseline_changed": "the energy baseline changed within the window: no expectation over it",
    "partial_month": "not a whole month, or one under way: the bill is for what has been used",
    "share_of_site": "a part of a site has no contract: no minimum of a bill",
    "tariff_changed": "the tariff changed within the month: the bill is by the one at its start",
}
"""Beside those of an item, of its energy and bill."""

CAPABILITY_FLAGS: Final[Mapping[str, str]] = {
    "no_values": "no reading of good quality: no capability",
    "too_few_values": "fewer readings than a subgroup needs: no capability",
    "few_subgroups": "few subgroups: the indices are uncertain",
    "not_stable": "the control chart has alarms: the indices tell of no stable process",
    "not_normal": "the readings are not normally distributed: shares beyond the limits do not follow from the indices",
    "unequal_subgroups": "subgroups of several sizes",
    "no_limits": "no limit in the plant file: no index",
    "one_limit": "one limit only: Cp and Pp are not defined, Cpk and Ppk are of that limit",
    "zero_sigma": "all readings are equal: no spread to divide by",
}
"""Of the capability of a characteristic."""

QUANTITIES: Final = ("produced", "good", "scrap", "rework", "inspected", "first_pass_good", "consumed_kg")


UNATTRIBUTED: Final = ("unattributed_produced", "unattributed_good", "unattributed_scrap", "unattributed_energy_kwh")


def run_time_missing(elements: Mapping[str, float]) -> bool:
    """Whether pieces were made and no planned run time rates them."""
    return elements.get("produced", 0.0) > 0 and not elements.get("planned_run_s")


def record_flags(
    elements: Mapping[str, float], kpis: Mapping[str, float | None], *, mixed: bool = False, counted: bool = True
) -> tuple[str, ...]:
    """The flags of a record with its sums and its KPIs.

    ``mixed``: its quantities are of several units; not ``counted``: nothing tells its quantities.
    """
    raised = conditions(lambda name: elements.get(name, 0.0), kpis["effectiveness"] or 0.0)
    if mixed:
        raised |= {"good_above_produced": False, "mixed_quantity_units": True}
    if not counted:
        raised |= {"nothing_produced": False, "not_counted": True}
    return tuple(flag for flag in FLAGS if raised.get(flag))


def conditions(get: Callable[[str], Any], effectiveness: Any) -> dict[str, Any]:
    """Flag -> whether it is raised, for a record (floats) or for many of them (arrays of one length).

    ``get`` gives an element by name, 0 where there is none; ``effectiveness`` is 0 where it is undefined. Whether
    quantities are mixed is not told by their numbers.
    """
    produced, production, busy, order = get("produced"), get("production_s"), get("busy_s"), get("order_s")
    unrated = get("planned_run_s") == 0
    return {
        "effectiveness_above_1": effectiveness > 1 + SLACK,
        "effectiveness_above_1_1": effectiveness > 1.1 * (1 + SLACK),
        "planned_run_time_missing": (produced > 0) & unrated,
        "nothing_produced": (production > 0) & (produced == 0) & unrated,
        "produced_without_running": (produced > 0) & (production == 0),
        "good_above_produced": get("good") > produced + SLACK * abs(produced),
        "negative_quantity": _any(get(name) < 0 for name in QUANTITIES),
        "no_failures": (get("processing_s") > 0) & (get("failures") == 0),
        "assumed_failures": get("assumed_failures") > 0,
        "orders_incomplete": (order > 0) & (order < busy * (1 - SLACK)),
        "unattributed": _any(get(name) != 0 for name in UNATTRIBUTED),
        "unscheduled_run": get("unscheduled_run_s") > 0,
        "inferred_time": get("inferred_s") > 0,
        "stated_time": get("stated_s") > 0,
        "stated_quantities": get("stated_produced") != 0,
        "counter_resets": get("counter_resets") > 0,
        "implausible_counts": get("implausible") > 0,
    }


def _any(conditions: Iterable[Any]) -> Any:
    return reduce(or_, conditions)
