"""What InfluxDB answers to a board, read as Grafana reads it: series, choices of a variable, numbers. Pure.

Beside the panels of registers -> samples -> messages -> points -> facts -> KPIs -> panels, for ``verify``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

Cell = str | float | bool | None
_NAMES_FIRST = re.compile(r"show (?:field keys|retention policies)", re.IGNORECASE)
TIME: Final = "time"


class Series(msgspec.Struct, frozen=True):
    """One series of an answer."""

    name: str = ""
    tags: Mapping[str, str] = {}
    columns: Sequence[str] = ()
    values: Sequence[Sequence[Cell]] = ()


class _Result(msgspec.Struct):
    series: list[Series] = []
    error: str | None = None


class _Document(msgspec.Struct):
    results: list[_Result] = []
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The series of one query, or why there are none."""

    series: tuple[Series, ...] = ()
    error: str | None = None

    @property
    def empty(self) -> bool:
        """Whether a panel would show nothing: no series, or not one value beside the times."""
        return not any(True for series in self.series for _ in told(series))


def read_answer(body: bytes) -> Answer:
    """The answer in a document of ``/query``; what cannot be read is an error of the answer."""
    try:
        found = msgspec.json.decode(body, type=_Document)
    except msgspec.MsgspecError as fault:
        return Answer(error=f"an answer that cannot be read ({fault})")
    errors = [found.error, *(result.error for result in found.results)]
    error = next((each for each in errors if each), None)
    return Answer(tuple(series for result in found.results for series in result.series), error)


def told(series: Series) -> Iterator[tuple[str, Cell]]:
    """Column and value of every cell that says something."""
    for row in series.values:
        for column, cell in zip(series.columns, row, strict=True):
            if column != TIME and cell is not None:
                yield column, cell


def options(query: str, answer: Answer) -> list[str]:
    """The choices that a variable's query gives: the second cell of each row, each once."""
    at = 0 if _NAMES_FIRST.search(query) else 1
    found = (row[min(at, len(row) - 1)] for series in answer.series for row in series.values)
    return list(dict.fromkeys(_text(cell) for cell in found if cell is not None))


def number(series: Series, column: str) -> float | None:
    """The last number of a column; None where it has none. Raises KeyError for a series without the column."""
    if column not in series.columns:
        raise KeyError(column)
    found = [cell for name, cell in told(series) if name == column and isinstance(cell, int | float)]
    return float(found[-1]) if found else None


def _text(cell: Cell) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    return str(cell)
