# ruff: noqa: E501 - a mistake, its place and its remedy read best on one line
"""A guideline file and what a plant file says of it: each mistake is one line: where, what, and what to do."""

from pathlib import Path

import pytest

from cli.main import main
from kpi.guidelines.sources import SOURCES
from shopfloor.errors import PlantError
from shopfloor.guideline import Goal
from shopfloor.guideline_file import built_in, load_built_in, load_guideline
from shopfloor.plant import Plant
from shopfloor.plant_file import load
from tests.filled_plant import PLANT_FILE

GOOD = """\
guideline: house
name: {en: House, id: Rumah}
about: {en: Ours., id: Milik kita.}
publication: House rules
levels:
  0: {en: None, id: Tidak ada}
  1: {en: Some, id: Sebagian}
groups:
  time: {name: {en: Time, id: Waktu}}
metrics:
  known:
    name: {en: Known, id: Diketahui}
    group: time
    source: kpi.coverage
    levels: {0: 0, 1: 0.5}
    confidence: low
"""
MISTAKES = {
    "no such source": (
        "kpi.coverage",
        "kpi.coverge",
        "14: metrics.known.source: there is no source 'kpi.coverge'; did you mean 'kpi.coverage'?",
    ),
    "no source like it": (
        "kpi.coverage",
        "zzz",
        "14: metrics.known.source: there is no source 'zzz'; docs/guidelines.md lists them",
    ),
    "no source": (
        "    source: kpi.coverage\n",
        "",
        "11: metrics.known: has no source; give one, or say with needs: {en: ..., id: ...} what would have to be recorded",
    ),
    "source and needs": (
        "    confidence",
        "    needs: {en: a, id: b}\n    confidence",
        "16: metrics.known.needs: is for a metric without a source; what a source lacks is told by itself, remove it",
    ),
    "no such group": (
        "group: time",
        "group: tim",
        "13: metrics.known.group: there is no group 'tim'; did you mean 'time'?",
    ),
    "one language": (
        "{en: Known, id: Diketahui}",
        "{en: Known}",
        "12: metrics.known.name: has no words in id; people read it in both, write {en: ..., id: ...}",
    ),
    "no such level": (
        "{0: 0, 1: 0.5}",
        "{0: 0, 2: 0.5}",
        "15: metrics.known.levels[2]: the guideline has no level 2; it has 0, 1",
    ),
    "not from the bottom": (
        "{0: 0, 1: 0.5}",
        "{1: 0.5}",
        "15: metrics.known.levels: says nothing of level 0; give the value from which a score begins to rise",
    ),
    "one threshold": (
        "{0: 0, 1: 0.5}",
        "{0: 0.5}",
        "15: metrics.known.levels: tells no levels apart; give the thresholds of at least two",
    ),
    "up and down": (
        "{0: 0, 1: 0.5}",
        "{1: 0.5, 0: 0.5}",
        "15: metrics.known.levels: the thresholds go up and down; from level to level they only rise, or only fall",
    ),
    "two scores": (
        "    confidence",
        "    achievement: true\n    confidence",
        "16: metrics.known.achievement: a metric is scored by levels or by achievement; keep one",
    ),
    "no way": (
        "    confidence",
        "    baseline: 1\n    target: 1\n    confidence",
        "17: metrics.known.target: is the baseline; there is no way to go between them, change one",
    ),
    "no confidence": ("    confidence: low\n", "", "11: metrics.known.confidence: is missing; add it"),
    "another confidence": (
        "confidence: low",
        "confidence: sure",
        "16: metrics.known.confidence: 'sure' is not allowed; use one of 'high', 'medium' or 'low'",
    ),
    "misspelt": ("    group:", "    grup:", "13: metrics.known.grup: unknown field 'grup'; did you mean 'group'?"),
    "an id": (
        "guideline: house",
        "guideline: The House",
        "1: guideline: 'The House' is not an id; use lower-case letters, digits and hyphens, at most 32",
    ),
    "a weight": (
        "    confidence",
        "    weight: 0\n    confidence",
        "16: metrics.known.weight: 0: input should be greater than 0",
    ),
    "no YAML": (
        "groups:",
        "groups: [",
        "10: not YAML: did not find expected ',' or ']'; check indentation, quotes and colons here",
    ),
    "an empty group": (
        "groups:\n",
        "groups:\n  more: {name: {en: More, id: Lain}}\n",
        "9: groups.more: no metric belongs to it; give one group: more, or remove it",
    ),
}


def written(folder: Path, text: str) -> Path:
    path = folder / "house.yaml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_file_line_and_remedy(mistake: str, tmp_path: Path) -> None:
    before, after, line = MISTAKES[mistake]
    assert before in GOOD
    path = written(tmp_path, GOOD.replace(before, after, 1))
    with pytest.raises(PlantError) as caught:
        load_guideline(path, SOURCES)
    assert caught.value.problems == [f"{path}:{line}"]


def test_an_empty_file_and_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(
        PlantError, match=r"house.yaml:1: is no guideline file; start from one of shopfloor/guidelines/"
    ):
        load_guideline(written(tmp_path, ""))
    with pytest.raises(
        PlantError, match=r"cannot be read \(No such file or directory\); give the path of a guideline file"
    ):
        load_guideline(tmp_path / "none.yaml")


@pytest.mark.parametrize("guideline", built_in())
def test_a_built_in_guideline_is_whole_and_its_metrics_come_from_somewhere(guideline: str) -> None:
    found = load_built_in(guideline, SOURCES)
    assert found.id == guideline
    for metric in found.metrics:
        assert metric.provenance.publication
        assert metric.provenance.section, metric.id
        assert (metric.source is None) == bool(metric.needs)


# ------------------------------------------------------------ in the plant file


def plant_with(folder: Path, *changes: tuple[str, str]) -> Plant:
    text = PLANT_FILE.read_text("utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    (folder / "plant.yaml").write_text(text, "utf-8")
    return load(folder / "plant.yaml", sources=SOURCES)


def test_without_a_word_a_plant_has_all_built_in_guidelines(tmp_path: Path) -> None:
    assert [each.id for each in plant_with(tmp_path).guidelines] == built_in()
    assert plant_with(tmp_path).sites[0].goals["korea-pqcd"]["defects"] == Goal(0.05, 0.025)


def test_a_plant_names_its_guidelines_and_brings_its_own(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    named = "language: id\nguidelines: [korea-pqcd, making-indonesia, ./house.yaml]"
    assert [each.id for each in plant_with(tmp_path, ("language: id", named)).guidelines] == [
        "korea-pqcd",
        "making-indonesia",
        "house",
    ]
    none = "language: id\nguidelines: []\n"
    goals = PLANT_FILE.read_text("utf-8").partition("    goals:")[2].partition("    areas:")[0]
    assert plant_with(tmp_path, ("language: id", none), ("    goals:" + goals, "")).guidelines == ()


WRONG = {
    "no such guideline": (
        "language: id",
        "language: id\nguidelines: [korea-pqcd, making-indonesia, indi-40]",
        "guidelines[2]: there is no guideline 'indi-40'; did you mean 'indi-4-0'?",
    ),
    "twice": (
        "language: id",
        "language: id\nguidelines: [korea-pqcd, making-indonesia, siri, siri]",
        "guidelines[3]: the guideline 'siri' stands twice; keep one, or give it another id",
    ),
    "goals of none": (
        "      korea-pqcd:",
        "      korea-pqdc:",
        "sites[0].goals.korea-pqdc: there is no guideline 'korea-pqdc'; did you mean 'korea-pqcd'?",
    ),
    "goals of no metric": (
        "        defects: {",
        "        defect: {",
        "sites[0].goals.korea-pqcd.defect: there is no metric of korea-pqcd 'defect'; did you mean 'defects'?",
    ),
    "a goal that is none": (
        "defects: {baseline: 0.05, target: 0.025}",
        "defects: {baseline: 0.05, target: 0.05}",
        "sites[0].goals.korea-pqcd.defects: baseline and target are alike; there is no way to go, change one",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_in_the_plant_file_is_one_line(mistake: str, tmp_path: Path) -> None:
    before, after, line = WRONG[mistake]
    with pytest.raises(PlantError) as caught:
        plant_with(tmp_path, (before, after))
    (problem,) = caught.value.problems
    assert problem.partition(": ")[2] == line


def test_check_refuses_a_plant_whose_guideline_is_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, GOOD.replace("kpi.coverage", "kpi.coverge"))
    text = PLANT_FILE.read_text("utf-8").replace(
        "language: id", "guidelines: [korea-pqcd, making-indonesia, ./house.yaml]", 1
    )
    (tmp_path / "plant.yaml").write_text(text, "utf-8")
    assert main(["check", str(tmp_path / "plant.yaml")]) == 2
    told = capsys.readouterr().err
    assert (
        f"{tmp_path / 'house.yaml'}:14: metrics.known.source: there is no source 'kpi.coverge'; did you mean 'kpi.coverage'?"
        in told
    )
