"""Facts -> KPIs: the reports of many merged records at once. As ``kpi.evaluation.evaluate`` says of each."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpi.evaluation.evaluate import evaluate, evaluate_columns
from kpi.evaluation.flags import FLAGS, conditions
from kpi.evaluation.formulas import APPARENT
from kpi_api.merged import Merged, Numbers
from kpi_api.rollups import PIECES
from kpi_api.row_view import RowView
from shopfloor.additive import Elements
from shopfloor.elements import SUMS
from shopfloor.plant import QuantityUnit

_FLAG_NAMES: Final = tuple(FLAGS)
_SUM_NAMES: Final = (*SUMS, APPARENT)


class Report(NamedTuple):
    """The KPIs of one merged record: what ``kpi.evaluation.evaluate.KpiReport`` says."""

    kpis: Mapping[str, float | None]
    elements: Mapping[str, float]
    coverage: float | None
    flags: tuple[str, ...]
    observed: bool
    """Whether any good value was seen."""


def reports(
    merged: Merged, units: Sequence[frozenset[QuantityUnit]], counted: Sequence[bool] | None = None
) -> list[Report]:
    """One report per record; one of several quantity units, or not ``counted`` at all, says nothing of quantities.

    Without ``counted`` all are.
    """
    columns = merged.columns or {"running_s": merged.zeros}
    kpis = evaluate_columns(columns)
    sums = _sums(merged)
    whole = Merged(merged.size, {**columns, **sums})
    kpi = partial(_kpis, tuple(kpis), np.column_stack(list(kpis.values())))
    record = partial(_elements, merged.record, np.column_stack(list(sums.values())))
    coverage = _told(kpis["coverage"])
    flags = _flags(whole, kpis)
    observed = (merged.column("observed_s") != 0).tolist()
    told = counted if counted is not None else [True] * merged.size
    return [
        _without_quantities(record(index), mixed, counted=told[index])
        if len(mixed) > 1 or not told[index]
        else Report(RowView(kpi, index), RowView(record, index), coverage[index], flags[index], observed[index])
        for index, mixed in enumerate(units)
    ]


def _sums(merged: Merged) -> dict[str, Numbers]:
    found = dict(merged.columns)
    zeros = merged.zeros
    for name, total in SUMS.items():
        plus = sum((found.get(part, zeros) for part in total.plus), zeros)
        found[name] = plus - sum((found.get(part, zeros) for part in total.minus), zeros)
    found[APPARENT] = np.hypot(found.get("energy_kwh", zeros), found.get("reactive_kvarh", zeros))
    return {name: found[name] for name in _SUM_NAMES}


def _kpis(names: Sequence[str], cells: NDArray[np.float64], index: int) -> dict[str, float | None]:
    return dict(zip(names, _told(cells[index]), strict=True))


def _elements(columns: Callable[[int], Elements], sums: NDArray[np.float64], index: int) -> Elements:
    """A record without what is neutral, and its sums."""
    elements = columns(index)
    elements.update(zip(_SUM_NAMES, sums[index].tolist(), strict=True))
    return elements


def _told(values: Numbers) -> list[float | None]:
    """NaN is None."""
    return [None if value != value else value for value in values.tolist()]


def _without_quantities(elements: Mapping[str, float], units: frozenset[QuantityUnit], *, counted: bool) -> Report:
    report = evaluate(elements, units=units, counted=counted)
    kept = {name: value for name, value in report.elements.items() if name not in PIECES}
    return Report(report.kpis, kept, report.coverage, report.flags, bool(elements.get("observed_s")))


def _flags(whole: Merged, kpis: Mapping[str, Numbers]) -> list[tuple[str, ...]]:
    """The flags of ``kpi.evaluation.flags.record_flags`` for each record."""
    bits = np.zeros(whole.size, np.int64)
    for flag, raised in conditions(whole.column, np.nan_to_num(kpis["effectiveness"])).items():
        bits |= raised.astype(np.int64) << _FLAG_NAMES.index(flag)
    known = {
        code: tuple(flag for position, flag in enumerate(_FLAG_NAMES) if code >> position & 1)
        for code in set(bits.tolist())
    }
    return [known[code] for code in bits.tolist()]
