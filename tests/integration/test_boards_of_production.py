"""Overview, line, losses and machine on a real influxd that a morning of the example plant was derived into.

Every query has an answer, or its panel says when it may have none; each KPI over the range is the KPI API's number.
"""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import pytest

from dashboards import states, variables
from dashboards.board import Panel, Target
from dashboards.boards import boards_of
from dashboards.queries import INTERVAL, LEVELS
from historian.connect import connect
from historian.lookups import lookup_points
from historian.point import Point, Query
from historian.records import AgentWatermark, losses_of, unit_tags, watermark_point
from historian.schema import Measurement
from historian.statements import put
from kpi_api.questions import By
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.instant import HOUR, MINUTE, SECOND, Instant, ceil_to, floor_to, parse_instant
from shopfloor.plant import Plant
from shopfloor.plant_file import load
from shopfloor.statement import Statement, StatementKind
from tests.agreement import settled
from tests.filled_plant import AGENT, END, PLANT_FILE, STILL, fill
from tests.influxd import InfluxDaemon, asked, fresh_database

BOARDS: Final = ("overview", "line", "losses", "machine")
UNIT: Final = "ceper/machining/line-1/cnc-01"
HOURS: Final = 10
PAGI: Final = parse_instant("2026-01-05T06:00:00+07:00")
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


def test_only_what_the_plant_does_not_measure_is_never_shown(filled: Filled) -> None:
    """No panel may hide behind the words that say when it is empty."""
    places = [
        {"site": "ceper", "line": line, "unit": unit} for line, unit in (("line-1", "cnc-0[12]"), ("melting", ".*"))
    ]
    answered: set[str] = set()
    for _, panel, target in questions(filled.plant, *BOARDS):
        for chosen in places:
            if answer(filled, target.query, chosen, NOW - 30 * 24 * HOUR, NOW):
                answered.add(panel.text)
    never = {panel.text for _, panel, _ in questions(filled.plant, *BOARDS)} - answered
    kinds = ("mass", "pressure", "temperature")
    assert never == {f"machine.signal.{kind}" for kind in kinds}


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


def lost_bars(filled: Filled, board: str, panel: str, chosen: dict[str, str], start: Instant, end: Instant) -> dict:
    """Series name -> seconds, of a panel of bars."""
    found: dict[str, float] = {}
    for _, each, target in questions(filled.plant, board):
        if each.text == panel:
            for series in answer(filled, target.query, chosen, start, end):
                found[target.alias.rpartition(".")[2]] = series["values"][0][1]
    return found


def test_waterfall_and_six_big_losses_are_those_of_the_api(filled: Filled) -> None:
    start, end = ceil_to(START, HOUR), floor_to(NOW, HOUR)
    chosen = {"site": "ceper", "line": "line-1", "unit": "cnc-01"}
    (told,) = filled.store.loss_answers(UNIT, start, end)
    bars = lost_bars(filled, "line", "line.waterfall", chosen, start, end)
    assert bars.pop("planned_busy") == pytest.approx(told.item.elements["planned_busy_s"], abs=1e-6)
    assert bars.pop("valuable") == pytest.approx(told.item.elements["good_run_s"], abs=1e-6)
    assert len(bars) > 5
    for bar in told.waterfall:
        assert bars.get(bar.id, 0.0) == pytest.approx(bar.seconds, abs=1e-6), bar.id
    six = lost_bars(filled, "losses", "losses.six", chosen, start, end)
    for loss in told.six_big_losses:
        assert six.get(loss.id, 0.0) == pytest.approx(loss.seconds, abs=1e-6), loss.id


def test_the_pareto_is_that_of_the_api(filled: Filled) -> None:
    start, end = ceil_to(START, HOUR), floor_to(NOW, HOUR)
    chosen = {"site": "ceper", "line": "line-1", "unit": "cnc-01"}
    (told,) = filled.store.loss_answers(UNIT, start, end)
    rows: dict[str, float] = {}
    for _, panel, target in questions(filled.plant, "losses"):
        if panel.text == "losses.pareto":
            for series in answer(filled, target.query, chosen, start, end):
                rows[next(iter(series["tags"].values()))] = series["values"][0][1]
    assert rows == pytest.approx({row.reason or row.category: row.seconds for row in told.pareto}, abs=1e-6)
    assert rows["spindle"] > 0


def test_the_share_without_a_reason_is_that_of_the_stored_losses(filled: Filled) -> None:
    start, end = ceil_to(START, HOUR), floor_to(NOW, HOUR)
    stored = losses_of(filled.store.historian.read(Query(Measurement.LOSSES, start=start, end=end)))
    stops = [loss for loss in stored if loss.category == "unplanned_stop"]
    unlabelled = sum(loss.seconds for loss in stops if loss.reason not in filled.plant.reasons)
    (target,) = (each for _, panel, each in questions(filled.plant, "losses") if panel.text == "losses.unlabelled")
    (series,) = answer(filled, target.query, {}, start, end)
    assert series["values"][0][1] == pytest.approx(unlabelled / sum(loss.seconds for loss in stops), abs=1e-6)
    assert 0 < series["values"][0][1] < 1


def test_the_line_by_shift_is_that_of_the_api(filled: Filled) -> None:
    chosen = {"site": "ceper", "line": "line-1"}
    (item,) = [
        each
        for each in filled.store.kpi_items("ceper/machining/line-1", PAGI, PAGI + 8 * HOUR, By.SHIFT)
        if each.shift == "pagi"
    ]
    compared = 0
    for _, panel, target in questions(filled.plant, "line"):
        if panel.text == "line.shift" and target.alias.startswith("kpi:"):
            ((series,),) = [answer(filled, target.query, chosen, PAGI, PAGI + 8 * HOUR)]
            assert series["values"] == [[PAGI, pytest.approx(item.kpis[target.alias[4:]], abs=1e-6)]], target.alias
            compared += 1
    assert compared == 5


def test_the_day_on_the_wall_is_that_of_the_api(filled: Filled) -> None:
    items = {item.unit: item for item in filled.store.kpi_items("ceper/*", PAGI, END - END % MINUTE, By.DAY)}
    (target,) = (
        target
        for _, panel, target in questions(filled.plant, "overview")
        if panel.text == "overview.units" and "target_oee" in target.query
    )
    told = {
        "/".join(series["tags"][level] for level in LEVELS): dict(
            zip(series["columns"], series["values"][0], strict=True)
        )
        for series in answer(filled, target.query, {}, START, NOW)
    }
    compared = 0
    for path, item in items.items():
        unit = filled.plant.units[path]
        if unit.is_machine:
            assert told[path]["target_oee"] == unit.targets["oee"]
            for kpi, name in (("oee_index", "oee_index"), ("coverage", "coverage")):
                # up to a minute apart at the day's running end
                assert told[path][name] == pytest.approx(item.kpis[kpi], rel=5e-3), path
                compared += 1
    assert compared == 10


def test_a_machine_that_is_silent_is_shown_as_silent_and_not_by_its_last_state(filled: Filled) -> None:
    now = {
        "/".join(series["tags"][level] for level in LEVELS): series["values"][0][1]
        for target in states.now(filled.plant)
        for series in answer(filled, target.query, {}, START, NOW)
    }
    assert now[STILL] == states.SILENT
    assert now[UNIT] == 2  # unplanned stop, its last five minutes
    assert len(now) == 5
    ages = {
        series["tags"]["work_unit"]: series["values"][0][0]
        for series in answer(filled, states.newest().query, {}, START, NOW)
    }
    assert END - 8 * MINUTE < ages["cnc-03"] < END - 7 * MINUTE + SECOND < ages["cnc-01"] <= END
