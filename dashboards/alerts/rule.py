"""What an alert rule is made of: questions to the historian, and a condition on the last number of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Silence(StrEnum):
    """What it means that a question has no answer."""

    FINE = "OK"
    """Nothing of what is looked for is there."""
    ALARM = "Alerting"
    """What must be there is not."""


class Severity(StrEnum):
    """How soon somebody must come."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A query of a rule; where it groups, each group is judged by itself."""

    name: str
    """How the condition and the messages call its last number: a letter."""
    query: str
    """InfluxQL; ``$timeFilter`` is the stretch of time."""
    since_s: int
    """The stretch begins so long before the moment of judgement ..."""
    until_s: int = 0
    """... and ends so long before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When people are called, and by which words."""

    id: str
    """Part of its uid; it never changes."""
    text: str
    """Text id of the catalogues: ``title``, ``summary`` and ``about``."""
    asks: tuple[Ask, ...]
    condition: str
    """On the last number of each question, in Grafana's expressions: ``$A > 0``; true calls."""
    severity: Severity = Severity.WARNING
    silence: Silence = Silence.FINE
    empty: str | None = None
    """Text id that says when its queries are rightly without an answer; without it that is a defect."""
    lasting_s: int = 0
    """The condition must hold so long."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What is known of its place beforehand; what queries group by comes on top."""
    words: Mapping[str, str] = field(default_factory=dict)
    """What the texts name in braces: ``{minutes}``."""
