from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from historian.connect import connect
from historian.historian import Historian
from historian.records import sample_point
from kpi.capability.control_chart import study
from kpi.capability.indices import capability
from kpi_api.app import create_app
from kpi_api.quality import MOST_POINTS, _chart, characteristics_of, readings
from kpi_api.store import Store
from kpi_api.windows import Window
from shopfloor.clock import CatchUpClock
from shopfloor.columns import SampleColumns
from shopfloor.dated import Dated
from shopfloor.instant import HOUR, SECOND, format_instant, parse_instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant_file import load
from shopfloor.sample import Sample
from tests.filled_plant import PLANT_FILE
from tests.small_works import FIRST, MEASURED, METER, RING_S, RINGS, SECOND_STEP, first_day, small_works

DAY = {"from": "2026-01-05T06:00:00+07:00", "to": "2026-01-06T06:00:00+07:00"}


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with small_works(tmp_path_factory.mktemp("quality")) as store:
        yield store


@pytest.fixture
async def api(works: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.delenv("SHOPFLOOR_API_KEY", raising=False)
    app = create_app(works)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        yield client


async def ask(api: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    answer = await api.get("/api/v1/quality", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["next"] is None
    return answer.json()["items"]


async def test_the_yields_of_a_day_come_from_its_counts(api: httpx.AsyncClient) -> None:
    first, second = await ask(api, unit="works/*", **DAY)
    good = first_day(4)["good"]
    assert first["yields"]["quality_ratio_pieces"] == pytest.approx(good / (good + 10))
    assert first["yields"]["scrap_ratio"] == pytest.approx(10 / (good + 10))
    assert first["yields"]["first_pass_yield"] is None
    assert second["yields"]["first_pass_yield"] == pytest.approx(0.9)
    assert second["yields"]["rework_ratio"] == pytest.approx(0.01)
    assert second["counts"]["inspected"] == 50


async def test_the_steps_of_a_serial_line_roll_up_to_each_unit(api: httpx.AsyncClient) -> None:
    good = first_day(4)["good"]
    first, second = await ask(api, unit="works/machining", **DAY)
    assert first["yields"]["rolled_throughput_yield"] == pytest.approx(good / (good + 10))
    assert second["yields"]["rolled_throughput_yield"] == pytest.approx(0.9 * good / (good + 10))
    (alone,) = await ask(api, unit=SECOND_STEP, **DAY)
    assert alone == second


async def test_capability_and_charts_are_those_of_the_readings(api: httpx.AsyncClient) -> None:
    (item,) = await ask(api, unit=FIRST, characteristic="cycle_time_s", **DAY)
    (found,) = item["characteristics"]
    expected = capability(subgroups=RINGS, lsl=73.95, usl=74.05, target=74.0)
    assert found["readings"] == RINGS.size == 125
    assert found["capability"]["cpk"] == pytest.approx(1.6632, abs=5e-5)
    for name in ("cp", "cpk", "pp", "ppk", "cpm", "cmk", "sigma_within", "mean", "k", "n", "subgroups"):
        assert found["capability"][name] == pytest.approx(getattr(expected, name)), name
    assert tuple(found["flags"]) == expected.flags
    assert (found["measured_in"], found["name"]["en"]) == ("s", "Diameter")
    means, ranges = found["charts"]
    assert (means["statistic"], ranges["statistic"]) == ("mean", "range")
    assert means["upper"] == pytest.approx(expected.xbar_upper)
    assert means["total"] == len(means["points"]) == 25
    assert means["points"][0]["value"] == pytest.approx(RINGS[0].mean())
    assert means["points"][0]["time"] == format_instant(MEASURED + 4 * RING_S * SECOND)


async def test_without_readings_there_is_no_capability_and_it_says_why(api: httpx.AsyncClient) -> None:
    (item,) = await ask(api, unit=FIRST, **DAY)
    diameter, power = item["characteristics"]
    assert diameter["capability"] is not None
    assert (power["capability"], power["charts"], power["flags"]) == (None, [], ["no_values"])
    (early,) = await ask(api, unit=FIRST, **{**DAY, "to": "2026-01-05T07:01:00+07:00"})
    assert early["characteristics"][0]["flags"] == ["too_few_values"]


def test_a_chart_tells_its_last_points_and_counts_them_all() -> None:
    values = np.append(np.tile([1.0, 2.0], 300), 50.0)
    chart = _chart(study(values).location, np.arange(len(values), dtype=np.int64))
    assert (chart.total, len(chart.points)) == (601, MOST_POINTS)
    assert (chart.points[-1].time, chart.points[-1].alarm, chart.points[-1].nelson[0]) == (600, True, 1)
    assert chart.nelson["4"] == len(values) - 14


def test_a_number_that_stands_is_one_reading_until_it_no_longer_holds() -> None:
    told = {0: 1.0, 10: 1.0, 20: 2.0, 30: 1.0, 40: 1.0, 71: 1.0, 80: 1.0}
    columns = SampleColumns.of(FIRST, [Sample(unit=FIRST, time=at, values={"power_kw": v}) for at, v in told.items()])
    times, values = readings(columns, "power_kw", 30)
    assert (times.tolist(), values.tolist()) == ([0, 20, 30, 71], [1.0, 2.0, 1.0, 1.0])
    assert not len(readings(columns, "mass_kg", 30)[0])


PRESS = "ceper/stamping/press-shop/press-01"
TOLD = [(1, 6.0), (3, 90.0), (3, 91.0), (1, 91.0), (1, 6.1), (2, 6.1), (1, 6.2), (1, 6.3)]
"""State code and stroke time, every two seconds; 3 is a setup."""
WEEKDAY = parse_instant("2026-01-05T07:00:00+07:00")


def by_state(n: int, state: int, value: float) -> list[Sample]:
    return [Sample(unit=PRESS, time=WEEKDAY + 2_000 * n, values={"state": state, "cycle_time_s": value})]


def beside_state(n: int, state: int, value: float) -> list[Sample]:
    """State and reading in samples of their own."""
    at = WEEKDAY + 2_000 * n
    values: list[dict[str, int | float]] = [{"state": state}, {"cycle_time_s": value}]
    return [Sample(unit=PRESS, time=at + 10 * i, values=each) for i, each in enumerate(values)]


def by_mode(n: int, state: int, value: float) -> list[Sample]:
    """A running state in the mode 9, which the plant calls a setup."""
    values: dict[str, int | float] = {"state": 1, "unit_mode": 9 if state == 3 else 1, "cycle_time_s": value}
    return [Sample(unit=PRESS, time=WEEKDAY + 2_000 * n, values=values)]


def readings_of(store: Historian, samples: list[Sample]) -> tuple[int, list[float]]:
    plant = load(PLANT_FILE)
    press = plant.units[PRESS]
    (stroke,) = press.characteristics
    modes = Dated.always({9: TimeCategory.SETUP})
    press = replace(press, modes=modes, characteristics=(replace(stroke, subgroup=1),))
    plant = replace(plant, units={**plant.units, PRESS: press})
    assert len(store.write([sample_point(plant.enterprise, each) for each in samples]).accepted) == len(samples)
    asked = Store(plant, store, CatchUpClock(WEEKDAY + HOUR))
    (found,) = characteristics_of(asked, press, Window(WEEKDAY, WEEKDAY + 16_000))
    return found.readings, [point.value for point in found.charts[0].points]


@pytest.mark.parametrize("say", [by_state, beside_state, by_mode])
def test_what_is_read_during_a_setup_is_a_trial_piece(tmp_path: Path, say: Callable[..., list[Sample]]) -> None:
    with closing(connect(str(tmp_path))) as store:
        told = readings_of(store, [each for n, (state, value) in enumerate(TOLD) for each in say(n, state, value)])
    assert told == (4, pytest.approx([6.0, 6.1, 6.2, 6.3]))


def test_a_machine_that_tells_no_state_has_no_trial_pieces(tmp_path: Path) -> None:
    samples = [
        Sample(unit=PRESS, time=WEEKDAY + 2_000 * n, values={"cycle_time_s": value})
        for n, (_, value) in enumerate(TOLD)
    ]
    with closing(connect(str(tmp_path))) as store:
        assert readings_of(store, samples)[0] == 6


@pytest.mark.parametrize(
    ("query", "statuses", "kind"),
    [
        ({"unit": FIRST, "characteristic": "mass_kg", **DAY}, {400, 404}, "unknown-characteristic"),
        ({"unit": METER, "characteristic": "power_kw", **DAY}, {400, 404}, "unknown-characteristic"),
        ({"unit": "works/none", **DAY}, {404}, "unknown-unit"),
        ({"unit": FIRST, "from": "2026-01-01T00:00:00Z", "to": "2026-02-02T00:00:00Z"}, {400}, "bad-window"),
    ],
)
async def test_a_wrong_question_is_a_problem_that_says_what_to_do(api, query, statuses, kind) -> None:
    answer = await api.get("/api/v1/quality", params=query)
    assert answer.status_code in statuses
    assert answer.json()["type"] == f"/docs#{kind}"
    assert answer.json()["remedy"]


async def test_meters_have_no_quality(api: httpx.AsyncClient) -> None:
    assert await ask(api, unit=METER, **DAY) == []
