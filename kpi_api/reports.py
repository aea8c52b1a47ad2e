"""Facts -> KPIs: the reports of many merged records at once. The same as ``kpi.evaluate.evaluate`` of each of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kpi.evaluate import KpiReport, evaluate, evaluate_columns
from kpi.flags import FLAGS, QUANTITIES, SLACK, UNATTRIBUTED
from kpi.formulas import APPARENT, SUMS
from kpi_api.merged import Merged, Numbers
from kpi_api.rollups import PIECES
from shopfloor.plant import QuantityUnit

Mask = NDArray[np.bool_]
_FLAG_NAMES: Final = tuple(FLAGS)


def reports(merged: Merged, units: Sequence[frozenset[QuantityUnit]]) -> list[KpiReport]:
    """One report per record; a record of several quantity units says nothing of quantities."""
    whole = Merged(merged.size, {**merged.columns, **_sums(merged)})
    columns = evaluate_columns(merged.columns) if merged.columns else evaluate_columns({"running_s": merged.zeros})
    names = tuple(columns)
    kpis = [dict(zip(names, row, strict=True)) for row in zip(*map(_told, columns.values()), strict=True)]
    flags = _flags(whole, columns)
    elements = merged.elements
    sums = (*SUMS, APPARENT)
    for record, row in zip(elements, zip(*(whole.columns[name].tolist() for name in sums), strict=True), strict=True):
        record.update(zip(sums, row, strict=True))
    made = [
        KpiReport(kpi, record, kpi["coverage"], flag) for kpi, record, flag in zip(kpis, elements, flags, strict=True)
    ]
    for index, mixed in enumerate(units):
        if len(mixed) > 1:
            made[index] = _without_quantities(elements[index], mixed)
    return made


def _sums(merged: Merged) -> dict[str, Numbers]:
    found = dict(merged.columns)
    zeros = merged.zeros
    for name, total in SUMS.items():
        plus = sum((found.get(part, zeros) for part in total.plus), zeros)
        found[name] = plus - sum((found.get(part, zeros) for part in total.minus), zeros)
    found[APPARENT] = np.hypot(found.get("energy_kwh", zeros), found.get("reactive_kvarh", zeros))
    return found


def _told(values: Numbers) -> list[float | None]:
    """NaN is None."""
    unknown = np.isnan(values)
    told: NDArray[np.object_] = values.astype(object)
    told[unknown] = None
    return list(told)


def _without_quantities(elements: Mapping[str, float], units: frozenset[QuantityUnit]) -> KpiReport:
    report = evaluate(elements, units=units)
    return replace(report, elements={name: value for name, value in report.elements.items() if name not in PIECES})


def _flags(whole: Merged, kpis: Mapping[str, Numbers]) -> list[tuple[str, ...]]:
    """The flags of ``kpi.flags.record_flags`` for each record."""
    raised = _raised(whole.column, np.nan_to_num(kpis["effectiveness"]))
    bits = np.zeros(whole.size, np.int64)
    for position, flag in enumerate(_FLAG_NAMES):
        if flag in raised:
            bits |= raised[flag].astype(np.int64) << position
    known = {
        code: tuple(flag for position, flag in enumerate(_FLAG_NAMES) if code >> position & 1)
        for code in set(bits.tolist())
    }
    return [known[code] for code in bits.tolist()]


def _raised(get: Callable[[str], Numbers], effectiveness: Numbers) -> dict[str, Mask]:
    produced, production, busy, order = get("produced"), get("production_s"), get("busy_s"), get("order_s")
    rated = get("planned_run_s") != 0
    return {
        "effectiveness_above_1": effectiveness > 1 + SLACK,
        "effectiveness_above_1_1": effectiveness > 1.1 * (1 + SLACK),
        "planned_run_time_missing": (produced > 0) & ~rated,
        "nothing_produced": (production > 0) & (produced == 0) & ~rated,
        "produced_without_running": (produced > 0) & (production == 0),
        "good_above_produced": get("good") > produced + SLACK * np.abs(produced),
        "negative_quantity": np.any([get(name) < 0 for name in QUANTITIES], axis=0),
        "no_failures": (get("processing_s") > 0) & (get("failures") == 0),
        "assumed_failures": get("assumed_failures") > 0,
        "orders_incomplete": (order > 0) & (order < busy * (1 - SLACK)),
        "unattributed": np.any([get(name) != 0 for name in UNATTRIBUTED], axis=0),
        "unscheduled_run": get("unscheduled_run_s") > 0,
        "inferred_time": get("inferred_s") > 0,
        "stated_time": get("stated_s") > 0,
        "stated_quantities": get("stated_produced") != 0,
        "counter_resets": get("counter_resets") > 0,
        "implausible_counts": get("implausible") > 0,
    }
