from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.outbox import MAX_DEAD_LETTERS, Outbox, OutboxCounts
from messaging.receipt import Receipt
from shopfloor.clock import Trust
from shopfloor.errors import Backpressure, OutboxError
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
    box.append([sample(1), sample(2)], trust=Trust.STEPPED)
    found = box.pending()
    assert [(each.seq, each.sample, each.trust) for each in found] == [
        (1, sample(1), Trust.STEPPED),
        (2, sample(2), Trust.STEPPED),
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
    assert again.counts() == OutboxCounts(polled=3, appended=3, confirmed=2, in_outbox=1, evicted=0, held=0)
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


def test_a_sample_not_later_than_the_last_of_its_unit_is_held_back_and_counted(box: Outbox) -> None:
    box.append([sample(5), sample(5), sample(4), sample(4, B), sample(6)])
    assert [(each.sample.unit, each.sample.time) for each in box.pending()] == [(A, 5), (B, 4), (A, 6)]
    box.append([sample(6), sample(7)])
    counts = box.counts()
    assert (counts.polled, counts.appended, counts.held) == (7, 4, 3)


def test_the_last_time_of_a_unit_outlives_its_samples(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "o.db", max_samples=10)
    first.append([sample(5)])
    first.mark_sent(1)
    first.confirm(Receipt(first.outbox_id, 1))
    first.close()
    again = Outbox(tmp_path / "o.db", max_samples=10)
    again.append([sample(5), sample(6)])
    assert [each.sample.time for each in again.pending()] == [6]
    again.close()


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


@pytest.mark.parametrize("damage", [b"this is no database, it is a letter" * 100, None])
def test_a_damaged_file_says_what_to_do(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "o.db"
    box = Outbox(path, max_samples=10_000)
    box.append([sample(time) for time in range(1, 2_000)])
    box.close()
    content = path.read_bytes()
    path.write_bytes(damage if damage else content[:8192] + b"\xff" * (len(content) - 8192))
    with pytest.raises(OutboxError, match="move it aside"):
        Outbox(path, max_samples=10_000)


def test_a_full_disk_keeps_the_samples_with_the_caller_and_the_outbox_as_it_was(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", max_samples=1_000_000)
    box.append([sample(1)])
    before = box.counts()
    box._db.execute("PRAGMA max_page_count = 20")
    with pytest.raises(Backpressure):
        box.append([sample(time) for time in range(2, 5_000)])
    assert box.counts() == before
    box._db.execute("PRAGMA max_page_count = 100000")
    box.append([sample(2)])
    assert [each.seq for each in box.pending()] == [1, 2]
    box.close()
