"""What the derivation must know of each unit: the plant file and the tags of its devices' templates, put together."""

from devices.library import load as load_template
from kpi.plan import UnitPlan
from shopfloor.plant import DeviceRef, Plant
from shopfloor.tag import TagSpec


def unit_plans(plant: Plant) -> dict[str, UnitPlan]:
    """Every unit with the tags that its device gives."""
    return {path: UnitPlan(unit, _specs(unit.device)) for path, unit in plant.units.items()}


def _specs(device: DeviceRef) -> dict[str, TagSpec]:
    return {tag.spec.name: tag.spec for tag in load_template(device.template).select(device.tags).tags}
