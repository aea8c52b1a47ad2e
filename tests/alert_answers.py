"""Alert rules asked as Grafana asks: a stretch of time, the last number of each group, the condition on it."""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from dashboards.alerts.rule import Ask, Rule, Silence
from shopfloor.instant import SECOND, Instant
from tests.influxd import asked

Group = frozenset[tuple[str, str]]
_OPERATORS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Gt: operator.gt,
    ast.Lt: operator.lt,
}


def calls(url: str, rule: Rule, now: Instant) -> list[dict[str, str]]:
    """The groups, by their tags, for which a rule calls at ``now``; silence that calls is a group without tags."""
    answers = [last_numbers(url, ask, now) for ask in rule.asks]
    if not any(answers):
        return [{}] if rule.silence is Silence.ALARM else []
    shared = set.intersection(*map(set, answers))
    names = [ask.name for ask in rule.asks]
    return [
        dict(group)
        for group in sorted(shared, key=sorted)
        if holds(rule.condition, dict(zip(names, (each[group] for each in answers), strict=True)))
    ]


def last_numbers(url: str, ask: Ask, now: Instant) -> dict[Group, float]:
    """What a question finds: of each group the last number, both ends of its stretch included as Grafana does."""
    start, end = now - ask.since_s * SECOND, now - ask.until_s * SECOND
    query = ask.query.replace("$timeFilter", f"time >= {start}ms and time <= {end}ms")
    found = {}
    for series in asked(url, query):
        numbers = [row[1] for row in series["values"] if row[1] is not None]
        if numbers:
            found[frozenset(series.get("tags", {}).items())] = float(numbers[-1])
    return found


def holds(condition: str, values: Mapping[str, float]) -> bool:
    """A condition of Grafana's math expressions, as far as our rules use them."""
    text = re.sub(r"\$([A-Z])", r"\1", condition).replace("&&", "and").replace("||", "or")
    return bool(_value(ast.parse(text, mode="eval").body, values))


def _value(node: ast.expr, values: Mapping[str, float]) -> Any:
    match node:
        case ast.Name(id=name):
            return values[name]
        case ast.Constant(value=number):
            return number
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_value(left, values), _value(right, values))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _OPERATORS[type(op)](_value(left, values), _value(right, values))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, values)
        case ast.BoolOp(op=op, values=parts):
            return (all if isinstance(op, ast.And) else any)(_value(part, values) for part in parts)
    raise ValueError(f"no expression of ours: {ast.dump(node)}")
