"""When people are called: one function per kind of rule, with the limits of the plant file.

Every query is InfluxQL on the schema's names. A rule that judges many units groups by their levels; one that must
notice that something is *not* there asks for one agent, since a group without rows is no group.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from dashboards.alerts.rule import Ask, Rule, Severity, Silence
from historian import schema
from historian.influx_names import RAW
from historian.influxql import identifier, literal
from historian.schema import Measurement
from shopfloor.calendar import OFF_SHIFT
from shopfloor.equipment import LEVELS
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import Agent, Plant, Site, WorkUnit

PERIOD_S: Final = 60
"""All rules are judged so often."""
_MINUTE: Final = 60
_HOUR: Final = 3_600
_STOPS_S: Final = 7 * 24 * _HOUR
"""A stop that is older than this called long ago."""
_SHIFT_S: Final = 17 * _HOUR
"""From the start of a shift of eight hours to the end of the next, and some time to become final."""
_CHART_S: Final = 30 * _MINUTE
_QUARTER_S: Final = 15 * _MINUTE
_LATEST_S: Final = 10 * _MINUTE
_LEAST_PLANNED_S: Final = 3_600
"""A shift with less planned time is too short to be judged."""
_BY_UNIT: Final = ", ".join(map(identifier, LEVELS))
_HOLDS: Final = f"{identifier(schema.CURRENT)} = 1"


def rules_of(plant: Plant) -> tuple[Rule, ...]:
    """Every rule of a plant, in the order of the plant file."""
    return (
        *_stopped(plant),
        *_under_target(plant),
        *_agents(plant),
        *_demand(plant),
        *_limits(plant),
        *_charts(plant),
    )


def _stopped(plant: Plant) -> Iterator[Rule]:
    """Unplanned stops that last, one rule for each patience."""
    units: defaultdict[int, list[WorkUnit]] = defaultdict(list)
    for unit in plant.units.values():
        patience = plant.alerts.stopped_ms if unit.alerts.stopped_ms is None else unit.alerts.stopped_ms
        if unit.is_machine and patience:
            units[patience // 1000].append(unit)
    for seconds, those in sorted(units.items()):
        own = "" if len(units) == 1 and not _spared(plant) else f" AND ({' OR '.join(map(_place, those))})"
        query = (
            f"SELECT count({identifier(schema.STOP_END)}) FROM {identifier(Measurement.STOPS)} WHERE $timeFilter"
            f" AND {identifier(schema.STOP_END)} = 0"
            f" AND {identifier(schema.STOP_CATEGORY)} = {literal(TimeCategory.UNPLANNED_STOP)}{own} GROUP BY {_BY_UNIT}"
        )
        yield Rule(
            id=f"stopped-{seconds}",
            text="alert.stopped",
            asks=(Ask(name="A", query=query, since_s=_STOPS_S, until_s=seconds),),
            condition="$A > 0",
            severity=Severity.CRITICAL,
            empty="alert.stopped.empty",
            words={"minutes": f"{seconds / _MINUTE:g}"},
        )


def _spared(plant: Plant) -> bool:
    return any(unit.is_machine and unit.alerts.stopped_ms == 0 for unit in plant.units.values())


def _under_target(plant: Plant) -> Iterator[Rule]:
    """The OEE of the last shift that is over and certain, beside its target."""
    if not any("oee" in unit.targets for unit in plant.units.values()):
        return
    planned = identifier(f"{schema.SUM}planned_busy_s")
    oee, target = "oee_index", f"{schema.TARGET}oee"
    where = (
        f"$timeFilter AND {_HOLDS} AND {identifier(schema.FINAL)} = 1"
        f" AND {identifier(schema.SHIFT)} <> {literal(schema.WHOLE)}"
        f" AND {identifier(schema.SHIFT)} <> {literal(OFF_SHIFT)}"
        f" AND {identifier('work_unit')} <> {literal(schema.WHOLE)} AND {planned} >= {_LEAST_PLANNED_S}"
        f" AND {identifier(schema.COVERAGE)} >= {plant.alerts.least_coverage:g}"
        f" AND {identifier(oee)} >= 0 AND {identifier(target)} > 0"
    )
    asked = (
        f"SELECT last({identifier(field)}) FROM {identifier(Measurement.KPI_PUBLISHED)}"
        f" WHERE {where} GROUP BY {_BY_UNIT}"
        for field in (oee, target)
    )
    yield Rule(
        id="oee",
        text="alert.oee",
        asks=tuple(Ask(name=name, query=query, since_s=_SHIFT_S) for name, query in zip("AB", asked, strict=True)),
        condition="$A < $B",
        empty="alert.oee.empty",
    )


def _agents(plant: Plant) -> Iterator[Rule]:
    for agent in plant.agents.values():
        yield from _agent(plant, agent)


def _agent(plant: Plant, agent: Agent) -> Iterator[Rule]:
    """Silence, a growing outbox, a full one: of one agent, since silence has no rows to be grouped."""
    mine = f"$timeFilter AND {identifier(schema.AGENT)} = {literal(agent.id)}"
    ledger = identifier(Measurement.LEDGER)
    silent_s = plant.alerts.agent_silent_ms // 1000
    labels = {"agent": agent.id}
    told = f"SELECT count({identifier(schema.LEDGER_TOLD)}) FROM {ledger} WHERE {mine}"
    # points stand at the full minute in which the agent spoke
    yield Rule(
        id=f"silent-{agent.id}",
        text="alert.silent",
        asks=(Ask(name="A", query=told, since_s=silent_s + _MINUTE),),
        condition="$A < 1",
        severity=Severity.CRITICAL,
        silence=Silence.ALARM,
        labels=labels,
        words={"minutes": f"{silent_s / _MINUTE:g}"},
    )
    by_outbox = f"GROUP BY {identifier(schema.OUTBOX)}"
    depth = identifier("in_outbox")
    least = f"SELECT min({depth}) FROM {ledger} WHERE {mine} {by_outbox}"
    grown = f"SELECT last({depth}) - first({depth}) FROM {ledger} WHERE {mine} {by_outbox}"
    yield Rule(
        id=f"growing-{agent.id}",
        text="alert.growing",
        asks=(Ask(name="A", query=least, since_s=_QUARTER_S), Ask(name="B", query=grown, since_s=_QUARTER_S)),
        condition=f"$A > {plant.alerts.outbox_samples:d} && $B > 0",
        labels=labels,
        words={"samples": f"{plant.alerts.outbox_samples:d}"},
    )
    size = f"SELECT last({identifier('outbox_bytes')}) FROM {ledger} WHERE {mine} {by_outbox}"
    yield Rule(
        id=f"full-{agent.id}",
        text="alert.full",
        asks=(Ask(name="A", query=size, since_s=_QUARTER_S),),
        condition=f"$A > {plant.alerts.outbox_share * agent.outbox_max_bytes:.0f}",
        severity=Severity.CRITICAL,
        labels=labels,
        words={"percent": f"{plant.alerts.outbox_share * 100:g}"},
    )


def _demand(plant: Plant) -> Iterator[Rule]:
    """The quarter hour that ends in ten minutes, if the power stays as it is."""
    for unit, limit in _demand_limits(plant):
        power = identifier("power_kw")
        query = f"SELECT mean({power}) FROM {_samples()} WHERE $timeFilter AND {_place(unit)}"
        yield Rule(
            id=f"demand-{_short(unit)}",
            text="alert.demand",
            asks=(Ask(name="A", query=query, since_s=5 * _MINUTE), Ask(name="B", query=query, since_s=2 * _MINUTE)),
            condition=f"($A * 5 + $B * 10) / 15 > {limit:g}",
            severity=Severity.CRITICAL,
            labels=_labels(unit),
            words={"limit": f"{limit:g}"},
        )


def _demand_limits(plant: Plant) -> Iterator[tuple[WorkUnit, float]]:
    """Meters with their limit in kW; a site's only meter has the contracted power of its tariff."""
    for site in plant.sites:
        meters = [unit for unit in _units(site) if not unit.is_machine]
        for unit in _units(site):
            tariff = unit.tariff.entries[-1][1] if unit.tariff else None
            contract = tariff.contract_kva if tariff and meters == [unit] else None
            if (limit := unit.alerts.demand_kw or contract) is not None:
                yield unit, limit


def _limits(plant: Plant) -> Iterator[Rule]:
    """Gauges that must stay between limits: the unit's own, and specified temperatures."""
    for unit in plant.units.values():
        specified = {
            each.tag: (each.lsl, each.usl) for each in unit.characteristics if each.tag.startswith("temperature")
        }
        own = {tag: (limits.low, limits.high) for tag, limits in unit.alerts.limits.items()}
        for tag, (low, high) in (specified | own).items():
            bounds = [f"$A < {low:g}"] if low is not None else []
            bounds += [f"$A > {high:g}"] if high is not None else []
            field = identifier(tag)
            query = f"SELECT last({field}) FROM {_samples()} WHERE $timeFilter AND {_place(unit)}"
            yield Rule(
                id=f"limits-{_short(unit)}-{tag}",
                text="alert.limits",
                asks=(Ask(name="A", query=query, since_s=_LATEST_S),),
                condition=" || ".join(bounds),
                lasting_s=2 * _MINUTE,
                labels={**_labels(unit), "tag": tag},
                words={
                    "tag": tag,
                    "low": "-" if low is None else f"{low:g}",
                    "high": "-" if high is None else f"{high:g}",
                },
            )


def _charts(plant: Plant) -> Iterator[Rule]:
    """Points of control charts that complete a rule of the alarm set."""
    if not any(unit.characteristics for unit in plant.units.values()):
        return
    query = (
        f"SELECT count({identifier(schema.CHART_ALARM)}) FROM {identifier(Measurement.CHART_POINTS)} WHERE $timeFilter"
        f" AND {_HOLDS} AND {identifier(schema.CHART_ALARM)} = 1"
        f" GROUP BY {_BY_UNIT}, {identifier(schema.CHARACTERISTIC)}"
    )
    yield Rule(
        id="spc",
        text="alert.spc",
        asks=(Ask(name="A", query=query, since_s=_CHART_S),),
        condition="$A > 0",
        empty="alert.spc.empty",
        words={"minutes": f"{_CHART_S // _MINUTE}"},
    )


def _units(site: Site) -> list[WorkUnit]:
    return [unit for area in site.areas for center in area.work_centers for unit in center.units]


def _samples() -> str:
    return f"{identifier(RAW)}.{identifier(Measurement.SAMPLES)}"


def _labels(unit: WorkUnit) -> Mapping[str, str]:
    return {level: getattr(unit.path, level) for level in LEVELS}


def _place(unit: WorkUnit) -> str:
    return "(" + " AND ".join(f"{identifier(level)} = {literal(value)}" for level, value in _labels(unit).items()) + ")"


def _short(unit: WorkUnit) -> str:
    path = unit.path
    return f"{path.work_center}-{path.work_unit}"
