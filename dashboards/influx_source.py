"""The data source of boards, asked as Grafana's InfluxDB data source asks it: InfluxQL on ``/query``, times in ms.

Beside the panels of registers -> samples -> messages -> points -> facts -> KPIs -> panels, for ``verify``.
"""

from http import HTTPStatus
from typing import Final

from dashboards.answers import Answer, read_answer
from historian.influx import InfluxHistorian
from historian.influx_access import InfluxAccess
from historian.influx_answers import fault
from historian.influx_http import InfluxServer

PATIENCE_S: Final = 60.0
"""How long one answer is waited for: longer than anybody looks at a panel."""
_REFUSED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class InfluxSource:
    """A database that boards ask. Not for several threads."""

    def __init__(self, access: InfluxAccess) -> None:
        """Raises ServiceUnavailable or Backpressure, in one line, when boards could not ask anything there."""
        probe = InfluxHistorian(access)
        try:
            probe.check()
        finally:
            probe.close()
        self._server = InfluxServer(access)

    def ask(self, query: str) -> Answer:
        """The answer to one query; raises ServerFault when the server is away or lets us in no more."""
        place = {"db": self._server.access.database, "epoch": "ms", "q": query}
        found = self._server.ask("GET", "/query", place, patience_s=PATIENCE_S)
        if found.status in _REFUSED:
            raise fault(self._server.access, found.status, found.headers, found.words)
        answer = read_answer(found.body)
        if found.status != HTTPStatus.OK and answer.error is None:
            return Answer(error=f"{found.status}: {found.words}")
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._server.close()
