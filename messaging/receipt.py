"""Receipts for *messages*: which samples of an outbox have reached the store (or were rejected for good)."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import lt
from typing import Final

import msgspec

from messaging.payload import MAX_INTEGER, Fault
from shopfloor.errors import MessageRejected

MAX_RANGES: Final = 512
"""Ranges in one receipt. What is left out is sent again and settled then."""
MAX_RECEIPT_BYTES: Final = 64 * 1024
"""A longer payload is no receipt of ours."""


class SeqRanges:
    """A set of sequence numbers >= 0 as few disjoint, ascending, inclusive ranges.

    Bounded by ``limit`` ranges: when full, the highest is forgotten, which is safe (a forgotten sample is sent again).
    """

    def __init__(self, ranges: Iterable[tuple[int, int]] = (), *, limit: int | None = None) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._limit = limit
        for first, last in ranges:
            self.add(first, last)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._firsts, self._lasts, strict=True)

    def __contains__(self, seq: int) -> bool:
        index = bisect_right(self._firsts, seq) - 1
        return index >= 0 and seq <= self._lasts[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SeqRanges) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment] # mutable

    def __repr__(self) -> str:
        return f"SeqRanges({list(self)})"

    def add(self, first: int, last: int | None = None) -> None:
        """Include ``first`` .. ``last`` (one number without ``last``); an empty or negative range adds nothing."""
        first, last = max(first, 0), first if last is None else last
        if last < first:
            return
        low = bisect_right(self._firsts, first)
        if low > 0 and self._lasts[low - 1] >= first - 1:
            low -= 1
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first, last = min(first, self._firsts[low]), max(last, self._lasts[high - 1])
        self._firsts[low:high], self._lasts[low:high] = [first], [last]
        if self._limit is not None:
            del self._firsts[self._limit :], self._lasts[self._limit :]

    def add_all(self, seqs: Sequence[int]) -> None:
        """Include every number of ``seqs``; quick when each is the one before and one."""
        if len(seqs) > 1 and seqs[-1] - seqs[0] == len(seqs) - 1 and all(map(lt, seqs, islice(seqs, 1, None))):
            self.add(seqs[0], seqs[-1])
            return
        for seq in seqs:
            self.add(seq)

    def holds(self, first: int, last: int) -> bool:
        """Whether all of ``first`` .. ``last`` is held."""
        index = bisect_right(self._firsts, first) - 1
        return index >= 0 and last <= self._lasts[index]

    def merge(self, other: "SeqRanges") -> None:
        """Include everything that ``other`` holds."""
        for first, last in other:
            self.add(first, last)

    @property
    def upto(self) -> int:
        """All numbers from 0 to this are held; -1 when 0 is not."""
        return self._lasts[0] if self._firsts and self._firsts[0] == 0 else -1

    @property
    def above(self) -> tuple[tuple[int, int], ...]:
        """The ranges above ``upto``."""
        ranges = tuple(self)
        return ranges[1:] if self.upto >= 0 else ranges


class Receipt(msgspec.Struct, frozen=True):
    """What is settled of one outbox: every seq <= ``upto`` and every seq within the inclusive ``ranges`` above it."""

    outbox: str
    upto: int
    ranges: tuple[tuple[int, int], ...] = ()

    def covers(self, seq: int) -> bool:
        """Whether ``seq`` is settled."""
        return seq <= self.upto or any(first <= seq <= last for first, last in self.ranges)

    def settled(self) -> SeqRanges:
        """The settled numbers as a set."""
        return SeqRanges([(0, self.upto), *self.ranges])

    @classmethod
    def of(cls, outbox: str, settled: SeqRanges) -> "Receipt":
        """The receipt for everything in ``settled`` (at most MAX_RANGES ranges above ``upto``)."""
        return cls(outbox, settled.upto, settled.above[:MAX_RANGES])


def encode_receipt(receipt: Receipt) -> bytes:
    """``{"outbox", "upto", "ranges"}`` as JSON."""
    return msgspec.json.encode(receipt)


def decode_receipt(payload: bytes) -> Receipt:
    """Read a receipt; raises MessageRejected ``oversized``, ``not_json``, ``wrong_type`` or ``out_of_range``."""
    if len(payload) > MAX_RECEIPT_BYTES:
        raise MessageRejected(Fault.OVERSIZED, f"{len(payload)} bytes; at most {MAX_RECEIPT_BYTES}")
    try:
        receipt = _DECODER.decode(payload)
    except msgspec.ValidationError as fault:
        raise MessageRejected(Fault.WRONG_TYPE, str(fault)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise MessageRejected(Fault.NOT_JSON, str(fault)) from None
    before = receipt.upto
    if not -1 <= before <= MAX_INTEGER or len(receipt.ranges) > MAX_RANGES:
        raise MessageRejected(Fault.OUT_OF_RANGE, f"upto {before}, {len(receipt.ranges)} ranges")
    for first, last in receipt.ranges:
        if not before < first <= last <= MAX_INTEGER:
            raise MessageRejected(Fault.OUT_OF_RANGE, f"range {first}..{last} after {before}")
        before = last
    return receipt


_DECODER = msgspec.json.Decoder(Receipt)
