"""How to reach a broker of *messages*: address and who we are there. Secrets come from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit

from shopfloor.errors import ServiceUnavailable

PORTS: Final[Mapping[str, int]] = {"mqtt": 1883, "mqtts": 8883}
"""Default port by URL scheme; ``mqtts`` is TLS."""


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """``mqtt://host[:port]`` or ``mqtts://host[:port]`` with user and password."""

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: str | None = None
    """File with the CA certificates for ``mqtts://``; None: the system's."""

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted and the broker's certificate checked."""
        return urlsplit(self.url).scheme == "mqtts"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port; raises ServiceUnavailable for anything but a broker URL."""
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            raise _no_broker(self.url) from None
        if _names_somebody(parts):
            raise ServiceUnavailable(
                "SHOPFLOOR_MQTT_URL names a user, and everybody can read it; write mqtt://host:1883 and put user and "
                "password into SHOPFLOOR_MQTT_USERNAME and SHOPFLOOR_MQTT_PASSWORD"
            )
        if parts.scheme not in PORTS or not parts.hostname:
            raise _no_broker(self.url)
        return parts.hostname, port or PORTS[parts.scheme]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "BrokerAccess":
        """``SHOPFLOOR_MQTT_URL``, ``_USERNAME``, ``_PASSWORD``, ``_CA``; what is set to nothing counts as not set."""
        url = environment.get("SHOPFLOOR_MQTT_URL") or "mqtt://127.0.0.1"
        names = ("SHOPFLOOR_MQTT_USERNAME", "SHOPFLOOR_MQTT_PASSWORD", "SHOPFLOOR_MQTT_CA")
        return cls(url, *(environment.get(name) or None for name in names))


def _names_somebody(parts: SplitResult) -> bool:
    return parts.username is not None or parts.password is not None


def _no_broker(url: str) -> ServiceUnavailable:
    shown = "SHOPFLOOR_MQTT_URL" if "@" in url else repr(url)  # a password may stand before an @
    return ServiceUnavailable(f"{shown} is not a broker; write mqtt://host:1883 or mqtts://host:8883")
