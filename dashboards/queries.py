"""What boards ask, as InfluxQL, built from the schema's names and from the formulas that the KPI API computes with.

Between points and panels on registers -> samples -> messages -> points -> facts -> KPIs -> panels. InfluxQL alone, as
1.x, 2.x and 3.x share it. Four things of it decide the shape of every query here:

- a quotient with a zero below reads 0, so quotients stand outside a subquery and keep only rows with something below;
- a sum with a field that no point has is null, and facts are sparse, so what KPIs divide is stored beside the columns
  of a fact, 0 where it is nothing (decision 0042); other columns are summed in a subquery of their own each, and the
  sums are added by summing over all of them;
- Grafana's ``$timeFilter`` includes its end, where a fact of the next hour or shift may stand, so windows are written
  half-open from the range's two ends;
- a field cannot be told from a number of a range, so grain and bucket come from the lookup that ``GRAIN`` describes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from historian import schema
from historian.influx_names import KEPT, MARKER, policy_of
from historian.influxql import identifier, literal
from historian.schema import SHIFT, Grain, Measurement
from kpi.evaluation.formulas import APPARENT, FORMULAS, Formula
from shopfloor.elements import KEPT_WHOLE, SUMS, columns_of
from shopfloor.plant import Plant

WINDOW: Final = "time >= ${__from}ms AND time < ${__to}ms"
"""The board's range, half-open."""
INTERVAL: Final = "$__interval"
"""Grafana's own stretch, by the width of the panel; for samples, which have no grain. Servers know no braces here."""
NEWEST: Final = "time >= ${__to}ms - 7d AND time < ${__to}ms"
"""The week before the end of the range: where the newest of something is looked for, however short the range."""
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

    window: str = WINDOW
    """``WINDOW``, ``NEWEST`` or ``tail``."""
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
        return " AND ".join(part for part in (self.window, *map(choice, self.chosen), self.where) if part)

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
        """The stored name of a column or of an element that is stored as a whole, quoted."""
        return identifier((schema.SUM if column in SUMS else self.prefix) + column)


def tail(length: str) -> str:
    """The end of the range, at most this long: for what is stored by the second."""
    return f"{WINDOW} AND time >= ${{__to}}ms - {length}"


def choice(tag: str) -> str:
    """The condition that a tag has one of the values chosen on the board."""
    return f"{identifier(tag)} =~ /^${{{CHOICES[tag]}:regex}}$/"


def rated(plant: Plant) -> str:
    """The condition that leaves out machines without a planned run time, of which rated KPIs tell nothing."""
    return none_of(
        "work_unit", {unit.path.work_unit for unit in plant.units.values() if unit.planned_run_time_s is None}
    )


def kpi(name: str, of: Slice) -> str:
    """A KPI of the additive record over each group of a slice: a field ``name``, no row where it is None.

    ``name`` is one of ``kpi.evaluation.formulas.FORMULAS``; its columns, its elements and its quotient come from there.
    """
    return quotient(name, FORMULAS[name], of)


def quotient(name: str, formula: Formula, of: Slice) -> str:
    """Any quotient of products of elements over each group: a field ``name``, no row where there is nothing below."""
    needed = (formula.needs,) if formula.needs else ()
    if _is_whole(formula, needed, of):
        return _quotient_of_whole(name, formula, needed, of)
    elements = tuple(dict.fromkeys(part for element in (*formula.elements, *needed) for part in _parts(element)))
    columns = _columns(elements)
    below = {column for element in formula.under for part in _parts(element) for column in _linear(part)}
    optional = [element for element in formula.over if formula.under and element not in needed]
    asked = (
        _sums(column, parts, [element for element in optional if element not in parts and column in below], of)
        for column, parts in columns.items()
    )
    merged = ", ".join(f"sum({identifier(element)}) AS {identifier(element)}" for element in elements)
    return (
        f"SELECT {_quotient(formula)} AS {identifier(name)} FROM (SELECT {merged} FROM {', '.join(asked)}"
        f" WHERE {of.window}{of.grouping}) WHERE {_guards(formula, needed)}{_by_tags(of)}{of.zone}"
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
    """A sum of columns of ``shopfloor.elements.SUMS`` over each group: a field ``name``."""
    return linear(name, {name: 1.0}, of, factor=factor)


def linear(name: str, shares: Mapping[str, float], of: Slice, *, factor: float = 1.0) -> str:
    """A sum of shares of columns or elements over each group: a field ``name``."""
    columns: dict[str, float] = {}
    for part, share in shares.items():
        for column, of_part in _linear(part).items():
            columns[column] = columns.get(column, 0.0) + share * of_part
    asked = (_sums(column, {name: share}, (), of) for column, share in columns.items() if share)
    scaled = "" if factor == 1 else f" * {factor!r}"
    return (
        f"SELECT sum({identifier(name)}){scaled} AS {identifier(name)} FROM {', '.join(asked)}"
        f" WHERE {of.window}{of.grouping}{of.zone}"
    )


def last(field: str, of: Slice, *, factor: float = 1.0, plus: float = 0.0) -> str:
    """The newest value of a field in each group, at its own time, times ``factor`` and with ``plus`` added."""
    newest = (
        f"SELECT last({identifier(field)}) AS {identifier(field)} FROM {_named(of.source)}"
        f" WHERE {of.condition}{_by_tags(of)}"
    )
    if factor == 1 and not plus:
        return newest
    return (
        f"SELECT {identifier(field)} * {factor:g} + {plus:g} AS {identifier(field)} FROM ({newest})"
        f" WHERE {of.window}{_by_tags(of)}"
    )


def newest_sample(of: Slice) -> str:
    """One row of each group, at the time of its newest sample of whatever tag."""
    return last(MARKER, replace(of, source=Measurement.SAMPLES))


def measured(tag: str, how: str, every: str, of: Slice) -> str:
    """A tag of the samples over stretches of time; ``how`` is InfluxQL's function. A stretch without any is a gap."""
    groups = ", ".join((f"time({every})", *map(identifier, of.by)))
    return (
        f"SELECT {how}({identifier(tag)}) AS {identifier(tag)} FROM {_named(Measurement.SAMPLES)}"
        f" WHERE {of.condition} GROUP BY {groups} fill(null) {ZONE}"
    )


def rows(source: Measurement, columns: Iterable[str], of: Slice, *, limit: int, newest_first: bool = True) -> str:
    """Points as they are stored, with tags as columns."""
    order = " ORDER BY time DESC" if newest_first else ""
    return (
        f"SELECT {', '.join(map(identifier, columns))} FROM {_named(source)} WHERE {of.condition}{order} LIMIT {limit}"
    )


def greatest_rows(source: Measurement, column: str, beside: Iterable[str], of: Slice, *, limit: int) -> str:
    """The points with the greatest values of a column, and what else they hold."""
    more = "".join(f", {identifier(each)}" for each in beside)
    return (
        f"SELECT top({identifier(column)}, {limit}) AS {identifier(column)}{more} FROM {_named(source)}"
        f" WHERE {of.condition}"
    )


def published(field: str, of: Slice) -> str:
    """A published number of each period that begins in the range."""
    return (
        f"SELECT {identifier(field)} FROM {_named(Measurement.KPI_PUBLISHED)}"
        f" WHERE {of.condition} AND {CURRENT}{_by_tags(of)}"
    )


def newest_published(fields: Iterable[str], of: Slice, *, less: Mapping[str, tuple[str, str]] | None = None) -> str:
    """The published row of each group's newest period that holds; what is undefined there is absent.

    ``less``: name -> two fields, the first less the second; absent where either is.
    """
    more = "".join(f", {identifier(field)}" for field in fields)
    for name, (whole, part) in (less or {}).items():
        more += f", {identifier(whole)} - {identifier(part)} AS {identifier(name)}"
    return (
        f"SELECT last({identifier(schema.CURRENT)}) AS {identifier(schema.CURRENT)}{more}"
        f" FROM {_named(Measurement.KPI_PUBLISHED)} WHERE {of.condition} AND {CURRENT}{_by_tags(of)}"
    )


def share_of_losses(name: str, part: str, of: Slice) -> str:
    """The share of lost time that fulfils a further condition: a field ``name``, 0 where some is lost and none does."""
    seconds = f"sum({identifier(schema.LOST_SECONDS)})"
    source = _named(of.source)
    whole = f"SELECT {seconds} AS whole, {seconds} * 0 AS part FROM {source} WHERE {of.condition}{of.grouping}"
    some = f"SELECT {seconds} AS part FROM {source} WHERE {of.but(part).condition}{of.grouping}"
    return (
        f"SELECT part / whole AS {identifier(name)} FROM (SELECT sum(part) AS part, sum(whole) AS whole"
        f" FROM ({whole}), ({some}) WHERE {of.window}{of.grouping}) WHERE whole > 0{_by_tags(of)}{of.zone}"
    )


CURRENT: Final = f"{identifier(schema.CURRENT)} = 1"
"""What of the published holds."""


def leaving(plant: Plant) -> str:
    """The condition that leaves out the inner units of serial lines: what they make leaves at the output unit."""
    lines = (line for site in plant.sites for area in site.areas for line in area.work_centers if line.is_serial)
    return " AND ".join(
        f"({other('work_center', line.id)} OR {none_of('work_unit', inner)})"
        for line in lines
        if (inner := [unit.path.work_unit for unit in line.units if unit.path.work_unit != line.output_unit])
    )


def one_of(tag: str, values: Iterable[str]) -> str:
    """The condition that a tag has one of these values."""
    return f"{identifier(tag)} =~ /^({'|'.join(sorted(values))})$/"


def none_of(tag: str, values: Iterable[str]) -> str:
    """The condition that it has none of them; without values every one will do."""
    names = sorted(values)
    return f"{identifier(tag)} !~ /^({'|'.join(names)})$/" if names else ""


def same(tag: str, value: str) -> str:
    """The condition that a tag has this value."""
    return f"{identifier(tag)} = {literal(value)}"


def other(tag: str, value: str) -> str:
    """The condition that it has another."""
    return f"{identifier(tag)} != {literal(value)}"


def _named(source: str) -> str:
    policy = policy_of(source)
    return identifier(source) if policy == KEPT else f"{identifier(policy)}.{identifier(source)}"


def _is_whole(formula: Formula, needed: Iterable[str], of: Slice) -> bool:
    """Whether what stands above is stored with its zeros, and what must be more than 0 in one field each."""
    guarded = {*formula.under, *needed}
    return (
        of.source in (GRAIN, *Grain)
        and bool(guarded)
        and APPARENT not in formula.elements
        and all(element in KEPT_WHOLE or element in guarded for element in formula.over)
    )


def _quotient_of_whole(name: str, formula: Formula, needed: Iterable[str], of: Slice) -> str:
    """One subquery sums everything; a field that no point of a group has is null there, and null is not above 0."""
    fields = {element: _whole(element) for element in dict.fromkeys((*formula.elements, *needed))}
    sums = ", ".join(f"sum({field}) AS {identifier(element)}" for element, field in fields.items())
    return (
        f"SELECT {_quotient(formula)} AS {identifier(name)} FROM (SELECT {sums} FROM {_named(of.source)}"
        f" WHERE {of.condition}{of.grouping}) WHERE {_guards(formula, needed)}{_by_tags(of)}{of.zone}"
    )


def _whole(element: str) -> str:
    """The one field that holds an element or a column."""
    return identifier(schema.SUM + element if element in KEPT_WHOLE else element)


def _guards(formula: Formula, needed: Iterable[str]) -> str:
    """What must be more than 0; where there is reactive energy, there is apparent energy."""
    return " AND ".join(
        f"{identifier(element)} > 0" for element in dict.fromkeys((*formula.under, *needed)) if element != APPARENT
    )


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


def _linear(element: str) -> Mapping[str, float]:
    """Stored column -> share of an element that is a sum of columns; one that is stored as a whole is all of itself."""
    return {element: 1.0} if element in SUMS else columns_of(element)
