"""Scorecards over HTTP: evidence beside its provenance, what is missing, and a changed file that changes the answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from historian.published import scores_of
from historian.schema import Grain, Measurement
from kpi_api.app import create_app
from kpi_api.losses import _pieces
from kpi_api.scorecards import ENTERPRISE
from kpi_api.store import Store
from kpi_api.windows import Window
from shopfloor.clock import CatchUpClock
from shopfloor.guideline_file import built_in
from shopfloor.instant import HOUR, MINUTE, parse_instant
from shopfloor.plant_file import load
from tests.agreement import Api as Answers
from tests.agreement import publisher, score_agrees, stored
from tests.filled_plant import END, PLANT_FILE, FilledPlant, filled_plant

PAGI, NOW = "2026-01-05T06:00:00+07:00", "2026-01-05T15:20:00+07:00"
OWN = """\
guideline: house
name: {en: House, id: Rumah}
about: {en: Ours., id: Milik kita.}
publication: House rules
levels:
  0: {en: None, id: Tidak ada}
  1: {en: Some, id: Sebagian}
groups:
  time: {name: {en: Time, id: Waktu}}
metrics:
  known:
    name: {en: Known, id: Diketahui}
    group: time
    source: kpi.availability
    levels: {0: 0, 1: 0.5}
    section: "1"
    confidence: low
"""


async def told(api: httpx.AsyncClient, path: str, **query: str) -> list[dict[str, Any]]:
    answer = await api.get(f"/api/v1/{path}", params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_a_scorecard_says_value_level_provenance_and_what_is_missing(api: httpx.AsyncClient) -> None:
    window = {"from": PAGI, "to": NOW}
    (card,) = await told(api, "scorecards", site="ceper", guideline="indi-4-0", **window)
    metrics = {each["id"]: each for each in card["metrics"]}
    assert card["note"]["en"] == "Evidence from shop-floor data, not an official assessment."
    assert (metrics["connected"]["value"], metrics["connected"]["level"]) == (1.0, 4)
    assert metrics["connected"]["provenance"]["publication"] == "Permenperin 21/2020 (INDI 4.0)"
    assert metrics["connected"]["provenance"]["confidence"] == "low"
    assert metrics["connected"]["provenance"]["thresholds"] == "house"
    assert metrics["supply-chain"]["value"] is None
    assert metrics["supply-chain"]["missing"]["id"] == "tanggal jatuh tempo dan kirim pesanan"
    groups = {each["id"]: each for each in card["groups"]}
    assert (groups["technology"]["coverage"], groups["technology"]["level"]) == (0.75, 4)
    assert groups["management"] == groups["management"] | {"coverage": 0.0, "score": None, "level": None}
    assert 0 < card["coverage"] < 0.5


async def test_the_values_are_those_of_the_kpi_endpoint(api: httpx.AsyncClient) -> None:
    window = {"from": PAGI, "to": NOW}
    (card,) = await told(api, "scorecards", site="ceper", guideline="iso-22400", **window)
    (item,) = await told(api, "kpis", unit="ceper", **window)
    compared = 0
    for metric in card["metrics"]:
        if metric["source"]:
            assert metric["value"] == item["kpis"][metric["source"].removeprefix("kpi.")], metric["id"]
            compared += metric["value"] is not None
    assert compared >= 10
    assert card["data_coverage"] == item["coverage"]
    assert card["score"] is None  # the standard sets no levels


async def test_every_site_the_enterprise_and_all_guidelines(api: httpx.AsyncClient) -> None:
    window = {"from": PAGI, "to": NOW}
    assert [each["guideline"] for each in await told(api, "scorecards", **window)] == built_in()
    assert {each["site"] for each in await told(api, "scorecards", site=ENTERPRISE, **window)} == {ENTERPRISE}
    assert [each["id"] for each in await told(api, "guidelines")] == built_in()


async def test_what_is_not_there_is_refused_with_what_is(api: httpx.AsyncClient) -> None:
    for query, remedy in (
        ({"site": "cepr"}, "did you mean 'ceper'?"),
        ({"guideline": "indi"}, "did you mean 'indi-4-0'?"),
    ):
        answer = await api.get("/api/v1/scorecards", params=query)
        assert (answer.status_code, answer.json()["remedy"]) == (404, remedy)


@contextmanager
def with_guideline(filled: FilledPlant, folder: Path, text: str) -> Iterator[Store]:
    """The same data under a plant file that has a guideline of its own."""
    (folder / "house.yaml").write_text(text, "utf-8")
    plant_text = PLANT_FILE.read_text("utf-8")
    named = "language: id\nguidelines: [korea-pqcd, making-indonesia, ./house.yaml]"
    (folder / "plant.yaml").write_text(plant_text.replace("language: id", named, 1), "utf-8")
    plant = load(folder / "plant.yaml")
    yield Store(plant, filled.historian, CatchUpClock(END), ledger_source=dict)


async def house(store: Store) -> dict[str, Any]:
    transport = httpx.ASGITransport(create_app(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return (await told(client, "scorecards", guideline="house", **{"from": PAGI, "to": NOW}))[0]


async def test_a_threshold_and_a_metric_in_the_file_change_api_and_store_without_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOPFLOOR_API_KEY", raising=False)
    more = "  meters: {name: {en: Meters, id: Meter}, group: time, source: kpi.coverage, confidence: low}\n"
    with filled_plant(tmp_path / "store", hours=10) as filled:
        with with_guideline(filled, tmp_path, OWN) as store:
            card = await house(store)
            assert (card["score"], card["level"], len(card["metrics"])) == (1.0, 1, 1)
            publish(store)
            assert rows(store) == {"known": 1.0, "group.time": 1.0, "-": 1.0}
        with with_guideline(filled, tmp_path, OWN.replace("1: 0.5", "1: 1") + more) as store:
            card = await house(store)
            known = card["metrics"][0]["value"]
            assert (card["score"], card["level"], len(card["metrics"])) == (pytest.approx(known), 0, 2)
            publish(store)
            told_now = rows(store)
            assert told_now.keys() == {"known", "meters", "group.time", "-"}
            assert told_now["-"] == told_now["known"] < 1
            assert told_now["meters"] is None


def publish(store: Store) -> None:
    mine = publisher(store)
    mine.take(store.plant.units)
    mine.round(all_of_it=True)


def rows(store: Store) -> dict[str, float | None]:
    """Metric -> score of what holds of the house guideline at the site."""
    found = scores_of(stored(store.historian, Measurement.SCORECARDS))
    return {each.metric: each.score for each in found if (each.site, each.guideline) == ("ceper", "house")}


def test_what_is_published_is_what_the_api_answers_for_site_and_enterprise(tmp_path: Path) -> None:
    with filled_plant(tmp_path, hours=16) as filled:
        publish(filled.store)
        points = stored(filled.historian, Measurement.SCORECARDS)
        newest = max(int(each.fields["until"]) for each in points)
        answers = Answers(filled.store, END, newest)
        for point in points:
            score_agrees(answers, point)
        assert {each.tags["site"] for each in points} == {"ceper", "-"}
        assert {each.tags["guideline"] for each in points} == set(built_in())
        assert {each.time for each in points} == {parse_instant("2026-01-05T00:00:00+07:00")}


@pytest.mark.parametrize("minute", [0, 17])
def test_stops_with_a_reason_are_told_by_hour_where_there_are_too_many_minutes(
    filled: FilledPlant, monkeypatch: pytest.MonkeyPatch, minute: int
) -> None:
    store = filled.store
    machines = [unit for unit in store.plant.units.values() if unit.is_machine]
    start = parse_instant(PAGI)
    edges = [start + minute * MINUTE, start + 5 * HOUR, start + 6 * HOUR + minute * MINUTE, start + 8 * HOUR]
    windows = [Window(low, high) for low, high in pairwise(edges)]
    by_minute = store.losses.explained(machines, windows)
    assert all(told is not None and sum(told) > 0 for told in by_minute)
    monkeypatch.setattr("kpi_api.losses.MOST_UNIT_DAYS", 0.1)
    for at_once in (500.0, 0.01):
        monkeypatch.setattr("kpi_api.losses.AT_ONCE_UNIT_DAYS", at_once)
        for told, expected in zip(store.losses.explained(machines, windows), by_minute, strict=True):
            assert told == pytest.approx(expected)
    monkeypatch.setattr("kpi_api.losses.MOST_UNIT_DAYS_BY_HOUR", 0.1)
    assert store.losses.explained(machines, windows) == [None] * 3


def test_what_is_read_by_hour_leaves_no_gap_and_fits_in_memory() -> None:
    day = 24 * HOUR
    year = [at * day + (17 * MINUTE if at == 30 else 0) for at in range(366)]
    pieces = list(_pieces(100, year))
    assert [(low.end, high.start) for low, high in pairwise(each for each, _ in pieces)] == [
        (each.end, each.end) for each, _ in pieces[:-1]
    ]
    assert (pieces[0][0].start, pieces[-1][0].end) == (year[0], year[-1])
    assert [each for each, grain in pieces if grain is Grain.MINUTE] == [Window(30 * day, 30 * day + HOUR)]
    assert max(each.end - each.start for each, _ in pieces) == 5 * day
