"""Facts -> KPIs: which items an answer has, and which records each of them merges. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from kpi_api.merged import Indices
from kpi_api.questions import By
from kpi_api.records import Asked
from kpi_api.slots import Slots
from kpi_api.windows import Window

_Key = tuple[object, ...]


class Item(NamedTuple):
    """One item in the making: its window and the product it is of."""

    window: Window
    product: str | None = None


def laid_out(subjects: Sequence[Sequence[Asked]], by: By, slots: Slots) -> tuple[list[list[Item]], Indices]:
    """The items of each subject in order of time, and for each slot the item that it belongs to.

    A subject is given by the questions for its units. Items are counted over all subjects; -1 is no item.
    """
    if by is By.PRODUCT:
        return _by_product(subjects, slots)
    known: dict[tuple[int, ...], tuple[list[Item], list[Indices]]] = {}
    places: dict[str, Indices] = {}
    drawn: list[list[Item]] = []
    count = 0
    for asked in subjects:
        alike = tuple(id(part) for each in asked for part in (each.windows, each.owners))
        if alike not in known:
            known[alike] = _by_time(asked, by)
        items, mine = known[alike]
        places.update((each.path, place + count) for each, place in zip(asked, mine, strict=True))
        drawn.append(items)
        count += len(items)
    return drawn, slots.owners(places)


def _by_time(asked: Sequence[Asked], by: By) -> tuple[list[Item], list[Indices]]:
    """The items of one subject, and for each of its units the item of every part of time."""
    windows: dict[_Key, Window] = {}
    keys: list[list[_Key]] = []
    for each in asked:
        keys.append(list(_keys(each.windows, by)))
        for window, key in zip(each.windows, keys[-1], strict=True):
            known = windows.get(key, window)
            windows[key] = replace(known, start=min(known.start, window.start), end=max(known.end, window.end))
    ordered = sorted(windows, key=lambda key: windows[key].start)
    number = {key: position for position, key in enumerate(ordered)}
    places = [
        np.array([number[own[owner]] for owner in each.owners], np.int64) for each, own in zip(asked, keys, strict=True)
    ]
    return [Item(windows[key]) for key in ordered], places


def _by_product(subjects: Sequence[Sequence[Asked]], slots: Slots) -> tuple[list[list[Item]], Indices]:
    """One item for each product of a subject, in order of name."""
    owners = np.full(len(slots), -1, np.int64)
    drawn: list[list[Item]] = []
    count = 0
    for asked in subjects:
        mine = slots.of_units({each.path for each in asked})
        made = np.unique(slots.product[mine])
        owners[mine] = count + np.searchsorted(made, slots.product[mine])
        drawn.append([Item(asked[0].windows[0], slots.products[product]) for product in made.tolist()])
        count += len(made)
    return drawn, owners


def _keys(windows: Sequence[Window], by: By) -> Iterator[_Key]:
    """What makes windows of units with different calendars one item: the same day, week, month or shift by name."""
    seen: Counter[_Key] = Counter()
    for window in windows:
        if by is By.SHIFT:
            key: _Key = (window.period, window.shift)
            seen[key] += 1
            yield (*key, seen[key])
        elif window.period is not None:
            yield (window.period,)
        else:
            yield (window.start if by is By.HOUR else 0,)
