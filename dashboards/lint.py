"""What rendered boards and alert rules must hold to, checked on the JSON itself: words, units, windows, places, links.

After the last arrow of registers -> samples -> messages -> points -> facts -> KPIs -> panels. Pure: a problem is one
line that names board, panel and remedy.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

from dashboards.alerts.render import questions
from dashboards.macros import UnknownVariable, expand_in_alert
from dashboards.names import name_problems
from dashboards.queries import NEWEST, WINDOW, ZONE
from dashboards.render import SOURCE_UID, SOURCE_VARIABLE
from dashboards.text import LANGUAGES, words
from dashboards.time_range import TimeRange
from historian.schema import COVERAGE, Measurement
from kpi.evaluation.formulas import RATED

Json = Mapping[str, Any]

_SOURCE: Final = f"${{{SOURCE_VARIABLE}}}"
_WORDLESS: Final = frozenset({"row"})
"""Kinds of panels that hold no answer and need neither unit nor description."""
_ENDS: Final = WINDOW.split(" AND ")
"""Both ends of the range; the first may be moved back, as to the start of a month."""
_LOOKUP = re.compile(rf'SELECT [^()]*\([^()]*\) AS "\w+" FROM "{Measurement.SITES}" WHERE [^()]*(?:\([^()]*\))?[^()]*')
"""What holds at any time and has none of its own."""
_BUCKETS = re.compile(r"GROUP BY (?:[^()]*,\s*)?time\(", re.IGNORECASE)
_FILLS = re.compile(r"\bfill\(", re.IGNORECASE)
_ZONES = re.compile(r"\btz\('[^']*'\)", re.IGNORECASE)
_ADDRESS = re.compile(r"/d/([^?/]+)")


def lint(boards: Sequence[Json], sites: Collection[str]) -> list[str]:
    """Every problem of boards that stand together; ``sites`` are the ids that no query may name."""
    known = {str(board["uid"]) for board in boards}
    return [f"{board['uid']}: {problem}" for board in boards for problem in _board(board, known, sites)]


def lint_rules(rules: Sequence[Json]) -> list[str]:
    """Every problem of the questions of alert rules."""
    return [
        f"alert {rule['title']!r}: query {question['refId']}: {problem}"
        for rule in rules
        for question in questions(rule)
        for problem in _question(question)
    ]


def catalogue_problems() -> list[str]:
    """Text ids that one language has and another has not, and empty texts."""
    catalogues = {language: words(language).entries for language in LANGUAGES}
    everything = sorted({text for entries in catalogues.values() for text in entries})
    return [
        f"text {text!r} is missing in {language}; add it to dashboards/text/{language}/"
        for language, entries in catalogues.items()
        for text in everything
        if not entries.get(text, "").strip()
    ]


def _board(board: Json, known: Collection[str], sites: Collection[str]) -> Iterator[str]:
    if not board.get("title") or "?" not in board.get("description", ""):
        yield "no title or no question; a board's description says the question that it answers"
    for variable in board["templating"]["list"]:
        if "datasource" in variable:
            yield from (f"variable {variable['name']}: {each}" for each in _source(variable))
            yield from (f"variable {variable['name']}: {each}" for each in name_problems(variable["query"]))
        yield from (f"variable {variable['name']}: {each}" for each in _literals(variable["query"], sites))
    for panel in board["panels"]:
        yield from (f"panel {panel.get('title') or panel['id']!r}: {each}" for each in _panel(panel, sites))
    for address in _addresses(board):
        if address not in known:
            yield f"a link leads to {address}, which is no board; known are {', '.join(sorted(known))}"
    yield from _places(board["panels"])
    yield from _coverage(board)


def _panel(panel: Json, sites: Collection[str]) -> Iterator[str]:
    if not panel.get("title"):
        yield "no title"
    if panel["type"] in _WORDLESS:
        return
    if not panel.get("description"):
        yield "no description"
    if not panel["fieldConfig"]["defaults"].get("unit"):
        yield "no unit"
    if not panel["targets"] and panel["type"] != "text":
        yield "no query"
    yield from _source(panel)
    for target in panel["targets"]:
        yield from (f"query {target['refId']}: {each}" for each in _query(target, sites))


def _query(target: Json, sites: Collection[str]) -> Iterator[str]:
    query: str = target["query"]
    yield from _source(target)
    yield from _literals(query, sites)
    windowed = all(end in query for end in _ENDS) or NEWEST in query or "$timeFilter" in query
    if not windowed and not _LOOKUP.fullmatch(query):
        yield f"no window; write {WINDOW}"
    if len(_BUCKETS.findall(query)) > len(_FILLS.findall(query)):
        yield "GROUP BY time without fill(): say what an empty stretch is"
    yield from name_problems(query)


def _question(question: Json) -> Iterator[str]:
    model, back = question["model"], question["relativeTimeRange"]
    query: str = model["query"]
    for found in (question["datasourceUid"], model["datasource"]["uid"]):
        if found != SOURCE_UID:
            yield f"data source {found!r} is not that of the provisioning; use {SOURCE_UID}"
    if not back["from"] > back["to"] >= 0:
        yield "its stretch of time ends before it begins"
    if "$timeFilter" not in query:
        yield "no window; write $timeFilter"
    if len(_BUCKETS.findall(query)) > len(_FILLS.findall(query)):
        yield "GROUP BY time without fill(): say what an empty stretch is"
    try:
        expand_in_alert(query, TimeRange(0, 1), 1)
    except UnknownVariable as fault:
        yield str(fault)
    yield from name_problems(query)


def _coverage(board: Json) -> Iterator[str]:
    """How far a KPI of planned time can be trusted stands beside it."""
    queries = [target["query"] for panel in board["panels"] for target in panel.get("targets", ())]
    shown = sorted({name for name in RATED if any(f'AS "{name}"' in query for query in queries)})
    if shown and not any(f'"{COVERAGE}"' in query for query in queries):
        yield f"{shown[0]} without coverage; add targets.kpi(plant, 'coverage')"


def _source(holder: Json) -> Iterator[str]:
    if (found := holder["datasource"]["uid"]) != _SOURCE:
        yield f"data source {found!r} is literal; use {_SOURCE}"


def _literals(query: str, sites: Collection[str]) -> Iterator[str]:
    yield from (f"time zone {found} is literal; use {ZONE}" for found in _ZONES.findall(query) if found != ZONE)
    for site in sites:
        if re.search(rf"['/(|^]{re.escape(site)}['/)|$]", query):
            yield f"site {site!r} is literal; use the variable of sites"


def _addresses(node: Any) -> Iterator[str]:
    """The boards that links anywhere in the JSON lead to."""
    if isinstance(node, Mapping):
        if isinstance(url := node.get("url"), str):
            yield from _ADDRESS.findall(url)
        for value in node.values():
            yield from _addresses(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _addresses(value)


def _places(panels: Sequence[Json]) -> Iterator[str]:
    for one, two in combinations(panels, 2):
        if _overlap(one["gridPos"], two["gridPos"]):
            yield f"panels {one.get('title')!r} and {two.get('title')!r} overlap"


def _overlap(one: Mapping[str, int], two: Mapping[str, int]) -> bool:
    beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
    above = one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
    return not beside and not above
