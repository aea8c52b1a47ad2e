"""The guidelines that a plant file names, and a site's goals by them: which, from where, and whether they are there."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shopfloor.calendar_checks import Problem
from shopfloor.errors import PlantError
from shopfloor.guideline import Goal, Guideline
from shopfloor.guideline_file import built_in, load_built_in, load_guideline
from shopfloor.plant_schema import GoalDoc
from shopfloor.yaml_lines import Place


@dataclass(slots=True)
class ReadGuidelines:
    """What a plant file's ``guidelines`` led to."""

    found: dict[str, Guideline] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    """In the plant file."""
    lines: list[str] = field(default_factory=list)
    """Of the guideline files, whole."""


def read_guidelines(root: Mapping[Any, Any], folder: Path, sources: Collection[str] | None) -> ReadGuidelines:
    """Load what ``guidelines`` names: built-in ids, or files relative to the plant file; left out, all built-in ids."""
    read = ReadGuidelines()
    named = built_in() if root.get("guidelines") is None else root["guidelines"]
    for index, name in enumerate(named if isinstance(named, list) else []):
        if isinstance(name, str):
            _read(read, ("guidelines", index), name, folder, sources)
    for index, site in enumerate(root["sites"] if isinstance(root.get("sites"), list) else []):
        goals = site.get("goals") if isinstance(site, dict) else None
        if not read.lines:  # of a broken guideline nothing is known
            read.problems += _goal_problems(("sites", index, "goals"), goals, read.found)
    return read


def build_goals(raw: Mapping[str, Mapping[str, GoalDoc]]) -> dict[str, dict[str, Goal]]:
    """Guideline -> metric -> goal."""
    return {
        guideline: {metric: Goal(each.baseline, each.target) for metric, each in goals.items()}
        for guideline, goals in raw.items()
    }


def _read(read: ReadGuidelines, at: Place, name: str, folder: Path, sources: Collection[str] | None) -> None:
    known = built_in()
    if not _is_path(name) and name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}; or write the path of a file"
        read.problems.append((at, f"there is no guideline {name!r}; {hint}"))
        return
    try:
        guideline = load_guideline(folder / name, sources) if _is_path(name) else load_built_in(name, sources)
    except PlantError as fault:
        read.lines += fault.problems
        return
    if guideline.id in read.found:
        read.problems.append((at, f"the guideline {guideline.id!r} stands twice; keep one, or give it another id"))
    read.found[guideline.id] = guideline


def _is_path(name: str) -> bool:
    return "/" in name or "\\" in name or name.endswith((".yaml", ".yml"))


def _goal_problems(at: Place, goals: Any, guidelines: Mapping[str, Guideline]) -> Iterator[Problem]:
    for guideline, metrics in goals.items() if isinstance(goals, dict) else ():
        if guideline not in guidelines:
            yield (*at, guideline), _unknown("guideline", guideline, guidelines)
            continue
        known = [metric.id for metric in guidelines[guideline].metrics]
        for metric, goal in metrics.items() if isinstance(metrics, dict) else ():
            if metric not in known:
                yield (*at, guideline, metric), _unknown(f"metric of {guideline}", metric, known)
            elif isinstance(goal, dict) and goal.get("baseline", "") == goal.get("target"):
                yield (*at, guideline, metric), "baseline and target are alike; there is no way to go, change one"


def _unknown(kind: str, name: Any, known: Collection[str]) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known) or 'none'}"
    return f"there is no {kind} {name!r}; {hint}"
