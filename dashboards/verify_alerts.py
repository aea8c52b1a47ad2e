"""Every query of rendered alert rules, run on a real server as Grafana's alerting engine runs it.

Beside the panels of registers -> samples -> messages -> points -> facts -> KPIs -> panels. A rule is judged at a
moment: its queries look back from there, and what they answer must be numbers, since a condition reads nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dashboards.alerts.render import questions
from dashboards.alerts.rule import Rule
from dashboards.answers import Answer, told
from dashboards.macros import UnknownVariable, expand_in_alert
from dashboards.time_range import TimeRange
from dashboards.verify import Ask, Json, Problem, Report, timed
from shopfloor.instant import SECOND, Instant

ALERTS: Final = "alerts"
"""What stands for a board in the report."""


@dataclass(frozen=True, slots=True)
class RenderedRule:
    """A rule, and what Grafana reads of it."""

    rule: Rule
    document: Json


def verify_rules(rules: Sequence[RenderedRule], ask: Ask, now: Instant, report: Report) -> None:
    """Ask everything that the rules ask when they are judged at ``now``, and tell it in the report."""
    ask = timed(ask, ALERTS, report)
    for rendered in rules:
        report.alerts += 1
        report.count(ALERTS, "alerts")
        for question in questions(rendered.document):
            _asked(rendered, question, ask, now, report)


def _asked(rendered: RenderedRule, question: Json, ask: Ask, now: Instant, report: Report) -> None:
    title, ref = rendered.document["title"], question["refId"]
    back, model = question["relativeTimeRange"], question["model"]
    span = TimeRange(now - back["from"] * SECOND, now - back["to"] * SECOND)
    try:
        text = expand_in_alert(model["query"], span, model["intervalMs"])
    except UnknownVariable as fault:
        report.tell(Problem(ALERTS, title, ref, "failed", str(fault), model["query"]))
        return
    answer = ask(text)
    if wrong := answer.error or _unjudged(answer):
        report.tell(Problem(ALERTS, title, ref, "failed", wrong, text))
    elif answer.empty and rendered.rule.empty is not None:
        report.declared_empty += 1
        report.count(ALERTS, "declared_empty")
    elif answer.empty:
        detail = "no value; mend it, or say in Rule.empty when that is right"
        report.tell(Problem(ALERTS, title, ref, "empty", detail, text))


def _unjudged(answer: Answer) -> str | None:
    """What a condition cannot read: words. Grafana's conditions are on numbers, and a boolean is one."""
    words = sorted({column for series in answer.series for column, cell in told(series) if isinstance(cell, str)})
    return f"{', '.join(words)} is no number, so that no condition can be judged" if words else None
