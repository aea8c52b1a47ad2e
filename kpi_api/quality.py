"""Facts and samples -> KPIs -> panels: yields of units, and whether their measured characteristics hold the limits.

Yields come from the store's KPI items. Characteristics come from raw samples: every new reading of GOOD quality is one
value. A number that repeats while it holds (within ``max_age``) is the same reading still standing, since a gauge
measures once a part and is polled many times: taken as new values, repeats would make any process look capable. What
is read during a setup is of a trial piece, and tells nothing of the process that is set up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kpi.capability.control_chart import ControlChart, Study, study
from kpi.capability.indices import Capability, Specification, capability_of
from kpi.evaluation.yields import rolled_throughput
from kpi.plan import dated_values
from kpi_api.answers import KpiItem
from kpi_api.questions import BadWindow, NotThere
from kpi_api.store import Store
from kpi_api.windows import Window, snapped
from shopfloor.columns import SampleColumns, Times, Values
from shopfloor.instant import HOUR, Instant
from shopfloor.plant import Characteristic, Labels, WorkUnit
from shopfloor.tag import CANONICAL

LONGEST_QUALITY = 31 * 24 * HOUR
"""Characteristics come from raw samples: a longer window is refused."""
MOST_POINTS = 200
"""So many of a chart's last points are told; its lines and counts are of all."""
YIELDS = ("first_pass_yield", "quality_ratio", "quality_ratio_pieces", "scrap_ratio", "rework_ratio")
COUNTS = ("produced", "good", "scrap", "rework", "inspected", "first_pass_good")


class UnknownCharacteristic(NotThere):
    """No unit of the question has this characteristic."""

    kind = "unknown-characteristic"


@dataclass(frozen=True, slots=True)
class ChartPoint:
    """One point of a control chart: a subgroup or a reading, at the time of its last reading."""

    time: Instant
    value: float
    nelson: tuple[int, ...]
    """Nelson's rules that it completes."""
    western_electric: tuple[int, ...]
    alarm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartAnswer:
    """A control chart with its last points."""

    statistic: str
    centre: float
    lower: float
    upper: float
    total: int
    """Points in the window; ``points`` holds the last of them."""
    alarms: int
    nelson: Mapping[str, int]
    """Rule -> number of points in the window that complete it."""
    western_electric: Mapping[str, int]
    points: tuple[ChartPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacteristicAnswer:
    """One characteristic in one window."""

    tag: str
    name: Labels
    measured_in: str
    lsl: float | None
    usl: float | None
    target: float | None
    subgroup: int
    readings: int
    """New readings of GOOD quality in the window; an incomplete last subgroup is left out of what follows."""
    capability: Capability | None
    charts: tuple[ChartAnswer, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityItem:
    """The quality of one unit in one window."""

    unit: str
    start: Instant
    end: Instant
    yields: Mapping[str, float | None]
    counts: Mapping[str, float]
    characteristics: tuple[CharacteristicAnswer, ...]
    coverage: float | None
    final: bool
    revision: int
    flags: tuple[str, ...]


def quality_items(
    store: Store, pattern: str, start: Instant, end: Instant, characteristic: str | None = None
) -> list[QualityItem]:
    """One item per machine, and per other unit with characteristics, at or below ``pattern``; raises BadQuestion.

    With ``characteristic`` (a tag) only the units that have it, and only that one of theirs.
    """
    window = snapped(start, end)
    if window.end - window.start > LONGEST_QUALITY:
        raise BadWindow("quality is answered from raw samples, for at most 31 days", "ask for a shorter window")
    units = [unit for unit in store.units(pattern) if unit.is_machine or unit.characteristics]
    if characteristic is not None:
        units = _having(units, characteristic, pattern)
    told = _kpi_items(store, units, start, end)
    return [_item(store, unit, window, told, characteristic) for unit in units]


def characteristics_of(
    store: Store, unit: WorkUnit, window: Window, most: int = MOST_POINTS, *, only: str | None = None
) -> tuple[CharacteristicAnswer, ...]:
    """A unit's characteristics, or ``only`` that of a tag, in a window; ``most`` of the last points of each chart."""
    wanted = [each for each in unit.characteristics if only in (None, each.tag)]
    if not wanted:
        return ()
    samples = store.historian.samples(store.plant.enterprise, str(unit.path), window.start, window.end)
    setups = store.timelines.setups(str(unit.path), window) if unit.is_machine else []
    return tuple(_characteristic(unit, each, samples, setups, most) for each in wanted)


def readings(columns: SampleColumns, tag: str, max_age_ms: int) -> tuple[Times, Values]:
    """Times and values of the new readings of GOOD quality of a tag, in order of time."""
    values = columns.values.get(tag)
    if values is None:
        return columns.times[:0], np.zeros(0)
    good = ~np.isnan(values)
    times, known = columns.times[good], values[good]
    new = np.ones(len(known), dtype=np.bool_)
    new[1:] = (known[1:] != known[:-1]) | (np.diff(times) > max_age_ms)
    return times[new], known[new]


def _without(stretches: Sequence[Window], times: Times, values: Values) -> tuple[Times, Values]:
    inside = np.zeros(len(times), dtype=np.bool_)
    for each in stretches:
        inside |= (times >= each.start) & (times < each.end)
    return times[~inside], values[~inside]


def _having(units: Sequence[WorkUnit], tag: str, pattern: str) -> list[WorkUnit]:
    found = [unit for unit in units if any(each.tag == tag for each in unit.characteristics)]
    if not found:
        known = sorted({each.tag for unit in units for each in unit.characteristics})
        remedy = f"use one of: {', '.join(known)}" if known else "list characteristics of the unit in the plant file"
        raise UnknownCharacteristic(f"no unit at or below {pattern!r} has a characteristic {tag!r}", remedy)
    return found


def _kpi_items(store: Store, units: Sequence[WorkUnit], start: Instant, end: Instant) -> dict[str, KpiItem]:
    """The items of the units, and of all others of their lines: a part went through the steps before."""
    lines = dict.fromkeys(str(unit.path).rsplit("/", 1)[0] for unit in units)
    return {item.unit: item for line in lines for item in store.kpi_items(f"{line}/*", start, end)}


def _steps(store: Store, unit: WorkUnit) -> list[WorkUnit]:
    """The machines of a serial line up to this one, in the plant file's order; none for a unit that stands alone."""
    lines = (line for site in store.plant.sites for area in site.areas for line in area.work_centers)
    line = next(line for line in lines if any(each.path == unit.path for each in line.units))
    if not line.is_serial or not unit.is_machine:
        return []
    machines = [each for each in line.units if each.is_machine]
    return machines[: [each.path for each in machines].index(unit.path) + 1]


def _item(
    store: Store, unit: WorkUnit, window: Window, told: Mapping[str, KpiItem], characteristic: str | None
) -> QualityItem:
    path = str(unit.path)
    item = told[path]
    steps = [_step_yield(told[str(step.path)]) for step in _steps(store, unit)]
    return QualityItem(
        unit=path,
        start=window.start,
        end=window.end,
        yields={
            **{name: item.kpis.get(name) for name in YIELDS},
            "rolled_throughput_yield": rolled_throughput(steps),
        },
        counts={name: item.elements[name] for name in COUNTS if name in item.elements},
        characteristics=characteristics_of(store, unit, window, only=characteristic),
        coverage=item.coverage,
        final=item.final,
        revision=item.revision,
        flags=item.flags,
    )


def _step_yield(item: KpiItem) -> float | None:
    """First-pass yield as stated, else good over produced; None where neither is a share."""
    stated = item.kpis.get("first_pass_yield")
    found = item.kpis.get("quality_ratio_pieces") if stated is None else stated
    return found if found is not None and 0 <= found <= 1 else None


def _characteristic(
    unit: WorkUnit, characteristic: Characteristic, samples: SampleColumns, setups: Sequence[Window], most: int
) -> CharacteristicAnswer:
    times, values = _without(setups, *readings(samples, characteristic.tag, unit.max_age_ms))
    for correction in unit.corrections:
        if correction.tag == characteristic.tag:
            values = values * dated_values(correction.factor, times, lambda factor: factor or 1.0, 1.0)
    size = characteristic.subgroup
    found: Study | None = None
    flags: tuple[str, ...] = ("no_values",) if not len(values) else ("too_few_values",)
    capability = None
    if len(values) >= max(size, 2):
        found, whole = study(values, subgroup=size), len(values) // size * size
        limits = Specification(characteristic.lsl, characteristic.usl, characteristic.target)
        capability = capability_of(found, values[:whole], limits)
        flags, times = capability.flags, times[:whole].reshape(-1, size)[:, -1]
    return CharacteristicAnswer(
        tag=characteristic.tag,
        name=characteristic.name,
        measured_in=CANONICAL[characteristic.tag][1] if characteristic.tag in CANONICAL else "",
        lsl=characteristic.lsl,
        usl=characteristic.usl,
        target=characteristic.target,
        subgroup=size,
        readings=len(values),
        capability=capability,
        charts=tuple(_chart(chart, times, most) for chart in found.charts) if found is not None else (),
        flags=flags,
    )


def _chart(chart: ControlChart, times: Times, most: int = MOST_POINTS) -> ChartAnswer:
    total = len(chart.points)
    first, moments = max(0, total - most), times[-total:]
    nelson = _rules_by_point(chart.nelson, first)
    western = _rules_by_point(chart.western_electric, first)
    alarms = frozenset(chart.alarms)
    return ChartAnswer(
        statistic=chart.statistic.value,
        centre=float(chart.centre[0]),
        lower=float(chart.lower[0]),
        upper=float(chart.upper[0]),
        total=total,
        alarms=len(chart.alarms),
        nelson={str(rule): len(hits) for rule, hits in chart.nelson.items()},
        western_electric={str(rule): len(hits) for rule, hits in chart.western_electric.items()},
        points=tuple(
            ChartPoint(
                int(moments[index]),
                float(chart.points[index]),
                nelson.get(index, ()),
                western.get(index, ()),
                index in alarms,
            )
            for index in range(first, total)
        ),
    )


def _rules_by_point(hits: Mapping[int, Sequence[int]], first: int) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = {}
    for rule, points in hits.items():
        for point in points:
            if point >= first:
                found[point] = (*found.get(point, ()), rule)
    return found
