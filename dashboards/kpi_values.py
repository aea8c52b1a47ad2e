"""The numbers on boards beside the KPI API's, for the same unit and window.

Beside the panels of registers -> samples -> messages -> points -> facts -> KPIs -> panels. A target that says which KPI
it shows (``Target.kpi``) is asked for each unit: grouped by unit at once, else with that unit chosen. Windows end and
begin where shifts do, since coarse facts cannot be cut, and lie where all units have data: of time without any the API
knows that it was planned, and a board has no fact (docs/decisions/0041).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from dashboards.answers import Answer, number
from dashboards.board import Target
from dashboards.queries import CHOICES, LEVELS
from dashboards.time_range import TimeRange
from dashboards.verify import Ask, BoardQueries, Json, Rendered
from historian.influxql import identifier
from historian.schema import SHIFT, WHOLE, Measurement
from kpi.plan import calendar_spans
from shopfloor.instant import HOUR, MINUTE, Instant, ceil_to, floor_to, to_instant
from shopfloor.plant import Plant

Kpis = Mapping[str, float | None]
Api = Callable[[TimeRange, str], Mapping[str, Kpis]]
"""Unit or place -> KPI -> value over a window, as the KPI API answers of ``*`` or of a place."""

TOLERANCE: Final = 1e-6
"""Of the API's number, and of 1 where that is smaller."""
LENGTHS: Final = (HOUR, 24 * HOUR, 7 * 24 * HOUR)
"""Windows so long: one for each grain of facts."""
_DAY: Final = 24 * HOUR
_BORDER_WITHIN: Final = 8 * _DAY
_GROUPS = re.compile(r"GROUP BY [^()]*\"work_unit\"")


@dataclass(frozen=True, slots=True)
class Difference:
    """A number on a board that is not the API's."""

    board: str
    panel: str
    kpi: str
    unit: str
    window: TimeRange
    shown: float | None
    told: float | None
    """By the API."""
    text: str


@dataclass(slots=True)
class Comparison:
    """What came of it."""

    windows: list[TimeRange] = field(default_factory=list)
    values: int = 0
    """Numbers compared; both undefined counts."""
    defined: int = 0
    """Those that are numbers on both sides."""
    differences: list[Difference] = field(default_factory=list)


def compare(boards: Sequence[Rendered], ask: Ask, api: Api, plant: Plant, now: Instant) -> Comparison:
    """Every target with a KPI, for every unit that has data, over windows of each grain.

    What both languages of a board ask is asked once.
    """
    found, ask = Comparison(), cache(ask)
    data = data_spans(ask, plant)
    for window in windows(plant, data, now):
        found.windows.append(window)
        told = api(window, "*")
        for rendered in boards:
            for shown in _shown(rendered, ask, window, sorted(data)):
                _compared(found, rendered.uid, window, shown, told[shown.unit].get(shown.kpi))
    for site in plant.sites:
        if day := production_day(plant, site.id, data):
            found.windows.append(day.window)
            for rendered in boards:
                for shown in _shown_of_day(rendered, ask, day):
                    told = api(day.window, shown.unit)
                    _compared(found, rendered.uid, day.window, shown, told[shown.unit].get(shown.kpi))
    return found


def data_spans(ask: Ask, plant: Plant) -> dict[str, TimeRange]:
    """Unit -> the whole hours in which there are facts of it; those without any are left out."""
    ends: dict[str, list[Instant]] = {}
    for order in ("", " ORDER BY time DESC"):
        query = f"SELECT * FROM {identifier(Measurement.FACTS)} WHERE time >= 0 GROUP BY *{order} LIMIT 1"
        for series in ask(query).series:
            path = _path(series.tags)
            if path in plant.units:
                at = series.columns.index("time")
                ends.setdefault(path, []).extend(int(row[at] or 0) for row in series.values)
    spans = {unit: TimeRange(ceil_to(min(times), HOUR), max(times) + MINUTE) for unit, times in ends.items()}
    return {unit: span for unit, span in spans.items() if span.start < span.end}


def windows(plant: Plant, data: Mapping[str, TimeRange], now: Instant) -> Iterator[TimeRange]:
    """The latest windows of each of LENGTHS in which all units that have data have them throughout."""
    if not data:
        return
    low, high = max(span.start for span in data.values()), min(now, *(span.end for span in data.values()))
    hour = floor_to(high, HOUR)
    if low <= hour - HOUR:
        yield TimeRange(hour - HOUR, hour)
    for length in LENGTHS[1:]:
        end = shift_border(plant, high)
        start = None if end is None else shift_border(plant, end - length)
        if end is not None and start is not None and low <= start < end:
            yield TimeRange(start, end)


def shift_border(plant: Plant, before: Instant) -> Instant | None:
    """The latest instant, not after ``before``, at which every machine's shift begins; None when there is none soon."""
    machines = [unit for unit in plant.units.values() if unit.is_machine]
    starts = [
        {
            span.start
            for span in calendar_spans(unit, before - _BORDER_WITHIN, before + 1)
            if span.start == span.shift_start
        }
        for unit in machines
    ]
    return max(set.intersection(*starts), default=None) if starts else None


@dataclass(frozen=True, slots=True)
class ProductionDay:
    """A day of a site: what is published of it is stamped at its local midnight, and tells of its shifts."""

    site: str
    stamped: TimeRange
    """From its midnight to the next."""
    window: TimeRange
    """From its first shift to its last."""


def production_day(plant: Plant, site: str, data: Mapping[str, TimeRange]) -> ProductionDay | None:
    """The latest production day in which all units of a site that have data have them throughout."""
    units = [plant.units[path] for path in data if path.startswith(f"{site}/") and plant.units[path].is_machine]
    if not units:
        return None
    spans = [data[str(unit.path)] for unit in units]
    low, high = max(span.start for span in spans), min(span.end for span in spans)
    tiles = [calendar_spans(unit, low - _DAY, high + _DAY) for unit in units]
    zone = ZoneInfo(units[0].timezone)
    for day in sorted({tile.day for each in tiles for tile in each}, reverse=True):
        found = {
            TimeRange(min(tile.start for tile in of_day), max(tile.end for tile in of_day))
            for each in tiles
            if (of_day := [tile for tile in each if tile.day == day])
        }
        (window, *others) = found
        if not others and low <= window.start and window.end <= high:
            midnights = (to_instant(datetime.combine(day + timedelta(days=after), time(), zone)) for after in (0, 1))
            return ProductionDay(site, TimeRange(*midnights), window)
    return None


def _shown_of_day(rendered: Rendered, ask: Ask, day: ProductionDay) -> Iterator["_Shown"]:
    """The KPIs of whole days that are published, of the place or unit that each row is of, else of the site."""
    some = [each for each in _targets(rendered) if each[0].kpi and _of_days(each[0].query)]
    if not some:
        return
    asked = BoardQueries(rendered, ask, day.stamped)
    for _ in asked.fill({CHOICES["site"]: [day.site]}):
        pass
    for target, document, at in some:
        kpi = target.kpi or ""
        for _, text, place in asked.targets({**document, "repeat": None}):
            if place == at:
                for series in ask(text).series:
                    levels = [series.tags.get(level, WHOLE) for level in LEVELS]
                    path = "/".join(level for level in levels if level != WHOLE) or day.site
                    yield _Shown(document["title"], kpi, path, number(series, kpi), text)


def _of_days(query: str) -> bool:
    return f"{identifier(SHIFT)} = '{WHOLE}'" in query


@dataclass(frozen=True, slots=True)
class _Shown:
    """A number on a board."""

    panel: str
    kpi: str
    unit: str
    value: float | None
    text: str


def _shown(rendered: Rendered, ask: Ask, window: TimeRange, units: Sequence[str]) -> Iterator[_Shown]:
    asked = BoardQueries(rendered, ask, window)
    pairs = [
        (target, document, at)
        for target, document, at in _targets(rendered)
        if target.kpi and not _of_days(target.query)
    ]
    grouped = [each for each in pairs if _GROUPS.search(each[0].query)]
    for chosen, some in ((None, grouped), *((unit, [each for each in pairs if each not in grouped]) for unit in units)):
        if not some:
            continue
        for _ in asked.fill(None if chosen is None else _choosing(chosen)):
            pass
        for target, document, at in some:
            yield from _numbers(asked, target, document, at, units if chosen is None else (chosen,))


def _targets(rendered: Rendered) -> Iterator[tuple[Target, Json, int]]:
    for panel, document in rendered.panels():
        for at, target in enumerate(panel.targets):
            yield target, document, at


def _choosing(unit: str) -> dict[str, list[str]]:
    levels = dict(zip(LEVELS, unit.split("/"), strict=True))
    return {CHOICES[level]: [value] for level, value in levels.items() if level in CHOICES}


def _numbers(asked: BoardQueries, target: Target, document: Json, at: int, units: Sequence[str]) -> Iterator[_Shown]:
    kpi = target.kpi or ""
    for _, text, place in asked.targets({**document, "repeat": None}):
        if place != at:
            continue
        answer = asked.ask(text)
        for unit in units:
            yield _Shown(document["title"], kpi, unit, _of_unit(answer, unit, kpi, alone=len(units) == 1), text)


def _of_unit(answer: Answer, unit: str, kpi: str, *, alone: bool) -> float | None:
    if answer.error is not None:
        raise ValueError(answer.error)
    for series in answer.series:
        if (alone and not series.tags) or _path(series.tags) == unit:
            return number(series, kpi)
    return None


def _path(tags: Mapping[str, str]) -> str:
    return "/".join(tags.get(level, "") for level in LEVELS)


def _compared(found: Comparison, board: str, window: TimeRange, shown: _Shown, told: float | None) -> None:
    found.values += 1
    if shown.value is None or told is None:
        same = shown.value is told
    else:
        found.defined += 1
        same = abs(shown.value - told) <= TOLERANCE * max(1.0, abs(told))
    if not same:
        found.differences.append(
            Difference(board, shown.panel, shown.kpi, shown.unit, window, shown.value, told, shown.text)
        )
