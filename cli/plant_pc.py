"""``.env`` of a plant PC (deploy/compose.yaml): every variable that its services are given. Pure but for chance.

What a person or an earlier run has written stays, above all every secret; only what the run itself knows is set anew.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantPc:
    """What a run of ``deploy init`` knows."""

    version: str
    """Of this release: the image's tag."""
    files: Path
    """The folder of ``deploy init``, absolute."""
    plant: Path
    """The plant file, absolute."""
    owner: int
    """The system's user and group that own the broker's files."""
    group: int
    agent: str
    """The one that may run on the PC itself."""
    api_key: str


CHOICES: Final[Mapping[str, str]] = {
    "COMPOSE_FILE": "compose.yaml",
    "SHOPFLOOR_BIND": "127.0.0.1",
    "SHOPFLOOR_API_PORT": "8080",
    "SHOPFLOOR_GRAFANA_PORT": "3000",
    "SHOPFLOOR_MQTT_BIND": "127.0.0.1",
    "SHOPFLOOR_MQTT_PORT": "8883",
    "SHOPFLOOR_RAW_RETENTION": "400d",
    "SHOPFLOOR_INFLUXDB_DATABASE": "shopfloor",
    "SHOPFLOOR_INFLUXDB_ADMIN_USERNAME": "admin",
    "SHOPFLOOR_HISTORIAN_USERNAME": "shopfloor",
    "SHOPFLOOR_HISTORIAN_READER_USERNAME": "grafana",
    "SHOPFLOOR_HISTORIAN_ORG": "shopfloor",
    "SHOPFLOOR_INFLUXDB2_START": "setup",
}
"""Where a person may choose, and what holds until then."""
SECRETS: Final = (
    "SHOPFLOOR_INFLUXDB_ADMIN_PASSWORD",
    "SHOPFLOOR_HISTORIAN_PASSWORD",
    "SHOPFLOOR_HISTORIAN_READER_PASSWORD",
    "SHOPFLOOR_HISTORIAN_TOKEN",
    "SHOPFLOOR_GRAFANA_PASSWORD",
)


def _secret() -> str:
    return secrets.token_urlsafe(24)


def variables(known: Mapping[str, str], pc: PlantPc, secret: Callable[[], str] = _secret) -> dict[str, str]:
    """All variables, from those that are ``known`` already. An empty secret is none: a new one is made."""
    facts = {
        "SHOPFLOOR_VERSION": pc.version,
        "SHOPFLOOR_FILES": str(pc.files),
        "SHOPFLOOR_PLANT": str(pc.plant),
        "SHOPFLOOR_UID": str(pc.owner),
        "SHOPFLOOR_GID": str(pc.group),
        "SHOPFLOOR_API_KEY": pc.api_key,
    }
    choices = {"SHOPFLOOR_AGENT": pc.agent, **CHOICES}
    kept = {name: known.get(name) or value for name, value in choices.items()}
    return facts | kept | {name: known.get(name) or secret() for name in SECRETS}
