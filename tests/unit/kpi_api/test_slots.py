import copy
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_api.row_view import RowView
from kpi_api.slots import Row, Slot, Slotted, joined
from shopfloor.additive import merge

slots = st.builds(Slot, st.sampled_from(["a", "b", "c"]), st.integers(0, 4), st.sampled_from(["disc", "none"]))
amounts = st.integers(1, 5_000).map(float)
rows = st.builds(Row, slots, st.dictionaries(st.sampled_from(["running_s", "good", "scrap"]), amounts))


@settings(max_examples=200)
@given(st.lists(st.lists(rows, max_size=6), max_size=4))
def test_tables_that_are_joined_and_merged_hold_one_record_for_each_slot(tables: list[list[Row]]) -> None:
    told = joined([Slotted.of(table) for table in tables]).merged()
    by_slot: dict[Slot, list[Row]] = defaultdict(list)
    for row in (row for table in tables for row in table):
        by_slot[row.key].append(row)
    assert list(told.slots) == sorted(by_slot)
    assert told.records.elements == [merge(row.elements for row in by_slot[slot]) for slot in sorted(by_slot)]


@settings(max_examples=200)
@given(st.lists(rows, max_size=8), st.sets(st.sampled_from(["a", "b", "c", "d"])))
def test_owners_are_what_the_places_say_and_none_for_other_units(given_rows: list[Row], units: set[str]) -> None:
    told = Slotted.of(given_rows).slots
    places = {unit: np.arange(5) * 10 + number for number, unit in enumerate(sorted(units))}
    expected = [int(places[slot.unit][slot.part]) if slot.unit in places else -1 for slot in told]
    assert told.owners(places).tolist() == expected
    assert told.of_units(units).tolist() == [slot.unit in units for slot in told]


@settings(max_examples=200)
@given(st.lists(rows, min_size=1, max_size=8))
def test_time_is_summed_by_unit_and_part_over_products(given_rows: list[Row]) -> None:
    sums = Slotted.of(given_rows).sum_by_part(["running_s", "good"])
    for unit, found in sums.items():
        for part, total in enumerate(found.tolist()):
            mine = [row.elements for row in given_rows if row.key[:2] == (unit, part)]
            assert total == sum(each.get("running_s", 0.0) + each.get("good", 0.0) for each in mine)


def test_a_view_is_made_once_and_reads_like_its_row() -> None:
    asked = []

    def make(index: int) -> dict[str, float]:
        asked.append(index)
        return {"good": 3.0, "scrap": 0.0}

    view = RowView(make, 7)
    assert asked == []
    assert view == {"good": 3.0, "scrap": 0.0}
    assert {**view} == dict(view.items()) == {"good": 3.0, "scrap": 0.0}
    assert (list(view), list(view.keys()), list(view.values())) == (["good", "scrap"], ["good", "scrap"], [3.0, 0.0])
    assert (len(view), view.get("good"), view.get("rework"), "scrap" in view) == (2, 3.0, None, True)
    with pytest.raises(KeyError):
        view["rework"]
    assert asked == [7]


def test_a_copy_of_a_view_is_a_plain_dict_of_its_own() -> None:
    row = {"good": 3.0}
    copied = copy.deepcopy(RowView(lambda _: row, 0))
    assert type(copied) is dict
    row["good"] = 4.0
    assert copied == {"good": 3.0}
