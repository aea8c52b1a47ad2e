"""What the devices of a plant tell, by their templates: what no device tells, no board can show.

Beside the panels of registers -> samples -> messages -> points -> facts -> KPIs -> panels. Pure.
"""

from collections.abc import Iterable

from devices.library import load as load_template
from shopfloor.plant import WorkUnit
from shopfloor.tag import TagKind


def tags_of(units: Iterable[WorkUnit], kind: TagKind) -> dict[str, str]:
    """Names and units of the tags of a kind, of these units' devices."""
    templates = sorted({unit.device.template for unit in units})
    specs = [tag.spec for template in templates for tag in load_template(template).tags]
    return {spec.name: spec.unit for spec in specs if spec.kind is kind}
