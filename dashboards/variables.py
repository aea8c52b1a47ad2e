"""The choices at the head of boards: site, line, unit, shift, and the hidden ones that follow from them."""

from dataclasses import replace
from typing import Final

from dashboards.board import Variable
from dashboards.queries import CHOICES, choice, none_of
from historian import schema
from historian.influxql import identifier
from historian.schema import Measurement
from shopfloor.plant import Plant


def _values(tag: str, *within: str, but: str = "") -> str:
    chosen = " AND ".join(part for part in (*map(choice, within), but) if part)
    where = f" WHERE {chosen}" if chosen else ""
    return f"SHOW TAG VALUES FROM {identifier(Measurement.FACTS_SHIFT)} WITH KEY = {identifier(tag)}{where}"


SITE: Final = Variable(name=CHOICES["site"], query=_values("site"), multi=True)
LINE: Final = Variable(name=CHOICES["work_center"], query=_values("work_center", "site"), multi=True)
UNIT: Final = Variable(name=CHOICES["work_unit"], query=_values("work_unit", "site", "work_center"), multi=True)
ONE_SITE: Final = replace(SITE, multi=False, all=False)
SHIFT: Final = Variable(name=CHOICES[schema.SHIFT], query=_values(schema.SHIFT, "site", "work_center"), multi=True)


def one_line(plant: Plant) -> Variable:
    """One line with machines: of a row of meters alone a board of production tells nothing."""
    lines = [line for site in plant.sites for area in site.areas for line in area.work_centers]
    without = {line.id for line in lines if not any(unit.is_machine for unit in line.units)}
    without -= {line.id for line in lines if any(unit.is_machine for unit in line.units)}
    query = _values("work_center", "site", but=none_of("work_center", without))
    return replace(LINE, multi=False, all=False, query=query)


def one_unit(plant: Plant) -> Variable:
    """One machine."""
    machines = {unit.path.work_unit for unit in plant.units.values() if unit.is_machine}
    meters = {unit.path.work_unit for unit in plant.units.values() if not unit.is_machine} - machines
    query = _values("work_unit", "site", "work_center", but=none_of("work_unit", meters))
    return replace(UNIT, multi=False, all=False, query=query)


def _by_range(name: str, field: str, fallback: str) -> Variable:
    """A field of the lookup of grains: its point stands at the longest range for which it holds."""
    query = (
        f"SELECT first({identifier(field)}) FROM {identifier(Measurement.GRAINS)}"
        " WHERE time >= ${__to}ms - ${__from}ms"
    )
    return Variable(name=name, query=query, all=False, hidden=True, by_range=True, fallback=fallback)


GRAIN: Final = _by_range("grain", schema.GRAIN_SOURCE, Measurement.FACTS_HOUR)
LOSSES: Final = _by_range("losses", schema.GRAIN_LOSSES, Measurement.LOSSES_HOUR)
BUCKET: Final = _by_range("bucket", schema.GRAIN_BUCKET, "1h")
ZONE: Final = Variable(
    name="tz",
    query=(
        f"SELECT last({identifier(schema.SITE_TIMEZONE)}) FROM {identifier(Measurement.SITES)}"
        f" WHERE time >= 0 AND {choice('site')}"
    ),
    all=False,
    hidden=True,
    fallback="UTC",
)
HIDDEN: Final = (GRAIN, LOSSES, BUCKET, ZONE)
PLACES: Final = (SITE, LINE, UNIT)
"""What most boards let choose."""

__all__ = [
    "BUCKET",
    "GRAIN",
    "HIDDEN",
    "LINE",
    "LOSSES",
    "ONE_SITE",
    "PLACES",
    "SHIFT",
    "SITE",
    "UNIT",
    "ZONE",
    "one_line",
    "one_unit",
]
