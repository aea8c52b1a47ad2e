"""The rows of one unit's samples read as columns: the way from the embedded store to the derivation of *facts*.

On registers -> samples -> messages -> points -> facts -> KPIs -> panels. SQLite joins the cells of a stretch into one
value, so that no row is an object here.
"""

from collections.abc import Iterator
from sqlite3 import Connection
from typing import Final

from historian.columnar import decode, interleaved, unpack
from historian.packing import LayoutBook
from shopfloor.columns import SampleColumns
from shopfloor.instant import HOUR, Instant

AT_ONCE: Final = 3 * HOUR
"""Samples of so long a stretch are read together: what fits a processor's cache is the quickest."""

_WHERE: Final = "FROM samples WHERE series = ? AND time >= ? AND time < ?"
_FIRST: Final = f"SELECT time {_WHERE} ORDER BY time LIMIT 1"
_LAST: Final = f"SELECT time {_WHERE} ORDER BY time DESC LIMIT 1"
_CELLS: Final = f"SELECT CAST(group_concat(fields, '') AS BLOB) {_WHERE}"
_PACKED: Final = f"{_CELLS} AND typeof(fields) = 'blob' GROUP BY substr(fields, 7, 2)"
_TEXTS: Final = f"SELECT group_concat(time), '[' || group_concat(fields) || ']' {_WHERE} AND typeof(fields) = 'text'"


def stored_columns(
    db: Connection, layouts: LayoutBook, unit: str, number: int, start: Instant, end: Instant
) -> Iterator[SampleColumns]:
    """One file's samples of the series ``number`` in [start, end), stretch by stretch in order of time."""
    if end - start > AT_ONCE:
        first = db.execute(_FIRST, (number, start, end)).fetchone()
        last = db.execute(_LAST, (number, start, end)).fetchone()
        if first is None or last is None:
            return
        start, end = first[0], last[0] + 1
    for low in range(start, end, AT_ONCE):
        stretch = number, low, min(low + AT_ONCE, end)
        (cells,) = db.execute(_CELLS, stretch).fetchone()
        if cells is not None:
            found = unpack(unit, cells, layouts)
            yield _mixed(db, layouts, unit, stretch) if found is None else found


def _mixed(db: Connection, layouts: LayoutBook, unit: str, stretch: tuple[int, Instant, Instant]) -> SampleColumns:
    """Samples that do not all have one layout: those of each together, then in order of time."""
    parts: list[SampleColumns] = []
    times, texts = db.execute(_TEXTS, stretch).fetchone()
    if times is not None:
        parts.append(decode(unit, times, texts))
    for (cells,) in db.execute(_PACKED, stretch).fetchall():
        found = unpack(unit, cells, layouts)
        if found is None:
            raise ValueError(f"samples of {unit} cannot be read: a stored sample is not what its layout says")
        parts.append(found)
    return interleaved(unit, parts)
