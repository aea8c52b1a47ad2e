"""After the changes are written, the store reads like the derivation; through the real embedded store."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from historian import records
from historian.embedded import EmbeddedHistorian
from historian.historian import Historian
from historian.overwrite import changes, loss_changes, rewritten, stop_changes
from historian.point import Point, Query
from historian.schema import Grain
from shopfloor.additive import at_column
from shopfloor.fact import Fact, Loss, Stop
from shopfloor.instant import HOUR, MINUTE

MONTH_END = 1_769_904_000_000  # 2026-02-01T00:00:00Z: slices on both sides of a file border
SLICES = st.integers(-2, 2).map(lambda n: MONTH_END + n * MINUTE)
SUMS = st.sampled_from([0.0, 0.0, 1.0, 2.5, 60.0])
_fresh = itertools.count()


@pytest.fixture(scope="module")
def historian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Historian]:
    store = EmbeddedHistorian(Path(tmp_path_factory.mktemp("historian")))
    yield store
    store.close()


@st.composite
def elements(draw: st.DrawFn) -> dict[str, float]:
    columns = draw(st.dictionaries(st.sampled_from(["running_s", "good", "energy_kwh"]), SUMS))
    for name in draw(st.sets(st.sampled_from(["power_max_kw", "demand_max_kw"]))):
        columns[name] = draw(SUMS | st.just(-3.0))
        columns[at_column(name)] = float(draw(SLICES))
    return columns


KEYS = st.tuples(SLICES, st.sampled_from(["pagi", "sore"]), st.sampled_from(["none", "brake-disc"]))
DERIVATIONS = st.lists(st.dictionaries(KEYS, elements(), max_size=6), min_size=1, max_size=4)


def facts(unit: str, derivation: dict[tuple[int, str, str], dict[str, float]]) -> list[Fact]:
    return [Fact(unit, *key, columns) for key, columns in derivation.items()]


def write(historian: Historian, points: Sequence[Point]) -> None:
    assert len(historian.write(points).accepted) == len(points)


def read(historian: Historian, unit: str) -> list[Fact]:
    return records.facts_of(historian.read(records.unit_query(Grain.MINUTE, "e", unit)))


def as_read(derived: list[Fact]) -> dict[object, dict[str, float]]:
    sparse = {fact.key: records.sparse(fact.elements) for fact in derived}
    return {key: columns for key, columns in sparse.items() if columns}


@settings(max_examples=60, deadline=None)
@given(derivations=DERIVATIONS)
def test_the_store_reads_like_the_last_derivation(
    historian: Historian, derivations: list[dict[tuple[int, str, str], dict[str, float]]]
) -> None:
    unit = f"s/a/l/u-{next(_fresh)}"
    for derivation in derivations:
        derived = facts(unit, derivation)
        stored = read(historian, unit)
        difference = changes(stored, derived)
        write(historian, [records.fact_point("e", Grain.MINUTE, fact) for fact in difference])
        now = read(historian, unit)
        assert {fact.key: fact.elements for fact in now} == as_read(derived)
        assert changes(now, derived) == []
        assert bool(difference) == (stored != now)


def test_nothing_is_written_when_nothing_changes() -> None:
    fact = Fact("s/a/l/u", 0, "pagi", "none", {"good": 1.0, "scrap": 0.0})
    assert changes([fact], [fact]) == []
    assert changes([], [Fact("s/a/l/u", 0, "pagi", "none", {"good": 0.0})]) == []


def test_a_fact_that_differs_is_written_whole_and_what_vanished_becomes_zero() -> None:
    stored = [
        Fact(
            "s/a/l/u", 0, "pagi", "none", {"good": 1.0, "running_s": 60.0, "power_max_kw": 5.0, "power_max_kw_at": 9.0}
        ),
        Fact("s/a/l/u", 0, "pagi", "brake-disc", {"good": 2.0}),
    ]
    derived = [Fact("s/a/l/u", 0, "pagi", "none", {"good": 3.0, "running_s": 60.0})]
    assert changes(stored, derived) == [
        Fact(
            "s/a/l/u", 0, "pagi", "none", {"good": 3.0, "running_s": 60.0, "power_max_kw": 0.0, "power_max_kw_at": 0.0}
        ),
        Fact("s/a/l/u", 0, "pagi", "brake-disc", {"good": 0.0}),
    ]


def test_a_rederivation_writes_what_did_not_change_again_and_empties_what_vanished() -> None:
    same = Fact("s/a/l/u", 0, "pagi", "none", {"good": 1.0})
    gone = Fact("s/a/l/u", 0, "pagi", "brake-disc", {"good": 2.0})
    still = Fact("s/a/l/u", 0, "sore", "none", {"good": 0.0})
    assert rewritten([same, gone], [same, still]) == [same, replace(gone, elements={"good": 0.0})]
    assert rewritten([], [same]) == [same]


LOSS_LISTS = st.lists(
    st.builds(
        Loss,
        unit=st.just("s/a/l/losses"),
        time=SLICES,
        shift=st.just("pagi"),
        product=st.just("none"),
        category=st.sampled_from(["micro_stop", "starved"]),
        reason=st.sampled_from(["none", "jam"]),
        seconds=SUMS,
        count=SUMS,
    ),
    unique_by=lambda loss: (loss.time, loss.category, loss.reason),
    max_size=6,
)
STOP_LISTS = st.lists(
    st.builds(
        Stop,
        unit=st.just("s/a/l/stops"),
        start=SLICES,
        end=st.none() | st.integers(1, 9).map(lambda n: MONTH_END + n * HOUR),
        category=st.sampled_from(["unplanned_stop", "starved"]),
        code=st.none() | st.integers(0, 5),
    ),
    unique_by=lambda stop: stop.start,
    max_size=5,
)


@settings(max_examples=40, deadline=None)
@given(derived=LOSS_LISTS)
def test_losses_read_like_the_last_derivation(historian: Historian, derived: list[Loss]) -> None:
    stored = records.losses_of(historian.read(Query("losses")))
    write(historian, [records.loss_point("e", loss) for loss in loss_changes(stored, derived)])
    now = records.losses_of(historian.read(Query("losses")))
    assert set(now) == {loss for loss in derived if loss.seconds or loss.count}
    assert loss_changes(now, derived) == []


@settings(max_examples=40, deadline=None)
@given(derived=STOP_LISTS)
def test_stops_read_like_the_last_derivation(historian: Historian, derived: list[Stop]) -> None:
    stored = records.stops_of(historian.read(Query("stops")))
    write(historian, [records.stop_point("e", stop) for stop in stop_changes(stored, derived)])
    now = records.stops_of(historian.read(Query("stops")))
    assert set(now) == set(derived)
    assert stop_changes(now, derived) == []


def test_a_stop_that_was_ended_can_be_open_again() -> None:
    ended, open_again = Stop("s/a/l/u", 5, 9, "starved", 1), Stop("s/a/l/u", 5, None, "starved", None)
    (changed,) = stop_changes([ended], [open_again])
    fields = {**records.stop_point("e", ended).fields, **records.stop_point("e", changed).fields}
    merged = Point("stops", records.unit_tags("e", "s/a/l/u"), 5, fields)
    assert records.point_stop(merged) == open_again
