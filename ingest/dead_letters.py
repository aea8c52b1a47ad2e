"""Dead letters: the *messages* that can never become points, each kept once with its reason, in a SQLite file.

The ledger's count and the letters themselves are apart. A rejected sample is counted for ever (three integers); what it
said is kept in a ring that drops its oldest, as is what came without telling its sample. Dropped ones stay counted.
"""

import hashlib
import json
import shutil
import sqlite3
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from historian.schema import NOBODY
from ingest.letter_tables import OVERHEAD, brief, place, prepare
from ingest.mapping import DeadLetter, Source
from messaging.payload import MAX_MESSAGE_BYTES
from shopfloor.clock import Trust
from shopfloor.errors import Backpressure, ServiceUnavailable
from shopfloor.instant import Instant

MAX_WORDS: Final = 500
"""Characters kept of a topic and of a detail."""
HEAD_BYTES: Final = 1_024
"""Kept of a payload that is longer than any message may be; its length and hash tell the rest."""
MAX_SOURCES: Final = 4_096
"""Outboxes told apart. What comes from more of them is counted under nobody: only an attacker has so many."""
SETTLE_S: Final = 5.0
"""A tally that changed is told again for so long: another writer may have told an older one last."""
_LOCKED_RETRY_S: Final = 1.0
_PAGE: Final = 500

_COLUMNS = "id, times, topic, payload, reason, detail, received, agent, outbox, seq, clock, size, digest, replaying"
_KEEP = """
INSERT INTO letter
    (identity, named, agent, outbox, seq, clock, reason, detail, topic, payload, size, digest, cost, received)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (identity) DO UPDATE SET times = times + 1
RETURNING times
"""
_COUNT = "INSERT INTO {} ({}, letters) VALUES ({}) ON CONFLICT DO UPDATE SET letters = letters + excluded.letters"
_COUNT_TALLY = _COUNT.format("tally", "source, reason", "?, ?, ?")
_COUNT_TOTAL = _COUNT.format("total", "reason", "?, ?")
_TALLIES = """
SELECT source.agent, source.outbox, reason.name, tally.letters FROM tally
JOIN source ON source.id = tally.source JOIN reason ON reason.id = tally.reason
"""
_SOME = """
SELECT 1 FROM source JOIN tally ON tally.source = source.id WHERE agent = ? AND outbox = ? AND letters > 0 LIMIT 1
"""
_AMONG = "(SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of one kind of letters is kept to be read; the oldest go first."""

    letters: int
    bytes: int


NAMED: Final = Bounds(letters=200_000, bytes=256 * 1024 * 1024)
"""Letters that tell their sample: they can be replayed."""
GARBAGE: Final = Bounds(letters=10_000, bytes=32 * 1024 * 1024)
"""All others."""
SHARES: Final = {1: 8, 0: 32}
"""Of a small disk each kind, the named ones first, takes no more than such a part: else letters would fill it."""


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A letter at rest."""

    id: int
    times: int
    """How often it came."""
    letter: DeadLetter
    size: int
    """Bytes of its payload as it came."""
    digest: str | None
    """SHA-256 of that where ``letter.payload`` is only its first bytes; None where it is whole."""
    replaying: bool = False
    """A replay was about to store its sample, and may have done so."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many dead letters one outbox has, by reason; zeros where all were withdrawn."""

    agent: str
    """``NOBODY`` for what belongs to no agent of the plant."""
    outbox: str
    """``?`` and the file's id for letters that tell no sample: those are no part of any outbox's ledger."""
    letters: Mapping[str, int]

    @property
    def samples(self) -> int | None:
        """Rejected samples; None where the letters tell none."""
        return None if self.outbox.startswith("?") else sum(self.letters.values())


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters; every restriction that is left out lets all through."""

    reason: str | None = None
    agent: str | None = None
    since: Instant | None = None
    """First time of arrival that counts."""
    ids: Sequence[int] | None = None
    named: bool | None = None
    """Only those that tell their sample, or only those that do not."""


ALL: Final = Wanted()


class DeadLetters:
    """The file. Safe to call from several threads, and to open in several processes at once; every call blocks (use
    ``asyncio.to_thread``).

    Full policy: the oldest letter's words are dropped and counted, the count of samples stays. Calls raise Backpressure
    while the disk is full or the file locked, ServiceUnavailable when a person must act; what was added before is
    durable (WAL, FULL).
    """

    def __init__(
        self,
        path: Path,
        *,
        busy_timeout_s: float = 10.0,
        named: Bounds = NAMED,
        garbage: Bounds = GARBAGE,
        settle_s: float = SETTLE_S,
    ) -> None:
        """Open or make the file, or bring an older one up to date; raises ServiceUnavailable when it cannot be used."""
        self._lock = threading.Lock()
        self._settle_s = settle_s
        self._touched: dict[Source, float] = {}
        self._told_all = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            disk = shutil.disk_usage(path.parent).total  # 0: a file system that does not tell
            self._bounds = {
                kind: replace(bounds, bytes=min(bounds.bytes, disk // SHARES[kind] if disk else bounds.bytes))
                for kind, bounds in {1: named, 0: garbage}.items()
            }
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=busy_timeout_s)
            prepare(self._db)
            self.file_id: str = self._db.execute("SELECT id FROM file").fetchone()[0]
        except (OSError, sqlite3.Error, ValueError) as fault:
            raise ServiceUnavailable(f"dead letters cannot be kept in {path}: {fault}") from None

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()

    # ------------------------------------------------------------ what the pipeline does

    def add(self, letters: Sequence[DeadLetter]) -> "list[DeadLetter]":
        """Keep letters, all or none; returns those that were not known yet."""
        with self._transaction() as db:
            batch = _Batch(db)
            new = [letter for letter in letters if batch.is_new(letter)]
            batch.count()
            for kind, bounds in self._bounds.items():
                _make_room(db, kind, bounds)
        self._touch(batch.touched)
        return new

    def withdraw(self, samples: Iterable[tuple[Source, int]]) -> int:
        """Forget letters whose samples were stored after all; returns how many there were. Cheap without any."""
        by_source: defaultdict[Source, list[int]] = defaultdict(list)
        for source, seq in samples:
            by_source[source].append(seq)
        with self._errors():
            found = {source: some for source, seqs in by_source.items() if (some := self._rejected_of(source, seqs))}
        return sum(self._withdraw(source, seqs) for source, seqs in found.items())

    def mark_replaying(self, ids: Sequence[int]) -> None:
        """Note that the samples of these letters are about to be stored."""
        with self._transaction() as db:
            db.execute(f"UPDATE letter SET replaying = 1 WHERE id IN {_AMONG}", (json.dumps([*ids]),))  # noqa: S608

    def count(self) -> int:
        """All letters, those included whose words were dropped. As cheap with a million as with one."""
        return self._number("SELECT coalesce(sum(letters), 0) FROM total")

    def rejected(self, agent: str, outbox: str | None = None) -> int:
        """Samples of an agent (of one outbox) that were settled without a place in the store. As cheap as ``count``."""
        query = "SELECT coalesce(sum(letters), 0) FROM tally JOIN source ON source.id = tally.source WHERE agent = ?"
        if outbox is None:
            return self._number(query + " AND outbox != ''", agent)
        return self._number(query + " AND outbox = ?", agent, outbox)

    def take_tallies(self, agents: Collection[str]) -> Sequence[Tally]:
        """What changed lately in this process, for the ledger; the first time all.

        Letters of others than ``agents``, the plant's, are told together under ``NOBODY``.
        """
        now, touched = time.monotonic(), dict(self._touched)
        if self._told_all and not touched:
            return []
        told = self._tallies(touched if self._told_all else None, agents)
        self._told_all = True
        for source, until in touched.items():
            if until <= now and self._touched.get(source) == until:
                del self._touched[source]
        return told

    # ------------------------------------------------------------ what people ask

    def by_reason(self) -> dict[str, int]:
        """Letters by reason."""
        query = (
            "SELECT name, letters FROM total JOIN reason ON reason.id = total.reason WHERE letters > 0 ORDER BY name"
        )
        with self._errors():
            return dict(self._db.execute(query))

    def dropped(self) -> int:
        """Letters whose words were dropped to keep the file small."""
        return self._number("SELECT sum(dropped) FROM ring")

    def list(self, limit: int = 100, before: int | None = None, wanted: Wanted = ALL) -> "list[StoredLetter]":
        """The newest letters first, those with an id below ``before``."""
        clauses, values = _where(wanted)
        query = f"SELECT {_COLUMNS} FROM letter WHERE id < ?{clauses} ORDER BY id DESC LIMIT ?"  # noqa: S608 - constant
        with self._errors():
            rows = self._db.execute(query, (2**62 if before is None else before, *values, limit)).fetchall()
        return [_stored(row) for row in rows]

    def oldest_first(self, wanted: Wanted = ALL) -> Iterator[Sequence[StoredLetter]]:
        """The letters in the order in which they came, page by page; one that is withdrawn meanwhile is left out."""
        clauses, values = _where(wanted)
        query = f"SELECT {_COLUMNS} FROM letter WHERE id > ?{clauses} ORDER BY id LIMIT {_PAGE}"  # noqa: S608 - constant
        after = 0
        while True:
            with self._errors():
                rows = self._db.execute(query, (after, *values)).fetchall()
            if not rows:
                return
            after = rows[-1][0]
            yield [_stored(row) for row in rows]

    def show(self, letter_id: int) -> StoredLetter | None:
        """One letter; None when there is none with this id."""
        found = self.list(1, wanted=Wanted(ids=[letter_id]))
        return found[0] if found else None

    # ------------------------------------------------------------ inside

    def _touch(self, sources: Iterable[Source]) -> None:
        until = time.monotonic() + self._settle_s
        self._touched.update(dict.fromkeys(sources, until))

    def _rejected_of(self, source: Source, seqs: Sequence[int]) -> Sequence[int]:
        if self._db.execute(_SOME, source).fetchone() is None:
            return []
        query = f"SELECT seq FROM sample WHERE source = (SELECT id FROM source WHERE agent = ? AND outbox = ?) AND seq IN {_AMONG}"  # noqa: E501, S608 - constant
        return [seq for (seq,) in self._db.execute(query, (*source, json.dumps(seqs)))]

    def _withdraw(self, source: Source, seqs: Sequence[int]) -> int:
        with self._transaction() as db:
            number = db.execute("SELECT id FROM source WHERE agent = ? AND outbox = ?", source).fetchone()[0]
            gone = db.execute(
                f"DELETE FROM sample WHERE source = ? AND seq IN {_AMONG} RETURNING reason",  # noqa: S608 - constant
                (number, json.dumps(seqs)),
            ).fetchall()
            reasons = Counter(reason for (reason,) in gone)
            db.executemany(_COUNT_TALLY, [(number, reason, -count) for reason, count in reasons.items()])
            db.executemany(_COUNT_TOTAL, [(reason, -count) for reason, count in reasons.items()])
            for seq in seqs:
                _drop(db, place(number, seq))
        self._touch([source])
        return len(gone)

    def _tallies(self, touched: Collection[Source] | None, agents: Collection[str]) -> Sequence[Tally]:
        known = json.dumps(sorted(agents))
        with self._errors():
            if touched is None:
                rows = self._db.execute(_TALLIES).fetchall()
            else:
                rows = [
                    row
                    for source in touched
                    if source.agent in agents
                    for row in self._db.execute(f"{_TALLIES} WHERE agent = ? AND outbox = ?", source)
                ]
                if any(source.agent not in agents for source in touched):
                    rows += self._db.execute(f"{_TALLIES} WHERE agent NOT IN {_AMONG}", (known,)).fetchall()
        told: defaultdict[Source, Counter[str]] = defaultdict(Counter)
        for agent, outbox, reason, letters in rows:
            mine = agent in agents
            whose = Source(agent if mine else NOBODY, outbox if mine and outbox else f"?{self.file_id}")
            told[whose][reason] += letters
        return [Tally(*whose, letters) for whose, letters in told.items()]

    def _number(self, query: str, *values: str) -> int:
        with self._errors():
            number: int = self._db.execute(query, values).fetchone()[0]
            return number

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._errors():
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.OperationalError as fault:
            raise Backpressure(f"dead letters: {fault}", _LOCKED_RETRY_S) from fault
        except sqlite3.Error as fault:
            raise ServiceUnavailable(f"the dead letters cannot be used: {fault}; move the file aside") from fault


class _Batch:
    """Letters on their way into the tables within one transaction, with what they add to the counts."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._sources: dict[Source, int | None] = {}
        self._reasons: dict[str, int] = {}
        self._counts: Counter[tuple[int, int]] = Counter()
        self._kept: Counter[bool] = Counter()
        self._bytes: Counter[bool] = Counter()
        self.touched: set[Source] = set()

    def is_new(self, letter: DeadLetter) -> bool:
        """Keep a letter; whether it was not known yet."""
        reason = self._reason(letter.reason)
        named = letter.seq is not None and letter.outbox is not None
        whose = Source(letter.agent or NOBODY, letter.outbox or "" if named else "")
        source = self._source(whose)
        if source is None:
            whose, named = Source(NOBODY, ""), False
            source = self._source(whose)
        number = source or 0
        identity = place(number, letter.seq or 0) if named else brief(letter.identity)
        new = self._keep(letter, identity, named=named)
        if named:
            row = (number, letter.seq, reason)
            new = self._db.execute("INSERT INTO sample VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row).rowcount == 1
        if new:
            self._counts[number, reason] += 1
            self.touched.add(whose)
        return new

    def count(self) -> None:
        """Add what was new to the counts."""
        rows = [(source, reason, letters) for (source, reason), letters in self._counts.items()]
        self._db.executemany(_COUNT_TALLY, rows)
        self._db.executemany(_COUNT_TOTAL, [row[1:] for row in rows])
        kept = [(self._kept[named], self._bytes[named], named) for named in self._kept]
        self._db.executemany("UPDATE ring SET kept = kept + ?, bytes = bytes + ? WHERE named = ?", kept)

    def _keep(self, letter: DeadLetter, identity: bytes, *, named: bool) -> bool:
        whole = len(letter.payload) <= MAX_MESSAGE_BYTES
        payload = letter.payload if whole else letter.payload[:HEAD_BYTES]
        digest = None if whole else hashlib.sha256(letter.payload).hexdigest()
        detail, topic = _words(letter.detail), _words(letter.topic)
        cost = OVERHEAD + len(payload) + len(detail) + len(topic)
        row = (
            identity,
            named,
            letter.agent,
            letter.outbox,
            letter.seq,
            letter.clock,
            letter.reason,
            detail,
            topic,
            payload,
            len(letter.payload),
            digest,
            cost,
            letter.received,
        )
        (times,) = self._db.execute(_KEEP, row).fetchone()
        if times == 1:
            self._kept[named] += 1
            self._bytes[named] += cost
        return bool(times == 1)

    def _source(self, whose: Source) -> int | None:
        """The number of a source, made when it is new; None when there are too many."""
        if whose not in self._sources:
            found = self._db.execute("SELECT id FROM source WHERE agent = ? AND outbox = ?", whose).fetchone()
            if found is None and (whose.agent == NOBODY or self._sources_known() < MAX_SOURCES):
                insert = "INSERT INTO source (agent, outbox) VALUES (?, ?) RETURNING id"
                found = self._db.execute(insert, whose).fetchone()
            self._sources[whose] = None if found is None else found[0]
        return self._sources[whose]

    def _sources_known(self) -> int:
        known: int = self._db.execute("SELECT coalesce(max(id), 0) FROM source").fetchone()[0]  # none is ever deleted
        return known

    def _reason(self, name: str) -> int:
        if name not in self._reasons:
            self._db.execute("INSERT INTO reason (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
            self._reasons[name] = self._db.execute("SELECT id FROM reason WHERE name = ?", (name,)).fetchone()[0]
        return self._reasons[name]


def _make_room(db: sqlite3.Connection, kind: int, bounds: Bounds) -> None:
    """Drop the oldest letters of a kind until the others fit; they stay counted."""
    kept, size = db.execute("SELECT kept, bytes FROM ring WHERE named = ?", (kind,)).fetchone()
    last = dropped = 0
    for number, cost in db.execute("SELECT id, cost FROM letter WHERE named = ? ORDER BY id", (kind,)):
        if kept <= bounds.letters and size <= bounds.bytes:
            break
        last, dropped, kept, size = number, dropped + 1, kept - 1, size - cost
    if dropped:
        db.execute("DELETE FROM letter WHERE named = ? AND id <= ?", (kind, last))
        row = (kept, size, dropped, kind)
        db.execute("UPDATE ring SET kept = ?, bytes = ?, dropped = dropped + ? WHERE named = ?", row)


def _drop(db: sqlite3.Connection, identity: bytes) -> None:
    """Delete a letter, not counted as dropped: it is one no more."""
    query = "DELETE FROM letter WHERE identity = ? RETURNING named, cost"
    for named, cost in db.execute(query, (identity,)).fetchall():
        db.execute("UPDATE ring SET kept = kept - 1, bytes = bytes - ? WHERE named = ?", (cost, named))


def _words(text: str) -> str:
    """Text as the file takes it: bounded, and no half characters."""
    return text[:MAX_WORDS].encode("utf-8", "replace").decode()


def _where(wanted: Wanted) -> tuple[str, list[Any]]:
    """The restrictions as SQL with its values."""
    clauses: dict[str, Any] = {
        "reason = ?": wanted.reason,
        "agent = ?": wanted.agent,
        "received >= ?": wanted.since,
        f"id IN {_AMONG}": None if wanted.ids is None else json.dumps([*wanted.ids]),
        "named = ?": wanted.named,
    }
    given = {clause: value for clause, value in clauses.items() if value is not None}
    return "".join(f" AND {clause}" for clause in given), list(given.values())


def _stored(row: tuple[Any, ...]) -> StoredLetter:
    letter_id, times, topic, payload, reason, detail, received, agent, outbox, seq, clock, size, digest, replaying = row
    letter = DeadLetter(
        topic=topic,
        payload=payload,
        reason=reason,
        detail=detail,
        received=received,
        agent=agent,
        outbox=outbox,
        seq=seq,
        clock=None if clock is None else Trust(clock),
    )
    return StoredLetter(letter_id, times, letter, size, digest, bool(replaying))
