"""Samples at rest as numbers side by side, so that a day of *points* becomes columns without an object per value.

Beside registers -> samples -> messages -> points -> facts -> KPIs -> panels. A packed sample is a head of eight bytes
(source time in the low 48 bits, the number of its layout above) and its numbers as doubles, all little-endian. The
layout, in the catalog, says which fields they are and which status text goes with them.
"""

import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Final

import msgspec

from historian.point import Point
from historian.schema import STATUS, is_text
from shopfloor.instant import Instant

TABLE: Final = "CREATE TABLE IF NOT EXISTS layouts (id INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE)"

TIME_BITS: Final = 48
MOST_LAYOUTS: Final = 0x1FFF
"""The last byte of a head then lies below 0x20: no text of JSON has such a byte, so no text passes for a head."""

Shape = tuple[tuple[str, ...], str | None]
"""The fields of a sample in their order, and its status text."""

_encode = msgspec.json.Encoder().encode
_fields = msgspec.json.Decoder(dict[str, float | str]).decode
_shape = msgspec.json.Decoder(tuple[tuple[str, ...], str | None]).decode


@dataclass(frozen=True, slots=True)
class Layout:
    """What a packed sample holds."""

    numbers: tuple[str, ...]
    """The fields of its doubles, in their order."""
    status: str | None
    head: int
    form: struct.Struct

    def pack(self, time: Instant, fields: Mapping[str, float | str]) -> bytes:
        """The cell of a sample of this layout."""
        if self.status is None:
            return self.form.pack(self.head | time, *fields.values())
        return self.form.pack(self.head | time, *(value for name, value in fields.items() if name != STATUS))

    def fields(self, cell: bytes) -> dict[str, float | str]:
        """The fields of a packed sample."""
        _, *values = self.form.unpack(cell)
        found: dict[str, float | str] = dict(zip(self.numbers, values, strict=True))
        if self.status is not None:
            found[STATUS] = self.status
        return found


class LayoutBook:
    """The dictionary of layouts in memory, read on from the catalog. Layouts are only ever added."""

    def __init__(self, catalog: Callable[[], AbstractContextManager[Connection]]) -> None:
        """``catalog`` opens the file to look a number up that another process has added."""
        self._catalog = catalog
        self._lock = threading.Lock()
        self._last = 0
        self._numbers: dict[Shape, Layout] = {}
        self._layouts: dict[int, Layout] = {}

    def refresh(self, db: Connection) -> None:
        """Take in what was added since, by this or another process."""
        with self._lock:
            rows = db.execute("SELECT id, names FROM layouts WHERE id > ? ORDER BY id", (self._last,))
            for number, text in rows.fetchall():
                names, status = _shape(text)
                numbers = tuple(name for name in names if name != STATUS)
                form = struct.Struct(f"<q{len(numbers)}d")
                layout = Layout(numbers, status, number << TIME_BITS, form)
                self._layouts[number] = self._numbers[names, status] = layout
                self._last = number

    def unknown(self, points: Iterable[Point]) -> set[Shape]:
        """The shapes of samples that could be packed and have no layout yet."""
        shapes = {_shape_of(point.fields) for point in points} - self._numbers.keys()
        return {shape for shape in shapes if _packable(shape)} if self._last < MOST_LAYOUTS else set()

    def add(self, db: Connection, shapes: Iterable[Shape]) -> None:
        """Number what is new, inside the caller's transaction; ``refresh`` after its commit makes it known."""
        rows = [(_encode(shape).decode(), MOST_LAYOUTS) for shape in shapes]
        db.executemany("INSERT OR IGNORE INTO layouts (names) SELECT ? WHERE (SELECT count(*) FROM layouts) < ?", rows)

    def layout(self, number: int) -> Layout:
        """The layout with a number that was read from a file."""
        if number not in self._layouts:
            with self._catalog() as db:
                self.refresh(db)
        return self._layouts[number]

    def cell(self, time: Instant, fields: Mapping[str, float | str]) -> bytes | str:
        """How a sample rests: packed where its layout is known, else as JSON."""
        layout = self._numbers.get(_shape_of(fields))
        return _encode(dict(fields)).decode() if layout is None else layout.pack(time, fields)

    def fields(self, cell: bytes | str) -> dict[str, float | str]:
        """The fields of a sample at rest."""
        return _fields(cell) if isinstance(cell, str) else self.layout(number_in(cell)).fields(cell)

    def merged(self, time: Instant, held: bytes | str, later: bytes | str) -> bytes | str:
        """Two samples of one identity as one; for a field that both have, the later wins."""
        return self.cell(time, {**self.fields(held), **self.fields(later)})


def number_in(cell: bytes) -> int:
    """The number of the layout of a packed sample, or of the first of many; beyond ``MOST_LAYOUTS`` for a text."""
    return int.from_bytes(cell[6:8], "little")


def _shape_of(fields: Mapping[str, float | str]) -> Shape:
    return tuple(fields), fields.get(STATUS)  # type: ignore[return-value]  # a status is text


def _packable(shape: Shape) -> bool:
    return not any(is_text(name) for name in shape[0] if name != STATUS)
