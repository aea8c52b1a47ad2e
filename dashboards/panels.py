"""One function per kind of panel, with the settings that all panels of a kind share."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from dashboards.board import Kind, Link, Override, Panel, Shape, Step, Target
from dashboards.queries import CHOICES, LEVELS
from dashboards.theme import plain
from historian.influx_names import MARKER
from historian.schema import CURRENT

_LEGEND: Final = {"displayMode": "list", "placement": "bottom", "showLegend": True}
_NO_LEGEND: Final = {"displayMode": "list", "placement": "bottom", "showLegend": False}
_TOOLTIP: Final = {"mode": "multi", "sort": "desc"}
_LAST: Final = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_ROWS: Final = {"calcs": [], "fields": "", "values": True}
_LEAST_COLUMN: Final = 85
"""Pixels; Grafana's own 150 pushes columns out of sight."""
NUMBERS: Final[Mapping[str, Any]] = {"steps": plain("text"), "cell": {"type": "color-text"}}
"""For a column that may be empty in all rows, which Grafana would show as raw JSON."""


def stat(text: str, unit: str, *targets: Target, steps: Sequence[Step] = (), **more: Any) -> Panel:
    """One number or a few, large. ``background`` colours all of a tile; ``shown`` names the fields of a table."""
    background, shown = more.pop("background", False), more.pop("shown", "")
    return Panel(
        text=text,
        kind=Kind.STAT,
        unit=unit,
        targets=targets,
        steps=tuple(steps) or plain(),
        options={
            "reduceOptions": {**_LAST, "fields": shown},
            "colorMode": "background" if background else "value",
            "graphMode": "none",
            "textMode": "auto",
            "justifyMode": "auto",
            "orientation": "auto",
        },
        **{"width": 4, "height": 4, **more},
    )


def gauge(text: str, unit: str, *targets: Target, steps: Sequence[Step], **more: Any) -> Panel:
    """A number on its scale."""
    return Panel(
        text=text,
        kind=Kind.GAUGE,
        unit=unit,
        targets=targets,
        steps=tuple(steps),
        options={"reduceOptions": _LAST, "showThresholdLabels": False, "showThresholdMarkers": True},
        **{"width": 4, "height": 6, "low": 0.0, "high": 1.0, **more},
    )


def lines(text: str, unit: str, *targets: Target, steps: Sequence[Step] = (), **more: Any) -> Panel:
    """Values over time; a gap in the data is a gap in the line."""
    return _time_series(text, unit, targets, steps, {"drawStyle": "line", "fillOpacity": 0, "lineWidth": 2}, more)


def bars(
    text: str, unit: str, *targets: Target, stacked: bool = False, steps: Sequence[Step] = (), **more: Any
) -> Panel:
    """Values of stretches of time."""
    look = {"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "barAlignment": 1}
    look |= {"stacking": {"mode": "normal" if stacked else "none", "group": "A"}}
    return _time_series(text, unit, targets, steps, look, more)


def _time_series(
    text: str,
    unit: str,
    targets: Sequence[Target],
    steps: Sequence[Step],
    look: Mapping[str, Any],
    more: Mapping[str, Any],
) -> Panel:
    shared = {"spanNulls": False, "showPoints": "auto", "pointSize": 4, "axisSoftMin": 0}
    custom = {**shared, **look, **more.get("custom", {})}
    rest = {name: value for name, value in more.items() if name != "custom"}
    return Panel(
        text=text,
        kind=Kind.TIME_SERIES,
        unit=unit,
        targets=tuple(targets),
        steps=tuple(steps),
        custom=custom,
        options={"legend": _LEGEND, "tooltip": _TOOLTIP},
        **{"width": 12, "height": 8, **rest},
    )


def ranking(text: str, unit: str, *targets: Target, steps: Sequence[Step] = (), **more: Any) -> Panel:
    """Horizontal bars, one a row of the answer, or one a series (``each_series``): a Pareto or a comparison."""
    rows = _LAST if more.pop("each_series", False) else {**_ROWS, "limit": 25}
    return Panel(
        text=text,
        kind=Kind.BAR_GAUGE,
        unit=unit,
        targets=targets,
        steps=tuple(steps) or plain(),
        options={
            "reduceOptions": rows,
            "orientation": "horizontal",
            "displayMode": "basic",
            "showUnfilled": True,
            "valueMode": "color",
        },
        **{"width": 12, "height": 8, "low": 0.0, **more},
    )


def columns(text: str, unit: str, *targets: Target, x: str, steps: Sequence[Step] = (), **more: Any) -> Panel:
    """Columns by name instead of time; ``x`` is the field that names them."""
    return Panel(
        text=text,
        kind=Kind.BAR_CHART,
        unit=unit,
        targets=targets,
        steps=tuple(steps) or plain(),
        custom={"fillOpacity": 80, "lineWidth": 0},
        options={
            "xField": x,
            "orientation": "auto",
            "showValue": "auto",
            "xTickLabelRotation": -30,
            "xTickLabelMaxLength": 24,
            "stacking": "none",
            "barWidth": 0.8,
            "groupWidth": 0.8,
            "legend": _NO_LEGEND,
            "tooltip": _TOOLTIP,
        },
        **{"width": 12, "height": 8, **more},
    )


def table(text: str, unit: str, *targets: Target, steps: Sequence[Step] = (), **more: Any) -> Panel:
    """Rows of an answer; several queries are joined on the tags that they share.

    ``timed`` keeps the rows' times; ``sort`` is the title of the column by which they stand, the greatest first.
    """
    sort = more.pop("sort", None)
    order = [] if sort is None else [{"displayName": sort, "desc": True}]
    if any(target.shape is not Shape.TABLE for target in targets):
        raise ValueError(f"{text}: a table needs answers of the shape of a table")
    joined: list[Mapping[str, Any]] = [{"id": "merge", "options": {}}] if len(targets) > 1 else []
    # a merged record has no time of its own, and an unequal one would keep rows apart
    hidden = {"id": "filterFieldsByName", "options": {"exclude": {"names": ["Time"]}}}
    transformations = more.pop("transformations", ([] if more.pop("timed", False) else [hidden]) + joined)
    return Panel(
        text=text,
        kind=Kind.TABLE,
        unit=unit,
        targets=targets,
        steps=tuple(steps) or plain(),
        custom={"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False, "minWidth": _LEAST_COLUMN},
        options={
            "showHeader": True,
            "cellHeight": "sm",
            "footer": {"show": False, "reducer": ["sum"], "fields": ""},
            "sortBy": order,
        },
        transformations=tuple(transformations),
        **{"width": 24, "height": 8, **more},
    )


def unit_table(text: str, *targets: Target, order: Sequence[str], **more: Any) -> Panel:
    """A row a unit, joined on the tags that tell units apart; ``order`` names the columns that are shown.

    The first target's rows keep their time, as ``states.newest`` gives that of each unit's newest sample: shown as
    its age under the name ``Time``.
    """
    timeless = {
        "id": "filterFieldsByName",
        "options": {"exclude": {"names": ["Time"]}},
        "filter": {"id": "byRefId", "options": "/^[B-Z]$/"},
    }
    hidden = [name for name in (MARKER, CURRENT, *LEVELS) if name not in order]
    return table(
        text,
        "text",
        *targets,
        transformations=(timeless, {"id": "merge", "options": {}}, *arranged(order, hidden)),
        **more,
    )


def arranged(order: Sequence[str], hidden: Sequence[str]) -> tuple[Mapping[str, Any], ...]:
    """Transformations that put columns in order and hide some."""
    columns_ = {
        "indexByName": {name: at for at, name in enumerate(order)},
        "excludeByName": dict.fromkeys(hidden, True),
        "renameByName": {},
    }
    return ({"id": "organize", "options": columns_},)


def pareto(text: str, unit: str, *targets: Target, **more: Any) -> Panel:
    """The sums of series as columns, the greatest first; their names stand in the field ``Field``."""
    panel = columns(text, unit, *targets, x="Field", **more)
    summed = {"id": "reduce", "options": {"mode": "seriesToRows", "reducers": ["sum"], "includeTimeField": False}}
    sorted_ = {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": "Total", "desc": True}]}}
    return replace(panel, transformations=(summed, sorted_))


def timeline(text: str, *targets: Target, mappings: Sequence[Mapping[str, Any]], **more: Any) -> Panel:
    """States over time, one line a unit; where nothing is known there is a gap.

    Without thresholds: with them Grafana would merge all states between two of them into one.
    """
    return Panel(
        text=text,
        kind=Kind.STATE_TIMELINE,
        unit="text",
        targets=targets,
        mappings=tuple(mappings),
        custom={"fillOpacity": 90, "lineWidth": 0, "spanNulls": False},
        options={
            "mergeValues": True,
            "showValue": "never",
            "alignValue": "left",
            "rowHeight": 0.85,
            "legend": _LEGEND,
            "tooltip": {"mode": "single", "sort": "none"},
        },
        **{"width": 24, "height": 8, **more},
    )


def note(text: str, *, width: int = 24, height: int = 3) -> Panel:
    """Words alone: the catalogue's ``<text>.body``, in Markdown."""
    return Panel(
        text=text,
        kind=Kind.TEXT,
        unit="text",
        width=width,
        height=height,
        options={"mode": "markdown", "content": f"{text}.body"},
    )


def glossary(text: str, *, prefix: str, ids: Sequence[str], width: int = 24, height: int = 7) -> Panel:
    """What short ids mean: the catalogue's ``<text>.body``, then each id with the words of ``<prefix>.<id>``."""
    panel = note(text, width=width, height=height)
    return replace(panel, options={**panel.options, "entries": {each: f"{prefix}.{each}" for each in ids}})


def named(field: str, **properties: Any) -> Override:
    """Settings of one field.

    ``unit`` in our words, ``decimals``, ``title`` (a text id), ``width``, ``steps``, ``color``, ``link`` to a board,
    ``mappings``, ``cell`` (how a table shows it); any other is Grafana's, with ``__`` for a dot.
    """
    return Override(field=field, properties=properties)


def linked(board: str, **variables: str) -> Link:
    """To another board with the same range."""
    return Link(board, variables)


def of_row(board: str, *levels: str) -> Link:
    """From a cell to a board of the place in its row; all of ``LEVELS`` that a board lets choose, unless named."""
    return _placed(board, levels, "__data.fields")


def of_series(board: str, *levels: str) -> Link:
    """From a series to a board of the place that its labels tell."""
    return _placed(board, levels, "__field.labels")


def _placed(board: str, levels: Sequence[str], where: str) -> Link:
    chosen = levels or [level for level in LEVELS if level in CHOICES]
    return Link(board, {CHOICES[level]: f"${{{where}.{level}}}" for level in chosen})
