"""What the queries of a board answer on a real server, its variables filled as Grafana fills them.

Those that are hidden by their own queries, the others with everything or with what a test chooses.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dashboards.board import Board, Panel, Target
from shopfloor.instant import Instant
from tests.influxd import asked

Series = dict[str, Any]


@dataclass(frozen=True)
class Reader:
    """Somebody who looks at a range of a database."""

    url: str
    start: Instant
    end: Instant
    chosen: Mapping[str, str] = field(default_factory=dict)
    """Variable -> a regular expression; the others are All."""

    def answers(self, board: Board) -> Iterator[tuple[Panel, Target, list[Series]]]:
        """Every query of a board with its series."""
        hidden = self.hidden(board)
        for panel in board.panels:
            for target in panel.targets:
                yield panel, target, self.ask(target.query, hidden)

    def empty(self, board: Board) -> dict[str, str | None]:
        """The panels on which there is nothing to see, by their text ids, with the text id of their excuse."""
        seen: dict[str, bool] = {}
        for panel, _, series in self.answers(board):
            seen[panel.text] = seen.get(panel.text, False) or shown(series)
        return {panel.text: panel.empty for panel in board.panels if panel.targets and not seen[panel.text]}

    def answer(self, board: Board, text: str) -> list[Series]:
        """The series of the one panel with this text id, of all its queries."""
        (panel,) = [each for each in board.panels if each.text == text]
        hidden = self.hidden(board)
        return [series for target in panel.targets for series in self.ask(target.query, hidden)]

    def number(self, board: Board, text: str) -> float:
        """The one number that a panel shows."""
        ((row,),) = [series["values"] for series in self.answer(board, text)]
        return float(row[1])

    def hidden(self, board: Board) -> dict[str, str]:
        """The hidden variables by their own queries."""
        found = {}
        for variable in board.variables:
            if variable.choices:
                found[variable.name] = self.chosen.get(variable.name, variable.choices[0][1])
                continue
            told = self.ask(variable.query, found)
            if variable.hidden:
                found[variable.name] = str(told[0]["values"][0][1]) if told else variable.fallback
        return found

    def ask(self, query: str, hidden: Mapping[str, str]) -> list[Series]:
        """The series of one query."""
        values = {"__from": str(self.start), "__to": str(self.end), **hidden}
        filled = re.sub(
            r"\$\{(\w+)(?::(raw|regex))?\}", lambda found: values.get(found[1], self.chosen.get(found[1], ".*")), query
        )
        return asked(self.url, filled)


def names(series: Series) -> str:
    """``site/area/work_center/work_unit`` of a series grouped by them."""
    return "/".join(series["tags"][level] for level in ("site", "area", "work_center", "work_unit"))


def shown(answers: list[Series]) -> bool:
    """Whether there is a value to see."""
    return any(value is not None for series in answers for row in series["values"] for value in row[1:])
