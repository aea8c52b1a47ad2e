"""Samples -> messages: the file between them, its tables, and what each of SQLite's errors means.

Chosen for power cuts and for flash: a write-ahead log that is synced at each commit (``synchronous=FULL``), small
pages, no index beside the keys, one row for the whole ledger. The log is copied into the tables when it has grown, so
that a sample that is confirmed soon is written once.
"""

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edge_agent.outbox_row import TRUSTS, redate
from shopfloor.clock import Trust
from shopfloor.errors import Backpressure, OutboxDamaged, OutboxError

FORMAT: Final = 2
"""Version of the tables, in the file's ``user_version``."""
PAGE_BYTES: Final = 2048
"""A commit rewrites the pages that it touches as a whole."""
LOG_BYTES: Final = 1024 * 1024
"""The log is copied into the tables when it has this size."""
RESERVE_BYTES: Final = 3 * LOG_BYTES
"""Kept free in a file of its own for the day on which the disk is full: evicting needs room, too, and so does copying
the log."""
SLACK_BYTES: Final = 8 * 1024 * 1024
"""A file that holds little gives the disk back when it is larger than this."""

_DAMAGE: Final = {
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_RANGE,
    sqlite3.SQLITE_SCHEMA,
}
"""Error codes of a file that is no sound outbox; all others are troubles of the disk, which pass."""

_SCHEMA: Final = """
CREATE TABLE ledger (one INTEGER PRIMARY KEY CHECK (one = 1), outbox TEXT NOT NULL, next_seq INTEGER NOT NULL,
    polled INTEGER NOT NULL, appended INTEGER NOT NULL, confirmed INTEGER NOT NULL, evicted INTEGER NOT NULL,
    quarantined INTEGER NOT NULL, boot TEXT NOT NULL, clock_offset INTEGER NOT NULL);
CREATE TABLE unit (id INTEGER PRIMARY KEY, path TEXT NOT NULL, last INTEGER NOT NULL);
CREATE TABLE sample (seq INTEGER PRIMARY KEY, unit INTEGER NOT NULL, time INTEGER NOT NULL, clock INTEGER NOT NULL,
    content BLOB NOT NULL);
CREATE TABLE undated (n INTEGER PRIMARY KEY, unit INTEGER NOT NULL, time INTEGER NOT NULL, boot TEXT NOT NULL,
    steady INTEGER NOT NULL, after INTEGER NOT NULL, content BLOB NOT NULL);
CREATE TABLE dead_letter (seq INTEGER PRIMARY KEY, unit INTEGER NOT NULL, time INTEGER NOT NULL, clock INTEGER NOT NULL,
    content BLOB NOT NULL, cause TEXT NOT NULL);
CREATE TABLE closed (outbox TEXT PRIMARY KEY, polled INTEGER NOT NULL, appended INTEGER NOT NULL,
    confirmed INTEGER NOT NULL, evicted INTEGER NOT NULL);
"""
REMEDY: Final = "it is set aside under another name, and a new outbox takes in what can be read of it"


class OutboxFile:
    """One SQLite file, this process's alone until ``close``. Thread-safe.

    Errors of the disk raise Backpressure (keep the samples, try again); a file that is damaged or another program's,
    OutboxDamaged. Opening raises OutboxError where a person must act.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tight = False
        """The disk is full: the reserve is in use."""
        self.spent = False
        """The disk was full again meanwhile."""
        self._reserve = path.with_name(path.name + "-reserve")
        self._lock = threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size == 0:
            raise OutboxDamaged(f"{path} is empty; {REMEDY}")
        with self.errors(opening=True):
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
        try:
            with self.errors(opening=True):
                self._open()
        except OutboxError:
            self._db.close()
            raise
        self.tight = not self._reserve.exists()
        self.loosen()

    def close(self) -> None:
        """Give the file free."""
        self._db.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for queries."""
        with self.errors():
            yield self._db

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, on the disk when the block has ended."""
        with self.errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def used_bytes(self) -> int:
        """Bytes of the pages in use."""
        with self.reading():
            pages, free, size = (self._pragma(name) for name in ("page_count", "freelist_count", "page_size"))
        return (pages - free) * size

    def disk_bytes(self) -> int:
        """What the file and its log take on the disk."""
        parts = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    @property
    def pressed(self) -> bool:
        """Whether what comes in must push out as much. A short want of room costs nothing: the first half of the
        reserve takes in what comes; the second is what pushing out needs."""
        return self.tight and (self.spent or self._free_bytes() < RESERVE_BYTES // 2)

    def _free_bytes(self) -> int:
        disk = os.statvfs(self.path.parent)
        return disk.f_bavail * disk.f_frsize

    def loosen(self) -> None:
        """Take the reserve back, when it was in use and the disk has room again."""
        if not self.tight:
            return
        if self._free_bytes() < 2 * RESERVE_BYTES:
            return
        try:
            with self._reserve.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except OSError:
            self._reserve.unlink(missing_ok=True)
        else:
            self.tight = self.spent = False

    def _tighten(self) -> None:
        """The disk is full: use the reserve, and give the log's room free."""
        self.spent = self.tight
        self.tight = True
        self._reserve.unlink(missing_ok=True)
        with suppress(sqlite3.Error), self._lock:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def give_back(self) -> bool:
        """Give the disk what a drained outbox no longer needs; whether there was something."""
        if self.disk_bytes() <= SLACK_BYTES or self.used_bytes() * 8 > self.disk_bytes():
            return False
        with self.errors():
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return True

    @contextmanager
    def errors(self, *, opening: bool = False) -> Iterator[None]:
        """Say what an error of SQLite means."""
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in _DAMAGE:
                raise OutboxDamaged(f"{self.path} is damaged: {error}; {REMEDY}") from error
            if opening:
                raise OutboxError(
                    f"{self.path} cannot be opened: {error}; is another agent using it, or is the disk away?"
                ) from error
            if code == sqlite3.SQLITE_FULL:
                self._tighten()
            raise Backpressure(f"{self.path}: {error}") from error
        except UnicodeDecodeError as error:  # damaged names come up in SQLite's own words
            raise OutboxDamaged(f"{self.path} is damaged: {error}; {REMEDY}") from error

    def _open(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # heeded by a new file only
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        self._db.execute(f"PRAGMA wal_autocheckpoint = {LOG_BYTES // self._pragma('page_size')}")
        version = self._pragma("user_version")
        with self.transaction() as db:  # takes the lock, too
            tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if version == 0 and tables:
                raise OutboxDamaged(f"{self.path} is a file of another program; {REMEDY}")
            if version > FORMAT:
                raise OutboxError(
                    f"{self.path} has format {version}, this program knows {FORMAT}; use the newer program"
                )
            if version == 0:
                _create(db)
                db.execute("INSERT INTO ledger VALUES (1, ?, 1, 0, 0, 0, 0, 0, '', 0)", (secrets.token_hex(8),))
            elif version == 1:
                _upgrade(db)
            db.execute(f"PRAGMA user_version = {FORMAT}")

    def _pragma(self, name: str) -> int:
        value: int = self._db.execute(f"PRAGMA {name}").fetchone()[0]
        return value


def _create(db: sqlite3.Connection) -> None:
    for statement in filter(str.strip, _SCHEMA.split(";")):
        db.execute(statement)


def _upgrade(db: sqlite3.Connection) -> None:
    """From format 1: units were spelled out in each row, trusts were words, and content had no checksum."""
    for table in ("ledger", "unit", "sample", "dead_letter"):
        db.execute(f"ALTER TABLE {table} RENAME TO {table}_1")
    db.execute("DROP INDEX sample_time")
    _create(db)
    db.create_function("code_of", 1, lambda word: TRUSTS.index(Trust(word)), deterministic=True)
    db.create_function("summed", 2, lambda time, content: redate(bytes(4) + content, time), deterministic=True)
    db.execute(
        "INSERT INTO ledger SELECT 1, outbox, next_seq, polled, appended, confirmed, evicted, 0, '', 0 FROM ledger_1"
    )
    db.execute("INSERT INTO unit (path, last) SELECT path, last FROM unit_1 ORDER BY path")
    for table, more in (("sample", ""), ("dead_letter", ", cause")):
        db.execute(
            f"INSERT INTO {table} SELECT seq, (SELECT id FROM unit WHERE path = {table}_1.unit), time, code_of(clock),"  # noqa: S608
            f" summed(time, content){more} FROM {table}_1"
        )
    for table in ("ledger", "unit", "sample", "dead_letter"):
        db.execute(f"DROP TABLE {table}_1")
