"""Edits of the past on every store: afterwards it reads like a fresh derivation, and an undo restores every fact."""

from dataclasses import replace

import pytest
from msgspec import structs

from historian.historian import Historian
from ingest.rederive import UnitDifferences, rederive
from shopfloor.calendar import Calendar, LocalRange, Shift
from shopfloor.dated import Dated
from shopfloor.instant import HOUR, MINUTE, SECOND, Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import ProductRule
from shopfloor.sample import Sample
from shopfloor.statement import Statement, StatementKind
from tests.contract.edits.bench import (
    ENTERPRISE,
    LONG_STOP,
    NIGHT_STOP,
    SCAN_S,
    SHIFT_END,
    Pruned,
    Shop,
    plan,
    recorded,
    restored,
    stated,
)
from tests.production import MACHINE, START, THREE_SHIFTS

MIDDLE = (LONG_STOP[0] + LONG_STOP[1]) // 2
ALL = START, START + 8 * HOUR
EDITS = {
    "a stop gets its reason": [stated(StatementKind.REASON, (MIDDLE, MIDDLE + MINUTE), reason="broken")],
    "a stop becomes planned by its reason": [
        stated(StatementKind.REASON, (MIDDLE, MIDDLE + MINUTE), reason="cleaning")
    ],
    "a stop is re-coded": [stated(StatementKind.CATEGORY, LONG_STOP, category=TimeCategory.PLANNED_STOP)],
    "running time is re-coded": [
        stated(StatementKind.CATEGORY, (START + 2 * HOUR + 17_300, START + 3 * HOUR), category=TimeCategory.SETUP)
    ],
    "a stop is split in two": [
        stated(StatementKind.REASON, (LONG_STOP[0], MIDDLE), reason="broken"),
        stated(StatementKind.REASON, (MIDDLE, LONG_STOP[1]), reason="no_material", made_at=SHIFT_END + 1),
    ],
    "a stop over the shifts' border is moved": [
        stated(StatementKind.REASON, (NIGHT_STOP[1] - MINUTE, NIGHT_STOP[1]), reason="cleaning")
    ],
    "an order with another product": [
        stated(StatementKind.ORDER, (START + 100 * MINUTE, SHIFT_END + 5 * MINUTE), order="A-17", product="hub")
    ],
    "pieces that no counter counted": [
        stated(StatementKind.QUANTITY, (START + 90 * MINUTE, START + 200 * MINUTE), quantities={"scrap": 13.0})
    ],
}


def answers(edit: str, offset: int = 0) -> list[Statement]:
    """The edit's statements, each with an id of its own."""
    return [replace(each, id=f"{each.id}-{offset}") for each in EDITS[edit]]


async def derived(historian: Historian, samples: list[Sample] | None = None) -> Shop:
    shop = Shop(historian)
    shop.store(samples or recorded())
    await shop.derive()
    shop.assert_right()
    return shop


@pytest.mark.parametrize("edit", EDITS)
async def test_an_edit_is_right_by_every_tag_and_its_undo_restores_every_fact(historian: Historian, edit: str) -> None:
    shop = await derived(historian)
    with restored(shop):
        before = shop.everything()
        made = [shop.state(statement) for statement in answers(edit)]
        await shop.derive()
        shop.assert_right()
        assert shop.everything() != before
        for statement in made:
            shop.undo(statement)
        await shop.derive()
        shop.assert_right()


@pytest.mark.parametrize("edit", EDITS)
async def test_an_edit_made_before_the_samples_came_counts_as_well(historian: Historian, edit: str) -> None:
    shop, samples = Shop(historian), recorded()
    for statement in answers(edit):
        shop.state(statement)
    for first in range(0, len(samples), 700):
        shop.store(samples[first : first + 700])
        await shop.derive()
    shop.assert_right()
    assert {revision.cause for revision in shop.revisions()} <= {"late data"}


async def test_each_edit_of_a_shift_is_a_revision_with_its_author(historian: Historian) -> None:
    shop = await derived(historian)
    (first,) = answers("a stop is re-coded")
    shop.state(first)
    second = shop.state(
        replace(
            first, id="second", author="budi", category=TimeCategory.SETUP, supersedes=first.id, made_at=SHIFT_END + 9
        )
    )
    await shop.derive()
    undone = shop.undo(second)
    await shop.derive()
    shop.assert_right()
    told = [(each.n, each.shift, each.cause, each.who) for each in shop.revisions()]
    assert told == [
        (1, "pagi", f"statement {first.id}", "sari"),
        (2, "pagi", "statement second", "budi"),
        (3, "pagi", f"statement {undone.id}", "budi"),
    ]
    one, two, three = shop.revisions()
    assert one.before == three.after
    assert one.after == two.before
    assert one.after["planned_stop_s"] - one.before.get("planned_stop_s", 0.0) == 3_600
    assert two.after["setup_s"] - two.before.get("setup_s", 0.0) == 3_600


async def test_a_reason_alone_is_a_revision_though_no_sum_changes(historian: Historian) -> None:
    shop = await derived(historian)
    shop.state(stated(StatementKind.REASON, NIGHT_STOP, reason="broken"))
    await shop.derive()
    shop.assert_right()
    assert [(each.shift, each.n) for each in shop.revisions()] == [("pagi", 1), ("sore", 1)]
    assert {stop.reason for stop in shop.stops() if stop.start == NIGHT_STOP[0]} == {"broken"}


async def test_an_answer_survives_that_late_data_move_the_start_of_its_stop(historian: Historian) -> None:
    lost = [sample for sample in recorded() if LONG_STOP[0] - 10 * MINUTE <= sample.time < LONG_STOP[0] + 10 * MINUTE]
    kept = [sample for sample in recorded() if sample not in lost]
    shop = await derived(historian, kept)
    shop.state(stated(StatementKind.REASON, (MIDDLE, LONG_STOP[1]), reason="cleaning"))
    await shop.derive()
    shop.assert_right()
    shop.watermark = START + 9 * HOUR
    await shop.derive()
    shop.store(lost[::-1])
    await shop.derive()
    shop.assert_right()
    (stop,) = [stop for stop in shop.stops() if stop.reason]
    assert (stop.start, stop.end, stop.category) == (*LONG_STOP, "planned_stop")


async def test_late_data_that_join_two_stops_carry_the_answer_of_one_over_both(historian: Historian) -> None:
    gap = LONG_STOP[0] + 30 * MINUTE, LONG_STOP[0] + 31 * MINUTE
    samples = [
        structs.replace(sample, values={**sample.values, "state": 1}) if gap[0] <= sample.time < gap[1] else sample
        for sample in recorded()
    ]
    shop = await derived(historian, samples)
    shop.state(stated(StatementKind.REASON, (LONG_STOP[0], LONG_STOP[0] + MINUTE), reason="no_material"))
    await shop.derive()
    shop.assert_right()
    shop.store([sample for sample in recorded() if gap[0] <= sample.time < gap[1]])
    await shop.derive()
    shop.assert_right()
    assert [stop.end for stop in shop.stops() if stop.reason] == [LONG_STOP[1]]
    shop.store([sample for sample in samples if gap[0] <= sample.time < gap[1]])
    await shop.derive()
    shop.assert_right()


PLANS: dict[str, dict[str, object]] = {
    "another calendar": {
        "calendar": Dated.always(
            Calendar("two-shift", (Shift("siang", LocalRange(330, 1050)), Shift("sore", LocalRange(1050, 1770))))
        )
    },
    "a shift that ends sooner": {
        "calendar": Dated.always(
            Calendar("short", (Shift("pagi", LocalRange(360, 480)), *THREE_SHIFTS.shifts[1:]))  # 08:00
        )
    },
    "another product": {"product": Dated.always(ProductRule(fixed="hub"))},
    "another planned run time": {"planned_run_time_s": Dated.always({"disc": 15.0})},
    "another micro-stop threshold": {"micro_stop_s": Dated.always(20.0)},
    "reasons that mean something else": {"reasons": {}},
}


def redo(shop: Shop, *, window: tuple[Instant, Instant] = ALL, dry_run: bool = False) -> UnitDifferences:
    found = rederive(
        shop.historian, {MACHINE: shop.plan}, ENTERPRISE, *window, "rina", START + 9 * HOUR, dry_run=dry_run
    )
    (differences,) = found
    return differences


@pytest.mark.parametrize("change", PLANS)
async def test_a_changed_plan_is_rederived_and_changed_back(historian: Historian, change: str) -> None:
    shop = await derived(historian)
    for edit in ("a stop becomes planned by its reason", "pieces that no counter counted"):
        for statement in answers(edit):
            shop.state(statement)
    await shop.derive()
    assert redo(shop).shifts == []
    with restored(shop):
        stated_plan, shop.plan = shop.plan, plan(**PLANS[change])
        rehearsed, done = redo(shop, dry_run=True).shifts, redo(shop).shifts
        shop.assert_right()
        assert done == rehearsed
        assert {(each.cause, each.who) for each in done} == {("rederive", "rina")}
        assert redo(shop).shifts == []
        shop.plan = stated_plan
        assert len(redo(shop).shifts) == len(done)
    shop.assert_right()


async def test_a_dry_run_writes_nothing(historian: Historian) -> None:
    shop = await derived(historian)
    with restored(shop):
        shop.plan = plan(**PLANS["another calendar"])
        assert redo(shop, dry_run=True).shifts
    assert shop.open_intervals() == 0
    assert shop.revisions() == []


async def test_facts_whose_raw_data_are_gone_stay(historian: Historian) -> None:
    samples = recorded()
    shop = await derived(historian, samples)
    old = [fact for fact in shop.facts() if fact.time < START + 4 * HOUR]
    shop.historian = Pruned(historian, START + 4 * HOUR + 10 * SCAN_S * SECOND)
    shop.plan = plan(**PLANS["another planned run time"])
    found = redo(shop)
    assert found.samples_from is not None
    assert START + 4 * HOUR < found.samples_from <= START + 5 * HOUR
    kept = [fact for fact in shop.facts() if fact.time < START + 4 * HOUR]
    assert kept == old
    changed = {
        fact.time
        for fact in shop.facts()
        if fact.elements.get("planned_run_s", 0) == 15 * fact.elements.get("produced", -1)
    }
    assert min(changed) >= found.samples_from
    assert redo(shop).shifts == []
