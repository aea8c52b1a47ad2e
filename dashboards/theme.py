"""One look for all boards: colours of time categories, Grafana's unit for each of ours, thresholds, value mappings."""

from collections.abc import Mapping
from typing import Any, Final

from dashboards.board import Label, Step
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import Plant, StateMap

GOOD: Final = "#4f9d69"
WARNING: Final = "#d9962b"
BAD: Final = "#c4162a"
CALM: Final = "#8a97a0"
INK: Final = "#5b7c99"
SECOND: Final = "#8f6fa8"

CATEGORY_COLORS: Final[Mapping[TimeCategory, str]] = {
    TimeCategory.RUNNING: GOOD,
    TimeCategory.SETUP: "#6f7fa0",
    TimeCategory.STARVED: "#e0b400",
    TimeCategory.BLOCKED: "#d9962b",
    TimeCategory.NO_ORDER: "#b7a57a",
    TimeCategory.UNPLANNED_STOP: BAD,
    TimeCategory.MICRO_STOP: "#e8833a",
    TimeCategory.PLANNED_STOP: "#7fb2d0",
    TimeCategory.NOT_SCHEDULED: "#c9d1d6",
    TimeCategory.UNKNOWN: "#9b59b6",
}
"""Calm for what was planned, warm for what is lost, violet for what nobody knows."""

COLORED_TEXT: Final = {"type": "color-text"}
"""A cell of a table whose text has the colour of its value."""
COLORED_CELL: Final = {"type": "color-background", "mode": "basic"}
"""A cell of a table that has it whole, as for states."""

UNITS: Final[Mapping[str, str]] = {
    "ratio": "percentunit",
    "1": "none",
    "count": "locale",
    "piece": "locale",
    "quantity": "locale",
    "quantity/h": "short",
    "s": "s",
    "h:m:s": "dthms",
    "ms": "ms",
    "h": "h",
    "min": "m",
    "kW": "kwatt",
    "kWh": "locale",
    "kvarh": "locale",
    "kWh/t": "none",
    "kWh/quantity": "none",
    "kg": "locale",
    "kg/t": "none",
    "currency": "locale",
    "°C": "celsius",
    "bar": "pressurebar",
    "A": "amp",
    "V": "volt",
    "Hz": "hertz",
    "1/min": "rotrpm",
    "time": "dateTimeAsIso",
    "month": "time:YYYY-MM",
    "ago": "dateTimeFromNow",
    "text": "string",
    "bytes": "bytes",
}
"""Our unit -> Grafana's. What it has no word for, or would turn into MWh and Mg, is a plain number with its thousands
apart; the panel's title names the unit."""


def rising(warning: float, good: float) -> tuple[Step, ...]:
    """More is better: red below ``warning``, amber below ``good``."""
    return Step(None, BAD), Step(warning, WARNING), Step(good, GOOD)


def falling(warning: float, bad: float) -> tuple[Step, ...]:
    """Less is better: amber from ``warning``, red from ``bad``."""
    return Step(None, GOOD), Step(warning, WARNING), Step(bad, BAD)


def plain(color: str = INK) -> tuple[Step, ...]:
    """One colour for every value."""
    return (Step(None, color),)


COVERAGE: Final = rising(0.8, 0.98)
"""How much of planned busy time is known."""
FACTORS: Final[Mapping[str, tuple[Step, ...]]] = {
    "oee_index": rising(0.5, 0.7),
    "availability": rising(0.7, 0.85),
    "effectiveness": rising(0.75, 0.9),
    "quality_ratio": rising(0.95, 0.98),
    "coverage": COVERAGE,
}
"""OEE, its factors and what they stand on, by KPI."""
AGE_MS: Final = falling(60_000, 300_000)
"""Age of the newest sample."""


def category_mapping() -> Mapping[str, Any]:
    """Time categories by their own words."""
    return values_mapping({category.value: category for category in TimeCategory})


def state_mapping(states: StateMap) -> Mapping[str, Any]:
    """State codes by the category that the plant file gives them; a transition keeps its code."""
    return values_mapping({str(code): category for code, category in states.items() if category is not None})


def values_mapping(categories: Mapping[str, TimeCategory]) -> Mapping[str, Any]:
    """Values by the words and colours of the categories that they stand for."""
    return {
        "type": "value",
        "options": {
            value: {"text": f"category.{category}", "color": CATEGORY_COLORS[category], "index": at}
            for at, (value, category) in enumerate(categories.items())
        },
    }


def reasons_mappings(plant: Plant) -> tuple[Mapping[str, Any], ...]:
    """Reasons by the names that the plant file gives them, categories by theirs; what nobody told says so."""
    categories = {str(category): f"category.{category}" for category in TimeCategory}
    reasons = {reason.id: Label(reason.name, reason.id) for reason in plant.reasons.values()}
    told = {value: {"text": text, "index": at} for at, (value, text) in enumerate({**categories, **reasons}.items())}
    code = {"pattern": "^code_(\\d+)$", "result": {"text": "reason.of_code", "index": len(told)}}
    nobody = {"match": "empty", "result": {"text": "reason.not_told", "index": len(told) + 1}}
    return (
        {"type": "value", "options": told},
        {"type": "regex", "options": code},
        {"type": "special", "options": nobody},
    )
