"""The additive record: any split of the same records merges to the same whole."""

from hypothesis import given
from hypothesis import strategies as st

from shopfloor.additive import COLUMNS, Merge, at_column, merge

SUMS = [name for name, column in COLUMNS.items() if column.merge is Merge.SUM]
records = st.lists(
    st.dictionaries(st.sampled_from(SUMS[:6]), st.integers(0, 1000).map(float)).flatmap(
        lambda record: st.tuples(st.integers(0, 5), st.integers(0, 9)).map(
            lambda peak: {**record, "demand_max_kw": float(peak[0]), at_column("demand_max_kw"): float(peak[1])}
        )
    ),
    max_size=8,
)


@given(records, st.integers(0, 8))
def test_any_split_merges_to_the_same_whole(facts: list[dict[str, float]], cut: int) -> None:
    assert merge([merge(facts[:cut]), merge(facts[cut:])]) == merge(facts)


@given(records)
def test_order_does_not_matter(facts: list[dict[str, float]]) -> None:
    assert merge(reversed(facts)) == merge(facts)


def test_a_maximum_carries_its_instant_and_ties_keep_the_earlier() -> None:
    later = {"demand_max_kw": 5.0, "demand_max_kw_at": 9.0}
    earlier = {"demand_max_kw": 5.0, "demand_max_kw_at": 3.0}
    assert merge([later, earlier]) == earlier
