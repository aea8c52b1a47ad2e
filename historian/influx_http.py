"""HTTP to an InfluxDB: bodies of lines go out, answers come in. The one module that imports the InfluxDB library.

Under the store of *points* (registers -> samples -> messages -> points -> facts -> KPIs -> panels). The library lends
its connection pool and TLS; its batching is not used, since a batch is bound to its acknowledgement here.
"""

import gzip
import json
import re
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient

from historian.influx_access import InfluxAccess
from historian.influx_answers import ServerFault, fault, words_of, write_fault
from historian.influxql import Document, Series, document
from shopfloor.errors import ServiceUnavailable

CONNECT_S: Final = 5.0
WRITE_S: Final = 30.0
"""How long a server may take to acknowledge a body; 1.x gives up after 10 s itself."""
QUERY_S: Final = 120.0
"""How long it may be silent while it answers a query."""
CONNECTIONS: Final = 32
ROWS_AT_ONCE: Final = 10_000
"""Rows in one piece of an answer, so that neither side holds a long one whole."""
_PIECE: Final = 1 << 20
_GZIP_LEVEL: Final = 1
_WHERE = re.compile(r"^.*?(?:object at 0x[0-9a-f]+>|Connection(?:Pool)?\([^)]*\)): ")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def words(self) -> str:
        """What it says, as one printable line."""
        return words_of(self.body)


class InfluxServer:
    """A server's database by HTTP. Safe to use from several threads; connections are kept alive."""

    def __init__(self, access: InfluxAccess, *, patience_s: float | None = None) -> None:
        """``patience_s`` replaces how long an answer is waited for."""
        self.access = access
        self._patience_s = patience_s
        self._closed = threading.Event()
        self._client = InfluxDBClient(
            url=access.base, token="", ssl_ca_cert=access.ca, connection_pool_maxsize=CONNECTIONS, retries=False
        )  # the token goes into our own headers: it may as well be a user and a password
        self._pool: urllib3.PoolManager = self._client.api_client.rest_client.pool_manager
        self._headers = {"User-Agent": "shopfloor", **_authorization(access)}
        if access.gzip:
            self._headers["Accept-Encoding"] = "gzip"

    def write(self, policy: str, lines: bytes) -> None:
        """Store lines with times in ns; returns when all are durable.

        Raises LinesRefused, TooLarge or Backpressure.
        """
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self.access.gzip:
            lines, headers["Content-Encoding"] = gzip.compress(lines, _GZIP_LEVEL), "gzip"
        place = {"db": self.access.database, "rp": policy, "precision": "ns"}
        found = self.ask("POST", "/write", place, body=lines, headers=headers, patience_s=WRITE_S)
        problem = write_fault(self.access, found.status, found.headers, found.body)
        try:
            if problem is not None:
                raise problem
        finally:
            del problem  # else it holds this frame, and the frame it: lines that only the collector lets go

    def query(self, policy: str, text: str) -> Iterator[tuple[int, Series]]:
        """The series that InfluxQL statements give, with the number of the statement, as they come.

        Raises Backpressure, also for an answer that ends too soon or that the server cuts short.
        """
        place = {"db": self.access.database, "rp": policy, "epoch": "ms", "q": text}
        form = urlencode(place | {"chunked": "true", "chunk_size": str(ROWS_AT_ONCE)})
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        unfinished = True
        with self._asked("POST", "/query", {}, form.encode(), headers, QUERY_S) as response:
            if response.status != HTTPStatus.OK:
                raise fault(self.access, response.status, response.headers, words_of(response.data))
            for text_line in _lines(response):
                found = self._document(text_line)
                unfinished = found.unfinished
                for result in found.results:
                    for series in result.series:
                        yield result.statement_id, series
        if unfinished:
            raise ServerFault(f"the historian {self.access} cut an answer short")

    def ask(
        self,
        method: str,
        path: str,
        fields: Mapping[str, str] | None = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        patience_s: float = WRITE_S,
    ) -> Answer:
        """One request and its answer, whatever its status; raises ServerFault."""
        with self._asked(method, path, fields or {}, body, headers or {}, patience_s) as response:
            return Answer(response.status, response.headers, response.data)

    def ask_json(self, method: str, path: str, fields: Mapping[str, str] | None = None, body: Any = None) -> Answer:
        """The same with a JSON body."""
        sent = None if body is None else json.dumps(body).encode()
        return self.ask(method, path, fields, body=sent, headers={"Content-Type": "application/json"})

    def close(self) -> None:
        """Close the connections; afterwards every call raises ServiceUnavailable."""
        self._closed.set()
        self._pool.clear()

    @contextmanager
    def _asked(
        self,
        method: str,
        path: str,
        fields: Mapping[str, str],
        body: bytes | None,
        headers: Mapping[str, str],
        patience_s: float,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """An answer of which the body is still to be read."""
        if self._closed.is_set():
            raise ServiceUnavailable("the historian is closed")
        url = f"{self.access.base}{path}{'?' if fields else ''}{urlencode(fields)}"
        timeout = urllib3.Timeout(connect=CONNECT_S, read=self._patience_s or patience_s)
        sent = {**self._headers, **headers}
        try:
            response = self._first_answer(method, url, body, sent, timeout)
            with closing(response):
                yield response
                response.drain_conn()
        except urllib3.exceptions.HTTPError as error:
            raise self._unanswered(error) from _released(error)

    def _first_answer(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], timeout: urllib3.Timeout
    ) -> urllib3.BaseHTTPResponse:
        """Ask, and once more where the server had closed the connection that was kept."""
        try:
            return self._pool.request(method, url, body=body, headers=headers, timeout=timeout, preload_content=False)
        except urllib3.exceptions.ProtocolError:
            return self._pool.request(method, url, body=body, headers=headers, timeout=timeout, preload_content=False)

    def _unanswered(self, error: Exception) -> ServerFault:
        where = self.access
        if isinstance(error, urllib3.exceptions.SSLError):
            return ServerFault(
                f"the historian {where} is not trusted or speaks no TLS ({_short(error)}); "
                "check http:// or https:// in SHOPFLOOR_HISTORIAN, and SHOPFLOOR_HISTORIAN_CA",
                final=True,
            )
        if isinstance(error, urllib3.exceptions.ReadTimeoutError):
            return ServerFault(f"the historian {where} does not answer in time")
        return ServerFault(
            f"the historian {where} cannot be reached ({_short(error)}); start it, or correct SHOPFLOOR_HISTORIAN"
        )

    def _document(self, text: bytes) -> Document:
        try:
            found = document(text)
        except msgspec.DecodeError as error:
            told = f"the historian {self.access} gave an answer that cannot be read ({error}); is it an InfluxDB?"
            raise ServerFault(told, final=True) from error
        for said in (found.error, *(result.error for result in found.results)):
            if said:
                raise fault(self.access, HTTPStatus.OK, {}, words_of(said.encode()))
        return found


def _released(error: BaseException) -> BaseException:
    """The error, of which no frame holds a request's body or another error any more: urllib3 ties them in circles."""
    each: BaseException | None = error
    while each is not None:
        traceback.clear_frames(each.__traceback__)
        each = each.__cause__ or each.__context__
    return error


def _authorization(access: InfluxAccess) -> dict[str, str]:
    if access.token:
        return {"Authorization": f"Token {access.token}"}
    if access.username:
        return urllib3.make_headers(basic_auth=f"{access.username}:{access.password or ''}")
    return {}


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The lines of an answer."""
    rest: list[bytes] = []
    for piece in response.stream(_PIECE):
        head, *more = piece.split(b"\n")
        rest.append(head)
        for start in more:
            if line := b"".join(rest).strip():
                yield line
            rest = [start]
    if line := b"".join(rest).strip():
        yield line


def _short(error: Exception) -> str:
    """The cause of an error of the pool, without the addresses of objects."""
    return _WHERE.sub("", str(error.args[-1] if error.args else error))[:200]
