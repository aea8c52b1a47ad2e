from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi.evaluation.evaluate import evaluate
from kpi_api.merged import Merged
from kpi_api.reports import reports
from shopfloor.additive import COLUMNS, Merge, at_column, merge

SUMS = [column.name for column in COLUMNS.values() if column.merge is Merge.SUM]
MAXIMA = [column.name for column in COLUMNS.values() if column.merge is Merge.MAX]
amounts = st.integers(-50, 5_000).map(float) | st.integers(0, 10**8).map(lambda ms: ms / 1000)


@st.composite
def records(draw: st.DrawFn) -> dict[str, float]:
    record = draw(st.dictionaries(st.sampled_from(SUMS), amounts, max_size=12))
    for name in draw(st.sets(st.sampled_from(MAXIMA))):
        record[name] = draw(st.integers(1, 5).map(float))
        record[at_column(name)] = float(draw(st.integers(1, 9)))
    return record


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 3), records()), max_size=12))
def test_merging_columns_is_merging_records(rows: list[tuple[int, dict[str, float]]]) -> None:
    merged = Merged.of([slot for slot, _ in rows], [record for _, record in rows], 4).elements
    for slot in range(4):
        expected = {name: value for name, value in merge(r for at, r in rows if at == slot).items() if value}
        assert merged[slot] == pytest.approx(expected)


def told(kpis: Mapping[str, float | None]) -> dict[str, float]:
    return {kpi: -1e99 if value is None else value for kpi, value in kpis.items()}


@settings(max_examples=300)
@given(st.lists(records(), min_size=1, max_size=5))
def test_reports_made_at_once_are_those_made_one_by_one(given_records: list[dict[str, float]]) -> None:
    count = len(given_records)
    merged = Merged.of(range(count), given_records, count)
    for record, report in zip(merged.elements, reports(merged, [frozenset()] * count), strict=True):
        stored = {name: value for name, value in record.items() if name in COLUMNS or name.endswith("_at")}
        one = evaluate(stored)
        assert told(report.kpis) == pytest.approx(told(one.kpis), rel=1e-9, abs=1e-9)
        assert report.elements == pytest.approx(one.elements, rel=1e-9, abs=1e-6)
        assert report.flags == one.flags
        assert (report.coverage is None) == (one.coverage is None)
