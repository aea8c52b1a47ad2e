"""The embedded store of *points*: SQLite files in a folder, so that the whole system runs with nothing but Python.

Between messages and KPIs on registers -> samples -> messages -> points -> facts -> KPIs -> panels. ``catalog.db`` holds
the series dictionary, the list of months and the small system measurements; one file per month (UTC) holds samples,
facts and losses. Every file is in WAL mode with ``synchronous=FULL``: one process writes while others read.
"""

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from heapq import merge
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Final

import msgspec

from historian import series
from historian.admission import LAST_INSTANT, fault
from historian.columnar import decode, joined
from historian.point import Point, Query, WriteReport
from historian.records import unit_query
from historian.schema import IDENTITY, OWNED, Measurement, check_query
from historian.series import SeriesBook, SeriesKey, key_of
from historian.sqlite_files import SqliteFiles
from shopfloor.columns import SampleColumns
from shopfloor.errors import Backpressure, ServiceUnavailable
from shopfloor.instant import Instant, to_datetime

FORMAT: Final = 2
"""Version of the files' layout."""
CATALOG: Final = "catalog"
MONTHLY: Final = (
    Measurement.SAMPLES,
    Measurement.FACTS,
    Measurement.FACTS_HOUR,
    Measurement.FACTS_SHIFT,
    Measurement.LOSSES,
)
"""What the month files hold; the catalog holds the rest."""
_SYSTEM: Final = tuple(measurement for measurement in Measurement if measurement not in MONTHLY)
_DAY: Final = 86_400_000

_MONTHS_TABLE = "CREATE TABLE IF NOT EXISTS months (name TEXT PRIMARY KEY) WITHOUT ROWID"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, float | str]).decode

_AT_ONCE: Final = _DAY // 8
"""Samples of so long a stretch are decoded together: what fits a processor's cache is the quickest."""

_Row = tuple[int, Instant, str]
"""Series number, time, fields as JSON."""


@dataclass(slots=True)
class _Shelf:
    """The points of one write that go into one file, and their indices in the call."""

    indices: list[int] = field(default_factory=list)
    points: list[tuple[SeriesKey, Point]] = field(default_factory=list)
    taken: dict[int, str] = field(default_factory=dict)
    """Indices of those that another's point stands in the way of."""


class EmbeddedHistorian:
    """A ``Historian`` in a folder. The first process to come makes it; a second writer waits for the first."""

    def __init__(self, directory: Path, *, busy_timeout_s: float = 10.0) -> None:
        """Open or make the folder; raises ServiceUnavailable when it cannot be used, Backpressure when not now.

        ``busy_timeout_s`` is how long a writer waits for another process before it raises Backpressure.
        """
        self._directory = directory
        self._files = SqliteFiles(busy_timeout_s)
        self._book = SeriesBook()
        self._months: set[str] = set()
        self._writing = threading.Lock()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._make(CATALOG, _SYSTEM, (series.TABLE, _MONTHS_TABLE))
        except OSError as error:
            raise ServiceUnavailable(f"the historian's folder {directory} cannot be used: {error}") from error

    def write(self, points: Sequence[Point]) -> WriteReport:
        """Catalog first, then month by month; what follows a file that is locked or full is kept."""
        shelves, rejected = _sorted_out(points)
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
                points.extend(islice(_points(db, scope, self._book), left))
        return points

    def samples(self, enterprise: str, unit: str, start: Instant | None, end: Instant | None) -> SampleColumns:
        scope, files = self._scope(unit_query(Measurement.SAMPLES, enterprise, unit, start, end))
        parts: list[SampleColumns] = []
        for file in files:
            with self._files.use(self._path(file)) as db:
                parts.extend(_columns(db, scope, unit))
        return joined(unit, parts)

    def count(self, query: Query) -> int:
        scope, files = self._scope(query)
        counted = 0
        for file in files:
            with self._files.use(self._path(file)) as db:
                counted += _count(db, scope, self._book)
        return counted if query.limit is None else min(counted, query.limit)

    def close(self) -> None:
        self._files.close()

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.db"

    def _make(self, name: str, measurements: Iterable[str], tables: Sequence[str] = ()) -> None:
        """Make a file that is not there yet, and only then wait for a writer."""
        with self._files.use(self._path(name)) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == FORMAT:
            return
        if version:
            raise ServiceUnavailable(
                f"{self._path(name)} has format {version} and this release reads {FORMAT}; "
                "move the folder away and start with a new one, or use the release that wrote it"
            )
        with self._files.transaction(self._path(name)) as db:
            for statement in (*tables, *map(_table, measurements)):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {FORMAT}")

    def _store(self, shelves: dict[str, _Shelf]) -> Iterator[_Shelf]:
        """Commit shelf by shelf, yielding each that is durable."""
        catalog = shelves.pop(CATALOG, None)
        self._catalogue(catalog, shelves)
        if catalog:
            yield catalog
        for month, shelf in sorted(shelves.items()):
            with self._files.transaction(self._path(month)) as db:
                _insert(db, shelf, self._book)
            yield shelf

    def _catalogue(self, system: _Shelf | None, shelves: dict[str, _Shelf]) -> None:
        """Store system points, series and months; a month is listed once its file is ready to be read."""
        filed = [system, *shelves.values()] if system else list(shelves.values())
        unknown = {key for shelf in filed for key, _ in shelf.points if not self._book.knows(key)}
        new_months = shelves.keys() - self._months
        for month in new_months:
            self._make(month, MONTHLY)
        if unknown or new_months:
            self._list(unknown, new_months)
        if system:
            with self._files.transaction(self._path(CATALOG)) as db:
                _insert(db, system, self._book)

    def _list(self, unknown: Iterable[SeriesKey], months: set[str]) -> None:
        with self._files.transaction(self._path(CATALOG)) as db:
            self._book.add(db, unknown)
            db.executemany("INSERT OR IGNORE INTO months VALUES (?)", [(month,) for month in months])
        with self._files.use(self._path(CATALOG)) as db:
            self._book.refresh(db)
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


def _points(db: sqlite3.Connection, scope: _Scope, book: SeriesBook) -> Iterator[Point]:
    """The points of one file that are in scope, in order."""
    measurement, wanted = scope.query.measurement, scope.query.fields
    with closing(_rows(db, scope)) as rows:
        for number, time, text in rows:
            fields = _decode(text)
            if wanted is not None:
                fields = {name: fields[name] for name in wanted if name in fields}
            if fields:
                yield Point(measurement, book.tags(number), time, fields)


def _rows(db: sqlite3.Connection, scope: _Scope) -> Generator[_Row]:
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


def _count(db: sqlite3.Connection, scope: _Scope, book: SeriesBook) -> int:
    if scope.query.fields is not None:
        return sum(1 for _ in _points(db, scope, book))
    sql = f'SELECT count(*) FROM "{scope.query.measurement}" WHERE {_SELECTED} AND time >= ? AND time < ?'  # noqa: S608
    counted: int = db.execute(sql, (_numbers(scope.series), scope.start, scope.end)).fetchone()[0]
    return counted


def _columns(db: sqlite3.Connection, scope: _Scope, unit: str) -> Iterator[SampleColumns]:
    """One file's samples of one series, stretch by stretch, so that no text grows with the length of the query."""
    (number,) = scope.series
    inside = "FROM samples WHERE series = ? AND time >= ? AND time < ?"
    first = db.execute(f"SELECT time {inside} ORDER BY time LIMIT 1", (number, scope.start, scope.end)).fetchone()
    last = db.execute(f"SELECT time {inside} ORDER BY time DESC LIMIT 1", (number, scope.start, scope.end)).fetchone()
    if first is None or last is None:
        return
    for low in range(first[0], last[0] + 1, _AT_ONCE):
        high = min(low + _AT_ONCE, last[0] + 1)
        sql = f"SELECT group_concat(time), '[' || group_concat(fields) || ']' {inside}"
        times, rows = db.execute(sql, (number, low, high)).fetchone()
        if times is not None:
            yield decode(unit, times, rows)


def _months_between(db: sqlite3.Connection, start: Instant, end: Instant) -> list[str]:
    names = (month_of(start), month_of(max(start, end - 1)))
    rows = db.execute("SELECT name FROM months WHERE name BETWEEN ? AND ? ORDER BY name", names)
    return [name for (name,) in rows.fetchall()]


def _sorted_out(points: Sequence[Point]) -> tuple[dict[str, _Shelf], dict[int, str]]:
    """Points by the file they go into, and the reasons of those that go nowhere."""
    shelves: dict[str, _Shelf] = defaultdict(_Shelf)
    rejected: dict[int, str] = {}
    for index, point in enumerate(points):
        if reason := fault(point):
            rejected[index] = reason
            continue
        shelf = shelves[month_of(point.time) if point.measurement in MONTHLY else CATALOG]
        shelf.indices.append(index)
        shelf.points.append((key_of(point), point))
    return shelves, rejected


def _insert(db: sqlite3.Connection, shelf: _Shelf, book: SeriesBook) -> None:
    tables: defaultdict[str, list[_Row]] = defaultdict(list)
    owners: dict[tuple[str, int, Instant], str] = {}
    for index, (key, point) in zip(shelf.indices, shelf.points, strict=True):
        number = book.number(key)
        if point.measurement in OWNED and (owner := point.fields.get(IDENTITY)) is not None:
            place = (point.measurement, number, point.time)
            held = owners.get(place) or _owner(db, *place)
            if held and held != owner:
                shelf.taken[index] = f"its place is taken by {held}"
                continue
            owners[place] = str(owner)
        tables[point.measurement].append((number, point.time, _encode(dict(point.fields)).decode()))
    for measurement, rows in tables.items():
        db.executemany(_upsert(measurement), rows)


def _owner(db: sqlite3.Connection, measurement: str, number: int, time: Instant) -> str | None:
    sql = f'SELECT fields FROM "{measurement}" WHERE series = ? AND time = ?'  # noqa: S608
    row = db.execute(sql, (number, time)).fetchone()
    return str(_decode(row[0]).get(IDENTITY, "")) if row else None


def _table(measurement: str) -> str:
    """Clustered by series: a unit's history is read without that of the others."""
    return (
        f'CREATE TABLE IF NOT EXISTS "{measurement}" ('
        "series INTEGER, time INTEGER, fields TEXT NOT NULL, PRIMARY KEY (series, time)) WITHOUT ROWID"
    )


@lru_cache(maxsize=64)
def _upsert(measurement: str) -> str:
    """Insert, or merge the fields into those that are there; an equal point is not written again."""
    return (
        f'INSERT INTO "{measurement}" VALUES (?, ?, ?) ON CONFLICT (series, time) DO UPDATE '  # noqa: S608
        "SET fields = json_patch(fields, excluded.fields) WHERE fields <> excluded.fields"
    )


def month_of(instant: Instant) -> str:
    """The UTC month that holds an instant, e.g. ``2026-01``: the name of its file."""
    return _month_of_day(instant // _DAY)


@lru_cache(maxsize=4_096)
def _month_of_day(day: int) -> str:
    return to_datetime(day * _DAY).strftime("%Y-%m")
