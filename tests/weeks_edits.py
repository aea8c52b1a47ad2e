"""What people say of a simulated week: reasons, parts of stops re-coded, some of it changed, moved or undone later."""

import random
from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

from historian.historian import Historian
from historian.records import stops_of, unit_query
from historian.schema import Measurement
from historian.statements import put
from shopfloor.clock import SystemClock
from shopfloor.fact import Stop
from shopfloor.instant import Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import Plant
from shopfloor.statement import Statement, StatementKind
from tests.weeks_wire import REASONS

SHARE = 0.25
"""So many of all stops are given a reason."""
PARTED = 0.3
"""So many of those have a part re-coded instead."""


class People:
    """Operators of all machines; every statement is a real write beside the samples."""

    def __init__(
        self, historian: Historian, plant: Plant, seed: int, reasons: Collection[str] = REASONS.keys()
    ) -> None:
        self._historian, self._plant = historian, plant
        self._reasons = sorted(reasons)
        self._rng = random.Random(f"{seed}/people")
        self.statements: list[Statement] = []
        self.changed = self.undone = 0

    def explain(self, start: Instant, end: Instant) -> None:
        """Give reasons for some of the stops that the store shows in [start, end)."""
        for path, unit in self._plant.units.items():
            if not unit.is_machine:
                continue
            margin = 2 * unit.device.scan_ms
            query = unit_query(Measurement.STOPS, self._plant.enterprise, path, start, end)
            for stop in stops_of(self._historian.read(query)):
                within = stop.end is not None and stop.end < end and stop.end - stop.start > 6 * margin
                if within and self._rng.random() < SHARE:
                    self._say(
                        self._part_of(stop, margin) if self._rng.random() < PARTED else self._reason(stop, margin)
                    )

    def change_their_minds(self) -> None:
        """Undo some statements, replace the reason of others, move others to the first half of their stop."""
        for earlier in list(self.statements):
            luck = self._rng.random()
            if luck < 0.15:
                self.undone += 1
                self._say(replace(earlier, supersedes=earlier.id, withdrawn=True))
            elif luck < 0.3 and earlier.reason:
                self.changed += 1
                self._say(replace(earlier, supersedes=earlier.id, reason=self._rng.choice(self._reasons)))
            elif luck < 0.4 and earlier.end is not None:
                self.changed += 1
                middle = earlier.start + (earlier.end - earlier.start) // 2
                self._say(replace(earlier, supersedes=earlier.id, end=middle))

    def of(self, unit: str) -> list[Statement]:
        """Everything that was said of a unit."""
        return [statement for statement in self.statements if statement.unit == unit]

    def _reason(self, stop: Stop, margin: int) -> Statement:
        """A reason for the whole stop. People point into it, not at its borders."""
        assert stop.end is not None
        reason = self._rng.choice(self._reasons)
        return self._statement(stop.unit, StatementKind.REASON, stop.start + margin, stop.end - margin, reason=reason)

    def _part_of(self, stop: Stop, margin: int) -> Statement:
        """A part inside a stop, to the second, was planned."""
        assert stop.end is not None
        low = self._rng.randrange(stop.start + margin, stop.end - 2 * margin)
        high = self._rng.randrange(low + margin, stop.end - margin + 1)
        return self._statement(stop.unit, StatementKind.CATEGORY, low, high, category=TimeCategory.PLANNED_STOP)

    def _statement(
        self,
        unit: str,
        kind: StatementKind,
        start: Instant,
        end: Instant,
        *,
        reason: str | None = None,
        category: TimeCategory | None = None,
    ) -> Statement:
        return Statement(
            id="",
            unit=unit,
            kind=kind,
            start=start,
            end=end,
            author="operator",
            made_at=0,
            reason=reason,
            category=category,
        )

    def _say(self, statement: Statement) -> None:
        name = str(UUID(int=self._rng.getrandbits(128), version=4))
        last = self.statements[-1].made_at if self.statements else 0
        made = replace(statement, id=name, made_at=max(SystemClock().now(), last + 1))
        assert made.end is not None
        before = next((each for each in self.statements if each.id == made.supersedes), made)
        touched = min(made.start, before.start), max(made.end, before.end or made.end)
        put(self._historian, self._plant.enterprise, made, touched=touched)
        self.statements.append(made)
