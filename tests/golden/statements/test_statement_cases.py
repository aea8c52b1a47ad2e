"""Stories of a shift with what people said of it, each a file; results worked out by hand."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kpi.timeline.states import StateInterval, timeline
from kpi.timeline.stops import find_stops
from shopfloor.columns import SampleColumns
from shopfloor.instant import SECOND
from shopfloor.machine_state import TimeCategory
from shopfloor.statement import Statement, StatementKind, in_force
from tests.production import MACHINE, machine, states
from tests.stated import REASONS, said

CASES = sorted(Path(__file__).parent.glob("*.yaml"))


def statement(given: dict[str, Any]) -> Statement:
    fields = dict(given)
    kind = StatementKind(fields.pop("kind"))
    if "category" in fields:
        fields["category"] = TimeCategory(fields["category"])
    return said(kind, fields.pop("start"), fields.pop("end"), **fields)


def shape(tiles: Iterable[StateInterval]) -> list[list[object]]:
    rows: list[list[Any]] = []
    for tile in tiles:
        row = [str(tile.category), tile.reason, (tile.end - tile.start) / SECOND]
        if rows and rows[-1][:2] == row[:2]:
            row[2] += rows.pop()[2]
        rows.append(row)
    return rows


def test_there_are_cases() -> None:
    assert len(CASES) >= 4


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_story_ends_as_worked_out(path: Path) -> None:
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    plan = machine(reasons=REASONS, retrip_s=float(case["retrip_s"]))
    samples = states(*((code, seconds) for code, seconds in case["course"]))
    held = in_force(statement(given) for given in case["statements"])
    columns = SampleColumns.of(MACHINE, samples)
    tiles = timeline(plan, columns, samples[0].time, samples[-1].time, held)
    assert shape(tiles) == case["tiles"]
    failed = [run for run in find_stops(plan, tiles) if run.failure]
    assert {
        "counted": sum(run.counted for run in failed),
        "assumed": sum(run.counted and run.assumed for run in failed),
        "repair_s": sum(run.end - run.start for run in failed) / SECOND,
    } == case["failures"]
