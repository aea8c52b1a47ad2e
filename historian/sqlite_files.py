"""SQLite files opened, shared between threads, and their errors told apart.

The floor under the embedded store of *points* (registers -> samples -> messages -> points -> facts -> KPIs -> panels).
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from shopfloor.errors import Backpressure, ServiceUnavailable, ShopfloorError

MAX_IDLE: Final = 24
"""Idle connections kept open over all files; each holds up to three file descriptors."""
_PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
    }
)
"""Primary result codes that may be gone at the next try: locks, disk, descriptors, memory."""


class SqliteFiles:
    """Connections to many files of one folder. Each is used by one thread at a time, then waits for the next user."""

    def __init__(self, busy_timeout_s: float, functions: Mapping[str, Callable[..., Any]]) -> None:
        """``functions`` are called by SQL, each with three arguments."""
        self._functions = functions
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.Lock()
        self._idle: list[tuple[Path, sqlite3.Connection]] = []
        self._closed = False

    @contextmanager
    def use(self, path: Path) -> Iterator[sqlite3.Connection]:
        """A connection in autocommit mode; raises Backpressure or ServiceUnavailable for what SQLite raises."""
        try:
            db = self._take(path)
            try:
                yield db
            except BaseException:
                db.close()  # rolls back; the next user starts from a clean connection
                raise
            self._give(path, db)
        except sqlite3.Error as error:
            raise _translated(error, path) from error

    @contextmanager
    def transaction(self, path: Path) -> Iterator[sqlite3.Connection]:
        """The same with a write transaction that is durable when the block has ended, and undone when it failed."""
        with self.use(path) as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")

    def close(self) -> None:
        """Close what is idle; what is in use closes when it is given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for _, db in idle:
            db.close()

    def _take(self, path: Path) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise ServiceUnavailable("the historian is closed")
            for index in range(len(self._idle) - 1, -1, -1):
                if self._idle[index][0] == path:
                    return self._idle.pop(index)[1]
        return self._open(path)

    def _give(self, path: Path, db: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append((path, db))
                if len(self._idle) <= MAX_IDLE:
                    return
                _, db = self._idle.pop(0)
        db.close()

    def _open(self, path: Path) -> sqlite3.Connection:
        db = sqlite3.connect(path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False)
        try:
            with closing(db.execute("PRAGMA journal_mode = WAL")) as mode:
                mode.fetchone()
            db.execute("PRAGMA synchronous = FULL")
            for name, function in self._functions.items():
                db.create_function(name, 3, function, deterministic=True)
        except BaseException:
            db.close()
            raise
        return db


def _translated(error: sqlite3.Error, path: Path) -> ShopfloorError:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _PASSING:
        return Backpressure(f"{path.name}: {error}")
    return ServiceUnavailable(f"the historian file {path} cannot be used: {error}")
