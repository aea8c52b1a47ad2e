"""Overview, line, losses and machine on a real influxd that a morning of the example plant was derived into.

Every query has an answer, or its panel says when it may have none; each KPI over the range is the KPI API's number.
"""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import pytest

from dashboards import variables
from dashboards.board import Panel, Target
from dashboards.boards import boards_of
from dashboards.queries import INTERVAL
from historian.connect import connect
from historian.lookups import lookup_points
from historian.point import Point
from historian.records import AgentWatermark, unit_tags, watermark_point
from historian.schema import Measurement
from historian.statements import put
from kpi_api.questions import By
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.instant import HOUR, MINUTE, SECOND, Instant, ceil_to, floor_to
from shopfloor.plant import Plant
from shopfloor.plant_file import load
from shopfloor.statement import Statement, StatementKind
from tests.agreement import settled
from tests.filled_plant import AGENT, END, PLANT_FILE, fill
from tests.influxd import InfluxDaemon, asked, fresh_database

BOARDS: Final = ("overview", "line", "losses", "machine")
UNIT: Final = "ceper/machining/line-1/cnc-01"
HOURS: Final = 10
NOW: Final = END - END % MINUTE + MINUTE
START: Final = NOW - (HOURS - 1) * HOUR


@dataclass(frozen=True)
class Filled:
    """The plant, its database, and its store."""

    plant: Plant
    database: str
    store: Store


@pytest.fixture(scope="module")
def filled(influx: InfluxDaemon) -> Iterator[Filled]:
    database, plant = fresh_database(influx.address), load(PLANT_FILE)
    with closing(connect(database)) as historian:
        for path in plant.units:
            fill(historian, plant, path, HOURS)
        told = Statement(
            id="5c4ef3a0-5b0c-4c52-9d55-0a56cb3d8d11",
            unit=UNIT,
            kind=StatementKind.REASON,
            start=START,
            end=START + 4 * HOUR,
            author="sari",
            made_at=END - HOUR,
            reason="spindle",
        )
        put(historian, plant.enterprise, told, touched=(START, START + 4 * HOUR))
        points = [
            *lookup_points(plant),
            *signals(plant),
            watermark_point(AgentWatermark(AGENT, "a" * 32, END, END - 5 * SECOND, 0)),
        ]
        assert len(historian.write(points).accepted) == len(points)
        store = Store(plant, historian, CatchUpClock(END), ledger_source=dict)
        asyncio.run(settled(store, CatchUpClock(END), END))
        yield Filled(plant, database, store)


def signals(plant: Plant) -> Iterator[Point]:
    """What a CNC tells beside its counters: its cycle, and an alarm while the last stop lasts."""
    tags = unit_tags(plant.enterprise, UNIT)
    for time in range(END - SECOND - HOURS * HOUR, END, 6 * SECOND):
        alarm = 17.0 if time >= END - 5 * MINUTE or START + HOUR <= time < START + HOUR + 3 * MINUTE else 0.0
        yield Point(Measurement.SAMPLES, tags, time, {"alarm_code": alarm, "cycle_time_s": 46.0 + time % 7 / 10})


def answer(filled: Filled, query: str, chosen: dict[str, str], start: Instant, end: Instant) -> list[dict[str, Any]]:
    """As Grafana asks: variables of the range first, then the query."""
    values = {"__from": str(start), "__to": str(end)}
    for name in ("site", "line", "unit", "shift"):
        values[f"{name}:regex"] = chosen.get(name, ".*")
    for variable in variables.HIDDEN:
        (series,) = asked(filled.database, expanded(variable.query, values))
        values[f"{variable.name}:raw"] = series["values"][0][1]
    return asked(filled.database, expanded(query, values))


def expanded(query: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        query = query.replace(f"${{{name}}}", value)
    query = query.replace(INTERVAL, "1m")
    assert "$" not in query.replace("$/", ""), query
    return query


def questions(plant: Plant, *names: str) -> list[tuple[str, Panel, Target]]:
    return [
        (board.id, panel, target)
        for board in boards_of(plant)
        if board.id in names
        for panel in board.panels
        for target in panel.targets
    ]


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("hours", [3, HOURS - 1, 90 * 24])
def test_every_question_has_an_answer(filled: Filled, board: str, hours: int) -> None:
    chosen = {"site": "ceper", "line": "line-1", "unit": "cnc-01"} if board == "machine" else {}
    asked_ = questions(filled.plant, board)
    assert asked_
    for _, panel, target in asked_:
        found = answer(filled, target.query, chosen, NOW - hours * HOUR, NOW)
        values = [value for series in found for row in series["values"] for value in row[1:] if value is not None]
        assert values or panel.empty, (panel.text, target.query)


@pytest.mark.parametrize("path", ["ceper/machining/line-1/cnc-01", "ceper/stamping/press-shop/press-01"])
def test_a_kpi_over_the_range_is_that_of_the_api(filled: Filled, path: str) -> None:
    site, _, line, unit = path.split("/")
    chosen = {"site": site, "line": line, "unit": unit}
    start, end = ceil_to(START, HOUR), floor_to(NOW, HOUR)  # the grain of this range
    (item,) = filled.store.kpi_items(path, start, end, By.TOTAL)
    compared = 0
    for _, panel, target in questions(filled.plant, *BOARDS):
        if target.kpi is None:
            continue
        found = answer(filled, target.query, chosen, start, end)
        expected = item.kpis[target.kpi]
        told = found[0]["values"][0][1] if found else None
        assert told == (None if expected is None else pytest.approx(expected, abs=1e-6)), (panel.text, target.kpi)
        compared += expected is not None
    assert compared > 5
