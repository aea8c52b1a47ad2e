"""Every query of rendered boards, run on a real server as Grafana runs it: does it answer, and with anything at all?

Beside the panels of registers -> samples -> messages -> points -> facts -> KPIs -> panels. A board is asked twice: with
All chosen, where an answer without a value is a defect unless the panel's definition says why, and with some chosen,
where it is not. What is so excused on a board of one machine or guideline is asked of the others too: most of it has a
value there. The server is whatever ``ask`` reaches.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from dashboards.answers import Answer, options
from dashboards.board import Board, Panel
from dashboards.macros import Choice, Scope, UnknownVariable, expand
from dashboards.render import SOURCE_VARIABLE
from dashboards.time_range import TimeRange, instant_of, interval_ms
from shopfloor.instant import Instant

Json = Mapping[str, Any]
Ask = Callable[[str], Answer]

SOME: Final = 2
"""So many values of a variable are chosen where not all are."""
OTHERS: Final = 24
"""Of a board that shows one thing at a time, at most so many others are looked at."""
PIXELS_PER_COLUMN: Final = 78
"""Of a board on a screen of 1,920: a panel shows at most one point a pixel."""
COLUMNS: Final = ("panels", "alerts", "queries", "failed", "empty", "declared_empty")
"""What is counted of each board."""
_ALL: Final = "$__all"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A board, and its JSON in one language."""

    board: Board
    document: Json

    @property
    def uid(self) -> str:
        """The JSON's."""
        return str(self.document["uid"])

    def panels(self) -> list[tuple[Panel, Json]]:
        """Each panel beside its JSON; headings are none."""
        return list(zip(self.board.panels, panels_of(self.document), strict=True))


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one query."""

    board: str
    panel: str
    """Title; of a variable its name."""
    query: str
    """``refId``; of a variable ``variable``."""
    kind: str
    """``failed`` or ``empty``."""
    detail: str
    text: str = ""
    """The query as the server got it."""


@dataclass(slots=True)
class Report:
    """What came of all of it."""

    boards: int = 0
    alerts: int = 0
    """Rules, each in both languages at once."""
    panels: int = 0
    queries: int = 0
    failed: int = 0
    empty: int = 0
    declared_empty: int = 0
    """Queries without a value, whatever is chosen, on panels and of rules that say why."""
    slowest_s: float = 0.0
    slowest: str = ""
    problems: list[Problem] = field(default_factory=list)
    by_board: dict[str, dict[str, int]] = field(default_factory=dict)
    """Board, or ``alerts`` for all rules -> its own numbers, by COLUMNS."""

    def tell(self, problem: Problem) -> None:
        """Count and keep a problem."""
        self.problems.append(problem)
        setattr(self, problem.kind, getattr(self, problem.kind) + 1)
        self.count(problem.board, problem.kind)

    def count(self, board: str, what: str) -> None:
        """One more on a board."""
        self.by_board.setdefault(board, dict.fromkeys(COLUMNS, 0))[what] += 1


def panels_of(document: Json) -> list[Json]:
    """The panels of a board's JSON without headings, those of closed rows too."""
    inside = [each for panel in document["panels"] for each in (panel, *panel.get("panels", ()))]
    return [panel for panel in inside if panel["type"] != "row"]


def range_of(document: Json, now: Instant) -> TimeRange:
    """The range that a board opens with."""
    zone, given = document["timezone"], document["time"]
    return TimeRange(instant_of(given["from"], now, zone), instant_of(given["to"], now, zone, ends=True))


def verify(boards: Sequence[Rendered], ask: Ask, now: Instant, span: TimeRange | None = None) -> Report:
    """Ask everything that the boards ask, over their own ranges at ``now`` or over ``span``."""
    report = Report()
    for rendered in boards:
        report.boards += 1
        asked = BoardQueries(rendered, timed(ask, rendered.uid, report), span or range_of(rendered.document, now))
        excused = _all_chosen(asked, report)
        _some_chosen(asked, report)
        for _ in _nowhere(asked, excused, report):
            report.declared_empty += 1
            report.count(rendered.uid, "declared_empty")
    return report


class BoardQueries:
    """A board at a server over a range: its variables filled, its queries expanded."""

    def __init__(self, rendered: Rendered, ask: Ask, span: TimeRange) -> None:
        self.rendered, self.ask, self.span = rendered, ask, span
        self.choices: dict[str, Choice] = {}
        """Variable -> what is chosen: All where that can be, else the first of its values."""
        self.values: dict[str, list[str]] = {}
        """Variable -> the values that it offers."""

    def fill(self, chosen: Mapping[str, Sequence[str]] | None = None) -> Iterator[tuple[str, str, Answer]]:
        """Fill the variables in their order; gives name, query and answer of each that asks.

        ``chosen`` are the values of some of them, instead of All.
        """
        self.choices = {SOURCE_VARIABLE: Choice(("",))}
        for variable in self.rendered.document["templating"]["list"]:
            name = variable["name"]
            match variable["type"]:
                case "query":
                    text = self.expanded(variable["query"])
                    answer = self.ask(text)
                    self.values[name] = options(text, answer)
                    yield name, text, answer
                case "custom":
                    self.values[name] = [each.rpartition(" : ")[2].strip() for each in variable["query"].split(",")]
                case "constant" | "textbox":
                    self.values[name] = [str(variable["query"])]
                case "interval":
                    self.values[name] = str(variable["query"]).split(",")
                case _:
                    continue
            self.choices[name] = _choice(variable, self.values[name], (chosen or {}).get(name))

    def expanded(self, query: str, interval: int = 60_000, choices: Mapping[str, Choice] | None = None) -> str:
        """A query as the server gets it; raises UnknownVariable."""
        return expand(query, Scope(self.span, interval, {**self.choices, **(choices or {})}))

    def targets(self, panel: Json) -> Iterator[tuple[str, str, int]]:
        """Each query of a panel as ``refId``, text, and its place among the panel's targets; once per repetition."""
        interval = interval_ms(self.span, panel["gridPos"]["w"] * PIXELS_PER_COLUMN, panel.get("interval"))
        for repeated in self._repetitions(panel.get("repeat")):
            for at, target in enumerate(panel["targets"]):
                yield target["refId"], self.expanded(target["query"], interval, repeated), at

    def others(self, chosen: Mapping[str, Sequence[str]] | None = None) -> Iterator[Mapping[str, Sequence[str]]]:
        """Every combination of the values of which one alone can be chosen: site, line and unit, or a guideline."""
        chosen = chosen or {}
        single = [
            variable["name"]
            for variable in self.rendered.document["templating"]["list"]
            if variable["type"] == "query" and not variable["hide"] and not variable["multi"]
            if not variable["includeAll"] and variable["name"] not in chosen
        ]
        if not single:
            yield chosen
            return
        for _ in self.fill(chosen):
            pass
        for value in self.values[single[0]]:
            yield from self.others({**chosen, single[0]: (value,)})

    def _repetitions(self, variable: str | None) -> Iterator[Mapping[str, Choice]]:
        if not variable:
            yield {}
            return
        choice = self.choices[variable]
        for value in self.values[variable] if choice.everything is not None else choice.values:
            yield {variable: Choice((value,))}


def _choice(variable: Json, values: Sequence[str], chosen: Sequence[str] | None) -> Choice:
    if chosen:
        return Choice(tuple(chosen) if variable.get("multi") else tuple(chosen[:1]))
    current = variable.get("current", {}).get("value")
    selected = [str(each) for each in (current if isinstance(current, list) else [current]) if each is not None]
    if _ALL in selected:
        return Choice(tuple(values), variable.get("allValue") or None)
    kept = [value for value in selected if value in values]
    return Choice(tuple(kept or values[:1] or selected))


def timed(ask: Ask, board: str, report: Report) -> Ask:
    """``ask``, with each query counted for a board and the slowest one kept."""

    def asked(query: str) -> Answer:
        began = time.perf_counter()
        answer = ask(query)
        taken = time.perf_counter() - began
        report.queries += 1
        report.count(board, "queries")
        if taken > report.slowest_s:
            report.slowest_s, report.slowest = taken, f"{board}: {query}"
        return answer

    return asked


def _all_chosen(asked: BoardQueries, report: Report) -> list[tuple[Json, str]]:
    """Ask all; gives the panels, each with the ``refId``, that are without a value and say why."""
    uid, excused = asked.rendered.uid, list[tuple[Json, str]]()
    for name, text, answer in _variables(asked, report, None):
        if answer.error is None and answer.empty:
            report.tell(Problem(uid, name, "variable", "empty", "the variable finds nothing to choose", text))
    for panel, document in asked.rendered.panels():
        if not document["targets"]:
            continue
        report.panels += 1
        report.count(uid, "panels")
        for ref, text, answer in _panel(asked, document, report):
            if not answer.empty or answer.error is not None:
                continue
            if panel.empty is not None:
                excused.append((document, ref))
            else:
                detail = "no value; mend it, or say in Panel.empty when that is right"
                report.tell(Problem(uid, document["title"], ref, "empty", detail, text))
    return excused


def _nowhere(asked: BoardQueries, excused: list[tuple[Json, str]], report: Report) -> list[tuple[Json, str]]:
    """Those of them that have no value whatever else is chosen."""
    for chosen in islice(asked.others(), OTHERS):
        if not chosen or not excused:
            break
        for _ in _variables(asked, report, chosen):
            pass
        answered = {
            (document["id"], ref)
            for document in {each["id"]: each for each, _ in excused}.values()
            for ref, _, answer in _panel(asked, document, report)
            if not answer.empty
        }
        excused = [each for each in excused if (each[0]["id"], each[1]) not in answered]
    return excused


def _some_chosen(asked: BoardQueries, report: Report) -> None:
    """The same with one or two values of each variable: the regular expressions are others."""
    some = {name: values[:SOME] for name, values in asked.values.items() if values}
    for _ in _variables(asked, report, some):
        pass
    for _, document in asked.rendered.panels():
        for _ in _panel(asked, document, report):
            pass


def _variables(
    asked: BoardQueries, report: Report, chosen: Mapping[str, Sequence[str]] | None
) -> Iterator[tuple[str, str, Answer]]:
    uid = asked.rendered.uid
    try:
        for name, text, answer in asked.fill(chosen):
            if answer.error is not None:
                report.tell(Problem(uid, name, "variable", "failed", answer.error, text))
            yield name, text, answer
    except UnknownVariable as fault:
        report.tell(Problem(uid, "variables", "variable", "failed", str(fault)))


def _panel(asked: BoardQueries, document: Json, report: Report) -> Iterator[tuple[str, str, Answer]]:
    uid, title = asked.rendered.uid, document["title"]
    try:
        for ref, text, _ in asked.targets(document):
            answer = asked.ask(text)
            if answer.error is not None:
                report.tell(Problem(uid, title, ref, "failed", answer.error, text))
            yield ref, text, answer
    except UnknownVariable as fault:
        report.tell(Problem(uid, title, "-", "failed", str(fault)))
