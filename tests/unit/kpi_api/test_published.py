"""What is published is what the KPI API answers, through the real facts engine and the embedded store."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import kpi_api
from historian import schema
from historian.admission import fault
from historian.historian import Historian
from historian.point import Point, Query, WriteReport
from historian.published import Score, score_point, scores_of, subject_of
from historian.records import Dirty, point_dirty, sample_point
from historian.schema import Measurement, Origin
from ingest.publisher import LAG, Publisher
from kpi_api.questions import By
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.errors import Backpressure
from shopfloor.instant import HOUR, MINUTE, SECOND, floor_to, parse_instant
from shopfloor.sample import Sample
from tests.agreement import Api, all_agree, capability_agrees, kpi_point, not_scheduled, publisher, settled, stored
from tests.filled_plant import END, FilledPlant, filled_plant
from tests.small_works import DAYS, FIRST, MEASURED, METER, SECOND_STEP, small_works
from tests.small_works import START as NEW_YEAR

UNIT = "ceper/machining/line-1/cnc-01"
LINE = "ceper/machining/line-1"
PAGI = parse_instant("2026-01-05T06:00:00+07:00")
SORE = parse_instant("2026-01-05T14:00:00+07:00")
MORNING = "pagi"
MALAM = parse_instant("2026-01-04T22:00:00+07:00")
"""A night whose production day is over and final: no round tells it again by itself."""
NIGHT = "malam"


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[FilledPlant]:
    with filled_plant(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with small_works(tmp_path_factory.mktemp("works")) as store:
        mine = publisher(store)
        for unit in (FIRST, SECOND_STEP, METER):
            mine.take([unit])
            mine.owe({unit: [(NEW_YEAR, NEW_YEAR + DAYS * 24 * HOUR)]}, {unit: [(MEASURED, MEASURED + 2 * HOUR)]})
        mine.round(all_of_it=True)
        yield store


async def test_what_runs_and_has_ended_of_every_unit_and_place_is_the_answer_of_the_api(filled: FilledPlant) -> None:
    await settled(filled.store, CatchUpClock(END), END)
    assert all_agree(filled.store) > 40
    points = stored(filled.historian, Measurement.KPI_PUBLISHED)
    places = {path.rsplit("/", depth)[0] for path in filled.plant.units for depth in (1, 2, 3)}
    assert {subject_of(each) for each in points} == {"", *places, *filled.plant.units}
    assert {each.tags["shift"] for each in points} >= {schema.WHOLE, MORNING, "sore"}
    assert max(int(each.fields["until"]) for each in points) == floor_to(END - LAG, MINUTE)


async def test_a_late_edit_of_an_ended_shift_changes_both(filled: FilledPlant) -> None:
    clock = CatchUpClock(END)
    await settled(filled.store, clock, END)
    before = {subject: kpi_point(filled.historian, subject, MORNING, PAGI) for subject in (UNIT, LINE, "ceper", "")}
    not_scheduled(filled.store, UNIT, PAGI + HOUR, PAGI + 3 * HOUR)
    await settled(filled.store, clock, END)
    all_agree(filled.store)
    after = {subject: kpi_point(filled.historian, subject, MORNING, PAGI) for subject in before}
    assert after[UNIT].fields["sum_planned_stop_s"] != before[UNIT].fields["sum_planned_stop_s"]
    assert all(after[each].fields["revision"] == before[each].fields["revision"] + 1 for each in before)
    assert after[UNIT].time == before[UNIT].time  # nothing vanished: changed in place


async def test_a_kpi_that_becomes_undefined_is_gone_for_a_reader_with_the_guard(filled: FilledPlant) -> None:
    clock = CatchUpClock(END)
    await settled(filled.store, clock, END)
    before = kpi_point(filled.historian, UNIT, MORNING, PAGI)
    assert "oee_index" in before.fields
    not_scheduled(filled.store, UNIT, PAGI, SORE)
    await settled(filled.store, clock, END)
    after = kpi_point(filled.historian, UNIT, MORNING, PAGI)
    assert {"oee_index", "availability"} & after.fields.keys() == set()
    assert after.time == before.time + 1
    assert all_agree(filled.store)
    told = next(each for each in filled.store.statements_in(UNIT, PAGI, SORE))
    filled.store.statements.withdraw(told.id, "sri")
    await settled(filled.store, clock, END)
    again = kpi_point(filled.historian, UNIT, MORNING, PAGI)
    assert again.fields["oee_index"] == before.fields["oee_index"]
    assert all_agree(filled.store)


async def test_a_sign_off_is_published_although_no_fact_changes(filled: FilledPlant) -> None:
    clock = CatchUpClock(END)
    not_scheduled(filled.store, UNIT, MALAM + 5 * HOUR, MALAM + 6 * HOUR)
    await settled(filled.store, clock, END)
    before = kpi_point(filled.historian, UNIT, NIGHT, MALAM).fields
    assert (before["signed"], before["final"]) == (0.0, 1.0)
    filled.store.statements.sign_off(UNIT, MALAM, "sri")
    await settled(filled.store, clock, END)
    assert kpi_point(filled.historian, UNIT, NIGHT, MALAM).fields["signed"] == 1.0


async def test_twice_writes_nothing_more(filled: FilledPlant) -> None:
    mine = publisher(filled.store)
    mine.take(filled.plant.units)
    mine.round(all_of_it=True)
    written = mine.written
    assert written
    mine.round(all_of_it=True)
    assert mine.written == written


class Killed(Exception):
    """As by kill -9: nothing after it happens."""


class DiesAtPublishing:
    """A historian whose process is killed when it has the facts and the first published point comes."""

    def __init__(self, historian: Historian) -> None:
        self._historian = historian
        self.read, self.count, self.close = historian.read, historian.count, historian.close
        self.samples, self.facts = historian.samples, historian.facts

    def write(self, points: Sequence[Point]) -> WriteReport:
        if any(point.measurement in schema.PUBLISHED for point in points):
            raise Killed
        return self._historian.write(points)


def test_what_gave_way_to_samples_is_told_whole_by_the_next_round(filled: FilledPlant) -> None:
    mine, energy = publisher(filled.store), Query(Measurement.ENERGY_PUBLISHED)
    mine.take(filled.plant.units)
    mine.round(give_way=lambda: True)
    assert filled.historian.count(Query(Measurement.KPI_PUBLISHED))
    assert filled.historian.count(energy) == 0
    mine.round()
    assert filled.historian.count(energy)
    written, another = mine.written, publisher(filled.store)
    another.take(filled.plant.units)
    another.round(all_of_it=True)
    assert (another.written, mine.written) == (0, written)


async def test_a_kill_between_facts_and_publishing_is_healed(filled: FilledPlant) -> None:
    clock = CatchUpClock(END)
    not_scheduled(filled.store, UNIT, MALAM + 5 * HOUR, MALAM + 6 * HOUR)
    await settled(filled.store, clock, END)
    before = kpi_point(filled.historian, UNIT, NIGHT, MALAM)
    not_scheduled(filled.store, UNIT, MALAM + 3 * HOUR, MALAM + 5 * HOUR)
    dying = Store(filled.plant, DiesAtPublishing(filled.historian), clock)
    with pytest.raises(Killed):
        await settled(dying, clock, END)
    item = next(each for each in filled.store.kpi_items(UNIT, MALAM, PAGI, By.SHIFT) if each.start == MALAM)
    assert before.fields["final"] == 1.0
    assert item.kpis["oee_index"] != before.fields["oee_index"]  # the facts are there
    assert kpi_point(filled.historian, UNIT, NIGHT, MALAM) == before  # and nothing is published of them
    await settled(filled.store, clock, END)
    assert kpi_point(filled.historian, UNIT, NIGHT, MALAM).fields["oee_index"] != before.fields["oee_index"]
    all_agree(filled.store)


class BusyAtPublishing:
    """A historian that is busy when the first published point of an edit comes."""

    def __init__(self, historian: Historian) -> None:
        self._historian = historian
        self.read, self.count, self.close = historian.read, historian.count, historian.close
        self.samples, self.facts = historian.samples, historian.facts
        self.refused = 0

    def write(self, points: Sequence[Point]) -> WriteReport:
        if not self.refused and any(point.measurement in schema.PUBLISHED for point in points):
            self.refused = 1
            raise Backpressure("busy", retry_after_s=0.0)
        return self._historian.write(points)


async def test_a_store_that_was_busy_at_publishing_is_asked_again(filled: FilledPlant) -> None:
    clock = CatchUpClock(END)
    await settled(filled.store, clock, END)
    not_scheduled(filled.store, UNIT, PAGI + HOUR, PAGI + 3 * HOUR)
    busy = BusyAtPublishing(filled.historian)
    await settled(Store(filled.plant, busy, clock), clock, END)
    assert busy.refused
    assert kpi_point(filled.historian, UNIT, MORNING, PAGI).fields["revision"] == 1.0
    all_agree(filled.store)


def owner(store: Store, *units: str) -> Publisher:
    """One of several processes."""
    found = publisher(store)
    found.take(units)
    return found


def subjects(historian: Historian) -> set[str]:
    return {subject_of(each) for each in stored(historian, Measurement.KPI_PUBLISHED)}


def notes(historian: Historian) -> list[Dirty]:
    found = [point_dirty(each) for each in historian.read(Query(Measurement.DIRTY))]
    return [each for each in found if each.origin is Origin.PUBLISH and not each.done]


def test_a_place_is_published_by_the_owner_of_its_first_unit(filled: FilledPlant) -> None:
    first, *others = filled.plant.units
    owner(filled.store, *others).round(all_of_it=True)
    assert subjects(filled.historian) & {"", "ceper"} == set()
    owner(filled.store, first).round(all_of_it=True)
    assert subjects(filled.historian) >= {"", "ceper", *filled.plant.units}


def test_who_changes_a_place_of_another_leaves_word_and_the_owner_publishes(filled: FilledPlant) -> None:
    first, *others = filled.plant.units
    assert UNIT in others
    other, mine = owner(filled.store, *others), owner(filled.store, first)
    other.owe({UNIT: [(PAGI, SORE)]}, {})
    other.pay()
    assert UNIT in subjects(filled.historian)
    assert "ceper" not in subjects(filled.historian)
    left = notes(filled.historian)
    assert {(each.unit, each.start, each.end) for each in left} == {(first, PAGI, SORE)}
    item = filled.store.kpi_items(UNIT, PAGI, SORE)[0]
    assert "waits" not in "".join(item.flags)  # nothing is to be derived: it makes no window provisional
    mine.noted(left)
    assert {"", "ceper"} <= subjects(filled.historian)
    assert notes(filled.historian) == []
    all_agree(filled.store)


def test_what_a_small_works_month_came_to_is_the_answer_of_the_api(works: Store) -> None:
    assert all_agree(works) > 3 * 3 * DAYS
    saved = [each for each in stored(works.historian, Measurement.ENERGY_PUBLISHED) if "cusum_kwh" in each.fields]
    assert saved[-1].fields["cusum_kwh"] < 0  # it uses more than its baseline says
    bills = [each for each in stored(works.historian, Measurement.ENERGY_PUBLISHED) if "bill_total" in each.fields]
    assert {each.fields["bill_reactive_cost"] for each in bills if subject_of(each) == METER} != {0.0}
    measured = {each.tags["characteristic"] for each in stored(works.historian, Measurement.CAPABILITY)}
    assert measured == {"cycle_time_s"}


def test_late_readings_move_the_points_of_the_chart(tmp_path: Path) -> None:
    with small_works(tmp_path) as store:
        mine, fed = publisher(store), {FIRST: [(MEASURED, MEASURED + 2 * HOUR)]}
        mine.owe({}, fed)
        mine.pay()
        before = stored(store.historian, Measurement.CHART_POINTS)
        late = [
            Sample(unit=FIRST, time=MEASURED + number * SECOND + 3_500, values={"cycle_time_s": 74.0 + number / 1000})
            for number in range(3)
        ]
        points = [sample_point(store.plant.enterprise, each) for each in late]
        assert len(store.historian.write(points).accepted) == 3
        mine.owe({}, fed)
        mine.pay()
        after = stored(store.historian, Measurement.CHART_POINTS)
        assert {each.time for each in after} != {each.time for each in before}
        (told,) = stored(store.historian, Measurement.CAPABILITY)
        capability_agrees(Api(store, MEASURED, store.now()), told)


def test_every_published_point_is_admitted(works: Store) -> None:
    for measurement in schema.PUBLISHED:
        assert [fault(each) for each in works.historian.read(Query(measurement)) if fault(each)] == []


def test_scores_come_back_and_a_replaced_one_does_not() -> None:
    score = Score(
        site="ceper",
        guideline="indi-4-0",
        metric="oee",
        time=PAGI,
        start=PAGI,
        until=SORE,
        value=0.7,
        score=3.0,
        achievement=0.5,
        name={"en": "OEE", "id": "OEE"},
        missing={"en": "counter", "id": "pencacah"},
        confidence="low",
    )
    point = score_point("acme", score)
    assert fault(point) is None
    assert scores_of([point]) == [score]
    assert scores_of([Point(point.measurement, point.tags, point.time, {**point.fields, schema.CURRENT: 0.0})]) == []


def test_the_kpi_api_reads_nothing_that_is_published() -> None:
    """An output, never an input: only ``kpi_api.published`` names these measurements, and it has no store to read."""
    names = {each.name for each in schema.PUBLISHED}
    for file in Path(kpi_api.__file__).parent.rglob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & names
        assert not named or file.name == "published.py", file
        reads = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & {"read", "historian"}
        assert file.name != "published.py" or not reads
