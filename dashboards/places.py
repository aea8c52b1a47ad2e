"""How units and the places above them look on panels: by the names that the plant file gives them."""

from string import Template

from dashboards import panels, theme
from dashboards.board import Label, Link, Override
from dashboards.queries import LEVELS
from shopfloor.plant import Plant


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


def series(plant: Plant, alias: str) -> tuple[Override, ...]:
    """Series that an alias as ``$tag_work_center / $tag_work_unit`` named by ids, by the names of their units."""
    return tuple(
        panels.named(
            Template(alias).substitute(tag_work_center=unit.path.work_center, tag_work_unit=unit.path.work_unit),
            title=Label(unit.name, unit.path.work_unit),
        )
        for unit in plant.units.values()
        if unit.is_machine and unit.name
    )
