"""Samples -> messages, the durable place between: what ``append`` returned survives a power cut.

One SQLite file in WAL mode with ``synchronous=FULL``. Its random id is made with it; ``seq`` numbers samples and only
grows, over boots and evictions. Full policy: the oldest samples are evicted and counted, those on the way last, since
they may be stored already. Every transaction leaves ``appended = confirmed + in_outbox + evicted``, evicted being what
was pushed out or dead-lettered unconfirmed.
"""

import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from messaging.receipt import Receipt
from shopfloor.clock import Trust
from shopfloor.errors import Backpressure, OutboxError
from shopfloor.instant import Instant
from shopfloor.quality import Quality, Reason, Status
from shopfloor.sample import Sample, Value

FORMAT = 1
"""Version of the tables, in the file's ``user_version``."""
MAX_DEAD_LETTERS = 10_000
"""Dead letters kept for inspection; the oldest go first. They are counted as evicted from the start."""

_SCHEMA = """
CREATE TABLE ledger (one INTEGER PRIMARY KEY CHECK (one = 1), outbox TEXT NOT NULL, next_seq INTEGER NOT NULL,
    polled INTEGER NOT NULL, appended INTEGER NOT NULL, confirmed INTEGER NOT NULL, evicted INTEGER NOT NULL,
    held INTEGER NOT NULL);
CREATE TABLE unit (path TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sample (seq INTEGER PRIMARY KEY, unit TEXT NOT NULL, time INTEGER NOT NULL, clock TEXT NOT NULL,
    content BLOB NOT NULL);
CREATE INDEX sample_time ON sample (time);
CREATE TABLE dead_letter (seq INTEGER PRIMARY KEY, unit TEXT NOT NULL, time INTEGER NOT NULL, clock TEXT NOT NULL,
    content BLOB NOT NULL, cause TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class StoredSample:
    """A sample in the outbox."""

    seq: int
    sample: Sample
    trust: Trust
    """How far its source time may be trusted."""
    size: int
    """Bytes of its stored content."""


@dataclass(frozen=True, slots=True)
class Floor:
    """What is still held: all seqs below ``low`` and all samples from before ``oldest`` are settled."""

    low: int
    oldest: Instant | None
    """None when the outbox is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxCounts:
    """The edge's side of the ledger, in samples."""

    polled: int
    appended: int
    confirmed: int
    in_outbox: int
    """Counted in the table, not remembered."""
    evicted: int
    held: int
    """Not stored because their source time was not after the unit's last (a clock that was set back)."""


class Outbox:
    """Store and forward. Synchronous and thread-safe. Errors of the disk raise Backpressure (keep the samples, try
    again), a damaged or foreign file OutboxError (a person must act)."""

    def __init__(self, path: Path, *, max_samples: int) -> None:
        """Open or create the file; it is this process's alone until ``close``. Raises OutboxError."""
        self.path = path
        self.outbox_id = ""
        self.sent_upto = 0
        """Receipts may cover seqs up to this one: an earlier boot may have sent all that was held at the start."""
        self._next_seq = 1
        self._on_the_way: set[int] = set()
        self._evicted_upto = 0
        self._told_low = 1
        self._last: dict[str, Instant] = {}
        self._held_rows = 0
        self._lock = threading.RLock()
        self._max_samples = max_samples
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._errors(opening=True):
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
        try:
            with self._errors(opening=True):
                self._open()
        except OutboxError:
            self._db.close()
            raise

    def close(self) -> None:
        """Give the file free."""
        self._db.close()

    def __len__(self) -> int:
        """Samples held."""
        return self._held_rows

    def last_time(self, unit: str) -> Instant | None:
        """Source time of the unit's latest sample, over all boots; None before its first."""
        return self._last.get(unit)

    def append(self, samples: Sequence[Sample], *, polled: int | None = None, trust: Trust = Trust.SYNCED) -> int:
        """Store samples durably, in order, and count ``polled`` cycles (default: as many); returns the number evicted.

        A sample that is not later than the last of its unit is held back: counted, not stored.
        """
        rows, last, next_seq = [], dict[str, Instant](), self._next_seq
        for sample in samples:
            before = last.get(sample.unit, self._last.get(sample.unit))
            if before is None or sample.time > before:
                rows.append((next_seq, sample.unit, sample.time, trust.value, _packed(sample)))
                last[sample.unit] = sample.time
                next_seq += 1
        excess = max(0, self._held_rows + len(rows) - self._max_samples)
        polled = len(samples) if polled is None else polled
        with self._transaction() as db:
            db.executemany("INSERT INTO sample VALUES (?, ?, ?, ?, ?)", rows)
            db.executemany("INSERT OR REPLACE INTO unit VALUES (?, ?)", last.items())
            evicted = self._evict(excess) if excess else []
            db.execute(
                "UPDATE ledger SET next_seq = ?, polled = polled + ?, appended = appended + ?, evicted = evicted + ?,"
                " held = held + ?",
                (next_seq, polled, len(rows), len(evicted), len(samples) - len(rows)),
            )
            self._evicted_upto = max(evicted, default=self._evicted_upto)
            self._on_the_way.difference_update(evicted)
        self._next_seq = next_seq
        self._last.update(last)
        self._held_rows += len(rows) - len(evicted)
        return len(evicted)

    def pending(self, after: int = 0, limit: int = 1000, upto: int | None = None) -> list[StoredSample]:
        """Samples with ``after`` < seq <= ``upto`` in order of seq, at most ``limit``. Changes nothing."""
        with self._errors():
            rows = self._db.execute(
                "SELECT seq, unit, time, clock, content FROM sample WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
                (after, self.last_seq if upto is None else upto, limit),
            ).fetchall()
        return [
            StoredSample(seq, _unpacked(unit, time, content), Trust(clock), len(content))
            for seq, unit, time, clock, content in rows
        ]

    @property
    def last_seq(self) -> int:
        """The highest seq ever given; 0 before the first."""
        return self._next_seq - 1

    def floor(self) -> Floor:
        """What messages say of the samples still held. From now on a receipt tells nothing of those below."""
        with self._errors():
            low, oldest = self._db.execute(
                "SELECT (SELECT min(seq) FROM sample), (SELECT min(time) FROM sample)"
            ).fetchone()
            floor = Floor(self._next_seq if low is None else low, oldest)
            self._told_low = max(self._told_low, floor.low)
        return floor

    def launch(self, stored: Sequence[StoredSample]) -> list[StoredSample]:
        """Those still held, in order of seq; they are on the way from now on, so a receipt may cover them."""
        with self._errors():
            if stored and stored[0].seq <= self._evicted_upto:
                span = (stored[0].seq, stored[-1].seq)
                held = {seq for (seq,) in self._db.execute("SELECT seq FROM sample WHERE seq BETWEEN ? AND ?", span)}
                stored = [one for one in stored if one.seq in held]
            self._on_the_way.update(one.seq for one in stored)
            self.mark_sent(max(self._on_the_way, default=0))
        return list(stored)

    def mark_sent(self, upto: int) -> None:
        """Samples up to this seq have left, so a receipt may cover them."""
        self.sent_upto = max(self.sent_upto, upto)

    def accepts(self, receipt: Receipt) -> bool:
        """Whether the receipt is for this outbox and covers nothing beyond what was sent."""
        end = max([receipt.upto, *(last for _, last in receipt.ranges)])
        return receipt.outbox == self.outbox_id and end <= self.sent_upto

    def confirm(self, receipt: Receipt) -> int:
        """Trim what the receipt settles; returns how many samples. A receipt for another outbox, or for more than was
        sent, changes nothing. A dead letter is confirmed, too, unless we said ourselves that it is settled."""
        if not self.accepts(receipt):
            return 0
        spans = [(0, receipt.upto), *receipt.ranges]
        with self._transaction() as db:
            trimmed = _delete(db, "sample", spans)
            revived = _delete(db, "dead_letter", [(max(first, self._told_low), last) for first, last in spans])
            if trimmed or revived:
                db.execute(
                    "UPDATE ledger SET confirmed = confirmed + ?, evicted = evicted - ?",
                    (len(trimmed) + len(revived), len(revived)),
                )
            self._on_the_way.difference_update(trimmed)
        self._held_rows -= len(trimmed)
        return len(trimmed)

    def dead_letter(self, seqs: Iterable[int], cause: str) -> int:
        """Set samples aside that nobody confirms; they count as evicted. Returns how many."""
        moved, seqs = 0, list(seqs)
        with self._transaction() as db:
            for seq in seqs:
                moved += db.execute(
                    "INSERT INTO dead_letter SELECT seq, unit, time, clock, content, ? FROM sample WHERE seq = ?",
                    (cause, seq),
                ).rowcount
                db.execute("DELETE FROM sample WHERE seq = ?", (seq,))
            db.execute("UPDATE ledger SET evicted = evicted + ?", (moved,))
            db.execute(
                "DELETE FROM dead_letter WHERE seq <= (SELECT seq FROM dead_letter ORDER BY seq DESC LIMIT 1 OFFSET ?)",
                (MAX_DEAD_LETTERS,),
            )
            self._on_the_way.difference_update(seqs)
        self._held_rows -= moved
        return moved

    def dead_letters(self) -> list[tuple[StoredSample, str]]:
        """What was set aside, with its cause."""
        with self._errors():
            rows = self._db.execute(
                "SELECT seq, unit, time, clock, content, cause FROM dead_letter ORDER BY seq"
            ).fetchall()
        return [
            (StoredSample(seq, _unpacked(unit, time, content), Trust(clock), len(content)), cause)
            for seq, unit, time, clock, content, cause in rows
        ]

    def counts(self) -> OutboxCounts:
        """The ledger as it is on the disk."""
        with self._errors():
            row = self._db.execute(
                "SELECT polled, appended, confirmed, (SELECT count(*) FROM sample), evicted, held FROM ledger"
            ).fetchone()
        polled, appended, confirmed, in_outbox, evicted, held = row
        return OutboxCounts(
            polled=polled, appended=appended, confirmed=confirmed, in_outbox=in_outbox, evicted=evicted, held=held
        )

    def _open(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        with self._transaction() as db:  # takes the lock, too
            if version == 0:
                self._create(db)
            elif version != FORMAT:
                raise OutboxError(
                    f"{self.path} has format {version}, this program knows {FORMAT}; use the newer program"
                )
        self.outbox_id, self._next_seq = db.execute("SELECT outbox, next_seq FROM ledger").fetchone()
        self.sent_upto = self.last_seq
        self._told_low = self._next_seq  # what the boots before said is not known
        self._last = dict(db.execute("SELECT path, last FROM unit").fetchall())
        counts = self.counts()
        self._held_rows = counts.in_outbox
        if counts.appended != counts.confirmed + counts.in_outbox + counts.evicted:
            raise OutboxError(f"{self.path} does not balance ({counts}); {_REMEDY}")

    def _create(self, db: sqlite3.Connection) -> None:
        for statement in filter(str.strip, _SCHEMA.split(";")):
            db.execute(statement)
        db.execute("INSERT INTO ledger VALUES (1, ?, 1, 0, 0, 0, 0, 0)", (secrets.token_hex(8),))
        db.execute(f"PRAGMA user_version = {FORMAT}")

    def _evict(self, excess: int) -> list[int]:
        """Delete the oldest samples, those on the way only when there are no others; returns their seqs."""
        most = excess + len(self._on_the_way)
        oldest = [seq for (seq,) in self._db.execute("SELECT seq FROM sample ORDER BY seq LIMIT ?", (most,))]
        evicted = sorted(oldest, key=self._on_the_way.__contains__)[:excess]
        self._db.executemany("DELETE FROM sample WHERE seq = ?", ((seq,) for seq in evicted))
        return evicted

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self, *, opening: bool = False) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.OperationalError as error:
            if opening:
                raise OutboxError(
                    f"{self.path} cannot be opened: {error}; is another agent using it, or is the disk away?"
                ) from error
            raise Backpressure(f"{self.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise OutboxError(f"{self.path} is damaged: {error}; {_REMEDY}") from error


_REMEDY = "move it aside and start again: a new outbox is made, the old file is kept for recovery"


def _delete(db: sqlite3.Connection, table: str, spans: Iterable[tuple[int, int]]) -> list[int]:
    """Delete what lies in the inclusive spans; returns the seqs."""
    delete = f"DELETE FROM {table} WHERE seq BETWEEN ? AND ? RETURNING seq"  # noqa: S608 - our own names
    return [seq for span in spans for (seq,) in db.execute(delete, span)]


_Content = tuple[dict[str, Value], dict[str, tuple[Quality, Reason]]]
_encoder = msgspec.json.Encoder()
_decoder: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder(_Content)


def _packed(sample: Sample) -> bytes:
    status = {tag: (status.quality, status.reason) for tag, status in sample.status.items()}
    return _encoder.encode((sample.values, status))


def _unpacked(unit: str, time: Instant, content: bytes) -> Sample:
    values, status = _decoder.decode(content)
    return Sample(unit=unit, time=time, values=values, status={tag: Status(*pair) for tag, pair in status.items()})
