"""The loss ledger as the API tells it: sums over outboxes, what is off, and how long ago the evidence is."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from historian.embedded import EmbeddedHistorian
from historian.point import Query
from historian.records import AgentWatermark, dead_letters_point, edge_ledger_point, sample_point, watermark_point
from historian.schema import NOBODY
from kpi_api import schemas
from kpi_api.answers import Severity, Standing, Trouble, standing
from kpi_api.outbox_reports import MOST, PAGE
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.instant import HOUR, MINUTE, SECOND, Instant, floor_to
from shopfloor.ledger import AgentLedger
from shopfloor.plant import Agent, Plant
from shopfloor.plant_file import load
from shopfloor.sample import Sample

PLANT_FILE = Path(__file__).parents[3] / "plants" / "ceper" / "plant.yaml"
AGENT = "edge-ceper-1"
UNIT = "ceper/machining/line-1/cnc-01"
NOW = 1_763_830_000_000
Tell = Callable[..., None]


@pytest.fixture(scope="module")
def plant() -> Plant:
    return load(PLANT_FILE)


@pytest.fixture
def historian(tmp_path: Path) -> Iterator[EmbeddedHistorian]:
    store = EmbeddedHistorian(tmp_path)
    yield store
    store.close()


@pytest.fixture
def store(plant: Plant, historian: EmbeddedHistorian) -> Store:
    return Store(plant, historian, CatchUpClock(NOW))


@pytest.fixture
def tell(historian: EmbeddedHistorian) -> Tell:
    """What ingest writes when an agent reports: counts as (appended, confirmed, in_outbox, evicted)."""

    def tell(
        outbox: str,
        *counts: int,
        at: Instant = NOW - 5 * SECOND,
        oldest: Instant = NOW,
        agent: str = AGENT,
        **told: Any,
    ) -> None:
        appended, confirmed, in_outbox, evicted = counts
        edge = {"polled": appended + told.pop("unpersisted", 0), "appended": appended, "confirmed": confirmed}
        edge |= {"in_outbox": in_outbox, "evicted": evicted}
        minute = floor_to(at, MINUTE)
        rejected = told.pop("rejected", 0)
        historian.write(
            [
                edge_ledger_point(agent, outbox, minute, edge, told=at, **told),
                watermark_point(AgentWatermark(agent, outbox, minute, oldest, rejected, heard=at)),
            ]
        )

    return tell


def bring(historian: EmbeddedHistorian, count: int, *, unit: str = UNIT, last: Instant = NOW - MINUTE) -> None:
    samples = [Sample(unit=unit, time=last - back * SECOND, values={"state": 1}) for back in range(count)]
    historian.write([sample_point("logam-jaya", sample) for sample in samples])


def troubles(store: Store, agent: str = AGENT) -> list[Trouble]:
    return [concern.trouble for concern in store.ledger().accounts[agent].concerns]


def test_an_agents_ledger_is_the_sum_over_its_outboxes(store: Store, historian: EmbeddedHistorian, tell: Tell) -> None:
    tell("old", 100, 90, 0, 10, at=NOW - 3 * HOUR, rejected=2, unpersisted=1)
    tell("new", 50, 45, 5, 0, unpersisted=3)
    bring(historian, 133)
    answer = store.ledger()
    assert answer.agents[AGENT] == AgentLedger(
        polled=154, appended=150, confirmed=135, in_outbox=5, evicted=10, stored=133, rejected=2
    )
    assert [(each.outbox, each.unpersisted) for each in answer.accounts[AGENT].outboxes] == [("new", 3), ("old", 1)]
    assert answer.standing is Standing.BALANCED
    assert troubles(store) == [Trouble.EVICTED, Trouble.REJECTED]


def test_an_outbox_that_spoke_last_a_year_ago_still_counts(
    store: Store, historian: EmbeddedHistorian, tell: Tell
) -> None:
    year = 365 * 24 * HOUR
    tell("first", 7, 7, 0, 0, at=NOW - year)
    tell("second", 9, 4, 5, 0, at=NOW - year // 2)
    reports = [
        edge_ledger_point(AGENT, "third", floor_to(NOW - minute * MINUTE, MINUTE), {"appended": 3_000 - minute})
        for minute in range(PAGE + 500)
    ]
    historian.write(reports)
    historian.write([dead_letters_point(AGENT, "second", floor_to(NOW, MINUTE), {"bad_time": 1}, 1)])
    told = {each.outbox: each.appended for each in store.ledger().accounts[AGENT].outboxes}
    assert told == {"first": 7, "second": 9, "third": 3_000}
    assert store.ledger().agents[AGENT].appended == 3_016
    tell("third", 4_000, 4_000, 0, 0, at=NOW - SECOND)
    assert store.ledger().agents[AGENT].appended == 4_016


class Counting:
    """A real historian that counts the points that were read."""

    def __init__(self, real: EmbeddedHistorian) -> None:
        self._real = real
        self.points = 0

    def read(self, query: Query) -> Any:
        found = self._real.read(query)
        self.points += len(found)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def test_a_long_history_of_reports_is_not_read_again_and_again(plant: Plant, historian: EmbeddedHistorian) -> None:
    historian.write(
        [edge_ledger_point(AGENT, "only", NOW - minute * MINUTE, {"appended": minute}) for minute in range(5_000)]
    )
    counting = Counting(historian)
    store = Store(plant, counting, CatchUpClock(NOW))  # type: ignore[arg-type]
    store.ledger()
    first, counting.points = counting.points, 0
    store.ledger()
    assert first <= 2 * PAGE
    assert counting.points <= 20


def test_an_attackers_outboxes_do_not_fill_the_memory(store: Store, historian: EmbeddedHistorian) -> None:
    historian.write([edge_ledger_point(AGENT, f"o{n}", NOW, {"appended": 1}) for n in range(MOST + 100)])
    assert len(store.ledger().accounts[AGENT].outboxes) == MOST


@pytest.mark.parametrize(
    ("counts", "stored", "expected"),
    [
        ((100, 100, 0, 0), 100, []),
        ((100, 90, 10, 0), 95, []),
        ((100, 100, 0, 0), 99, [Trouble.MISSING]),
        ((100, 99, 0, 0), 99, [Trouble.MISCOUNTED]),
        ((100, 90, 0, 10), 90, [Trouble.EVICTED]),
        ((100, 90, 0, 10), 95, [Trouble.EVICTED]),
        ((100, 100, 0, 0), 103, [Trouble.SURPLUS]),
    ],
)
def test_what_is_off_is_said(
    store: Store,
    historian: EmbeddedHistorian,
    tell: Tell,
    counts: tuple[int, ...],
    stored: int,
    expected: list[Trouble],
) -> None:
    tell("5f0c", *counts)
    bring(historian, stored)
    assert troubles(store) == expected


def test_samples_that_came_since_the_report_are_no_surplus(
    store: Store, historian: EmbeddedHistorian, tell: Tell
) -> None:
    tell("5f0c", 100, 100, 0, 0, at=NOW - 50 * SECOND)
    bring(historian, 100, last=NOW - 2 * MINUTE)
    bring(historian, 40, last=NOW)
    assert (troubles(store), store.ledger().standing) == ([], Standing.MOVING)


def test_evicted_on_its_way_a_sample_may_be_stored_all_the_same() -> None:
    rest = AgentLedger(polled=100, appended=100, confirmed=90, in_outbox=0, evicted=10, stored=95, rejected=0)
    assert (standing(rest), rest.imbalances()) == (Standing.BALANCED, [])
    assert standing(replace(rest, stored=101)) is Standing.MOVING
    assert rest.imbalances() != replace(rest, stored=101).imbalances()


def test_a_silent_agent_is_told_with_the_time_and_what_it_held(store: Store, tell: Tell) -> None:
    tell("5f0c", 10, 7, 3, 0, at=NOW - 10 * MINUTE)
    account = store.ledger().accounts[AGENT]
    [concern] = [each for each in account.concerns if each.trouble is Trouble.SILENT]
    assert (concern.since, concern.samples) == (NOW - 10 * MINUTE, 3)
    assert "2025-11-22T16:36:40Z" in concern.text


def test_an_agent_that_never_spoke_is_not_forgotten(store: Store) -> None:
    assert troubles(store) == [Trouble.NEVER_HEARD]
    [item] = schemas.Ledger.of(store.ledger()).items
    assert (item.agent, item.appended, item.heard) == (AGENT, 0, None)


def test_samples_that_wait_too_long_are_told_with_the_last_receipt(store: Store, tell: Tell) -> None:
    tell("5f0c", 10, 7, 3, 0, oldest=NOW - 5 * MINUTE, moved=NOW - 4 * MINUTE)
    account = store.ledger().accounts[AGENT]
    [concern] = [each for each in account.concerns if each.trouble is Trouble.WAITING]
    assert (concern.since, concern.samples) == (NOW - 5 * MINUTE, 3)
    [item] = schemas.Ledger.of(store.ledger()).items
    assert (item.receipt_lag_s, item.receipt_moved) == (300.0, "2025-11-22T16:42:40Z")


def test_two_live_outboxes_and_a_card_that_was_taken_out_are_told_apart(store: Store, tell: Tell) -> None:
    tell("5f0c", 10, 7, 3, 0, at=NOW - 2 * HOUR)
    tell("a11e", 10, 10, 0, 0)
    account = store.ledger().accounts[AGENT]
    [left] = [each for each in account.concerns if each.trouble is Trouble.LEFT_BEHIND]
    assert (left.samples, left.outbox) == (3, "5f0c")
    tell("5f0c", 10, 7, 3, 0, at=NOW - SECOND)
    assert Trouble.RIVALS in troubles(store)


def test_dead_letters_are_told_by_cause_and_by_whom(store: Store, historian: EmbeddedHistorian, tell: Tell) -> None:
    tell("5f0c", 10, 10, 0, 0)
    bring(historian, 7)
    minute = floor_to(NOW, MINUTE)
    historian.write(
        [
            dead_letters_point(AGENT, "5f0c", minute, {"bad_time": 2, "unknown_unit": 1}, 3),
            dead_letters_point(AGENT, "?1234", minute, {"not_json": 4}, None),
            dead_letters_point(NOBODY, "?1234", minute, {"wrong_topic": 5}, None),
            dead_letters_point(NOBODY, "?5678", minute, {"wrong_topic": 1}, None),
        ]
    )
    answer = store.ledger()
    assert answer.accounts[AGENT].dead_letters == {"bad_time": 2, "not_json": 4, "unknown_unit": 1}
    assert (answer.agents[AGENT].rejected, answer.standing) == (3, Standing.BALANCED)
    assert (answer.unclaimed, answer.dead_letters) == ({"wrong_topic": 6}, 13)
    assert troubles(store) == [Trouble.REJECTED, Trouble.UNREADABLE]
    told = schemas.Ledger.of(answer)
    assert [(each.trouble, each.samples) for each in told.concerns] == [("unreadable", 6)]


def test_a_unit_that_went_to_another_agent_explains_itself(
    plant: Plant, historian: EmbeddedHistorian, tell: Tell
) -> None:
    mine = plant.agents[AGENT]
    other = "ceper/machining/line-1/cnc-02"
    split: dict[str, Agent] = {
        AGENT: replace(mine, units=tuple(unit for unit in mine.units if unit != other)),
        "edge-2": replace(mine, id="edge-2", units=(other,)),
    }
    store = Store(replace(plant, agents=split), historian, CatchUpClock(NOW))
    tell("5f0c", 20, 20, 0, 0)
    tell("a11e", 0, 0, 0, 0, agent="edge-2")
    bring(historian, 12)
    bring(historian, 8, unit=other, last=NOW - HOUR)
    accounts = store.ledger().accounts
    assert "moved to another agent" in accounts[AGENT].concerns[0].text
    assert [each.trouble for each in accounts["edge-2"].concerns] == [Trouble.SURPLUS]


def test_every_trouble_has_a_severity_and_the_worst_comes_first() -> None:
    order = [trouble.severity for trouble in Trouble]
    assert order == sorted(order, key=list(Severity).index)
