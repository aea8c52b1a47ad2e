import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from historian.records import facts_of, unit_query
from historian.schema import Grain
from shopfloor.additive import merge
from shopfloor.instant import HOUR, MINUTE
from tests.filled_plant import END, FilledPlant

FIRST = END // MINUTE * MINUTE - 9 * HOUR
minutes = st.integers(0, 9 * 60 - 6)
units = st.sampled_from(["ceper/machining/line-1/cnc-01", "ceper/stamping/press-shop/press-01"])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(units, st.lists(minutes, min_size=3, max_size=3, unique=True).map(sorted))
def test_windows_that_meet_add_up_whatever_grain_they_are_read_from(
    filled: FilledPlant, unit: str, cuts: list[int]
) -> None:
    start, middle, end = (FIRST + cut * MINUTE for cut in cuts)
    (whole,) = filled.store.kpi_items(unit, start, end)
    parts = [filled.store.kpi_items(unit, *window)[0] for window in ((start, middle), (middle, end))]
    stored = facts_of(filled.historian.read(unit_query(Grain.MINUTE, filled.plant.enterprise, unit, start, end)))
    told = merge([whole.elements])
    assert merge(part.elements for part in parts) == pytest.approx(told, abs=1e-6)
    assert merge(fact.elements for fact in stored) == pytest.approx(told, abs=1e-6)
