"""The library finds templates by name, and every template in it keeps its promises."""

from itertools import pairwise
from pathlib import Path

import pytest

from devices import library
from devices.codec import decode, encode
from devices.template import Template, TemplateTag
from shopfloor.errors import PlantError

OWN = ("cnc-generic", "furnace-generic", "press-generic")
EVERY = [(name, tag) for name in library.names() for tag in library.load(name).tags]


def every_tag() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("tag", [pytest.param(tag, id=f"{name}-{tag.spec.name}") for name, tag in EVERY])


def test_the_generic_machines_and_the_sourced_meters_are_there() -> None:
    assert {*OWN, "abb-b23", "schneider-iem3000", "eastron-sdm630"} <= set(library.names())


def test_an_unknown_name_is_answered_with_near_ones() -> None:
    with pytest.raises(PlantError, match=r"'cnc-genric' is unknown; did you mean cnc-generic.* known: abb-b23, "):
        library.load("cnc-genric")


def test_a_folder_of_the_plant_stands_before_the_package(tmp_path: Path) -> None:
    own = (library.TEMPLATES / "cnc-generic.yaml").read_text(encoding="utf-8")
    (tmp_path / "cnc-generic.yaml").write_text(own.replace("gap: 8", "gap: 3"), encoding="utf-8")
    (tmp_path / "lathe.yaml").write_text(own.replace("cnc-generic", "lathe"), encoding="utf-8")
    assert library.load("cnc-generic", [tmp_path]).gap == 3
    assert library.load("cnc-generic").gap == 8
    assert "lathe" in library.names([tmp_path])
    assert "lathe" not in library.names()


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    own = (library.TEMPLATES / "cnc-generic.yaml").read_text(encoding="utf-8")
    for gap in (3, 2):
        file = tmp_path / "cnc-generic.yaml"
        file.write_text(own.replace("gap: 8", f"gap: {gap}"), encoding="utf-8")
        assert library.load("cnc-generic", [tmp_path]).gap == gap


def test_a_template_is_called_like_its_file(tmp_path: Path) -> None:
    own = (library.TEMPLATES / "cnc-generic.yaml").read_bytes()
    (tmp_path / "lathe.yaml").write_bytes(own)
    with pytest.raises(PlantError, match="must be the file's name; write lathe"):
        library.load("lathe", [tmp_path])


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lathe.yaml").write_bytes(b"template: lathe\nmanual: \xff\n")
    with pytest.raises(PlantError, match="save it as UTF-8"):
        library.load("lathe", [tmp_path])


@every_tag()
def test_no_value_and_a_value_can_be_told_apart_in_every_register(tag: TemplateTag) -> None:
    for value in (1, 0):
        assert decode(tag.ref, encode(tag.ref, value)) == value


@pytest.mark.parametrize("name", library.names())
def test_no_two_tags_share_a_register(name: str) -> None:
    refs = [tag.ref for tag in library.load(name).tags]
    places = [(ref.table, address) for ref in refs for address in range(ref.address, ref.end)]
    assert len(places) == len(set(places))


def block(template: Template) -> int:
    refs = [tag.ref for tag in template.tags]
    return max(ref.end for ref in refs) - min(ref.address for ref in refs)


def holes(template: Template) -> list[int]:
    refs = sorted((tag.ref for tag in template.tags), key=lambda ref: ref.address)
    return [after.address - before.end for before, after in pairwise(refs)]


@pytest.mark.parametrize("name", ["cnc-generic", "press-generic"])
def test_one_request_reads_all_of_a_machine(name: str) -> None:
    template = library.load(name)
    assert len({tag.ref.table for tag in template.tags}) == 1
    assert block(template) <= template.max_registers
    assert max(holes(template)) <= template.gap
    assert template.forbidden == ()


def test_the_furnace_takes_two_requests_because_of_its_forbidden_area_alone() -> None:
    furnace = library.load("furnace-generic")
    ((first, last),) = furnace.forbidden
    assert block(furnace) <= furnace.max_registers
    assert max(holes(furnace)) <= furnace.gap
    assert any(tag.ref.end <= first for tag in furnace.tags)
    assert any(tag.ref.address > last for tag in furnace.tags)


@pytest.mark.parametrize("name", OWN)
def test_our_machines_number_their_readings_and_know_energy_and_power(name: str) -> None:
    template = library.load(name)
    assert template.cycle_tag == "x_reading"
    assert template.tag("x_reading").spec.modulus == 2**32
    assert {"state", "scrap", "energy_kwh", "power_kw", "alarm_code"} <= {tag.spec.name for tag in template.tags}


@pytest.mark.parametrize(
    ("name", "tag"), [("cnc-generic", "good"), ("press-generic", "good"), ("furnace-generic", "produced")]
)
def test_some_piece_counters_roll_over_after_16_bits(name: str, tag: str) -> None:
    assert library.load(name).tag(tag).spec.modulus == 65_536


@pytest.mark.parametrize("name", library.names())
def test_a_template_tells_its_manual_its_licence_and_what_each_tag_means(name: str) -> None:
    template = library.load(name)
    assert template.manual
    assert ("BSD-3-Clause" in template.licence) == (name not in OWN)
    assert all(tag.meaning for tag in template.tags)
