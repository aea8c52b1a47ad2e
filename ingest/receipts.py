"""Receipts back to the agents: what of their *messages* is settled, i.e. stored or rejected for good."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ingest.mapping import Source
from messaging.client import Message
from messaging.receipt import MAX_RANGES, Receipt, SeqRanges, encode_receipt
from messaging.topic import receipt_topic
from shopfloor.errors import ServiceUnavailable

log = logging.getLogger(__name__)

MAX_SOURCES: Final = 1_024
"""Outboxes remembered; the one longest unheard of is forgotten first. Its agent then sends again, and is told again."""
RETRY_S: Final = 0.2


class ReceiptBook:
    """Settled seqs of every outbox heard of since this process began. It claims nothing from before."""

    def __init__(self, max_sources: int = MAX_SOURCES) -> None:
        self._max_sources = max_sources
        self._settled: OrderedDict[Source, SeqRanges] = OrderedDict()

    def settle(self, source: Source, low: int, seqs: Sequence[int]) -> None:
        """Note that ``seqs`` are settled, and everything below ``low`` by the agent's own word."""
        settled = self._settled.setdefault(source, SeqRanges(limit=MAX_RANGES + 1))
        self._settled.move_to_end(source)
        settled.add(0, low - 1)
        settled.add_all(seqs)
        if len(self._settled) > self._max_sources:
            self._settled.popitem(last=False)

    def receipt(self, source: Source) -> Receipt:
        """What may be confirmed now; nothing for an unknown outbox."""
        return Receipt.of(source.outbox, self._settled.get(source, SeqRanges()))


class ReceiptPublisher:
    """Publishes receipts that are owed, the newest state only, until the broker has them."""

    def __init__(self, book: ReceiptBook, publish: Callable[[Message], Awaitable[None]]) -> None:
        self._book = book
        self._publish = publish
        self._owed: dict[Source, None] = {}
        self._some = asyncio.Event()

    def owe(self, source: Source) -> None:
        """There is news for an agent."""
        self._owed[source] = None
        self._some.set()

    async def run(self) -> None:
        """Publish for ever; a broker that is away is waited for."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._owed:
                await self._pay(next(iter(self._owed)))

    async def _pay(self, source: Source) -> None:
        del self._owed[source]
        payload = encode_receipt(self._book.receipt(source))
        try:
            await self._publish(Message(receipt_topic(source.agent), payload, retain=True))
        except ServiceUnavailable:
            self._owed[source] = None
            await asyncio.sleep(RETRY_S)
