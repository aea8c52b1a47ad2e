"""Open the store of *points* by its URL, for registers -> samples -> messages -> points -> facts -> KPIs -> panels."""

from pathlib import Path

from historian.embedded import EmbeddedHistorian
from historian.historian import Historian
from shopfloor.errors import ServiceUnavailable

EMBEDDED = "embedded"


def connect(url: str) -> Historian:
    """Open ``embedded:///srv/historian`` or a plain folder path; raises ServiceUnavailable for anything else.

    The folder is made when it does not exist; what follows ``embedded://`` is a path, so two slashes and a name are a
    relative one.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = EMBEDDED, url
    if scheme != EMBEDDED:  # the rest of such a URL may hold a password: never print it
        raise ServiceUnavailable(
            f"a historian of kind {scheme!r} is not supported; write embedded:///path/to/folder or a folder's path"
        )
    if not rest:
        raise ServiceUnavailable("the historian's URL names no folder; write embedded:///path/to/folder")
    return EmbeddedHistorian(Path(rest))
