from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from historian.point import Query
from historian.records import (
    AgentWatermark,
    Dirty,
    Revision,
    dirty_point,
    revision_point,
    sample_point,
    watermark_point,
)
from historian.schema import AGENT, OUTBOX, Measurement
from kpi_api import changes
from kpi_api.answers import LedgerAnswer, Standing, standing
from kpi_api.changes import RECENT, ShiftChanges
from kpi_api.grains import cut_hours
from kpi_api.questions import BadWindow, By, UnknownUnit
from kpi_api.store import Store
from kpi_api.windows import Window, local_midnight, months, slices
from messaging.payload import MAX_INSTANT
from shopfloor.clock import CatchUpClock
from shopfloor.fact import Fact
from shopfloor.instant import HOUR, MINUTE, format_instant, parse_instant
from shopfloor.ledger import AgentLedger
from shopfloor.sample import Sample
from tests.filled_plant import END, FilledPlant, filled_plant, write_facts

CNC = "ceper/machining/line-1/cnc-01"
METER = "ceper/utilities/intake/main-meter"
NOON = parse_instant("2026-01-05T12:00:00+07:00")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[FilledPlant]:
    with filled_plant(tmp_path, hours=1) as plant:
        yield plant


def test_any_zoom_gives_the_same_sums(filled: FilledPlant) -> None:
    start, end = NOON - 3 * HOUR - 7 * MINUTE, NOON + 2 * HOUR + 11 * MINUTE
    (whole,) = filled.store.kpi_items(CNC, start, end)
    minutes = [filled.store.kpi_items(CNC, at, at + MINUTE)[0] for at in range(start, end, MINUTE)]
    for column in ("running_s", "produced", "good_run_s", "energy_kwh"):
        total = sum(item.elements.get(column, 0.0) for item in minutes)
        assert total == pytest.approx(whole.elements[column], abs=1e-6), column


def test_energy_is_told_in_months_of_the_site_with_its_peak_at_the_quarters_end(own: FilledPlant) -> None:
    new_year = parse_instant("2026-01-01T00:00:00+07:00")
    facts = [
        Fact(METER, new_year - HOUR, "off", "none", {"energy_kwh": 5.0}),
        Fact(
            METER,
            new_year,
            "off",
            "none",
            {"energy_kwh": 7.0, "demand_max_kw": 28.0, "demand_max_kw_at": new_year + 900_000},
        ),
        Fact(METER, new_year + HOUR, "off", "none", {"unattributed_energy_kwh": 2.0}),
    ]
    write_facts(own.historian, own.plant, own.plant.units[METER], facts)
    energy = own.store.energy(METER, new_year - 24 * HOUR, new_year + 24 * HOUR)
    assert energy is not None
    assert energy.total_kwh == 14.0
    assert energy.by_month_kwh == {"2025-12": 5.0, "2026-01": 9.0}
    assert energy.peak_kw is not None
    assert (energy.peak_kw.value, energy.peak_kw.at) == (28.0, new_year + 900_000)


def test_a_window_without_energy_has_none(own: FilledPlant) -> None:
    assert own.store.energy(METER, NOON - 90 * 24 * HOUR, NOON - 89 * 24 * HOUR) is None


def test_a_changed_shift_raises_the_revision_of_its_windows_only(own: FilledPlant) -> None:
    start = parse_instant("2026-01-05T06:00:00+07:00")
    for n in (1, 2):
        revision = Revision(
            unit=CNC, shift="pagi", shift_start=start, n=n, cause="late", who="ingest", before={}, after={}, at=END
        )
        own.historian.write([revision_point(own.plant.enterprise, revision)])
    day = own.store.kpi_items(CNC, start, start + 16 * HOUR, By.SHIFT)
    assert [(item.shift, item.revision) for item in day] == [("pagi", 2), ("sore", 0)]
    assert own.store.kpi_items(CNC, start + HOUR, start + 2 * HOUR)[0].revision == 2


def test_a_change_of_the_time_without_a_shift_is_none_of_the_shifts_between() -> None:
    pieces = ((0, HOUR), (9 * HOUR, 10 * HOUR))
    off = Revision(unit=CNC, shift="off", shift_start=0, n=1, cause="late", who="ingest", before={}, after={}, at=END)
    standing = changes.Standing(END, 0, changed=(ShiftChanges(Window(0, 10 * HOUR), pieces, (off,)),))
    assert [standing.revision(Window(low * HOUR, high * HOUR)) for low, high in ((0, 1), (1, 9), (8, 10))] == [1, 0, 1]


def test_a_window_of_the_future_is_not_final_though_an_outbox_owes_nothing_for_ever(own: FilledPlant) -> None:
    books = {(point.tags[AGENT], point.tags[OUTBOX]) for point in own.historian.read(Query(Measurement.LEDGER))}
    settled = [AgentWatermark(agent, outbox, END + HOUR, MAX_INSTANT, 0) for agent, outbox in sorted(books)]
    own.historian.write([watermark_point(each) for each in settled])
    assert own.store.kpi_items(CNC, END - 2 * HOUR, END - HOUR)[0].final
    assert not own.store.kpi_items(CNC, END - HOUR, END + HOUR)[0].final
    assert not own.store.kpi_items(CNC, END + HOUR, END + 2 * HOUR)[0].final


def test_a_dirty_interval_makes_its_window_provisional_until_it_is_done(own: FilledPlant) -> None:
    window = (END - 30 * MINUTE, END - 20 * MINUTE)
    assert own.store.kpi_items(CNC, *window)[0].final
    dirty = Dirty(CNC, END, window[0] + 1, window[0] + 2)
    own.historian.write([dirty_point(own.plant.enterprise, dirty)])
    assert not own.store.kpi_items(CNC, *window)[0].final
    assert own.store.kpi_items("ceper/machining/line-1/cnc-02", *window)[0].final
    own.historian.write([dirty_point(own.plant.enterprise, replace(dirty, done=True))])
    assert own.store.kpi_items(CNC, *window)[0].final


def test_a_window_is_provisional_while_a_stop_at_its_end_may_still_grow(own: FilledPlant) -> None:
    """The watermark is past the window's end, but a micro-stop that begins in the window may be a longer stop yet."""
    end = END - END % MINUTE
    assert not own.store.kpi_items(CNC, end - 10 * MINUTE, end)[0].final


def test_an_old_dirty_interval_is_found_behind_many_younger_ones(own: FilledPlant) -> None:
    window = (END - 30 * MINUTE, END - 20 * MINUTE)
    old = Dirty(CNC, END, window[0] + 1, window[0] + 2)
    younger = [replace(old, stamp=END + n, start=END, end=END + 1) for n in range(1, RECENT + 2)]
    own.historian.write([dirty_point(own.plant.enterprise, dirty) for dirty in (old, *younger)])
    assert not own.store.kpi_items(CNC, *window)[0].final


def test_time_before_a_unit_first_spoke_is_unknown(own: FilledPlant) -> None:
    furnace = "ceper/foundry/melting/furnace-01"  # its calendar has no breaks
    store = Store(own.plant, own.historian, CatchUpClock(END - 48 * HOUR))
    (before,) = store.kpi_items(furnace, NOON - 50 * HOUR, NOON - 48 * HOUR)
    assert (before.coverage, before.elements["unknown_s"], before.flags) == (0.0, 7_200.0, ("no_data",))
    assert before.kpis["oee_index"] is None
    (around,) = own.store.kpi_items(furnace, NOON - 50 * HOUR, END - END % MINUTE)
    assert around.elements["running_s"] > 0
    assert around.elements["planned_busy_s"] == (END - END % MINUTE - NOON) / 1000 + 50 * 3_600
    assert around.coverage is not None
    assert 0 < around.coverage < 0.5


def test_a_stop_is_a_short_one_until_it_has_lasted_longer(own: FilledPlant) -> None:
    def stop_until(last: int) -> str | None:
        samples = [Sample(unit=CNC, time=at, values={"state": 2.0}) for at in range(END, last + 1, 6_000)]
        own.historian.write([sample_point(own.plant.enterprise, sample) for sample in samples])
        (unit,) = (item for item in own.store.equipment() if item.unit == CNC)
        assert unit.latest is not None
        return unit.latest.category

    running = Sample(unit=CNC, time=END - 1, values={"state": 1.0})
    own.historian.write([sample_point(own.plant.enterprise, running)])
    assert stop_until(END + 60_000) == "micro_stop"
    assert stop_until(END + 180_000) == "unplanned_stop"


def test_an_unknown_unit_is_refused_with_a_remedy(filled: FilledPlant) -> None:
    with pytest.raises(UnknownUnit, match="did you mean 'ceper/machining'"):
        filled.store.kpi_items("ceper/machinin", NOON, NOON + HOUR)


def test_the_answer_never_grows_beyond_its_limit(filled: FilledPlant) -> None:
    with pytest.raises(BadWindow, match="shorter window"):
        filled.store.kpi_items("*", NOON - 600 * 24 * HOUR, NOON, By.HOUR)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Standing.BALANCED),
        ({"stored": 92}, Standing.MOVING),
        ({"stored": 89}, Standing.BROKEN),
        ({"evicted": 1}, Standing.BROKEN),
        ({"polled": 99}, Standing.BROKEN),
    ],
)
def test_a_ledger_in_motion_is_not_a_broken_one(change: dict[str, int], expected: Standing) -> None:
    rest = AgentLedger(polled=100, appended=100, confirmed=90, in_outbox=10, evicted=0, stored=90, rejected=0)
    agent = replace(rest, **change)
    assert standing(agent) is expected
    assert LedgerAnswer({"sound": rest, "this": agent}).standing is expected


def test_days_are_production_days_that_end_with_their_night_shift(filled: FilledPlant) -> None:
    unit = filled.plant.units[CNC]
    start, end = (parse_instant(f"2026-01-0{day}T00:00:00+07:00") for day in (5, 7))
    edges = [format_instant(day.start + 7 * HOUR)[:16] for day in slices(unit, Window(start, end), By.DAY)]
    assert edges == ["2026-01-05T00:00", "2026-01-05T06:00", "2026-01-06T06:00"]


def test_months_are_local_and_cut_to_the_window() -> None:
    start, end = parse_instant("2018-01-31T12:00:00+09:00"), parse_instant("2018-03-01T00:00:00+09:00")
    assert [(name, month.start, month.end) for name, month in months(Window(start, end), "Asia/Seoul")] == [
        ("2018-01", start, parse_instant("2018-02-01T00:00:00+09:00")),
        ("2018-02", parse_instant("2018-02-01T00:00:00+09:00"), end),
    ]


def test_only_hours_that_a_window_cuts_are_read_in_minutes() -> None:
    edges = [NOON, NOON + 90 * MINUTE, NOON + 4 * HOUR + MINUTE]
    assert cut_hours(edges) == [
        (NOON + HOUR, NOON + 2 * HOUR),
        (NOON + 4 * HOUR, NOON + 4 * HOUR + MINUTE),
    ]


def test_the_local_day_begins_at_local_midnight() -> None:
    assert local_midnight(NOON, "Asia/Jakarta") == NOON - 12 * HOUR
