"""Samples -> messages: what happens when the outbox is no sound file - it never stops the agent.

The damaged file is set aside under a name with its date, a new outbox with a new id is made, and what can still be read
goes there with the source time it had: written twice to the store, it is the same point. The old ledger is closed: what
moved is no longer counted in it, and what could not be read counts as evicted, so both balance.
"""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

from edge_agent.outbox import MAX_BYTES, Outbox, OutboxCounts
from edge_agent.outbox_row import Unreadable, redate, trust_of, unpack
from edge_agent.source_clock import Anchor, Stamp
from shopfloor.clock import VIRTUAL, Trust
from shopfloor.errors import Backpressure, OutboxDamaged
from shopfloor.instant import Instant, format_instant
from shopfloor.sample import Sample

log = logging.getLogger(__name__)

MARK: Final = ".damaged-"
"""Between the name of an outbox and the date at which it was set aside."""
_LOGS: Final = ("-wal", "-shm", "-journal")
_LAST_SEQ: Final = 2**53
_PORTION: Final = 5_000
"""Samples taken over in one transaction."""


def open_outbox(path: Path, *, now: Instant, max_samples: int, max_bytes: int = MAX_BYTES) -> Outbox:
    """The outbox at ``path``, whatever is found there; raises OutboxError only where a person must act."""
    try:
        return Outbox(path, max_samples=max_samples, max_bytes=max_bytes)
    except OutboxDamaged as fault:
        log.error("%s", fault)  # noqa: TRY400 - the message says all
        return replaced(path, now=now, max_samples=max_samples, max_bytes=max_bytes)


def replaced(path: Path, *, now: Instant, max_samples: int, max_bytes: int = MAX_BYTES) -> Outbox:
    """A new outbox in place of the damaged and closed file at ``path``."""
    aside = set_aside(path, now)
    outbox = Outbox(path, max_samples=max_samples, max_bytes=max_bytes)
    saved = 0
    try:
        with closing(sqlite3.connect(aside, isolation_level=None, timeout=0)) as db:
            saved = _save(_Damaged(db), outbox)
    except (sqlite3.Error, UnicodeDecodeError, Backpressure) as fault:
        log.error("%s: no more can be saved of it: %s", aside, fault)  # noqa: TRY400 - the message says all
    log.error("%s was damaged; %d samples of it were saved into the new outbox %s", aside, saved, outbox.outbox_id)
    return outbox


def _save(damaged: "_Damaged", outbox: Outbox) -> int:
    """Take over what can be read; returns how many samples. The old ledger is closed last."""
    saved, anchor = 0, damaged.anchor()
    samples = damaged.dated()
    while portion := list(islice(samples, _PORTION)):
        outbox.take_over({}, anchor, portion, [])
        saved += len(portion)
    undated = damaged.undated()
    outbox.take_over(damaged.last(), anchor, [], undated)
    for closed, counts in damaged.closed().items():
        outbox.close_ledger(closed, counts)
    saved += len(undated)
    if (ledger := damaged.ledger()) is not None:
        outbox.close_ledger(ledger[0], _closing(ledger[1], saved))
    return saved


def set_aside(path: Path, now: Instant) -> Path:
    """Rename a file and its log; returns the new path. Nothing that was set aside before is overwritten."""
    stamp = format_instant(now).replace(":", "").replace("-", "")
    aside = path.with_name(f"{path.name}{MARK}{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}{MARK}{stamp}-{number}")
    path.rename(aside)
    for ending in _LOGS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(aside.with_name(aside.name + ending))
    return aside


def files_aside(path: Path) -> list[Path]:
    """What was set aside of the outbox at ``path`` and still lies there, oldest first."""
    found = path.parent.glob(f"{path.name}{MARK}*")
    return sorted(file for file in found if not file.name.endswith(_LOGS))


class _Damaged:
    """What can still be read of a file; nothing raises for what cannot."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._format = self._rows("PRAGMA user_version")[:1] or [(0,)]

    def ledger(self) -> tuple[str, OutboxCounts] | None:
        """Id and counts, where they make sense."""
        for outbox, *counts in self._rows("SELECT outbox, polled, appended, confirmed, evicted FROM ledger"):
            if isinstance(outbox, str) and all(isinstance(count, int) for count in counts):
                polled, appended, confirmed, evicted = counts
                if min(polled - appended, confirmed, evicted, appended - confirmed - evicted) >= 0:
                    held = appended - confirmed - evicted
                    return outbox, OutboxCounts(
                        polled=polled, appended=appended, confirmed=confirmed, in_outbox=held, evicted=evicted
                    )
        return None

    def closed(self) -> dict[str, OutboxCounts]:
        """Ledgers that this file had closed before."""
        return {
            outbox: OutboxCounts(polled=polled, appended=appended, confirmed=confirmed, in_outbox=0, evicted=evicted)
            for outbox, polled, appended, confirmed, evicted in self._rows("SELECT * FROM closed")
            if isinstance(outbox, str) and isinstance(polled, int) and appended == confirmed + evicted
        }

    def anchor(self) -> Anchor:
        for boot, offset in self._rows("SELECT boot, clock_offset FROM ledger"):
            if isinstance(boot, str) and isinstance(offset, int):
                return Anchor(boot, offset)
        return Anchor(VIRTUAL, 0)

    def last(self) -> dict[str, Instant]:
        """Unit -> latest source time."""
        rows = self._rows("SELECT path, last FROM unit")
        return {unit: last for unit, last in rows if isinstance(unit, str) and isinstance(last, int)}

    def dated(self) -> Iterator[tuple[Sample, Trust]]:
        """Samples with a time, in order of seq."""
        paths = self._paths()
        old = self._format == [(1,)]
        for _, unit, time, clock, content in self._around("SELECT seq, unit, time, clock, content FROM sample"):
            with suppress(Unreadable, ValueError, TypeError):
                if old:  # units and trusts were words, content had no checksum
                    yield unpack(str(unit), time, redate(bytes(4) + content, time)), Trust(clock)
                else:
                    yield unpack(paths.get(unit), time, content), trust_of(clock)

    def undated(self) -> list[tuple[Sample, Stamp]]:
        """Samples that wait for their time."""
        paths, found = self._paths(), []
        for unit, time, boot, steady, content in self._rows(
            "SELECT unit, time, boot, steady, content FROM undated ORDER BY n"
        ):
            with suppress(Unreadable, TypeError):
                found.append((unpack(paths.get(unit), time, content), Stamp(time, steady, boot, dated=False)))
        return found

    def _paths(self) -> dict[Any, str]:
        return {number: path for number, path in self._rows("SELECT id, path FROM unit") if isinstance(path, str)}

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        """Up to the first damage."""
        rows = []
        with suppress(sqlite3.Error, UnicodeDecodeError):
            for row in self._db.execute(query):
                rows.append(row)  # noqa: PERF402 - what was read before an error is kept
        return rows

    def _around(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Rows in order of seq; behind each damage it goes on, with strides that double until something is found."""
        seq, stride = 0, 1
        while seq < _LAST_SEQ:
            try:
                for row in self._db.execute(f"{query} WHERE seq > ? ORDER BY seq", (seq,)):
                    seq, stride = row[0], 1
                    yield row
            except (sqlite3.Error, UnicodeDecodeError):
                seq, stride = seq + stride, stride * 2
            else:
                return


def _closing(ledger: OutboxCounts, moved: int) -> OutboxCounts:
    """The old ledger without what moved; what it held besides is lost, and counts as evicted."""
    appended = max(0, ledger.appended - moved)
    confirmed = min(ledger.confirmed, appended)
    return OutboxCounts(
        polled=max(appended, ledger.polled - moved),
        appended=appended,
        confirmed=confirmed,
        in_outbox=0,
        evicted=appended - confirmed,
    )
