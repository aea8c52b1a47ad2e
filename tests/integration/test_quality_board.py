"""The quality board on a real influxd: yields, charts and capability are those of the KPI API's quality answer."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial

import pytest

from dashboards.board import Kind
from dashboards.boards import quality
from dashboards.text import LANGUAGES, words
from historian.connect import connect
from historian.lookups import lookup_points
from historian.records import sample_point
from kpi.capability.indices import Capability
from kpi_api.quality import CharacteristicAnswer, quality_items
from kpi_api.questions import By
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.instant import HOUR, SECOND, Instant, parse_instant
from shopfloor.plant_file import load
from shopfloor.sample import Sample
from tests.agreement import publisher, settled
from tests.board_answers import Reader, Series, names
from tests.filled_plant import END, PLANT_FILE, fill
from tests.influxd import InfluxDaemon, fresh_database
from tests.small_works import DAYS, FIRST, METER, RINGS, SECOND_STEP, small_works
from tests.small_works import START as NEW_YEAR

DAY = 24 * HOUR
PAGI = parse_instant("2026-01-05T06:00:00+07:00")
SORE = PAGI + 8 * HOUR
SHIFTS = (PAGI, SORE)
CHOSEN = {"characteristic": "cycle_time_s"}


@pytest.fixture(scope="module")
def works(influx: InfluxDaemon) -> Iterator[tuple[Store, Reader]]:
    """The small works: forty days of counts; rings of one morning, and of an afternoon that goes out of control."""
    url = fresh_database(influx.address)
    with small_works(url) as store:
        store.historian.write([*lookup_points(store.plant), *map(partial(sample_point, "small-works"), worn())])
        mine = publisher(store)
        mine.take([FIRST, SECOND_STEP, METER])
        for unit in (FIRST, SECOND_STEP, METER):
            mine.owe({unit: [(NEW_YEAR, NEW_YEAR + DAYS * DAY)]}, {unit: [(PAGI, SORE + 8 * HOUR)]})
        mine.round(all_of_it=True)
        yield store, Reader(url, NEW_YEAR, NEW_YEAR + 20 * DAY, CHOSEN)


def worn() -> Iterator[Sample]:
    """The same rings after noon; from the twentieth subgroup on the tool is worn."""
    for number, ring in enumerate(RINGS.ravel()):
        diameter = float(ring) + (0.03 if number >= 100 else 0.0)
        time = SORE + HOUR + number * 30 * SECOND
        yield Sample(unit=FIRST, time=time, values={"state": 1, "cycle_time_s": diameter})


def near(value: float | None) -> object:
    assert value is not None
    return pytest.approx(value, rel=1e-6, abs=1e-6)


def rings(store: Store, shift: Instant) -> CharacteristicAnswer:
    """The API's answer for a shift."""
    (item,) = quality_items(store, FIRST, shift, shift + 8 * HOUR, "cycle_time_s")
    return item.characteristics[0]


def records(series: Series) -> list[dict[str, float | str | None]]:
    return [dict(zip(series["columns"], row, strict=True)) for row in series["values"]]


def test_every_query_is_answered(works: tuple[Store, Reader]) -> None:
    store, reader = works
    assert reader.empty(quality.board(store.plant)) == {}


def test_yields_of_units_are_those_of_the_api(works: tuple[Store, Reader]) -> None:
    store, reader = works
    told: dict[str, dict[str, float | str | None]] = {}
    for series in reader.answer(quality.board(store.plant), "quality.units"):
        told.setdefault(names(series), {}).update(records(series)[0])
    compared = 0
    for item in store.kpi_items("works/machining/line-1/*", reader.start, reader.end):
        for kpi in quality.YIELDS:
            if (value := item.kpis[kpi]) is None:
                assert told[item.unit].get(kpi) is None
            else:
                assert told[item.unit][kpi] == near(value)
                compared += 1
        assert told[item.unit]["produced"] == near(item.elements["produced"])
    assert compared > 8
    assert METER not in told


def test_yields_of_a_serial_line_are_those_of_the_line(works: tuple[Store, Reader]) -> None:
    store, reader = works
    board = quality.board(store.plant)
    start, end = reader.start + 6 * HOUR, reader.end + 6 * HOUR
    (item,) = store.kpi_items("works/machining/line-1", start, end, By.TOTAL)
    for kpi in ("scrap_ratio", "rework_ratio", "first_pass_yield", "coverage"):
        assert reader.number(board, f"quality.line_{kpi}") == near(item.kpis[kpi])
    days = store.kpi_items("works/machining/line-1", start, end, By.DAY)
    (coverage,) = (each for each in reader.answer(board, "quality.coverage") if each["tags"]["work_center"] == "line-1")
    assert [value for _, value in coverage["values"]] == [near(day.kpis["coverage"]) for day in days]


@pytest.mark.parametrize("shift", SHIFTS)
def test_charts_are_those_of_the_api_with_limits_and_alarms(works: tuple[Store, Reader], shift: Instant) -> None:
    store, reader = works
    board, answer = quality.board(store.plant), rings(store, shift)
    looks = replace(reader, start=shift, end=shift + 8 * HOUR)
    for panel, chart in zip(("location", "spread"), answer.charts, strict=True):
        points, *alarms = looks.answer(board, f"quality.{panel}")
        assert points["tags"]["characteristic"] == "cycle_time_s"
        drawn = records(points)
        assert len(drawn) == chart.total
        for shown, wanted in zip(drawn, chart.points, strict=True):
            assert (shown["time"], shown["value"]) == (wanted.time, near(wanted.value))
            assert [shown[name] for name in ("CL", "LCL", "UCL")] == [
                near(line) for line in (chart.centre, chart.lower, chart.upper)
            ]
        assert sum(len(each["values"]) for each in alarms) == chart.alarms
    hits = [row for series in looks.answer(board, "quality.hits") for row in records(series)]
    wanted_hits = {
        (point.time, chart.statistic): min(point.nelson, default=0)
        for chart in answer.charts
        for point in chart.points
        if point.nelson or point.alarm
    }
    assert {(row["time"], row["statistic"]): row["rule"] for row in hits} == wanted_hits
    assert bool(wanted_hits) == (shift == SORE)
    (rules,) = looks.answer(board, "quality.rules")
    assert [records(rules)[0][f"nelson_{rule}"] for rule in quality.RULES] == [
        answer.charts[0].nelson[str(rule)] for rule in quality.RULES
    ]


def test_capability_is_that_of_the_api(works: tuple[Store, Reader]) -> None:
    store, reader = works
    board, answer = quality.board(store.plant), rings(store, SORE)
    (series,) = reader.answer(board, "quality.capability")
    (row,) = records(series)
    assert row["time"] == SORE
    assert answer.capability is not None
    told = asdict(answer.capability)
    for name in ("mean", "sigma_within", "sigma_overall", "cp", "cpk", "pp", "ppk", "cpm"):
        assert row[name] == near(told[name])
    assert (row["readings"], row["lsl"], row["usl"]) == (answer.readings, answer.lsl, answer.usl)
    wanted = [(shift, near(capability(store, shift).cpk)) for shift in SHIFTS]
    assert [tuple(point) for each in reader.answer(board, "quality.cpk") for point in each["values"]] == wanted


def capability(store: Store, shift: Instant) -> Capability:
    found = rings(store, shift).capability
    assert found is not None
    return found


def test_a_characteristic_of_the_standard_is_a_number_and_a_missing_one_says_its_signal() -> None:
    plant = load(PLANT_FILE)
    notes = [panel for panel in quality.board(plant).panels if panel.kind is Kind.TEXT]
    checks = {**quality.REBAR, **quality.CASTING}
    told = {panel.text.removeprefix("quality.check.") for panel in notes}
    assert told == {*checks, "rebar", "casting", "quality.glossary"}
    unmeasured = quality.board(load(PLANT_FILE.parents[1] / "steel-year" / "plant.yaml"))
    assert "quality.unmeasured" in {panel.text for panel in unmeasured.panels}
    for language in LANGUAGES:
        for check, tag in checks.items():
            assert f"`{tag}`" in words(language).must(f"quality.check.{check}.body")


def test_a_measured_check_asks_for_its_least_ppk(works: tuple[Store, Reader], monkeypatch: pytest.MonkeyPatch) -> None:
    store, reader = works
    monkeypatch.setitem(quality.REBAR, "diameter", "cycle_time_s")  # the rings' diameters come by this tag
    board = quality.board(store.plant)
    least = min(ppk for shift in SHIFTS if (ppk := capability(store, shift).ppk) is not None)
    assert reader.number(board, "quality.check.diameter") == near(least)


async def test_the_example_plant_says_what_it_has_not(influx: InfluxDaemon) -> None:
    url, plant = fresh_database(influx.address), load(PLANT_FILE)
    with closing(connect(url)) as historian:
        historian.write(lookup_points(plant))
        for path in plant.units:
            fill(historian, plant, path, 10)
        store = Store(plant, historian, CatchUpClock(END), ledger_source=dict)
        await settled(store, CatchUpClock(END), END)
        reader = Reader(url, parse_instant("2026-01-05T00:00:00+07:00"), END)
        why = {"quality.needs_inspection", "quality.not_measured", "quality.in_control"}  # no stroke was timed
        assert set(reader.empty(quality.board(plant)).values()) == why
