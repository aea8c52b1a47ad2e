"""``shopfloor demo``: wrong input is one clear line before anything starts."""

from pathlib import Path

import pytest

from cli.demo_state import DemoState, alone_in
from cli.main import main
from shopfloor.errors import PlantError, ServiceUnavailable
from shopfloor.instant import HOUR, MINUTE

STEEL = "plants/steel-year/plant.yaml"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--plant", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--plant", STEEL, "--source", "nowhere.csv"], "nowhere.csv: cannot be read"),
        (["--source", "README.md"], "--source replays one meter; give a plant file with that meter alone"),
        (["--plant", STEEL, "--source", "README.md"], "README.md: row 1: no column"),
        (["--json", "no/such/folder/out.json"], "its folder does not exist; make it or choose another file"),
    ],
)
def test_wrong_input_is_one_clear_line_and_exit_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    assert main(["demo", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["--for", "5 minutes"], ["--history", "-1h"], ["--seed", "x"]])
def test_a_wrong_option_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", *arguments])
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_time_goes_on_where_the_last_start_ended(tmp_path: Path) -> None:
    state = DemoState.open(tmp_path, plant="p", seed=1, start=10 * HOUR)
    assert state.resumed(tmp_path, None, 10 * HOUR) == (state, 10 * HOUR)
    assert state.resumed(tmp_path, 12 * HOUR, 11 * HOUR) == (state, 12 * HOUR)


def test_after_a_long_absence_the_stretch_without_a_gap_begins_anew(tmp_path: Path) -> None:
    state = DemoState.open(tmp_path, plant="p", seed=1, start=10 * HOUR)
    later, resume = state.resumed(tmp_path, 12 * HOUR, 30 * HOUR + MINUTE + 1)
    assert resume == later.since == 30 * HOUR + MINUTE
    assert later.epoch == 10 * HOUR
    assert DemoState.open(tmp_path, plant="p", seed=1, start=99 * HOUR) == later


def test_a_folder_belongs_to_one_demo(tmp_path: Path) -> None:
    DemoState.open(tmp_path, plant="p", seed=1, start=0)
    with pytest.raises(PlantError, match="with seed 1; choose another --data folder"):
        DemoState.open(tmp_path, plant="p", seed=2, start=0)
    with alone_in(tmp_path), pytest.raises(ServiceUnavailable, match="another demo is running"), alone_in(tmp_path):
        pass
