"""Loading a plant with its device templates: the checks that need both."""

from pathlib import Path

from devices.library import load as load_template
from kpi.guidelines.sources import SOURCES
from shopfloor.errors import PlantError
from shopfloor.plant import Plant, WorkUnit
from shopfloor.plant_file import load
from shopfloor.tag import TagKind
from simulators.parameters import parameters_of


def template_tags(name: str) -> dict[str, TagKind]:
    """The tags of a template and their kinds; raises PlantError for an unknown or broken one."""
    return {tag.spec.name: tag.spec.kind for tag in load_template(name).tags}


def load_plant(path: Path) -> Plant:
    """A plant whose references into the template library hold; raises PlantError with all problems."""
    plant = load(path, template_tags, SOURCES)
    problems = [f"{path}: {problem}" for unit in plant.units.values() for problem in _simulation_problems(unit)]
    if problems:
        raise PlantError(problems)
    return plant


def _simulation_problems(unit: WorkUnit) -> list[str]:
    try:
        parameters_of(unit)
    except PlantError as fault:
        return fault.problems
    return []
