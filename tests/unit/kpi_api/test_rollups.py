from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from historian.connect import connect
from historian.records import sample_point
from kpi_api.answers import KpiItem
from kpi_api.questions import By
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.dated import BEGINNING, Dated
from shopfloor.fact import Fact
from shopfloor.instant import HOUR, MINUTE, parse_instant
from shopfloor.plant import Plant
from shopfloor.plant_file import load
from shopfloor.sample import Sample
from tests.filled_plant import PLANT_FILE, write_facts

LINE = "ceper/machining/line-1"
QUANTITIES = ("produced", "good", "planned_run_s", "good_run_s")
PAGI = parse_instant("2026-01-05T06:00:00+07:00")
NOW = PAGI + 8 * HOUR
FURNACE, PRESS = "ceper/foundry/melting/furnace-01", "ceper/stamping/press-shop/press-01"
METER = "ceper/utilities/intake/main-meter"
MADE = {
    f"{LINE}/cnc-01": ("brake-disc", {"running_s": 50.0, "unplanned_stop_s": 10.0, "produced": 2.0, "good": 2.0}),
    f"{LINE}/cnc-02": ("brake-disc", {"running_s": 40.0, "starved_s": 20.0, "produced": 2.0, "good": 1.0}),
    f"{LINE}/cnc-03": ("brake-disc", {"running_s": 60.0, "produced": 1.0, "good": 1.0}),
    PRESS: ("mounting-plate", {"running_s": 30.0, "setup_s": 30.0, "produced": 5.0, "good": 4.0}),
    FURNACE: ("grey-iron-heat", {"running_s": 60.0, "produced": 0.025, "good": 0.025}),
    METER: ("none", {"observed_s": 60.0}),
}
KWH = {f"{LINE}/cnc-01": 2.0, f"{LINE}/cnc-02": 3.0, f"{LINE}/cnc-03": 4.0, PRESS: 5.0, FURNACE: 6.0, METER: 100.0}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    plant, historian = load(PLANT_FILE), connect(str(tmp_path))
    for path, (product, elements) in MADE.items():
        pri = (plant.units[path].planned_run_time_s or Dated.always({})).at(PAGI) or {}
        whole = {
            **elements,
            "energy_kwh": KWH[path],
            "planned_run_s": pri.get(product, 0.0) * elements.get("produced", 0.0),
            "good_run_s": pri.get(product, 0.0) * elements.get("good", 0.0),
            "work_s": 30.0,
        }
        facts = [Fact(path, PAGI + minute * MINUTE, "pagi", product, whole) for minute in range(60)]
        write_facts(historian, plant, plant.units[path], facts)
        ends = [Sample(unit=path, time=at, values={"state": 1.0}) for at in (PAGI, NOW)]
        historian.write([sample_point(plant.enterprise, sample) for sample in ends])
    try:
        yield Store(plant, historian, CatchUpClock(NOW))
    finally:
        historian.close()


def item(store: Store, unit: str, by: By = By.TOTAL):
    (found,) = store.kpi_items(unit, PAGI, PAGI + HOUR, by)
    return found


def test_a_serial_line_is_its_output_unit_rated_with_the_bottlenecks_run_time(store: Store) -> None:
    line = item(store, LINE)
    assert (line.elements["produced"], line.elements["good"], line.elements["running_s"]) == (60, 60, 3600)
    assert line.elements["planned_run_s"] == 60 * 45  # cnc-02 is the slowest with brake discs
    assert line.kpis["oee_index"] == pytest.approx(60 * 45 / 3600)
    assert line.elements["energy_kwh"] == 60 * (2 + 3 + 4)
    assert line.elements["work_s"] == 3 * 60 * 30


def test_a_line_with_a_planned_run_time_of_its_own_is_rated_with_it_from_the_minute_of_its_change(store: Store) -> None:
    half = PAGI + 30 * MINUTE
    dated = Dated(((BEGINNING, {"brake-disc": 50.0}), (half, {"brake-disc": 30.0})))
    changed = Store(_with_line(store.plant, planned_run_time_s=dated), store.historian, CatchUpClock(NOW))
    assert item(changed, LINE).elements["planned_run_s"] == 30 * 50 + 30 * 30


def test_without_an_output_unit_the_units_are_parallel_and_merge(store: Store) -> None:
    parallel = Store(_with_line(store.plant, output_unit=None), store.historian, CatchUpClock(NOW))
    line = item(parallel, LINE)
    assert line.elements["produced"] == 60 * 5
    assert line.elements["good_run_s"] == 60 * (2 * 42 + 1 * 45 + 1 * 40)
    assert line.elements["planned_busy_s"] == 3 * 3600


def test_energy_of_a_site_is_that_of_its_machines_and_never_the_meters_too(store: Store) -> None:
    assert item(store, "ceper").elements["energy_kwh"] == 60 * (2 + 3 + 4 + 5 + 6)
    assert item(store, "ceper/utilities").elements["energy_kwh"] == 60 * 100
    assert item(store, "ceper/utilities").coverage == 1


def test_pieces_and_heats_are_never_added(store: Store) -> None:
    site = item(store, "ceper")
    assert "mixed_quantity_units" in site.flags
    assert "produced" not in site.elements
    assert site.kpis["quality_ratio_pieces"] is None
    assert site.kpis["oee_index"] is not None


def test_the_enterprise_is_its_sites(store: Store) -> None:
    whole, site = item(store, "logam-jaya"), item(store, "ceper")
    assert (whole.kpis, whole.elements) == (site.kpis, site.elements)


@pytest.mark.parametrize("unit", [LINE, "ceper", PRESS, "ceper/*"])
@pytest.mark.parametrize("by", [By.HOUR, By.SHIFT, By.DAY, By.WEEK, By.MONTH, By.PRODUCT])
def test_slices_of_a_place_add_up_to_its_total(store: Store, unit: str, by: By) -> None:
    start, end = PAGI - 90 * MINUTE, NOW + 30 * MINUTE
    wholes = store.kpi_items(unit, start, end)
    for whole in wholes:
        parts = [part for part in store.kpi_items(unit, start, end, by) if part.unit == whole.unit]
        for column in ("running_s", "planned_busy_s", "good_run_s", "energy_kwh", "not_scheduled_s"):
            total = sum(part.elements.get(column, 0.0) for part in parts)
            assert total == pytest.approx(whole.elements.get(column, 0.0)), column


def test_periods_have_names(store: Store) -> None:
    names = {by: item(store, PRESS, by).period for by in (By.DAY, By.WEEK, By.MONTH, By.SHIFT)}
    assert names == {By.DAY: "2026-01-05", By.WEEK: "2026-W02", By.MONTH: "2026-01", By.SHIFT: "2026-01-05"}


def test_each_product_is_an_item(store: Store) -> None:
    items = store.kpi_items("ceper", PAGI, PAGI + HOUR, By.PRODUCT)
    assert {"brake-disc", "mounting-plate", "grey-iron-heat"} <= {each.product for each in items}
    (plates,) = (each for each in items if each.product == "mounting-plate")
    assert plates.elements["produced"] == 60 * 5


def test_targets_are_those_of_the_unit_or_place(store: Store) -> None:
    assert item(store, PRESS).targets["oee"] == 0.7
    assert item(store, LINE).targets == store.plant.sites[0].areas[1].work_centers[0].targets


def _with_line(plant: Plant, **changes: object) -> Plant:
    site = plant.sites[0]
    areas = tuple(
        replace(
            area,
            work_centers=tuple(
                replace(line, **changes) if line.id == "line-1" else line  # type: ignore[arg-type]
                for line in area.work_centers
            ),
        )
        for area in site.areas
    )
    return replace(plant, sites=(replace(site, areas=areas),))


@pytest.fixture
def without_counter(store: Store) -> Store:
    """The first machine of the parallel cell has no counter: a clamp meter tells that it runs, and nothing more."""
    plant, silent = store.plant, store.plant.units[PRESS]
    blind = replace(silent, device=replace(silent.device, tags=frozenset({"state", "power_kw", "energy_kwh"})))
    pressed = replace(plant, units={**plant.units, PRESS: blind})
    return Store(pressed, store.historian, CatchUpClock(NOW))


def test_a_machine_whose_pieces_nothing_tells_has_no_oee_instead_of_none(
    without_counter: Store, tmp_path: Path
) -> None:
    plant = without_counter.plant
    facts = [
        Fact(PRESS, PAGI + minute * MINUTE, "pagi", "mounting-plate", dict.fromkeys(QUANTITIES, 0.0))
        for minute in range(60)
    ]
    write_facts(without_counter.historian, plant, plant.units[PRESS], facts)
    found = item(without_counter, PRESS)
    assert found.kpis["availability"] == 0.5
    assert [found.kpis[name] for name in ("oee_index", "effectiveness", "oee_high", "scrap_ratio")] == [None] * 4
    assert "not_counted" in found.flags
    assert "nothing_produced" not in found.flags
    site, others = item(without_counter, "ceper"), [item(without_counter, path) for path in (FURNACE, LINE)]
    good, busy = (sum(each.elements[name] for each in others) for name in ("good_run_s", "known_busy_s"))
    assert site.kpis["oee_index"] == pytest.approx(good / busy)
    assert "not_counted" in site.flags


def test_a_machine_whose_pieces_people_state_has_its_oee(without_counter: Store) -> None:
    found = item(without_counter, PRESS)
    assert found.kpis["oee_index"] == item_of_counter(found)
    assert "not_counted" not in found.flags
    assert "not_counted" not in item(without_counter, "ceper").flags


def item_of_counter(found: KpiItem) -> float:
    return found.elements["good_run_s"] / found.elements["known_busy_s"]
