"""How to reach an InfluxDB: address, database, and who we are there. Secrets come from the environment, never a URL.

Under the store of *points* (registers -> samples -> messages -> points -> facts -> KPIs -> panels).
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from shopfloor.errors import ServiceUnavailable

SCHEMES: Final = ("http", "https")
_EXAMPLE: Final = "http://host:8086/DATABASE"
_DATABASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SECRET = re.compile(r"[\x21-\x7e]+")
_GZIP: Final = {"on": True, "off": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluxAccess:
    """A database on a server. ``str`` of it tells address and database and no secret."""

    base: str
    """``http[s]://host:port``, without the database."""
    database: str
    gzip: bool = False
    """Whether bodies are compressed: worth it on slow links only."""
    token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    org: str | None = None
    ca: str | None = None
    """File with the certificates of those who vouch for the server; None: the system's."""

    def __str__(self) -> str:
        return f"{self.base}/{self.database}"

    @property
    def remote(self) -> bool:
        """Whether what is sent leaves this machine."""
        return not _loopback(urlsplit(self.base).hostname or "")

    @classmethod
    def of(cls, url: str, environment: Mapping[str, str] = os.environ) -> "InfluxAccess":
        """``http[s]://host:port/DATABASE[?gzip=on|off]`` with the secrets of ``SHOPFLOOR_HISTORIAN_*``.

        ``_TOKEN`` (2.x, 3.x), or ``_USERNAME`` and ``_PASSWORD`` (1.x); ``_ORG`` (2.x); ``_CA``. Raises
        ServiceUnavailable with one line that says what to write.
        """
        parts = _parts(url)
        prefix, _, database = parts.path.rstrip("/").rpartition("/")
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        base = f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{prefix}"
        if not _DATABASE.fullmatch(database):
            raise ServiceUnavailable(
                f"the historian's URL {base} names no database; write {_EXAMPLE}, letters, digits, - and _"
            )
        return cls(
            base=base,
            database=database,
            gzip=_gzip(parts),
            token=_secret(environment, "TOKEN"),
            username=environment.get("SHOPFLOOR_HISTORIAN_USERNAME") or None,
            password=environment.get("SHOPFLOOR_HISTORIAN_PASSWORD") or None,
            org=environment.get("SHOPFLOOR_HISTORIAN_ORG") or None,
            ca=environment.get("SHOPFLOOR_HISTORIAN_CA") or None,
        )


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in SCHEMES and parts.hostname and (parts.port or 1)
    except ValueError:
        known = False
    if not known:  # what is wrong may hold a password: never print it
        raise ServiceUnavailable(f"the historian's URL cannot be read; write {_EXAMPLE}")
    if parts.username is not None or parts.password is not None:
        raise ServiceUnavailable(
            "the historian's URL holds a user or password; set SHOPFLOOR_HISTORIAN_TOKEN, or "
            "SHOPFLOOR_HISTORIAN_USERNAME and SHOPFLOOR_HISTORIAN_PASSWORD, instead"
        )
    return parts


def _gzip(parts: SplitResult) -> bool:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(options.keys() - {"gzip"}):
        raise ServiceUnavailable(
            f"the historian's URL has an unknown option {unknown[0]!r}; it may have gzip=on or off"
        )
    given = options.get("gzip")
    if given is None:
        return not _loopback(parts.hostname or "")
    if given not in _GZIP:
        raise ServiceUnavailable("the historian's URL says neither gzip=on nor gzip=off")
    return _GZIP[given]


def _secret(environment: Mapping[str, str], name: str) -> str | None:
    given = environment.get(f"SHOPFLOOR_HISTORIAN_{name}", "").strip()
    if given and not _SECRET.fullmatch(given):
        raise ServiceUnavailable(f"SHOPFLOOR_HISTORIAN_{name} holds characters that no token has; copy it again")
    return given or None


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
