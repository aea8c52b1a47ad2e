"""Statements: what people say beside the machine's data, with who and when. A second layer; raw stays raw.

A statement is never changed. A later one ``supersedes`` it; a superseding one that is ``withdrawn`` undoes it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from shopfloor.instant import Instant
from shopfloor.machine_state import TimeCategory


class StatementKind(StrEnum):
    """What a statement is about."""

    REASON = "reason"
    """Why a stop was: ``reason``. Touches the stopped time in its interval only."""
    CATEGORY = "category"
    """What the time was used for, whatever the machine said: ``category``."""
    ORDER = "order"
    """An order was being executed: ``order`` and/or ``product``."""
    QUANTITY = "quantity"
    """``quantities`` that no counter counted, or corrections of a count (negative)."""
    SIGN_OFF = "sign_off"
    """A person vouches for the final shift [start, end)."""


STATED_QUANTITIES: Final = (
    "produced",
    "good",
    "scrap",
    "rework",
    "planned_scrap",
    "inspected",
    "first_pass_good",
    "consumed_kg",
    "production_loss_kg",
    "storage_loss_kg",
    "other_loss_kg",
    "attendance_s",
    "work_s",
)
"""The columns of the additive record that a QUANTITY statement may add to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement on one unit and [start, end)."""

    id: str
    """UUID, hex with hyphens."""
    unit: str
    """Path ``site/area/work_center/work_unit``."""
    kind: StatementKind
    start: Instant
    end: Instant | None
    """None while it still holds (an order that runs, a stop that lasts)."""
    author: str
    made_at: Instant
    supersedes: str | None = None
    """Id of the statement that this one replaces or, when ``withdrawn``, undoes."""
    withdrawn: bool = False
    reason: str | None = None
    category: TimeCategory | None = None
    product: str | None = None
    order: str | None = None
    quantities: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def overlaps(self, start: Instant, end: Instant | None) -> bool:
        """Whether it says something of [start, end); None is open-ended."""
        return (end is None or self.start < end) and (self.end is None or self.end > start)


def in_force(statements: Iterable[Statement]) -> list[Statement]:
    """The statements that nobody superseded or withdrew, in order of (start, made_at, id). Order of arrival is free."""
    given = {statement.id: statement for statement in statements}
    replaced = {statement.supersedes for statement in given.values() if statement.supersedes}
    kept = [each for each in given.values() if each.id not in replaced and not each.withdrawn]
    return sorted(kept, key=lambda each: (each.start, each.made_at, each.id))
