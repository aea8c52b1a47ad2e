import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.outbox import MAX_DEAD_LETTERS, Outbox, OutboxCounts
from edge_agent.outbox_file import PAGE_BYTES
from edge_agent.source_clock import Stamp
from messaging.receipt import Receipt
from shopfloor.clock import Trust
from shopfloor.errors import Backpressure, OutboxDamaged, OutboxError
from shopfloor.quality import COMM_LOST
from shopfloor.sample import Sample

A, B = "s/a/l/a", "s/a/l/b"


def sample(time: int, unit: str = A) -> Sample:
    return Sample(
        unit=unit,
        time=time,
        values={"state": 1, "power_kw": 2.5, "order_text": "é"},
        status={"temperature_c": COMM_LOST},
    )


def balances(counts: OutboxCounts) -> bool:
    return counts.appended == counts.confirmed + counts.in_outbox + counts.evicted


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path / "outbox.db", max_samples=1_000)
    yield box
    box.close()


def test_what_is_appended_comes_back_as_it_was(box: Outbox) -> None:
    box.append([sample(1), sample(2)])
    found = box.pending()
    assert [(each.seq, each.sample, each.trust) for each in found] == [
        (1, sample(1), Trust.SYNCED),
        (2, sample(2), Trust.SYNCED),
    ]


def test_pending_pages_through_and_changes_nothing(box: Outbox) -> None:
    box.append([sample(time) for time in range(1, 11)])
    assert [each.seq for each in box.pending(after=3, limit=4)] == [4, 5, 6, 7]
    assert [each.seq for each in box.pending(after=3, limit=4, upto=5)] == [4, 5]
    assert len(box) == 10


def test_id_and_seq_go_on_over_boots(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "o.db", max_samples=10)
    first.append([sample(1), sample(2)])
    first.confirm(Receipt(first.outbox_id, 0))
    outbox_id = first.outbox_id
    first.mark_sent(2)
    first.confirm(Receipt(outbox_id, 2))
    first.close()
    again = Outbox(tmp_path / "o.db", max_samples=10)
    again.append([sample(3)])
    assert again.outbox_id == outbox_id
    assert [each.seq for each in again.pending()] == [3]
    assert again.counts() == OutboxCounts(polled=3, appended=3, confirmed=2, in_outbox=1, evicted=0)
    again.close()


def test_a_new_file_has_a_new_id_and_is_not_trimmed_by_the_old_receipt(tmp_path: Path) -> None:
    old = Outbox(tmp_path / "card-1.db", max_samples=10)
    new = Outbox(tmp_path / "card-2.db", max_samples=10)
    for box in (old, new):
        box.append([sample(1), sample(2)])
        box.mark_sent(2)
    receipt = Receipt(old.outbox_id, 2)
    assert new.confirm(receipt) == 0
    assert old.confirm(receipt) == 2
    assert (len(old), len(new)) == (0, 2)
    old.close()
    new.close()


def test_a_receipt_beyond_what_was_sent_trims_nothing(box: Outbox) -> None:
    box.append([sample(time) for time in range(1, 6)])
    box.mark_sent(3)
    assert box.confirm(Receipt(box.outbox_id, 4)) == 0
    assert box.confirm(Receipt(box.outbox_id, 0, ((1, 9),))) == 0
    assert box.confirm(Receipt(box.outbox_id, 3)) == 3


def test_after_a_restart_a_receipt_may_cover_what_the_earlier_boot_sent(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "o.db", max_samples=10)
    first.append([sample(1)])
    first.mark_sent(1)
    first.close()
    again = Outbox(tmp_path / "o.db", max_samples=10)
    again.append([sample(2)])
    assert again.confirm(Receipt(again.outbox_id, 2)) == 0
    assert again.confirm(Receipt(again.outbox_id, 1)) == 1
    again.close()


def test_ranges_trim_what_they_name_and_the_floor_follows(box: Outbox) -> None:
    assert (box.floor().low, box.floor().oldest) == (1, None)
    box.append([sample(time * 10) for time in range(1, 6)])
    box.mark_sent(5)
    assert box.confirm(Receipt(box.outbox_id, 1, ((3, 4),))) == 3
    assert [each.seq for each in box.pending()] == [2, 5]
    assert (box.floor().low, box.floor().oldest) == (2, 20)
    assert box.confirm(Receipt(box.outbox_id, 1, ((3, 4),))) == 0


def test_the_oldest_are_evicted_and_counted_when_it_is_full(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", max_samples=3)
    assert box.append([sample(1), sample(2)]) == 0
    assert box.append([sample(3), sample(4), sample(5)]) == 2
    assert [each.seq for each in box.pending()] == [3, 4, 5]
    assert box.append([sample(time) for time in range(6, 16)]) == 10
    assert [each.seq for each in box.pending()] == [13, 14, 15]
    assert balances(box.counts())
    box.close()


def test_a_sample_not_later_than_the_last_of_its_unit_is_kept_to_be_rejected(box: Outbox) -> None:
    box.append([sample(5), sample(5), sample(4), sample(4, B), sample(6)])
    assert [(each.sample.unit, each.sample.time, each.trust) for each in box.pending()] == [
        (A, 5, Trust.SYNCED),
        (A, 5, Trust.UNSYNCED),
        (A, 4, Trust.UNSYNCED),
        (B, 4, Trust.SYNCED),
        (A, 6, Trust.SYNCED),
    ]
    counts = box.counts()
    assert (counts.polled, counts.appended, counts.in_outbox, counts.quarantined) == (5, 5, 5, 2)


def test_the_last_time_of_a_unit_outlives_its_samples(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "o.db", max_samples=10)
    first.append([sample(5)])
    first.mark_sent(1)
    first.confirm(Receipt(first.outbox_id, 1))
    first.close()
    again = Outbox(tmp_path / "o.db", max_samples=10)
    again.append([sample(5), sample(6)])
    assert [(each.sample.time, each.trust) for each in again.pending()] == [(5, Trust.UNSYNCED), (6, Trust.SYNCED)]
    again.close()


def undated(steady: int, *, wall: int = 999, boot: str = "b1") -> Stamp:
    return Stamp(wall, steady, boot, dated=False)


def dated(time: int, steady: int, boot: str = "b1") -> Stamp:
    return Stamp(time, steady, boot, dated=True)


def test_an_undated_sample_is_held_back_until_a_dated_one_of_its_boot_tells_its_time(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", max_samples=100)
    box.append([sample(1_000)], [dated(1_000, 100)])
    box.append([sample(999), sample(999, B), sample(999)], [undated(110), undated(111), undated(120)])
    assert [each.seq for each in box.pending()] == [1]
    assert (len(box), box.undated, box.floor().oldest) == (4, 3, 0)  # B has never had a time
    box.close()
    box = Outbox(tmp_path / "o.db", max_samples=100)
    assert (len(box), box.undated, box.anchor) == (4, 3, ("b1", 900))
    box.append([sample(1_030)], [dated(1_030, 130)])
    assert [(each.seq, each.sample.time, each.trust) for each in box.pending()] == [
        (1, 1_000, Trust.SYNCED),
        (2, 1_010, Trust.STEPPED),
        (3, 1_011, Trust.STEPPED),
        (4, 1_020, Trust.STEPPED),
        (5, 1_030, Trust.SYNCED),
    ]
    assert [each.sample.values for each in box.pending()] == [sample(1).values] * 5
    assert balances(box.counts())
    box.close()


def test_what_would_go_back_when_it_is_dated_is_kept_to_be_rejected(box: Outbox) -> None:
    box.append([sample(9_000)], [dated(9_000, 100)])
    box.append([sample(999), sample(999)], [undated(110), undated(9_200)])
    assert box.date(dated(1_300, 300)) == 2
    assert [(each.sample.time, each.trust) for each in box.pending()] == [
        (9_000, Trust.SYNCED),
        (1_110, Trust.UNSYNCED),
        (10_200, Trust.STEPPED),
    ]
    assert box.floor().oldest == 9_000
    assert balances(box.counts())


def test_the_samples_of_a_boot_that_has_ended_are_given_up_with_what_the_wall_said(box: Outbox) -> None:
    box.append([sample(77), sample(88, B)], [undated(110, wall=77), undated(111, wall=88, boot="b2")])
    assert box.date(dated(5_000, 10, "b3")) == 0
    assert box.give_up_undated("b2") == 1
    assert [(each.sample.time, each.trust) for each in box.pending()] == [(77, Trust.UNSYNCED)]
    assert (box.undated, box.counts().quarantined, balances(box.counts())) == (1, 1, True)


def test_undated_samples_are_evicted_in_their_turn(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", max_samples=4)
    box.append([sample(1)], [dated(1, 1)])
    box.append([sample(9), sample(9)], [undated(2), undated(3)])
    box.append([sample(5, B)])
    assert box.append([sample(6, B), sample(7, B)]) == 2
    assert ([each.sample.time for each in box.pending()], box.undated) == ([5, 6, 7], 1)
    assert balances(box.counts())
    box.close()


def test_a_dead_letter_counts_as_evicted_until_a_late_receipt_confirms_it(box: Outbox) -> None:
    box.append([sample(1), sample(2), sample(3)])
    box.mark_sent(3)
    assert box.dead_letter([2, 99], "no receipt after 10 sends") == 1
    assert [(each.seq, cause) for each, cause in box.dead_letters()] == [(2, "no receipt after 10 sends")]
    assert (box.counts().evicted, len(box)) == (1, 2)
    box.confirm(Receipt(box.outbox_id, 3))
    counts = box.counts()
    assert (counts.confirmed, counts.evicted, box.dead_letters()) == (3, 0, [])
    assert balances(counts)


def test_a_receipt_that_repeats_our_own_word_confirms_no_dead_letter(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", max_samples=10)
    box.append([sample(1), sample(2)])
    box.mark_sent(2)
    box.dead_letter([1], "no receipt after 10 sends")
    assert box.floor().low == 2  # told to the receiver, who takes it for settled
    box.confirm(Receipt(box.outbox_id, 2))
    box.close()
    again = Outbox(tmp_path / "o.db", max_samples=10)
    again.confirm(Receipt(again.outbox_id, 2))
    assert [each.seq for each, _ in again.dead_letters()] == [1]
    assert (again.counts().confirmed, again.counts().evicted) == (1, 1)
    again.close()


def test_what_is_on_the_way_is_evicted_last_so_that_its_receipt_still_counts(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", max_samples=3)
    box.append([sample(time) for time in (1, 2, 3)])
    waiting = box.pending()
    assert [each.seq for each in box.launch(waiting[:2])] == [1, 2]
    assert box.append([sample(4)]) == 1
    assert [each.seq for each in box.pending()] == [1, 2, 4]
    assert box.launch(waiting[2:]) == []
    assert box.confirm(Receipt(box.outbox_id, 2)) == 2
    assert box.append([sample(5), sample(6), sample(7)]) == 1
    assert [each.seq for each in box.pending()] == [5, 6, 7]
    box.launch(box.pending())
    assert box.append([sample(8), sample(9), sample(10), sample(11)]) == 4
    assert [each.seq for each in box.pending()] == [5, 6, 7]
    assert balances(box.counts())
    box._file.tight = box._file.spent = True
    assert box.append([sample(12)]) == 3
    assert [each.seq for each in box.pending()] == [12]
    box.close()


def test_the_time_of_a_unit_is_kept_when_what_an_earlier_start_left_is_confirmed(tmp_path: Path) -> None:
    """Else, killed before it appends anything new, the next start would take old times for new ones."""
    Outbox(tmp_path / "o.db", max_samples=10).close()
    for step in (lambda box: box.append([sample(1), sample(2)]), lambda box: box.confirm(Receipt(box.outbox_id, 2))):
        box = Outbox(tmp_path / "o.db", max_samples=10)
        step(box)
        box.close()
    box = Outbox(tmp_path / "o.db", max_samples=10)
    assert (len(box), box.last_time(A)) == (0, 2)
    box.close()


def test_dead_letters_are_bounded(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", max_samples=MAX_DEAD_LETTERS + 10)
    box.append([sample(time) for time in range(1, MAX_DEAD_LETTERS + 4)])
    box.dead_letter(range(1, MAX_DEAD_LETTERS + 4), "refused")
    found = box.dead_letters()
    assert (len(found), found[0][0].seq) == (MAX_DEAD_LETTERS, 4)
    assert balances(box.counts())
    box.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 8), st.integers(0, 2)),
        st.tuples(st.just("confirm"), st.integers(0, 40), st.integers(0, 40)),
        st.tuples(st.just("dead"), st.integers(0, 40), st.integers(0, 3)),
        st.tuples(st.just("launch"), st.integers(0, 12), st.integers(0, 12)),
        st.tuples(st.just("reopen"), st.just(0), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_the_ledger_balances_after_every_step(tmp_path_factory: pytest.TempPathFactory, steps: list) -> None:  # type: ignore[type-arg]
    path = tmp_path_factory.mktemp("ledger") / "o.db"
    box, now = Outbox(path, max_samples=12), 0
    for step, first, second in steps:
        if step == "append":
            box.append([sample(now + index) for index in range(first)], polled=first + second)
            now += first
            box.mark_sent(box.last_seq)
        elif step == "confirm":
            box.confirm(Receipt(box.outbox_id, min(first, second), ((first, max(first, second)),)))
        elif step == "launch":
            waiting = box.pending(limit=first)
            assert box.launch(waiting) == waiting
            box.floor()
        elif step == "dead":
            box.dead_letter(range(first, first + second), "test")
        else:
            box.close()
            box = Outbox(path, max_samples=12)
        counts = box.counts()
        assert balances(counts)
        assert counts.polled >= counts.appended
        assert counts.in_outbox == len(box) <= 12
    box.close()


def test_a_file_in_use_says_so(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", max_samples=10)
    with pytest.raises(OutboxError, match="another agent"):
        Outbox(tmp_path / "o.db", max_samples=10)
    box.close()


def test_a_full_disk_keeps_the_samples_with_the_caller_and_the_outbox_as_it_was(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", max_samples=1_000_000)
    box.append([sample(1)])
    before = box.counts()
    box._file._db.execute("PRAGMA max_page_count = 20")
    with pytest.raises(Backpressure):
        box.append([sample(time) for time in range(2, 5_000)])
    assert box.counts() == before
    box._file._db.execute("PRAGMA max_page_count = 100000")
    assert box.append([sample(2)]) == 0  # the reserve has room: a short want of it costs nothing
    assert box.append([sample(3)]) == 0
    assert [each.seq for each in box.pending()] == [1, 2, 3]
    box.close()


def test_a_file_that_grows_beyond_its_bytes_loses_the_oldest(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", max_samples=1_000_000, max_bytes=200_000)
    for first in range(1, 20_000, 100):
        box.append([sample(time) for time in range(first, first + 100)])
    counts = box.counts()
    assert balances(counts)
    assert 500 < counts.in_outbox < 3_000
    assert [each.seq for each in box.pending(limit=10_000)] == list(range(20_001 - counts.in_outbox, 20_001))
    assert box._file.used_bytes() <= 200_000 + 2 * PAGE_BYTES
    box.close()
    assert (tmp_path / "o.db").stat().st_size < 2 * 200_000


def test_a_drained_outbox_gives_its_disk_back(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", max_samples=1_000_000)
    values = {f"x_{number}": number / 7 for number in range(50)}
    for first in range(1, 20_000, 1_000):
        box.append([Sample(unit=A, time=time, values=values) for time in range(first, first + 1_000)])
    full = box.disk_bytes()
    box.mark_sent(box.last_seq)
    box.confirm(Receipt(box.outbox_id, box.last_seq - 1))
    assert box.disk_bytes() < full / 50
    assert [each.seq for each in box.pending()] == [box.last_seq]
    box.close()


def test_the_oldest_time_held_is_exact_whatever_is_trimmed_in_which_order(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", max_samples=1_000)
    box.append([sample(100), sample(90, B), sample(110), sample(120), sample(95, B)])
    box.mark_sent(5)
    oldest = []
    for seq in (2, 1, 4, 3, 5):
        box.confirm(Receipt(box.outbox_id, -1, ((seq, seq),)))
        oldest.append(box.oldest())
    assert oldest == [95, 95, 95, 95, None]
    box.close()


def test_a_receipt_for_what_waits_in_the_backlog_trims_nothing_although_later_ones_were_sent(box: Outbox) -> None:
    box.append([sample(time) for time in range(1, 11)])
    box.launch(box.pending(after=6))
    assert box.sent_upto == 10
    assert box.confirm(Receipt(box.outbox_id, 10)) == 0
    assert box.confirm(Receipt(box.outbox_id, -1, ((6, 8),))) == 0
    assert box.confirm(Receipt(box.outbox_id, -1, ((7, 8),))) == 2
    assert len(box) == 8


def test_what_was_evicted_under_way_is_confirmed_by_its_receipt_but_not_by_our_own_word(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", max_samples=3)
    box.append([sample(1), sample(2), sample(3)])
    box.launch(box.pending(limit=2))
    box._file.tight = box._file.spent = True
    assert box.append([sample(4), sample(5)]) == 3
    assert (box.counts().evicted, [each.seq for each in box.pending()]) == (3, [4, 5])
    assert box.floor().low == 1  # two of them may still arrive
    assert box.confirm(Receipt(box.outbox_id, -1, ((2, 2),))) == 1
    counts = box.counts()
    assert (counts.confirmed, counts.evicted, balances(counts)) == (1, 2, True)
    box.dead_letter([1], "no receipt after 10 sends")
    assert box.floor().low == 4
    box.close()


def test_a_row_that_cannot_be_read_is_set_aside_and_the_rest_goes_on(box: Outbox) -> None:
    box.append([sample(time) for time in range(1, 8)])
    for seq, damage in enumerate(["content = x'00'", "clock = 9", "time = time + 1", "unit = 77"], start=2):
        box._file._db.execute(f"UPDATE sample SET {damage} WHERE seq = {seq}")
    assert [each.seq for each in box.pending(limit=3)] == [1, 6, 7]
    assert [(each.seq, cause.partition(":")[0]) for each, cause in box.dead_letters()] == [
        (seq, "unreadable") for seq in (2, 3, 4, 5)
    ]
    counts = box.counts()
    assert (counts.evicted, counts.dead_letters, len(box), balances(counts)) == (4, 4, 3, True)


FORMAT_1 = """
CREATE TABLE ledger (one INTEGER PRIMARY KEY CHECK (one = 1), outbox TEXT NOT NULL, next_seq INTEGER NOT NULL,
    polled INTEGER NOT NULL, appended INTEGER NOT NULL, confirmed INTEGER NOT NULL, evicted INTEGER NOT NULL,
    held INTEGER NOT NULL);
CREATE TABLE unit (path TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sample (seq INTEGER PRIMARY KEY, unit TEXT NOT NULL, time INTEGER NOT NULL, clock TEXT NOT NULL,
    content BLOB NOT NULL);
CREATE INDEX sample_time ON sample (time);
CREATE TABLE dead_letter (seq INTEGER PRIMARY KEY, unit TEXT NOT NULL, time INTEGER NOT NULL, clock TEXT NOT NULL,
    content BLOB NOT NULL, cause TEXT NOT NULL);
INSERT INTO ledger VALUES (1, '0123456789abcdef', 6, 9, 5, 2, 1, 4);
INSERT INTO unit VALUES ('s/a/l/a', 40), ('s/a/l/b', 50);
INSERT INTO sample VALUES (3, 's/a/l/a', 30, 'synced', CAST('[{"state":1},{"x_t":["bad","comm_lost"]}]' AS BLOB)),
    (5, 's/a/l/b', 50, 'stepped', CAST('[{"good":7},{}]' AS BLOB));
INSERT INTO dead_letter VALUES (4, 's/a/l/a', 40, 'synced', CAST('[{"state":2},{}]' AS BLOB), 'no receipt');
PRAGMA user_version = 1;
"""


def format_1(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript("PRAGMA journal_mode = WAL;" + FORMAT_1)


def test_an_outbox_of_the_format_before_goes_on_with_all_that_it_holds(tmp_path: Path) -> None:
    format_1(tmp_path / "o.db")
    for _ in range(2):
        box = Outbox(tmp_path / "o.db", max_samples=100)
        assert [(each.seq, each.sample, each.trust) for each in box.pending()] == [
            (3, Sample(unit=A, time=30, values={"state": 1}, status={"x_t": COMM_LOST}), Trust.SYNCED),
            (5, Sample(unit=B, time=50, values={"good": 7}), Trust.STEPPED),
        ]
        assert [(each.sample.values, cause) for each, cause in box.dead_letters()] == [({"state": 2}, "no receipt")]
        assert (box.outbox_id, box.last_seq, box.last_time(A), box.oldest()) == ("0123456789abcdef", 5, 40, 30)
        counts = box.counts()
        assert (counts.polled, counts.appended, counts.confirmed, counts.evicted) == (9, 5, 2, 1)
        box.close()


def test_an_outbox_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    Outbox(tmp_path / "o.db", max_samples=100).close()
    with closing(sqlite3.connect(tmp_path / "o.db")) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(OutboxError, match="use the newer program") as refused:
        Outbox(tmp_path / "o.db", max_samples=100)
    assert not isinstance(refused.value, OutboxDamaged)
