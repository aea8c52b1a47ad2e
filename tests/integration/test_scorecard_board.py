"""The scorecard board on a real influxd: every query answered, its rows those of the API's scorecards."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace

import pytest

from dashboards.boards import scorecard
from historian.connect import connect
from historian.lookups import lookup_points
from historian.published import published_point
from historian.records import AgentWatermark, watermark_point
from historian.schema import Measurement
from kpi_api.schemas_scorecards import ScorecardItem, scorecard_item
from kpi_api.scorecards import scorecards
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.instant import HOUR, SECOND, parse_instant
from shopfloor.plant_file import load
from tests.agreement import publisher
from tests.board_answers import Reader, Series
from tests.filled_plant import AGENT, END, PLANT_FILE, fill
from tests.influxd import InfluxDaemon, fresh_database

MIDNIGHT = parse_instant("2026-01-05T00:00:00+07:00")
DAY = 24 * HOUR


@pytest.fixture(scope="module")
def ceper(influx: InfluxDaemon) -> Iterator[tuple[Store, Reader]]:
    """Ten hours of the example plant, published."""
    url, plant = fresh_database(influx.address), load(PLANT_FILE)
    with closing(connect(url)) as historian:
        historian.write(lookup_points(plant))
        for path in plant.units:
            fill(historian, plant, path, 10)
        historian.write([watermark_point(AgentWatermark(AGENT, "a" * 32, END, END - 5 * SECOND, 0))])
        store = Store(plant, historian, CatchUpClock(END), ledger_source=dict)
        mine = publisher(store)
        mine.take(plant.units)
        mine.round(all_of_it=True)
        yield store, Reader(url, MIDNIGHT - 3 * DAY, END, {"site": "ceper"})


def of(reader: Reader, guideline: str, site: str = "ceper") -> Reader:
    return replace(reader, chosen={"guideline": guideline, "site": site})


def rows(answer: list[Series]) -> dict[str, Mapping[str, object]]:
    """Metric -> its columns."""
    return {each["tags"]["metric"]: dict(zip(each["columns"], each["values"][0], strict=True)) for each in answer}


def told(store: Store, reader: Reader, guideline: str, site: str = "ceper") -> ScorecardItem:
    (until,) = of(reader, guideline, site).answer(scorecard.board(store.plant), "scorecard.until")
    end = int(until["values"][0][1])
    (found,) = scorecards(store, site, MIDNIGHT + 6 * HOUR, end, guideline)
    return scorecard_item(found)


@pytest.mark.parametrize(
    ("guideline", "missing"),
    [
        ("indi-4-0", set()),
        ("siri", {"measures"}),
        ("korea-level", {"measures"}),
        ("korea-pqcd", {"level"}),
        ("iso-22400", {"score", "level", "score_days", "group_days"}),
        ("making-indonesia", {"level", "shares"}),
    ],
)
def test_every_query_is_answered_for_every_guideline(
    ceper: tuple[Store, Reader], guideline: str, missing: set[str]
) -> None:
    store, reader = ceper
    for site in ("ceper", "-"):
        empty = of(reader, guideline, site).empty(scorecard.board(store.plant))
        assert all(empty.values())
        assert set(empty) == {f"scorecard.{name}" for name in missing}


@pytest.mark.parametrize("guideline", ["indi-4-0", "korea-pqcd", "iso-22400"])
def test_the_rows_are_those_of_the_api(ceper: tuple[Store, Reader], guideline: str) -> None:
    store, reader = ceper
    board, mine = scorecard.board(store.plant), of(reader, guideline)
    card = told(store, reader, guideline)
    found = {name: rows(mine.answer(board, f"scorecard.{name}")) for name in ("shares", "measures", "needs", "groups")}
    metrics = found["shares"] | found["measures"] | found["needs"]
    assert metrics.keys() == {each.id for each in card.metrics}
    for metric in card.metrics:
        row = metrics[metric.id]
        for name in ("value", "score", "level", "baseline", "target", "achievement"):
            wanted = getattr(metric, name)
            assert row.get(name) == (None if wanted is None else pytest.approx(wanted, rel=1e-9)), (metric.id, name)
        assert row["missing_id_text"] == metric.missing.get("id", "")
        assert (row["name_text"], row["name_id_text"]) == (metric.name["en"], metric.name["id"])
        assert row["provenance_text"] == f"{metric.provenance.publication}, {metric.provenance.section}"
    for group in card.groups:
        row = found["groups"][f"group.{group.id}"]
        assert row["score"] == (None if group.score is None else pytest.approx(group.score))
        assert row["coverage"] == pytest.approx(group.coverage)
    assert mine.number(board, "scorecard.coverage") == pytest.approx(card.coverage)


def test_what_was_computed_on_an_earlier_day_is_not_shown_as_todays(ceper: tuple[Store, Reader]) -> None:
    store, reader = ceper
    board, mine = scorecard.board(store.plant), of(reader, "indi-4-0")
    preventive = rows(mine.answer(board, "scorecard.shares"))["preventive"]
    assert preventive["value"] is None
    tags = {"enterprise": store.plant.enterprise, "site": "ceper", "guideline": "indi-4-0", "metric": "preventive"}
    before = {"start": MIDNIGHT - 18 * HOUR, "until": MIDNIGHT + 6 * HOUR, "value": 0.9, "score": 4.0}
    point = published_point(Measurement.SCORECARDS, tags, MIDNIGHT - DAY, before, {"unit_text": "ratio"})
    assert len(store.historian.write([point]).accepted) == 1
    assert rows(mine.answer(board, "scorecard.shares"))["preventive"] == preventive
