# ruff: noqa: E501 - what the file says reads best as it is written there
"""What plant.yaml says of calendars, states, inference, reasons and measures becomes the model."""

import json
from datetime import date, timedelta
from pathlib import Path

import jsonschema
import pytest

from shopfloor.calendar import Calendar, Planned, Shift
from shopfloor.instant import HOUR, MINUTE, parse_instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import (
    Baseline,
    Characteristic,
    CounterInference,
    GaugeInference,
    Plant,
    QuantityUnit,
    Staffed,
    WorkUnit,
)
from shopfloor.plant_file import load
from shopfloor.plant_schema import json_schema
from shopfloor.reason import Maintenance
from shopfloor.yaml_lines import parse

ROOT = Path(__file__).parents[3]
CEPER = ROOT / "plants" / "ceper" / "plant.yaml"
GOOD = CEPER.read_text("utf-8")
WEEK = "  melting:                       # the furnace is relieved"
CODES = "states: {0: no_order, 1: running, 2: unplanned_stop, 3: setup, 4: starved, 5: blocked, 6: planned_stop}"
CNC = "              - id: cnc-01\n"
JAKARTA = "Asia/Jakarta"


def loaded(tmp_path: Path, *changes: tuple[str, str]) -> Plant:
    text = GOOD
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    path = tmp_path / "plant.yaml"
    path.write_text(text, "utf-8")
    return load(path)


def cnc(plant: Plant) -> WorkUnit:
    return plant.units["ceper/machining/line-1/cnc-01"]


def week(plant: Plant) -> Calendar:
    calendar = cnc(plant).calendar.at(0)
    assert calendar is not None
    return calendar


def breaks_of(calendar: Calendar, day: str, shift: str = "pagi") -> list[str]:
    start = parse_instant(f"{day}T00:00:00+07:00")
    return [
        f"{_clock(span.start - start)}-{_clock(span.end - start)}"
        for span in calendar.spans(start, start + 24 * HOUR, JAKARTA)
        if span.shift == shift and span.planned is Planned.PLANNED_STOP
    ]


def _clock(since_midnight: int) -> str:
    hours, minutes = divmod(since_midnight // MINUTE, 60)
    return f"{hours:02}:{minutes:02}"


def test_friday_prayer_stands_for_the_daily_lunch() -> None:
    calendar = week(load(CEPER))
    assert breaks_of(calendar, "2026-01-08") == ["10:00-10:15", "12:00-12:30"]
    assert breaks_of(calendar, "2026-01-09") == ["10:00-10:15", "11:30-13:00"]
    assert breaks_of(calendar, "2026-01-10") == ["10:00-10:15", "12:00-12:30"]


def test_a_break_of_some_days_belongs_to_the_day_on_which_its_shift_starts(tmp_path: Path) -> None:
    plant = loaded(tmp_path, ('malam: ["00:00-00:15"', 'malam: [{at: "00:00-01:00", days: [thu]}'))
    assert breaks_of(week(plant), "2026-01-09", "malam") == ["00:00-01:00", "02:00-02:30"]
    assert breaks_of(week(plant), "2026-01-10", "malam") == ["02:00-02:30"]


RULES = """
    rules:
      - {from: 2026-03-01, to: 2026-03-03, closed: true}
      - {ramadan: {offset_days: {1447: 1}}, shifts: {pagi: "06:00-13:00", sore: {hours: "13:00-20:00", days: [mon, fri]}}, breaks: {pagi: ["09:00-09:10"]}}
      - {holidays: ID, shifts: {pagi: "06:00-11:00"}}
    exceptions: {2026-03-02: {pagi: "06:00-11:00"}, 2026-08-17: closed}
"""


def test_rules_and_exceptions_hold_in_their_order(tmp_path: Path) -> None:
    calendar = week(loaded(tmp_path, (WEEK, RULES[1:] + WEEK)))

    def names(day: str) -> list[str]:
        return [shift.name for shift in calendar.shifts_of(date.fromisoformat(day))]

    assert names("2026-02-18") == ["pagi", "sore", "malam"], "the first of Ramadan elsewhere"
    assert names("2026-02-19") == ["pagi"]
    assert names("2026-02-20") == ["pagi", "sore"], "a Friday"
    assert [names(f"2026-03-0{day}") for day in (1, 2, 3)] == [[], ["pagi"], []]
    assert names("2026-05-01") == ["pagi"]
    assert names("2026-08-17") == []


def test_a_rule_has_its_own_breaks_or_the_weeks_where_they_fit(tmp_path: Path) -> None:
    calendar = week(loaded(tmp_path, (WEEK, RULES[1:] + WEEK)))
    assert breaks_of(calendar, "2026-02-27") == ["09:00-09:10"], "a Friday of Ramadan"
    assert breaks_of(calendar, "2026-05-01") == ["10:00-10:15"], "a Friday whose lunch lies after the end"
    assert breaks_of(calendar, "2026-03-02") == ["10:00-10:15"]


def test_a_shifts_breaks_are_in_each_day_exactly_once(tmp_path: Path) -> None:
    calendar = week(loaded(tmp_path, (WEEK, RULES[1:] + WEEK)))
    days = [date(2026, 1, 1) + timedelta(days=index) for index in range(365)]
    for shifts in (calendar.shifts_of(day) for day in days):
        assert len({shift.name for shift in shifts}) == len(shifts)


def test_a_calendar_is_another_from_its_date(tmp_path: Path) -> None:
    plant = loaded(
        tmp_path,
        (
            "    calendar: three-shift\n",
            "    calendar: [{value: melting}, {valid_from: 2026-03-01, value: three-shift}]\n",
        ),
    )
    change = parse_instant("2026-03-01T00:00:00+07:00")
    assert [calendar.name for _, calendar in cnc(plant).calendar.entries] == ["melting", "three-shift"]
    assert list(cnc(plant).calendar.changes(change - 1, change + 1)) == [change]


def test_packml_is_a_state_map_by_name_and_a_transition_a_state_of_its_own(tmp_path: Path) -> None:
    plant = loaded(
        tmp_path,
        (CODES, "states: packml"),
        (CODES, "states: {model: packml, codes: {0: stopped, 4: execute}, override: {stopped: starved}}"),
        (CODES, "states: {1: running, 7: transition}"),
        (CODES, "states: [{value: packml}, {valid_from: 2026-03-01, value: packml-tmc}]"),
    )
    maps = [unit.states.entries for unit in plant.units.values() if unit.states]
    furnace, first, second, third = ([dict(states) for _, states in entries] for entries in maps[:4])
    assert (furnace[0][6], furnace[0][3]) == (TimeCategory.RUNNING, None)
    assert first == [{0: TimeCategory.STARVED, 4: TimeCategory.RUNNING}]
    assert second == [{1: TimeCategory.RUNNING, 7: None}]
    assert (third[0][6], third[1][4]) == (TimeCategory.RUNNING, TimeCategory.RUNNING)


@pytest.mark.parametrize(
    ("written", "inference"),
    [
        ("{counter: good}", CounterInference("good", 3.0, 10.0)),
        ("{counter: good, cycles: 5, floor: 500ms}", CounterInference("good", 5.0, 0.5)),
        ("{gauge: power_kw, running_above: 8, stopped_below: 5}", GaugeInference("power_kw", 8.0, 5.0)),
    ],
)
def test_running_can_be_inferred_with_and_without_states(tmp_path: Path, written: str, inference: object) -> None:
    without = cnc(loaded(tmp_path, (CNC, f"{CNC}                running_from: {written}\n"), _no_states_of_cnc()))
    beside = cnc(loaded(tmp_path, (CNC, f"{CNC}                running_from: {written}\n")))
    assert without.inference is not None
    assert without.inference.at(0) == inference
    assert (without.states, without.is_machine) == (None, True)
    assert beside.states is not None
    assert beside.inference == without.inference


def test_a_units_measures_become_the_model(tmp_path: Path) -> None:
    lines = """                modes: {2: planned_stop, 3: setup}
                retrip: 0s
                capacity_per_h: 85.5
                characteristics: [{tag: power_kw, name: {en: Power}, lsl: 2, usl: 30, target: 12, subgroup: 1}]
                baseline: [{value: {kwh_per_unit: 0.5, base_kwh: 10}}, {valid_from: 2026-03-01, value: {kwh_per_unit: 0.4, driver: good}}]
"""
    unit = cnc(loaded(tmp_path, (CNC, CNC + lines)))
    assert unit.modes is not None
    assert unit.modes.at(0) == {2: TimeCategory.PLANNED_STOP, 3: TimeCategory.SETUP}
    assert (unit.startup_s, unit.retrip_s, unit.capacity_per_h) == (300.0, 0.0, 85.5)
    assert unit.characteristics == (Characteristic("power_kw", {"en": "Power"}, 2.0, 30.0, 12.0, 1),)
    assert unit.baseline is not None
    assert [value for _, value in unit.baseline.entries] == [Baseline(0.5, 10.0), Baseline(0.4, 0.0, "good")]


def test_a_plain_unit_has_the_defaults() -> None:
    meter = load(CEPER).units["ceper/utilities/intake/main-meter"]
    assert (meter.startup_s, meter.retrip_s, meter.capacity_per_h) == (0.0, 300.0, None)
    assert (meter.modes, meter.inference, meter.baseline, meter.characteristics) == (None, None, None, ())
    assert not meter.is_machine


def test_a_unit_carries_the_sites_tariff_and_grid_factor_by_date(tmp_path: Path) -> None:
    energy = "energy: {tariff: pln-i3, grid_factor_kg_per_kwh: 0.87}"
    later = f"energy: [{{value: {{grid_factor_kg_per_kwh: 0.9}}}}, {{valid_from: 2026-03-01, value: {energy[8:]}}}]"
    unit = cnc(
        loaded(tmp_path, (energy, later), ("kvarh: 1114.74,", "kvarh: 1114.74, contract_kva: 800, minimum_hours: 40,"))
    )
    change = parse_instant("2026-03-01T00:00:00+07:00")
    assert unit.tariff is not None
    assert unit.grid_factor_kg_per_kwh is not None
    assert unit.tariff.at(change - 1) is None
    tariff = unit.tariff.at(change)
    assert tariff is not None
    assert (tariff.id, tariff.contract_kva, tariff.minimum_hours, tariff.peak_start_minute) == ("pln-i3", 800, 40, 1080)
    assert [unit.grid_factor_kg_per_kwh.at(at) for at in (change - 1, change)] == [0.9, 0.87]


def test_a_site_without_energy_gives_its_units_none() -> None:
    (meter,) = load(ROOT / "plants/steel-year/plant.yaml").units.values()
    assert (meter.tariff, meter.grid_factor_kg_per_kwh) == (None, None)


def test_products_are_counted_in_their_unit_and_a_kilogram_has_the_mass_one(tmp_path: Path) -> None:
    plant = loaded(tmp_path, ("mass_kg: 1.4", "unit: kg"))
    units = {name: (product.quantity_unit, product.mass_kg) for name, product in plant.products.items()}
    assert units["grey-iron-heat"] == (QuantityUnit.HEAT, 1000)
    assert units["mounting-plate"] == (QuantityUnit.KILOGRAM, 1.0)
    assert units["brake-disc"] == (QuantityUnit.PIECE, 6.2)
    assert cnc(plant).products is plant.products


def test_targets_and_run_times_stand_on_every_level(tmp_path: Path) -> None:
    plant = loaded(
        tmp_path,
        ("    timezone", "    targets: {oee: 0.65}\n    timezone"),
        (
            "        name: {en: Machining, id: Pemesinan}\n",
            "        name: {en: Machining}\n        targets: {oee: 0.66}\n",
        ),
        (
            "            targets: {oee: 0.7}\n",
            "            targets: {oee: 0.7}\n            planned_run_time_s: {brake-disc: 50}\n",
        ),
    )
    site = plant.sites[0]
    line = site.areas[1].work_centers[0]
    assert (site.targets, site.areas[1].targets, line.targets) == ({"oee": 0.65}, {"oee": 0.66}, {"oee": 0.7})
    assert line.planned_run_time_s is not None
    assert line.planned_run_time_s.at(0) == {"brake-disc": 50}
    assert site.areas[0].work_centers[0].planned_run_time_s is None
    assert site.policy.staffed is Staffed.SHIFTS


def test_a_reason_takes_from_the_one_above_what_it_leaves_out() -> None:
    reasons = load(CEPER).reasons
    spindle, power_cut = reasons["spindle"], reasons["power-cut"]
    assert (spindle.parent, spindle.failure, spindle.maintenance) == ("mechanical", True, Maintenance.CORRECTIVE)
    assert spindle.category is None
    assert (power_cut.parent, power_cut.failure) == ("electrical", False)
    assert reasons["no-crane"].category is TimeCategory.STARVED
    assert reasons["downstream-full"].category is TimeCategory.BLOCKED
    assert (reasons["maintenance"].category, reasons["maintenance"].maintenance) == ("planned_stop", "preventive")
    assert all(reason.name.keys() == {"en", "id"} for reason in reasons.values())


def test_every_unit_knows_the_plants_reasons() -> None:
    plant = load(CEPER)
    assert all(unit.reasons is plant.reasons for unit in plant.units.values())


@pytest.mark.parametrize("name", ["ceper", "steel-year"])
def test_an_example_plant_is_valid_by_the_published_schema(name: str) -> None:
    text = (ROOT / "plants" / name / "plant.yaml").read_text("utf-8")
    jsonschema.Draft202012Validator(json_schema()).validate(json.loads(json.dumps(parse(text).data)))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (WEEK, RULES[1:] + WEEK),
        (CODES, "states: packml"),
        (
            CODES,
            "states: [{value: {model: packml, codes: {4: execute}}}, {valid_from: 2026-03-01, value: {1: running}}]",
        ),
        (CNC, f"{CNC}                running_from: {{gauge: power_kw, running_above: 8, stopped_below: 5}}\n"),
    ],
)
def test_the_schema_takes_what_the_file_takes(tmp_path: Path, before: str, after: str) -> None:
    assert loaded(tmp_path, (before, after))
    data = json.loads(json.dumps(parse(GOOD.replace(before, after, 1)).data))
    jsonschema.Draft202012Validator(json_schema()).validate(data)


def _no_states_of_cnc() -> tuple[str, str]:
    """The change that takes the states from the first CNC unit alone."""
    own = GOOD[GOOD.index(CNC) :]
    own = own[: own.index(CODES) + len(CODES) + 1]
    lines = own.splitlines(keepends=True)
    return "".join(lines[1:]), "".join(lines[1:-1])


def test_shifts_whose_breaks_never_differ_stand_once() -> None:
    shifts: list[Shift] = [shift for shift in week(load(CEPER)).shifts if shift.name == "sore"]
    assert len(shifts) == 1


def test_the_other_days_that_the_example_describes_can_be_written_so(tmp_path: Path) -> None:
    lines = [line[1:] for line in GOOD.splitlines() if line.startswith(("#   rules:", "#     - ", "#   exceptions:"))]
    assert len(lines) == 5
    calendar = week(loaded(tmp_path, (WEEK, "".join(f" {line}\n" for line in lines) + WEEK)))
    assert [shift.hours.start for shift in calendar.shifts_of(date(2026, 2, 19))] == [360, 780, 1200]
    assert calendar.shifts_of(date(2026, 8, 17)) == calendar.shifts_of(date(2026, 8, 18)) == ()
