"""Boards from the plant file: complete in both languages, on a grid without overlaps, free of the plant's names."""

import json
import re
from pathlib import Path

import pytest

from cli.dashboards import rendered
from cli.main import main
from dashboards.boards import boards_of
from dashboards.text import LANGUAGES, words
from kpi.evaluation.flags import CAPABILITY_FLAGS, ENERGY_FLAGS, FLAGS, ITEM_FLAGS
from shopfloor.plant_file import load
from tests.filled_plant import PLANT_FILE


@pytest.fixture(scope="module")
def plant():
    return load(PLANT_FILE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_panel_says_what_it_shows_in_which_unit(plant, language):
    for text in rendered(plant, (language,)).values():
        panels = [panel for panel in json.loads(text)["panels"] if panel["type"] != "row"]
        assert panels
        for panel in panels:
            assert panel["title"]
            assert panel["description"]
            assert panel["fieldConfig"]["defaults"]["unit"]


def test_both_catalogues_have_the_same_texts():
    english, indonesian = (set(words(language).entries) for language in ("en", "id"))
    assert english == indonesian


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_flag_beside_numbers_is_explained_on_the_board_that_shows_it(plant, language):
    shown = {
        "machine": {*FLAGS, *ITEM_FLAGS} - {"snapped_to_minutes"},
        "quality": CAPABILITY_FLAGS,
        "energy": ENERGY_FLAGS,
    }
    assert {*words(language).entries} >= {f"flag.{each}" for flags in shown.values() for each in flags}
    for board in map(json.loads, rendered(plant, (language,)).values()):
        told = {
            each
            for panel in board["panels"]
            if panel["type"] == "text"
            for each in re.findall(r"^- `(\w+)`: \w", panel["options"]["content"], re.MULTILINE)
        }
        assert told == {*shown.get(board["uid"].split("-")[1], ())}


def test_no_query_names_a_source_a_zone_or_a_site(plant):
    for board in boards_of(plant):
        for panel in board.panels:
            for target in panel.targets:
                assert "Asia/" not in target.query
                assert "'ceper'" not in target.query
                assert "time < ${__to}ms" in target.query or 'FROM "sites"' in target.query
    for text in rendered(plant, ("en",)).values():
        board = json.loads(text)
        sources = {panel["datasource"]["uid"] for panel in board["panels"] if "datasource" in panel}
        assert sources == {"${source}"}


def test_panels_do_not_overlap(plant):
    for text in rendered(plant, ("id",)).values():
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(text)["panels"]:
            place = panel["gridPos"]
            cells = {
                (place["x"] + column, place["y"] + row) for column in range(place["w"]) for row in range(place["h"])
            }
            assert not cells & taken
            assert max(column for column, _ in cells) < 24
            taken |= cells


def test_render_writes_a_file_per_language_and_board(plant, tmp_path, capsys):
    assert main(["dashboards", "render", str(PLANT_FILE), "-o", str(tmp_path)]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.endswith(".json")]
    assert len(told) == 2 * len(boards_of(plant))
    for line in told:
        assert re.fullmatch(r"shopfloor-[a-z-]+-(en|id)", json.loads(Path(line).read_text("utf-8"))["uid"])
