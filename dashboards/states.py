"""What machines are doing, from the samples: units whose codes mean different things share one panel.

Beside points -> panels on registers -> samples -> messages -> points -> facts -> KPIs -> panels. The codes of the units
of one state map are shown as they are, those of the next with ``APART`` added, and so on; a unit that has been silent
for longer than its values hold is shown as ``SILENT``, never by its last state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dashboards import queries, theme
from dashboards.board import Shape, Target
from dashboards.queries import LEVELS, NEWEST, Slice
from historian.influxql import identifier
from historian.schema import Measurement
from shopfloor.instant import MINUTE, ceil_to
from shopfloor.plant import Plant, StateMap, WorkUnit

STATE: Final = "state"
APART: Final = 100_000
"""Above every code of a 16-bit register."""
SILENT: Final = -1
ALIAS: Final = "$tag_work_center / $tag_work_unit"
_LATE: Final = 1
"""Minutes that samples may need to be stored."""


@dataclass(frozen=True, slots=True)
class StateGroup:
    """Units of one state map."""

    states: StateMap
    units: tuple[WorkUnit, ...]
    plus: int
    """What is added to their codes."""

    @property
    def holds_min(self) -> int:
        """Minutes for which a state is shown after its sample."""
        return max(ceil_to(unit.max_age_ms, MINUTE) for unit in self.units) // MINUTE + _LATE


def groups(plant: Plant) -> tuple[StateGroup, ...]:
    """The machines with a state, by what their codes mean today."""
    found: list[tuple[StateMap, list[WorkUnit]]] = []
    for unit in plant.units.values():
        if unit.states is None:
            continue
        states = unit.states.entries[-1][1]
        for known, units in found:
            if known == states:
                units.append(unit)
                break
        else:
            found.append((states, [unit]))
    return tuple(StateGroup(states, tuple(units), at * APART) for at, (states, units) in enumerate(found))


def now(plant: Plant) -> tuple[Target, ...]:
    """Each unit's state now, or SILENT: a row a unit with the field ``state``."""
    return tuple(Target(query=_now(plant, group), shape=Shape.TABLE) for group in groups(plant))


def now_series(plant: Plant) -> tuple[Target, ...]:
    """The same as series, each named by its unit."""
    return tuple(Target(query=_now(plant, group), alias=ALIAS) for group in groups(plant))


def course(plant: Plant, length: str = "24h") -> tuple[Target, ...]:
    """The states over the end of the range; a stretch without samples is a gap."""
    return tuple(Target(query=_course(plant, group, length), alias=ALIAS) for group in groups(plant))


def newest() -> Target:
    """A row a unit, at the time of its newest sample."""
    return Target(query=queries.newest_sample(Slice(window=NEWEST, by=LEVELS)), shape=Shape.TABLE)


def mapping(plant: Plant) -> Mapping[str, Any]:
    """Codes by their categories, and SILENT."""
    categories = {
        str(code + group.plus): category
        for group in groups(plant)
        for code, category in group.states.items()
        if category is not None
    }
    known = theme.values_mapping(categories)
    silent = {"text": "state.silent", "color": theme.CALM, "index": len(categories)}
    return {**known, "options": {**known["options"], str(SILENT): silent}}


def _now(plant: Plant, group: StateGroup) -> str:
    """The greater of the code, if it is fresh, and SILENT."""
    mine = Slice(window=NEWEST, source=Measurement.SAMPLES, where=_condition(plant, group), by=LEVELS)
    fresh = mine.but(f"time >= ${{__to}}ms - {group.holds_min}m")
    code = queries.last(STATE, fresh, plus=group.plus)
    silent = queries.last(STATE, mine, factor=0, plus=SILENT)
    return (
        f'SELECT max("{STATE}") AS "{STATE}" FROM ({code}), ({silent}) WHERE {NEWEST}'
        f" GROUP BY {', '.join(map(identifier, LEVELS))}"
    )


def _course(plant: Plant, group: StateGroup, length: str) -> str:
    mine = Slice(window=queries.tail(length), where=_condition(plant, group), by=LEVELS)
    every = f"{group.holds_min - _LATE}m"
    states = queries.measured(STATE, "last", every, mine)
    if not group.plus:
        return states
    groups_ = ", ".join(map(identifier, LEVELS))
    return f'SELECT "{STATE}" + {group.plus} AS "{STATE}" FROM ({states}) WHERE {mine.window} GROUP BY {groups_}'


def _condition(plant: Plant, group: StateGroup) -> str:
    """The units of a group; nothing where all machines are of one."""
    if len(groups(plant)) == 1:
        return ""
    lines: dict[str, list[str]] = {}
    for unit in group.units:
        lines.setdefault(unit.path.work_center, []).append(unit.path.work_unit)
    parts = (
        f"({queries.same('work_center', line)} AND {queries.one_of('work_unit', units)})"
        for line, units in lines.items()
    )
    return f"({' OR '.join(parts)})"
