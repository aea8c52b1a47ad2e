"""The embedded store of *points*: SQLite files in a folder, so that the whole system runs with nothing but Python.

Between messages and KPIs on registers -> samples -> messages -> points -> facts -> KPIs -> panels. ``catalog.db`` holds
the series dictionary, the list of months and the small system measurements; one file per month (UTC) holds samples,
facts and losses. Every file is in WAL mode with ``synchronous=FULL``: one process writes while others read.
"""

import sqlite3
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from heapq import merge
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Final

import msgspec

from historian import packing, series
from historian.admission import LAST_INSTANT
from historian.columnar import joined
from historian.fact_columns import FactColumns, FactTable, StoredRows
from historian.packing import LayoutBook
from historian.point import Point, Query, WriteReport
from historian.records import unit_query
from historian.sample_rows import stored_columns
from historian.schema import Grain, Measurement, check_query
from historian.series import SeriesBook, SeriesKey
from historian.shelves import MERGED_SAMPLE, Row, Shelf, insert, sorted_out, table
from historian.sqlite_files import SqliteFiles
from shopfloor.columns import SampleColumns
from shopfloor.errors import Backpressure, ServiceUnavailable
from shopfloor.instant import Instant, to_datetime

FORMAT: Final = 4
"""Version of the files' layout."""
WITHOUT_SOME_TABLES: Final = 3
"""The version that lacks the tables of later measurements, and nothing else."""
CATALOG: Final = "catalog"
MONTHLY: Final = (
    Measurement.SAMPLES,
    Measurement.FACTS,
    Measurement.FACTS_HOUR,
    Measurement.FACTS_SHIFT,
    Measurement.LOSSES,
    Measurement.LOSSES_HOUR,
    Measurement.LOSSES_SHIFT,
)
"""What the month files hold; the catalog holds the rest."""
_SYSTEM: Final = tuple(measurement for measurement in Measurement if measurement not in MONTHLY)
_DAY: Final = 86_400_000

_MONTHS_TABLE = "CREATE TABLE IF NOT EXISTS months (name TEXT PRIMARY KEY) WITHOUT ROWID"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, float | str]).decode

_BATCH: Final = 200_000
"""Characters of facts that are decoded together."""


class EmbeddedHistorian:
    """A ``Historian`` in a folder. The first process to come makes it; a second writer waits for the first."""

    def __init__(self, directory: Path, *, busy_timeout_s: float = 10.0) -> None:
        """Open or make the folder; raises ServiceUnavailable when it cannot be used, Backpressure when not now.

        ``busy_timeout_s`` is how long a writer waits for another process before it raises Backpressure.
        """
        self._directory = directory
        self._book = SeriesBook()
        self._layouts = LayoutBook(lambda: self._files.use(self._path(CATALOG)))
        self._files = SqliteFiles(busy_timeout_s, {MERGED_SAMPLE: self._layouts.merged})
        self._months: set[str] = set()
        self._writing = threading.Lock()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._bring_up_to_date()
            self._make(CATALOG, _SYSTEM, (series.TABLE, packing.TABLE, _MONTHS_TABLE))
        except OSError as error:
            raise ServiceUnavailable(f"the historian's folder {directory} cannot be used: {error}") from error

    def write(self, points: Sequence[Point]) -> WriteReport:
        """Catalog first, then month by month; what follows a file that is locked or full is kept."""
        shelves, rejected = sorted_out(points, _file_of)
        accepted: set[int] = set()
        with self._writing:
            try:
                for shelf in self._store(shelves):
                    accepted.update(shelf.indices - shelf.taken.keys())
                    rejected.update(shelf.taken)
            except Backpressure:
                if not accepted:
                    raise
        return WriteReport(frozenset(accepted), rejected)

    def read(self, query: Query) -> list[Point]:
        scope, files = self._scope(query)
        points: list[Point] = []
        for file in files:
            left = None if query.limit is None else query.limit - len(points)
            if left == 0:
                break
            with self._files.use(self._path(file)) as db:
                points.extend(islice(_points(db, scope, self._book, self._layouts), left))
        return points

    def samples(self, enterprise: str, unit: str, start: Instant | None, end: Instant | None) -> SampleColumns:
        scope, files = self._scope(unit_query(Measurement.SAMPLES, enterprise, unit, start, end))
        parts: list[SampleColumns] = []
        for file in files:
            with self._files.use(self._path(file)) as db:
                parts.extend(stored_columns(db, self._layouts, unit, scope.series[0], scope.start, scope.end))
        return joined(unit, parts)

    def facts(self, grain: Grain, where: Mapping[str, str], start: Instant | None, end: Instant | None) -> FactColumns:
        scope, files = self._scope(Query(grain, where, start, end))
        found = FactTable()
        for file in files:
            with self._files.use(self._path(file)) as db:
                for batch in _fact_rows(db, scope):
                    found.add(batch)
        return found.columns(self._book.tags)

    def count(self, query: Query) -> int:
        scope, files = self._scope(query)
        counted = 0
        for file in files:
            with self._files.use(self._path(file)) as db:
                counted += _count(db, scope, self._book, self._layouts)
        return counted if query.limit is None else min(counted, query.limit)

    def close(self) -> None:
        self._files.close()

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.db"

    def _bring_up_to_date(self) -> None:
        """Give the months of an earlier release the tables that they lack; the catalog comes last, after a kill too."""
        with self._files.use(self._path(CATALOG)) as db:
            if _version(db) != WITHOUT_SOME_TABLES:
                return
            months = [name for (name,) in db.execute("SELECT name FROM months").fetchall()]
        for month in months:
            self._make(month, MONTHLY)

    def _make(self, name: str, measurements: Iterable[str], tables: Sequence[str] = ()) -> None:
        """Make a file that is not there yet or lacks tables, and only then wait for a writer."""
        with self._files.use(self._path(name)) as db:
            version = _version(db)
        if version == FORMAT:
            return
        if version not in (0, WITHOUT_SOME_TABLES):
            raise ServiceUnavailable(
                f"{self._path(name)} has format {version} and this release reads {FORMAT}; "
                "move the folder away and start with a new one, or use the release that wrote it"
            )
        with self._files.transaction(self._path(name)) as db:
            for statement in (*tables, *map(table, measurements)):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {FORMAT}")

    def _store(self, shelves: dict[str, Shelf]) -> Iterator[Shelf]:
        """Commit shelf by shelf, yielding each that is durable."""
        catalog = shelves.pop(CATALOG, None)
        self._catalogue(catalog, shelves)
        if catalog:
            yield catalog
        for month, shelf in sorted(shelves.items()):
            with self._files.transaction(self._path(month)) as db:
                insert(db, shelf, self._book, self._layouts)
            yield shelf

    def _catalogue(self, system: Shelf | None, shelves: dict[str, Shelf]) -> None:
        """Store system points, series and months; a month is listed once its file is ready to be read."""
        filed = [system, *shelves.values()] if system else list(shelves.values())
        unknown = {key for shelf in filed for key, _ in shelf.points if not self._book.knows(key)}
        samples = (point for shelf in filed for _, point in shelf.points if point.measurement == Measurement.SAMPLES)
        shapes = self._layouts.unknown(samples)
        new_months = shelves.keys() - self._months
        for month in new_months:
            self._make(month, MONTHLY)
        if unknown or shapes or new_months:
            self._list(unknown, shapes, new_months)
        if system:
            with self._files.transaction(self._path(CATALOG)) as db:
                insert(db, system, self._book, self._layouts)

    def _list(self, unknown: Iterable[SeriesKey], shapes: Iterable[packing.Shape], months: set[str]) -> None:
        with self._files.transaction(self._path(CATALOG)) as db:
            self._book.add(db, unknown)
            self._layouts.add(db, shapes)
            db.executemany("INSERT OR IGNORE INTO months VALUES (?)", [(month,) for month in months])
        with self._files.use(self._path(CATALOG)) as db:
            self._book.refresh(db)
            self._layouts.refresh(db)
        self._months |= months

    def _scope(self, query: Query) -> tuple["_Scope", list[str]]:
        """What to look for, and the files to look into in the order of the answer."""
        check_query(query)
        start = max(query.start or 0, 0)
        end = LAST_INSTANT + 1 if query.end is None else min(query.end, LAST_INSTANT + 1)
        with self._files.use(self._path(CATALOG)) as db:
            self._book.refresh(db)
            months = _months_between(db, start, end) if query.measurement in MONTHLY else [CATALOG]
        selected = self._book.select(query)
        scope = _Scope(query, start, end, selected)
        if start >= end or not selected:
            return scope, []
        return scope, months[::-1] if query.descending else months


def _version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version


@dataclass(frozen=True, slots=True)
class _Scope:
    """A query with its range cut to what can be stored and the numbers of its series."""

    query: Query
    start: Instant
    end: Instant
    series: Sequence[int]

    @property
    def order(self) -> str:
        return "DESC" if self.query.descending else "ASC"


def _points(db: sqlite3.Connection, scope: _Scope, book: SeriesBook, layouts: LayoutBook) -> Iterator[Point]:
    """The points of one file that are in scope, in order."""
    measurement, wanted = scope.query.measurement, scope.query.fields
    read = layouts.fields if measurement == Measurement.SAMPLES else _decode
    with closing(_rows(db, scope)) as rows:
        for number, time, cell in rows:
            fields = read(cell)
            if wanted is not None:
                fields = {name: fields[name] for name in wanted if name in fields}
            if fields:
                yield Point(measurement, book.tags(number), time, fields)


def _rows(db: sqlite3.Connection, scope: _Scope) -> Generator[Row]:
    """The rows in scope by time. A limited query stops early in each series, any other one is sorted by the store."""
    head = f'SELECT series, time, fields FROM "{scope.query.measurement}" WHERE'  # noqa: S608 - a name of the schema
    if len(scope.series) == 1 or scope.query.limit is not None:
        each = f"{head} series = ? AND time >= ? AND time < ? ORDER BY time {scope.order}"
        cursors = [db.execute(each, (number, scope.start, scope.end)) for number in scope.series]
        yield from merge(*cursors, key=itemgetter(1), reverse=scope.query.descending)
    else:
        together = f"{head} {_SELECTED} AND time >= ? AND time < ? ORDER BY time {scope.order}, series {scope.order}"
        yield from db.execute(together, (_numbers(scope.series), scope.start, scope.end))


_SELECTED = "series IN (SELECT value FROM json_each(?))"


def _numbers(series: Sequence[int]) -> str:
    return msgspec.json.encode(series).decode()


def _count(db: sqlite3.Connection, scope: _Scope, book: SeriesBook, layouts: LayoutBook) -> int:
    if scope.query.fields is not None:
        return sum(1 for _ in _points(db, scope, book, layouts))
    sql = f'SELECT count(*) FROM "{scope.query.measurement}" WHERE {_SELECTED} AND time >= ? AND time < ?'  # noqa: S608
    counted: int = db.execute(sql, (_numbers(scope.series), scope.start, scope.end)).fetchone()[0]
    return counted


def _fact_rows(db: sqlite3.Connection, scope: _Scope) -> Iterator[list[StoredRows]]:
    """One file's rows in scope, those of a series together, in batches that fit a processor's cache."""
    sql = (
        f'SELECT series, group_concat(time), group_concat(fields) FROM "{scope.query.measurement}" '  # noqa: S608
        f"WHERE {_SELECTED} AND time >= ? AND time < ? GROUP BY series"
    )
    batch: list[StoredRows] = []
    size = 0
    with closing(db.execute(sql, (_numbers(scope.series), scope.start, scope.end))) as rows:
        for row in rows:
            batch.append(row)
            size += len(row[2])
            if size > _BATCH:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _months_between(db: sqlite3.Connection, start: Instant, end: Instant) -> list[str]:
    names = (month_of(start), month_of(max(start, end - 1)))
    rows = db.execute("SELECT name FROM months WHERE name BETWEEN ? AND ? ORDER BY name", names)
    return [name for (name,) in rows.fetchall()]


def _file_of(point: Point) -> str:
    return month_of(point.time) if point.measurement in MONTHLY else CATALOG


def month_of(instant: Instant) -> str:
    """The UTC month that holds an instant, e.g. ``2026-01``: the name of its file."""
    return _month_of_day(instant // _DAY)


@lru_cache(maxsize=4_096)
def _month_of_day(day: int) -> str:
    return to_datetime(day * _DAY).strftime("%Y-%m")
