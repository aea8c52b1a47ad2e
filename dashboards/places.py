"""How units and the places above them look on panels: by the names that the plant file gives them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from string import Template
from typing import Final

from dashboards import panels, theme
from dashboards.board import Board, Label, Link, Override, Panel, Shape
from dashboards.published_queries import CHART_LINES
from dashboards.queries import LEVELS
from dashboards.text import LANGUAGES, words
from historian import schema
from shopfloor.plant import Labels, Plant

_LINE: Final = "tag_work_center"
_UNIT: Final = "tag_work_unit"
_MEASURED: Final = f"tag_{schema.CHARACTERISTIC}"
_Known = tuple[dict[str, str], dict[str, dict[str, str]]]
"""Ids by the tags of an alias, and by language names of them."""


def columns(plant: Plant, *, line: Link | None = None, unit: Link | None = None) -> tuple[Override, ...]:
    """The columns of a table that tell a unit: named and linked; those that say nothing here are hidden."""
    links = {"work_center": line, "work_unit": unit}
    said = {"work_unit", "work_center", *(("site",) if len(plant.sites) > 1 else ())}
    return tuple(
        panels.named(
            level,
            title=f"field.{level}",
            mappings=(theme.names_of(plant),),
            **({"link": link} if (link := links.get(level)) else {}),
            **({} if level in said else {"custom__hidden": True}),
        )
        for level in LEVELS
    )


def characteristic(plant: Plant) -> Override:
    """The column of a table that tells a characteristic: by its name where all units that measure it agree."""
    names: dict[str, list[Labels]] = {}
    for each in (each for unit in plant.units.values() for each in unit.characteristics):
        known = names.setdefault(each.tag, [])
        if each.name not in known:
            known.append(each.name)
    told = {tag: Label(known[0], tag) for tag, known in names.items() if len(known) == 1 and known[0]}
    options = {tag: {"text": label, "index": at} for at, (tag, label) in enumerate(told.items())}
    mappings = {"mappings": ({"type": "value", "options": options},)} if options else {}
    return panels.named(schema.CHARACTERISTIC, title="quality.field.characteristic", width=130, **mappings)


def named(board: Board, plant: Plant) -> Board:
    """The board with its series of units, lines and characteristics by the plant file's names, not by their ids."""
    known = tuple(_known(plant))
    return replace(board, rows=tuple(replace(row, panels=_all_named(row.panels, known)) for row in board.rows))


def _all_named(every: Iterable[Panel], known: Sequence[_Known]) -> tuple[Panel, ...]:
    return tuple(replace(each, overrides=_series(each, known) + each.overrides) for each in every)


def _series(panel: Panel, known: Sequence[_Known]) -> tuple[Override, ...]:
    """The series that an alias as ``$tag_work_unit`` names; what two of them would share stays an id."""
    found: dict[str, list[Mapping[str, str]]] = {}
    for alias in dict.fromkeys(target.alias for target in panel.targets if target.shape is Shape.SERIES):
        ids_told, names_told = Template(alias), Template(_short(alias))
        tags = set(ids_told.get_identifiers())
        for ids, names in (each for each in known if each[0].keys() == tags):
            by_language = {language: names_told.substitute(ids | told) for language, told in names.items()}
            called = found.setdefault(ids_told.substitute(ids), [])
            if by_language not in called:
                called.append(by_language)
    return tuple(panels.named(name, title=Label(told[0], name)) for name, told in found.items() if len(told) == 1)


def _short(alias: str) -> str:
    """A unit's name says enough beside its line's."""
    return f"${_UNIT}" if alias == f"${_LINE} / ${_UNIT}" else alias


def _known(plant: Plant) -> Iterator[_Known]:
    """What may stand for the tags of an alias: ids, and by language names of them."""
    for line in (line for site in plant.sites for area in site.areas for line in area.work_centers if line.name):
        yield {_LINE: line.id}, _by_language({_LINE: line.name})
    for unit in plant.units.values():
        ids, names = {_UNIT: unit.path.work_unit}, {_UNIT: unit.name} if unit.name else {}
        if names:
            yield ids, _by_language(names)
            yield {_LINE: unit.path.work_center, **ids}, _by_language(names)
        for each in unit.characteristics:
            measured, called = {**ids, _MEASURED: each.tag}, {**names, **({_MEASURED: each.name} if each.name else {})}
            yield measured, _by_language(called)
            for column in CHART_LINES.values():
                yield {**measured, "col": column}, _by_language(called)


def _by_language(names: Mapping[str, Labels]) -> dict[str, dict[str, str]]:
    return {language: {tag: words(language).label(told, "") for tag, told in names.items()} for language in LANGUAGES}
