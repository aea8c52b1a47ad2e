from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.receipt import MAX_RANGES, Receipt, SeqRanges, decode_receipt, encode_receipt
from shopfloor.errors import MessageRejected

seqs = st.integers(0, 60)
ranges = st.lists(st.tuples(seqs, seqs))


def members(held: SeqRanges) -> set[int]:
    return {seq for first, last in held for seq in range(first, last + 1)}


def expected(pairs):
    return {seq for first, last in pairs for seq in range(first, last + 1)}


@given(ranges)
def test_ranges_hold_exactly_what_was_added(pairs):
    held = SeqRanges(pairs)
    assert members(held) == expected(pairs)
    assert all((seq in held) == (seq in members(held)) for seq in range(62))


@given(ranges)
def test_ranges_are_ascending_disjoint_and_never_touch(pairs):
    flat = list(SeqRanges(pairs))
    assert all(first <= last for first, last in flat)
    assert all(low[1] + 1 < high[0] for low, high in pairwise(flat))


@given(ranges, ranges)
def test_merging_is_the_union_in_any_order(some, others):
    left, right = SeqRanges(some), SeqRanges(others)
    left.merge(SeqRanges(others))
    right.merge(SeqRanges(some))
    assert left == right == SeqRanges([*some, *others])


@given(ranges)
def test_upto_is_where_the_first_gap_begins(pairs):
    held = SeqRanges(pairs)
    assert all(seq in held for seq in range(held.upto + 1))
    assert held.upto + 1 not in held
    assert expected(held.above) == {seq for seq in members(held) if seq > held.upto}


@given(ranges)
def test_a_receipt_says_on_the_other_side_what_was_settled(pairs):
    held = SeqRanges(pairs)
    receipt = decode_receipt(encode_receipt(Receipt.of("5f0c", held)))
    assert receipt.outbox == "5f0c"
    assert receipt.settled() == held
    assert all(receipt.covers(seq) == (seq in held) for seq in range(62))


@given(st.lists(seqs), st.integers(1, 4))
def test_a_full_set_forgets_and_never_invents(numbers, limit):
    held = SeqRanges(limit=limit)
    for seq in numbers:
        held.add(seq)
    assert len(list(held)) <= limit
    assert members(held) <= set(numbers)


def test_a_receipt_stays_small_however_many_gaps_there_are():
    receipt = Receipt.of("5f0c", SeqRanges((seq, seq) for seq in range(0, 10 * MAX_RANGES, 2)))
    assert (receipt.upto, len(receipt.ranges)) == (0, MAX_RANGES)


def test_nothing_settled_is_said_as_minus_one():
    assert encode_receipt(Receipt.of("5f0c", SeqRanges())) == b'{"outbox":"5f0c","upto":-1,"ranges":[]}'


@pytest.mark.parametrize(
    ("payload", "reason"),
    [(b"", "not_json"), (b"\xff", "not_json"), (b"[]", "wrong_type"), (b'{"outbox":"a","upto":"9"}', "wrong_type")],
)
def test_a_broken_receipt_is_refused(payload, reason):
    with pytest.raises(MessageRejected) as refused:
        decode_receipt(payload)
    assert refused.value.reason == reason


@given(st.lists(st.integers(0, 30), max_size=12))
def test_many_numbers_at_once_are_the_same_as_one_by_one(seqs):
    at_once, one_by_one = SeqRanges(), SeqRanges()
    at_once.add_all(seqs)
    for seq in seqs:
        one_by_one.add(seq)
    assert at_once == one_by_one
    run = range(7, 7 + len(seqs))
    at_once.add_all(run)
    one_by_one.merge(SeqRanges((seq, seq) for seq in run))
    assert at_once == one_by_one


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"outbox": "5f0c"', "not_json"),
        (b"\x00\xff", "not_json"),
        (b'{"x": ' + b"[" * 60_000, "not_json"),
        (b'{"outbox": "5f0c"}', "wrong_type"),
        (b'{"outbox": "5f0c", "upto": "all"}', "wrong_type"),
        (b'{"outbox": "5f0c", "upto": 1e300}', "wrong_type"),
        (b'{"outbox": "5f0c", "upto": NaN}', "not_json"),
        (b'{"outbox": "5f0c", "upto": -2}', "out_of_range"),
        (b'{"outbox": "5f0c", "upto": 9007199254740993}', "out_of_range"),
        (b'{"outbox": "5f0c", "upto": 1, "ranges": [[3, 2]]}', "out_of_range"),
        (b'{"outbox": "5f0c", "upto": 5, "ranges": [[3, 9]]}', "out_of_range"),
        (b'{"outbox": "5f0c", "upto": 1, "ranges": [[3, 9], [5, 6]]}', "out_of_range"),
        (b'{"outbox": "5f0c", "upto": 1, "ranges": [[-9, 0]]}', "out_of_range"),
        (b'{"outbox": "5f0c", "upto": 1, "ranges": [[3, 9007199254740993]]}', "out_of_range"),
        (encode_receipt(Receipt("5f0c", -1, tuple((seq * 2, seq * 2) for seq in range(513)))), "out_of_range"),
        (encode_receipt(Receipt("5f0c", -1, tuple((seq * 2, seq * 2) for seq in range(99_999)))), "oversized"),
    ],
)
def test_what_is_no_receipt_of_ours_is_refused_with_a_word(payload, reason):
    with pytest.raises(MessageRejected) as refused:
        decode_receipt(payload)
    assert refused.value.reason == reason


@given(ranges, st.tuples(seqs, seqs))
def test_a_span_is_held_when_each_of_its_numbers_is(pairs, span):
    held = SeqRanges(pairs)
    assert held.holds(*sorted(span)) == all(seq in held for seq in range(min(span), max(span) + 1))
