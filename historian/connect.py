"""Open the store of *points* by its URL, for registers -> samples -> messages -> points -> facts -> KPIs -> panels."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from historian.embedded import EmbeddedHistorian
from historian.historian import Historian
from historian.influx_access import SCHEMES
from shopfloor.errors import Backpressure, ServiceUnavailable

EMBEDDED = "embedded"

log = logging.getLogger(__name__)


def connect(url: str, environment: Mapping[str, str] = os.environ) -> Historian:
    """Open ``embedded:///srv/historian``, a plain folder path, or ``http[s]://host:8086/DATABASE``.

    The folder is made when it does not exist; what follows ``embedded://`` is a path, so two slashes and a name are a
    relative one. The database must be there (``shopfloor historian init``); its secrets come from the environment
    (``InfluxAccess.of``). Raises ServiceUnavailable where a person must act first. A server that is away for now is
    waited for: then every call raises Backpressure until it is back.
    """
    folder = folder_of(url)
    return _influx(url, environment) if folder is None else EmbeddedHistorian(folder)


def folder_of(url: str) -> Path | None:
    """The folder of an embedded store; None for an InfluxDB. Raises ServiceUnavailable for any other URL."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = EMBEDDED, url
    if scheme in SCHEMES:
        return None
    if scheme != EMBEDDED:  # the rest of such a URL may hold a password: never print it
        raise ServiceUnavailable(
            f"a historian of kind {scheme!r} is not supported; write embedded:///path/to/folder, a folder's path, or "
            "http://host:8086/DATABASE"
        )
    if not rest:
        raise ServiceUnavailable("the historian's URL names no folder; write embedded:///path/to/folder")
    return Path(rest)


def _influx(url: str, environment: Mapping[str, str]) -> Historian:
    from historian.influx import InfluxHistorian  # the library takes half a second to load
    from historian.influx_access import InfluxAccess

    historian = InfluxHistorian(InfluxAccess.of(url, environment))
    try:
        historian.check()
    except Backpressure as away:
        log.info("%s; going on, and trying again when there is something to do", away)
    except ServiceUnavailable:
        historian.close()
        raise
    return historian
