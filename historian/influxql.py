"""Queries for *points* as InfluxQL, and its answers as points and columns. Pure.

Between the store and its readers on registers -> samples -> messages -> points -> facts -> KPIs -> panels. Whatever
comes from outside is quoted here, and what no point can have is never asked for.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any, Final

import msgspec
import numpy as np

from historian.admission import LAST_INSTANT, tag_fault
from historian.fact_columns import FactColumns, FactSeries, series_of
from historian.influx_names import LAST_NS, MARKER, NS
from historian.ownership import Place
from historian.point import Point, Query
from historian.schema import IDENTITY, OWNED, TAG_KEYS, is_text, knows_field
from shopfloor.columns import Times, Values
from shopfloor.instant import Instant

_IDENTIFIER = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_LITERAL = str.maketrans({"\\": r"\\", "'": r"\'", "\n": r"\n"})
_NAN: Final = float("nan")


def identifier(name: str) -> str:
    """A quoted name."""
    return f'"{name.translate(_IDENTIFIER)}"'


def literal(text: str) -> str:
    """A quoted text."""
    return f"'{text.translate(_LITERAL)}'"


# ------------------------------------------------------------ questions


def asked_fields(query: Query) -> tuple[str, ...] | None:
    """The fields to ask for, None for all; those that no point of the measurement can have are left out."""
    if query.fields is None:
        return None
    return tuple(dict.fromkeys(name for name in query.fields if knows_field(query.measurement, name)))


def is_vain(query: Query) -> bool:
    """Whether no stored point can match, so that there is nothing to ask."""
    return (
        query.limit == 0
        or asked_fields(query) == ()
        or max(query.start or 0, 0) >= _end(query.end)
        or any(tag_fault(key, value) for key, value in query.where.items())
    )


def select_points(query: Query) -> str:
    """The points of a query that is not in vain, a series at a time; a limit is of each series."""
    names = asked_fields(query)
    columns = "*" if names is None else ", ".join(map(identifier, names))
    order = " ORDER BY time DESC" if query.descending else ""
    limit = "" if query.limit is None else f" LIMIT {query.limit:d}"
    return f"SELECT {columns} {_source(query)} GROUP BY *{order}{limit}"


def select_count(query: Query) -> str:
    """How many points there are."""
    return f"SELECT count({identifier(MARKER)}) {_source(query)}"


def select_nothing(measurement: str) -> str:
    """What any server answers at once, and with words when the database is not there."""
    return f"SELECT {identifier(MARKER)} {_source(Query(measurement, start=0, end=1))} LIMIT 1"


def select_first(query: Query) -> str:
    """The first value of every field."""
    return f"SELECT first(*) {_source(query)}"


def select_owners(place: Place) -> str:
    """The owners of the points of one place."""
    measurement, tags, time = place
    query = Query(measurement, dict(zip(TAG_KEYS[measurement], tags, strict=True)), time, time + 1)
    return f"SELECT {identifier(IDENTITY)} {_source(query)}"


def _source(query: Query) -> str:
    end = _end(query.end)
    conditions = [f"{identifier(key)} = {literal(value)}" for key, value in query.where.items()]
    conditions.append(f"time >= {max(query.start or 0, 0) * NS:d}")
    conditions.append(f"time < {end * NS:d}" if end <= LAST_INSTANT else f"time <= {LAST_NS:d}")
    return f"FROM {identifier(query.measurement)} WHERE {' AND '.join(conditions)}"


def _end(end: Instant | None) -> Instant:
    return LAST_INSTANT + 1 if end is None else min(end, LAST_INSTANT + 1)


# ------------------------------------------------------------ answers


class Series(msgspec.Struct):
    """A series of an answer, or a piece of one."""

    name: str = ""
    columns: list[str] = []
    tags: dict[str, str] = {}
    values: msgspec.Raw = msgspec.Raw(b"[]")
    """A JSON list of rows; the first cell of each is the time in ms."""
    partial: bool = False


class Result(msgspec.Struct):
    """The answer to one statement, or a piece of it."""

    statement_id: int = 0
    series: list[Series] = []
    error: str | None = None
    partial: bool = False


class Document(msgspec.Struct):
    """A JSON document of an answer, of which a long one has many."""

    results: list[Result] = []
    error: str | None = None

    @property
    def unfinished(self) -> bool:
        """Whether more must follow."""
        last = self.results[-1] if self.results else Result()
        return last.partial or bool(last.series and last.series[-1].partial)


document: Final = msgspec.json.Decoder(Document).decode


def points_of(measurement: str, found: Iterable[Series]) -> Iterator[Point]:
    """The points in an answer, series after series."""
    for series in found:
        tags = {key: series.tags.get(key, "") for key in TAG_KEYS[measurement]}
        columns = tuple(series.columns)
        known, mark = _known(measurement, columns), _mark(measurement, columns)
        for time, *cells in _rows(series):
            fields = {name: cells[at] for at, name in known if cells[at] is not None}
            if fields and (mark is None or _whole(cells[mark], len(fields))):
                yield Point(measurement, tags, time, fields)


def _mark(measurement: str, columns: tuple[str, ...]) -> int | None:
    """Which cell tells the number of fields, where one that is read half-written would do harm."""
    return columns.index(MARKER) - 1 if measurement in OWNED and MARKER in columns else None


def _whole(told: Any, fields: int) -> bool:
    """A server shows the fields of a point one by one while it is being written; what is whole has as many as told."""
    return told is not None and fields >= int(told)


def present_fields(found: Iterable[Series]) -> set[str]:
    """The fields that have a value in the answer to ``select_first``."""
    names = set()
    for series in found:
        (row,) = msgspec.json.decode(series.values)
        fields = [column.removeprefix("first_") for column in series.columns]
        names |= {name for name, cell in zip(fields[1:], row[1:], strict=True) if cell is not None}
    return names


def text_cells(series: Series, field: str) -> list[str]:
    """The texts of a field."""
    at = series.columns.index(field)
    return [row[at] for row in _rows(series) if row[at]]


def row_count(found: Iterable[Series]) -> int:
    """How many rows there are."""
    return sum(len(_raws.decode(series.values)) for series in found)


def first_number(found: Iterable[Series]) -> int:
    """The value in the first row, as ``select_count`` has one; 0 where there is none."""
    for series in found:
        for _, number, *_ in _rows(series):
            return int(number or 0)
    return 0


class Columns:
    """What the rows of some series hold, column by column. Arrays have one length."""

    def __init__(self, measurement: str, found: Iterable[Series]) -> None:
        """Columns without any value, and those that the schema does not know, are left out."""
        self.owners: list[Mapping[str, str]] = []
        """The tags of each piece."""
        self.lengths: list[int] = []
        """How many rows each piece has."""
        self._pieces: list[tuple[Times, dict[str, Values], dict[str, list[str | None]]]] = []
        for series in found:
            self._pieces.append(_columns(measurement, series))
            self.owners.append(series.tags)
            self.lengths.append(len(self._pieces[-1][0]))

    @property
    def times(self) -> Times:
        """Of each row its time, in ms."""
        return np.concatenate([np.zeros(0, np.int64), *(times for times, _, _ in self._pieces)])

    def numbers(self, absent: float = _NAN) -> dict[str, Values]:
        """Number columns; ``absent`` where a row has none."""
        names = dict.fromkeys(chain.from_iterable(numbers for _, numbers, _ in self._pieces))
        return {name: self._joined(name, absent) for name in names}

    def _joined(self, name: str, absent: float) -> Values:
        parts = [numbers.get(name) for _, numbers, _ in self._pieces]
        column = np.concatenate(
            [np.full(size, _NAN) if part is None else part for size, part in zip(self.lengths, parts, strict=True)]
        )
        if absent == absent:
            column[np.isnan(column)] = absent
        return column

    def texts(self) -> dict[str, list[str | None]]:
        """Text columns."""
        names = dict.fromkeys(chain.from_iterable(texts for _, _, texts in self._pieces))
        return {
            name: [
                cell
                for size, (_, _, texts) in zip(self.lengths, self._pieces, strict=True)
                for cell in texts.get(name, [None] * size)
            ]
            for name in names
        }


def fact_columns(measurement: str, found: Iterable[Series]) -> FactColumns:
    """Facts as columns; 0 where a row has no value."""
    columns = Columns(measurement, found)
    series: list[FactSeries] = list(map(series_of, columns.owners))
    owners = np.repeat(np.arange(len(series)), columns.lengths)
    return FactColumns.in_order(series, owners, columns.times, columns.numbers(absent=0.0))


# ------------------------------------------------------------ cells

_raws: Final = msgspec.json.Decoder(list[msgspec.Raw])
_floats: Final = msgspec.json.Decoder(list[float])
_gaps: Final = msgspec.json.Decoder(list[float | None])


@lru_cache(maxsize=1_024)
def _known(measurement: str, columns: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
    """Places, counted after the time, and names of the columns that are fields of the schema."""
    return tuple((at, name) for at, name in enumerate(columns[1:]) if knows_field(measurement, name))


def _rows(series: Series) -> list[Any]:
    """The rows, each a sequence of time and cells."""
    texts = tuple(map(is_text, series.columns[1:]))
    raw = bytes(series.values)
    if any(texts) and _has_negative_zero(raw):
        return [(int(time), *cells) for time, *cells in json.loads(raw, parse_int=float)]
    return _decoder(texts).decode(raw if any(texts) else _with_negative_zeros(raw))


@lru_cache(maxsize=1_024)
def _decoder(texts: tuple[bool, ...]) -> "msgspec.json.Decoder[list[Any]]":
    cells = (str | None if text else float | None for text in texts)
    return msgspec.json.Decoder(list[tuple[(int, *cells)]])  # type: ignore[valid-type]


def _has_negative_zero(raw: bytes) -> bool:
    return b",-0," in raw or b",-0]" in raw


def _with_negative_zeros(raw: bytes) -> bytes:
    """Rows of numbers in which what the server writes as the integer -0 is a float again."""
    return raw.replace(b"-0,", b"-0.0,").replace(b"-0]", b"-0.0]") if _has_negative_zero(raw) else raw


def _columns(measurement: str, series: Series) -> tuple[Times, dict[str, Values], dict[str, list[str | None]]]:
    """Times, number columns (NaN where a row has none) and text columns, without the empty ones."""
    known = _known(measurement, tuple(series.columns))
    if any(map(is_text, series.columns[1:])):
        cells = list(zip(*_rows(series), strict=True)) or [()] * len(series.columns)
        times = np.array(cells[0], np.int64)
        numbers = {name: np.array(cells[at + 1], np.float64) for at, name in known if not is_text(name)}
        texts = {name: list(cells[at + 1]) for at, name in known if is_text(name)}
    else:
        table = _table(series)
        times, texts = table[:, 0].astype(np.int64), {}
        numbers = {name: np.ascontiguousarray(table[:, at + 1]) for at, name in known}
    return (
        times,
        {name: column for name, column in numbers.items() if not np.isnan(column).all()},
        {name: column for name, column in texts.items() if any(cell is not None for cell in column)},
    )


def _table(series: Series) -> Values:
    """Rows of numbers alone as one array, NaN where there is none. Milliseconds are exact as floats."""
    raw = _with_negative_zeros(bytes(series.values)).replace(b"],[", b",")[1:-1] or b"[]"
    if b"null" in raw:
        cells = np.array(_gaps.decode(raw), np.float64)
    else:
        numbers = _floats.decode(raw)
        cells = np.fromiter(numbers, np.float64, len(numbers))
    return cells.reshape(-1, len(series.columns))
