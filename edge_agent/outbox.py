"""Samples -> messages, the durable place between: what ``append`` returned survives a power cut.

One file (``edge_agent.outbox_file``). Its random id is made with it; ``seq`` numbers samples and only grows, over boots
and evictions. Full policy, by samples and by bytes: the oldest are evicted and counted, those on the way last, since
they may be stored already. Every transaction leaves ``appended = confirmed + in_outbox + evicted``, evicted being what
was pushed out or dead-lettered unconfirmed.

A sample whose clock was in doubt is taken in undated, without a seq; the first dated one of the same boot gives it its
time. Source time strictly increases per unit: what would go back, or can never be dated, is sent as ``unsynced``, which
the receiver sets aside as a dead letter.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import repeat
from math import ceil
from pathlib import Path
from typing import Final

from edge_agent.outbox_file import REMEDY, OutboxFile
from edge_agent.outbox_row import TRUSTS, StoredSample, Unreadable, pack, redate, stored, unpack
from edge_agent.source_clock import Anchor, Stamp
from messaging.receipt import Receipt, SeqRanges
from shopfloor.clock import VIRTUAL, Trust
from shopfloor.errors import Backpressure, OutboxDamaged
from shopfloor.instant import Instant
from shopfloor.sample import Sample

__all__ = ["Floor", "Outbox", "OutboxCounts", "StoredSample"]

MAX_BYTES: Final = 512 * 1024 * 1024
MAX_DEAD_LETTERS: Final = 10_000
"""Dead letters kept for inspection; the oldest go first. They are counted as evicted from the start."""
_UNSYNCED: Final = TRUSTS.index(Trust.UNSYNCED)
_PORTION: Final = 5_000
"""Undated samples that are dealt with in one transaction."""
_PAGEFUL: Final = 50
"""Samples that a page may hold: what is evicted beyond the needed, so that whole pages come free."""
_NOBODY: Final = "?"
"""The path of a unit that the file does not know (any more)."""


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
    """Held, the undated ones included."""
    evicted: int
    undated: int = 0
    """Held until the time is known."""
    quarantined: int = 0
    """Sent as ``unsynced``: could not be dated, or would have gone back."""
    dead_letters: int = 0
    """Set aside and still there; they count as evicted."""


@dataclass(slots=True)
class _Books:
    """What is kept in memory of the file. A transaction works on a copy."""

    next_seq: int = 1
    held: int = 0
    """Rows with a seq."""
    undated: Counter[str] = field(default_factory=Counter)
    """Rows without, by unit."""
    last: dict[str, Instant] = field(default_factory=dict)
    """Unit -> source time of its latest sample, over all boots."""
    first: dict[str, tuple[int, Instant]] = field(default_factory=dict)
    """Unit -> seq and time of the oldest sample held: time grows with seq within a unit."""
    anchor: Anchor = field(default_factory=lambda: Anchor(VIRTUAL, 0))
    units: dict[str, int] = field(default_factory=dict)
    paths: dict[int, str] = field(default_factory=dict)
    evictions: int = 0
    """Samples that this transaction evicted, and the seqs of those that had one."""
    evicted: set[int] = field(default_factory=set)
    quarantined: int = 0
    """Samples that this transaction quarantined."""
    moved: set[str] = field(default_factory=set)
    """Units whose ``last`` is on the disk only as their latest sample: it is written when samples go."""

    def copy(self) -> "_Books":
        return replace(
            self,
            undated=self.undated.copy(),
            last=self.last.copy(),
            first=self.first.copy(),
            evictions=0,
            evicted=set(),
            quarantined=0,
            moved=self.moved.copy(),
        )


class Outbox:
    """Store and forward. Synchronous and thread-safe. Errors of the disk raise Backpressure (keep the samples, try
    again), a damaged or foreign file OutboxDamaged (``edge_agent.outbox_rescue`` goes on with a new one)."""

    def __init__(self, path: Path, *, max_samples: int, max_bytes: int = MAX_BYTES) -> None:
        """Open or create the file; it is this process's alone until ``close``. Raises OutboxError."""
        self.path = path
        self._max_samples, self._max_bytes = max_samples, max_bytes
        self._file = OutboxFile(path)
        self.outbox_id: str
        self._on_the_way: set[int] = set()
        self._evicted_under_way: set[int] = set()
        self._evicted_upto = 0
        try:
            self._load()
        except BaseException:
            self._file.close()
            raise

    def _load(self) -> None:
        with self._file.reading() as db:
            row = db.execute("SELECT outbox, next_seq, boot, clock_offset FROM ledger").fetchone()
            if row is None:
                raise OutboxDamaged(f"{self.path} has lost its ledger; {REMEDY}")
            self.outbox_id, next_seq, boot, offset = row
            units = db.execute("SELECT id, path, last FROM unit").fetchall()
            books = _Books(
                next_seq=next_seq,
                last={path: time for _, path, time in units},
                anchor=Anchor(boot, offset),
                units={path: number for number, path, _ in units},
                paths={number: path for number, path, _ in units},
            )
            for number, rows in db.execute("SELECT unit, count(*) FROM undated GROUP BY unit"):
                books.undated[books.paths.get(number, _NOBODY)] += rows
            span = "min(CASE WHEN clock < ?1 THEN seq END), max(CASE WHEN clock < ?1 THEN time END)"
            held = db.execute(f"SELECT unit, count(*), {span} FROM sample GROUP BY unit", (_UNSYNCED,))  # noqa: S608
            for number, rows, seq, last in held.fetchall():
                books.held += rows
                if seq is not None and number in books.paths:
                    (time,) = db.execute("SELECT time FROM sample WHERE seq = ?", (seq,)).fetchone()
                    books.first[books.paths[number]] = (seq, time)
                    if last > books.last[books.paths[number]]:  # told by these rows alone until they are deleted
                        books.last[books.paths[number]] = last
                        books.moved.add(books.paths[number])
            self._closed: dict[str, OutboxCounts] = {
                outbox: OutboxCounts(
                    polled=polled, appended=appended, confirmed=confirmed, in_outbox=0, evicted=evicted
                )
                for outbox, polled, appended, confirmed, evicted in db.execute("SELECT * FROM closed")
            }
        self._books = books
        self._sent = SeqRanges([(0, next_seq - 1)])
        self._told_low = next_seq  # what the boots before said is not known
        counts = self.counts()
        if counts.appended != counts.confirmed + counts.in_outbox + counts.evicted:
            raise OutboxDamaged(f"{self.path} does not balance ({counts}); {REMEDY}")

    def close(self) -> None:
        """Give the file free."""
        self._file.close()

    # ------------------------------------------------------------ what is known without the disk

    def __len__(self) -> int:
        """Samples held, the undated ones included."""
        return self._books.held + self.undated

    @property
    def undated(self) -> int:
        """Samples that wait for their time."""
        return self._books.undated.total()

    @property
    def anchor(self) -> Anchor:
        """What was trusted when a sample was last stored."""
        return self._books.anchor

    @property
    def newest(self) -> Instant:
        """The latest source time of any unit, over all boots; 0 before the first."""
        return max(self._books.last.values(), default=0)

    @property
    def last_seq(self) -> int:
        """The highest seq ever given; 0 before the first."""
        return self._books.next_seq - 1

    @property
    def sent_upto(self) -> int:
        """The highest seq that may have left."""
        return max((last for _, last in self._sent), default=0)

    def last_time(self, unit: str) -> Instant | None:
        """Source time of the unit's latest sample, over all boots; None before its first."""
        return self._books.last.get(unit)

    def earliest(self, unit: str) -> Instant:
        """No sample of the unit that is still to be dated will have a source time before this."""
        return self._books.last.get(unit, -1) + 1

    def oldest(self) -> Instant | None:
        """No sample that is held is from before this; None with nothing held."""
        books = self._books
        return min([*(time for _, time in books.first.values()), *map(self.earliest, books.undated)], default=None)

    def disk_bytes(self) -> int:
        """What the file takes on the disk."""
        return self._file.disk_bytes()

    # ------------------------------------------------------------ in

    def append(
        self,
        samples: Sequence[Sample],
        stamps: Sequence[Stamp] | None = None,
        *,
        polled: int | None = None,
    ) -> int:
        """Store samples durably, in order, and count ``polled`` cycles (default: as many); returns the number evicted.

        ``stamps`` tells how each was stamped (default: all dated). While the disk is full and the reserve half used,
        so many of the oldest are evicted that the file need not grow.
        """
        room_hoped_for = self._file.tight and not self._file.pressed
        try:
            return self._append(samples, stamps, polled)
        except Backpressure:
            if room_hoped_for and self._file.pressed:
                return self._append(samples, stamps, polled)
            raise

    def _append(self, samples: Sequence[Sample], stamps: Sequence[Stamp] | None, polled: int | None) -> int:
        rows: list[tuple[int, int, Instant, int, bytes]] = []
        if self.undated and (dated := next((stamp for stamp in stamps or () if stamp.dated), None)):
            self.date(dated)
        with self._change() as (db, books):
            self._evict(db, books, len(samples) + _PAGEFUL if self._file.pressed else 0)
            for sample, stamp in zip(samples, stamps or repeat(None, len(samples)), strict=True):
                if stamp is None or stamp.dated:
                    if stamp is not None:
                        self._date(db, books, stamp)
                    rows.append(self._row(db, books, sample.unit, sample.time, pack(sample), Trust.SYNCED))
                else:
                    self._wait(db, books, sample, stamp)
            db.executemany("INSERT INTO sample VALUES (?, ?, ?, ?, ?)", rows)
            self._evict(db, books, self._excess(books))
            db.execute(
                "UPDATE ledger SET polled = polled + ?, appended = appended + ?",
                (len(samples) if polled is None else polled, len(samples)),
            )
        self._file.loosen()
        return books.evictions

    def date(self, stamp: Stamp) -> int:
        """Give the undated samples of the stamp's boot their time; returns how many."""
        return self._in_portions(lambda db, books: self._date(db, books, stamp))

    def give_up_undated(self, boot: str) -> int:
        """Nobody can date the samples of a boot that has ended: let them go, as quarantined. Returns how many."""

        def give_up(db: sqlite3.Connection, books: _Books) -> int:
            found = db.execute(
                "SELECT n, unit, time, content FROM undated WHERE boot <> ? ORDER BY n LIMIT ?", (boot, _PORTION)
            ).fetchall()
            rows = []
            for n, number, time, content in found:
                unit = books.paths.get(number, _NOBODY)
                known = content if number in books.paths else b""
                rows.append(self._row(db, books, unit, time, known, Trust.UNSYNCED))
                self._leave(db, books, n, unit)
            db.executemany("INSERT INTO sample VALUES (?, ?, ?, ?, ?)", rows)
            return len(rows)

        return self._in_portions(give_up)

    def _in_portions(self, work: Callable[[sqlite3.Connection, _Books], int]) -> int:
        """Do ``work`` on what is undated, in transactions of a bounded size, until it finds nothing."""
        done = 0
        while self.undated:
            with self._change() as (db, books):
                portion = work(db, books)
            done += portion
            if not portion:
                break
        return done

    # ------------------------------------------------------------ out

    def pending(self, after: int = 0, limit: int = 1000, upto: int | None = None) -> list[StoredSample]:
        """Samples with ``after`` < seq <= ``upto`` in order of seq, at most ``limit``.

        One that cannot be read is set aside as a dead letter; else nothing changes.
        """
        upto = self.last_seq if upto is None else upto
        found: list[StoredSample] = []
        while len(found) < limit:
            with self._file.reading() as db:
                rows = db.execute(
                    "SELECT seq, unit, time, clock, content FROM sample WHERE seq > ? AND seq <= ?"
                    " ORDER BY seq LIMIT ?",
                    (after, upto, limit - len(found)),
                ).fetchall()
            if not rows:
                break
            unreadable: defaultdict[str, list[int]] = defaultdict(list)
            for seq, unit, time, clock, content in rows:
                try:
                    found.append(stored(seq, self._books.paths.get(unit), time, clock, content))
                except Unreadable as fault:
                    unreadable[f"unreadable: {fault}"].append(seq)
            for cause, seqs in unreadable.items():
                self.dead_letter(seqs, cause)
            after = rows[-1][0]
        return found

    def floor(self) -> Floor:
        """What messages say of the samples still held. From now on a receipt tells nothing of those below."""
        with self._file.reading() as db:
            (low,) = db.execute("SELECT min(seq) FROM sample").fetchone()
            low = min([self._books.next_seq if low is None else low, *self._evicted_under_way])
            self._told_low = max(self._told_low, low)
        return Floor(low, self.oldest())

    def launch(self, stored: Sequence[StoredSample]) -> list[StoredSample]:
        """Those still held, in order of seq; they are on the way from now on, so a receipt may cover them."""
        with self._file.reading() as db:
            if stored and stored[0].seq <= self._evicted_upto:
                span = (stored[0].seq, stored[-1].seq)
                held = {seq for (seq,) in db.execute("SELECT seq FROM sample WHERE seq BETWEEN ? AND ?", span)}
                stored = [one for one in stored if one.seq in held]
            for one in stored:
                self._on_the_way.add(one.seq)
                self._sent.add(one.seq)
        return list(stored)

    def mark_sent(self, upto: int) -> None:
        """Samples up to this seq have left, so a receipt may cover them."""
        self._sent.add(0, upto)

    def accepts(self, receipt: Receipt) -> bool:
        """Whether the receipt is for this outbox and covers nothing that was never sent."""
        spans = [(0, receipt.upto), *receipt.ranges] if receipt.upto >= 0 else receipt.ranges
        return receipt.outbox == self.outbox_id and all(self._sent.holds(*span) for span in spans)

    def confirm(self, receipt: Receipt) -> int:
        """Trim what the receipt settles; returns how many samples. A receipt for another outbox, or for what was never
        sent, changes nothing. A dead letter, or what was evicted under way, is confirmed, too, unless we said
        ourselves that it is settled."""
        if not self.accepts(receipt):
            return 0
        settled = receipt.settled()
        spans = list(settled)
        with self._change() as (db, books):
            trimmed = _delete(db, "sample", spans)
            revived = _delete(db, "dead_letter", [(max(first, self._told_low), last) for first, last in spans])
            late = {seq for seq in self._evicted_under_way if seq in settled}
            back = len(revived) + len(late)
            if trimmed or back:
                db.execute(
                    "UPDATE ledger SET confirmed = confirmed + ?, evicted = evicted - ?", (len(trimmed) + back, back)
                )
            self._note_gone(db, books, set(trimmed))
        self._on_the_way.difference_update(trimmed, late)
        self._evicted_under_way -= late
        if trimmed:
            self._file.give_back()
        return len(trimmed) + len(late)

    def dead_letter(self, seqs: Iterable[int], cause: str) -> int:
        """Set samples aside that nobody confirms; they count as evicted. Returns how many."""
        moved, seqs = list[int](), list(seqs)
        with self._change() as (db, books):
            for seq in seqs:
                if db.execute(
                    "INSERT INTO dead_letter SELECT seq, unit, time, clock, content, ? FROM sample WHERE seq = ?",
                    (cause, seq),
                ).rowcount:
                    moved.append(seq)
            moved = _delete(db, "sample", [(seq, seq) for seq in moved])
            db.execute("UPDATE ledger SET evicted = evicted + ?", (len(moved),))
            db.execute(
                "DELETE FROM dead_letter WHERE seq <= (SELECT seq FROM dead_letter ORDER BY seq DESC LIMIT 1 OFFSET ?)",
                (MAX_DEAD_LETTERS,),
            )
            self._note_gone(db, books, set(moved))
        self._on_the_way.difference_update(seqs)
        self._evicted_under_way.difference_update(seqs)
        return len(moved)

    def dead_letters(self) -> list[tuple[StoredSample, str]]:
        """What was set aside, with its cause; one that cannot be read has neither values nor status."""
        with self._file.reading() as db:
            rows = db.execute("SELECT seq, unit, time, clock, content, cause FROM dead_letter ORDER BY seq").fetchall()
        return [(self._letter(*row), cause) for *row, cause in rows]

    def _letter(self, seq: int, unit: int, time: Instant, clock: object, content: bytes) -> StoredSample:
        try:
            return stored(seq, self._books.paths.get(unit), time, clock, content)
        except Unreadable:
            return StoredSample(seq, Sample(unit=self._books.paths.get(unit, "?"), time=time), Trust.UNSYNCED, 0)

    # ------------------------------------------------------------ the ledger

    def counts(self) -> OutboxCounts:
        """The ledger as it is on the disk."""
        with self._file.reading() as db:
            polled, appended, confirmed, evicted, quarantined, dead_letters = db.execute(
                "SELECT polled, appended, confirmed, evicted, quarantined, (SELECT count(*) FROM dead_letter)"
                " FROM ledger"
            ).fetchone()
            return OutboxCounts(
                polled=polled,
                appended=appended,
                confirmed=confirmed,
                in_outbox=len(self),
                evicted=evicted,
                undated=self.undated,
                quarantined=quarantined,
                dead_letters=dead_letters,
            )

    @property
    def closed(self) -> Mapping[str, OutboxCounts]:
        """Outbox id -> last ledger of the damaged outboxes that this one took over from."""
        return self._closed

    def close_ledger(self, outbox: str, counts: OutboxCounts) -> None:
        """Note how the ledger of an outbox ended that this one took over from."""
        with self._file.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO closed VALUES (?, ?, ?, ?, ?)",
                (outbox, counts.polled, counts.appended, counts.confirmed, counts.evicted),
            )
        self._closed = {**self._closed, outbox: counts}

    def take_over(
        self,
        last: dict[str, Instant],
        anchor: Anchor,
        dated: Sequence[tuple[Sample, Trust]],
        undated: Sequence[tuple[Sample, Stamp]],
    ) -> None:
        """Begin, empty, with what was read of another outbox: its samples keep their times and trusts."""
        with self._change() as (db, books):
            rows = [(self._row(db, books, sample.unit, sample.time, pack(sample), trust)) for sample, trust in dated]
            db.executemany("INSERT INTO sample VALUES (?, ?, ?, ?, ?)", rows)
            for sample, stamp in undated:
                self._wait(db, books, sample, stamp)
            for unit, time in last.items():
                self._number(db, books, unit)
                books.last[unit] = max(time, books.last.get(unit, -1))
                db.execute("UPDATE unit SET last = ? WHERE id = ?", (books.last[unit], books.units[unit]))
            books.anchor = anchor
            count = len(dated) + len(undated)
            db.execute("UPDATE ledger SET polled = polled + ?, appended = appended + ?", (count, count))

    # ------------------------------------------------------------ within a transaction

    @contextmanager
    def _change(self) -> Iterator[tuple[sqlite3.Connection, _Books]]:
        """A transaction, and a copy of the books that becomes true with it."""
        with self._file.errors():  # one at a time, books included
            books = self._books.copy()
            with self._file.transaction() as db:
                yield db, books
                db.execute(
                    "UPDATE ledger SET next_seq = ?, boot = ?, clock_offset = ?, evicted = evicted + ?,"
                    " quarantined = quarantined + ?",
                    (books.next_seq, *books.anchor, books.evictions, books.quarantined),
                )
            self._books = books
            self._note_evicted(books.evicted)

    def _note_evicted(self, seqs: set[int]) -> None:
        """A receipt may still cover what was under way, and passes over what never was."""
        under_way = seqs & self._on_the_way
        self._evicted_under_way |= under_way
        self._on_the_way -= under_way
        self._evicted_upto = max(seqs, default=self._evicted_upto)
        for seq in seqs:
            self._sent.add(seq)

    def _row(
        self, db: sqlite3.Connection, books: _Books, unit: str, time: Instant, content: bytes, trust: Trust
    ) -> tuple[int, int, Instant, int, bytes]:
        """The next row of ``sample``: quarantined when its unit's time would go back."""
        number, seq = self._number(db, books, unit), books.next_seq
        books.next_seq += 1
        books.held += 1
        if trust is Trust.UNSYNCED or time <= books.last.get(unit, -1):
            books.quarantined += 1
            return seq, number, time, _UNSYNCED, content
        books.last[unit] = time
        books.moved.add(unit)
        books.first.setdefault(unit, (seq, time))
        return seq, number, time, TRUSTS.index(trust), content

    def _wait(self, db: sqlite3.Connection, books: _Books, sample: Sample, stamp: Stamp) -> None:
        db.execute(
            "INSERT INTO undated (unit, time, boot, steady, after, content) VALUES (?, ?, ?, ?, ?, ?)",
            (
                self._number(db, books, sample.unit),
                sample.time,
                stamp.boot,
                stamp.steady,
                books.next_seq - 1,
                pack(sample),
            ),
        )
        books.undated[sample.unit] += 1

    def _date(self, db: sqlite3.Connection, books: _Books, stamp: Stamp) -> int:
        """Turn what waits into rows with a seq, by the trusted offset of a dated stamp."""
        if stamp.boot == VIRTUAL:
            return 0
        books.anchor = stamp.anchor
        if not books.undated:
            return 0
        found = db.execute(
            "SELECT n, unit, time, steady, content FROM undated WHERE boot = ? ORDER BY n LIMIT ?",
            (stamp.boot, _PORTION),
        ).fetchall()
        rows = []
        for n, number, guess, steady, content in found:
            unit, time = books.paths.get(number, _NOBODY), steady + stamp.anchor.offset
            try:
                unpack(books.paths.get(number), guess, content)
                content = redate(content, time)
            except Unreadable:
                content = b""
            rows.append(self._row(db, books, unit, time, content, Trust.STEPPED))
            self._leave(db, books, n, unit)
        db.executemany("INSERT INTO sample VALUES (?, ?, ?, ?, ?)", rows)
        return len(rows)

    @staticmethod
    def _leave(db: sqlite3.Connection, books: _Books, n: int, unit: str) -> None:
        db.execute("DELETE FROM undated WHERE n = ?", (n,))
        books.undated[unit] -= 1
        if not books.undated[unit]:
            del books.undated[unit]

    def _number(self, db: sqlite3.Connection, books: _Books, unit: str) -> int:
        """The id of a unit, made at its first sample."""
        if unit not in books.units:
            number = db.execute("INSERT INTO unit (path, last) VALUES (?, -1)", (unit,)).lastrowid
            assert number is not None  # noqa: S101 - an insert gives one
            books.units = {**books.units, unit: number}
            books.paths = {**books.paths, number: unit}
        return books.units[unit]

    def _excess(self, books: _Books) -> int:
        """Samples over the limits."""
        held = books.held + books.undated.total()
        over_bytes = self._file.used_bytes() - self._max_bytes
        by_bytes = ceil(over_bytes / (over_bytes + self._max_bytes) * held) if over_bytes > 0 else 0
        return max(0, held - self._max_samples, by_bytes)

    def _evict(self, db: sqlite3.Connection, books: _Books, excess: int) -> None:
        """Delete the oldest samples, those on the way only when there are no others."""
        if excess <= 0:
            return
        oldest = db.execute("SELECT seq FROM sample ORDER BY seq LIMIT ?", (excess + len(self._on_the_way),))
        found = [(seq in self._on_the_way, seq, 0, 0) for (seq,) in oldest]
        if books.undated:
            waiting = db.execute("SELECT after, n, unit FROM undated ORDER BY n LIMIT ?", (excess,))
            found += [(False, after, n, unit) for after, n, unit in waiting]
        gone = set[int]()
        for _, seq, n, number in sorted(found)[:excess]:
            books.evictions += 1
            if n:
                self._leave(db, books, n, books.paths.get(number, _NOBODY))
            else:
                db.execute("DELETE FROM sample WHERE seq = ?", (seq,))
                gone.add(seq)
        books.evicted |= gone
        self._note_gone(db, books, gone)

    @staticmethod
    def _note_gone(db: sqlite3.Connection, books: _Books, gone: set[int]) -> None:
        """Samples have left the table: find the oldest again of each unit that has lost it; it is never far behind."""
        if not gone:
            return
        moved = [(books.last[unit], books.units[unit]) for unit in sorted(books.moved)]
        db.executemany("UPDATE unit SET last = ? WHERE id = ?", moved)
        books.moved.clear()
        books.held -= len(gone)
        for unit, (seq, _) in list(books.first.items()):
            if seq in gone:
                del books.first[unit]
                found = db.execute(
                    "SELECT seq, time FROM sample WHERE seq > ? AND unit = ? AND clock <> ? ORDER BY seq LIMIT 1",
                    (seq, books.units[unit], _UNSYNCED),
                ).fetchone()
                if found is not None:
                    books.first[unit] = found


def _delete(db: sqlite3.Connection, table: str, spans: Iterable[tuple[int, int]]) -> list[int]:
    """Delete what lies in the inclusive spans; returns the seqs."""
    delete = f"DELETE FROM {table} WHERE seq BETWEEN ? AND ? RETURNING seq"  # noqa: S608 - our own names
    return [seq for span in spans for (seq,) in db.execute(delete, span)]
