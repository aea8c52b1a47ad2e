"""Samples -> messages: which messages are on the way, when to send one again, when to give one up. Pure.

At most ``size`` messages are unconfirmed at a time, besides those that do not arrive while others do. A message that no
receipt covers is due again after a pause that doubles up to a cap. While nothing at all is settled - nobody writes
receipts - one message is sent as a probe and the others rest, so that no broker is filled with copies. Giving up needs
proof that the other side works: only a resend after which a message sent *later* was settled counts as a strike, so
that no outage, however long, sets a sample aside.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from edge_agent.outbox_row import StoredSample
from messaging.receipt import Receipt

WINDOW: Final = 32
"""Unconfirmed messages at a time."""
FIRST_PAUSE_MS: Final = 5_000
LONGEST_PAUSE_MS: Final = 20_000
FAILED_PAUSE_MS: Final = 500
MAX_STRIKES: Final = 10


@dataclass(slots=True, eq=False)
class Flight:
    """One message on the way: samples of one unit and one trust, in order of seq."""

    samples: Sequence[StoredSample]
    """Those that no receipt has covered yet."""
    backlog: bool
    """Old samples, paced beside the live ones."""
    order: int = 0
    """Place in the order of sending; new at each resend."""
    due_ms: int = 0
    sends: int = 0
    strikes: int = 0


class CreditWindow:
    """The messages on the way, oldest send first."""

    def __init__(self, size: int = WINDOW, first_pause_ms: int = FIRST_PAUSE_MS) -> None:
        self._size, self._first_pause_ms = size, first_pause_ms
        self._flights: list[Flight] = []
        self._order = 0
        self._settled_order = 0
        self._unanswered = 0
        self._probe_ms = 0

    def __len__(self) -> int:
        return len(self._flights)

    def credit(self, *, backlog: bool) -> int:
        """Messages that may be sent now; the backlog never takes more than half of the window.

        A message with a strike takes no credit: the way is open, it alone does not arrive, and no other waits for it.
        """
        waiting = [flight for flight in self._flights if not flight.strikes]
        free = self._size - len(waiting)
        return min(free, self._size // 2 - sum(flight.backlog for flight in waiting)) if backlog else free

    def send(self, flight: Flight, now_ms: int) -> None:
        """The flight leaves at ``now_ms``, for the first time or again."""
        if flight.sends == 0:
            self._flights.append(flight)
        else:
            self._unanswered += 1
            flight.strikes += self._settled_order > flight.order
        self._order += 1
        flight.order = self._order
        pause_ms = min(self._first_pause_ms << min(flight.sends, 10), LONGEST_PAUSE_MS)
        flight.due_ms, self._probe_ms = now_ms + pause_ms, now_ms + pause_ms
        flight.sends += 1

    def failed(self, flight: Flight, now_ms: int) -> None:
        """The flight may not have reached the broker: it is due soon."""
        flight.due_ms = now_ms + FAILED_PAUSE_MS
        self._probe_ms = min(self._probe_ms, flight.due_ms)
        self._unanswered -= flight.sends > 1

    def settle(self, receipt: Receipt) -> Counter[str]:
        """Take from the window what the receipt covers, sample by sample; returns how many of each unit."""
        settled, covered = receipt.settled(), Counter[str]()
        for flight in self._flights:
            before, unit = len(flight.samples), flight.samples[0].sample.unit
            if flight.samples[-1].seq <= receipt.upto:
                flight.samples = ()
            else:
                flight.samples = [stored for stored in flight.samples if stored.seq not in settled]
            covered[unit] += before - len(flight.samples)
            if len(flight.samples) < before:
                self._settled_order = max(self._settled_order, flight.order)
                self._unanswered = 0
        self._flights = [flight for flight in self._flights if flight.samples]
        return +covered

    def overdue(self, now_ms: int) -> list[Flight]:
        """The flights to send again, longest on the way first; in a silence only one, and that after a pause."""
        due = sorted((flight for flight in self._flights if flight.due_ms <= now_ms), key=lambda flight: flight.order)
        if not self._silent():
            return due
        return due[:1] if self._probe_ms <= now_ms else []

    def struck_out(self) -> list[Flight]:
        """The flights to give up."""
        return [flight for flight in self._flights if flight.strikes >= MAX_STRIKES]

    def drop(self, flight: Flight) -> None:
        """Take a flight out: it was given up."""
        self._flights.remove(flight)

    def next_due_ms(self) -> int | None:
        """When the next flight is due; None with nothing on the way."""
        due = min((flight.due_ms for flight in self._flights), default=None)
        return due if due is None or not self._silent() else max(due, self._probe_ms)

    def _silent(self) -> bool:
        """Each message was sent again, and nothing has been settled since."""
        return self._unanswered >= max(1, len(self._flights))


MAX_BATCH_SAMPLES: Final = 500
MAX_BATCH_BYTES: Final = 128 * 1024
"""Of stored content; with its envelope a message stays below what the receiver takes."""


def batches(stored: Iterable[StoredSample], *, backlog: bool) -> list[Flight]:
    """One flight per unit and trust, split where it grows too long, in order of the first seq of each."""
    flights: list[Flight] = []
    open_batches: dict[tuple[str, str], tuple[list[StoredSample], int]] = {}
    for sample in stored:
        key = (sample.sample.unit, sample.trust)
        batch, size = open_batches.get(key, ([], 0))
        if not batch or len(batch) >= MAX_BATCH_SAMPLES or size + sample.size > MAX_BATCH_BYTES:
            batch, size = [], 0
            flights.append(Flight(batch, backlog))
        batch.append(sample)
        open_batches[key] = (batch, size + sample.size)
    return flights
