"""The tables of the dead-letter file, and how an older file becomes one of today. SQL only; the rules are next door.

Beside *messages -> points* of registers -> samples -> messages -> points -> facts -> KPIs -> panels.
"""

import hashlib
import secrets
import sqlite3
import struct
from typing import Final

FORMAT: Final = 2
"""Version of the tables, in the file's ``user_version``; 1 had all in one table and no version."""
OVERHEAD: Final = 200
"""Bytes that a letter costs beside its words and its payload, about."""

_SCHEMA: Final = (
    "CREATE TABLE file (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL)",
    # whose letters: an outbox of an agent, an agent without one (''), or nobody ('-', '')
    "CREATE TABLE source (id INTEGER PRIMARY KEY, agent TEXT NOT NULL, outbox TEXT NOT NULL, UNIQUE (agent, outbox))",
    "CREATE TABLE reason (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    # every rejected sample: what the ledger counts. Never dropped, so it is as narrow as it can be
    "CREATE TABLE sample (source INTEGER NOT NULL, seq INTEGER NOT NULL, reason INTEGER NOT NULL,"
    " PRIMARY KEY (source, seq)) WITHOUT ROWID",
    "CREATE TABLE tally (source INTEGER NOT NULL, reason INTEGER NOT NULL, letters INTEGER NOT NULL,"
    " PRIMARY KEY (source, reason)) WITHOUT ROWID",
    "CREATE TABLE total (reason INTEGER PRIMARY KEY, letters INTEGER NOT NULL)",
    # what can be listed, shown and replayed, in two rings: named letters tell their sample, the others do not
    "CREATE TABLE letter (id INTEGER PRIMARY KEY AUTOINCREMENT, identity BLOB NOT NULL UNIQUE, named INTEGER NOT NULL,"
    " agent TEXT, outbox TEXT, seq INTEGER, clock TEXT, reason TEXT NOT NULL, detail TEXT NOT NULL,"
    " topic TEXT NOT NULL, payload BLOB NOT NULL, size INTEGER NOT NULL, digest TEXT, cost INTEGER NOT NULL,"
    " received INTEGER NOT NULL, times INTEGER NOT NULL DEFAULT 1, replaying INTEGER NOT NULL DEFAULT 0)",
    "CREATE INDEX letter_ring ON letter (named, id)",
    "CREATE TABLE ring (named INTEGER PRIMARY KEY, kept INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " dropped INTEGER NOT NULL)",
    "INSERT INTO ring VALUES (0, 0, 0, 0), (1, 0, 0, 0)",
)

_OF_FORMAT_1: Final = (
    "INSERT INTO source (agent, outbox) SELECT DISTINCT coalesce(agent, '-'),"
    " CASE WHEN seq IS NULL THEN '' ELSE coalesce(outbox, '') END FROM letters",
    "INSERT INTO reason (name) SELECT DISTINCT reason FROM letters",
    "CREATE TEMP VIEW old AS SELECT letters.*, source.id AS source, reason.id AS cause FROM letters"
    " JOIN reason ON reason.name = letters.reason JOIN source ON source.agent = coalesce(letters.agent, '-')"
    " AND source.outbox = CASE WHEN letters.seq IS NULL THEN '' ELSE coalesce(letters.outbox, '') END",
    "INSERT INTO sample SELECT source, seq, cause FROM old WHERE seq IS NOT NULL",
    "INSERT INTO tally SELECT source, cause, count(*) FROM old GROUP BY source, cause",
    "INSERT INTO total SELECT cause, count(*) FROM old GROUP BY cause",
    "INSERT INTO letter SELECT id, CASE WHEN seq IS NULL THEN brief(identity) ELSE place(source, seq) END,"
    " seq IS NOT NULL, agent, outbox, seq, NULL, reason,"
    " substr(detail, 1, 500), substr(topic, 1, 500), payload, length(payload), NULL,"
    " length(payload) + 200, received, times, 0 FROM old",
    "UPDATE ring SET kept = (SELECT count(*) FROM letter WHERE letter.named = ring.named),"
    " bytes = (SELECT coalesce(sum(cost), 0) FROM letter WHERE letter.named = ring.named)",
    "DROP VIEW old",
    "DROP TABLE letters",
)


def prepare(db: sqlite3.Connection) -> None:
    """Make the tables, or bring those of an older file up to date; one process at a time, all or nothing.

    Raises sqlite3.Error, and ValueError for a file of a newer program.
    """
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA journal_size_limit=16777216")
    db.execute("PRAGMA cache_size=-2048")  # KiB: letters lie on the disk; identities come in order, or are few
    db.create_function("brief", 1, brief, deterministic=True)
    db.create_function("place", 2, place, deterministic=True)
    db.execute("BEGIN IMMEDIATE")
    try:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > FORMAT:
            raise ValueError(f"it has format {version}, this program knows {FORMAT}; use the newer program")
        if version < FORMAT:
            old = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'letters'").fetchone()
            for statement in (*_SCHEMA, *(_OF_FORMAT_1 if old else ())):
                db.execute(statement)
            db.execute("INSERT INTO file VALUES (1, ?)", (secrets.token_hex(4),))
            db.execute(f"PRAGMA user_version = {FORMAT}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def place(source: int, seq: int) -> bytes:
    """The identity of a letter that tells its sample: in order, so that a flood of them touches few pages."""
    return struct.pack(">IQ", source, seq)


def brief(identity: str) -> bytes:
    """That of any other: 16 bytes."""
    return hashlib.sha256(identity.encode("utf-8", "replace")).digest()[:16]
