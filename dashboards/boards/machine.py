"""Machine: what one machine does and did, how fast, what it measures and reports, and how far to trust its data."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from dashboards import panels, places, queries, states, targets, theme, variables
from dashboards.board import Board, Panel, Row, Shape, Target
from dashboards.queries import BUCKET, INTERVAL, NEWEST, Slice
from dashboards.signals import tags_of
from historian import schema
from historian.influx_names import MARKER
from historian.schema import Measurement
from kpi.evaluation.flags import FLAGS, ITEM_FLAGS
from kpi.evaluation.formulas import Formula
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import Plant
from shopfloor.tag import TagKind

_CHOSEN: Final = ("site", "work_center", "work_unit", schema.SHIFT)
_WHOLE: Final = Slice(chosen=_CHOSEN)
_EACH: Final = Slice(chosen=_CHOSEN, every=BUCKET)
_SAMPLES: Final = Slice(window=queries.tail("7d"))
_ALARM: Final = "alarm_code"
_CYCLE: Final = "cycle_time_s"
_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "kW": ("power", "kW"),
    "A": ("current", "A"),
    "V": ("voltage", "V"),
    "Hz": ("frequency", "Hz"),
    "°C": ("temperature", "°C"),
    "bar": ("pressure", "bar"),
    "1/min": ("speed", "1/min"),
    "kg": ("mass", "kg"),
}
"""A tag's unit -> its panel, and the unit of ``theme.UNITS`` there; other tags share the panel ``other``."""


def board(plant: Plant) -> Board:
    """The board."""
    return Board(
        id="machine",
        start="now-24h",
        variables=(
            variables.ONE_SITE,
            variables.one_line(plant),
            variables.one_unit(plant),
            variables.SHIFT,
            *variables.HIDDEN,
        ),
        rows=(
            Row("machine.row_now", (_state(plant), _age(), *_numbers(plant))),
            Row("machine.row_states", (_timeline(plant), _stops(plant))),
            Row("machine.row_speed", (_cycle(), _counters())),
            *((Row("machine.row_signals", signals),) if (signals := _signals(plant)) else ()),
            *((Row("machine.row_alarms", alarms),) if (alarms := _alarms(plant)) else ()),
            Row("machine.row_data", (_coverage(plant), _gaps(), _samples(), _doubts(), _flags(), _glossary())),
        ),
    )


def _state(plant: Plant) -> Panel:
    return panels.stat(
        "machine.state",
        "text",
        *states.now_series(plant),
        mappings=(states.mapping(plant),),
        background=True,
        empty="machine.no_state",
    )


def _age() -> Panel:
    newest = Target(query=queries.newest_sample(Slice(window=NEWEST)), shape=Shape.TABLE)
    return panels.stat("machine.age", "ago", newest, shown="/^Time$/")


def _numbers(plant: Plant) -> tuple[Panel, ...]:
    return tuple(
        panels.stat(
            f"machine.{name}",
            "ratio",
            targets.kpi(plant, name, _WHOLE),
            steps=each,
            decimals=1,
            width=4 if name == "oee_index" else 3,
            empty="machine.not_planned",
        )
        for name, each in theme.FACTORS.items()
    )


def _timeline(plant: Plant) -> Panel:
    return panels.timeline(
        "machine.states",
        *states.course(plant),
        mappings=(states.mapping(plant),),
        height=5,
        empty="machine.no_state",
    )


def _stops(plant: Plant) -> Panel:
    columns = (schema.STOP_DURATION, schema.STOP_CATEGORY, schema.STOP_REASON, schema.STOP_CODE, "work_unit")
    stops = queries.rows(Measurement.STOPS, columns, Slice(source=Measurement.STOPS, where=_EXISTS), limit=100)
    return panels.table(
        "machine.stops",
        "text",
        targets.rows(stops),
        timed=True,
        empty="machine.no_stop",
        overrides=(
            panels.named("Time", title="machine.began", unit="time"),
            panels.named(schema.STOP_DURATION, title="machine.duration", unit="h:m:s", mappings=(_LASTS,)),
            panels.named(
                schema.STOP_CATEGORY,
                title="field.category",
                mappings=(theme.category_mapping(),),
                cell=theme.COLORED_CELL,
            ),
            panels.named(schema.STOP_REASON, title="field.reason", mappings=theme.reasons_mappings(plant)),
            panels.named(schema.STOP_CODE, title="machine.code"),
            places.column(plant, "work_unit"),
        ),
    )


_EXISTS: Final = f'("{schema.STOP_END}" = 0 OR "{schema.STOP_DURATION}" > 0)'
_LASTS: Final = {"type": "value", "options": {"0": {"text": "machine.lasts", "color": theme.BAD, "index": 0}}}


def _cycle() -> Panel:
    return panels.lines(
        "machine.cycle",
        "s",
        targets.quotient("actual", Formula(("production_s",), ("produced",)), _EACH, alias="machine.cycle_actual"),
        targets.quotient("planned", Formula(("planned_run_s",), ("produced",)), _EACH, alias="machine.cycle_planned"),
        targets.series(queries.measured(_CYCLE, "median", INTERVAL, _SAMPLES), "machine.cycle_told"),
        overrides=(
            panels.named("machine.cycle_actual", color=theme.INK),
            panels.named(
                "machine.cycle_planned",
                color=theme.GOOD,
                custom__lineStyle={"fill": "dash", "dash": [8, 8]},
            ),
            panels.named("machine.cycle_told", color=theme.CALM, custom__lineWidth=1),
        ),
        custom={"showPoints": "always"},
        min_interval="1m",
        empty="machine.nothing_made",
    )


def _counters() -> Panel:
    colors = {"good": theme.GOOD, "scrap": theme.BAD, "rework": theme.WARNING}
    return panels.bars(
        "machine.counters",
        "quantity",
        *(targets.total(name, _EACH, alias=f"machine.quantity.{name}") for name in colors),
        stacked=True,
        overrides=tuple(panels.named(f"machine.quantity.{name}", color=color) for name, color in colors.items()),
        empty="machine.nothing_made",
    )


def _signals(plant: Plant) -> tuple[Panel, ...]:
    """A panel for each kind of level that any machine of the plant measures, what most machines measure first."""
    machines = [unit for unit in plant.units.values() if unit.is_machine]
    units = Counter(name for machine in machines for name in tags_of((machine,), TagKind.GAUGE))
    kinds: dict[tuple[str, str], set[str]] = {}
    for name, unit in _tags(plant, TagKind.GAUGE).items():
        if name != _CYCLE:
            kinds.setdefault(_KINDS.get(unit, ("other", "1")), set()).add(name)
    return tuple(
        panels.lines(
            f"machine.signal.{kind}",
            unit,
            *(targets.series(queries.measured(name, "mean", INTERVAL, _SAMPLES), name) for name in sorted(names)),
            min_interval="1m",
            width=8,
            height=6,
            empty="machine.no_signal",
        )
        for (kind, unit), names in sorted(kinds.items(), key=lambda each: -max(units[name] for name in each[1]))
    )


def _tags(plant: Plant, kind: TagKind) -> dict[str, str]:
    """Those of the machines: a meter cannot be chosen on this board."""
    return tags_of((unit for unit in plant.units.values() if unit.is_machine), kind)


def _alarms(plant: Plant) -> tuple[Panel, ...]:
    if _ALARM not in _tags(plant, TagKind.STATE):
        return ()
    day = Slice(window=queries.tail("24h"))
    none = {"type": "value", "options": {"0": {"text": "machine.alarm_none", "color": theme.GOOD, "index": 0}}}
    some = {"type": "range", "options": {"from": 1, "to": 2**32, "result": {"color": theme.BAD, "index": 1}}}
    return (
        panels.timeline(
            "machine.alarms",
            targets.series(queries.measured(_ALARM, "max", "1m", day), "machine.alarm"),
            mappings=(none, some),
            height=5,
            empty="machine.no_alarm_tag",
        ),
    )


def _coverage(plant: Plant) -> Panel:
    return panels.lines(
        "machine.data_coverage",
        "ratio",
        targets.course(plant, "coverage", _EACH, alias="kpi:coverage"),
        width=8,
        high=1.0,
        empty="machine.not_planned",
    )


def _gaps() -> Panel:
    columns = {
        "unknown_s": theme.CATEGORY_COLORS[TimeCategory.UNKNOWN],
        "inferred_s": theme.CALM,
        "stated_s": theme.INK,
    }
    return panels.bars(
        "machine.gaps",
        "h:m:s",
        *(targets.total(name, _EACH, alias=f"machine.time.{name}") for name in columns),
        width=8,
        overrides=tuple(panels.named(f"machine.time.{name}", color=color) for name, color in columns.items()),
        empty="machine.no_gap",
    )


def _samples() -> Panel:
    day = Slice(window=queries.tail("7d"))
    return panels.lines(
        "machine.samples",
        "count",
        targets.series(queries.measured(MARKER, "count", INTERVAL, day), "machine.samples_name"),
        targets.series(queries.measured(schema.STATUS, "count", INTERVAL, day), "machine.bad_name"),
        width=8,
        min_interval="1m",
        overrides=(panels.named("machine.bad_name", color=theme.BAD),),
        empty="machine.no_gap",
    )


def _doubts() -> Panel:
    columns = ("counter_resets", "counter_rollovers", "implausible", "unattributed_produced", "assumed_failures")
    return panels.stat(
        "machine.doubts",
        "count",
        *(targets.total(name, _WHOLE, alias=f"machine.doubt.{name}") for name in columns),
        width=12,
        height=8,
        decimals=0,
        empty="machine.no_doubt",
    )


def _glossary() -> Panel:
    shown = [flag for flag in (*FLAGS, *ITEM_FLAGS) if flag != "snapped_to_minutes"]
    return panels.glossary("machine.glossary", prefix="flag", ids=shown)


def _flags() -> Panel:
    columns = (schema.SHIFT, schema.COVERAGE, schema.FINAL, schema.REVISION, schema.FLAGS)
    where = f"{queries.CURRENT} AND {queries.other(schema.SHIFT, schema.WHOLE)}"
    of = Slice(source=Measurement.KPI_PUBLISHED, chosen=_CHOSEN, where=where)
    yes = {
        "type": "value",
        "options": {"0": {"text": "machine.no", "index": 0}, "1": {"text": "machine.yes", "index": 1}},
    }
    return panels.table(
        "machine.flags",
        "text",
        targets.rows(queries.rows(Measurement.KPI_PUBLISHED, columns, of, limit=100)),
        timed=True,
        width=12,
        empty="machine.no_shift",
        overrides=(
            panels.named("Time", title="machine.began", unit="time"),
            panels.named(schema.SHIFT, title="field.shift"),
            panels.named(schema.COVERAGE, title="kpi:coverage", unit="ratio", decimals=1, steps=theme.COVERAGE),
            panels.named(schema.FINAL, title="machine.final", mappings=(yes,)),
            panels.named(schema.REVISION, title="machine.revision", unit="count", decimals=0),
            panels.named(schema.FLAGS, title="machine.flags_name"),
        ),
    )
