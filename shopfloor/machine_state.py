"""The time categories: every second of a unit belongs to exactly one."""

from enum import StrEnum


class TimeCategory(StrEnum):
    """What a second was used for. Ten words; PackML and SEMI E10 states map onto them."""

    RUNNING = "running"
    SETUP = "setup"
    STARVED = "starved"
    BLOCKED = "blocked"
    NO_ORDER = "no_order"
    UNPLANNED_STOP = "unplanned_stop"
    MICRO_STOP = "micro_stop"
    PLANNED_STOP = "planned_stop"
    NOT_SCHEDULED = "not_scheduled"
    UNKNOWN = "unknown"


OUTSIDE_PBT = frozenset({TimeCategory.PLANNED_STOP, TimeCategory.NOT_SCHEDULED})
"""Categories that are not planned busy time."""
