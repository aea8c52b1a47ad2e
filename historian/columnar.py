"""Stored samples to columns: the *points* that the derivation of facts eats, without an object per sample.

``unpack`` and ``decode`` read the embedded store's rows, many at once; ``from_points`` serves any store.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from historian.packing import MOST_LAYOUTS, TIME_BITS, LayoutBook, number_in
from historian.point import Point
from historian.records import point_sample, status_of
from historian.schema import STATUS, is_text
from shopfloor.columns import Mask, SampleColumns, Times, Values

_NAN: Final = float("nan")
_TIME: Final = (1 << TIME_BITS) - 1
_objects = msgspec.json.Decoder(list[dict[str, float | str]])
_times = msgspec.json.Decoder(list[int])


def from_points(unit: str, points: Iterable[Point]) -> SampleColumns:
    """The samples in ``points`` of one unit, through ``Sample`` objects: for stores without a shorter way."""
    return SampleColumns.of(unit, map(point_sample, points))


def unpack(unit: str, cells: bytes, layouts: LayoutBook) -> SampleColumns | None:
    """Columns of packed samples, cell after cell; None where not all have the layout of the first.

    The same as ``SampleColumns.of`` over the same samples.
    """
    number = number_in(cells)
    if not 0 < number <= MOST_LAYOUTS:
        return None
    layout = layouts.layout(number)
    count, rest = divmod(len(cells), layout.form.size)
    if rest:
        return None
    words = np.frombuffer(cells, "<i8").reshape(count, -1)
    heads = words[:, 0]
    if np.any(heads >> TIME_BITS != number):  # each cell begins where the one before it ends: so this finds any other
        return None
    columns = np.ascontiguousarray(words[:, 1:].T).view("<f8")
    values = dict(zip(layout.numbers, columns, strict=True))
    return _in_order(_uniform(unit, (heads & _TIME).astype(np.int64), values, layout.status))


def decode(unit: str, times: str, rows: str) -> SampleColumns:
    """Columns of stored rows: their source times, joined by commas, and a JSON list of each sample's fields.

    The same as ``SampleColumns.of`` over the same samples.
    """
    stamps = np.array(_times.decode(f"[{times}]"), dtype=np.int64)
    values, texts = _parsed(rows, len(stamps))
    return _in_order(of_cells(unit, stamps, values, texts))


def interleaved(unit: str, parts: Sequence[SampleColumns]) -> SampleColumns:
    """Parts that have no instant in common as one."""
    return _in_order(joined(unit, parts))


def _in_order(columns: SampleColumns) -> SampleColumns:
    """In order of time: a store that joins rows may do it in another order."""
    times = columns.times
    if len(times) < 2 or np.all(times[1:] > times[:-1]):
        return columns
    order = np.argsort(times)
    return SampleColumns(
        columns.unit,
        times[order],
        {tag: values[order] for tag, values in columns.values.items()},
        {tag: mask[order] for tag, mask in columns.heard.items()},
        columns.alive[order],
    )


def joined(unit: str, parts: Sequence[SampleColumns]) -> SampleColumns:
    """Parts that follow one another in time as one."""
    filled = [part for part in parts if len(part)]
    if len(filled) <= 1:
        return filled[0] if filled else SampleColumns.of(unit, ())
    tags = sorted({tag for part in filled for tag in part.heard})
    return SampleColumns(
        unit,
        np.concatenate([part.times for part in filled]),
        {tag: np.concatenate([_values_of(part, tag) for part in filled]) for tag in tags},
        {tag: np.concatenate([_heard_of(part, tag) for part in filled]) for tag in tags},
        np.concatenate([part.alive for part in filled]),
    )


def _values_of(part: SampleColumns, tag: str) -> Values:
    found = part.values.get(tag)
    return np.full(len(part), _NAN) if found is None else found


def _heard_of(part: SampleColumns, tag: str) -> Mask:
    found = part.heard.get(tag)
    return np.zeros(len(part), dtype=np.bool_) if found is None else found


def _parsed(rows: str, count: int) -> tuple[dict[str, Values], dict[str, list[str | None]]]:
    """Numbers (NaN where there is none) and texts (None) by field."""
    first = rows[: rows.find("}") + 1] + "]"
    try:
        names = _fields(first)
        records = _decoder(names).decode(rows)
    except (msgspec.ValidationError, msgspec.DecodeError):  # not every sample has the fields of the first
        names = _fields(rows)
        records = _decoder(names).decode(rows)
    table = map(msgspec.structs.astuple, records)
    if any(map(is_text, names)):
        cells = dict(zip(names, map(list, zip(*table, strict=True)), strict=True))
        texts = {name: cells.pop(name) for name in names if is_text(name)}
        return {name: np.array(column, dtype=np.float64) for name, column in cells.items()}, texts
    numbers = np.fromiter(chain.from_iterable(table), np.float64, count * len(names)).reshape(count, len(names))
    return dict(zip(names, np.ascontiguousarray(numbers.T), strict=True)), {}


def _fields(rows: str) -> tuple[str, ...]:
    return tuple(sorted({name for row in _objects.decode(rows) for name in row}))


@lru_cache(maxsize=256)
def _decoder(names: tuple[str, ...]) -> "msgspec.json.Decoder[list[Any]]":
    """Reads objects that have no other fields than these, each of one type."""
    fields = [
        (f"f{index}", str | None, None) if is_text(name) else (f"f{index}", float, _NAN)
        for index, name in enumerate(names)
    ]
    stored = {f"f{index}": name for index, name in enumerate(names)}
    row = msgspec.defstruct("Row", fields, rename=stored, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(list[row])  # type: ignore[valid-type]


def of_cells(unit: str, times: Times, values: dict[str, Values], texts: dict[str, list[str | None]]) -> SampleColumns:
    """Columns of cells by field: numbers, NaN where a sample has none, and texts, None where it has none.

    Only fields that some sample has; both mappings become the answer's.
    """
    statuses = texts.pop(STATUS, None)
    heard = {tag: ~np.isnan(column) for tag, column in values.items()}
    for tag, cells in texts.items():
        heard[tag] = np.fromiter((cell is not None for cell in cells), np.bool_, len(times))
        values[tag] = np.full(len(times), _NAN)
    good = {tag: mask.copy() for tag, mask in heard.items()} if statuses else heard
    for tag, where in _not_good(statuses or ()).items():
        if tag not in heard:
            values[tag] = np.full(len(times), _NAN)
            heard[tag], good[tag] = (np.zeros(len(times), dtype=np.bool_) for _ in range(2))
        heard[tag][where] = True
        good[tag][where] = False
        values[tag][where] = _NAN
    alive = np.zeros(len(times), dtype=np.bool_)
    for mask in good.values():
        alive |= mask
    tags = sorted(heard)
    return SampleColumns(unit, times, {tag: values[tag] for tag in tags}, {tag: heard[tag] for tag in tags}, alive)


def _uniform(unit: str, times: Times, values: dict[str, Values], status: str | None) -> SampleColumns:
    """Samples that all have these numbers and this status text."""
    lost = status_of(status or "")
    said = np.ones(len(times), dtype=np.bool_)
    unknown = np.full(len(times) if lost else 0, _NAN)
    tags = sorted({*values, *lost})
    return SampleColumns(
        unit,
        times,
        {tag: unknown if tag in lost else values[tag] for tag in tags},
        dict.fromkeys(tags, said),
        said if values.keys() - lost.keys() else np.zeros(len(times), dtype=np.bool_),
    )


def _not_good(statuses: Iterable[str | None]) -> dict[str, NDArray[np.int64]]:
    """Tag -> the indices of the samples in which it is not GOOD."""
    by_text: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(statuses):
        if text:
            by_text[text].append(index)
    by_tag: dict[str, list[int]] = defaultdict(list)
    for text, where in by_text.items():
        for tag in status_of(text):
            by_tag[tag] += where
    return {tag: np.array(where, dtype=np.int64) for tag, where in by_tag.items()}
