"""Variables and macros of a query, expanded as Grafana and its InfluxDB data source expand them. Pure.

Beside the panels of registers -> samples -> messages -> points -> facts -> KPIs -> panels, for ``verify``. What Grafana
would leave standing, because no variable has the name, is an error here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dashboards.time_range import TimeRange, interval_text
from shopfloor.errors import ShopfloorError

_NAME = re.compile(
    r"\$\{(?P<long>\w+)(?::(?P<format>[^}]+))?\}|\[\[(?P<old>\w+?)(?::(?P<old_format>\w+))?\]\]|\$(?P<short>\w+)"
)
_SPECIAL = re.compile(r"[\\^$*+?.()|\[\]{}/]")
_TIME_FILTER: Final = ("timeFilter", "__timeFilter")
_INTERVAL: Final = ("__interval", "interval")
_KNOWN_TO_ALERTS: Final = "$timeFilter, $__interval and $__interval_ms"


class UnknownVariable(ShopfloorError):
    """No variable of the board has this name, or its format is not known."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen of a variable."""

    values: tuple[str, ...]
    everything: str | None = None
    """The variable's own word for All (``.*``) while All is chosen; it is put in as it stands."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a query's macros stand for."""

    span: TimeRange
    interval_ms: int = 60_000
    choices: Mapping[str, Choice] = field(default_factory=dict)


def expand(query: str, scope: Scope) -> str:
    """The query as it reaches the server; raises UnknownVariable."""

    def replaced(found: re.Match[str]) -> str:
        name = found["long"] or found["old"] or found["short"]
        how = found["format"] or found["old_format"]
        return _value(name, how, scope)

    return _NAME.sub(replaced, query)


def expand_in_alert(query: str, span: TimeRange, interval: int) -> str:
    """A query of an alert rule as it reaches the server, ``interval`` in ms; raises UnknownVariable.

    The alerting engine has no browser: the data source's backend fills in the range and the interval, and nothing else.
    Source: ``Query.Build`` in ``pkg/tsdb/influxdb/models/query.go`` of Grafana.
    """
    expanded = query.replace("$timeFilter", _time_filter(span))
    expanded = expanded.replace("$interval", interval_text(interval))
    expanded = expanded.replace("$__interval_ms", str(interval)).replace("$__interval", interval_text(interval))
    if left := _NAME.search(expanded):
        raise UnknownVariable(f"{left[0]} is filled in on boards alone; an alert knows {_KNOWN_TO_ALERTS}")
    return expanded


def _time_filter(span: TimeRange) -> str:
    return f"time >= {span.start}ms and time <= {span.end}ms"


def _value(name: str, how: str | None, scope: Scope) -> str:
    span = scope.span
    if name in _TIME_FILTER:
        return _time_filter(span)
    if name in _INTERVAL:
        return interval_text(scope.interval_ms)
    numbers = {"__from": span.start, "__to": span.end, "__interval_ms": scope.interval_ms}
    if name in numbers:
        return _number(name, numbers[name], how)
    if name not in scope.choices:
        known = ", ".join(sorted(scope.choices))
        raise UnknownVariable(f"no variable is named {name!r}; the board has {known}")
    return _chosen(name, scope.choices[name], how)


def _number(name: str, number: int, how: str | None) -> str:
    if how in (None, "raw"):
        return str(number)
    if how == "date:seconds":
        return str(number // 1000)
    raise UnknownVariable(f"the format {how!r} of {name} is not known here; write ${{{name}}}")


def _chosen(name: str, choice: Choice, how: str | None) -> str:
    if choice.everything is not None:
        return choice.everything
    match how:
        case None | "regex":  # the data source's own default of a raw query is that of a regular expression
            return _regex(choice.values) if how or len(choice.values) != 1 else choice.values[0]
        case "raw" | "csv":
            return ",".join(choice.values)
        case "pipe":
            return "|".join(choice.values)
        case "doublequote":
            return ",".join(f'"{value}"' for value in choice.values)
        case "singlequote" | "sqlstring":
            return ",".join(f"'{value}'" for value in choice.values)
        case _:
            raise UnknownVariable(f"the format {how!r} of {name} is not known here; write ${{{name}:regex}}")


def _regex(values: tuple[str, ...]) -> str:
    escaped = [_SPECIAL.sub(r"\\\g<0>", value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
