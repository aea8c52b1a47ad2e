# ruff: noqa: E501 - a mistake, its place and its remedy read best on one line
"""Each mistake in calendars, states, inference, reasons and measures is one line: where, what, and what to do."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from devices.library import load as load_template
from shopfloor.errors import PlantError
from shopfloor.plant import Plant
from shopfloor.plant_file import load
from shopfloor.tag import TagKind

GOOD = (Path(__file__).parents[3] / "plants" / "ceper" / "plant.yaml").read_text("utf-8")
WEEK = "  melting:                       # the furnace is relieved"
BREAKS = 'pagi: ["10:00-10:15", "12:00-12:30", {at: "11:30-13:00", days: [fri], replaces: "12:00-12:30"}]'
CODES = "states: {0: no_order, 1: running, 2: unplanned_stop, 3: setup, 4: starved, 5: blocked, 6: planned_stop}"
CNC = "              - id: cnc-01\n"
FURNACE = "sites[0].areas[0].work_centers[0].work_units[0]"
CNC_PLACE = "sites[0].areas[1].work_centers[0].work_units[0]"


def tags_of(name: str) -> Mapping[str, TagKind]:
    return {tag.spec.name: tag.spec.kind for tag in load_template(name).tags}


def loaded(tmp_path: Path, *changes: tuple[str, str]) -> Plant:
    text = GOOD
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    path = tmp_path / "plant.yaml"
    path.write_text(text, "utf-8")
    return load(path, tags_of)


def problem_of(tmp_path: Path, *changes: tuple[str, str]) -> str:
    with pytest.raises(PlantError) as caught:
        loaded(tmp_path, *changes)
    (problem,) = caught.value.problems
    line, _, told = problem.removeprefix(f"{tmp_path / 'plant.yaml'}:").partition(": ")
    assert line.isdigit()
    return told


RULES = {
    "neither shifts nor closed": ("{ramadan: true}", "[0]: a rule says what its days are; add either shifts or closed: true"),
    "shifts and closed": ('{ramadan: true, closed: true, shifts: {pagi: "06:00-13:00"}}', "[0]: a rule says what its days are; add either shifts or closed: true"),
    "a great offset": ("{ramadan: {offset_days: 5}, closed: true}", "[0].ramadan.offset_days: 5: input should be less than or equal to 3"),
    "a year of another calendar": ("{ramadan: {offset_days: {2026: 1}}, closed: true}", "[0].ramadan.offset_days[2026]: 2026 is not a Hijri year of the table (1343 to 1500); 2026 is 1447"),
    "not true": ("{ramadan: yes, closed: true}", "[0].ramadan: 'yes' is not allowed; use true"),
    "ramadan twice": ('{ramadan: true, closed: true}, {ramadan: true, shifts: {pagi: "06:00-11:00"}}', "[1]: never holds, for rule 1 names all of its days; remove one or put this one first"),
    "dates within earlier dates": ("{from: 2026-01-02, to: 2026-01-09, closed: true}, {from: 2026-01-03, to: 2026-01-04, closed: true}", "[1]: never holds, for rule 1 names all of its days; remove one or put this one first"),
    "holidays twice": ('{holidays: ID, closed: true}, {holidays: {country: ID}, shifts: {pagi: "06:00-11:00"}}', "[1]: never holds, for rule 1 names all of its days; remove one or put this one first"),
    "no country": ("{holidays: Indonesia, closed: true}", "[0].holidays: 'Indonesia' is not a country with known holidays; write its ISO code, e.g. ID"),
    "no subdivision": ("{holidays: {country: DE, subdivision: XX}, closed: true}", "[0].holidays.subdivision: DE has no subdivision 'XX'; it has BB, BE, BW, BY"),
    "no category": ("{holidays: {country: ID, categories: [bank]}, closed: true}", "[0].holidays.categories[0]: ID has no holidays of category 'bank'; it has government, public"),
    "dates backwards": ("{from: 2026-01-02, to: 2026-01-01, closed: true}", "[0].to: 2026-01-01 is before 2026-01-02; exchange them"),
    "one end": ("{from: 2026-01-02, closed: true}", "[0]: a range of days has two ends; add to"),
    "no days": ("{closed: true}", "[0]: a rule names its days in one way; write one of from with to, ramadan, or holidays"),
    "two ways": ("{from: 2026-01-02, to: 2026-01-03, ramadan: true, closed: true}", "[0]: a rule names its days in one way"),
    "an impossible date": ("{from: 2026-02-30, to: 2026-03-09, closed: true}", "[0].from: '2026-02-30' is not a date of the calendar; write e.g. 2026-12-25"),
    "breaks of closed days": ('{holidays: ID, closed: true, breaks: {pagi: ["10:00-10:15"]}}', "[0].breaks: closed days have no breaks; remove them"),
    "a break cut through": ('{holidays: ID, shifts: {pagi: "06:00-12:10"}}', "[0].shifts.pagi: cuts through the week's break 11:30-13:00 and 12:00-12:30; take other hours, or by a rule other breaks"),
    "a break begun before": ('{holidays: ID, shifts: {pagi: "10:05-11:00"}}', "[0].shifts.pagi: cuts through the week's break 10:00-10:15"),
    "overlapping shifts": ('{holidays: ID, shifts: {pagi: "06:00-14:00", sore: "13:00-15:00"}}', "[0].shifts.sore: overlaps with shift 'pagi'; a moment belongs to one shift"),
    "breaks of no shift": ('{holidays: ID, shifts: {pagi: "06:00-14:00"}, breaks: {page: ["09:00-09:10"]}}', "[0].breaks.page: there is no shift 'page'; did you mean 'pagi'?"),
    "a break outside": ('{holidays: ID, shifts: {pagi: "06:00-14:00"}, breaks: {pagi: ["15:00-15:10"]}}', "[0].breaks.pagi[0]: the break 15:00-15:10 lies outside its shift 'pagi' (06:00-14:00); move it"),
    "a misspelt word": ("{holiday: ID, closed: true}", "[0].holiday: unknown field 'holiday'; did you mean 'holidays'?"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", RULES)
def test_a_rule_that_cannot_be_meant_is_one_line(tmp_path: Path, mistake: str) -> None:
    rules, expected = RULES[mistake]
    problem = problem_of(tmp_path, (WEEK, f"    rules: [{rules}]\n{WEEK}"))
    assert problem.startswith(f"calendars.three-shift.rules{expected}")


EXCEPTIONS = {
    "an impossible date": ("2026-02-30: closed", ".2026-02-30: '2026-02-30' is not a date of the calendar; write e.g. 2026-12-25"),
    "no date": ("20260228: closed", "[20260228]: '20260228' is not a date of the calendar"),
    "no word": ("2026-02-28: close", ".2026-02-28: 'close' is not allowed; use 'closed'"),
    "nothing": ("2026-02-28: {}", ".2026-02-28: is empty; add at least one entry"),
    "into the night before": ('2026-02-28: {pagi: "05:00-11:00"}', ".2026-02-28.pagi: overlaps with shift 'malam' of the day before; move it, or give that day an exception too"),
    "into the next morning": ('2026-02-28: {malam: "22:00-07:00"}', ".2026-02-28.malam: overlaps with shift 'pagi' of the day after; move it, or give that day an exception too"),
    "a break cut through": ('2026-02-28: {pagi: "06:00-10:10"}', ".2026-02-28.pagi: cuts through the week's break 10:00-10:15"),
    "overlapping shifts": ('2026-02-28: {pagi: "06:00-11:00", sore: "10:30-14:00"}', ".2026-02-28.sore: overlaps with shift 'pagi'"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", EXCEPTIONS)
def test_an_exception_that_cannot_be_meant_is_one_line(tmp_path: Path, mistake: str) -> None:
    exceptions, expected = EXCEPTIONS[mistake]
    problem = problem_of(tmp_path, (WEEK, f"    exceptions: {{{exceptions}}}\n{WEEK}"))
    assert problem.startswith(f"calendars.three-shift.exceptions{expected}")


def test_an_exception_beyond_the_hijri_table_is_told_where_ramadan_decides_of_its_neighbours(tmp_path: Path) -> None:
    rules = '    rules: [{ramadan: true, closed: true}]\n    exceptions: {2090-02-28: {pagi: "06:00-11:00"}}\n'
    problem = problem_of(tmp_path, (WEEK, rules + WEEK))
    assert problem.startswith("calendars.three-shift.exceptions.2090-02-28: Ramadan around 2090-02-27 is not known")


REST = {
    "overlapping breaks": ('["10:00-10:15", "10:10-12:30"]', "[1]: overlaps with the break 10:00-10:15 on mon; keep one, or move it"),
    "before the shift": ('["05:00-05:15"]', "[0]: the break 05:00-05:15 lies outside its shift 'pagi' (06:00-14:00); move it"),
    "over the end": ('["13:50-14:10"]', "[0]: the break 13:50-14:10 lies outside its shift 'pagi' (06:00-14:00); move it"),
    "a day's break over the daily one": ('["12:00-12:30", {at: "11:30-13:00", days: [fri]}]', '[1]: overlaps with the break 12:00-12:30 on fri; say replaces: "12:00-12:30"'),
    "replaces nothing": ('["12:00-12:30", {at: "11:30-13:00", days: [fri], replaces: "12:00-12:45"}]', "[1].replaces: there is no daily break 12:00-12:45; known: 12:00-12:30"),
    "no weekday": ('[{at: "11:30-13:00", days: [friday]}]', "[0].days[0]: 'friday' is not allowed; use one of 'mon', 'tue'"),
    "no days": ('[{at: "11:30-13:00"}]', "[0].days: is missing; add it"),
    "no time": ('[{at: "11-13", days: [fri]}]', "[0].at: '11-13' is not a time range; write e.g. 06:00-14:00 in quotes"),
    "no list": ('"12:00-12:30"', ": '12:00-12:30' does not fit here; write a list, e.g. [one, two]"),
    "two breaks of days": ('[{at: "11:30-13:00", days: [fri]}, {at: "12:30-13:30", days: [thu, fri]}]', "[1]: overlaps with the break 11:30-13:00 on fri; keep one, or move it"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", REST)
def test_a_break_that_cannot_be_meant_is_one_line(tmp_path: Path, mistake: str) -> None:
    breaks, expected = REST[mistake]
    assert problem_of(tmp_path, (BREAKS, f"pagi: {breaks}")).startswith(f"calendars.three-shift.breaks.pagi{expected}")


SHIFTS = {
    "no weekday": ('pagi: "06:00-14:00"', 'pagi: {hours: "06:00-14:00", days: [fry]}', ".pagi.days[0]: 'fry' is not allowed; use one of 'mon'"),
    "no days": ('pagi: "06:00-14:00"', 'pagi: {hours: "06:00-14:00", days: []}', ".pagi.days: is empty; add at least one entry"),
    "after the end of the day": ('pagi: "06:00-14:00"', 'pagi: "06:00-25:00"', ".pagi: '06:00-25:00' is not a time range"),
    "into the next morning": ('malam: "22:00-06:00"', 'malam: "22:00-06:10"', ".pagi: overlaps with shift 'malam'; a moment belongs to one shift"),
    "one night a week": ('malam: "22:00-06:00"', 'malam: {hours: "22:00-06:10", days: [sun]}', ".pagi: overlaps with shift 'malam'"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", SHIFTS)
def test_a_shift_that_cannot_be_meant_is_one_line(tmp_path: Path, mistake: str) -> None:
    before, after, expected = SHIFTS[mistake]
    assert problem_of(tmp_path, (before, after)).startswith(f"calendars.three-shift.shifts{expected}")


STATES = {
    "no model": ("states: packl", ": 'packl' is not allowed; use one of 'packml', 'packml-tmc' or 'semi-e10'"),
    "a model without numbers": ("states: semi-e10", ": semi-e10 numbers no states; write {model: semi-e10, codes: {1: prd, ...}} with prd, sby, eng, sdt, udt, nst"),
    "no state of the model": ("states: {model: packml, codes: {0: stoped}}", ".codes[0]: packml has no state 'stoped'; it has clearing, stopped"),
    "an override of no state": ("states: {model: packml, override: {helt: starved}}", ".override.helt: packml has no state 'helt'"),
    "a micro-stop by name": ("states: {model: packml, override: {held: micro_stop}}", ".override.held: 'micro_stop' is not allowed"),
    "a micro-stop by code": ("states: {0: micro_stop, 1: running}", "[0]: 'micro_stop' is not allowed; use one of 'running'"),
    "nothing runs": ("states: {0: starved}", ": no code means running; say which one does"),
    "codes of no model": ("states: {codes: {1: execute}}", ".model: is missing; add it"),
    "a word as code": ("states: {a: running}", ".a: 'a': input should be a valid integer"),
    "twice from one date": ("states: [{valid_from: 2026-01-01, value: packml}, {valid_from: 2026-01-01, value: packml-tmc}]", ": two values hold from 2026-01-01 00:00; keep one"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", STATES)
def test_states_that_cannot_be_meant_are_one_line(tmp_path: Path, mistake: str) -> None:
    states, expected = STATES[mistake]
    assert problem_of(tmp_path, (CODES, states)).startswith(f"{FURNACE}.states{expected}")


UNIT = {
    "a gauge backwards": ("running_from: {gauge: power_kw, running_above: 5, stopped_below: 8}", "running_from.stopped_below: 8 is above running_above 5; exchange them"),
    "a counter as gauge": ("running_from: {gauge: good, running_above: 5, stopped_below: 3}", "running_from.gauge: the tag 'good' is a counter; choose a gauge, e.g. cycle_time_s"),
    "a gauge as counter": ("running_from: {counter: power_kw}", "running_from.counter: the tag 'power_kw' is a gauge; choose a counter, e.g. good"),
    "an energy counter": ("running_from: {counter: energy_kwh}", "running_from.counter: 'energy_kwh' counts no parts; use one of produced, good"),
    "no such tag": ("running_from: {gauge: current_a, running_above: 5, stopped_below: 3}", "running_from.gauge: template 'cnc-generic' gives no tag 'current_a' here; it gives alarm_code"),
    "less than a cycle": ("running_from: {counter: good, cycles: 0.5}", "running_from.cycles: 0.5: input should be greater than or equal to 1"),
    "inference from nothing": ("running_from: {}", "running_from.counter: is missing; add it"),
    "modes without the tag": ("modes: {2: planned_stop}", "modes: template 'cnc-generic' gives no tag 'unit_mode' here"),
    "no time": ("startup: soon", "startup: 'soon' is not a duration; write e.g. 500ms"),
    "negative time": ("retrip: -5min", "retrip: '-5min' is not a duration; write e.g. 500ms"),
    "no capacity": ("capacity_per_h: 0", "capacity_per_h: 0: input should be greater than 0"),
    "no limit": ("characteristics: [{tag: power_kw}]", "characteristics[0]: has no limit; add lsl, usl or both"),
    "limits exchanged": ("characteristics: [{tag: power_kw, lsl: 5, usl: 4}]", "characteristics[0].lsl: 5 is not below usl 4; exchange or correct them"),
    "target outside": ("characteristics: [{tag: power_kw, usl: 9, target: 10}]", "characteristics[0].target: 10 lies outside the limits; correct it"),
    "a counter measured": ("characteristics: [{tag: good, lsl: 5}]", "characteristics[0].tag: the tag 'good' is a counter; choose a gauge"),
    "nothing measured": ("characteristics: [{tag: x_width, lsl: 5}]", "characteristics[0].tag: template 'cnc-generic' gives no tag 'x_width' here"),
    "a tag twice": ("characteristics: [{tag: power_kw, lsl: 5}, {tag: power_kw, usl: 9}]", "characteristics[1].tag: the tag 'power_kw' has a specification already; keep one"),
    "no subgroup": ("characteristics: [{tag: power_kw, lsl: 5, subgroup: 0}]", "characteristics[0].subgroup: 0: input should be greater than or equal to 1"),
    "alarm limits exchanged": ("alerts: {limits: {power_kw: {low: 5, high: 4}}}", "alerts.limits.power_kw.low: 5 is not below high 4; correct them"),
    "no alarm limit": ("alerts: {limits: {power_kw: {}}}", "alerts.limits.power_kw: has no limit; add low, high or both"),
    "alarm limits of a counter": ("alerts: {limits: {good: {high: 4}}}", "alerts.limits.good: the tag 'good' is a counter; choose a gauge"),
    "an alarm of no tag": ("alerts: {limits: {heat: {high: 4}}}", "alerts.limits.heat: template 'cnc-generic' gives no tag 'heat' here"),
    "a misspelt alarm": ("alerts: {stoped: 5min}", "alerts.stoped: unknown field 'stoped'; did you mean 'stopped'?"),
    "patience without a number": ("alerts: {stopped: soon}", "alerts.stopped: 'soon' is not a duration"),
    "no demand": ("alerts: {demand_kw: 0}", "alerts.demand_kw: 0: input should be greater than 0"),
    "no driver": ("baseline: {kwh_per_unit: 0.5, driver: weight}", "baseline.driver: 'weight' is not allowed; use one of 'produced', 'good'"),
    "half a baseline": ("baseline: {base_kwh: 10}", "baseline.kwh_per_unit: is missing; add it"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", UNIT)
def test_what_a_unit_cannot_mean_is_one_line(tmp_path: Path, mistake: str) -> None:
    field, expected = UNIT[mistake]
    told = "                startup: 5min                #"
    twice = [(told, told.replace("startup: 5min", ""))] if field.startswith("startup") else []
    problem = problem_of(tmp_path, *twice, (CNC, f"{CNC}                {field}\n"))
    assert problem.startswith(f"{CNC_PLACE}.{expected}")


def test_a_mode_that_is_no_use_of_time_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PlantError, match=r"modes\[2\]: 'running' is not allowed; use one of 'setup', 'planned_stop'"):
        loaded(tmp_path, (CNC, f"{CNC}                modes: {{2: running}}\n"))


def test_mass_drives_a_baseline_only_where_products_have_one(tmp_path: Path) -> None:
    baseline = (CNC, f"{CNC}                baseline: {{kwh_per_unit: 0.5}}\n")
    assert loaded(tmp_path, baseline).units["ceper/machining/line-1/cnc-01"].baseline is not None
    problem = problem_of(tmp_path, (", mass_kg: 6.2", ""), baseline)
    assert problem == f"{CNC_PLACE}.baseline: good_kg needs the mass of what is made here; add mass_kg to its products"


def test_a_counter_tells_of_cycles_only_where_their_time_is_known(tmp_path: Path) -> None:
    problem = problem_of(
        tmp_path,
        (CNC, f"{CNC}                running_from: {{counter: good}}\n"),
        ("                product: {tag: product_code, map: {1: brake-disc, 2: pump-housing}}\n", ""),
        ("                planned_run_time_s: {brake-disc: 42, pump-housing: 65}\n", ""),
    )
    assert problem.endswith("counter: a counter tells of cycles only where their time is known; add planned_run_time_s")


def test_a_meter_has_no_startup(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, ("scan: 10s}\n", "scan: 10s}\n                startup: 3min\n"))
    assert problem.endswith("startup: a unit without states and running_from never starts; remove it")


REASONS = {
    "an id twice": ("      spindle: {", "      sensor: {", "electrical.children.sensor: the reason 'sensor' stands twice (also as reasons.mechanical.children.sensor); an id is unique in the whole tree"),
    "a failure that waits": ("    failure: true\n", "    failure: true\n    category: starved\n", "mechanical: is a failure and starved; a failure is an unplanned_stop, so say failure: false"),
    "an inherited contradiction": ("category: blocked}", "category: blocked, failure: true}", "waiting.children.downstream-full: is a failure and blocked"),
    "a preventive failure": ("    maintenance: corrective\n", "    maintenance: preventive\n", "mechanical: is a failure and preventive maintenance; say failure: false, or maintenance: corrective"),
    "a running stop": ("    failure: true\n", "    failure: true\n    category: running\n", "mechanical.category: 'running' is not allowed; use one of 'setup', 'planned_stop'"),
    "a micro-stop": ("id: Menunggu}\n    category: starved", "id: Menunggu}\n    category: micro_stop", "waiting.category: 'micro_stop' is not allowed"),
    "no maintenance": ("    maintenance: corrective\n", "    maintenance: repair\n", "mechanical.maintenance: 'repair' is not allowed; use one of 'corrective' or 'preventive'"),
    "no id": ("      spindle: {", "      Spindle: {", "mechanical.children.Spindle: 'Spindle' is not an id; use lower-case letters"),
    "a misspelt word": ("    failure: true\n", "    failur: true\n", "mechanical.failur: unknown field 'failur'; did you mean 'failure'?"),
    "no truth": ("    failure: true\n", "    failure: perhaps\n", "mechanical.failure: 'perhaps': input should be a valid boolean"),
    "a word for a reason": ("{name: {en: Changeover, id: Ganti produk}, category: setup}", "setup", "changeover: 'setup' does not fit here; write a mapping"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", REASONS)
def test_a_reason_that_cannot_be_meant_is_one_line(tmp_path: Path, mistake: str) -> None:
    before, after, expected = REASONS[mistake]
    assert problem_of(tmp_path, (before, after)).startswith(f"reasons.{expected}")


MEASURES = {
    "no unit": ("unit: heat", "unit: heats", "products.grey-iron-heat.unit: 'heats' is not allowed; use one of 'piece', 'kg' or 'heat'"),
    "a heavy kilogram": ("unit: heat", "unit: kg", "products.grey-iron-heat.mass_kg: a kilogram has the mass 1; remove mass_kg, or count in piece or heat"),
    "no policy": ("staffed: shifts", "staffed: always", "sites[0].policy.staffed: 'always' is not allowed; use one of 'unknown' or 'shifts'"),
    "a minimum of nothing": ("kvarh: 1114.74,", "kvarh: 1114.74, minimum_hours: 40,", "tariffs.pln-i3.minimum_hours: a minimum bill needs the contracted power; add contract_kva"),
    "negative power": ("kvarh: 1114.74,", "kvarh: 1114.74, contract_kva: -1,", "tariffs.pln-i3.contract_kva: -1: input should be greater than 0"),
    "an unknown product of a line": ("            targets: {oee: 0.7}\n", "            planned_run_time_s: {brake-disk: 45}\n", "sites[0].areas[1].work_centers[0].planned_run_time_s.brake-disk: there is no product 'brake-disk'; did you mean 'brake-disc'?"),
    "a parallel line's time": ("            output_unit: cnc-03  ", "            planned_run_time_s: {brake-disc: 45}  ", "sites[0].areas[1].work_centers[0].planned_run_time_s: only a serial line has its own; add output_unit, or give it to the units"),
    "a line's target in percent": ("            targets: {oee: 0.7}\n", "            targets: {oee: 70}\n", "sites[0].areas[1].work_centers[0].targets.oee: 70: input should be less than or equal to 1"),
    "no target": ("    timezone", "    targets: {oe: 0.7}\n    timezone", "sites[0].targets.oe: 'oe' is not allowed; use one of 'oee'"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MEASURES)
def test_a_measure_that_cannot_be_meant_is_one_line(tmp_path: Path, mistake: str) -> None:
    before, after, expected = MEASURES[mistake]
    assert problem_of(tmp_path, (before, after)).startswith(expected)


def test_a_meter_never_stops(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, ("alerts: {demand_kw: 1100}", "alerts: {stopped: 5min}"))
    assert problem.endswith("alerts.stopped: a unit without states and running_from never stops; remove it")
