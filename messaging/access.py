"""How to reach a broker of *messages*: address and who we are there. Secrets come from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from shopfloor.errors import ServiceUnavailable

PORTS: Final[Mapping[str, int]] = {"mqtt": 1883, "mqtts": 8883}
"""Default port by URL scheme; ``mqtts`` is TLS."""


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """``mqtt://host[:port]`` or ``mqtts://host[:port]`` with user and password."""

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted and the broker's certificate checked."""
        return urlsplit(self.url).scheme == "mqtts"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port; raises ServiceUnavailable for anything but a broker URL."""
        try:
            parts = urlsplit(self.url)
            if parts.scheme in PORTS and parts.hostname:
                return parts.hostname, parts.port or PORTS[parts.scheme]
        except ValueError:
            pass
        raise ServiceUnavailable(f"{self.url!r} is not a broker; write mqtt://host:1883 or mqtts://host:8883")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "BrokerAccess":
        """``SHOPFLOOR_MQTT_URL``, ``SHOPFLOOR_MQTT_USERNAME``, ``SHOPFLOOR_MQTT_PASSWORD``."""
        url = environment.get("SHOPFLOOR_MQTT_URL", "mqtt://127.0.0.1")
        return cls(url, environment.get("SHOPFLOOR_MQTT_USERNAME"), environment.get("SHOPFLOOR_MQTT_PASSWORD"))
