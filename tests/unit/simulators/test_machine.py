from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from devices import library
from shopfloor.dated import BEGINNING, Dated
from shopfloor.instant import HOUR, SECOND
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import WorkUnit
from simulators.machine import Machine, Meter
from simulators.power import W_MS_PER_KWH, PowerTrace
from simulators.scenario import Outcome, Script
from simulators.supply import supply_of

MakeUnit = Callable[..., WorkUnit]


def machine(unit: WorkUnit, epoch: int, template: str = "cnc-generic") -> tuple[Machine, Script]:
    script = Script(unit, 1, epoch)
    return Machine(library.load(template), script, Random(1)), script


def readings(source: Machine, tag: str, start: int, end: int, step: int = 10 * SECOND) -> list[int]:
    return [int(source.values(t)[tag] or 0) for t in range(start, end, step)]


def test_16_bit_counters_roll_over_within_hours_and_lose_no_piece(make_unit: MakeUnit, epoch: int) -> None:
    source, script = machine(make_unit(scrap_rate=0.1), epoch)
    end = epoch + 8 * HOUR
    for tag, modulus, outcome in (("good", 2**16, Outcome.GOOD), ("scrap", 2**16, Outcome.SCRAP)):
        shown = readings(source, tag, epoch, end)
        steps = [(after - before) % modulus for before, after in pairwise(shown)]
        assert any(after < before for before, after in pairwise(shown)), f"{tag} never rolls over"
        last = epoch + (len(shown) - 1) * 10 * SECOND
        assert sum(steps) == script.tallies[outcome][script.pieces_at(last)]


def test_32_bit_counters_roll_over_too(make_unit: MakeUnit, epoch: int) -> None:
    source, _ = machine(make_unit(), epoch)
    for tag in ("produced", "energy_kwh"):
        shown = readings(source, tag, epoch, epoch + 8 * HOUR)
        assert sum(after < before for before, after in pairwise(shown)) == 1


def test_part_counters_start_at_zero_with_each_order_where_the_machine_does_so(make_unit: MakeUnit, epoch: int) -> None:
    source, script = machine(make_unit(counter_reset_per_order=1, order_s=900), epoch)
    script.until(epoch + 8 * HOUR)
    for order in script.orders[1:]:
        before, after = source.values(order.start - 1), source.values(order.start)
        assert int(before["produced"] or 0) > 0
        assert (after["produced"], after["good"], after["scrap"]) == (0, 0, 0)
        assert source.values(order.start - 15 * SECOND)["produced"] == before["produced"], "a piece no reader can see"
        assert after["energy_kwh"] == source.values(order.start)["energy_kwh"] != 0


def test_the_energy_register_is_the_floor_of_the_exact_integral(make_unit: MakeUnit, epoch: int) -> None:
    source, script = machine(make_unit(), epoch)
    first = round(float(source.values(epoch)["energy_kwh"] or 0) * 1000)
    for t in range(epoch, epoch + 8 * HOUR, 777_777):
        counts = round(float(source.values(t)["energy_kwh"] or 0) * 1000)
        assert (counts - first) % 2**32 == script.energy_at(t) * 1000 // W_MS_PER_KWH


def test_states_and_products_read_as_the_plants_codes(make_unit: MakeUnit, epoch: int) -> None:
    unit = make_unit(order_s=900)
    source, script = machine(unit, epoch)
    codes = unit.states.at(epoch) if unit.states else None
    products = {1: "brake-disc", 2: "pump-housing"}
    assert codes is not None
    for t in range(epoch, epoch + 8 * HOUR, 99_999):
        values = source.values(t)
        assert codes[int(values["state"] or 0)] is script.segment_at(t).category
        assert products[int(values["product_code"] or 0)] == script.order_at(t).product


def test_a_machine_follows_a_change_of_its_state_map(make_unit: MakeUnit, epoch: int) -> None:
    unit = make_unit()
    changed = {10: TimeCategory.RUNNING, 20: TimeCategory.UNPLANNED_STOP, 30: TimeCategory.NO_ORDER}
    old = unit.states.at(epoch) if unit.states else None
    assert old is not None
    unit = replace(unit, states=Dated(((BEGINNING, old), (epoch + HOUR, changed))))
    source, _ = machine(unit, epoch)
    assert int(source.values(epoch + HOUR - 1)["state"] or 0) < 10
    assert source.values(epoch + HOUR)["state"] in changed


def test_power_follows_the_state(make_unit: MakeUnit, epoch: int) -> None:
    source, script = machine(make_unit(), epoch)
    script.until(epoch + 8 * HOUR)
    power = {segment.category: source.values(segment.start)["power_kw"] for segment in script.segments}
    assert power[TimeCategory.RUNNING] > power[TimeCategory.SETUP] > power[TimeCategory.NO_ORDER] > 0  # type: ignore[operator]


def test_there_is_no_cycle_time_before_the_first_piece(make_unit: MakeUnit, epoch: int) -> None:
    source, script = machine(make_unit(), epoch)
    assert source.values(epoch)["cycle_time_s"] is None
    script.until(epoch + HOUR)
    first = script.pieces[0]
    assert source.values(first.time)["cycle_time_s"] == first.cycle_ms / 1000


@pytest.mark.parametrize("name", library.names())
def test_every_template_has_a_value_for_every_tag(make_unit: MakeUnit, epoch: int, name: str) -> None:
    template = library.load(name)
    meter = Meter(template, supply_of(PowerTrace([(epoch, 30_000)]), 0.9), Random(1), rollover_kwh=30)
    names = {tag.spec.name for tag in template.tags} - {"x_reading"}
    assert meter.values(epoch + HOUR).keys() == names


def test_one_phase_of_a_meter_carries_a_third(epoch: int) -> None:
    template = library.load("abb-b23")
    meter = Meter(template, supply_of(PowerTrace([(epoch, 30_000)]), 0.9), Random(1), rollover_kwh=30)
    values = meter.values(epoch + HOUR)
    assert values["power_kw"] == 30
    assert values["x_power_l2_kw"] == 10


def test_a_machine_without_states_lives_and_counts_all_the_same(make_unit: MakeUnit, epoch: int) -> None:
    source, script = machine(replace(make_unit(), states=None), epoch)
    assert script.pieces_at(epoch + 5 * HOUR) > script.pieces_at(epoch + HOUR) > 0
    assert source.values(epoch + HOUR)["power_kw"] is not None
    shown = {script.segment_at(epoch + minute * 60 * SECOND).category for minute in range(600)}
    assert shown >= {TimeCategory.RUNNING, TimeCategory.SETUP, TimeCategory.UNPLANNED_STOP}
