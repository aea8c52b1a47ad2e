"""KPIs -> panels: who is let in. Loopback only, unless an API key is configured; then the key, from wherever."""

import ipaddress
from collections.abc import Mapping
from hmac import compare_digest
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from kpi_api.problems import Refused, refusal

KEY_VARIABLE = "SHOPFLOOR_API_KEY"
"""Environment variable of the key."""
KEY_HEADER = "X-API-Key"
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
OPEN_WITH_KEY = ("/health/", "/static/")
"""Paths without data of the plant: open to all when a key is configured, for probes and the page that asks for it."""
OPEN_PAGES = ("/", "/docs", "/openapi.json")


def key_from(environment: Mapping[str, str]) -> str | None:
    """The configured key; an empty variable is no key."""
    return environment.get(KEY_VARIABLE) or None


def admit(scope: Scope, key: str | None) -> None:
    """Raise Refused unless the request may be answered."""
    headers = Headers(scope=scope)
    if key is None:
        _admit_loopback(scope, headers)
    elif not _is_open(scope["path"]) and not _is_key(headers.get(KEY_HEADER, ""), key):
        raise Refused(
            HTTPStatus.UNAUTHORIZED, "the API key is missing or wrong", f"send the key in the header {KEY_HEADER}"
        )


def _is_key(given: str, key: str) -> bool:
    return compare_digest(given.encode("latin-1"), key.encode())  # header bytes reach us decoded as Latin-1


def _is_open(path: str) -> bool:
    return path in OPEN_PAGES or path.startswith(OPEN_WITH_KEY)


def _admit_loopback(scope: Scope, headers: Headers) -> None:
    """A proxy on this host and a name that an attacker points here (DNS rebinding) look like loopback: refuse both."""
    client = scope.get("client")
    near = client is not None and _is_loopback(client[0])
    named = _is_loopback(_host_name(headers.get("host", "")))
    if not near or not named or any(name in headers for name in FORWARDED):
        raise Refused(
            HTTPStatus.FORBIDDEN,
            "without an API key only this machine itself is answered",
            f"set {KEY_VARIABLE} for the service and send it in the header {KEY_HEADER}",
        )


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class AccessGate:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, key: str | None) -> None:
        self._app = app
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                admit(scope, self._key)
            except Refused as refused:
                await refusal(refused, scope["path"])(scope, receive, send)
                return
        await self._app(scope, receive, send)
