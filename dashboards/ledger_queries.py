"""What boards ask of the ledger: the newest word of every outbox, its course, and how old words and samples are.

Between points and panels on registers -> samples -> messages -> points -> facts -> KPIs -> panels. The counts of an
outbox run on for as long as it lives, so its newest word in the range tells all of them; sums go over outboxes. An age
is the time from a stored instant to the end of the range, since InfluxQL knows no other now.
"""

from collections.abc import Iterable
from typing import Final

from dashboards.queries import BUCKET, LEVELS, WINDOW, choice
from historian.influx_names import MARKER, RAW
from historian.influxql import identifier
from historian.schema import AGENT, LEDGER_DEAD, LEDGER_TOLD, OUTBOX, Measurement

AGENTS: Final = f"{identifier(AGENT)} =~ /^${{agent:regex}}$/"
"""The condition that a point is of one of the agents chosen on the board."""
UNTIL: Final = "${__to}"
"""The end of the range in milliseconds."""
IN_OUTBOX: Final = "in_outbox"

_LEDGER: Final = identifier(Measurement.LEDGER)
_OF_OUTBOX: Final = f"{identifier(AGENT)}, {identifier(OUTBOX)}"


def sum_of_last(expression: str, name: str, *, by_agent: bool = False) -> str:
    """The newest word of each outbox, as ``last("polled") - last("appended")``, summed."""
    grouping = f" GROUP BY {identifier(AGENT)}" if by_agent else ""
    words = (
        f"SELECT {expression} AS {identifier(name)} FROM {_LEDGER} WHERE {WINDOW} AND {AGENTS} GROUP BY {_OF_OUTBOX}"
    )
    return f"SELECT sum({identifier(name)}) AS {identifier(name)} FROM ({words}) WHERE {WINDOW}{grouping}"


def last(field: str) -> str:
    """The newest value of a field."""
    return f"last({identifier(field)})"


def words(fields: Iterable[str], ages: Iterable[str]) -> str:
    """The newest word of each outbox: counts under their own names, of ``ages`` the milliseconds since then."""
    asked = [f"{last(field)} AS {identifier(field)}" for field in fields]
    asked += [f"{UNTIL} - {last(field)} AS {identifier(field)}" for field in ages]
    return f"SELECT {', '.join(asked)} FROM {_LEDGER} WHERE {WINDOW} AND {AGENTS} GROUP BY {_OF_OUTBOX}"


def age(*, least: bool = False) -> str:
    """Milliseconds since each agent last told its counts; with ``least`` those of the agent heard of longest ago."""
    grouped = (
        f'SELECT {UNTIL} - max({identifier(LEDGER_TOLD)}) AS "age" FROM {_LEDGER} WHERE {WINDOW} AND {AGENTS}'
        f" GROUP BY {identifier(AGENT)}"
    )
    return f'SELECT max("age") AS "age" FROM ({grouped}) WHERE {WINDOW}' if least else grouped


def heard(within: str) -> str:
    """How many agents told their counts within a duration, as ``5m``, before the end of the range."""
    newest = (
        f'SELECT max({identifier(LEDGER_TOLD)}) AS "told" FROM {_LEDGER} WHERE {WINDOW}'
        f" AND time >= {UNTIL}ms - {within} AND {AGENTS} GROUP BY {identifier(AGENT)}"
    )
    return f'SELECT count("told") AS "heard" FROM ({newest}) WHERE {WINDOW}'


def course(selector: str, field: str) -> str:
    """A count of each agent over time: ``selector`` (max, min) within a stretch, summed over the agent's outboxes.

    A stretch without a word is empty.
    """
    return _course(f"{selector}({identifier(field)})", field, "sum")


def rate(field: str) -> str:
    """Growth of a count a minute, of each agent over time."""
    return _course(f"non_negative_derivative(max({identifier(field)}), 1m)", field, "sum")


def worst(field: str, selector: str) -> str:
    """The highest or lowest (``max``, ``min``) word of an agent's outboxes over time."""
    return _course(f"{selector}({identifier(field)})", field, selector)


def _course(expression: str, name: str, over: str) -> str:
    asked = (
        f"SELECT {expression} AS {identifier(name)} FROM {_LEDGER} WHERE {WINDOW} AND {AGENTS}"
        f" GROUP BY time({BUCKET}), {_OF_OUTBOX} fill(null)"
    )
    return (
        f"SELECT {over}({identifier(name)}) AS {identifier(name)} FROM ({asked}) WHERE {WINDOW}"
        f" GROUP BY time({BUCKET}), {identifier(AGENT)} fill(null)"
    )


def lag(since: str) -> str:
    """Seconds from an instant of an agent's word to the word itself, while its outbox held samples, over time."""
    waited = (
        f'SELECT ({identifier(LEDGER_TOLD)} - {identifier(since)}) / 1000 AS "lag_s" FROM {_LEDGER}'
        f" WHERE {WINDOW} AND {AGENTS} AND {identifier(IN_OUTBOX)} > 0"
    )
    return (
        f'SELECT max("lag_s") AS "lag_s" FROM ({waited}) WHERE {WINDOW}'
        f" GROUP BY time({BUCKET}), {identifier(AGENT)} fill(null)"
    )


def letters(*, by_agent: bool = False) -> str:
    """Dead letters by cause, of all agents and of nobody: fields ``sum_last_dead_`` and the cause."""
    grouping = f" GROUP BY {identifier(AGENT)}" if by_agent else ""
    counts = f"SELECT last(/^{LEDGER_DEAD}/) FROM {_LEDGER} WHERE {WINDOW} GROUP BY {_OF_OUTBOX}"
    return f"SELECT sum(/_{LEDGER_DEAD}/) FROM ({counts}) WHERE {WINDOW}{grouping}"


def newest_samples() -> str:
    """The newest stored sample of each chosen unit: its time is the answer."""
    chosen = " AND ".join(map(choice, ("site", "work_center", "work_unit")))
    samples = f"{identifier(RAW)}.{identifier(Measurement.SAMPLES)}"
    return (
        f'SELECT last({identifier(MARKER)}) AS "fields" FROM {samples} WHERE {WINDOW} AND {chosen}'
        f" GROUP BY {', '.join(map(identifier, LEVELS))}"
    )
