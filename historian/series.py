"""The dictionary of series: a small number for each measurement with its tags.

Keeps the embedded store of *points* lean (registers -> samples -> messages -> points -> facts -> KPIs -> panels).
"""

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Final

import msgspec

from historian.point import Point, Query
from historian.schema import TAG_KEYS
from shopfloor.equipment import LEVELS

TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS series ("
    "id INTEGER PRIMARY KEY, measurement TEXT NOT NULL, tags TEXT NOT NULL, UNIQUE (measurement, tags))"
)

SeriesKey = tuple[str, tuple[str, ...]]
"""Measurement and the tag values in the schema's order."""


def _values(keys: tuple[str, ...]) -> Callable[[Mapping[str, str]], tuple[str, ...]]:
    """Tag values as a tuple; an itemgetter of one key alone would give the bare text."""
    if len(keys) == 1:
        return lambda tags: (tags[keys[0]],)
    return itemgetter(*keys)


_VALUES: Final = {measurement: _values(keys) for measurement, keys in TAG_KEYS.items()}


def key_of(point: Point) -> SeriesKey:
    """The series of a point that was admitted."""
    return point.measurement, _VALUES[point.measurement](point.tags)


class SeriesBook:
    """The dictionary in memory, read on from the file. Series are only ever added, with growing numbers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._ids: dict[SeriesKey, int] = {}
        self._tags: dict[int, Mapping[str, str]] = {}
        self._members: defaultdict[tuple[str, tuple[str, ...]], list[int]] = defaultdict(list)
        """Of a measurement, and of each of its units (tag values of ``LEVELS``), the numbers."""

    def refresh(self, db: sqlite3.Connection) -> None:
        """Take in what was added since, by this or another process."""
        with self._lock:
            rows = db.execute("SELECT id, measurement, tags FROM series WHERE id > ? ORDER BY id", (self._last,))
            for number, measurement, text in rows.fetchall():
                values: list[str] = msgspec.json.decode(text)
                tags = dict(zip(TAG_KEYS[measurement], values, strict=True))
                self._tags[number] = tags
                self._ids[measurement, tuple(values)] = number
                self._members[measurement, ()].append(number)
                if unit := _unit(tags):
                    self._members[measurement, unit].append(number)
                self._last = number

    def add(self, db: sqlite3.Connection, keys: Iterable[SeriesKey]) -> None:
        """Number what is new, inside the caller's transaction; ``refresh`` after its commit makes it known."""
        rows = [(measurement, msgspec.json.encode(values).decode()) for measurement, values in keys]
        db.executemany("INSERT OR IGNORE INTO series (measurement, tags) VALUES (?, ?)", rows)

    def knows(self, key: SeriesKey) -> bool:
        """Whether the series has a number here."""
        return key in self._ids

    def number(self, key: SeriesKey) -> int:
        """The number of a known series."""
        return self._ids[key]

    def tags(self, number: int) -> Mapping[str, str]:
        """The tags of a known series."""
        return self._tags[number]

    def select(self, query: Query) -> list[int]:
        """The known series that a query is about."""
        wanted, members = query.where.items(), self._members.get((query.measurement, _unit(query.where)), ())
        return [number for number in list(members) if wanted <= self._tags[number].items()]


def _unit(tags: Mapping[str, str]) -> tuple[str, ...]:
    """A unit's tag values; empty where they do not all occur."""
    return tuple(map(tags.__getitem__, LEVELS)) if all(map(tags.__contains__, LEVELS)) else ()
