from collections.abc import Iterator
from pathlib import Path

import pytest

from historian.embedded import EmbeddedHistorian
from historian.records import AgentWatermark, edge_ledger_point, watermark_point
from ingest.ledger import stored_watermark
from shopfloor.instant import HOUR, MINUTE, SECOND, Instant
from tests.production import START

NOW = START + HOUR


@pytest.fixture
def historian(tmp_path: Path) -> Iterator[EmbeddedHistorian]:
    store = EmbeddedHistorian(tmp_path)
    yield store
    store.close()


def told(historian: EmbeddedHistorian, outbox: str, time: Instant, oldest: Instant, agent: str = "gw-1") -> None:
    report = historian.write([watermark_point(AgentWatermark(agent, outbox, time, oldest, 0))])
    assert len(report.accepted) == 1


def test_an_agent_that_never_told_has_no_watermark(historian: EmbeddedHistorian) -> None:
    told(historian, "a", START, START, agent="gw-2")
    historian.write([edge_ledger_point("gw-1", "a", START, {"appended": 3})])
    assert stored_watermark(historian, "gw-1", NOW) is None


def test_the_newest_report_of_each_outbox_counts_and_the_oldest_of_these_holds(historian: EmbeddedHistorian) -> None:
    told(historian, "a", START, START - HOUR)
    told(historian, "a", START + MINUTE, START + 30 * SECOND)
    told(historian, "b", START, START + 20 * SECOND)
    assert stored_watermark(historian, "gw-1", NOW) == START + 20 * SECOND


def test_a_replayed_file_does_not_hide_what_the_agent_may_still_hold(historian: EmbeddedHistorian) -> None:
    told(historian, "a", START, START - 5 * SECOND)
    told(historian, "file", START + 2 * MINUTE, 2**42)
    assert stored_watermark(historian, "gw-1", NOW) == START - 5 * SECOND


def test_a_replayed_file_alone_knows_nothing_of_the_future(historian: EmbeddedHistorian) -> None:
    told(historian, "file", START, 2**42)
    assert stored_watermark(historian, "gw-1", NOW) == NOW


def test_what_was_told_since_an_instant_can_be_left_out(historian: EmbeddedHistorian) -> None:
    told(historian, "a", START, START - HOUR)
    told(historian, "a", START + MINUTE, START)
    assert stored_watermark(historian, "gw-1", NOW, START + MINUTE + 5 * SECOND) == START - HOUR
    assert stored_watermark(historian, "gw-1", NOW, START + 2 * MINUTE) == START
