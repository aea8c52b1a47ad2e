import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi.evaluation.evaluate import with_sums
from kpi.evaluation.losses import Factor, pareto, six_big_losses, waterfall
from shopfloor.fact import Loss
from shopfloor.machine_state import TimeCategory
from shopfloor.reason import Reason
from tests.production import START

AMOUNTS = st.one_of(st.floats(0, 1e6), st.integers(0, 86_400_000).map(lambda ms: ms / 1000))
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        **{f"{category}_s": AMOUNTS for category in TimeCategory},
        "repair_s": AMOUNTS,
        "produced": AMOUNTS,
        "planned_run_s": AMOUNTS,
        "good_run_s": AMOUNTS,
        "startup_scrap_run_s": AMOUNTS,
    },
)


@settings(max_examples=300)
@given(RECORDS)
def test_the_bars_add_up_to_planned_busy_time(record: dict[str, float]) -> None:
    planned = with_sums(record)["planned_busy_s"]
    good = record.get("good_run_s", 0.0)
    scale = max(planned, good, 1.0)
    for bars in (waterfall(record), six_big_losses(record)):
        assert abs(math.fsum((good, *(bar.seconds for bar in bars))) - planned) <= 1e-9 * scale


@settings(max_examples=200)
@given(RECORDS)
def test_only_speed_and_quality_can_be_negative(record: dict[str, float]) -> None:
    signed = {"speed", "unrated", "quality"}
    scale = max([1.0, *record.values()])
    assert all(bar.seconds >= -1e-9 * scale for bar in waterfall(record) if bar.id not in signed)


def test_every_loss_has_its_own_bar() -> None:
    record = {
        "running_s": 20000.0,
        "setup_s": 1000.0,
        "starved_s": 400.0,
        "blocked_s": 300.0,
        "no_order_s": 200.0,
        "unplanned_stop_s": 3000.0,
        "repair_s": 2500.0,
        "micro_stop_s": 600.0,
        "unknown_s": 100.0,
        "planned_stop_s": 3600.0,
        "produced": 400.0,
        "planned_run_s": 18000.0,
        "good_run_s": 17000.0,
        "startup_scrap_run_s": 250.0,
    }
    bars = {bar.id: bar.seconds for bar in waterfall(record)}
    assert bars == {
        "setup": 1000.0,
        "failure": 2500.0,
        "other_stop": 500.0,
        "starved": 400.0,
        "blocked": 300.0,
        "no_order": 200.0,
        "unknown": 100.0,
        "micro_stop": 600.0,
        "speed": 2000.0,
        "startup_scrap": 250.0,
        "quality": 750.0,
    }
    assert 25600.0 - sum(bars.values()) == 17000.0
    six = {bar.id: bar.seconds for bar in six_big_losses(record)}
    assert six == {
        "breakdown": 2500.0,
        "setup_adjustment": 1000.0,
        "minor_stops": 600.0,
        "reduced_speed": 2000.0,
        "process_defects": 750.0,
        "startup_yield": 250.0,
        "outside_the_six": 1500.0,
    }


def test_a_unit_faster_than_planned_has_a_negative_speed_bar() -> None:
    bars = {bar.id: bar for bar in waterfall({"running_s": 100.0, "planned_run_s": 108.0, "good_run_s": 108.0})}
    assert bars["speed"].seconds == -8.0
    assert bars["speed"].factor is Factor.EFFECTIVENESS


def test_running_that_no_planned_run_time_rates_is_no_speed_loss() -> None:
    bars = {bar.id: bar.seconds for bar in waterfall({"running_s": 100.0, "produced": 10.0})}
    assert bars["unrated"] == 100.0
    assert "speed" not in bars


def _loss(category: TimeCategory, reason: str, seconds: float, count: float = 1.0) -> Loss:
    return Loss("s/a/l/u", START, "pagi", "none", category, reason, seconds, count)


REASONS = {"tool": Reason(id="tool", name={"en": "Tool broken", "id": "Pahat patah"}, failure=True)}


def test_the_pareto_puts_the_longest_first_and_adds_up() -> None:
    rows = pareto(
        [
            _loss(TimeCategory.UNPLANNED_STOP, "tool", 300.0),
            _loss(TimeCategory.UNPLANNED_STOP, "tool", 300.0),
            _loss(TimeCategory.MICRO_STOP, "", 100.0, 4.0),
            _loss(TimeCategory.UNPLANNED_STOP, "", 300.0),
            _loss(TimeCategory.PLANNED_STOP, "", 9000.0),
            _loss(TimeCategory.STARVED, "", 0.0, 0.0),
        ],
        REASONS,
    )
    assert [(row.reason, row.category, row.seconds, row.count) for row in rows] == [
        ("tool", "unplanned_stop", 600.0, 2.0),
        ("", "unplanned_stop", 300.0, 1.0),
        ("", "micro_stop", 100.0, 4.0),
    ]
    assert [row.cumulative for row in rows] == pytest.approx([0.6, 0.9, 1.0])
    assert [row.name["id"] for row in rows] == ["Pahat patah", "Henti tak terencana", "Henti mikro"]


def test_a_reason_that_the_plant_no_longer_knows_keeps_its_id_and_may_span_categories() -> None:
    rows = pareto([_loss(TimeCategory.UNPLANNED_STOP, "gone", 10.0), _loss(TimeCategory.SETUP, "gone", 20.0)], REASONS)
    assert [(row.name["en"], row.category, row.seconds) for row in rows] == [("gone", "", 30.0)]


def test_nothing_stopped_is_an_empty_pareto() -> None:
    assert pareto([], REASONS) == []


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(["", "tool", "gone"]), st.floats(0, 1e5)), min_size=1, max_size=30))
def test_the_paretos_shares_are_those_of_one_whole(stops: list[tuple[str, float]]) -> None:
    rows = pareto([_loss(TimeCategory.UNPLANNED_STOP, reason, seconds) for reason, seconds in stops], REASONS)
    assert math.fsum(row.seconds for row in rows) == pytest.approx(math.fsum(seconds for _, seconds in stops))
    assert all(above.seconds >= below.seconds for above, below in pairwise(rows))
    if rows and rows[0].share is not None:
        assert rows[-1].cumulative == pytest.approx(1.0)


def test_a_unit_whose_quantities_nothing_tells_has_no_speed() -> None:
    bars = {bar.id: bar.seconds for bar in waterfall({"running_s": 100.0}, counted=False)}
    assert bars["unrated"] == 100.0
    assert "speed" not in bars
