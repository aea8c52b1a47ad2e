"""The additive record: every column a fact may hold, its unit and its merge rule, in one table.

Facts merge; KPIs are functions of merged facts. Schema, KPI elements and the generated reference come from here.
An absent column is its neutral element: 0 for a sum, nothing for a max or min.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shopfloor.machine_state import TimeCategory


class Merge(StrEnum):
    """How two records' values of a column become one."""

    SUM = "sum"
    MAX = "max"
    """Keeps the greater value and carries the ``_at`` column (instant, ms) along; ties keep the earlier instant."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the additive record."""

    name: str
    unit: str
    merge: Merge
    meaning: str


def _sum(name: str, unit: str, meaning: str) -> Column:
    return Column(name, unit, Merge.SUM, meaning)


COLUMNS: Final[Mapping[str, Column]] = {
    column.name: column
    for column in (
        *(_sum(f"{category}_s", "s", f"time in category {category}") for category in TimeCategory),
        _sum("observed_s", "s", "time in which a good value of the unit held (a meter's coverage)"),
        _sum("unscheduled_run_s", "s", "running outside planned busy time (also inside its calendar category)"),
        _sum("inferred_s", "s", "time whose category follows from a counter or a gauge, not from a state"),
        _sum("stated_s", "s", "time whose category was set by a person's statement"),
        _sum("staffed_s", "s", "time within shifts, where the site's policy says that shifts are staffed"),
        _sum("order_s", "s", "order execution time AOET: time in which an order was stated"),
        _sum("produced", "piece", "produced quantity PQ"),
        _sum("good", "piece", "good quantity GQ"),
        _sum("scrap", "piece", "scrap quantity SQ"),
        _sum("rework", "piece", "rework quantity RQ"),
        _sum("planned_run_s", "s", "PRI x PQ"),
        _sum("good_run_s", "s", "PRI x GQ"),
        _sum("startup_scrap_run_s", "s", "PRI x scrap of the start-up after a setup or an unplanned stop"),
        _sum("produced_kg", "kg", "mass of the produced quantity, where the product's mass is known"),
        _sum("good_kg", "kg", "mass of the good quantity, where the product's mass is known"),
        _sum("capacity", "piece", "what the unit could make in its planned busy time at its rated capacity"),
        _sum("setup_produced", "piece", "pieces made in setup, not PQ"),
        _sum("unscheduled_produced", "piece", "pieces made outside planned busy time, not PQ"),
        _sum("unscheduled_good", "piece", "good pieces made outside planned busy time"),
        _sum("unattributed_produced", "piece", "pieces counted across a gap: in totals, not in ratios"),
        _sum("unattributed_good", "piece", "good pieces counted across a gap"),
        _sum("unattributed_scrap", "piece", "scrap counted across a gap"),
        _sum("stated_produced", "piece", "produced quantity that people stated (also inside produced)"),
        _sum("planned_scrap", "piece", "planned scrap quantity PSQ, as stated"),
        _sum("inspected", "piece", "inspected parts IP, as stated"),
        _sum("first_pass_good", "piece", "parts that were good at the first pass GP, as stated"),
        _sum("consumed_kg", "kg", "consumed material CM, as stated"),
        _sum("production_loss_kg", "kg", "material lost in production PL, as stated"),
        _sum("storage_loss_kg", "kg", "material lost in storage and transport STL, as stated"),
        _sum("other_loss_kg", "kg", "material lost elsewhere OL, as stated"),
        _sum("attendance_s", "s", "workers' attendance APAT, as stated"),
        _sum("work_s", "s", "workers' time on orders APWT, as stated"),
        _sum("energy_kwh", "kWh", "active energy"),
        _sum("unattributed_energy_kwh", "kWh", "active energy counted across a gap"),
        _sum("idle_energy_kwh", "kWh", "active energy while the unit did not produce"),
        _sum("peak_kwh", "kWh", "active energy in the tariff's peak hours, gaps included"),
        _sum("off_peak_kwh", "kWh", "active energy in the tariff's off-peak hours, gaps included"),
        _sum("energy_cost", "currency", "price of the active energy by its hours, in the tariff's currency"),
        _sum("carbon_kg", "kg", "CO2 of the active energy by the grid factor"),
        _sum("reactive_kvarh", "kvarh", "reactive energy"),
        _sum("unplanned_stops", "1", "unplanned stops, in the minute of their start"),
        _sum("micro_stops", "1", "micro-stops, in the minute of their start"),
        _sum("setups", "1", "setups, in the minute of their start"),
        _sum("failures", "1", "equipment failures FE, in the minute of their start; re-trips are one"),
        _sum("assumed_failures", "1", "those of the failures that no reason confirms"),
        _sum("repair_s", "s", "time down after a failure"),
        _sum("corrective_s", "s", "corrective maintenance time CMT, by reason"),
        _sum("preventive_s", "s", "preventive maintenance time PMT, by reason"),
        _sum("counter_resets", "1", "counter resets seen"),
        _sum("counter_rollovers", "1", "counter roll-overs seen"),
        _sum("implausible", "1", "counter steps refused as beyond the plausible rate"),
        Column("demand_max_kw", "kW", Merge.MAX, "highest quarter-hour demand; stamped in the quarter's last minute"),
        Column("power_max_kw", "kW", Merge.MAX, "highest power reading"),
    )
}
"""Column name -> column, in the order of reports."""

Elements = dict[str, float]
"""A record: column -> value (and ``<column>_at`` -> instant in ms for MAX columns). Absent is neutral."""


def at_column(name: str) -> str:
    """The column that holds the instant of a MAX column's value."""
    return f"{name}_at"


def merge(records: Iterable[Mapping[str, float]]) -> Elements:
    """Merge records column by column; any split of the same facts merges to the same whole."""
    merged: Elements = {}
    for record in records:
        merge_into(merged, record)
    return merged


_SUMS: Final = frozenset(column.name for column in COLUMNS.values() if column.merge is Merge.SUM)
_MAXIMA: Final = frozenset(column.name for column in COLUMNS.values() if column.merge is Merge.MAX)


def merge_into(merged: Elements, record: Mapping[str, float]) -> None:
    """Merge one record into ``merged``."""
    held = merged.get
    for name, value in record.items():
        if name in _SUMS:
            merged[name] = held(name, 0.0) + value
        elif name in _MAXIMA:  # its instant travels with it
            _merge_max(merged, record, name, value)


def _merge_max(merged: Elements, record: Mapping[str, float], name: str, value: float) -> None:
    instant = at_column(name)
    at = record.get(instant, 0.0)
    held = merged.get(name)
    if held is None or value > held or (value == held and at < merged.get(instant, 0.0)):
        merged[name] = value
        merged[instant] = at
