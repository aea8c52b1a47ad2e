"""What a reader should know before trusting a record's numbers. Facts to KPIs.

A flag is a short stable id; ``FLAGS`` says what each means, and the reference page prints it.
"""

from collections.abc import Mapping
from typing import Final

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

QUANTITIES: Final = ("produced", "good", "scrap", "rework", "inspected", "first_pass_good", "consumed_kg")


def run_time_missing(elements: Mapping[str, float]) -> bool:
    """Whether pieces were made and no planned run time rates them."""
    return elements.get("produced", 0.0) > 0 and not elements.get("planned_run_s")


def record_flags(
    elements: Mapping[str, float], kpis: Mapping[str, float | None], *, mixed: bool = False
) -> tuple[str, ...]:
    """The flags of a record with its sums and its KPIs. ``mixed``: its quantities are of several units."""
    get = elements.get
    effectiveness = kpis["effectiveness"] or 0.0
    produced, production = get("produced", 0.0), get("production_s", 0.0)
    busy = get("busy_s", 0.0)
    raised = {
        "effectiveness_above_1": effectiveness > 1 + SLACK,
        "effectiveness_above_1_1": effectiveness > 1.1 * (1 + SLACK),
        "planned_run_time_missing": run_time_missing(elements),
        "nothing_produced": production > 0 and not produced and not get("planned_run_s"),
        "produced_without_running": produced > 0 and not production,
        "good_above_produced": not mixed and get("good", 0.0) > produced + SLACK * abs(produced),
        "negative_quantity": any(get(name, 0.0) < 0 for name in QUANTITIES),
        "mixed_quantity_units": mixed,
        "no_failures": get("processing_s", 0.0) > 0 and not get("failures"),
        "assumed_failures": get("assumed_failures", 0.0) > 0,
        "orders_incomplete": 0 < get("order_s", 0.0) < busy * (1 - SLACK),
        "unattributed": any(get(name) for name in UNATTRIBUTED),
        "unscheduled_run": get("unscheduled_run_s", 0.0) > 0,
        "inferred_time": get("inferred_s", 0.0) > 0,
        "stated_time": get("stated_s", 0.0) > 0,
        "stated_quantities": bool(get("stated_produced")),
        "counter_resets": get("counter_resets", 0.0) > 0,
        "implausible_counts": get("implausible", 0.0) > 0,
    }
    return tuple(flag for flag, up in raised.items() if up)


UNATTRIBUTED: Final = ("unattributed_produced", "unattributed_good", "unattributed_scrap", "unattributed_energy_kwh")
