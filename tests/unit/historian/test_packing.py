"""Samples at rest: which are packed, and that every one reads back as it was written, alone and as columns."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from historian.embedded import EmbeddedHistorian
from historian.packing import MOST_LAYOUTS, TABLE, LayoutBook
from historian.point import Point, Query
from historian.records import sample_point
from shopfloor.columns import SampleColumns
from shopfloor.instant import HOUR, SECOND, parse_instant
from shopfloor.quality import COMM_LOST
from shopfloor.sample import Sample, Value

START = parse_instant("2026-01-05T00:00:00Z")
UNIT = "s/a/line-1/cnc-01"
Cells = Callable[[], list[str]]
NUMBERS = count(2)
"""Of the units of a property's examples, which share a store."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedHistorian]:
    store = EmbeddedHistorian(tmp_path)
    yield store
    store.close()


@pytest.fixture
def cells(tmp_path: Path) -> Cells:
    """How the stored samples rest, in order of time."""

    def found() -> list[str]:
        with closing(sqlite3.connect(tmp_path / "2026-01.db")) as db:
            return [kind for (kind,) in db.execute("SELECT typeof(fields) FROM samples ORDER BY time")]

    return found


def sample(second: int, *lost: str, **values: Value) -> Sample:
    return Sample(unit=UNIT, time=START + second * SECOND, values=values, status=dict.fromkeys(lost, COMM_LOST))


def put(store: EmbeddedHistorian, *samples: Sample) -> list[Point]:
    points = [sample_point("acme", each) for each in samples]
    assert len(store.write(points).accepted) == len(points)
    return points


def assert_columns(store: EmbeddedHistorian, samples: list[Sample], unit: str = UNIT) -> None:
    found, expected = store.samples("acme", unit, None, None), SampleColumns.of(unit, samples)
    assert found.times.tolist() == expected.times.tolist()
    assert found.alive.tolist() == expected.alive.tolist()
    assert found.heard.keys() == expected.heard.keys() == found.values.keys()
    for tag, values in expected.values.items():
        np.testing.assert_array_equal(found.values[tag], values)
        assert found.heard[tag].tolist() == expected.heard[tag].tolist()


def test_numbers_are_packed_and_come_back_bit_by_bit(store: EmbeddedHistorian, cells: Cells) -> None:
    values = (0.1, -0.0, 5e-324, 1.7976931348623157e308, -1e16, 2.0**53)
    written = put(store, *(sample(index, x=value, y=index) for index, value in enumerate(values)))
    assert cells() == ["blob"] * len(values)
    read = store.read(Query("samples"))
    assert read == written
    assert [float(point.fields["x"]).hex() for point in read] == [value.hex() for value in values]


def test_a_device_that_is_lost_is_packed_with_its_status_and_a_text_is_not(
    store: EmbeddedHistorian, cells: Cells
) -> None:
    samples = [
        sample(0, x=1.0),
        sample(1, "x"),
        sample(2, "y", x=2.0),
        sample(3, x=2.0, lot_text="A-7"),
        sample(4, x=3),
    ]
    written = put(store, *samples)
    assert cells() == ["blob", "blob", "blob", "text", "blob"]
    assert store.read(Query("samples")) == written
    assert_columns(store, samples)


def test_what_is_written_again_merges_and_the_later_value_wins(store: EmbeddedHistorian) -> None:
    put(store, sample(0, x=1.0, y=2.0), sample(1, x=1.0, lot_text="A-7"))
    put(store, sample(0, y=3.0, z=4.0), sample(1, x=5.0))
    assert [dict(point.fields) for point in store.read(Query("samples"))] == [
        {"x": 1.0, "y": 3.0, "z": 4.0},
        {"x": 5.0, "lot_text": "A-7"},
    ]
    assert_columns(store, [sample(0, x=1.0, y=3.0, z=4.0), sample(1, x=5.0, lot_text="A-7")])


def test_a_reader_learns_the_layouts_that_another_process_adds(store: EmbeddedHistorian, tmp_path: Path) -> None:
    put(store, sample(0, x=1.0))
    reader = EmbeddedHistorian(tmp_path)
    assert len(reader.read(Query("samples"))) == 1
    written = put(store, sample(1, y=2.0, x=1.0))
    assert reader.read(Query("samples", start=START + SECOND)) == written
    assert_columns(reader, [sample(0, x=1.0), sample(1, y=2.0, x=1.0)])
    reader.close()


def test_a_catalog_without_room_for_layouts_stores_text(store: EmbeddedHistorian, tmp_path: Path, cells: Cells) -> None:
    put(store, sample(0, x=1.0))
    with closing(sqlite3.connect(tmp_path / "catalog.db")) as db, db:
        names = [(f'[["tag_{number}"],null]',) for number in range(MOST_LAYOUTS - 1)]
        db.executemany("INSERT INTO layouts (names) VALUES (?)", names)
    samples = [sample(0, x=1.0), sample(1, y=1.0), sample(2, x=2.0), sample(3, y=3.0)]
    for each in samples:
        put(store, each)
    assert cells() == ["blob", "text", "blob", "text"]
    assert_columns(store, samples)


def test_layouts_are_numbered_only_while_there_is_room() -> None:
    with closing(sqlite3.connect(":memory:")) as db:

        @contextmanager
        def catalog() -> Iterator[sqlite3.Connection]:
            yield db

        opened: Callable[[], AbstractContextManager[sqlite3.Connection]] = catalog
        db.execute(TABLE)
        book = LayoutBook(opened)
        book.add(db, [((f"tag_{number}",), None) for number in range(MOST_LAYOUTS + 3)])
        book.refresh(db)
        (count,) = db.execute("SELECT count(*) FROM layouts").fetchone()
        assert count == MOST_LAYOUTS
        last = f"tag_{MOST_LAYOUTS - 1}"
        assert book.fields(book.cell(START, {last: 1.0})) == {last: 1.0}
        assert isinstance(book.cell(START, {f"tag_{MOST_LAYOUTS}": 1.0}), str)


SHAPES = st.sampled_from(
    [
        lambda second: sample(second, x=second / 7),
        lambda second: sample(second, x=second / 7, y=-1.0),
        lambda second: sample(second, y=second, x=1.0),
        lambda second: sample(second, "x", y=second),
        lambda second: sample(second, "x", "y"),
        lambda second: sample(second, x=1.5, lot_text=f"lot {second}"),
        lambda second: sample(second, "y", lot_text="A", x=second),
    ]
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8 * HOUR // SECOND), SHAPES), max_size=12, unique_by=lambda pair: pair[0]),
)
def test_samples_of_any_mix_of_shapes_read_as_they_were_written(
    store: EmbeddedHistorian, pairs: list[tuple[int, Callable[[int], Sample]]]
) -> None:
    unit = f"s/a/line-1/cnc-{next(NUMBERS)}"
    samples = [
        Sample(unit=unit, time=made.time, values=made.values, status=made.status)
        for made in (shape(second) for second, shape in pairs)
    ]
    put(store, *samples)
    assert_columns(store, samples, unit)
