import pytest

from devices.register import Table
from devices.template import parse
from simulators.image import RegisterImage

TEMPLATE = """
template: one-of-everything
manual: "test"
probe: state
tags:
  - {name: state,        kind: state,   ref: {table: holding, address: 10, type: u8_low}}
  - {name: alarm_code,   kind: state,   ref: {table: holding, address: 10, type: u8_high}}
  - {name: x_door,       kind: state,   ref: {table: holding, address: 11, type: bool, bit: 3}}
  - {name: x_guard,      kind: state,   ref: {table: holding, address: 11, type: bool, bit: 9}}
  - name: cycle_time_s
    kind: gauge
    ref: {table: holding, address: 14, type: u16, scale: 0.01, not_available: [0xFFFF]}
  - {name: good,         kind: counter, ref: {table: input, address: 0, type: u32, order: CDAB}}
  - {name: x_lamp,       kind: state,   ref: {table: coil, address: 21, type: bool}}
"""


@pytest.fixture
def image() -> RegisterImage:
    return RegisterImage(parse(TEMPLATE, "test.yaml"))


def test_tags_that_share_a_register_leave_each_other_alone(image: RegisterImage) -> None:
    image.load({"state": 5, "alarm_code": 7, "x_door": 1, "x_guard": 1})
    image.load({"state": 6, "alarm_code": 7, "x_door": 0, "x_guard": 1})
    words = image.blocks[Table.HOLDING].words
    assert words[0] == 7 << 8 | 6
    assert words[1] == 1 << 9


def test_holes_read_zero_and_each_table_has_its_block(image: RegisterImage) -> None:
    image.load({"good": 65_537, "x_lamp": 1, "cycle_time_s": 1.25})
    assert image.blocks[Table.HOLDING].words == [0, 0, 0, 0, 125]
    assert image.blocks[Table.INPUT].words == [1, 1]
    assert (image.blocks[Table.COIL].first, image.blocks[Table.COIL].words) == (21, [1])
    assert Table.DISCRETE not in image.blocks


def test_decoded_is_what_the_registers_say_not_what_was_meant(image: RegisterImage) -> None:
    image.load({"cycle_time_s": 41.0489})
    assert image.decoded["cycle_time_s"] == 41.05
    image.load({"cycle_time_s": None})
    assert image.decoded["cycle_time_s"] is None
    image.load({"cycle_time_s": 5_000.0})
    assert image.decoded["cycle_time_s"] is None, "what does not fit is not available"


def test_a_value_that_fits_nowhere_is_an_error(image: RegisterImage) -> None:
    with pytest.raises(ValueError, match="not-available"):
        image.load({"good": -1})
