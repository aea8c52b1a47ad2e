"""Pipeline: does every sample that was read arrive, how late, and what became of those that did not."""

from collections.abc import Mapping
from typing import Any, Final

from dashboards import ledger_queries as ledger
from dashboards import panels, places, targets, theme, variables
from dashboards.board import Board, Override, Panel, Row, Shape, Step, Target, Variable
from historian import schema
from historian.influxql import identifier
from historian.schema import Measurement
from shopfloor.plant import Plant

AGENT: Final = Variable(
    name="agent",
    query=f"SHOW TAG VALUES FROM {identifier(Measurement.LEDGER)} WITH KEY = {identifier(schema.AGENT)}",
    multi=True,
)
CAUSES: Final = (
    "oversized",
    "not_json",
    "wrong_type",
    "wrong_topic",
    "foreign_agent",
    "empty",
    "not_finite",
    "out_of_range",
    "bad_time",
    "bad_seq",
    "bad_quality",
    "unknown_tag",
    "unknown_unit",
    "not_owner",
    "future_time",
    "clock_unsynced",
    "refused_by_store",
    "bad_state",
)
"""Causes of dead letters that have words of their own; any other is shown by its id."""
SILENT: Final = "5m"
"""An agent tells its counts every few seconds."""
SECONDS: Final = theme.falling(60, 600)
"""How long a sample may wait for its receipt: it is confirmed within seconds."""
NONE: Final = (Step(None, theme.GOOD), Step(1, theme.WARNING))
"""Nothing of this is wanted, but none of it is a loss."""
BALANCED: Final = (Step(None, theme.BAD), Step(0, theme.GOOD), Step(1, theme.BAD))
"""Books that balance to zero."""

TRUST: Final = {
    "type": "value",
    "options": {
        "1": {"text": "clock.trusted", "color": theme.GOOD, "index": 0},
        "0": {"text": "clock.doubtful", "color": theme.BAD, "index": 1},
    },
}
"""Whether an agent knows the time."""


def board(plant: Plant) -> Board:
    """The board."""
    return Board(
        id="pipeline",
        start="now-6h",
        refresh="30s",
        variables=(AGENT, *variables.PLACES, *variables.HIDDEN),
        rows=(
            Row("pipeline.row_now", _now(plant)),
            Row("pipeline.row_agents", (_agents(),)),
            Row("pipeline.row_road", _road()),
            Row("pipeline.row_letters", _letters()),
            Row("pipeline.row_clocks", (_clock(), _health())),
            Row("pipeline.row_units", (_units(plant), _coverage(plant))),
        ),
    )


def _now(plant: Plant) -> tuple[Panel, ...]:
    agents = len(plant.agents)
    return (
        _count(
            "heard",
            Target(query=ledger.heard(SILENT)),
            (Step(None, theme.BAD), Step(agents, theme.GOOD)),
            empty="pipeline.nobody",
        ),
        panels.stat(
            "pipeline.age", "ms", Target(query=ledger.age(least=True)), steps=theme.AGE_MS, decimals=0, width=6
        ),
        _sum("held", ledger.last("in_outbox"), theme.plain()),
        _sum(
            "unaccounted",
            " - ".join(map(ledger.last, ("appended", "confirmed", "in_outbox", "evicted"))),
            BALANCED,
        ),
        _sum("unpersisted", f"{ledger.last('polled')} - {ledger.last('appended')}", NONE),
        _sum("evicted", ledger.last("evicted"), (Step(None, theme.GOOD), Step(1, theme.BAD))),
        _sum("rejected", ledger.last(schema.LEDGER_REJECTED), NONE),
        _sum("set_aside", ledger.last("set_aside"), (Step(None, theme.GOOD), Step(1, theme.BAD))),
    )


def _sum(name: str, expression: str, steps: tuple[Step, ...]) -> Panel:
    return _count(name, Target(query=ledger.sum_of_last(expression, name)), steps)


def _count(name: str, target: Target, steps: tuple[Step, ...], empty: str | None = None) -> Panel:
    return panels.stat(f"pipeline.{name}", "count", target, steps=steps, decimals=0, width=6, empty=empty)


def _agents() -> Panel:
    counts = ("polled", "appended", "confirmed", "in_outbox", "evicted", schema.LEDGER_REJECTED)
    query = ledger.words(counts, (schema.LEDGER_TOLD, schema.LEDGER_MOVED))
    return panels.table(
        "pipeline.agents",
        "count",
        Target(query=query, shape=Shape.TABLE),
        decimals=0,
        overrides=(
            *_tags(),
            *(panels.named(name, title=f"ledger.{name}") for name in counts),
            panels.named("in_outbox", steps=theme.falling(1_000, 100_000), cell=theme.COLORED_TEXT),
            panels.named("evicted", steps=theme.falling(1, 1), cell=theme.COLORED_TEXT),
            _aged(schema.LEDGER_TOLD, theme.AGE_MS),
            _aged(schema.LEDGER_MOVED, theme.AGE_MS),
        ),
    )


def _tags() -> tuple[Override, ...]:
    nobody = {"type": "value", "options": {schema.NOBODY: {"text": "ledger.nobody", "index": 0}}}
    return (
        panels.named(schema.AGENT, title="ledger.agent", mappings=(nobody,)),
        panels.named(schema.OUTBOX, title="ledger.outbox", width=160),
    )


def _aged(field: str, steps: tuple[Step, ...]) -> Override:
    return panels.named(field, title=f"ledger.{field}", unit="ms", decimals=0, steps=steps, cell=theme.COLORED_TEXT)


def _road() -> tuple[Panel, ...]:
    return (
        _course("lag", "s", ledger.lag(schema.LEDGER_OLDEST), steps=SECONDS, empty="pipeline.none_held"),
        _course("receipt", "s", ledger.lag(schema.LEDGER_MOVED), steps=SECONDS, empty="pipeline.none_held"),
        _course("depth", "count", ledger.course("max", "in_outbox")),
        _course("bytes", "bytes", ledger.course("max", "outbox_bytes")),
        _course("rate", "count", ledger.rate("confirmed"), empty="pipeline.one_word"),
        _course("polled", "count", ledger.rate("polled"), empty="pipeline.one_word"),
    )


def _course(name: str, unit: str, query: str, **more: Any) -> Panel:
    steps = more.pop("steps", ())
    limits: Mapping[str, Any] = {"custom": {"thresholdsStyle": {"mode": "dashed"}}} if steps else {}
    by_agent = Target(query=query, alias=f"$tag_{schema.AGENT}")
    return panels.lines(f"pipeline.{name}", unit, by_agent, steps=steps, **limits, **more)


def _letters() -> tuple[Panel, ...]:
    causes = tuple(panels.named(f"/_dead_{cause}$/", title=f"letter.{cause}") for cause in CAUSES)
    return (
        panels.ranking(
            "pipeline.letters",
            "count",
            Target(query=ledger.letters(), shape=Shape.TABLE),
            steps=NONE,
            decimals=0,
            overrides=causes,
            empty="pipeline.no_letters",
        ),
        panels.table(
            "pipeline.letters_by_agent",
            "count",
            Target(query=ledger.letters(by_agent=True), shape=Shape.TABLE),
            width=12,
            decimals=0,
            overrides=(*_tags(), *causes),
            empty="pipeline.no_letters",
        ),
    )


def _clock() -> Panel:
    return panels.timeline(
        "pipeline.clock",
        Target(query=ledger.worst(schema.LEDGER_CLOCK, "min"), alias=f"$tag_{schema.AGENT}"),
        mappings=(TRUST,),
        height=5,
    )


def _health() -> Panel:
    told = (schema.LEDGER_CLOCK, *schema.LEDGER_HEALTH)
    return panels.table(
        "pipeline.health",
        "count",
        Target(query=ledger.words(told, (schema.LEDGER_TOLD,)), shape=Shape.TABLE),
        decimals=0,
        overrides=(
            *_tags(),
            *(panels.named(name, title=f"ledger.{name}") for name in schema.LEDGER_HEALTH),
            panels.named("outbox_bytes", title="ledger.outbox_bytes", unit="bytes"),
            panels.named("set_aside", steps=theme.falling(1, 1), cell=theme.COLORED_TEXT),
            panels.named(schema.LEDGER_CLOCK, title="ledger.clock_trusted", mappings=(TRUST,), cell=theme.COLORED_TEXT),
            _aged(schema.LEDGER_TOLD, theme.AGE_MS),
        ),
    )


def _units(plant: Plant) -> Panel:
    return panels.table(
        "pipeline.units",
        "text",
        Target(query=ledger.newest_samples(), shape=Shape.TABLE),
        width=16,
        timed=True,
        overrides=(
            panels.named("Time", title="pipeline.newest", unit="ago"),
            panels.named("fields", title="pipeline.fields"),
            *places.columns(plant, unit=panels.of_row("machine")),
        ),
    )


def _coverage(plant: Plant) -> Panel:
    return panels.gauge(
        "pipeline.coverage",
        "ratio",
        targets.kpi(plant, "coverage"),
        steps=theme.COVERAGE,
        decimals=1,
        width=8,
        height=8,
    )
