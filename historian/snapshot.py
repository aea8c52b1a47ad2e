"""Copies of SQLite files that other processes go on using: the backup of the embedded store of *points*.

Beside registers -> samples -> messages -> points -> facts -> KPIs -> panels. While a folder is copied its writers wait
(and raise Backpressure, as they do for any lock), so the copy is one moment of all its files, as after a power cut.
"""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from historian.embedded import CATALOG
from historian.historian import Historian
from historian.point import Query
from historian.schema import Measurement
from historian.sqlite_files import SqliteFiles
from shopfloor.errors import ServiceUnavailable

_PATIENCE_S: Final = 60.0


def copy_folder(source: Path, target: Path) -> list[Path]:
    """Copy every database of a folder as of one moment, and check each copy; returns the copies.

    Raises ServiceUnavailable when there is nothing, when the target holds something, or when a copy is damaged;
    Backpressure while somebody holds a file.
    """
    if not (source / f"{CATALOG}.db").is_file():
        raise ServiceUnavailable(f"{source} holds no embedded store")
    if target.is_dir() and any(target.iterdir()):
        raise ServiceUnavailable(f"{target} is not empty: what is there is not overwritten; move it away first")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    return _copied([source / f"{CATALOG}.db", *_months(source)], target)


def copy_file(source: Path, target: Path) -> Path:
    """Copy one database; raises like ``copy_folder``."""
    if target.exists():
        raise ServiceUnavailable(f"{target} is there already: it is not overwritten; move it away first")
    (copy,) = _copied([source], target.parent)
    return copy


def counts(store: Historian) -> dict[str, int]:
    """How many points of each measurement the store holds now."""
    return {str(measurement): store.count(Query(measurement)) for measurement in Measurement}


def _months(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.db") if path.stem != CATALOG)


def _copied(sources: Sequence[Path], folder: Path) -> list[Path]:
    """The catalog is locked first, so that no month is listed that is not copied."""
    files = SqliteFiles(_PATIENCE_S, {})
    with ExitStack() as held:
        held.callback(files.close)
        for source in sources:
            held.enter_context(files.transaction(source))
        return [_copy(source, folder / source.name) for source in sources]


def _copy(source: Path, target: Path) -> Path:
    """By a reader of its own: SQLite never copies through a connection that holds a file for writing."""
    target.touch(mode=0o600)
    with closing(sqlite3.connect(source)) as db, closing(sqlite3.connect(target)) as copy:
        db.backup(copy)
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise ServiceUnavailable(f"the copy {target} is damaged: {verdict}; is the disk sound?")
    with target.open("rb") as file:
        os.fsync(file.fileno())
    return target
