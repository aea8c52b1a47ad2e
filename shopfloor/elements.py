"""The elements that are sums of columns of the additive record: time and energy that KPIs divide and are divided by.

Facts to KPIs: formulas read them, stores keep the wide ones beside the facts for readers that cannot compute.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from shopfloor.machine_state import OUTSIDE_PBT, TimeCategory

PERFORMANCE_LOSSES: Final = frozenset({TimeCategory.MICRO_STOP})
"""Counted as production time: they lower effectiveness, not availability."""

WAITING: Final = (TimeCategory.STARVED, TimeCategory.BLOCKED)
"""Waiting for others: delay (ADET), never a failure."""


@dataclass(frozen=True, slots=True)
class Sum:
    """An element that is a sum of columns, less some."""

    plus: tuple[str, ...]
    meaning: str
    minus: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " - ".join((" + ".join(self.plus), *self.minus))


def _seconds(*categories: TimeCategory) -> tuple[str, ...]:
    return tuple(f"{category}_s" for category in categories)


SUMS: Final[Mapping[str, Sum]] = {
    "calendar_s": Sum(_seconds(*TimeCategory), "all time of the window"),
    "planned_busy_s": Sum(
        _seconds(*(category for category in TimeCategory if category not in OUTSIDE_PBT)),
        "planned busy time PBT: all time but planned stops and time not scheduled",
    ),
    "known_busy_s": Sum(("planned_busy_s",), "the part of PBT of which a good value tells", minus=("unknown_s",)),
    "production_s": Sum(
        _seconds(TimeCategory.RUNNING, *PERFORMANCE_LOSSES), "actual production time APT: running, micro-stops in it"
    ),
    "delay_s": Sum(
        _seconds(*WAITING, TimeCategory.UNPLANNED_STOP), "actual unit delay time ADET: waiting and unplanned stops"
    ),
    "processing_s": Sum(("production_s", "setup_s"), "actual unit processing time AUPT"),
    "busy_s": Sum(("processing_s", "delay_s"), "actual unit busy time AUBT"),
    "executing_s": Sum(("production_s", "delay_s"), "APT + ADET"),
    "up_s": Sum(
        ("known_busy_s",), "known busy time in which the unit was not down after a failure", minus=("repair_s",)
    ),
    "up_and_repair_s": Sum(("processing_s", "repair_s"), "operating time and the time down after failures"),
    "best_run_s": Sum(("good_run_s", "unknown_s"), "good run time if all unknown time had been at its best"),
    "speed_loss_s": Sum(
        ("production_s",), "running slower than planned (negative: faster)", minus=("micro_stop_s", "planned_run_s")
    ),
    "maintenance_s": Sum(("corrective_s", "preventive_s"), "maintenance time CMT + PMT"),
    "metered_kwh": Sum(("peak_kwh", "off_peak_kwh"), "active energy that has a price"),
}
"""Element -> what it is, in the order of computation: a sum may use those above it."""


@lru_cache(maxsize=64)
def columns_of(element: str) -> Mapping[str, float]:
    """Column -> its share of an element that is a sum; what cancels out is not there. A column is all of itself."""
    if element not in SUMS:
        return {element: 1.0}
    found: dict[str, float] = {}
    for sign, parts in ((1.0, SUMS[element].plus), (-1.0, SUMS[element].minus)):
        for part in parts:
            for column, share in columns_of(part).items():
                found[column] = found.get(column, 0.0) + sign * share
    return {column: share for column, share in found.items() if share}


NUMERATORS: Final = (
    "planned_run_s",
    "good_run_s",
    "repair_s",
    "good",
    "scrap",
    "rework",
    "first_pass_good",
    "idle_energy_kwh",
    "peak_kwh",
)
"""Columns that stand above in a quotient and may be 0 where something is below: boards need that 0."""

KEPT_WHOLE: Final[Mapping[str, Mapping[str, float]]] = {name: columns_of(name) for name in (*SUMS, *NUMERATORS)}
"""What is kept beside facts, 0 where it is nothing, for readers that cannot compute -> column -> its share."""
