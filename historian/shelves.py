"""The embedded store's way in: *points* sorted by the file they go into, and written as rows.

Beside registers -> samples -> messages -> points -> facts -> KPIs -> panels.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from sqlite3 import Connection
from typing import Final

import msgspec

from historian.admission import fault, fields_fault
from historian.packing import LayoutBook
from historian.point import Point
from historian.schema import IDENTITY, OWNED, Measurement
from historian.series import SeriesBook, SeriesKey, key_of
from shopfloor.instant import Instant

MERGED_SAMPLE: Final = "merged_sample"
"""The SQL function (time, held cell, later cell) -> cell; ``LayoutBook.merged``."""

Row = tuple[int, Instant, str | bytes]
"""Series number, time, fields: as JSON, a sample also packed."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, float | str]).decode


@dataclass(slots=True)
class Shelf:
    """The points of one write that go into one file, and their indices in the call."""

    indices: list[int] = field(default_factory=list)
    points: list[tuple[SeriesKey, Point]] = field(default_factory=list)
    taken: dict[int, str] = field(default_factory=dict)
    """Indices of those that another's point stands in the way of."""


def sorted_out(points: Sequence[Point], file_of: Callable[[Point], str]) -> tuple[dict[str, Shelf], dict[int, str]]:
    """Points by the file they go into, and the reasons of those that go nowhere."""
    shelves: dict[str, Shelf] = defaultdict(Shelf)
    rejected: dict[int, str] = {}
    sound: dict[tuple[str, int], SeriesKey] = {}
    for index, point in enumerate(points):
        place = point.measurement, id(point.tags)  # many points share one mapping, which lives as long as they do
        key = sound.get(place)
        if reason := fault(point) if key is None else fields_fault(point):
            rejected[index] = reason
            continue
        if key is None:
            key = sound[place] = key_of(point)
        shelf = shelves[file_of(point)]
        shelf.indices.append(index)
        shelf.points.append((key, point))
    return shelves, rejected


def insert(db: Connection, shelf: Shelf, book: SeriesBook, layouts: LayoutBook) -> None:
    """Write a shelf inside the caller's transaction; its series and layouts are known."""
    tables: defaultdict[str, list[Row]] = defaultdict(list)
    owners: dict[tuple[str, int, Instant], str] = {}
    for index, (key, point) in zip(shelf.indices, shelf.points, strict=True):
        number = book.number(key)
        measurement, time, fields = point.measurement, point.time, point.fields
        if measurement in OWNED and (owner := fields.get(IDENTITY)) is not None:
            place = (measurement, number, time)
            held = owners.get(place) or _owner(db, *place)
            if held and held != owner:
                shelf.taken[index] = f"its place is taken by {held}"
                continue
            owners[place] = str(owner)
        if measurement == Measurement.SAMPLES:
            tables[measurement].append((number, time, layouts.cell(time, fields)))
        else:
            plain = fields if type(fields) is dict else dict(fields)
            tables[measurement].append((number, time, _encode(plain).decode()))
    for measurement, rows in tables.items():
        db.executemany(_upsert(measurement), rows)


def _owner(db: Connection, measurement: str, number: int, time: Instant) -> str | None:
    sql = f'SELECT fields FROM "{measurement}" WHERE series = ? AND time = ?'  # noqa: S608
    row = db.execute(sql, (number, time)).fetchone()
    return str(_decode(row[0]).get(IDENTITY, "")) if row else None


def table(measurement: str) -> str:
    """Clustered by series: a unit's history is read without that of the others."""
    return (
        f'CREATE TABLE IF NOT EXISTS "{measurement}" ('
        "series INTEGER, time INTEGER, fields TEXT NOT NULL, PRIMARY KEY (series, time)) WITHOUT ROWID"
    )


@lru_cache(maxsize=64)
def _upsert(measurement: str) -> str:
    """Insert, or merge the fields into those that are there; an equal point is not written again."""
    merge = (
        f"{MERGED_SAMPLE}(time, fields, excluded.fields)"
        if measurement == Measurement.SAMPLES
        else "json_patch(fields, excluded.fields)"
    )
    return (
        f'INSERT INTO "{measurement}" VALUES (?, ?, ?) ON CONFLICT (series, time) DO UPDATE '  # noqa: S608
        f"SET fields = {merge} WHERE fields <> excluded.fields"
    )
