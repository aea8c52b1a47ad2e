"""``alerts`` in plant.yaml: what may be written, what contradicts itself, and what it means."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError

from shopfloor.alerts import (
    DEFAULT_LEAST_COVERAGE,
    DEFAULT_OUTBOX_SAMPLES,
    DEFAULT_OUTBOX_SHARE,
    Limits,
    PlantAlerts,
    UnitAlerts,
)
from shopfloor.calendar_checks import Problem
from shopfloor.duration import duration_ms, pause_ms
from shopfloor.plant_fields import Doc, Duration, Pause, Positive
from shopfloor.yaml_lines import Place

Share = Annotated[float, Field(gt=0, le=1)]


class LimitsDoc(Doc):
    """What a gauge must not leave, in its tag's unit."""

    low: float | None = None
    high: float | None = None


class PlantAlertsDoc(Doc):
    """When people are called, for all units and agents."""

    stopped: Duration = Field(default="15min", description="An unplanned stop calls after so long.")
    agent_silent: Duration = Field(default="5min", description="An agent calls that tells nothing for so long.")
    outbox_samples: int = Field(
        default=DEFAULT_OUTBOX_SAMPLES, ge=1, description="An outbox calls that holds more for 15 minutes, and grows."
    )
    outbox_share: Share = Field(default=DEFAULT_OUTBOX_SHARE, description="An outbox calls that is so full.")
    least_coverage: Share = Field(
        default=DEFAULT_LEAST_COVERAGE, description="An OEE of which less is known calls nobody."
    )


class UnitAlertsDoc(Doc):
    """When people are called, for one unit."""

    stopped: Pause | None = Field(default=None, description="Instead of the plant's; 0s: its stops call nobody.")
    demand_kw: Positive | None = Field(default=None, description="A meter's: mean power of 15 minutes that calls.")
    limits: dict[str, LimitsDoc] = Field(default_factory=dict, description="Gauge tag -> {low, high}.")


def build_plant_alerts(raw: PlantAlertsDoc) -> PlantAlerts:
    """The plant's, of a checked document."""
    return PlantAlerts(
        stopped_ms=duration_ms(raw.stopped),
        agent_silent_ms=duration_ms(raw.agent_silent),
        outbox_samples=raw.outbox_samples,
        outbox_share=raw.outbox_share,
        least_coverage=raw.least_coverage,
    )


def build_unit_alerts(raw: UnitAlertsDoc) -> UnitAlerts:
    """A unit's, of a checked document."""
    return UnitAlerts(
        stopped_ms=None if raw.stopped is None else pause_ms(raw.stopped),
        demand_kw=raw.demand_kw,
        limits={tag: Limits(each.low, each.high) for tag, each in raw.limits.items()},
    )


def alert_problems(unit: Mapping[Any, Any], at: Place) -> Iterator[Problem]:
    """What contradicts itself in a unit's ``alerts``; ``at`` is the place of the field."""
    try:
        alerts = UnitAlertsDoc.model_validate(unit.get("alerts"))
    except ValidationError:
        return  # told elsewhere, or not there
    if alerts.stopped is not None and not {"states", "running_from"} & unit.keys():
        yield (*at, "stopped"), "a unit without states and running_from never stops; remove it"
    for tag, limits in alerts.limits.items():
        if limits.low is None and limits.high is None:
            yield (*at, "limits", tag), "has no limit; add low, high or both"
        elif limits.low is not None and limits.high is not None and limits.low >= limits.high:
            yield (*at, "limits", tag, "low"), f"{limits.low:g} is not below high {limits.high:g}; correct them"


def watched_tags(unit: Mapping[Any, Any], at: Place) -> Iterator[tuple[Place, str]]:
    """The gauges that a unit's ``alerts`` need, with the places that name them."""
    alerts = unit.get("alerts")
    if not isinstance(alerts, dict):
        return
    limits = alerts.get("limits")
    for tag in limits if isinstance(limits, dict) else ():
        yield (*at, "limits", tag), str(tag)
    if "demand_kw" in alerts:
        yield (*at, "demand_kw"), "power_kw"
