"""What boards ask of published points: rows that hold, of sites or of units, by whole production days.

Between points and panels on registers -> samples -> messages -> points -> facts -> KPIs -> panels. What InfluxQL cannot
roll up is read here: the energy of a place is that of its machines or of its meters, never of both (0014), and a
serial line's output is not the sum of its steps. Every query asks for rows that hold (0030).
"""

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
