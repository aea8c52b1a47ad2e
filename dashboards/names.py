"""Whether a query's measurements and columns are those of the schema, and whether it asks what may be asked. Pure.

Beside the panels of registers -> samples -> messages -> points -> facts -> KPIs -> panels, for ``lint``.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from dashboards.influxql_select import ANYTHING, Select, Unreadable, read_query
from dashboards.queries import GRAIN
from historian import schema
from historian.influx_names import MARKER, RAW
from historian.schema import PUBLISHED, TAG_KEYS, Grain, Measurement, knows_field
from kpi.evaluation.definitions import KPIS
from shopfloor.additive import COLUMNS
from shopfloor.elements import SUMS

_AVERAGES: Final = frozenset({"mean", "median", "mode", "percentile", "moving_average"})
_RATIOS: Final = frozenset({*Grain, Measurement.KPI_PUBLISHED, Measurement.ENERGY_PUBLISHED, Measurement.SCORECARDS})
"""Measurements of sums and of quotients: an average of quotients is no quotient of sums."""
_FACTS: Final = frozenset(Grain)
_GUARD: Final = f'"{schema.CURRENT}" = 1'
_CHOICES: Final = "SHOW "
"""How a query for tags begins; it reads no fields, and needs no guard for them."""
_TARGETS: Final = frozenset(f"{schema.TARGET}{name}" for name in ("oee", "availability", "effectiveness", "quality"))
_KPI_FIELDS: Final = (
    frozenset(KPIS)
    | _TARGETS
    | {f"{schema.SUM}{name}" for name in (*COLUMNS, *SUMS)}
    | {schema.CURRENT, schema.PERIOD_START, schema.PERIOD_UNTIL, schema.PERIOD_DAY, schema.FINAL, schema.REVISION}
    | {schema.SIGNED, schema.COVERAGE, schema.FLAGS}
)
_TIME: Final = "time"
_BY_VARIABLE: Final[Mapping[str, str]] = {GRAIN: Grain.HOUR.value, "${losses:raw}": Measurement.LOSSES.value}
"""Measurement by a variable -> one of those that it may be: they have the same columns."""


def name_problems(query: str) -> Iterator[str]:
    """What is wrong with a query, each in words that say what to do."""
    try:
        found = read_query(query)
    except Unreadable as fault:
        yield str(fault)
        return
    choices = query.lstrip().upper().startswith(_CHOICES)
    for select in found.all():
        yield from _select(select, choices=choices)
    if "now()" in query.replace(" ", "").lower():
        yield "now() is the server's: a board may look at the past; write ${__to}ms"


def _select(select: Select, *, choices: bool) -> Iterator[str]:
    inner = {name for source in select.sources if isinstance(source, Select) for name in source.gives}
    for source, policy in zip(select.sources, select.policies, strict=True):
        if isinstance(source, Select):
            continue
        measurement = _BY_VARIABLE.get(source, source)
        if measurement not in TAG_KEYS:
            yield f"there is no measurement {source!r}; take one of historian.schema"
            continue
        yield from _columns(select, measurement)
        yield from _place(measurement, policy)
        if measurement in PUBLISHED and _GUARD not in select.condition and not choices:
            yield f"{measurement} without {_GUARD}: a row that was replaced would be shown too"
    if inner and ANYTHING not in inner:
        tags = {tag for measurement in select.measurements() for tag in _tags(measurement)}
        for name in (*select.reads, *select.asks):
            if name not in inner | tags | {_TIME, ANYTHING}:
                yield f"{name!r} is no column of the subquery; it gives {', '.join(sorted(inner))}"
    if set(select.functions) & _AVERAGES and _of_ratios(select):
        yield "an average of quotients or of sums; sum both parts and divide once, as queries.kpi does"


def _columns(select: Select, measurement: str) -> Iterator[str]:
    tags = _tags(measurement)
    for name in select.reads:
        if name not in tags and name not in (_TIME, ANYTHING) and not _knows(measurement, name):
            yield f"{measurement} has no field {name!r}; take one of historian.schema"
    for name in select.asks:
        if name not in tags and name != _TIME and not _knows(measurement, name):
            yield f"{measurement} has neither tag nor field {name!r}"
    for name in select.groups:
        if name not in tags and name != ANYTHING:
            yield f"{measurement} has no tag {name!r}; it has {', '.join(tags)}"


def _tags(measurement: str) -> tuple[str, ...]:
    return TAG_KEYS.get(_BY_VARIABLE.get(measurement, measurement), ())


def _knows(measurement: str, field: str) -> bool:
    if field == MARKER or "${" in field:  # whoever writes a variable's values answers for them
        return True
    if measurement == Measurement.KPI_PUBLISHED:
        return field in _KPI_FIELDS
    return knows_field(measurement, field) or (measurement in _FACTS and field in schema.FACT_SUMS)


def _place(measurement: str, policy: str) -> Iterator[str]:
    if measurement == Measurement.SAMPLES and policy != RAW:
        yield f'samples rest in a policy of their own; write "{RAW}"."{measurement}"'
    if measurement != Measurement.SAMPLES and policy:
        yield f"{measurement} rests in the database's own policy; write its name alone"


def _of_ratios(select: Select) -> bool:
    return any(_BY_VARIABLE.get(name, name) in _RATIOS for name in select.measurements())
