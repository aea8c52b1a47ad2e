from devices.template import parse
from edge_agent.cycle import OUT_OF_RANGE, REFUSED, Cycle
from shopfloor.errors import DeviceRefused
from shopfloor.quality import COMM_LOST, Quality, Reason, Status

FURNACE = parse(
    """
template: furnace
manual: a furnace of these tests
modbus: {gap: 2}
probe: state
tags:
  - {name: state,         kind: state,   ref: {table: holding, address: 10, type: u16}}
  - {name: energy_kwh,    kind: counter, ref: {table: holding, address: 12, type: u32, scale: 0.001}}
  - name: temperature_c
    kind: gauge
    ref: {table: input, address: 3, type: i16, scale: 0.1, not_available: [0x7FFF]}
    range: [-50, 1800]
  - {name: x_door,        kind: state,   ref: {table: coil, address: 1, type: bool}}
""",
    "furnace.yaml",
)
CYCLE = Cycle.of(FURNACE)


def answers(**by_table: list[int]) -> list[list[int] | DeviceRefused]:
    return [by_table.get(request.table.value, DeviceRefused("no")) for request in CYCLE.plan]


def test_one_request_a_table_reads_everything() -> None:
    assert [(request.table, request.address, request.count) for request in CYCLE.plan] == [
        ("coil", 1, 1),
        ("holding", 10, 4),
        ("input", 3, 1),
    ]


def test_all_values_of_a_good_cycle_are_there_and_no_status() -> None:
    values, status = CYCLE.decode(answers(coil=[1], holding=[2, 99, 1, 2], input=[15_000]))
    assert values == {"x_door": 1, "state": 2, "energy_kwh": 65.538, "temperature_c": 1500.0}
    assert status == {}


def test_a_marker_is_bad_and_has_no_value() -> None:
    values, status = CYCLE.decode(answers(coil=[0], holding=[2, 0, 0, 0], input=[0x7FFF]))
    assert "temperature_c" not in values
    assert status == {"temperature_c": Status(Quality.BAD, Reason.NOT_AVAILABLE)}


def test_a_number_beyond_the_template_is_uncertain_and_kept() -> None:
    values, status = CYCLE.decode(answers(coil=[0], holding=[2, 0, 0, 0], input=[18_001]))
    assert values["temperature_c"] == 1800.1
    assert status == {"temperature_c": OUT_OF_RANGE}


def test_a_refused_request_costs_its_own_tags_alone() -> None:
    values, status = CYCLE.decode(answers(coil=[1], input=[200]))
    assert values == {"x_door": 1, "temperature_c": 20.0}
    assert status == {"state": REFUSED, "energy_kwh": REFUSED}


def test_a_lost_device_has_every_tag_bad() -> None:
    names = {tag.spec.name for tag in FURNACE.tags}
    assert dict(CYCLE.lost) == dict.fromkeys(names, COMM_LOST)
