"""The demo's broker for *messages*: mosquitto as a child process when it is installed, else amqtt in this process.

Either listens on loopback alone, knows generated users only and lets each agent write under its own name and read its
own receipts. Real plants run a broker of their own; any MQTT 3.1.1 broker does.
"""

import json
import secrets
import socket
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from messaging import mosquitto
from messaging.access import BrokerAccess
from messaging.rights import INGEST, Rights, rights_of
from shopfloor.errors import ServiceUnavailable
from shopfloor.plant import Plant

Kind = Literal["mosquitto", "amqtt"]


class BrokerProcess(Protocol):
    """A broker that runs."""

    async def stop(self) -> None:
        """End it; a second call does nothing."""
        ...


class RunningBroker:
    """A broker that was started here, with its generated users."""

    def __init__(self, kind: Kind, port: int, passwords: Mapping[str, str], process: BrokerProcess) -> None:
        self.kind = kind
        self.port = port
        self.process = process
        self._passwords = passwords

    def access_for(self, user: str) -> BrokerAccess:
        """The access of an agent (user = its id) or of ``INGEST``."""
        if user not in self._passwords:
            raise ServiceUnavailable(f"the broker has no user {user!r}; it has {', '.join(self._passwords)}")
        return BrokerAccess(f"mqtt://127.0.0.1:{self.port}", user, self._passwords[user])

    async def stop(self) -> None:
        """End the broker; a second call does nothing."""
        await self.process.stop()


async def start_broker(
    folder: Path, agents: Plant | Sequence[str], *, port: int | None = None, kind: Kind | None = None
) -> RunningBroker:
    """Start a broker that keeps its files in ``folder`` and knows ``agents``; passwords survive a restart.

    A plant's agents write for their own units only. ``port`` None takes a free one, ``kind`` None takes what is
    installed. Raises ServiceUnavailable.
    """
    if INGEST in (agents.agents if isinstance(agents, Plant) else agents):
        raise ServiceUnavailable(f"an agent cannot be named {INGEST!r} at this broker; rename it in the plant file")
    rights = rights_of(agents)
    passwords = _passwords(folder, rights)
    port = free_port() if port is None else port
    kind = kind or ("mosquitto" if mosquitto.find() else "amqtt")
    process = await _start(kind, folder, port, rights, passwords)
    return RunningBroker(kind, port, passwords, process)


async def _start(
    kind: Kind, folder: Path, port: int, rights: Mapping[str, Rights], passwords: Mapping[str, str]
) -> BrokerProcess:
    if kind == "mosquitto":
        return await mosquitto.start(folder, port, rights, passwords)
    try:
        from messaging import amqtt_broker  # an optional dependency
    except ImportError:
        raise ServiceUnavailable("neither mosquitto nor amqtt is installed; install one, or name a broker") from None
    return await amqtt_broker.start(port, rights, passwords)


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _passwords(folder: Path, users: Iterable[str]) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "passwords.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    passwords = {user: known.get(user) or secrets.token_urlsafe(24) for user in users}
    file.touch(mode=0o600)
    file.write_text(json.dumps(passwords, indent=1))
    return passwords
