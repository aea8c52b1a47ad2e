"""Loading a plant with its device templates: the checks that need both."""

from pathlib import Path

from devices.library import load as load_template
from kpi.plan import UnitPlan
from shopfloor.plant import DeviceRef, Plant
from shopfloor.plant_file import load
from shopfloor.tag import TagSpec


def template_tags(name: str) -> frozenset[str]:
    """The tags of a template; raises PlantError for an unknown or broken one."""
    return frozenset(tag.spec.name for tag in load_template(name).tags)


def load_plant(path: Path) -> Plant:
    """A plant whose references into the template library hold; raises PlantError with all problems."""
    return load(path, template_tags)


def unit_plans(plant: Plant) -> dict[str, UnitPlan]:
    """Every unit with the tags that its device gives."""
    return {path: UnitPlan(unit, _specs(unit.device)) for path, unit in plant.units.items()}


def _specs(device: DeviceRef) -> dict[str, TagSpec]:
    return {tag.spec.name: tag.spec for tag in load_template(device.template).select(device.tags).tags}
