"""The files of a mosquitto that carries *messages*: configuration, users and rights. Pure text.

The demo's broker, the tests and a plant's broker (``shopfloor deploy init``) run what is written here. Known by
measurement of 2.0.11: what the rights or the size limit refuse is acknowledged and dropped in silence; a packet beyond
``max_packet_size`` costs the connection; a password or right that changes is read again at SIGHUP.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from messaging.payload import MAX_CARRIED_BYTES
from messaging.rights import Rights

IN_FLIGHT: Final = 2_000
"""Messages that the broker sends to one client before it waits for an acknowledgement ..."""
IN_FLIGHT_BYTES: Final = 32 * 1024 * 1024
"""... and their bytes. Less than a client takes in unread, so that none is dropped there."""
QUEUED_BYTES: Final = 64 * 1024 * 1024
"""Bytes kept per client that is away or slow; beyond it the broker drops, and the agents send again."""
QUEUED_MESSAGES: Final = 100_000
PACKET_BYTES: Final = 2 * MAX_CARRIED_BYTES
_ITERATIONS: Final = 101  # mosquitto's own number; the passwords are random, not chosen by people

_HEAD: Final = """\
# Broker of the messages between edge agents and ingest. Written by shopfloor: run it again rather than edit this file.
# Nothing here is trusted to keep a message: an agent sends again until the ingest service has confirmed each sample.
"""
_PLAIN: Final = """
# {title}
listener {port} {address}
"""
_TLS: Final = """
# {title}
listener {port}
certfile {certificate}
keyfile {key}
tls_version tlsv1.2
"""
_OWN_NAME: Final = """\
# A client is called by its user, whatever it says: nobody can drive out another by taking its name.
use_username_as_clientid true
"""
_RULES: Final = """
# Who may come in, and what each may write and read. Read again at SIGHUP (systemctl reload mosquitto).
user {user}
allow_anonymous false
password_file {users}
acl_file {acl}

# Nothing rests on the disk: saving what is acknowledged would cost nine tenths of the speed and wear out a flash card,
# and saving now and then would lose the rest all the same. After a restart the agents send what is not confirmed.
persistence false
# A session that nobody came back to frees its queue.
persistent_client_expiration 1h

# What waits for a client that is away or slow, per client. Both limits are numbers: 0 (no limit) has been read as
# "drop everything" by 2.0.2, 2.0.16 and 2.0.21. What is dropped beyond them comes again.
max_queued_messages {queued_messages}
max_queued_bytes {queued_bytes}
max_inflight_messages {in_flight}
max_inflight_bytes {in_flight_bytes}

# Agents send at most {usual} bytes. What is a little longer is refused by the ingest service, which tells and counts
# it; beyond the first limit the broker drops it, beyond the second it hangs up.
message_size_limit {message_bytes}
max_packet_size {packet_bytes}

set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
log_type notice
log_timestamp_format %Y-%m-%dT%H:%M:%S
"""


@dataclass(frozen=True, slots=True)
class Certified:
    """Certificate and key of a TLS listener, as files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Listener:
    """A port: plain on loopback, or TLS on every address."""

    title: str
    port: int
    tls: Certified | None = None
    own_names: bool = False
    """Whether the client id is the user."""


LOOPBACK: Final = "127.0.0.1"


def configuration(listeners: Sequence[Listener], *, user: str, users: Path, acl: Path) -> str:
    """``mosquitto.conf``. ``user`` is the system's user that the broker becomes when root starts it."""
    rules = _RULES.format(
        user=user,
        users=users,
        acl=acl,
        queued_messages=QUEUED_MESSAGES,
        queued_bytes=QUEUED_BYTES,
        in_flight=IN_FLIGHT,
        in_flight_bytes=IN_FLIGHT_BYTES,
        usual=MAX_CARRIED_BYTES // 4,
        message_bytes=MAX_CARRIED_BYTES,
        packet_bytes=PACKET_BYTES,
    )
    return _HEAD + "".join(map(_listener, listeners)) + rules


def _listener(listener: Listener) -> str:
    title, port, tls = listener.title, listener.port, listener.tls
    if tls is None:
        text = _PLAIN.format(title=title, port=port, address=LOOPBACK)
    else:
        text = _TLS.format(title=title, port=port, certificate=tls.certificate, key=tls.key)
    return text + _OWN_NAME if listener.own_names else text


def acl(rights: Mapping[str, Rights]) -> str:
    """The ACL file: what it does not name is refused."""
    return "\n".join(line for user, own in rights.items() for line in _acl(user, own))


def _acl(user: str, own: Rights) -> list[str]:
    write = [f"topic write {topic}" for topic in own.write]
    return [f"user {user}", *write, *(f"topic read {topic}" for topic in own.read), ""]


def password_line(user: str, password: str) -> str:
    """A line of the password file; salted, so never the same twice."""
    return f"{user}:{_hashed(password, secrets.token_bytes(12))}"


def matches(line: str, password: str) -> bool:
    """Whether a line of the password file is of this password."""
    try:
        _, hashed = line.split(":")
        salt = base64.b64decode(hashed.split("$")[3])
    except (ValueError, IndexError):
        return False
    return hmac.compare_digest(hashed, _hashed(password, salt))


def _hashed(password: str, salt: bytes) -> str:
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
