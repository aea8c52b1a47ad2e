"""Queries as targets of panels: a KPI, a sum, what was published, where the series of an answer get their names."""

from collections.abc import Mapping
from typing import Final

from dashboards import queries
from dashboards.board import Shape, Target
from dashboards.queries import Slice
from kpi.evaluation.formulas import RATED, Formula
from shopfloor.plant import Plant

UNIT_ALIAS: Final = "$tag_work_unit"
"""Series named by their unit."""


def kpi(
    plant: Plant, name: str, of: Slice | None = None, *, alias: str | None = None, shape: Shape = Shape.SERIES
) -> Target:
    """A KPI over a slice, the whole range unless the slice says otherwise; its series has the KPI's name by default."""
    of = of or Slice()
    if name in RATED:
        of = of.but(queries.rated(plant))
    query = queries.kpi(name, of)
    return Target(
        query=query, shape=shape, alias=f"kpi:{name}" if alias is None else alias, kpi=None if of.every else name
    )


def course(plant: Plant, name: str, of: Slice, *, alias: str) -> Target:
    """A KPI over time; a stretch in which it is None is a gap."""
    return Target(query=queries.course(name, of.but(queries.rated(plant)) if name in RATED else of), alias=alias)


def total(
    column: str, of: Slice | None = None, *, alias: str, factor: float = 1.0, shape: Shape = Shape.SERIES
) -> Target:
    """A column of the additive record summed over a slice."""
    return Target(query=queries.total(column, of or Slice(), factor=factor), shape=shape, alias=alias)


def element(
    name: str, of: Slice | None = None, *, alias: str, factor: float = 1.0, shape: Shape = Shape.SERIES
) -> Target:
    """A sum of columns, as ``planned_busy_s``, over a slice."""
    return Target(query=queries.element(name, of or Slice(), factor=factor), shape=shape, alias=alias)


def quotient(
    name: str, formula: Formula, of: Slice | None = None, *, alias: str, shape: Shape = Shape.SERIES
) -> Target:
    """A quotient that is no KPI of the table, over a slice."""
    return Target(query=queries.quotient(name, formula, of or Slice()), shape=shape, alias=alias)


def linear(
    name: str, shares: Mapping[str, float], of: Slice | None = None, *, alias: str, shape: Shape = Shape.SERIES
) -> Target:
    """A sum of shares of columns or elements over a slice."""
    return Target(query=queries.linear(name, shares, of or Slice()), shape=shape, alias=alias)


def rows(query: str) -> Target:
    """Rows of a table."""
    return Target(query=query, shape=Shape.TABLE)


def series(query: str, alias: str) -> Target:
    """Any query as series."""
    return Target(query=query, alias=alias)
