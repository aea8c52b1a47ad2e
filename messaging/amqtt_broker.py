"""amqtt inside this process: carries *messages* in the demo where no mosquitto is installed.

Good enough as transport; it redelivers nothing after a reconnect, so everything rests on the agents' outboxes.
"""

import asyncio
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from amqtt.broker import Broker  # type: ignore[import-untyped]
from amqtt.contexts import Action, BrokerConfig, ListenerConfig  # type: ignore[import-untyped]
from amqtt.errors import BrokerError  # type: ignore[import-untyped]
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin  # type: ignore[import-untyped]
from amqtt.session import Session  # type: ignore[import-untyped]

from messaging.rights import Rights
from shopfloor.errors import ServiceUnavailable


def fits(topic: str, allowed: str) -> bool:
    """Whether a topic (or a filter that somebody subscribes to) lies within an allowed filter with ``+`` and ``#``."""
    asked, granted = topic.split("/"), allowed.split("/")
    if granted[-1] == "#":
        granted = granted[:-1]
        asked = asked[: len(granted)]
    return len(asked) == len(granted) and all(own in ("+", part) for part, own in zip(asked, granted, strict=True))


class Users(BaseAuthPlugin):  # type: ignore[misc]
    """Lets in the generated users only."""

    @dataclass
    class Config:
        """Password by user."""

        passwords: dict[str, str] = field(default_factory=dict)

    async def authenticate(self, *, session: Session) -> bool:
        known = self.config.passwords.get(session.username or "", "")
        return bool(known) and hmac.compare_digest(known.encode(), (session.password or "").encode())


class Access(BaseTopicPlugin):  # type: ignore[misc]
    """Grants the rights of each user. What is published without right is dropped."""

    @dataclass
    class Config:
        """Topic filters by user."""

        write: dict[str, list[str]] = field(default_factory=dict)
        read: dict[str, list[str]] = field(default_factory=dict)

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        granted: dict[str, list[str]] = self.config.write if action is Action.PUBLISH else self.config.read
        user = (session.username if session else None) or ""
        return any(fits(topic or "", allowed) for allowed in granted.get(user, ()))


class AmqttBroker:
    """The broker in this event loop."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._running = True

    async def stop(self) -> None:
        """End it; a second call does nothing."""
        if self._running:
            self._running = False
            await self._broker.shutdown()


async def start(port: int, rights: Mapping[str, Rights], passwords: Mapping[str, str]) -> AmqttBroker:
    """Start it on loopback; raises ServiceUnavailable."""
    plugins: dict[str, Any] = {
        f"{__name__}.{Users.__name__}": {"passwords": dict(passwords)},
        f"{__name__}.{Access.__name__}": {
            "write": {user: list(own.write) for user, own in rights.items()},
            "read": {user: list(own.read) for user, own in rights.items()},
        },
    }
    config = BrokerConfig(listeners={"default": ListenerConfig(bind=f"127.0.0.1:{port}")}, plugins=plugins)
    broker = Broker(config, loop=asyncio.get_running_loop())
    try:
        await broker.start()
    except BrokerError as fault:
        raise ServiceUnavailable(f"amqtt does not start on port {port}: {fault}") from None
    return AmqttBroker(broker)
