"""docs/metrics.md names every metric that a service exposes, and no other."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from cli.edge_page import EDGE, edge_figures
from cli.ingest_page import INGEST
from historian.embedded import EmbeddedHistorian
from ingest.ledger import IngestCounts
from kpi_api.metrics import Metrics
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.health_server import Figure
from shopfloor.plant_file import load

ROOT = Path(__file__).parents[3]
PLANT = ROOT / "plants" / "ceper" / "plant.yaml"
NAME = re.compile(r"(shopfloor|process)(_[a-z]+)+")


def exposed(text: str) -> set[str]:
    return set(re.findall(r"^# HELP (\S+)", text, re.MULTILINE))


def of_the_api(folder: Path) -> set[str]:
    historian = EmbeddedHistorian(folder)
    metrics = Metrics(Store(load(PLANT), historian, CatchUpClock(1_763_830_000_000)))
    metrics.answered("/", 200, 0.1)
    text = metrics.exposition().decode()
    historian.close()
    return {name for name in exposed(text) if not name.endswith("_created")}


def test_every_metric_is_documented_and_every_documented_one_exists(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    services = {figure.exposed for figure in (*EDGE, *INGEST)}
    real = of_the_api(tmp_path) | services | exposed(generate_latest(registry).decode())
    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "metrics.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(documented) == sorted(real)


def test_names_are_prometheus_words_and_units_are_whole() -> None:
    figures: list[Figure] = [*EDGE, *INGEST]
    for figure in figures:
        assert NAME.fullmatch(figure.name), figure.name
        assert figure.help
        assert not figure.name.endswith(("_ms", "_kb", "_total"))
        assert (figure.scale != 1) == figure.name.endswith("_seconds"), figure.name
        assert figure.label in {None, "unit", "reason"}
    assert len({figure.exposed for figure in figures}) == len(figures)


def test_all_that_ingest_counts_is_exposed() -> None:
    counted = set(IngestCounts().as_dict()) - {"dead_letters"}  # they are exposed by reason
    assert counted <= {figure.key for figure in INGEST}


def test_an_agents_figures_are_told_by_unit_and_what_it_does_not_tell_is_left_out() -> None:
    units = [
        {"unit": "a", "health": "healthy", "failed_cycles": 1, "missed_ticks": 2},
        {"unit": "b", "health": "failing", "failed_cycles": 3, "missed_ticks": 4},
        {"unit": "c", "health": "unknown", "failed_cycles": 0, "missed_ticks": 0},
    ]
    told = edge_figures({"polled": 5, "appended": 3, "oldest_age_ms": None, "clock": "unsynced", "units": units})
    assert (told["unpersisted"], told["oldest_age_ms"], told["clock_synced"]) == (2, 0, False)
    assert told["device_up"] == {"a": True, "b": False}
    assert told["failed_cycles"] == {"a": 1, "b": 3, "c": 0}
