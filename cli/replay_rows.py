"""History's rows before *samples*: a CSV is read once, judged line by line, and sorted on disk into whole samples.

``time,work_unit,tag,value``, in any order, with duplicates: the last row of one unit, time and tag stands. Memory is
bounded whatever the file's length; SQLite's temporary file holds what has been read.
"""

import csv
import hashlib
import math
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, Final

from messaging.payload import MAX_INSTANT, MAX_INTEGER, MAX_TEXT
from shopfloor.errors import ShopfloorError
from shopfloor.instant import BadInstant, Instant, format_instant, parse_instant
from shopfloor.plant import Plant
from shopfloor.quality import Quality, Reason, Status
from shopfloor.sample import Sample, Value
from shopfloor.tag import CANONICAL, NAME, TagKind

HEADER: Final = ("time", "work_unit", "tag", "value")
SHOWN_FAULTS: Final = 10
COMMIT_ROWS: Final = 20_000
CACHE_KB: Final = 64 * 1024
EMPTY: Final = Status(Quality.BAD, Reason.NOT_AVAILABLE)
"""What a row without a value says: the source had none."""
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)

_Cell = tuple[int, Instant, int, Value | None]
"""Unit's number, source time, tag's number, value."""


class WrongHeader(ShopfloorError):
    """The file does not begin with the four columns."""


class _Refused(Exception):
    """Why a row is not one, and what to do."""


@dataclass(slots=True)
class RowReport:
    """What became of the file's rows."""

    rows: int = 0
    """Data rows that were read."""
    rejected: int = 0
    first_faults: list[str] = field(default_factory=list)
    """The first SHOWN_FAULTS of the rejected ones, with their lines."""
    outbox: str = ""
    """Identity of the file's content: the same file again is the same outbox."""

    def refuse(self, line: int, fault: str) -> None:
        """Count one, and keep the words of the first."""
        self.rejected += 1
        if len(self.first_faults) < SHOWN_FAULTS:
            self.first_faults.append(f"line {line}: {fault}")


class RowSpool:
    """The rows of one file as whole samples, in order of unit and time."""

    def __init__(self, plant: Plant, now: Instant) -> None:
        """Rows from after ``now`` are refused."""
        self._units = {path: number for number, path in enumerate(plant.units)}
        self._names = list(plant.units)
        self._now = now
        self._tags: dict[str, int] = {}
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(
            "CREATE TABLE cell (unit INTEGER, time INTEGER, tag INTEGER, value, PRIMARY KEY (unit, time, tag))"
            " WITHOUT ROWID"
        )

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    def read(self, path: Path, progress: Callable[[int], None] = lambda rows: None) -> RowReport:
        """Take in a file; ``progress`` is told of the rows so far. Raises WrongHeader, or OSError for the file."""
        digest = hashlib.sha256()
        report = RowReport()
        with path.open("rb") as file:
            table = csv.reader(_lines(file, digest.update))
            order = _columns(path, next(table, None))
            pending: list[_Cell] = []
            for line, row in _rows(table, report):
                try:
                    pending.append(self._cell(row, order))
                except (_Refused, BadInstant) as fault:
                    report.refuse(line, str(fault))
                if len(pending) >= COMMIT_ROWS:
                    self._keep(pending)
                    progress(report.rows)
            self._keep(pending)
        report.outbox = f"replay-{digest.hexdigest()[:16]}"
        return report

    def count(self) -> int:
        """Whole samples."""
        number: int = self._db.execute("SELECT count(*) FROM (SELECT DISTINCT unit, time FROM cell)").fetchone()[0]
        return number

    def cells(self) -> int:
        """Rows that stand: those that a later one replaced are gone."""
        number: int = self._db.execute("SELECT count(*) FROM cell").fetchone()[0]
        return number

    def spans(self) -> Mapping[str, tuple[Instant, Instant, int]]:
        """Unit -> first and last source time, and how many samples."""
        found = self._db.execute("SELECT unit, min(time), max(time), count(DISTINCT time) FROM cell GROUP BY unit")
        return {self._names[unit]: (first, last, count) for unit, first, last, count in found.fetchall()}

    def tags(self) -> Mapping[str, frozenset[str]]:
        """Unit -> the tags that its rows name."""
        names = {number: tag for tag, number in self._tags.items()}
        found: dict[str, set[str]] = {}
        for unit, tag in self._db.execute("SELECT DISTINCT unit, tag FROM cell").fetchall():
            found.setdefault(self._names[unit], set()).add(names[tag])
        return {unit: frozenset(tags) for unit, tags in found.items()}

    def samples(self) -> Iterator[Sample]:
        """Every sample once, in order of unit and source time."""
        names = {number: tag for tag, number in self._tags.items()}
        cells = self._db.execute("SELECT unit, time, tag, value FROM cell ORDER BY unit, time, tag")
        for (unit, time), group in groupby(cells, key=itemgetter(0, 1)):
            said = [(names[tag], value) for _, _, tag, value in group]
            values = {tag: value for tag, value in said if value is not None}
            status = {tag: EMPTY for tag, value in said if value is None}
            yield Sample(unit=self._names[unit], time=time, values=values, status=status)

    def _keep(self, cells: list[_Cell]) -> None:
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR REPLACE INTO cell VALUES (?, ?, ?, ?)", cells)
        self._db.execute("COMMIT")
        cells.clear()

    def _cell(self, row: list[str], order: tuple[int, ...]) -> _Cell:
        if len(row) != len(HEADER):
            raise _Refused(f"{len(row)} columns instead of {len(HEADER)}: {','.join(HEADER)}")
        when, unit, tag, value = (row[column].strip() for column in order)
        return self._unit(unit), self._time(when), self._tag(tag), _value(tag, value)

    def _unit(self, text: str) -> int:
        number = self._units.get(text.strip("/"))
        if number is None:
            raise _Refused(f"{text!r} is not a work unit of the plant; {_nearest(text, self._names)}")
        return number

    def _time(self, text: str) -> Instant:
        time = _instant(text)
        if not 0 < time <= MAX_INSTANT:
            raise _Refused(f"{text!r} lies outside 1970 to 2100; correct the source's clock")
        if time > self._now:
            raise _Refused(f"{text!r} lies in the future (it is {format_instant(self._now)}); correct the time")
        return time

    def _tag(self, name: str) -> int:
        number = self._tags.get(name)
        if number is None:
            if name not in CANONICAL and not (name.startswith("x_") and NAME.fullmatch(name)):
                raise _Refused(f"{name!r} is not a tag; {_nearest(name, list(CANONICAL))}, or begin it with x_")
            number = self._tags[name] = len(self._tags)
        return number


def _lines(file: BinaryIO, note: Callable[[bytes], None]) -> Iterator[str]:
    """The file as text; what is not UTF-8 becomes a mark that fits no unit, tag or number."""
    for number, line in enumerate(file):
        note(line)
        text = line.decode("utf-8", "replace")
        yield text if number else text.removeprefix("\ufeff")


def _columns(path: Path, header: list[str] | None) -> tuple[int, ...]:
    """Where the four columns stand."""
    names = [name.strip().lower() for name in header or ()]
    if sorted(names) != sorted(HEADER):
        found = ",".join(header)[:80] if header else "nothing"
        raise WrongHeader(f"{path}: line 1: the header must be {','.join(HEADER)}; found {found}")
    return tuple(names.index(name) for name in HEADER)


def _rows(table: Any, report: RowReport) -> Iterator[tuple[int, list[str]]]:
    """Rows of a ``csv.reader`` with the line on which each ends; empty lines are passed over."""
    while True:
        try:
            row = next(table, None)
        except csv.Error as fault:
            report.rows += 1
            report.refuse(table.line_num, f"cannot be read as CSV ({fault}); check its quotes")
            continue
        if row is None:
            return
        if row:
            report.rows += 1
            yield table.line_num, row


@lru_cache(maxsize=1_024)
def _instant(text: str) -> Instant:
    return parse_instant(text)


def _value(tag: str, text: str) -> Value | None:
    if not text:
        return None
    if tag.endswith("_text"):
        if len(text) > MAX_TEXT:
            raise _Refused(f"{tag} has {len(text)} characters; at most {MAX_TEXT}")
        return text
    if not _NUMBER.fullmatch(text):
        raise _Refused(f"{tag} is {text[:40]!r}, not a number; leave the value empty where the source had none")
    number = float(text)
    value = int(text) if text.lstrip("+-").isdigit() and abs(number) <= MAX_INTEGER else number
    if not math.isfinite(number) or (isinstance(value, float) and text.lstrip("+-").isdigit()):
        raise _Refused(f"{tag} is {text[:40]}, beyond what can be stored exactly (2^53)")
    if value != int(value) and CANONICAL.get(tag, (None,))[0] is TagKind.STATE:
        raise _Refused(f"{tag} is {text[:40]}; a code is a whole number")
    return value


def _nearest(text: str, known: list[str]) -> str:
    close = get_close_matches(text.strip("/").lower(), known, n=1, cutoff=0.4)
    return f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known[:3])}{', ...' if known[3:] else ''}"
