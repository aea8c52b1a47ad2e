"""Boards as Grafana's classic JSON, one per language. Pure: the same plant and words give the same text."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, Final

from dashboards.board import COLUMNS, Board, Kind, Label, Link, Override, Panel, Row, Step, Target, Variable
from dashboards.text import Words
from dashboards.theme import CALM, UNITS

Json = dict[str, Any]

SCHEMA_VERSION: Final = 39
"""Of Grafana 10.4: newer servers migrate it, and nothing here needs more."""
SOURCE_VARIABLE: Final = "source"
"""The board's choice of data source."""
SOURCE_UID: Final = "shopfloor-influxdb"
"""The uid under which our provisioning makes the data source."""
_SOURCE: Final = {"type": "influxdb", "uid": f"${{{SOURCE_VARIABLE}}}"}
_TAG: Final = "shopfloor"
_WITHOUT: Final = frozenset({Kind.STAT, Kind.GAUGE, Kind.BAR_GAUGE, Kind.TABLE, Kind.STATE_TIMELINE})
"""Kinds of panels that say where there is no value; on others there is a gap."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a rendering is for."""

    words: Words
    timezone: str
    """IANA zone of the plant's sites, or ``browser`` where they differ."""


def render(board: Board, boards: Sequence[Board], setting: Setting) -> Json:
    """The board as classic dashboard JSON; ``boards`` are those that its links may lead to."""
    words = setting.words
    return {
        "uid": uid(board, words),
        "title": words.must(f"board.{board.id}.title"),
        "description": words.must(f"board.{board.id}.about"),
        "tags": [_TAG, words.language],
        "schemaVersion": SCHEMA_VERSION,
        "version": 0,
        "editable": False,
        "graphTooltip": 1,
        "timezone": setting.timezone,
        "time": {"from": board.start, "to": board.end},
        "refresh": board.refresh,
        "timepicker": {},
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "weekStart": "monday",
        "annotations": {"list": []},
        "links": [_board_link(other, words) for other in boards if other.id != board.id],
        "templating": {"list": [_source_variable(words), *(_variable(each, words) for each in board.variables)]},
        "panels": list(_panels(board.rows, words)),
    }


def text_of(board: Json) -> str:
    """As it stands in a file."""
    return json.dumps(board, indent=2, ensure_ascii=False, sort_keys=False) + "\n"


def uid(board: Board, words: Words) -> str:
    """Each language's board has a uid of its own, so that both can stand in one Grafana."""
    return f"{board.uid}-{words.language}"


def _board_link(board: Board, words: Words) -> Json:
    return {
        "title": words.must(f"board.{board.id}.title"),
        "type": "link",
        "icon": "dashboard",
        "url": f"/d/{uid(board, words)}",
        "keepTime": True,
        "includeVars": True,
        "targetBlank": False,
        "asDropdown": False,
        "tags": [],
        "tooltip": words.must(f"board.{board.id}.about"),
    }


# ------------------------------------------------------------ variables


def _source_variable(words: Words) -> Json:
    return {
        "name": SOURCE_VARIABLE,
        "type": "datasource",
        "label": words.must("variable.source"),
        "query": "influxdb",
        "regex": "",
        "hide": 2,
        "refresh": 1,
        "multi": False,
        "includeAll": False,
        "options": [],
        "current": {"text": SOURCE_UID, "value": SOURCE_UID, "selected": True},
        "skipUrlSync": False,
    }


def _variable(variable: Variable, words: Words) -> Json:
    return _custom(variable, words) if variable.choices else _asked(variable, words)


def _custom(variable: Variable, words: Words) -> Json:
    """A choice of words that no query finds."""
    options = [
        {"text": words.must(text), "value": value, "selected": at == 0}
        for at, (text, value) in enumerate(variable.choices)
    ]
    return {
        "name": variable.name,
        "type": "custom",
        "label": words.must(f"variable.{variable.name}"),
        "query": ", ".join(f"{option['text']} : {option['value']}" for option in options),
        "hide": 0,
        "multi": False,
        "includeAll": False,
        "options": options,
        "current": options[0],
        "skipUrlSync": False,
    }


def _asked(variable: Variable, words: Words) -> Json:
    everything = {"text": [words.must("variable.all")], "value": ["$__all"], "selected": True}
    fallback = {"text": variable.fallback, "value": variable.fallback, "selected": True}
    return {
        "name": variable.name,
        "type": "query",
        "label": words.must(f"variable.{variable.name}"),
        "datasource": _SOURCE,
        "query": variable.query,
        "definition": variable.query,
        "refresh": 2 if variable.by_range else 1,
        "regex": "",
        "sort": 0 if variable.hidden else 1,
        "hide": 2 if variable.hidden else 0,
        "multi": variable.multi,
        "includeAll": variable.all,
        **({"allValue": ".*"} if variable.all else {}),
        "options": [],
        "current": everything if variable.all else fallback,
        "skipUrlSync": variable.hidden,
    }


# ------------------------------------------------------------ panels


def _panels(rows: Iterable[Row], words: Words) -> Iterator[Json]:
    number, top = 0, 0
    for row in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": words.must(row.text),
            "collapsed": False,
            "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top},
            "panels": [],
        }
        top += 1
        left, height = 0, 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top, height = 0, top + height, 0
            number += 1
            place = {"h": panel.height, "w": panel.width, "x": left, "y": top}
            yield _panel(panel, number, place, words)
            left, height = left + panel.width, max(height, panel.height)
        top += height


def _content(words: Words, text: str, entries: Mapping[str, str]) -> str:
    """Markdown: words, then a list of ids and what they mean."""
    lines = [f"- `{each}`: {words.must(meaning)}" for each, meaning in entries.items()]
    return "\n".join([words.must(text), *(["", *lines] if lines else [])])


def _panel(panel: Panel, number: int, place: Json, words: Words) -> Json:
    options = dict(panel.options)
    if panel.kind is Kind.TEXT:
        options["content"] = _content(words, options["content"], options.pop("entries", {}))
    about = words.must(f"{panel.text}.about")
    if panel.empty:
        about = f"{about} {words.must(panel.empty)}"
    return {
        "id": number,
        "type": panel.kind.value,
        "title": words.must(f"{panel.text}.title"),
        "description": about,
        "gridPos": place,
        "datasource": _SOURCE,
        "targets": [_target(target, ascii_uppercase[at], words) for at, target in enumerate(panel.targets)],
        "fieldConfig": {
            "defaults": _defaults(panel, words),
            "overrides": [_override(override, words, panel.kind) for override in panel.overrides],
        },
        "options": _translated(options, words),
        "transformations": [_translated(step, words) for step in panel.transformations],
        "links": [],
        **({"interval": panel.min_interval} if panel.min_interval else {}),
    }


def _target(target: Target, ref: str, words: Words) -> Json:
    return {
        "refId": ref,
        "datasource": _SOURCE,
        "rawQuery": True,
        "query": target.query,
        "resultFormat": target.shape.value,
        **({"alias": words(target.alias)} if target.alias else {}),
    }


def _defaults(panel: Panel, words: Words) -> Json:
    custom = dict(panel.custom)
    color: Json = {"mode": "thresholds"} if panel.steps else {"mode": "palette-classic"}
    return {
        "unit": UNITS[panel.unit],
        "color": color,
        "custom": custom,
        "mappings": _mappings(panel.mappings, words, panel.kind),
        "noValue": words.must("no_data"),
        **({"links": [_panel_link(link, words) for link in panel.links]} if panel.links else {}),
        "thresholds": {"mode": "absolute", "steps": _steps(panel.steps or (Step(None, "green"),))},
        **({} if panel.decimals is None else {"decimals": panel.decimals}),
        **({} if panel.low is None else {"min": panel.low}),
        **({} if panel.high is None else {"max": panel.high}),
    }


def _mappings(mappings: Iterable[Mapping[str, Any]], words: Words, kind: Kind) -> list[Json]:
    """Value mappings; that there is no value is said calmly, not in the colour of the worst."""
    told = [_translated(mapping, words) for mapping in mappings]
    if kind not in _WITHOUT:
        return told
    nothing = {"text": words.must("no_data"), "color": CALM, "index": 1_000}
    return [*told, {"type": "special", "options": {"match": "null", "result": nothing}}]


def _steps(steps: Iterable[Step]) -> list[Json]:
    return [{"value": step.value, "color": step.color} for step in steps]


def _override(override: Override, words: Words, kind: Kind) -> Json:
    regex = override.field.startswith("/")
    matcher = {"id": "byRegexp" if regex else "byName", "options": override.field if regex else words(override.field)}
    properties = [each for name, value in override.properties.items() for each in _property(name, value, words, kind)]
    return {"matcher": matcher, "properties": properties}


def _property(name: str, value: Any, words: Words, kind: Kind) -> list[Json]:
    """One of our settings as Grafana's field properties."""
    match name:
        case "unit":
            return [{"id": "unit", "value": UNITS[value]}]
        case "title":
            return [{"id": "displayName", "value": _resolved(value, words)}]
        case "color":
            return [{"id": "color", "value": {"mode": "fixed", "fixedColor": value}}]
        case "steps":
            return [
                {"id": "thresholds", "value": {"mode": "absolute", "steps": _steps(value)}},
                {"id": "color", "value": {"mode": "thresholds"}},
            ]
        case "mappings":
            return [{"id": "mappings", "value": _mappings(value, words, kind)}]
        case "width":
            return [{"id": "custom.width", "value": value}]
        case "cell":
            old = f"{value['type']}-solid" if value["type"] == "color-background" else value["type"]
            return [{"id": "custom.cellOptions", "value": value}, {"id": "custom.displayMode", "value": old}]
        case "link":
            return [{"id": "links", "value": [_panel_link(value, words)]}]
        case _:
            return [{"id": name.replace("__", "."), "value": value}]


def _panel_link(link: Link, words: Words) -> Json:
    chosen = "".join(f"&var-{name}={value}" for name, value in link.variables.items())
    address = f"/d/shopfloor-{link.board}-{words.language}?${{__url_time_range}}{chosen}"
    return {"title": words.must(f"board.{link.board}.title"), "url": address, "targetBlank": False}


def _translated(node: Mapping[str, Any], words: Words) -> Json:
    """A piece of Grafana's JSON with the text ids in it resolved."""
    return {key: _resolved(value, words) for key, value in node.items()}


def _resolved(value: Any, words: Words) -> Any:
    if isinstance(value, Mapping):
        return {words(key): _resolved(each, words) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(each, words) for each in value]
    if isinstance(value, Label):
        return words.label(value.names, value.otherwise)
    return words(value) if isinstance(value, str) else value
