import itertools

from edge_agent.outbox import StoredSample
from edge_agent.window import (
    FAILED_PAUSE_MS,
    LONGEST_PAUSE_MS,
    MAX_BATCH_SAMPLES,
    MAX_STRIKES,
    CreditWindow,
    Flight,
    batches,
)
from messaging.receipt import Receipt
from shopfloor.clock import Trust
from shopfloor.sample import Sample


def stored(seq: int, unit: str = "s/a/l/u", *, trust: Trust = Trust.SYNCED, size: int = 100) -> StoredSample:
    return StoredSample(seq, Sample(unit=unit, time=seq, values={"state": 1}), trust, size)


def flight(*seqs: int, backlog: bool = False) -> Flight:
    return Flight([stored(seq) for seq in seqs], backlog)


def receipt(upto: int, *ranges: tuple[int, int]) -> Receipt:
    return Receipt("box", upto, ranges)


def test_credit_is_what_is_not_on_the_way_and_the_backlog_gets_half() -> None:
    window = CreditWindow(4)
    window.send(flight(1, backlog=True), 0)
    assert (window.credit(backlog=False), window.credit(backlog=True)) == (3, 1)
    window.send(flight(2, backlog=True), 0)
    assert (window.credit(backlog=False), window.credit(backlog=True)) == (2, 0)


def test_messages_that_alone_do_not_arrive_leave_the_window_to_the_others() -> None:
    window = CreditWindow(3)
    refused = [flight(1), flight(2), flight(3)]
    for one in refused[:2]:
        window.send(one, 0)
    good = flight(4)
    window.send(good, 0)
    window.send(refused[0], 1)
    assert window.credit(backlog=False) == 0  # nothing is proven yet
    window.settle(receipt(-1, (4, 4)))
    window.send(refused[1], 2)
    window.send(refused[2], 2)
    window.settle(receipt(-1, (3, 3)))
    window.send(refused[0], 3)
    assert [one.strikes for one in refused[:2]] == [1, 1]
    assert window.credit(backlog=False) == 3
    assert window.overdue(10**9) == [refused[1], refused[0]]


def test_a_receipt_frees_what_it_covers_sample_by_sample() -> None:
    window = CreditWindow(4)
    first, second = flight(1, 2, 3), flight(4, 5)
    window.send(first, 0)
    window.send(second, 0)
    window.settle(receipt(1, (3, 4)))
    assert [[sample.seq for sample in each.samples] for each in (first, second)] == [[2], [5]]
    window.settle(receipt(5))
    assert len(window) == 0
    assert window.next_due_ms() is None


def test_a_message_is_due_again_after_a_pause_that_doubles_up_to_a_cap() -> None:
    window = CreditWindow(4, first_pause_ms=1_000)
    lost = flight(1)
    now, pauses = 0, []
    for _ in range(8):
        window.send(lost, now)
        pauses.append(lost.due_ms - now)
        now = lost.due_ms
    assert pauses == [1_000, 2_000, 4_000, 8_000, 16_000, *[LONGEST_PAUSE_MS] * 3]


def test_only_what_no_receipt_covers_is_due() -> None:
    window = CreditWindow(4, first_pause_ms=1_000)
    first, second = flight(1), flight(2)
    window.send(first, 0)
    window.send(second, 0)
    window.settle(receipt(-1, (1, 1)))
    assert window.overdue(999) == []
    assert window.overdue(1_000) == [second]


def test_an_outage_of_any_length_never_strikes() -> None:
    window = CreditWindow(4)
    waiting = flight(1)
    for hour in range(100):
        window.send(waiting, hour * 3_600_000)
    assert waiting.strikes == 0
    assert window.struck_out() == []


def test_a_sample_that_nobody_settles_while_later_ones_are_is_given_up() -> None:
    window = CreditWindow(4)
    poison = flight(1)
    window.send(poison, 0)
    for seq in range(2, 2 + MAX_STRIKES):
        assert window.struck_out() == []
        window.send(flight(seq), 0)
        window.settle(receipt(-1, (2, seq)))
        window.send(poison, 0)
    assert window.struck_out() == window.struck_out() == [poison]
    window.drop(poison)
    assert len(window) == 0


def test_a_batch_is_of_one_unit_and_one_trust_in_order_of_seq() -> None:
    mixed = [stored(1, "a"), stored(2, "b"), stored(3, "a"), stored(4, "a", trust=Trust.STEPPED)]
    found = [[sample.seq for sample in each.samples] for each in batches(mixed, backlog=False)]
    assert found == [[1, 3], [2], [4]]


def test_a_batch_is_bounded_in_samples_and_in_bytes() -> None:
    many = batches([stored(seq) for seq in range(MAX_BATCH_SAMPLES + 1)], backlog=True)
    assert [len(each.samples) for each in many] == [MAX_BATCH_SAMPLES, 1]
    big = batches([stored(seq, size=60_000) for seq in range(5)], backlog=True)
    assert [len(each.samples) for each in big] == [2, 2, 1]


def silent(size: int) -> tuple[CreditWindow, int]:
    """A full window whose messages were each sent twice, at the time when the next send is due."""
    window, now = CreditWindow(size, first_pause_ms=1_000), 0
    for seq in range(size):
        window.send(flight(seq), now)
    for each in window.overdue(1_000):
        window.send(each, 1_000)
    return window, 3_000


def test_while_nothing_is_settled_one_message_is_a_probe_and_the_others_rest() -> None:
    window, now = silent(32)
    sent = []
    for _ in range(10_000):
        for each in window.overdue(now):
            window.send(each, now)
            sent.append(now)
        due = window.next_due_ms()
        assert due is not None
        now = max(due, now + 1)
    pauses = [later - earlier for earlier, later in itertools.pairwise(sent[100:])]
    assert set(pauses) == {LONGEST_PAUSE_MS}
    assert len(window) == 32


def test_the_first_answer_after_a_silence_lets_all_the_others_go_again_at_once() -> None:
    window, now = silent(32)
    (probe,) = window.overdue(now)
    window.send(probe, now)
    assert window.overdue(now + 500) == []
    window.settle(receipt(-1, (probe.samples[0].seq, probe.samples[0].seq)))
    assert len(window.overdue(now + 500)) == 31


def test_a_broker_that_was_away_is_no_silence() -> None:
    window, now = silent(32)
    (probe,) = window.overdue(now)
    window.send(probe, now)
    window.failed(probe, now)
    assert window.next_due_ms() == now + FAILED_PAUSE_MS
