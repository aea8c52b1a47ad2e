import sqlite3

import pytest

from ingest.dead_letters import DeadLetters
from ingest.mapping import DeadLetter
from shopfloor.errors import Backpressure, ServiceUnavailable


def letter(seq=None, outbox="5f0c", payload=b"{}", reason="wrong_type"):
    return DeadLetter(
        topic="v1/x", payload=payload, reason=reason, detail="why", received=5, agent="edge-1", outbox=outbox, seq=seq
    )


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
    assert dead_letters.withdraw([letter(1).identity, letter(7).identity]) == 1
    assert dead_letters.rejected("edge-1") == 1


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
    letters._db.execute("ALTER TABLE letters RENAME TO elsewhere")
    for call in (letters.count, lambda: letters.rejected("edge-1"), letters.by_reason, letters.list):
        with pytest.raises(Backpressure):
            call()
    letters.close()
