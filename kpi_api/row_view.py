"""KPIs -> panels: a row of a table of numbers as a mapping that is made when somebody looks. Pure.

A large answer has tens of thousands of records of a hundred numbers each; most askers look at a few of them.
"""

from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import TypeVar

Number = TypeVar("Number", float, float | None)


class RowView(Mapping[str, Number]):
    """One row. A copy of it is a plain dict."""

    __slots__ = ("_index", "_made", "_make")

    def __init__(self, make: Callable[[int], dict[str, Number]], index: int) -> None:
        """``make`` gives the row at an index; it is asked once."""
        self._make: Callable[[int], dict[str, Number]] = make
        self._index = index
        self._made: dict[str, Number] | None = None

    @property
    def _row(self) -> dict[str, Number]:
        if self._made is None:
            self._made = self._make(self._index)
        return self._made

    def __getitem__(self, name: str) -> Number:
        return self._row[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)

    def keys(self) -> KeysView[str]:
        return self._row.keys()

    def items(self) -> ItemsView[str, Number]:
        return self._row.items()

    def values(self) -> ValuesView[Number]:
        return self._row.values()

    def __repr__(self) -> str:
        return repr(self._row)

    def __reduce__(self) -> tuple[type, tuple[dict[str, Number]]]:
        return dict, (self._row.copy(),)
