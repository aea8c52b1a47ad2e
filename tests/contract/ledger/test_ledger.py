"""The ledger and the replay of dead letters on every store that a plant may run."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from historian.historian import Historian
from historian.point import Query
from historian.records import (
    AgentWatermark,
    dead_letters_point,
    edge_ledger_point,
    point_dirty,
    unit_query,
    watermark_point,
)
from historian.schema import NOBODY, Measurement, Origin
from ingest.dead_letters import ALL, DeadLetters
from ingest.ledger import stored_samples
from ingest.letter_replay import Kept, LetterReplay, ReplayCounts
from ingest.mapping import DeadLetter
from kpi_api.answers import Trouble
from kpi_api.outbox_reports import PAGE, OutboxReports
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock, Trust
from shopfloor.instant import HOUR, MINUTE, SECOND, Instant, floor_to
from shopfloor.ledger import AgentLedger
from shopfloor.plant import Plant
from shopfloor.plant_file import load

AGENT = "edge-ceper-1"
UNIT = "ceper/machining/line-1/cnc-01"
NOW = 1_763_830_000_000


@pytest.fixture(scope="module")
def plant() -> Plant:
    return load(Path(__file__).parents[3] / "plants" / "ceper" / "plant.yaml")


@pytest.fixture
def letters(tmp_path: Path) -> Iterator[DeadLetters]:
    found = DeadLetters(tmp_path / "letters.db", settle_s=0)
    yield found
    found.close()


def refused(seq: int, outbox: str = "5f0c", at: Instant | None = None) -> DeadLetter:
    sample = {"seq": seq, "t": NOW - HOUR + seq * SECOND if at is None else at, "v": {"state": 1, "good": seq}}
    return DeadLetter(
        topic=f"v1/logam-jaya/{UNIT}/samples/{AGENT}",
        payload=json.dumps(sample).encode(),
        reason="unknown_unit",
        detail="",
        received=NOW,
        agent=AGENT,
        outbox=outbox,
        seq=seq,
        clock=Trust.SYNCED,
    )


def replay(letters: DeadLetters, historian: Historian, plant: Plant) -> ReplayCounts:
    return LetterReplay(letters, historian, plant, NOW).run(ALL)


def test_replayed_letters_are_stored_once_with_their_dirty_interval(
    historian: Historian, letters: DeadLetters, plant: Plant
) -> None:
    letters.add([refused(seq) for seq in range(1, 6)])
    letters.add([refused(9, "a11e", at=NOW - HOUR + 3 * SECOND)])
    counts = replay(letters, historian, plant)
    assert (counts.stored, counts.kept) == (5, {Kept.TIME_TAKEN: 1})
    assert (replay(letters, historian, plant).stored, letters.count()) == (0, 1)
    assert historian.count(unit_query(Measurement.SAMPLES, plant.enterprise, UNIT)) == 5
    [dirty] = [point_dirty(point) for point in historian.read(Query(Measurement.DIRTY))]
    assert (dirty.origin, dirty.done, dirty.start, dirty.end) == (
        Origin.REPLAY,
        False,
        NOW - HOUR + SECOND,
        NOW - HOUR + 5 * SECOND + 1,
    )


def test_a_replay_killed_before_it_withdrew_is_finished(
    historian: Historian, letters: DeadLetters, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    def die(self: DeadLetters, samples: object) -> int:
        raise Killed

    letters.add([refused(seq) for seq in range(1, 4)])
    with monkeypatch.context() as patch:
        patch.setattr(DeadLetters, "withdraw", die)
        with pytest.raises(Killed):
            replay(letters, historian, plant)
    counts = replay(letters, historian, plant)
    assert (counts.stored, counts.present, counts.kept, letters.count()) == (3, 3, {}, 0)
    assert stored_samples(historian, plant, AGENT) == 3


def test_the_ledger_is_the_same_story_on_every_store(historian: Historian, letters: DeadLetters, plant: Plant) -> None:
    letters.add([refused(seq) for seq in range(1, 8)])
    replay(letters, historian, plant)
    minute = floor_to(NOW, MINUTE)
    edge = {"polled": 12, "appended": 11, "confirmed": 8, "in_outbox": 3, "evicted": 0}
    report = historian.write(
        [
            edge_ledger_point(AGENT, "5f0c", minute, edge, told=NOW - SECOND, moved=NOW - 30 * SECOND),
            watermark_point(AgentWatermark(AGENT, "5f0c", minute, NOW - 5 * MINUTE, 1, heard=NOW - SECOND)),
            dead_letters_point(AGENT, "5f0c", minute, {"bad_time": 1, "unknown_unit": 0}, 1),
            dead_letters_point(NOBODY, "?ab12", minute, {"wrong_topic": 2}, None),
        ]
    )
    assert not report.rejected
    answer = Store(plant, historian, CatchUpClock(NOW)).ledger()
    assert answer.agents[AGENT] == AgentLedger(
        polled=12, appended=11, confirmed=8, in_outbox=3, evicted=0, stored=7, rejected=1
    )
    account = answer.accounts[AGENT]
    assert (account.heard, account.oldest_held, account.receipt_moved) == (
        NOW - SECOND,
        NOW - 5 * MINUTE,
        NOW - 30 * SECOND,
    )
    assert (account.dead_letters, answer.unclaimed) == ({"bad_time": 1}, {"wrong_topic": 2})
    assert [concern.trouble for concern in account.concerns] == [Trouble.WAITING, Trouble.REJECTED]


def test_outboxes_of_long_ago_are_found_behind_many_reports(historian: Historian) -> None:
    year, minute = 365 * 24 * HOUR, floor_to(NOW, MINUTE)
    points = [edge_ledger_point(AGENT, "third", minute - n * MINUTE, {"appended": n}) for n in range(PAGE + 50)]
    points += [edge_ledger_point(AGENT, "first", minute - year, {"appended": 5})]
    points += [edge_ledger_point(AGENT, "second", minute - year // 3 - n * MINUTE, {"appended": 9}) for n in range(50)]
    assert not historian.write(points).rejected
    told = {outbox: report["appended"] for outbox, report in OutboxReports(historian).of(AGENT).items()}
    assert told == {"first": 5.0, "second": 9.0, "third": 0.0}
