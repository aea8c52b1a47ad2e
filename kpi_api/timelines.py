"""Samples -> panels: what machines were doing, second by second, from raw samples and what people said of them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Final

import numpy as np

from historian.historian import Historian
from historian.records import latest_query, unit_query
from historian.schema import Measurement
from historian.statements import statements_of
from kpi.plan import UnitPlan
from kpi.timeline.states import StateInterval as Tile
from kpi.timeline.states import silent_timeline, timeline
from kpi_api.answers import StateInterval
from kpi_api.questions import BadWindow
from kpi_api.silence import Silence
from kpi_api.windows import Window
from shopfloor.clock import Clock
from shopfloor.columns import SampleColumns
from shopfloor.instant import HOUR, Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.statement import Statement, in_force

LONGEST: Final = 31 * 24 * HOUR
"""States come from raw samples: a longer window is refused."""


def check_length(start: Instant, end: Instant) -> None:
    """Raise BadWindow unless the window can be read from raw samples."""
    if end <= start or end - start > LONGEST:
        raise BadWindow("the window of states is empty or too long", "ask for up to 31 days, 'from' before 'to'")


class Timelines:
    """Reads timelines. Safe to call from several threads at once."""

    def __init__(
        self, historian: Historian, enterprise: str, clock: Clock, plans: Mapping[str, UnitPlan], silence: Silence
    ) -> None:
        self._historian = historian
        self._enterprise = enterprise
        self._clock = clock
        self._plans = plans
        self._silence = silence

    def intervals(self, path: str, window: Window) -> list[StateInterval]:
        """The machine's states in a window, neighbours of one category, code and reason as one."""
        return list(_joined(path, self.tiles(path, window)))

    def tiles(self, path: str, window: Window) -> list[Tile]:
        """The machine's timeline in a window, up to now."""
        plan = self._plans[path]
        said = self.statements(path, window, plan.reach)
        tiles = timeline(plan, self._samples_around(plan, window), window.start, window.end, said)
        horizon = self._silence.horizon(path)
        if horizon is not None:
            silent = max(window.start, horizon + plan.unit.max_age_ms)
            tiles += silent_timeline(plan.unit, silent, min(window.end, self._clock.now()), statements=said)
        return tiles

    def setups(self, path: str, window: Window) -> list[Window]:
        """When a machine was set up in a window: by its own word, or by what its time counts as."""
        plan = self._plans[path]
        samples = _held_on(self._samples_around(plan, window))
        said = self.statements(path, window, plan.reach)
        return [
            Window(tile.start, tile.end)
            for tile in timeline(plan, samples, window.start, window.end, said)
            if TimeCategory.SETUP in (tile.category, tile.machine)
        ]

    def statements(self, path: str, window: Window, reach: int) -> list[Statement]:
        """What holds of a unit in a window and its reach."""
        return in_force(
            statements_of(self._historian, self._enterprise, path, window.start - reach, window.end + reach)
        )

    def category(self, path: str) -> str | None:
        """What the machine does at its newest sample: a stop is a micro-stop until it has lasted longer than one."""
        plan, newest = self._plans[path], self._silence.horizon(path)
        if not plan.unit.is_machine or newest is None:
            return None
        window = Window(newest - plan.reach, newest)
        samples = _held_on(self._samples_around(plan, window))
        tiles = timeline(plan, samples, newest, newest + 1, self.statements(path, window, plan.reach))
        return str(tiles[-1].category) if tiles else None

    def _samples_around(self, plan: UnitPlan, window: Window) -> SampleColumns:
        """The window's samples with their reach, and one more on either side so that silence at a border is seen."""
        low, high = window.start - plan.reach, window.end + plan.reach
        before = self._historian.read(latest_query(Measurement.SAMPLES, self._enterprise, plan.path, low))
        query = unit_query(Measurement.SAMPLES, self._enterprise, plan.path, high)
        after = self._historian.read(replace(query, limit=1))
        return self._historian.samples(
            self._enterprise,
            plan.path,
            before[0].time if before else low,
            after[0].time + 1 if after else high,
        )


def _held_on(samples: SampleColumns) -> SampleColumns:
    """The samples with the last one said again a moment later: a timeline ends before its last sample."""
    if not len(samples):
        return samples
    last = samples.between(int(samples.times[-1]), int(samples.times[-1]) + 1)
    return _joined_columns(samples, replace(last, times=last.times + 1))


def _joined_columns(one: SampleColumns, other: SampleColumns) -> SampleColumns:
    return SampleColumns(
        one.unit,
        np.concatenate([one.times, other.times]),
        {tag: np.concatenate([values, other.values[tag]]) for tag, values in one.values.items()},
        {tag: np.concatenate([mask, other.heard[tag]]) for tag, mask in one.heard.items()},
        np.concatenate([one.alive, other.alive]),
    )


def _joined(path: str, tiles: Iterable[Tile]) -> Iterator[StateInterval]:
    for _, group in groupby(tiles, key=lambda tile: (tile.category, tile.code, tile.reason, tile.source)):
        run = list(group)
        first = run[0]
        yield StateInterval(
            path,
            first.start,
            run[-1].end,
            str(first.category),
            first.code,
            source=str(first.source),
            reason=first.reason,
            statement=first.statement,
        )
