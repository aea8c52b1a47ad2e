"""A template is parsed strictly: every mistake is one line that says where it is and what to write."""

from fractions import Fraction

import pytest

from devices.register import Encoding, Order, Table
from devices.template import Template, parse
from shopfloor.errors import PlantError
from shopfloor.tag import TagKind

GOOD = """\
template: saw-generic
manual: "Saw manual, chapter 7"
modbus: {max_registers: 20, word_order: CDAB, gap: 4, forbidden: [[50, 59]]}
probe: state
tags:
  - {name: state, kind: state, ref: {table: holding, address: 0, type: u16}}
  - {name: energy_kwh, kind: counter, ref: {table: holding, address: 2, type: u32, scale: 0.001}}
  - name: temperature_c
    kind: gauge
    ref: {table: input, address: 3, type: i16, order: BADC, scale: 0.1, offset: -40, not_available: [0x7FFF]}
    range: [-50, 1800]
    meaning: "bath"
  - {name: x_flow_lpm, kind: gauge, unit: l/min, ref: {table: input, address: 4, type: f32}}
  - {name: x_door, kind: state, ref: {table: discrete, address: 7, type: bool}}
  - {name: x_fault, kind: state, ref: {table: holding, address: 8, type: bool, bit: 5}}
  - {name: x_serial_text, kind: text, ref: {table: holding, address: 10, type: string, length: 8}}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(PlantError) as caught:
        parse(text, "saw.yaml")
    return caught.value.problems


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


@pytest.fixture
def saw() -> Template:
    return parse(GOOD, "saw.yaml")


def test_the_header_says_what_the_device_allows(saw: Template) -> None:
    assert (saw.name, saw.max_registers, saw.gap, saw.forbidden) == ("saw-generic", 20, 4, ((50, 59),))
    assert (saw.probe, saw.cycle_tag) == ("state", "state")


def test_a_scale_is_the_decimal_that_is_written(saw: Template) -> None:
    assert saw.tag("energy_kwh").ref.scale == Fraction(1, 1000)
    assert saw.tag("temperature_c").ref.offset == -40


def test_the_unit_of_a_canonical_tag_needs_no_words(saw: Template) -> None:
    assert [tag.spec.unit for tag in saw.tags][:4] == ["", "kWh", "°C", "l/min"]


def test_an_integer_counter_knows_its_scale_and_roll_over(saw: Template) -> None:
    spec = saw.tag("energy_kwh").spec
    assert (spec.kind, spec.scale, spec.modulus) == (TagKind.COUNTER, 0.001, 2**32)
    assert saw.tag("energy_kwh").ref.exact


def test_a_float_counter_has_no_roll_over_and_a_gauge_neither() -> None:
    saw = parse(changed("type: u32, scale: 0.001", "type: f32, scale: 0.001"), "saw.yaml")
    assert (saw.tag("energy_kwh").spec.modulus, saw.tag("energy_kwh").spec.scale) == (None, 1.0)
    assert saw.tag("temperature_c").spec.modulus is None
    assert not saw.tag("temperature_c").ref.exact


def test_a_tag_may_have_its_own_order(saw: Template) -> None:
    assert [saw.tag(name).ref.order for name in ("state", "temperature_c")] == [Order.CDAB, Order.BADC]


def test_a_tag_carries_its_registers_range_and_meaning(saw: Template) -> None:
    tag = saw.tag("temperature_c")
    assert (tag.ref.table, tag.ref.address, tag.ref.type) == (Table.INPUT, 3, Encoding.I16)
    assert (tag.range, tag.meaning, tag.ref.not_available) == ((-50, 1800), "bath", (0x7FFF,))


def test_the_reading_number_marks_the_cycle_where_there_is_one() -> None:
    assert parse(changed("x_door", "x_reading"), "saw.yaml").cycle_tag == "x_reading"


def test_an_unknown_tag_is_a_key_error(saw: Template) -> None:
    with pytest.raises(KeyError, match="scrap"):
        saw.tag("scrap")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("manual:", "manuel:", "saw.yaml:2: manuel: is not a known key; remove it, or correct its spelling"),
        ("manual:", "manuel:", "saw.yaml:1: manual: is missing; add it"),
        ("template: saw-generic", "template: Saw 1", "saw.yaml:1: template: 'Saw 1' must match"),
        ("probe: state", "probe: stat", "saw.yaml:4: probe: 'stat' is not a tag of this template; write one of state"),
        ("max_registers: 20", "max_registers: 126", "saw.yaml:3: modbus.max_registers: is 126 but should be less than"),
        ("gap: 4", 'gap: "4"', "saw.yaml:3: modbus.gap: is '4' but should be a valid integer"),
        ("[[50, 59]]", "[[59, 50]]", "saw.yaml:3: modbus.forbidden.0: must be [first, last] address"),
        ("[[50, 59]]", "[[8, 8]]", "saw.yaml:15: tags.5.ref.address: lies in a forbidden range"),
        ("max_registers: 20", "max_registers: 1", "saw.yaml:7: tags.1.ref: has 2 registers, more than"),
        ("name: state", "name: State", "saw.yaml:6: tags.0.name: 'State' must be lower case"),
        ("x_flow_lpm", "flow_lpm", "saw.yaml:13: tags.3.name: 'flow_lpm' is not a canonical tag; write x_flow_lpm, or"),
        ("x_door", "x_fault", "saw.yaml:15: tags.5.name: 'x_fault' is given 2 times"),
        ("kind: counter", "kind: gauge", "saw.yaml:7: tags.1.kind: must be counter for energy_kwh"),
        ("kind: counter", "kind: count", "saw.yaml:7: tags.1.kind: is 'count' but should be 'gauge', 'counter'"),
        (
            "kind: counter,",
            "kind: counter, unit: Wh,",
            "saw.yaml:7: tags.1.unit: must be 'kWh' for energy_kwh; convert",
        ),
        ("scale: 0.001", "scale: -1", "saw.yaml:7: tags.1.kind: counter needs a number with a scale above 0"),
        ("scale: 0.001", "scale: 0", "saw.yaml:7: tags.1.ref.scale: must not be 0"),
        ("scale: 0.001", "scale: 0.001, offset: 1", "saw.yaml:7: tags.1.kind: counter needs a number"),
        ("address: 0, type: u16", "address: 0, type: f32", "saw.yaml:6: tags.0.kind: state needs an integer"),
        ("address: 0, type: u16", "address: 40001.5, type: u16", "saw.yaml:6: tags.0.ref.address: is 40001.5 but"),
        ("address: 0, type: u16", "address: 65536, type: u16", "saw.yaml:6: tags.0.ref.address: must be 0-based"),
        (
            "address: 0, type: u16",
            "address: 0, type: u12",
            "saw.yaml:6: tags.0.ref.type: is 'u12' but should be 'bool'",
        ),
        ("kind: state, ref: {table: discrete", "kind: gauge, ref: {table: discrete", "saw.yaml:14: tags.4.kind: gauge"),
        (
            "x_serial_text",
            "x_serial",
            "saw.yaml:16: tags.6.kind: text goes with type string and a name that ends in _text",
        ),
        (
            "range: [-50, 1800]",
            "range: [1800, -50]",
            "saw.yaml:11: tags.2.range: is for gauges and goes from the lower",
        ),
        ("range: [-50, 1800]", "range: [1800]", "saw.yaml:11: tags.2.range: is [1800] but"),
        ('meaning: "bath"', "meaning: 3", "saw.yaml:12: tags.2.meaning: is 3 but should be a valid string"),
        ("bit: 5", "bit: 16", "saw.yaml:15: tags.5.ref.bit: must be 0..15"),
        ("bit: 5", "bit: 5, bit: 6", "saw.yaml:15: tags.5.ref.bit: the key 'bit' stands twice"),
    ],
)
def test_a_mistake_names_file_line_field_and_remedy(old: str, new: str, problem: str) -> None:
    found = problems(changed(old, new))
    assert any(line.startswith(problem) for line in found), found


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    text = (
        changed("gap: 4", "gap: x").replace("kind: counter", "kind: gauge").replace("type: bool, bit: 5", "type: bool")
    )
    found = problems(text.replace("length: 8", "length: 0"))
    assert [line.split(":")[1] for line in found] == ["3", "7", "15", "16"]


def test_a_row_that_is_no_mapping_is_told_what_a_row_is() -> None:
    assert "tags.7: must be a mapping with the keys name, kind, ref" in problems(GOOD + "  - state\n")[0]


@pytest.mark.parametrize("text", ["", "[]", "tags: 3", "tags: [", "template: x\ntags: []\n"])
def test_a_file_that_is_no_template_is_refused(text: str) -> None:
    assert all(line.startswith("saw.yaml:") for line in problems(text))
