"""The pipeline board on a real influxd: every query answered, its numbers those of the KPI API's ledger."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from dashboards.boards import pipeline
from dashboards.text import LANGUAGES, words
from historian.connect import connect
from historian.lookups import lookup_points
from historian.records import AgentWatermark, watermark_point
from ingest.dead_letters import Tally
from ingest.ledger import AgentReports, tally_points
from ingest.mapping import Refusal
from kpi_api.store import Store
from messaging.agent_state import BAD_STATE, AgentState, EdgeLedger
from messaging.payload import Fault
from shopfloor.clock import CatchUpClock, Trust
from shopfloor.instant import HOUR, MINUTE, SECOND
from shopfloor.plant_file import load
from tests.board_answers import Reader
from tests.filled_plant import AGENT, END, PLANT_FILE, fill
from tests.influxd import InfluxDaemon, fresh_database

OLD, NEW = "5f0c", "a1b2"
"""An outbox that was replaced two hours ago, and the agent's own since then."""
LETTERS = {"bad_time": 2, "unknown_unit": 1}
STRANGE = {"not_json": 4}


def ledger(count: int) -> EdgeLedger:
    """An outbox that lags for the minutes 20 to 30 of each hour, and once lost two samples before it kept them."""
    held = 40 if 20 <= count // 60 % 60 < 30 else 0
    return EdgeLedger(polled=count, appended=count - 2, confirmed=count - 2 - held, in_outbox=held, evicted=0)


@pytest.fixture(scope="module")
def store(influx: InfluxDaemon) -> Iterator[tuple[Store, Reader]]:
    """Three hours of reports as ingest keeps them; the last ten minutes before ``END`` nobody spoke."""
    url, plant = fresh_database(influx.address), load(PLANT_FILE)
    with closing(connect(url)) as historian:
        historian.write(lookup_points(plant))
        for path in plant.units:
            fill(historian, plant, path, 1)
        reports = AgentReports()
        for told in range(END - 3 * HOUR, END - 10 * MINUTE, 20 * SECOND):
            outbox = OLD if told < END - 2 * HOUR else NEW
            counts = ledger((told - END + 4 * HOUR) // SECOND)
            clock = Trust.STEPPED if told < END - 170 * MINUTE else Trust.SYNCED
            state = AgentState(
                agent=AGENT,
                state="online",
                outbox=outbox,
                boot="1",
                ledger=counts,
                clock=clock,
                jumps=1,
                outbox_bytes=9,
            )
            reports.hear(state, told)
            points = reports.take()
            mark = AgentWatermark(AGENT, outbox, points[0].time, told - (90 * SECOND if counts.in_outbox else 0), 0)
            assert len(historian.write([*points, watermark_point(mark)]).accepted) == len(points) + 1
        tallies = [Tally(AGENT, NEW, LETTERS), Tally("-", "?f1", STRANGE)]
        historian.write(tally_points(tallies, END - HOUR))
        yield (
            Store(plant, historian, CatchUpClock(END)),
            Reader(url, END - 6 * HOUR + 1, END),
        )


def test_every_query_is_answered(store: tuple[Store, Reader]) -> None:
    kpis, reader = store
    board = pipeline.board(kpis.plant)
    assert reader.empty(board) == {"pipeline.heard": "pipeline.nobody"}  # in the last five minutes before its end
    heard = Reader(reader.url, END - 6 * HOUR, END - 9 * MINUTE)
    assert heard.number(board, "pipeline.heard") == 1


def test_its_counts_are_those_of_the_ledger_of_the_api(store: tuple[Store, Reader]) -> None:
    kpis, reader = store
    board = pipeline.board(kpis.plant)
    answer = kpis.ledger()
    counts = answer.agents[AGENT]
    for name in ("evicted", "rejected", "unpersisted"):
        assert reader.number(board, f"pipeline.{name}") == getattr(counts, name)
    assert reader.number(board, "pipeline.held") == counts.in_outbox
    assert reader.number(board, "pipeline.unaccounted") == 0
    assert reader.number(board, "pipeline.age") == END - max(each.told or 0 for each in answer.accounts[AGENT].outboxes)
    by_outbox = {series["tags"]["outbox"]: series for series in reader.answer(board, "pipeline.agents")}
    for account in answer.accounts[AGENT].outboxes:
        row = dict(zip(by_outbox[account.outbox]["columns"], by_outbox[account.outbox]["values"][0], strict=True))
        for name in ("polled", "appended", "confirmed", "in_outbox", "evicted"):
            assert row[name] == getattr(account, name)
    (letters,) = reader.answer(board, "pipeline.letters")
    told = {
        name.removeprefix("sum_last_dead_"): value
        for name, value in zip(letters["columns"][1:], letters["values"][0][1:], strict=True)
    }
    assert told == {**answer.accounts[AGENT].dead_letters, **answer.unclaimed} == {**LETTERS, **STRANGE}


def test_what_nobody_told_is_a_gap(store: tuple[Store, Reader]) -> None:
    kpis, reader = store
    (depth,) = reader.answer(pipeline.board(kpis.plant), "pipeline.depth")
    values = [value for _, value in depth["values"]]
    assert values[-2:] == [None, None]  # ten minutes of silence, in stretches of five
    assert max(filter(None, values)) == 40
    (lag,) = reader.answer(pipeline.board(kpis.plant), "pipeline.lag")
    assert max(filter(None, (value for _, value in lag["values"]))) == 90


def test_every_cause_of_a_dead_letter_has_words() -> None:
    assert set(pipeline.CAUSES) == {*Fault, *Refusal, BAD_STATE}
    for language in LANGUAGES:
        assert all(words(language).must(f"letter.{cause}") for cause in pipeline.CAUSES)
