"""What boards ask of published points: rows that hold, of sites or of units, by whole production days.

Between points and panels on registers -> samples -> messages -> points -> facts -> KPIs -> panels. What InfluxQL cannot
roll up is read here: the energy of a place is that of its machines or of its meters, never of both (0014), and a
serial line's output is not the sum of its steps. Every query asks for rows that hold (0030).
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from dashboards.queries import LEVELS, WINDOW, Slice, choice
from historian import schema
from historian.influxql import identifier
from historian.schema import Measurement

HOLDS: Final = f"{identifier(schema.CURRENT)} = 1"
"""One guard for all fields of a row."""
OF_SITES: Final = f"{identifier('area')} = '{schema.WHOLE}' AND {identifier('site')} != '{schema.WHOLE}'"
OF_UNITS: Final = f"{identifier('work_unit')} != '{schema.WHOLE}'"
DAYS: Final = f"{identifier(schema.PERIOD)} = 'day'"
MONTHS: Final = f"{identifier(schema.PERIOD)} = 'month'"
TOUCHING_MONTHS: Final = WINDOW.replace("${__from}ms", "${__from}ms - 31d")
"""The starts of the months that the range may touch."""

SITE_KPIS: Final = Slice(
    source=Measurement.KPI_PUBLISHED,
    chosen=("site",),
    where=f"{HOLDS} AND {identifier(schema.SHIFT)} = '{schema.WHOLE}' AND {OF_SITES}",
    prefix=schema.SUM,
)
"""The merged records of the chosen sites' production days."""
SITE_ENERGY: Final = Slice(
    source=Measurement.ENERGY_PUBLISHED, chosen=("site",), where=f"{HOLDS} AND {DAYS} AND {OF_SITES}"
)
"""The energy of the same days."""
UNIT_ENERGY: Final = Slice(source=Measurement.ENERGY_PUBLISHED, where=f"{HOLDS} AND {DAYS} AND {OF_UNITS}")
"""The energy of the chosen units' production days."""


def sums(columns: tuple[str, ...], of: Slice) -> str:
    """Several columns summed over each group, under their own names."""
    asked = ", ".join(f"sum({of.stored(column)}) AS {identifier(column)}" for column in columns)
    return f"SELECT {asked} FROM {identifier(of.source)} WHERE {of.condition}{of.grouping}{of.zone}"


def rows(fields: tuple[str, ...], of: Slice) -> str:
    """Fields as they stand, a row each, of each unit by its tags."""
    tags = ", ".join(map(identifier, of.by))
    grouping = f" GROUP BY {tags}" if tags else ""
    return f"SELECT {', '.join(map(identifier, fields))} FROM {identifier(of.source)} WHERE {of.condition}{grouping}"


def running(column: str, of: Slice) -> str:
    """The running sum of a column over the days of the range."""
    tags = ", ".join(map(identifier, of.by))
    return (
        f"SELECT cumulative_sum({of.stored(column)}) AS {identifier(column)} FROM {identifier(of.source)}"
        f" WHERE {of.condition} GROUP BY {tags}"
    )


def bills(fields: tuple[str, ...]) -> str:
    """The months that the range touches, of sites and of the chosen units."""
    chosen = " AND ".join(map(choice, ("site", "work_center", "work_unit")))
    return (
        f"SELECT {', '.join(map(identifier, fields))} FROM {identifier(Measurement.ENERGY_PUBLISHED)}"
        f" WHERE {TOUCHING_MONTHS} AND {HOLDS} AND {MONTHS} AND {choice('site')} AND {identifier('site')} !="
        f" '{schema.WHOLE}' AND ({identifier('area')} = '{schema.WHOLE}' OR ({OF_UNITS} AND {chosen}))"
        f" GROUP BY {', '.join(map(identifier, LEVELS))}"
    )


# ------------------------------------------------------------ control charts and capability

LINE_KPIS: Final = Slice(
    source=Measurement.KPI_PUBLISHED,
    chosen=("site", "work_center"),
    where=(
        f"{HOLDS} AND {identifier(schema.SHIFT)} = '{schema.WHOLE}' AND {identifier('work_unit')} = '{schema.WHOLE}'"
        f" AND {identifier('work_center')} != '{schema.WHOLE}'"
    ),
    by=("site", "area", "work_center"),
    prefix=schema.SUM,
)
"""The merged records of the chosen lines' production days."""
LINE_COVERAGE: Final = replace(LINE_KPIS, every="1d", fill="null", prefix="")
"""Those lines' days one by one, with the fields of their rows; a day without one is a gap."""
MEASURED: Final = f"{identifier(schema.CHARACTERISTIC)} =~ /^${{characteristic:regex}}$/"
"""The condition that a point is of one of the characteristics chosen on the board."""
CHART_LINES: Final[Mapping[str, str]] = {
    schema.CHART_VALUE: "value",
    schema.CHART_CENTRE: "CL",
    schema.CHART_UPPER: "UCL",
    schema.CHART_LOWER: "LCL",
}
"""Field of a chart's point -> the name of its line: centre line, upper and lower control limit."""
_BY_CHARACTERISTIC: Final = ", ".join(map(identifier, (*LEVELS, schema.CHARACTERISTIC)))
_CHART_POINTS: Final = identifier(Measurement.CHART_POINTS)
_CAPABILITY: Final = identifier(Measurement.CAPABILITY)


def chart(statistics: Iterable[str], *, alarms: bool = False) -> str:
    """The points of the control charts of one kind with their lines, or only those points that are alarms."""
    lines = {schema.CHART_VALUE: "value"} if alarms else CHART_LINES
    asked = ", ".join(f"{identifier(field)} AS {identifier(name)}" for field, name in lines.items())
    further = f" AND {identifier(schema.CHART_ALARM)} = 1" if alarms else ""
    return (
        f"SELECT {asked} FROM {_CHART_POINTS} WHERE {WINDOW} AND {HOLDS} AND {_units()} AND {MEASURED}"
        f" AND {identifier(schema.STATISTIC)} =~ /^({'|'.join(statistics)})$/{further} GROUP BY {_BY_CHARACTERISTIC}"
    )


def rule_hits(most: int) -> str:
    """The newest points that complete one of Nelson's rules or lie beyond a limit of spread."""
    tags = (schema.CHARACTERISTIC, schema.STATISTIC)
    fields = (schema.CHART_VALUE, schema.CHART_LOWER, schema.CHART_UPPER, schema.CHART_RULE, schema.CHART_ALARM)
    asked = ", ".join(map(identifier, ("work_unit", *tags, *fields)))
    hit = f"({identifier(schema.CHART_RULE)} > 0 OR {identifier(schema.CHART_ALARM)} = 1)"
    return (
        f"SELECT {asked} FROM {_CHART_POINTS} WHERE {WINDOW} AND {HOLDS} AND {_units()} AND {MEASURED} AND {hit}"
        f" ORDER BY time DESC LIMIT {most}"
    )


def capability(fields: Iterable[str]) -> str:
    """Fields of the chosen characteristics, a row for each of the chosen shifts."""
    asked = ", ".join(map(identifier, fields))
    return f"SELECT {asked} FROM {_CAPABILITY} WHERE {_shifts()} GROUP BY {_BY_CHARACTERISTIC}"


def newest_capability(fields: Iterable[str]) -> str:
    """The same of each characteristic's newest shift in the range, at the start of that shift."""
    return f"{capability(fields)} ORDER BY time DESC LIMIT 1"


def counted(fields: Iterable[str]) -> str:
    """Counts summed over the chosen shifts and characteristics."""
    asked = ", ".join(f"sum({identifier(field)}) AS {identifier(field)}" for field in fields)
    return f"SELECT {asked} FROM {_CAPABILITY} WHERE {_shifts()}"


def least(field: str, characteristic: str) -> str:
    """The least value of a field over the shifts of the range, of one characteristic of the chosen units."""
    return (
        f"SELECT min({identifier(field)}) AS {identifier(field)} FROM {_CAPABILITY} WHERE {WINDOW} AND {HOLDS}"
        f" AND {_units()} AND {identifier(schema.CHARACTERISTIC)} = '{characteristic}'"
    )


def _units() -> str:
    return " AND ".join(map(choice, ("site", "work_center", "work_unit")))


def _shifts() -> str:
    return f"{WINDOW} AND {HOLDS} AND {_units()} AND {choice(schema.SHIFT)} AND {MEASURED}"
