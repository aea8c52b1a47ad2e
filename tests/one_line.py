"""The text of a plant of one line, for tests that need no more of a plant."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

LINE = "site/area/line"


def one_line(
    units: Mapping[str, Mapping[str, Any]], agents: Mapping[str, Sequence[str]], **more: Mapping[str, Any]
) -> str:
    """A plant file: work unit -> what it says beside its id, agent -> patterns of units, and ``more`` sections."""
    work_units = [{"id": unit, **told} for unit, told in units.items()]
    line = {"id": "line", "work_units": work_units}
    site = {"timezone": "Asia/Jakarta", "calendar": "always", "areas": [{"id": "area", "work_centers": [line]}]}
    plant = {
        "enterprise": "works",
        **more,
        "calendars": {"always": {"shifts": {"day": "00:00-24:00"}}},
        "sites": [{"id": "site", **site}],
        "agents": {agent: {"units": list(own)} for agent, own in agents.items()},
    }
    return yaml.safe_dump(plant, sort_keys=False)
