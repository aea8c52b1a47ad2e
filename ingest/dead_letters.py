"""Dead letters: the *messages* that can never become points, each kept once with its reason, in a SQLite file."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.mapping import DeadLetter
from shopfloor.errors import Backpressure, ServiceUnavailable

_SCHEMA = """
CREATE TABLE IF NOT EXISTS letters (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,
    agent TEXT,
    outbox TEXT,
    seq INTEGER,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    received INTEGER NOT NULL,
    times INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX IF NOT EXISTS letters_of ON letters (agent, outbox, seq);
"""
_INSERT = """
INSERT INTO letters (identity, agent, outbox, seq, reason, detail, topic, payload, received)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (identity) DO UPDATE SET times = times + 1
RETURNING times
"""
_COLUMNS = "id, times, topic, payload, reason, detail, received, agent, outbox, seq"
_LOCKED_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A letter at rest."""

    id: int
    times: int
    """How often it came."""
    letter: DeadLetter


class DeadLetters:
    """The file. Safe to call from several threads; every call blocks (use ``asyncio.to_thread``).

    Not bounded: a letter stays until somebody removes it, since ``rejected`` is part of the ledger. Calls raise
    Backpressure while the disk is full or the file locked, ServiceUnavailable when a person must act; what was added
    before is durable (WAL, FULL).
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = 10.0) -> None:
        """Open or make the file; raises ServiceUnavailable when it cannot be used."""
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=busy_timeout_s)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as fault:
            raise ServiceUnavailable(f"dead letters cannot be kept in {path}: {fault}") from None

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()

    def add(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Keep letters, all or none; returns those that were not known yet."""
        with self._transaction() as db:
            return [letter for letter in letters if db.execute(_INSERT, _row(letter)).fetchone()[0] == 1]

    def withdraw(self, identities: Iterable[str]) -> int:
        """Remove letters whose samples were stored after all; returns how many there were."""
        with self._transaction() as db:
            removed = db.executemany("DELETE FROM letters WHERE identity = ?", ((name,) for name in identities))
            return removed.rowcount

    def count(self) -> int:
        """All letters."""
        return self._number("SELECT count(*) FROM letters")

    def rejected(self, agent: str, outbox: str | None = None) -> int:
        """Samples of an agent (of one outbox) that were settled without a place in the store."""
        where, values = ("", (agent,)) if outbox is None else (" AND outbox = ?", (agent, outbox))
        return self._number(f"SELECT count(seq) FROM letters WHERE agent = ?{where}", *values)  # noqa: S608 - constant

    def by_reason(self) -> dict[str, int]:
        """Letters by reason."""
        with self._errors():
            return dict(self._db.execute("SELECT reason, count(*) FROM letters GROUP BY reason ORDER BY reason"))

    def list(self, limit: int = 100, before: int | None = None) -> "list[StoredLetter]":
        """The newest letters first, those with an id below ``before``."""
        with self._errors():
            query = f"SELECT {_COLUMNS} FROM letters WHERE id < ? ORDER BY id DESC LIMIT ?"  # noqa: S608 - constant
            return [_stored(row) for row in self._db.execute(query, (before or 2**62, limit))]

    def show(self, letter_id: int) -> StoredLetter | None:
        """One letter; None when there is none with this id."""
        with self._errors():
            query = f"SELECT {_COLUMNS} FROM letters WHERE id = ?"  # noqa: S608 - constant
            row = self._db.execute(query, (letter_id,)).fetchone()
        return None if row is None else _stored(row)

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


def _row(letter: DeadLetter) -> tuple[Any, ...]:
    named = (letter.identity, letter.agent, letter.outbox, letter.seq)
    return (*named, letter.reason, letter.detail, letter.topic, letter.payload, letter.received)


def _stored(row: tuple[Any, ...]) -> StoredLetter:
    letter_id, times, topic, payload, reason, detail, received, agent, outbox, seq = row
    return StoredLetter(
        letter_id,
        times,
        DeadLetter(
            topic=topic,
            payload=payload,
            reason=reason,
            detail=detail,
            received=received,
            agent=agent,
            outbox=outbox,
            seq=seq,
        ),
    )
