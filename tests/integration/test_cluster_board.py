"""The cluster board on a real influxd: sites side by side as the API tells them, ranked only where enough is known."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.boards import cluster
from historian.connect import connect
from historian.lookups import letters_of, lookup_points
from kpi_api.questions import By
from kpi_api.scorecards import scorecards
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.fact import Fact
from shopfloor.instant import HOUR, parse_instant
from shopfloor.plant import Plant
from shopfloor.plant_file import load
from tests.agreement import publisher
from tests.board_answers import Reader, Series
from tests.filled_plant import write_facts
from tests.influxd import InfluxDaemon, fresh_database

SMALL_WORKS = Path(__file__).parents[1] / "small_works.yaml"
START = parse_instant("2026-01-05T00:00:00+07:00")
DAY = 24 * HOUR
DAYS = 3
SHIFTS = ("pagi", "sore", "malam")
KNOWN = {"barat": 1.0, "timur": 0.95, "utara": 0.5}
"""Site -> how much of its planned time is known."""
GOOD = {"barat": 40.0, "timur": 50.0, "utara": 59.0}
"""Good parts an hour of known time, at 60 s a part: the best is the one that is known least."""


def sentra(folder: Path) -> Plant:
    """Three small works in one plant file."""
    raw: dict[str, Any] = yaml.safe_load(SMALL_WORKS.read_text("utf-8"))
    (site,) = raw["sites"]
    raw["sites"] = [{**site, "id": name} for name in KNOWN]
    raw["agents"] = {f"edge-{name}": {"units": [f"{name}/*"]} for name in KNOWN}
    path = folder / "plant.yaml"
    path.write_text(yaml.safe_dump(raw), "utf-8")
    return load(path)


def hours(site: str, path: str) -> list[Fact]:
    """Its facts: a record of each hour, known in part."""
    known = KNOWN[site]
    good = GOOD[site] * known
    elements = {
        "running_s": 3600.0 * known,
        "unknown_s": 3600.0 * (1 - known),
        "observed_s": 3600.0 * known,
        "produced": good + 1,
        "good": good,
        "planned_run_s": 60 * (good + 1),
        "good_run_s": 60 * good,
        "good_kg": 2 * good,
        "produced_kg": 2 * good + 2,
        "energy_kwh": 30.0,
        "off_peak_kwh": 30.0,
        "energy_cost": 30_000.0,
    }
    times = range(START + 6 * HOUR, START + DAYS * DAY + 6 * HOUR, HOUR)
    return [Fact(path, time, SHIFTS[((time - START) // HOUR - 6) % 24 // 8], "disc", elements) for time in times]


@pytest.fixture(scope="module")
def cluster_of(influx: InfluxDaemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Reader]]:
    url, plant = fresh_database(influx.address), sentra(tmp_path_factory.mktemp("sentra"))
    with closing(connect(url)) as historian:
        historian.write(lookup_points(plant))
        for path, unit in plant.units.items():
            if path.endswith("cnc-02"):  # what leaves the line is the line's output
                write_facts(historian, plant, unit, hours(path.partition("/")[0], path))
        end = START + DAYS * DAY + 7 * HOUR
        store = Store(plant, historian, CatchUpClock(end), ledger_source=dict)
        mine = publisher(store)
        mine.take(plant.units)
        mine.owe({path: [(START, end)] for path in plant.units}, {})
        mine.round(all_of_it=True)
        yield store, Reader(url, START, START + DAYS * DAY, {"guideline": "indi-4-0"})


def joined(answer: list[Series]) -> dict[str, dict[str, Any]]:
    """Site -> its columns, as the panel joins them."""
    found: dict[str, dict[str, Any]] = {}
    for each in answer:
        columns: Mapping[str, Any] = dict(zip(each["columns"], each["values"][0], strict=True))
        found.setdefault(each["tags"]["site"], {}).update({k: v for k, v in columns.items() if k != "time"})
    return found


def test_every_query_is_answered(cluster_of: tuple[Store, Reader]) -> None:
    store, reader = cluster_of
    for who in ("site_text", "letter_text"):
        chosen = replace(reader, chosen={**reader.chosen, "who": who})
        assert chosen.empty(cluster.board(store.plant)) == {}


def test_a_sites_row_is_the_answer_of_the_api(cluster_of: tuple[Store, Reader]) -> None:
    store, reader = cluster_of
    rows = joined(reader.answer(cluster.board(store.plant), "cluster.sites"))
    assert rows.keys() == KNOWN.keys()
    for site, row in rows.items():
        (item,) = store.kpi_items(site, START + 6 * HOUR, START + DAYS * DAY + 6 * HOUR, By.TOTAL)
        for name in cluster.KPIS:
            wanted = item.kpis[name] if name != "coverage" else item.coverage
            assert row.get(name) == (None if wanted is None else pytest.approx(wanted, rel=1e-6)), (site, name)
        last = START + (DAYS - 1) * DAY + 6 * HOUR
        (card,) = scorecards(store, site, last, last + DAY, "indi-4-0")
        assert row["card_score"] == pytest.approx(card.card.score)
        assert row["card_coverage"] == pytest.approx(card.card.coverage)


def test_a_site_of_which_too_little_is_known_is_not_ranked(cluster_of: tuple[Store, Reader]) -> None:
    store, reader = cluster_of
    board = cluster.board(store.plant)
    known = {site: row["coverage"] for site, row in joined(reader.answer(board, "cluster.sites")).items()}
    assert known["utara"] < 0.8 <= min(known["barat"], known["timur"]), known
    for panel, column in (("oee", "oee_index"), ("per_ton", "sec_kwh_per_t"), ("score", "coverage")):
        rows = joined(reader.answer(board, f"cluster.{panel}"))
        assert {site for site, row in rows.items() if row.get(column) is not None} == {"barat", "timur"}
        assert column not in rows["utara"]
    scores = joined(reader.answer(board, "cluster.score"))
    assert all(row["card_score"] is not None for row in scores.values())  # Grafana leaves out what has no coverage
    unranked = joined(reader.answer(board, "cluster.unranked"))
    assert {site: row["coverage"] for site, row in unranked.items() if "coverage" in row} == {"utara": known["utara"]}


def test_letters_stand_for_names(cluster_of: tuple[Store, Reader]) -> None:
    store, reader = cluster_of
    board, letters = cluster.board(store.plant), letters_of(store.plant)
    masked = replace(reader, chosen={**reader.chosen, "who": "letter_text"})
    told = joined(masked.answer(board, "cluster.oee"))
    assert {site: row["who"] for site, row in told.items()} == letters
    (panel,) = [each for each in board.panels if each.text == "cluster.oee_days"]
    titles = {override.field: override.properties["title"] for override in panel.overrides}
    assert {site: titles[f"{site}.letter_text"] for site in letters} == letters
