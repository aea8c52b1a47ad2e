"""Every register of the published maps is in its template, with its type, order and scale."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from devices import library
from devices.register import Encoding, Order, Table
from devices.template import TemplateTag

TEMPLATE_OF = {
    "Eastron SDM630": "eastron-sdm630",
    "Schneider Electric iEM3000 series": "schneider-iem3000",
    "Siemens SENTRON PAC2200 (same block as PAC3200/PAC4200 for 1..70)": "siemens-pac2200",
    "Carlo Gavazzi EM24": "carlo-gavazzi-em24",
    "Janitza UMG/B-series": "janitza-umg",
    "Chint DTSU666": "chint-dtsu666",
    "ABB A/B-series (B23/B24)": "abb-b23",
}
WITHOUT_TEMPLATE = {
    "Delta VFD-EL/E/M/C2000/MS300": "only partly sourced: the current's divisor depends on the model, 0x2101 and "
    "0x2102 were in no source, and two of its registers are for writing, which the edge agent never does",
}
TABLES = {3: Table.HOLDING, 4: Table.INPUT}
PER_UNIT = {"W": ("kW", 1000), "VA": ("kVA", 1000), "var": ("kvar", 1000), "deg": ("deg", 1)}
"""Map's unit -> (our unit, how many of the former make one)."""

Device = dict[str, Any]


@pytest.fixture(scope="module")
def maps(shared_data: Path) -> dict[str, Device]:
    devices = json.loads((shared_data / "modbus" / "register_maps.json").read_text(encoding="utf-8"))
    return {device["device"]: device for device in devices}


def test_every_device_of_the_maps_has_a_template_or_a_reason(maps: dict[str, Device]) -> None:
    assert set(maps) == TEMPLATE_OF.keys() | WITHOUT_TEMPLATE.keys()


@pytest.mark.parametrize("device", TEMPLATE_OF)
def test_every_register_of_the_map_is_in_the_template(maps: dict[str, Device], device: str) -> None:
    tags = {(tag.ref.table, tag.ref.address): tag for tag in library.load(TEMPLATE_OF[device]).tags}
    wanted = {(TABLES[maps[device]["function"]], row["address"]): row for row in maps[device]["registers"]}
    assert tags.keys() == wanted.keys()
    order = Order.CDAB if "CDAB" in maps[device]["byte_order"] else Order.ABCD
    differences = {row["name"]: difference(tags[place], row, order) for place, row in wanted.items()}
    assert {name: found for name, found in differences.items() if found} == {}


def difference(tag: TemplateTag, row: Device, order: Order) -> list[str]:
    unit, per = PER_UNIT.get(row["unit"], (row["unit"], 1))
    encoding = row["type"].replace("uint", "u").replace("int", "i").replace("float", "f")
    claims = {
        "type": tag.ref.type is Encoding(encoding),
        "width": tag.ref.width == row["words"],
        "order": tag.ref.order is order,
        "scale": tag.ref.scale == 1 / (Fraction(str(row["divide_by"])) * per),
        "unit": tag.spec.unit == unit,
        "counter": (tag.spec.kind == "counter") == (row["unit"] in ("kWh", "kvarh")),
    }
    return [claim for claim, holds in claims.items() if not holds]


CANONICAL_OF = {
    "Import": "energy_kwh",
    "Export": "energy_export_kwh",
    "ReactiveImport": "reactive_kvarh",
    "ReactiveExport": "reactive_export_kvarh",
    "Power": "power_kw",
    "ReactivePower": "reactive_kvar",
    "ApparentPower": "apparent_kva",
    "Cosphi": "power_factor",
    "Current": "current_a",
    "Voltage": "voltage_v",
    "Frequency": "frequency_hz",
}


@pytest.mark.parametrize("device", TEMPLATE_OF)
def test_a_quantity_with_a_canonical_name_has_it_and_a_phase_never(maps: dict[str, Device], device: str) -> None:
    tags = {tag.ref.address: tag.spec.name for tag in library.load(TEMPLATE_OF[device]).tags}
    for row in maps[device]["registers"]:
        name = tags[row["address"]]
        assert name == CANONICAL_OF.get(row["name"], name)
        assert (row["name"] in CANONICAL_OF) != name.startswith("x_")
        assert row["name"][-2:] not in ("L1", "L2", "L3") or row["name"][-2:].lower() in name


def test_abbs_markers_cover_all_of_its_registers(maps: dict[str, Device]) -> None:
    for tag in library.load("abb-b23").tags:
        bits = tag.ref.type.bits - (tag.ref.type.value.startswith("i"))
        assert tag.ref.not_available == ((1 << bits) - 1,)
