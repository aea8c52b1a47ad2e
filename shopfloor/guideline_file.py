"""Guideline file -> Guideline: parsed once, every fault named with file, line, field and remedy."""

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from shopfloor.calendar_checks import Problem
from shopfloor.errors import PlantError
from shopfloor.file_problems import lines_of, text_of
from shopfloor.guideline import Goal, Group, Guideline, Metric, Provenance
from shopfloor.guideline_schema import GuidelineDoc, MetricDoc
from shopfloor.plant_faults import explained
from shopfloor.yaml_lines import Place, parse

LANGUAGES: Final = ("en", "id")
_FOLDER: Final = files("shopfloor").joinpath("guidelines")


def built_in() -> list[str]:
    """The ids of the guidelines that come with the program, by name."""
    return sorted(each.name.removesuffix(".yaml") for each in _FOLDER.iterdir() if each.name.endswith(".yaml"))


def load_built_in(guideline: str, sources: Collection[str] | None = None) -> Guideline:
    """One of ``built_in``."""
    with as_file(_FOLDER.joinpath(f"{guideline}.yaml")) as path:
        return load_guideline(path, sources)


def load_guideline(path: Path, sources: Collection[str] | None = None) -> Guideline:
    """Read and validate a guideline file; raises PlantError with one line per problem, all at once.

    ``sources`` are the sources that can be computed; None leaves that unchecked.
    """
    document = parse(text_of(path, "a guideline file"))
    problems = list(document.problems)
    read: GuidelineDoc | None = None
    if not isinstance(document.data, dict) and not problems:
        problems.append(((), "is no guideline file; start from one of shopfloor/guidelines/"))
    elif not problems:
        try:
            read = GuidelineDoc.model_validate(document.data)
        except ValidationError as fault:
            problems.extend(explained(fault.errors()))
        else:
            problems.extend(_contradictions(read, sources))
    if problems or read is None:
        raise PlantError(lines_of(path, document, problems))
    return _build(read)


# ------------------------------------------------------------ contradictions


def _contradictions(root: GuidelineDoc, sources: Collection[str] | None) -> Iterator[Problem]:
    yield from _wordless(("name",), root.name)
    yield from _wordless(("about",), root.about)
    for level, words in root.levels.items():
        yield from _wordless(("levels", level), words)
    named = {metric.group for metric in root.metrics.values()}
    for group, each in root.groups.items():
        yield from _wordless(("groups", group, "name"), each.name)
        if group not in named and named <= root.groups.keys():  # one that is misspelt may be meant for it
            yield ("groups", group), "no metric belongs to it; give one group: " + group + ", or remove it"
    for name, metric in root.metrics.items():
        at: Place = ("metrics", name)
        yield from _wordless((*at, "name"), metric.name)
        if metric.group not in root.groups:
            yield (*at, "group"), _unknown("group", metric.group, root.groups)
        yield from _source_problems(at, metric, sources)
        yield from _score_problems(at, metric, root.levels)


def _wordless(at: Place, words: Mapping[Any, str]) -> Iterator[Problem]:
    lacking = [language for language in LANGUAGES if not words.get(language, "").strip()]
    if lacking:
        yield at, f"has no words in {' and '.join(lacking)}; people read it in both, write {{en: ..., id: ...}}"


def _source_problems(at: Place, metric: MetricDoc, sources: Collection[str] | None) -> Iterator[Problem]:
    if metric.source is None and metric.needs is None:
        yield at, "has no source; give one, or say with needs: {en: ..., id: ...} what would have to be recorded"
    elif metric.source is not None and metric.needs is not None:
        yield (*at, "needs"), "is for a metric without a source; what a source lacks is told by itself, remove it"
    elif metric.needs is not None:
        yield from _wordless((*at, "needs"), metric.needs)
    elif sources is not None and metric.source not in sources:
        yield (*at, "source"), _unknown("source", metric.source, sources, "docs/guidelines.md lists them")


def _score_problems(at: Place, metric: MetricDoc, scale: Mapping[int, Any]) -> Iterator[Problem]:
    if metric.levels is not None and metric.achievement:
        yield (*at, "achievement"), "a metric is scored by levels or by achievement; keep one"
    for level in metric.levels or ():
        if level not in scale:
            known = ", ".join(map(str, scale)) or "none: add levels: {0: {en: ..., id: ...}, ...} to the guideline"
            yield (*at, "levels", level), f"the guideline has no level {level}; it has {known}"
    if metric.levels and scale and min(scale) not in metric.levels:
        yield (*at, "levels"), f"says nothing of level {min(scale)}; give the value from which a score begins to rise"
    elif metric.levels is not None and len(metric.levels) < 2:
        yield (*at, "levels"), "tells no levels apart; give the thresholds of at least two"
    values = [value for _, value in sorted((metric.levels or {}).items())]
    steps = {before < after for before, after in pairwise(values)}
    if len(steps) > 1 or any(before == after for before, after in pairwise(values)):
        yield (*at, "levels"), "the thresholds go up and down; from level to level they only rise, or only fall"
    if metric.baseline is not None and metric.baseline == metric.target:
        yield (*at, "target"), "is the baseline; there is no way to go between them, change one"
    if metric.index and metric.baseline == 0:
        yield (*at, "baseline"), "is 0; an index is a multiple of it, so it must be another number"


def _unknown(kind: str, name: Any, known: Collection[str], otherwise: str = "") -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1)
    hint = f"did you mean {close[0]!r}?" if close else otherwise or f"known: {', '.join(known) or 'none'}"
    return f"there is no {kind} {name!r}; {hint}"


# ------------------------------------------------------------ building


def _build(root: GuidelineDoc) -> Guideline:
    return Guideline(
        id=root.guideline,
        name=_labels(root.name),
        about=_labels(root.about),
        publication=root.publication,
        levels={level: _labels(name) for level, name in sorted(root.levels.items())},
        groups=tuple(Group(name, _labels(each.name), each.weight) for name, each in root.groups.items()),
        metrics=_metrics(root),
    )


def _metrics(root: GuidelineDoc) -> tuple[Metric, ...]:
    """By group, each in the order of the file."""
    ordered: Sequence[tuple[str, MetricDoc]] = sorted(
        root.metrics.items(), key=lambda entry: list(root.groups).index(entry[1].group)
    )
    return tuple(_metric(root, name, each) for name, each in ordered)


def _metric(root: GuidelineDoc, name: str, raw: MetricDoc) -> Metric:
    return Metric(
        id=name,
        name=_labels(raw.name),
        group=raw.group,
        source=raw.source,
        needs=_labels(raw.needs or {}),
        levels=dict(sorted((raw.levels or {}).items())),
        index=raw.index,
        achievement=raw.achievement,
        weight=raw.weight,
        goal=Goal(raw.baseline, raw.target),
        provenance=Provenance(raw.publication or root.publication, raw.section, raw.thresholds, raw.confidence),
    )


def _labels(raw: Mapping[Any, str]) -> dict[str, str]:
    return {str(language): text for language, text in raw.items()}
