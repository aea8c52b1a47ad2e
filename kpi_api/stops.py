"""Points -> panels: the stops of machines: derived, each with what was stated of it.

A stop's id is its unit, with dots, and its start in ms: ``ceper.machining.line-1.cnc-01@1767580000000``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from historian.historian import Historian
from historian.records import latest_query, stops_of, unit_query
from historian.schema import Measurement
from kpi_api.questions import MAX_ITEMS, UnknownStop, too_many
from kpi_api.windows import Window
from shopfloor.fact import Stop
from shopfloor.instant import Instant
from shopfloor.plant import Labels, Plant, WorkUnit

_EARLIER: Final = 50
"""So many points before a window are looked through for the stop that reaches into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAnswer:
    """One stop, or the part of one that a statement tells apart."""

    id: str
    unit: str
    start: Instant
    end: Instant | None
    """None while it lasts."""
    seconds: float
    """Up to now while it lasts."""
    category: str
    code: int | None
    """The state code behind it."""
    reason: str
    """The stated reason; empty where nobody stated one."""
    reason_name: Labels
    statement: str
    """Id of the statement that gave it."""
    failure: bool
    """Whether it counts as an equipment failure, or its re-trip."""


def stop_id(stop: Stop) -> str:
    """The id of a stop."""
    return f"{stop.unit.replace('/', '.')}@{stop.start}"


class StopReader:
    """Reads stops. Safe to call from several threads at once."""

    def __init__(self, plant: Plant, historian: Historian) -> None:
        self._plant = plant
        self._historian = historian

    def answers(self, units: Sequence[WorkUnit], window: Window, now: Instant) -> list[StopAnswer]:
        """The stops of machines that touch a window, by unit and start; raises BadWindow for too many."""
        found: list[StopAnswer] = []
        for unit in units:
            if unit.is_machine:
                stops = self.overlapping(str(unit.path), window.start, window.end)
                found += [self._answer(stop, now) for stop in stops]
            if len(found) > MAX_ITEMS:
                raise too_many()
        return found

    def overlapping(self, path: str, start: Instant, end: Instant) -> list[Stop]:
        """A unit's stops that touch [start, end), in order."""
        enterprise = self._plant.enterprise
        earlier = replace(latest_query(Measurement.STOPS, enterprise, path, start), limit=_EARLIER)
        before = stops_of(self._historian.read(earlier))[:1]
        inside = stops_of(self._historian.read(unit_query(Measurement.STOPS, enterprise, path, start, end)))
        return [stop for stop in before if stop.end is None or stop.end > start] + inside

    def stop(self, given: str) -> Stop:
        """The stop with an id; raises UnknownStop."""
        unit, _, start = given.rpartition("@")
        path = unit.replace(".", "/")
        if path in self._plant.units and start.isascii() and start.isdigit() and len(start) < 14:
            at = int(start)
            found = self._historian.read(unit_query(Measurement.STOPS, self._plant.enterprise, path, at, at + 1))
            for stop in stops_of(found):
                return stop
        raise UnknownStop(f"there is no stop {given!r}", "late data may have moved it: ask /api/v1/stops again")

    def _answer(self, stop: Stop, now: Instant) -> StopAnswer:
        reason = self._plant.reasons.get(stop.reason)
        return StopAnswer(
            id=stop_id(stop),
            unit=stop.unit,
            start=stop.start,
            end=stop.end,
            seconds=max(0, (now if stop.end is None else stop.end) - stop.start) / 1000,
            category=stop.category,
            code=stop.code,
            reason=stop.reason,
            reason_name=reason.name if reason else {},
            statement=stop.statement,
            failure=stop.failure,
        )
