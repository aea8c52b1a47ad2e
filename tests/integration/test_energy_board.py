"""The energy board on a real influxd: every query answered, its numbers those of the KPI API's energy answer."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from dashboards.boards import energy
from historian.connect import connect
from historian.lookups import lookup_points
from historian.records import AgentWatermark, watermark_point
from kpi_api.energy import EnergyItem, energy_items
from kpi_api.questions import By
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.instant import HOUR, SECOND, parse_instant
from shopfloor.plant_file import load
from tests.agreement import publisher, settled
from tests.board_answers import Reader, names
from tests.filled_plant import AGENT, END, PLANT_FILE, fill
from tests.influxd import InfluxDaemon, fresh_database
from tests.small_works import DAYS, FIRST, MEASURED, METER, SECOND_STEP, small_works
from tests.small_works import START as NEW_YEAR

DAY = 24 * HOUR


@pytest.fixture(scope="module")
def works(influx: InfluxDaemon) -> Iterator[tuple[Store, Reader]]:
    """The small works over forty days, all of it published."""
    url = fresh_database(influx.address)
    with small_works(url) as store:
        store.historian.write(lookup_points(store.plant))
        mine = publisher(store)
        mine.take([FIRST, SECOND_STEP, METER])
        for unit in (FIRST, SECOND_STEP, METER):
            mine.owe({unit: [(NEW_YEAR, NEW_YEAR + DAYS * DAY)]}, {unit: [(MEASURED, MEASURED + 2 * HOUR)]})
        mine.round(all_of_it=True)
        yield store, Reader(url, NEW_YEAR + 10 * DAY, NEW_YEAR + 35 * DAY)


def told(store: Store, reader: Reader, path: str, by: By = By.TOTAL) -> list[EnergyItem]:
    """The API's answer for the production days that begin in the reader's range: they start at six."""
    return energy_items(store, path, reader.start + 6 * HOUR, reader.end + 6 * HOUR, by)


def near(value: float | None) -> object:
    assert value is not None
    return pytest.approx(value, rel=1e-6, abs=1e-6)


def test_every_query_is_answered(works: tuple[Store, Reader]) -> None:
    store, reader = works
    empty = reader.empty(energy.board(store.plant))
    assert all(empty.values())
    # its facts have no power reading, its machines no price, and the last step of its line no mass
    assert set(empty) == {f"energy.{name}" for name in ("power", "cost", "co2", "carbon", "per_ton")}


def test_a_site_is_the_answer_of_the_api_and_counts_no_energy_twice(works: tuple[Store, Reader]) -> None:
    store, reader = works
    board = energy.board(store.plant)
    (item,) = told(store, reader, "works")
    (row,) = [
        dict(zip(each["columns"], each["values"][0], strict=True))
        for each in reader.answer(board, "energy.sites")
        if "energy_kwh" in each["columns"]
    ]
    assert row["energy_kwh"] == reader.number(board, "energy.used") == near(item.energy_kwh)
    for name in ("unattributed_kwh", "peak_kwh", "off_peak_kwh"):
        assert (row[name] or 0.0) == near(getattr(item, name))
    assert (item.kwh_per_ton, item.cost) == (None, None)
    assert reader.number(board, "energy.idle") == near(item.idle_share)
    assert reader.number(board, "energy.peak") == near(item.peak_share)
    assert reader.number(board, "energy.coverage") == near(item.coverage)
    (meter,) = told(store, reader, METER)
    assert reader.number(board, "energy.demand") == near(meter.demand and meter.demand.value) == 300


def test_a_units_row_is_the_answer_of_the_api(works: tuple[Store, Reader]) -> None:
    store, reader = works
    rows: dict[str, dict[str, float]] = {}
    for series in reader.answer(energy.board(store.plant), "energy.units"):
        found = rows.setdefault(names(series), {})
        found.update(zip(series["columns"][1:], series["values"][0][1:], strict=True))
    compared = 0
    for path in (FIRST, METER):
        (item,) = told(store, reader, path)
        row = rows[path]
        assert row["energy_kwh"] + row.get("unattributed_energy_kwh", 0.0) == near(item.energy_kwh)
        for column, value in (
            ("energy_kwh_per_good", item.kwh_per_good),
            ("sec_kwh_per_t", item.kwh_per_ton),
            ("idle_energy_share", item.idle_share),
            ("peak_share", item.peak_share),
            ("power_factor", item.power_factor),
            ("energy_cost", item.cost),
            ("carbon_kg", item.carbon_kg),
            ("demand_max_kw", item.demand and item.demand.value),
        ):
            if value is None or value == 0:
                assert column not in row or row[column] in (0, None)
            else:
                assert row[column] == near(value)
                compared += 1
    assert compared > 8


def test_savings_and_bills_are_those_of_the_api(works: tuple[Store, Reader]) -> None:
    store, reader = works
    board = energy.board(store.plant)
    (cusum,) = reader.answer(board, "energy.cusum")
    days = told(store, reader, FIRST, By.DAY)
    savings = [item.performance.saving_kwh for item in days if item.performance]
    assert len(cusum["values"]) == len(savings) == 25
    assert [value for _, value in cusum["values"]] == [near(sum(savings[: at + 1])) for at in range(25)]
    (enpi,) = reader.answer(board, "energy.enpi")
    assert [value for _, value in enpi["values"]] == [near(item.performance.index) for item in days if item.performance]
    bills = {names(series): series for series in reader.answer(board, "energy.bills")}
    january = dict(zip(bills[METER]["columns"], bills[METER]["values"][0], strict=True))
    assert january["time"] == NEW_YEAR
    (item, *_) = energy_items(store, METER, NEW_YEAR, NEW_YEAR + 31 * DAY, By.MONTH)
    assert item.bill is not None
    assert january["bill_total"] == near(item.bill.total)
    assert january["bill_reactive_cost"] == near(item.bill.reactive_cost)
    assert january["bill_reactive_cost"] > 0


def test_a_day_without_data_is_a_gap(works: tuple[Store, Reader]) -> None:
    store, reader = works
    late = Reader(reader.url, NEW_YEAR + 35 * DAY, NEW_YEAR + 45 * DAY)
    (enpi,) = late.answer(energy.board(store.plant), "energy.enpi")
    assert [value is None for _, value in enpi["values"]] == [False] * 5 + [True] * 5


async def test_the_example_plant_says_what_it_has_not(influx: InfluxDaemon) -> None:
    url, plant = fresh_database(influx.address), load(PLANT_FILE)
    with closing(connect(url)) as historian:
        historian.write(lookup_points(plant))
        for path in plant.units:
            fill(historian, plant, path, 12)
        historian.write([watermark_point(AgentWatermark(AGENT, "a" * 32, END, END - 5 * SECOND, 0))])
        store = Store(plant, historian, CatchUpClock(END), ledger_source=dict)
        await settled(store, CatchUpClock(END), END)
        board, midnight = energy.board(plant), parse_instant("2026-01-05T00:00:00+07:00")
        reader = Reader(url, midnight, END)
        assert reader.empty(board) == {}
        assert {"energy.no_reactive", "energy.no_baseline"} <= {panel.text for panel in board.panels}
        (item,) = energy_items(store, "ceper", midnight + 6 * HOUR, END - END % 60_000 - 60_000, By.TOTAL)
        assert reader.number(board, "energy.used") == pytest.approx(item.energy_kwh, rel=1e-2)
