"""The one table of formulas: which quotient of the record's columns and elements each KPI is. Facts to KPIs.

A formula is a product of elements over a product of elements. The same table is evaluated on one record (floats), on
many (arrays), and printed in the reference, so that what is written is what is computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shopfloor.additive import COLUMNS
from shopfloor.elements import SUMS


@dataclass(frozen=True, slots=True)
class Formula:
    """A KPI as ``factor x (product of over) / (product of under)``; no ``under`` is the element itself."""

    over: tuple[str, ...]
    under: tuple[str, ...] = ()
    factor: float = 1.0
    needs: str | None = None
    """An element without which there is nothing to say, such as the energy of a machine that has no meter."""

    @property
    def elements(self) -> tuple[str, ...]:
        """Every element that it reads, once."""
        return tuple(dict.fromkeys((*self.over, *self.under)))

    def __str__(self) -> str:
        factor = () if self.factor == 1 else (f"{self.factor:g}",)
        over = " * ".join((*factor, *self.over))
        if not self.under:
            return over
        return f"{over} / {self.under[0]}" if len(self.under) == 1 else f"{over} / ({' * '.join(self.under)})"


APPARENT: Final = "apparent_kvah"
"""The one element that is no sum: sqrt(energy_kwh^2 + reactive_kvarh^2)."""

FORMULAS: Final[Mapping[str, Formula]] = {
    "availability": Formula(("production_s",), ("known_busy_s",)),
    "effectiveness": Formula(("planned_run_s",), ("production_s",)),
    "quality_ratio": Formula(("good_run_s",), ("planned_run_s",)),
    "quality_ratio_pieces": Formula(("good",), ("produced",)),
    "oee_index": Formula(("good_run_s",), ("known_busy_s",)),
    "oee_low": Formula(("good_run_s",), ("planned_busy_s",)),
    "oee_high": Formula(("best_run_s",), ("planned_busy_s",)),
    "coverage": Formula(("known_busy_s",), ("planned_busy_s",)),
    "unknown_share": Formula(("unknown_s",), ("planned_busy_s",)),
    "nee_index": Formula(("processing_s", "good_run_s"), ("known_busy_s", "production_s")),
    "teep": Formula(("good_run_s", "planned_busy_s"), ("known_busy_s", "calendar_s")),
    "ooe": Formula(("good_run_s", "planned_busy_s"), ("known_busy_s", "staffed_s")),
    "utilization": Formula(("planned_busy_s",), ("calendar_s",)),
    "speed_loss": Formula(("speed_loss_s",), ("known_busy_s",)),
    "worker_efficiency": Formula(("work_s",), ("attendance_s",)),
    "allocation_ratio": Formula(("busy_s",), ("order_s",)),
    "throughput_rate": Formula(("produced",), ("order_s",), factor=3600.0),
    "allocation_efficiency": Formula(("busy_s",), ("known_busy_s",)),
    "utilization_efficiency": Formula(("production_s",), ("busy_s",)),
    "setup_ratio": Formula(("setup_s",), ("processing_s",)),
    "technical_efficiency": Formula(("production_s",), ("executing_s",)),
    "production_process_ratio": Formula(("production_s",), ("order_s",)),
    "actual_to_planned_scrap_ratio": Formula(("scrap",), ("planned_scrap",)),
    "first_pass_yield": Formula(("first_pass_good",), ("inspected",)),
    "scrap_ratio": Formula(("scrap",), ("produced",)),
    "rework_ratio": Formula(("rework",), ("produced",)),
    "comprehensive_energy_consumption": Formula(("energy_kwh",), ("produced",), needs="energy_kwh"),
    "finished_goods_ratio": Formula(("good_kg",), ("consumed_kg",)),
    "production_loss_ratio": Formula(("production_loss_kg",), ("consumed_kg",)),
    "storage_loss_ratio": Formula(("storage_loss_kg",), ("consumed_kg",)),
    "other_loss_ratio": Formula(("other_loss_kg",), ("consumed_kg",)),
    "equipment_load_ratio": Formula(("produced",), ("capacity",)),
    "mtbf_s": Formula(("processing_s",), ("failures",)),
    "mttf_s": Formula(("up_s",), ("failures",)),
    "mttr_s": Formula(("repair_s",), ("failures",)),
    "inherent_availability": Formula(("processing_s",), ("up_and_repair_s",), needs="failures"),
    "corrective_maintenance_ratio": Formula(("corrective_s",), ("maintenance_s",)),
    "energy_kwh_per_good": Formula(("energy_kwh",), ("good",), needs="energy_kwh"),
    "sec_kwh_per_t": Formula(("energy_kwh",), ("good_kg",), factor=1000.0, needs="energy_kwh"),
    "sec_gross_kwh_per_t": Formula(("energy_kwh",), ("produced_kg",), factor=1000.0, needs="energy_kwh"),
    "idle_energy_share": Formula(("idle_energy_kwh",), ("energy_kwh",), needs="calendar_s"),
    "peak_share": Formula(("peak_kwh",), ("metered_kwh",)),
    "energy_cost": Formula(("energy_cost",), needs="energy_cost"),
    "energy_cost_per_t": Formula(("energy_cost",), ("good_kg",), factor=1000.0, needs="energy_cost"),
    "energy_cost_per_good": Formula(("energy_cost",), ("good",), needs="energy_cost"),
    "carbon_kg": Formula(("carbon_kg",), needs="carbon_kg"),
    "carbon_kg_per_t": Formula(("carbon_kg",), ("good_kg",), factor=1000.0, needs="carbon_kg"),
    "carbon_kg_per_good": Formula(("carbon_kg",), ("good",), needs="carbon_kg"),
    "power_factor": Formula(("energy_kwh",), (APPARENT,), needs="reactive_kvarh"),
}
"""KPI id -> formula, in the order of reports."""

RUN_TIMES: Final = ("planned_run_s", "good_run_s")
"""Elements that are nothing without a planned run time per item (PRI)."""


def reads(kpi: str) -> frozenset[str]:
    """The columns of the record that a KPI's formula comes down to."""
    found: set[str] = set()
    open_names = [*FORMULAS[kpi].elements]
    while open_names:
        name = open_names.pop()
        if name in SUMS:
            open_names += SUMS[name].plus + SUMS[name].minus
        elif name == APPARENT:
            open_names += ("energy_kwh", "reactive_kvarh")
        else:
            found.add(name)
    return frozenset(found)


RATED: Final = frozenset(kpi for kpi in FORMULAS if reads(kpi) & set(RUN_TIMES))
"""KPIs that need a planned run time per item."""

COUNTED: Final = frozenset(
    kpi for kpi in FORMULAS if any(name in COLUMNS and COLUMNS[name].unit == "piece" for name in reads(kpi))
)
"""KPIs of quantities: nothing can be said of a record that mixes pieces, kilograms or heats."""
