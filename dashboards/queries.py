"""What boards ask, as InfluxQL, built from the schema's names and from the formulas that the KPI API computes with.

Between points and panels on registers -> samples -> messages -> points -> facts -> KPIs -> panels. InfluxQL alone, as
1.x, 2.x and 3.x share it. Four things of it decide the shape of every query here:

- a quotient with a zero below reads 0, so quotients stand outside a subquery and keep only rows with something below;
- a sum with a field that no point has is null, and facts are sparse, so every column is summed in a subquery of its own
  and the sums are added by summing over all of them;
- Grafana's ``$timeFilter`` includes its end, where a fact of the next hour or shift may stand, so windows are written
  half-open from the range's two ends;
- a field cannot be told from a number of a range, so grain and bucket come from the lookup that ``GRAIN`` describes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from historian.influxql import identifier
from historian.schema import SHIFT
from kpi.evaluation.formulas import APPARENT, FORMULAS, SUMS, Formula
from shopfloor.plant import Plant

WINDOW: Final = "time >= ${__from}ms AND time < ${__to}ms"
"""The board's range, half-open."""
GRAIN: Final = "${grain:raw}"
"""The measurement of facts that suits the range: variable ``grain``."""
LOSSES: Final = "${losses:raw}"
"""The measurement of losses that suits the range: variable ``losses``."""
BUCKET: Final = "${bucket:raw}"
"""The stretch of time that suits the range and its grain: variable ``bucket``."""
ZONE: Final = "tz('${tz:raw}')"
"""The site's time zone: variable ``tz``."""

LEVELS: Final = ("site", "area", "work_center", "work_unit")
"""Tags that tell a unit from all others of an enterprise."""
CHOICES: Final[Mapping[str, str]] = {
    "site": "site",
    "work_center": "line",
    "work_unit": "unit",
    SHIFT: "shift",
}
"""Tag -> the variable that chooses its values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Which facts are merged, and into which groups."""

    source: str = GRAIN
    chosen: tuple[str, ...] = ("site", "work_center", "work_unit")
    """Tags whose values the board's variables choose."""
    where: str = ""
    """A further condition."""
    by: tuple[str, ...] = ()
    """Tags of a group."""
    every: str | None = None
    """Length of a group in time, as ``1h`` or ``BUCKET``; None merges the whole range."""
    fill: str = "none"
    """What a stretch of time without facts is: no row, or ``null``, which is a gap in a line."""
    prefix: str = ""
    """What stands before the names of columns, as ``sum_`` where merged records are published."""

    def but(self, condition: str) -> "Slice":
        """The same with one more condition; an empty one changes nothing."""
        return replace(self, where=" AND ".join(part for part in (self.where, condition) if part))

    @property
    def condition(self) -> str:
        """After WHERE."""
        return " AND ".join(part for part in (WINDOW, *map(choice, self.chosen), self.where) if part)

    @property
    def grouping(self) -> str:
        """GROUP BY and what follows, with a blank before it, or nothing."""
        groups = [*([f"time({self.every})"] if self.every else []), *map(identifier, self.by)]
        fill = f" fill({self.fill})" if self.every else ""
        return f" GROUP BY {', '.join(groups)}{fill}" if groups else ""

    @property
    def zone(self) -> str:
        """The clause that makes days local; groups without time need none."""
        return f" {ZONE}" if self.every else ""

    def stored(self, column: str) -> str:
        """The stored name of a column, quoted."""
        return identifier(self.prefix + column)


def choice(tag: str) -> str:
    """The condition that a tag has one of the values chosen on the board."""
    return f"{identifier(tag)} =~ /^${{{CHOICES[tag]}:regex}}$/"


def rated(plant: Plant) -> str:
    """The condition that leaves out machines without a planned run time, of which rated KPIs tell nothing."""
    return _without(unit.path.work_unit for unit in plant.units.values() if unit.planned_run_time_s is None)


def _without(units: Iterable[str]) -> str:
    names = sorted(set(units))
    return f'"work_unit" !~ /^({"|".join(names)})$/' if names else ""


def kpi(name: str, of: Slice) -> str:
    """A KPI of the additive record over each group of a slice: a field ``name``, no row where it is None.

    ``name`` is one of ``kpi.evaluation.formulas.FORMULAS``; its columns, its elements and its quotient come from there.
    """
    formula = FORMULAS[name]
    needed = (formula.needs,) if formula.needs else ()
    elements = tuple(dict.fromkeys(part for element in (*formula.elements, *needed) for part in _parts(element)))
    columns = _columns(elements)
    below = {column for element in formula.under for part in _parts(element) for column in _linear(part)}
    optional = [element for element in formula.over if formula.under and element not in needed]
    asked = (
        _sums(column, shares, [element for element in optional if element not in shares and column in below], of)
        for column, shares in columns.items()
    )
    merged = ", ".join(f"sum({identifier(element)}) AS {identifier(element)}" for element in elements)
    guards = " AND ".join(
        f"{identifier(element)} > 0" for element in dict.fromkeys((*formula.under, *needed)) if element != APPARENT
    )  # where there is reactive energy, there is apparent energy
    return (
        f"SELECT {_quotient(formula)} AS {identifier(name)} FROM (SELECT {merged} FROM {', '.join(asked)}"
        f" WHERE {WINDOW}{of.grouping}) WHERE {guards}{_by_tags(of)}{of.zone}"
    )


def course(name: str, of: Slice) -> str:
    """The same over time, with an empty row where the KPI is None, so that a line has a gap there."""
    return (
        f"SELECT last({identifier(name)}) AS {identifier(name)} FROM ({kpi(name, of)}) WHERE {WINDOW}"
        f"{replace(of, fill='null').grouping}{of.zone}"
    )


def total(column: str, of: Slice, *, factor: float = 1.0) -> str:
    """A column of the additive record summed over each group: a field of its name."""
    scaled = "" if factor == 1 else f" * {factor!r}"
    return (
        f"SELECT sum({of.stored(column)}){scaled} AS {identifier(column)} FROM {_named(of.source)}"
        f" WHERE {of.condition}{of.grouping}{of.zone}"
    )


def greatest(column: str, of: Slice) -> str:
    """The greatest value of a column that merges by maximum over each group."""
    return (
        f"SELECT max({of.stored(column)}) AS {identifier(column)} FROM {_named(of.source)}"
        f" WHERE {of.condition}{of.grouping}{of.zone}"
    )


def element(name: str, of: Slice, *, factor: float = 1.0) -> str:
    """A sum of columns of ``kpi.evaluation.formulas.SUMS`` over each group: a field ``name``."""
    asked = (_sums(column, {name: share}, (), of) for column, share in _linear(name).items())
    scaled = "" if factor == 1 else f" * {factor!r}"
    return (
        f"SELECT sum({identifier(name)}){scaled} AS {identifier(name)} FROM {', '.join(asked)}"
        f" WHERE {WINDOW}{of.grouping}{of.zone}"
    )


def _named(source: str) -> str:
    return identifier(source)


def _by_tags(of: Slice) -> str:
    return f" GROUP BY {', '.join(map(identifier, of.by))}" if of.by else ""


def _sums(column: str, shares: Mapping[str, float], zeros: Iterable[str], of: Slice) -> str:
    """One column summed: as each element that it is part of, and as zero for those that may be missing."""
    total_ = f"sum({of.stored(column)})"
    parts = [f"{total_}{_times(share)} AS {identifier(element)}" for element, share in shares.items()]
    parts += [f"{total_} * 0 AS {identifier(element)}" for element in zeros]
    return f"(SELECT {', '.join(parts)} FROM {_named(of.source)} WHERE {of.condition}{of.grouping})"


def _times(share: float) -> str:
    return "" if share == 1 else f" * {share:g}"


def _parts(element: str) -> tuple[str, ...]:
    """The elements that are sums of columns in an element: itself, but for the apparent energy."""
    return ("energy_kwh", "reactive_kvarh") if element == APPARENT else (element,)


def _value(element: str) -> str:
    if element == APPARENT:
        active, reactive = map(identifier, _parts(element))
        return f"sqrt({active} * {active} + {reactive} * {reactive})"
    return identifier(element)


def _quotient(formula: Formula) -> str:
    factor = [] if formula.factor == 1 else [f"{formula.factor!r}"]
    over = " * ".join([*factor, *map(_value, formula.over)])
    return " / ".join([over, *map(_value, formula.under)])


def _columns(elements: Iterable[str]) -> dict[str, dict[str, float]]:
    """Column -> the elements that it is part of, with its share in each."""
    columns: dict[str, dict[str, float]] = {}
    for element in elements:
        for column, share in _linear(element).items():
            columns.setdefault(column, {})[element] = share
    return columns


def _linear(element: str) -> dict[str, float]:
    """Column -> share of an element that is a sum of columns; what cancels out is not there."""
    if element not in SUMS:
        return {element: 1.0}
    shares: dict[str, float] = {}
    for sign, parts in ((1.0, SUMS[element].plus), (-1.0, SUMS[element].minus)):
        for part in parts:
            for column, share in _linear(part).items():
                shares[column] = shares.get(column, 0.0) + sign * share
    return {column: share for column, share in shares.items() if share}
