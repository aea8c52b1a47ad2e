"""Statements at rest: people's layer beside the samples, and the interval that each makes dirty, in one write.

Between people and *points -> facts* of registers -> samples -> messages -> points -> facts -> KPIs -> panels.
"""

from typing import Final

from historian.historian import Historian
from historian.point import Point, Query
from historian.records import Dirty, dirty_point, point_statement, statement_point, unit_query
from historian.schema import Measurement, Origin
from shopfloor.errors import Backpressure
from shopfloor.instant import Instant
from shopfloor.statement import Statement

_TRIES: Final = 10_000


def put(historian: Historian, enterprise: str, statement: Statement, *, touched: tuple[Instant, Instant]) -> None:
    """Store a statement with the interval ``touched`` that it makes dirty; returns when both are durable.

    Both go in one call, so whoever derives the unit finds it, also after a kill. A statement's place among those of its
    unit is the millisecond in which it was made, or the next that is free: the store refuses to overwrite another's,
    so two processes may put at once. Putting a statement again changes nothing but that its interval is derived
    again. Raises Backpressure or ServiceUnavailable: then it may or may not be stored and must be put again.
    """
    stamp = _stamp_of(historian, enterprise, statement)
    for _ in range(_TRIES):
        points = [_dirty(enterprise, statement, stamp, touched), statement_point(enterprise, statement, stamp)]
        report = historian.write(points)
        if report.kept(len(points)):
            raise Backpressure("the historian took only a part of the statement")
        if not report.rejected:
            return
        if not historian.read(unit_query(Measurement.STATEMENTS, enterprise, statement.unit, stamp, stamp + 1)):
            raise ValueError(f"the statement cannot be stored: {next(iter(report.rejected.values()))}")
        stamp += 1
    raise Backpressure("too many statements were made in one instant")


def statements_of(
    historian: Historian, enterprise: str, unit: str, start: Instant | None = None, end: Instant | None = None
) -> list[Statement]:
    """Every statement on a unit that overlaps [start, end), in force or not, open-ended ones too; by place.

    What supersedes one of them comes along even where it overlaps nothing itself, so that
    ``shopfloor.statement.in_force`` of the answer is right.
    """
    found = all_statements(historian, enterprise, unit)
    wanted = {each.id for each in found if each.overlaps(0 if start is None else start, end)}
    while more := {each.id for each in found if each.supersedes in wanted} - wanted:
        wanted |= more
    return [each for each in found if each.id in wanted]


def all_statements(historian: Historian, enterprise: str, unit: str | None = None) -> list[Statement]:
    """Every statement on a unit, or on all units of the enterprise; in order of their places."""
    where = {"enterprise": enterprise}
    query = Query(Measurement.STATEMENTS, where) if unit is None else _of_unit(enterprise, unit)
    return [point_statement(point) for point in historian.read(query)]


def _of_unit(enterprise: str, unit: str) -> Query:
    return unit_query(Measurement.STATEMENTS, enterprise, unit)


def _stamp_of(historian: Historian, enterprise: str, statement: Statement) -> Instant:
    """Where the statement stands already, else the first free millisecond since it was made."""
    free = statement.made_at
    for point in historian.read(unit_query(Measurement.STATEMENTS, enterprise, statement.unit, statement.made_at)):
        if point_statement(point).id == statement.id:
            return point.time
        if point.time == free:
            free += 1
    return free


def _dirty(enterprise: str, statement: Statement, stamp: Instant, touched: tuple[Instant, Instant]) -> Point:
    cause = f"statement {statement.id}"
    return dirty_point(
        enterprise,
        Dirty(
            statement.unit,
            stamp,
            *touched,
            origin=Origin.STATEMENT,
            cause=cause,
            who=statement.author,
            id=statement.id,
        ),
    )
