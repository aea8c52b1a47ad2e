"""How units and the places above them look on panels: by the names that the plant file gives them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from string import Template
from typing import Any, Final, NamedTuple

from dashboards import panels
from dashboards.board import Board, Label, Link, Override, Panel, Shape
from dashboards.published_queries import CHART_LINES
from dashboards.queries import LEVELS
from dashboards.text import LANGUAGES, words
from historian import schema
from shopfloor.plant import Labels, Plant

_LINE: Final = "tag_work_center"
_UNIT: Final = "tag_work_unit"
_MEASURED: Final = f"tag_{schema.CHARACTERISTIC}"
_Names = Mapping[str, str]
"""By language."""


class _Known(NamedTuple):
    """What may stand for the tags of an alias."""

    ids: dict[str, str]
    names: dict[str, Labels]
    """By tag; none where the plant file gives none."""


def column(plant: Plant, level: str, **more: Any) -> Override:
    """The column of a table that tells a level of a unit's place."""
    return panels.named(level, title=f"field.{level}", mappings=(names(plant, level),), **more)


def columns(plant: Plant, *, line: Link | None = None, unit: Link | None = None) -> tuple[Override, ...]:
    """The columns of a table that tell a unit: named and linked; those that say nothing here are hidden."""
    links = {"work_center": line, "work_unit": unit}
    said = {"work_unit", "work_center", *(("site",) if len(plant.sites) > 1 else ())}
    return tuple(
        column(
            plant,
            level,
            **({"link": link} if (link := links.get(level)) else {}),
            **({} if level in said else {"custom__hidden": True}),
        )
        for level in LEVELS
    )


def names(plant: Plant, level: str) -> Mapping[str, Any]:
    """The value mapping of a level's ids to the plant file's names; what two of one id call differently stays an id."""
    known: dict[str, list[Labels]] = {}
    for own, name in _of_level(plant, level):
        called = known.setdefault(own, [])
        if name not in called:
            called.append(name)
    told = [(own, Label(called[0], own)) for own, called in known.items() if len(called) == 1 and called[0]]
    return {"type": "value", "options": {own: {"text": name, "index": at} for at, (own, name) in enumerate(told)}}


def _of_level(plant: Plant, level: str) -> list[tuple[str, Labels]]:
    if level == "site":
        return [(site.id, site.name) for site in plant.sites]
    areas = [area for site in plant.sites for area in site.areas]
    if level == "area":
        return [(area.id, area.name) for area in areas]
    if level == "work_center":
        return [(line.id, line.name) for area in areas for line in area.work_centers]
    return [(unit.path.work_unit, unit.name) for unit in plant.units.values()]


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
    """The series that an alias as ``$tag_work_unit`` names, each by a name that no other has; else it stays an id."""
    found: dict[str, list[tuple[_Names, ...]]] = {}
    for alias in dict.fromkeys(target.alias for target in panel.targets if target.shape is Shape.SERIES):
        tags = set(Template(alias).get_identifiers())
        for each in (each for each in known if each.ids.keys() == tags):
            called = found.setdefault(Template(alias).substitute(each.ids), [])
            choices = _choices(alias, each)
            if choices not in called:
                called.append(choices)
    sure = {name: called[0] for name, called in found.items() if len(called) == 1}
    taken = Counter(text for choices in sure.values() for text in _texts(choices))
    told = [(name, _unlike_others(choices, taken)) for name, choices in sure.items()]
    return tuple(panels.named(name, title=Label(title, name)) for name, title in told if {*title.values()} != {name})


def _choices(alias: str, known: _Known) -> tuple[_Names, ...]:
    """By language, the shortest first: a unit's name says enough beside its line's, as long as no other has it."""
    short = (f"${_UNIT}",) if alias == f"${_LINE} / ${_UNIT}" and known.names.get(_UNIT) else ()
    texts = (Template(text) for text in (*short, alias))
    told = ({language: text.substitute(_called(known, language)) for language in LANGUAGES} for text in texts)
    return (*told, dict.fromkeys(LANGUAGES, Template(alias).substitute(known.ids)))


def _called(known: _Known, language: str) -> dict[str, str]:
    return {tag: words(language).label(known.names.get(tag, {}), own) for tag, own in known.ids.items()}


def _texts(choices: tuple[_Names, ...]) -> set[tuple[str, str]]:
    return {each for choice in choices for each in choice.items()}


def _unlike_others(choices: tuple[_Names, ...], taken: Counter[tuple[str, str]]) -> _Names:
    """The first that nobody else could have in any language; at last the ids."""
    return next((choice for choice in choices if all(taken[each] == 1 for each in choice.items())), choices[-1])


def _known(plant: Plant) -> Iterator[_Known]:
    """Lines, units and what is measured of them."""
    lines = {
        (site.id, area.id, line.id): line.name
        for site in plant.sites
        for area in site.areas
        for line in area.work_centers
    }
    for own, name in _of_level(plant, "work_center"):
        yield _Known({_LINE: own}, {_LINE: name})
    for unit in plant.units.values():
        path = unit.path
        ids, called = {_UNIT: path.work_unit}, {_UNIT: unit.name}
        yield _Known(ids, called)
        line = lines.get((path.site, path.area, path.work_center), {})
        yield _Known({_LINE: path.work_center, **ids}, {_LINE: line, **called})
        for each in unit.characteristics:
            measured = _Known({**ids, _MEASURED: each.tag}, {**called, _MEASURED: each.name})
            yield measured
            for line_of in CHART_LINES.values():
                yield _Known({**measured.ids, "col": line_of}, measured.names)
