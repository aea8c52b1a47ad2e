"""KPIs -> panels: what a question is about: units by path or pattern, or one place with all that stands in it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from shopfloor.plant import Area, Labels, Plant, Site, WorkCenter, WorkUnit

_ALL = frozenset({"", "*"})


@dataclass(frozen=True, slots=True)
class Place:
    """A line, area, site or the enterprise: its KPIs are rolled up from its lines."""

    path: str
    """``site``, ``site/area``, ``site/area/work_center``, or the enterprise's id."""
    name: Labels
    lines: tuple[WorkCenter, ...]
    targets: dict[str, float]

    @property
    def units(self) -> list[WorkUnit]:
        """Every unit of the place, meters too."""
        return [unit for line in self.lines for unit in line.units]

    @property
    def machines(self) -> list[WorkUnit]:
        """The units whose time counts; of a place without machines its meters."""
        found = [unit for unit in self.units if unit.is_machine]
        return found or self.units


def place_of(plant: Plant, pattern: str) -> Place | None:
    """The place that a path of fewer than four levels names; None for a unit's path or a pattern.

    A site goes before an enterprise of the same id.
    """
    path = pattern.strip("/")
    if path in _ALL:
        return None
    found = next((place for place in _places(plant) if place.path == path), None)
    if found is None and path == plant.enterprise:
        return _whole(plant)
    return found


def site_of(plant: Plant, site: str) -> Place | None:
    """The site with an id, as a place."""
    return next((place for place in _places(plant) if place.path == site), None) if "/" not in site else None


def enterprise_of(plant: Plant) -> Place:
    """All sites as one place."""
    return _whole(plant)


def places_over(plant: Plant, unit: str) -> list[Place]:
    """The line, the area, the site and the enterprise of a unit."""
    ids = unit.split("/")
    over = {"/".join(ids[:count]) for count in (1, 2, 3)}
    found = [place for place in _places(plant) if place.path in over]
    return [*sorted(found, key=lambda place: -len(place.path)), _whole(plant)]


def _whole(plant: Plant) -> Place:
    lines = tuple(line for site in plant.sites for line in _lines(site.areas))
    return Place(plant.enterprise, {plant.language: plant.enterprise}, lines, {})


def _places(plant: Plant) -> Iterator[Place]:
    for site in plant.sites:
        yield _place(site.id, site, _lines(site.areas))
        for area in site.areas:
            yield _place(f"{site.id}/{area.id}", area, area.work_centers)
            for line in area.work_centers:
                yield _place(f"{site.id}/{area.id}/{line.id}", line, (line,))


def _place(path: str, what: Site | Area | WorkCenter, lines: tuple[WorkCenter, ...]) -> Place:
    return Place(path, what.name, lines, dict(what.targets))


def _lines(areas: tuple[Area, ...]) -> tuple[WorkCenter, ...]:
    return tuple(line for area in areas for line in area.work_centers)
