"""Facts as columns: every store gives what the same facts say when they are read point by point."""

import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from historian.fact_columns import FactColumns
from historian.historian import Historian
from historian.point import Point, Query
from historian.records import fact_point, unit_tags
from historian.schema import FACT_FIELDS, SHIFT, Grain
from shopfloor.fact import Fact
from shopfloor.instant import HOUR, MINUTE, Instant, parse_instant

BORDER = parse_instant("2026-02-01T00:00:00Z")
DAY = 24 * HOUR
ENTERPRISE = "acme"
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 10**6).map(float)

number = iter(range(1_000_000))


@st.composite
def facts(draw: st.DrawFn) -> tuple[Grain, Fact]:
    fact = Fact(
        draw(st.sampled_from(["cnc-01", "cnc-02", "press-01"])),
        BORDER + draw(st.integers(-3, 3)) * DAY + draw(st.integers(0, 3)) * HOUR,
        draw(st.sampled_from(["day", "night", "-"])),
        draw(st.sampled_from(["disc", "merah, {tua}", "none"])),
        draw(st.dictionaries(st.sampled_from(sorted(FACT_FIELDS)), NUMBERS, min_size=1, max_size=8)),
    )
    return draw(st.sampled_from(Grain)), fact


def store(historian: Historian, points: Sequence[Point]) -> None:
    assert len(historian.write(points).accepted) == len(points)


def rows(columns: FactColumns) -> list[tuple[Instant, object, dict[str, float]]]:
    """Time, series and what is not 0 of every row, as they come."""
    return [
        (
            int(columns.times[row]),
            columns.series[columns.owners[row]],
            {name: float(values[row]) for name, values in columns.values.items() if values[row]},
        )
        for row in range(len(columns))
    ]


def told(points: Sequence[Point]) -> list[tuple[Instant, object, dict[str, float]]]:
    """The same of points, put in order by hand."""
    found = [
        (
            point.time,
            (f"s/a/{point.tags['work_center']}/{point.tags['work_unit']}", point.tags[SHIFT], point.tags["product"]),
            {name: value for name, value in point.fields.items() if value},
        )
        for point in points
    ]
    return sorted(found, key=lambda row: row[:2])  # type: ignore[return-value]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(facts(), max_size=16), st.sampled_from(Grain), st.data())
def test_columns_say_what_the_points_say(
    historian: Historian, written: list[tuple[Grain, Fact]], grain: Grain, data: st.DataObject
) -> None:
    line = f"line-{next(number)}"
    store(
        historian,
        [fact_point(ENTERPRISE, of, Fact(f"s/a/{line}/{fact.unit}", *fact.key, fact.elements)) for of, fact in written],
    )
    bounds = st.none() | st.integers(BORDER - 4 * DAY, BORDER + 4 * DAY)
    start, end = data.draw(bounds), data.draw(bounds)
    tags = data.draw(st.sampled_from([{}, {"product": "disc"}, {"work_unit": "cnc-01", SHIFT: "night"}]))
    where = {"work_center": line, **tags}
    points = historian.read(Query(grain, where, start, end))
    found = historian.facts(grain, where, start, end)
    assert rows(found) == told(points) == rows(FactColumns.of(points))
    assert found.series == tuple(sorted(set(found.series)))
    assert {array.dtype for array in found.values.values()} <= {np.dtype(np.float64)}


def test_a_fact_that_was_overwritten_with_nothing_is_a_row_of_zeros(historian: Historian) -> None:
    unit, at = "s/a/line-x/cnc-01", BORDER
    store(historian, [fact_point(ENTERPRISE, Grain.HOUR, Fact(unit, at, "day", "disc", {"good": 3.0}))])
    store(historian, [fact_point(ENTERPRISE, Grain.HOUR, Fact(unit, at, "day", "disc", {"good": 0.0}))])
    found = historian.facts(Grain.HOUR, unit_tags(ENTERPRISE, unit), None, None)
    assert rows(found) == [(at, (unit, "day", "disc"), {})]


def test_where_there_are_no_facts_there_are_no_rows(historian: Historian) -> None:
    nothing = historian.facts(Grain.SHIFT, {"site": "nowhere"}, None, None)
    assert (len(nothing), nothing.series, dict(nothing.values)) == (0, (), {})
    unit = "s/a/line-y/cnc-01"
    store(historian, [fact_point(ENTERPRISE, Grain.SHIFT, Fact(unit, BORDER, "day", "disc", {"good": 3.0}))])
    assert len(historian.facts(Grain.SHIFT, unit_tags(ENTERPRISE, unit), BORDER + 1, BORDER - 1)) == 0


def test_a_tag_that_facts_do_not_have_is_refused(historian: Historian) -> None:
    with pytest.raises(ValueError, match="has no tag colour"):
        historian.facts(Grain.HOUR, {"colour": "red"}, None, None)


def test_columns_that_come_late_are_found_in_every_later_row(historian: Historian) -> None:
    """Two machines for 40 days by minute of an hour each: more than one batch, whose rows differ in their columns."""
    names = sorted(FACT_FIELDS)
    written = [
        Fact(
            f"s/a/line-z/cnc-{machine}",
            BORDER + day * DAY + minute * MINUTE,
            "day",
            "disc",
            {names[index % len(names)]: 1.0 + index for index in range(day, day + 12)},
        )
        for machine in range(2)
        for day in range(-20, 20)
        for minute in range(60)
    ]
    points = [fact_point(ENTERPRISE, Grain.MINUTE, fact) for fact in written]
    store(historian, points)
    found = historian.facts(Grain.MINUTE, {"work_center": "line-z"}, None, None)
    assert rows(found) == told(points)


def test_a_year_of_shifts_of_a_machine_is_read_in_a_blink(historian: Historian) -> None:
    """1,095 shifts of 25 columns; the bound is generous, docs/figures.md has the figure of a whole plant."""
    unit, elements = "s/a/line-w/cnc-01", dict.fromkeys(sorted(FACT_FIELDS)[:25], 1234.567)
    written = [Fact(unit, BORDER + number * 8 * HOUR, f"{number % 3}", "disc", elements) for number in range(1_095)]
    store(historian, [fact_point(ENTERPRISE, Grain.SHIFT, fact) for fact in written])
    began = time.perf_counter()
    found = historian.facts(Grain.SHIFT, unit_tags(ENTERPRISE, unit), None, None)
    spent = time.perf_counter() - began
    assert len(found) == 1_095
    assert spent < 1.0
