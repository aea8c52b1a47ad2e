import hashlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from historian.schema import NOBODY
from ingest.dead_letters import HEAD_BYTES, MAX_SOURCES, MAX_WORDS, Bounds, DeadLetters, Tally, Wanted
from ingest.mapping import DeadLetter, Source
from messaging.payload import MAX_MESSAGE_BYTES
from shopfloor.clock import Trust
from shopfloor.errors import Backpressure, ServiceUnavailable

HERE = Source("edge-1", "5f0c")
ROOT = Path(__file__).parents[3]


def letter(seq=None, outbox="5f0c", payload=b"{}", reason="wrong_type", **changes):
    told = {"topic": "v1/x", "detail": "why", "received": 5, "agent": "edge-1", "clock": Trust.SYNCED, **changes}
    return DeadLetter(payload=payload, reason=reason, outbox=outbox, seq=seq, **told)


def test_a_resent_sample_is_not_counted_twice(dead_letters):
    assert dead_letters.add([letter(1), letter(2)]) == [letter(1), letter(2)]
    assert dead_letters.add([letter(2), letter(3)]) == [letter(3)]
    assert (dead_letters.count(), dead_letters.rejected("edge-1")) == (3, 3)


def test_a_message_that_hides_its_samples_counts_but_rejects_none(dead_letters):
    dead_letters.add([letter(payload=b"{"), letter(payload=b"{"), letter(payload=b"[")])
    assert (dead_letters.count(), dead_letters.rejected("edge-1")) == (2, 0)


def test_rejected_samples_are_told_by_outbox(dead_letters):
    dead_letters.add([letter(1), letter(1, outbox="a11e"), letter(2, outbox="a11e")])
    assert [dead_letters.rejected("edge-1", outbox) for outbox in ("5f0c", "a11e", None)] == [1, 2, 3]
    assert dead_letters.rejected("edge-2") == 0


def test_letters_are_listed_newest_first_and_shown_in_full(dead_letters):
    dead_letters.add([letter(1), letter(2, reason="bad_time")])
    dead_letters.add([letter(1)])
    newest, oldest = dead_letters.list()
    assert (newest.letter, newest.times, oldest.times) == (letter(2, reason="bad_time"), 1, 2)
    assert dead_letters.list(before=newest.id) == [oldest]
    assert dead_letters.show(oldest.id) == oldest
    assert dead_letters.show(99) is None
    assert dead_letters.by_reason() == {"bad_time": 1, "wrong_type": 1}


def test_a_letter_is_withdrawn_when_its_sample_was_stored_after_all(dead_letters):
    dead_letters.add([letter(1), letter(2)])
    assert dead_letters.withdraw([(HERE, 1), (HERE, 7), (Source("edge-1", "a11e"), 2)]) == 1
    assert (dead_letters.rejected("edge-1"), dead_letters.count(), len(dead_letters.list())) == (1, 1, 1)
    assert dead_letters.withdraw([(HERE, 1)]) == 0


def test_letters_survive_the_process(tmp_path):
    first = DeadLetters(tmp_path / "letters.sqlite")
    first.add([letter(1)])
    first.close()
    second = DeadLetters(tmp_path / "letters.sqlite")
    assert second.add([letter(1)]) == []
    second.close()


def test_a_locked_file_asks_to_wait_and_keeps_nothing_by_half(tmp_path):
    path = tmp_path / "letters.sqlite"
    letters = DeadLetters(path, busy_timeout_s=0.01)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Backpressure):
        letters.add([letter(1)])
    other.execute("ROLLBACK")
    other.close()
    assert letters.count() == 0
    letters.close()


def test_a_path_that_is_no_file_is_told_at_once(tmp_path):
    with pytest.raises(ServiceUnavailable, match="dead letters"):
        DeadLetters(tmp_path)


def test_a_file_that_cannot_be_read_now_asks_to_wait_too(tmp_path):
    path = tmp_path / "letters.sqlite"
    letters = DeadLetters(path, busy_timeout_s=0.01)
    letters._db.execute("ALTER TABLE source RENAME TO elsewhere")
    letters._db.execute("ALTER TABLE total RENAME TO elsewhere_too")
    letters._db.execute("ALTER TABLE letter RENAME TO elsewhere_again")
    for call in (letters.count, lambda: letters.rejected("edge-1"), letters.by_reason, letters.list):
        with pytest.raises(Backpressure):
            call()
    letters.close()


# ---------------------------------------------------------------- bounded


def test_the_oldest_words_are_dropped_and_every_rejected_sample_stays_counted(tmp_path):
    letters = DeadLetters(tmp_path / "letters.sqlite", named=Bounds(letters=10, bytes=10**9))
    for first in range(0, 100, 25):
        letters.add([letter(seq) for seq in range(first, first + 25)])
    assert [kept.letter.seq for kept in letters.list()] == list(range(99, 89, -1))
    assert (letters.count(), letters.rejected("edge-1", "5f0c"), letters.dropped()) == (100, 100, 90)
    assert letters.withdraw([(HERE, 3), (HERE, 95)]) == 2
    assert (letters.count(), letters.rejected("edge-1"), len(letters.list())) == (98, 98, 9)
    assert letters.add([letter(4)]) == []
    letters.close()


def test_garbage_cannot_push_out_what_tells_its_sample(tmp_path):
    path = tmp_path / "letters.sqlite"
    letters = DeadLetters(path, garbage=Bounds(letters=100, bytes=50_000))
    letters.add([letter(1)])
    sizes = []
    for round_ in range(20):
        letters.add([letter(payload=os.urandom(2_000), reason="not_json") for _ in range(500)])
        letters._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sizes.append(path.stat().st_size)
        assert letters.by_reason() == {"not_json": 500 * (round_ + 1), "wrong_type": 1}
    kept = letters.list(1_000)
    assert sum(len(each.letter.payload) for each in kept) <= 50_000
    assert kept[-1].letter == letter(1)
    assert sizes[-1] <= 1.1 * sizes[1]
    letters.close()


def test_of_a_small_disk_letters_take_a_part(tmp_path, monkeypatch):
    monkeypatch.setattr("ingest.dead_letters.shutil.disk_usage", lambda _: SimpleNamespace(total=16 * 1024 * 1024))
    path = tmp_path / "letters.sqlite"
    letters = DeadLetters(path)
    for first in range(0, 4_000, 500):
        letters.add([letter(seq, payload=os.urandom(3_000)) for seq in range(first, first + 500)])
        letters.add([letter(payload=os.urandom(3_000), reason="not_json") for _ in range(500)])
    assert letters.count() == 8_000
    letters._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < 6 * 1024 * 1024
    assert letters.list(1, wanted=Wanted(named=True))[0].letter.seq == 3_999
    letters.close()


def test_a_file_system_that_does_not_tell_its_size_costs_no_letter(tmp_path, monkeypatch):
    monkeypatch.setattr("ingest.dead_letters.shutil.disk_usage", lambda _: SimpleNamespace(total=0))
    letters = DeadLetters(tmp_path / "letters.sqlite")
    letters.add([letter(1), letter(reason="not_json")])
    assert len(letters.list()) == 2
    letters.close()


def test_a_payload_longer_than_any_message_is_kept_as_its_head_length_and_hash(dead_letters):
    payload = os.urandom(MAX_MESSAGE_BYTES + 1)
    dead_letters.add([letter(payload=payload, reason="oversized"), letter(payload=payload[:-1])])
    whole, cut = dead_letters.list()
    assert (whole.letter.payload, whole.digest) == (payload[:-1], None)
    assert (cut.letter.payload, cut.size) == (payload[:HEAD_BYTES], len(payload))
    assert cut.digest == hashlib.sha256(payload).hexdigest()


def test_endless_topics_and_half_characters_are_kept_short_and_whole(dead_letters):
    dead_letters.add([letter(1, topic="v1/" + "x" * 60_000, detail="\ud800" * 60_000)])
    [kept] = dead_letters.list()
    assert (len(kept.letter.topic), kept.letter.detail) == (MAX_WORDS, "?" * MAX_WORDS)


def test_an_attacker_with_endless_outboxes_is_counted_under_nobody(dead_letters):
    flood = [letter(1, outbox=f"o{number}") for number in range(MAX_SOURCES + 50)]
    assert len(dead_letters.add(flood)) == len(flood)
    assert dead_letters.count() == len(flood)
    tallies = {(tally.agent, tally.outbox): tally for tally in dead_letters.take_tallies({"edge-1"})}
    assert tallies[NOBODY, f"?{dead_letters.file_id}"].letters == {"wrong_type": 50}
    assert dead_letters.rejected("edge-1") == MAX_SOURCES
    assert dead_letters.add(flood[-10:]) == []


def test_counting_costs_the_same_however_many_letters_there_are(dead_letters):
    """In steps of the database's machine: a timing would tell of the neighbours."""

    def steps(call):
        count = [0]
        dead_letters._db.set_progress_handler(lambda: count.__setitem__(0, count[0] + 1), 1)
        call()
        dead_letters._db.set_progress_handler(None, 1)
        return count[0]

    def costs():
        return [
            steps(dead_letters.count),
            steps(lambda: dead_letters.rejected(*HERE)),
            steps(dead_letters.by_reason),
            steps(lambda: dead_letters.withdraw([(HERE, 10**9)])),
        ]

    dead_letters.add([letter(1)])
    few = costs()
    dead_letters.add([letter(seq) for seq in range(20_000)])
    assert costs() == few


# ---------------------------------------------------------------- the ledger's tallies


def test_tallies_are_told_when_they_change_and_all_at_the_start(tmp_path):
    path = tmp_path / "letters.sqlite"
    letters = DeadLetters(path, settle_s=0)
    assert letters.take_tallies({"edge-1"}) == []
    letters.add([letter(1), letter(2, reason="bad_time"), letter(7, outbox="a11e")])
    told = {tally.outbox: tally for tally in letters.take_tallies({"edge-1"})}
    assert told["5f0c"] == Tally("edge-1", "5f0c", {"wrong_type": 1, "bad_time": 1})
    assert (told["5f0c"].samples, told["a11e"].samples) == (2, 1)
    assert letters.take_tallies({"edge-1"}) == []
    letters.withdraw([(HERE, 2)])
    assert letters.take_tallies({"edge-1"}) == [Tally("edge-1", "5f0c", {"wrong_type": 1, "bad_time": 0})]
    letters.close()
    again = DeadLetters(path)
    assert len(again.take_tallies({"edge-1"})) == 2
    again.close()


def test_a_change_is_told_again_for_a_while_since_another_writer_may_overtake(tmp_path):
    letters = DeadLetters(tmp_path / "letters.sqlite", settle_s=3_600)
    letters.take_tallies({"edge-1"})
    letters.add([letter(1)])
    assert letters.take_tallies({"edge-1"}) == letters.take_tallies({"edge-1"}) != []
    letters.close()


def test_what_belongs_to_no_agent_of_the_plant_is_told_together(dead_letters):
    dead_letters.take_tallies(())
    dead_letters.add([letter(agent=None, payload=b"{"), letter(1, agent="stranger"), letter(payload=b"[")])
    told = {(tally.agent, tally.outbox): tally for tally in dead_letters.take_tallies({"edge-1"})}
    nowhere = f"?{dead_letters.file_id}"
    assert told[NOBODY, nowhere].letters == {"wrong_type": 2}
    assert told["edge-1", nowhere].letters == {"wrong_type": 1}
    assert {tally.samples for tally in told.values()} == {None}
    dead_letters.add([letter(2, agent="stranger")])
    assert dead_letters.take_tallies({"edge-1"}) == [Tally(NOBODY, nowhere, {"wrong_type": 3})]


# ---------------------------------------------------------------- asked by people


def test_letters_are_chosen_by_reason_agent_time_and_number(dead_letters):
    dead_letters.add([letter(1), letter(2, reason="bad_time", received=9), letter(3, agent="edge-2"), letter()])

    def chosen(**wanted):
        return [kept.letter.seq for page in dead_letters.oldest_first(Wanted(**wanted)) for kept in page]

    assert chosen() == [1, 2, 3, None]
    assert chosen(reason="bad_time") == chosen(since=6) == [2]
    assert chosen(agent="edge-2") == chosen(ids=[3]) == [3]
    assert chosen(named=True) == [1, 2, 3]


# ---------------------------------------------------------------- several processes, older files

WRITER = """
import sys
from pathlib import Path
from ingest.dead_letters import DeadLetters
from ingest.mapping import DeadLetter
letters = DeadLetters(Path(sys.argv[1]))
for first in range(0, 400, 10):
    letters.add([
        DeadLetter(topic="t", payload=b"{}", reason="bad_time", detail="d", received=1, agent=sys.argv[2], outbox="a",
                   seq=seq) for seq in range(first, first + 10)
    ])
"""


def test_several_processes_share_one_file_from_its_making_on(tmp_path):
    path = tmp_path / "letters.sqlite"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, agent], cwd=ROOT) for agent in ("edge-1", "edge-2", "edge-2")]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    letters = DeadLetters(path)
    assert (letters.rejected("edge-1"), letters.rejected("edge-2"), letters.count()) == (400, 400, 800)
    letters.close()


FORMAT_1 = """
CREATE TABLE letters (id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE, agent TEXT, outbox TEXT, seq INTEGER,
    reason TEXT NOT NULL, detail TEXT NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL, received INTEGER NOT NULL,
    times INTEGER NOT NULL DEFAULT 1);
CREATE INDEX letters_of ON letters (agent, outbox, seq);
"""


def test_an_older_file_is_brought_up_to_date_with_all_its_counts(tmp_path):
    path = tmp_path / "letters.sqlite"
    old = sqlite3.connect(path)
    old.executescript(FORMAT_1)
    insert = "INSERT INTO letters (identity, agent, outbox, seq, reason, detail, topic, payload, received, times)"
    for each, times in ((letter(1), 3), (letter(2, reason="bad_time"), 1), (letter(agent=None, payload=b"{"), 2)):
        row = (each.identity, each.agent, each.outbox if each.seq else None, each.seq, each.reason, "why", "v1/x")
        old.execute(f"{insert} VALUES (?, ?, ?, ?, ?, ?, ?, ?, 5, ?)", (*row, each.payload, times))
    old.commit()
    old.close()
    for times in (3, 4):
        letters = DeadLetters(path)
        assert (letters.count(), letters.rejected(*HERE)) == (3, 2)
        assert letters.by_reason() == {"bad_time": 1, "wrong_type": 2}
        assert [kept.times for kept in letters.list()] == [2, 1, times]
        assert letters.add([letter(1)]) == []
        letters.close()


def test_a_file_of_a_newer_program_is_left_alone(tmp_path):
    path = tmp_path / "letters.sqlite"
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(ServiceUnavailable, match="newer program"):
        DeadLetters(path)
