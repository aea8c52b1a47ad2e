"""What the facts engine publishes on a real influxd, as Grafana reads it: one guarded query, the KPI API's numbers."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from historian.connect import connect
from historian.records import AgentWatermark, watermark_point
from historian.schema import Measurement
from kpi_api.questions import By
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.instant import SECOND, parse_instant
from shopfloor.plant_file import load
from tests.agreement import all_agree, kpi_point, not_scheduled, settled, stored
from tests.filled_plant import AGENT, END, PLANT_FILE, fill
from tests.influxd import InfluxDaemon, asked, fresh_database

UNIT = "ceper/machining/line-1/cnc-01"
PAGI, SORE = parse_instant("2026-01-05T06:00:00+07:00"), parse_instant("2026-01-05T14:00:00+07:00")


@pytest.fixture
def database(influx: InfluxDaemon) -> str:
    return fresh_database(influx.address)


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """Three hours of the example plant, the first half in the morning shift."""
    plant = load(PLANT_FILE)
    with closing(connect(database)) as historian:
        for path in plant.units:
            fill(historian, plant, path, 3)
        historian.write([watermark_point(AgentWatermark(AGENT, "a" * 32, END, END - 5 * SECOND, 0))])
        yield Store(plant, historian, CatchUpClock(END), ledger_source=dict)


def rows(database: str, influxql: str) -> list[list[float | None]]:
    """The rows of an InfluxQL query."""
    return [row for series in asked(database, influxql) for row in series["values"]]


async def test_a_guarded_query_reads_the_numbers_of_the_api_before_and_after_an_edit(
    store: Store, database: str
) -> None:
    clock = CatchUpClock(END)
    await settled(store, clock, END)
    where = f"\"work_unit\" = 'cnc-01' AND \"shift\" = 'pagi' AND time >= {PAGI}ms"
    fields = '"oee_index", "coverage", "sum_planned_stop_s"'
    guarded = f'SELECT {fields} FROM "kpi_published" WHERE {where} AND "current" = 1'
    (item,) = [each for each in store.kpi_items(UNIT, PAGI, SORE, By.SHIFT) if each.shift == "pagi"]
    ((time, oee, coverage, stopped),) = rows(database, guarded)
    assert (time, oee) == (PAGI, pytest.approx(item.kpis["oee_index"], abs=1e-9))
    assert (coverage, stopped) == (pytest.approx(item.coverage), item.elements.get("planned_stop_s", 0.0))
    not_scheduled(store, UNIT, PAGI, SORE)
    await settled(store, clock, END)
    assert all_agree(store) > 40
    ((_, oee, _, stopped),) = rows(database, guarded)
    assert oee is None  # no planned busy time, no OEE: and not the one from before
    (item,) = [each for each in store.kpi_items(UNIT, PAGI, SORE, By.SHIFT) if each.shift == "pagi"]
    assert item.kpis["oee_index"] is None
    assert stopped == pytest.approx(item.elements["planned_stop_s"])
    assert len(rows(database, guarded.replace(' AND "current" = 1', ""))) == 2
    assert kpi_point(store.historian, UNIT, "pagi", PAGI).fields["signed"] == 0.0


async def test_places_have_rows_of_their_own(store: Store, database: str) -> None:
    await settled(store, CatchUpClock(END), END)
    of_line = '"work_center" = \'line-1\' AND "work_unit" = \'-\' AND "shift" = \'-\' AND "current" = 1'
    ((_, oee),) = rows(database, f'SELECT "oee_index" FROM "kpi_published" WHERE {of_line}')
    (item,) = store.kpi_items("ceper/machining/line-1", PAGI, END - END % 60_000, By.DAY)
    assert oee == pytest.approx(item.kpis["oee_index"], rel=1e-3)  # of the same day up to a minute apart
    assert {each.tags["period"] for each in stored(store.historian, Measurement.ENERGY_PUBLISHED)} == {"day", "month"}
