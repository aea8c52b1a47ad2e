"""Beside a fact's columns an InfluxDB has the sums that boards divide by, of the whole fact, and of nothing else."""

from historian.fact_sums import with_sums
from historian.line_batches import batches, sound
from historian.records import fact_point
from historian.schema import FACT_SUMS, Grain
from kpi.evaluation.evaluate import evaluate
from shopfloor.elements import SUMS, columns_of
from shopfloor.fact import Fact

UNIT = "s/a/l/u"
RECORD = {"running_s": 40.0, "micro_stop_s": 5.0, "starved_s": 3.5, "unknown_s": 10.0, "repair_s": 1.0, "good": 7.0}


def test_the_sums_are_those_of_the_kpi_engine() -> None:
    fields = with_sums(Grain.SHIFT, RECORD)
    assert {name: fields[name] for name in RECORD} == RECORD
    whole = evaluate(RECORD).elements
    assert {name: fields[name] for name in FACT_SUMS} == {
        name: whole.get(name.removeprefix("sum_"), 0.0) for name in FACT_SUMS
    }
    assert fields["sum_planned_busy_s"] == 58.5


def test_every_sum_comes_down_to_columns() -> None:
    assert columns_of("up_s")["repair_s"] == -1.0
    assert "unknown_s" not in columns_of("known_busy_s")  # it cancels out
    assert not any(name in SUMS for element in SUMS for name in columns_of(element))


def test_only_facts_have_them_and_what_is_beyond_all_numbers_is_left_out() -> None:
    assert with_sums("losses_hour", {"lost_s": 1.0}) == {"lost_s": 1.0}
    assert "sum_known_busy_s" not in with_sums(Grain.HOUR, {"running_s": 1.7e308, "setup_s": 1.7e308})
    assert with_sums(Grain.HOUR, {"good": 1.0})["sum_calendar_s"] == 0.0


def test_what_two_points_of_one_fact_make_has_the_sums_of_both() -> None:
    parts = [fact_point("e", Grain.HOUR, Fact(UNIT, 0, "pagi", "p", {name: 5.0})) for name in ("running_s", "setup_s")]
    ((_, (line,)),) = batches(parts, sound(parts).heads, ())
    assert b"sum_processing_s=10.0" in line.text


def test_nobody_may_write_them_as_fields_of_a_fact() -> None:
    point = fact_point("e", Grain.HOUR, Fact(UNIT, 0, "pagi", "p", {"sum_busy_s": 1.0}))
    assert list(sound([point]).rejected) == [0]
