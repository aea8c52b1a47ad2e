"""What a board is made of, free of language and of Grafana's JSON: frozen records that ``render`` turns into both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

COLUMNS: Final = 24
"""Width of a board in grid columns."""

Options = Mapping[str, Any]
"""Settings in the words of Grafana's panel JSON."""


@dataclass(frozen=True, slots=True)
class Label:
    """A name that the plant file gives in its languages, wherever a text id may stand."""

    names: Mapping[str, str]
    otherwise: str
    """The id, where there is no name."""


class Kind(StrEnum):
    """Panel kinds in use: Grafana's own, no plugin to install."""

    STAT = "stat"
    GAUGE = "gauge"
    TIME_SERIES = "timeseries"
    BAR_CHART = "barchart"
    BAR_GAUGE = "bargauge"
    TABLE = "table"
    STATE_TIMELINE = "state-timeline"
    TEXT = "text"


class Shape(StrEnum):
    """How the data source hands over an answer."""

    SERIES = "time_series"
    TABLE = "table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One query of a panel."""

    query: str
    """InfluxQL with the macros of ``queries``."""
    shape: Shape = Shape.SERIES
    alias: str = ""
    """Name of its series: a text id (``kpi:oee_index``), or a pattern of the data source (``$tag_work_unit``)."""
    kpi: str | None = None
    """The KPI whose value over the board's range the query returns, the same number as the KPI API's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Settings of the fields that match: of one name, or of a regular expression."""

    field: str
    """The field's name, a text id, or ``/regex/``."""
    properties: Options
    """Property id -> value, as ``unit``, ``decimals``, ``color``, ``custom.width``; text ids are resolved."""


@dataclass(frozen=True, slots=True)
class Step:
    """From this value on the colour holds; None is from below everything."""

    value: float | None
    color: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A panel. ``text`` names its title and description in the catalogues."""

    text: str
    kind: Kind
    unit: str
    """In the words of ``theme.UNITS``."""
    targets: tuple[Target, ...] = ()
    width: int = 6
    height: int = 6
    decimals: int | None = None
    low: float | None = None
    high: float | None = None
    steps: tuple[Step, ...] = ()
    """Thresholds; none leaves the panel in one colour."""
    mappings: tuple[Options, ...] = ()
    """Value mappings in Grafana's form; a text id as ``text`` is resolved."""
    overrides: tuple[Override, ...] = ()
    custom: Options = field(default_factory=dict)
    """Field settings of the panel's kind."""
    options: Options = field(default_factory=dict)
    transformations: tuple[Options, ...] = ()
    min_interval: str | None = None
    links: tuple["Link", ...] = ()
    """Where a click on a value leads."""
    empty: str | None = None
    """Text id that says when this panel is rightly empty; without it an empty answer is a defect."""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading, laid from left to right."""

    text: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A choice at the head of the board, filled by a query, or hidden."""

    name: str
    query: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    """Instead of a query: (text id, value), the first one chosen at first."""
    multi: bool = False
    all: bool = True
    hidden: bool = False
    by_range: bool = False
    """Asked again whenever the range changes."""
    fallback: str = ""
    """What it is before any answer."""


@dataclass(frozen=True, slots=True)
class Link:
    """To another board, with the range and the choices kept."""

    board: str
    variables: Options = field(default_factory=dict)
    """Variable -> value, in Grafana's words, where the link sets one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A board. Its texts are ``board.<id>``: title, and the question that it answers."""

    id: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...]
    start: str = "now-24h"
    end: str = "now"
    refresh: str = "1m"
    links: tuple[Link, ...] = ()

    @property
    def uid(self) -> str:
        """The board's name in addresses; it never changes."""
        return f"shopfloor-{self.id}"

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels in order."""
        return tuple(panel for row in self.rows for panel in row.panels)
