from kpi.evaluation.speed import slow_minutes
from shopfloor.fact import Fact
from shopfloor.instant import MINUTE
from tests.production import MACHINE, START


def fact(minute: int, product: str = "disc", **elements: float) -> Fact:
    return Fact(MACHINE, START + minute * MINUTE, "pagi", product, elements)


def test_a_minute_is_slow_by_what_it_made_while_it_ran() -> None:
    facts = [
        fact(0, running_s=60, produced=10),
        fact(1, running_s=60, produced=9),
        fact(2, running_s=30, unplanned_stop_s=30, produced=5),
        fact(3, running_s=30, produced=4),
    ]
    found = slow_minutes(facts, threshold_per_h=600)
    assert [(slow.minute, slow.per_hour) for slow in found] == [
        (START + MINUTE, 540),
        (START + 3 * MINUTE, 480),
    ]


def test_a_minute_with_two_products_is_judged_as_one() -> None:
    facts = [fact(0, running_s=30, produced=2), fact(0, product="drum", running_s=30, produced=8)]
    assert slow_minutes(facts, threshold_per_h=600) == []
    assert [slow.produced for slow in slow_minutes(facts, threshold_per_h=601)] == [10]


def test_a_minute_without_running_is_not_judged() -> None:
    assert (
        slow_minutes([fact(0, unplanned_stop_s=60), fact(1, setup_s=60, setup_produced=3)], threshold_per_h=600) == []
    )
