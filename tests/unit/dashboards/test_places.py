"""Series and columns are told by the names of the plant file, as far as they tell one thing apart from another."""

from dataclasses import replace
from pathlib import Path

import pytest

from dashboards.board import Board, Kind, Label, Panel, Row, Shape, Target
from dashboards.places import characteristic, named, names
from shopfloor.plant import Characteristic, Plant
from shopfloor.plant_file import load

PLANT = load(Path(__file__).parents[3] / "plants" / "ceper" / "plant.yaml")
CNC, PRESS = "ceper/machining/line-1/cnc-01", "ceper/stamping/press-shop/press-01"


def titles(alias: str, plant: Plant = PLANT, shape: Shape = Shape.SERIES) -> dict[str, str]:
    panel = Panel(text="x", kind=Kind.TIME_SERIES, unit="1", targets=(Target(query="", alias=alias, shape=shape),))
    board = named(Board(id="x", rows=(Row("x", (panel,)),), variables=()), plant)
    told = {each.field: each.properties["title"] for each in board.panels[0].overrides}
    return {field: title.names["id"] for field, title in told.items() if isinstance(title, Label)}


def test_units_and_lines_have_their_names() -> None:
    assert titles("$tag_work_unit")["cnc-01"] == "CNC 1 bubut"
    assert titles("$tag_work_center")["line-1"] == "Lini 1"
    assert titles("$tag_work_center / $tag_work_unit")["line-1 / cnc-01"] == "CNC 1 bubut"


def test_a_measured_characteristic_and_what_stands_beside_it_keep_their_marks() -> None:
    assert titles("! $tag_work_unit $tag_characteristic") == {
        "! press-01 cycle_time_s": "! Mesin pres 160 t Waktu langkah"
    }
    assert titles("$tag_work_unit $tag_characteristic $col")["press-01 cycle_time_s UCL"] == (
        "Mesin pres 160 t Waktu langkah UCL"
    )


def test_what_is_no_place_and_what_no_series_tells_stays() -> None:
    assert titles("kpi:oee_index") == titles("$tag_agent") == titles("$tag_work_unit", shape=Shape.TABLE) == {}


def with_a_second(name: dict[str, str], work_unit: str = "cnc-01") -> Plant:
    """The plant with one more machine, on line-2."""
    cnc = PLANT.units[CNC]
    other = replace(cnc, path=replace(cnc.path, work_center="line-2", work_unit=work_unit), name=name)
    return replace(PLANT, units={**PLANT.units, str(other.path): other})


@pytest.mark.parametrize("name", [{"id": "Bubut lain"}, {}])
def test_two_units_of_one_id_keep_it(name: dict[str, str]) -> None:
    plant = with_a_second(name)
    assert "cnc-01" not in titles("$tag_work_unit", plant)
    assert "cnc-01" not in names(plant, "work_unit")["options"]
    told = titles("$tag_work_center / $tag_work_unit", plant)
    assert told["line-1 / cnc-01"] == "CNC 1 bubut"
    assert told.get("line-2 / cnc-01") == name.get("id")


def test_two_units_of_one_name_are_told_apart_by_line_or_id() -> None:
    plant = with_a_second(PLANT.units[CNC].name, "cnc-09")
    assert titles("$tag_work_unit", plant).keys().isdisjoint({"cnc-01", "cnc-09"})
    told = titles("$tag_work_center / $tag_work_unit", plant)
    assert told["line-1 / cnc-01"] == "Lini 1 / CNC 1 bubut"
    assert told["line-2 / cnc-09"] == "line-2 / CNC 1 bubut"


def test_a_unit_and_a_line_of_one_id_have_each_their_name() -> None:
    plant = with_a_second({"id": "Mesin satu"}, "line-1")
    assert names(plant, "work_unit")["options"]["line-1"]["text"].names["id"] == "Mesin satu"
    assert names(plant, "work_center")["options"]["line-1"]["text"].names["id"] == "Lini 1"


def test_a_tag_that_units_call_by_two_names_stays_a_tag() -> None:
    assert "mappings" in characteristic(PLANT).properties
    ring = Characteristic("cycle_time_s", {"id": "Diameter"}, None, 9.0)
    units = {**PLANT.units, CNC: replace(PLANT.units[CNC], characteristics=(ring,))}
    assert "mappings" not in characteristic(replace(PLANT, units=units)).properties
    assert PRESS in units
