from collections.abc import Iterator
from pathlib import Path

import pytest

from historian.embedded import EmbeddedHistorian
from historian.records import AgentWatermark, edge_ledger_point, watermark_point
from ingest.ledger import AgentReports, stored_watermark
from messaging.agent_state import AgentState, EdgeLedger
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


def spoken(outbox: str, confirmed: int, agent: str = "gw-1") -> AgentState:
    counts = EdgeLedger(polled=9, appended=9, confirmed=confirmed, in_outbox=9 - confirmed, evicted=0)
    return AgentState(agent=agent, state="online", outbox=outbox, boot="b", ledger=counts)


def test_the_newest_word_of_each_outbox_is_told_once() -> None:
    reports = AgentReports()
    for told, now in ((spoken("a", 3), START), (spoken("b", 1), START), (spoken("a", 4), START + SECOND)):
        reports.hear(told, now)
    found = {point.tags["outbox"]: point.fields for point in reports.take()}
    assert (found["a"]["confirmed"], found["a"]["told_t"], found["b"]["confirmed"]) == (4.0, START + SECOND, 1.0)
    assert reports.take() == []


def test_a_receipt_has_moved_when_more_is_confirmed_than_before() -> None:
    reports = AgentReports()
    moved = []
    for confirmed, now in ((3, START), (3, START + 1), (5, START + 2), (5, START + 3)):
        reports.hear(spoken("a", confirmed), now)
        moved.append([point.fields.get("moved_t") for point in reports.take()])
    assert moved == [[None], [None], [START + 2], [START + 2]]


def test_what_the_broker_had_kept_tells_no_time() -> None:
    reports = AgentReports()
    reports.hear(spoken("a", 3), START)
    reports.hear(spoken("a", 5), START + MINUTE, kept=True)
    [point] = reports.take()
    assert (point.fields["confirmed"], "told_t" in point.fields, "moved_t" in point.fields) == (5.0, False, False)


def test_a_last_will_tells_no_counts() -> None:
    reports = AgentReports()
    reports.hear(AgentState(agent="gw-1", state="offline", outbox="a", boot="b"), START)
    assert reports.take() == []
