"""A server that misbehaves as real ones do: busy, cut off, slow, choosy. Real HTTP on loopback, scripted answers."""

import gc
import gzip
import json
import logging
import ssl
import subprocess
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from historian import influx
from historian.connect import connect
from historian.influx import InfluxHistorian
from historian.influx_access import InfluxAccess
from historian.influx_names import KEPT, RAW
from historian.point import Point, Query
from shopfloor.errors import Backpressure, ServiceUnavailable

UNIT = {"enterprise": "acme", "site": "s", "area": "a", "work_center": "line-1", "work_unit": "cnc-01"}
NOON = 1_790_000_000_000
NOTHING = b'{"results":[{"statement_id":0}]}\n'


@dataclass
class Reply:
    status: int = 204
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    """Only so many bytes of the body go out before the connection is cut."""
    wait: threading.Event | None = None
    """The answer waits for it."""


@dataclass
class Request:
    path: str
    fields: dict[str, str]
    headers: dict[str, str]
    body: bytes
    port: int
    """The client's: tells connections apart."""

    @property
    def lines(self) -> list[bytes]:
        return self.body.split(b"\n")


class Server:
    """Answers as ``script`` says, and keeps what it was asked."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.script: Callable[[Request], Reply] = lambda request: Reply(200, NOTHING)
        self.requests: list[Request] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                fields = parse_qs(parts.query) | (parse_qs(body.decode()) if parts.path == "/query" else {})
                request = Request(
                    parts.path, {k: v[0] for k, v in fields.items()}, dict(self.headers), body, self.client_address[1]
                )
                outer.requests.append(request)
                self.answer(outer.script(request))

            def answer(self, reply: Reply) -> None:
                if reply.wait is not None:
                    reply.wait.wait(20)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.status != 204 and "Transfer-Encoding" not in reply.headers:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                with suppress(ConnectionError):
                    self.wfile.write(reply.body[: reply.sent])
                if reply.sent is not None:
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self._scheme = "http" if tls is None else "https"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._http.server_address[1]}/ceper"

    def writes(self) -> list[Request]:
        return [request for request in self.requests if request.path == "/write"]

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def historian(server: Server) -> Iterator[InfluxHistorian]:
    store = InfluxHistorian(InfluxAccess.of(server.url, {}), patience_s=20.0)
    yield store
    store.close()


def on_write(answer: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
    return lambda request: answer(request) if request.path == "/write" else Reply(200, NOTHING)


def sample(n: int, **fields: float | str) -> Point:
    return Point("samples", UNIT, NOON + n, fields or {"x_n": float(n)})


def dirty() -> Point:
    return Point("dirty", {**UNIT, "origin": "ingest"}, NOON, {"from": 0.0, "to": 1.0, "done": 0.0})


def refusal(words: str, status: int = 400) -> Reply:
    return Reply(status, json.dumps({"error": words}).encode())


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [(429, {"Retry-After": "7"}, 7.0), (503, {"Retry-After": "0"}, 0.0), (500, {}, 1.0)],
)
def test_a_busy_server_is_waited_for_as_it_asks(
    server: Server, historian: InfluxHistorian, status: int, headers: dict[str, str], seconds: float
) -> None:
    server.script = lambda request: Reply(status, b'{"error":"busy"}', headers)
    for work in (lambda: historian.write([sample(1)]), lambda: historian.read(Query("samples"))):
        with pytest.raises(Backpressure, match="busy") as fault:
            work()
        assert fault.value.retry_after_s == seconds


@pytest.mark.parametrize("trouble", ["is away", "is busy", "cuts its answers short"])
def test_a_failure_leaves_nothing_for_the_collector(server: Server, historian: InfluxHistorian, trouble: str) -> None:
    """What hangs in a circle with an error, as a body of lines may, would stay until the next look at everything."""
    if trouble == "is busy":
        server.script = lambda request: Reply(503, b'{"error":"busy"}')
    elif trouble == "cuts its answers short":
        server.script = lambda request: Reply(200, NOTHING, sent=4)
    else:
        server.close()

    def ask() -> None:
        for work in (lambda: historian.write([dirty(), sample(1)]), lambda: historian.read(Query("samples"))):
            with suppress(Backpressure):
                work()

    def tied() -> int:
        return sum(isinstance(each, types.FrameType) for each in gc.get_objects())

    ask()
    gc.collect()
    gc.disable()
    try:
        before = tied()
        for _ in range(5):
            ask()
        assert tied() <= before
    finally:
        gc.enable()


def test_dirty_intervals_are_durable_when_the_rest_is_refused(server: Server, historian: InfluxHistorian) -> None:
    server.script = on_write(lambda request: Reply(204 if request.fields["rp"] == KEPT else 503))
    report = historian.write([sample(1), dirty(), sample(2)])
    assert (report.accepted, report.rejected, report.kept(3)) == ({1}, {}, [0, 2])


def test_nothing_goes_out_before_the_dirty_intervals_are_durable(server: Server, historian: InfluxHistorian) -> None:
    server.script = on_write(lambda request: Reply(503))
    with pytest.raises(Backpressure):
        historian.write([sample(1), dirty()])
    assert [request.fields["rp"] for request in server.writes()] == [KEPT]
    server.script = on_write(lambda request: Reply())
    assert historian.write([sample(1), dirty()]).accepted == {0, 1}
    assert [request.fields["rp"] for request in server.writes()[1:]] == [KEPT, RAW]


def test_a_line_that_is_refused_is_found_among_many_and_harms_no_other(
    server: Server, historian: InfluxHistorian
) -> None:
    stored: set[bytes] = set()

    def script(request: Request) -> Reply:
        bad = [line for line in request.lines if b"x_bad" in line]
        stored.update(set(request.lines) - set(bad))
        return refusal(f"partial write: no room for {len(bad)} dropped={len(bad)}") if bad else Reply()

    server.script = on_write(script)
    points = [sample(n) for n in range(1_000)]
    points[137], points[800] = sample(137, x_bad=1.0), sample(800, x_bad=2.0)
    report = historian.write(points)
    assert dict(report.rejected) == dict.fromkeys((137, 800), "partial write: no room for 1 dropped=1")
    assert report.kept(1_000) == []
    assert len(stored) == 998
    assert len(server.writes()) < 50


def test_lines_that_are_refused_together_cost_one_request(server: Server, historian: InfluxHistorian) -> None:
    words = "partial write: points beyond retention policy"
    server.script = on_write(lambda request: refusal(f"{words} dropped={len(request.lines)}", 422))
    report = historian.write([sample(n) for n in range(500)])
    assert len(report.rejected) == 500
    assert report.rejected[7].startswith(words)
    assert len(server.writes()) == 1


def test_a_search_that_would_take_too_long_keeps_the_rest(
    server: Server, historian: InfluxHistorian, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(influx, "MAX_SEARCHES", 40)
    server.script = on_write(
        lambda request: (
            refusal("partial write: odd dropped=1") if any(b"x_odd" in e for e in request.lines) else Reply()
        )
    )
    points = [sample(n, **({"x_odd": 1.0} if n % 2 else {"x_even": 1.0})) for n in range(200)]
    left, rounds = list(range(200)), 0
    while left:
        report = historian.write([points[index] for index in left])
        assert report.accepted
        left = [left[index] for index in report.kept(len(left))]
        rounds += 1
    assert rounds > 5


def test_a_refusal_of_everything_in_unknown_words_rejects_nothing(server: Server, historian: InfluxHistorian) -> None:
    server.script = on_write(lambda request: refusal("moon phase"))
    with pytest.raises(Backpressure, match="moon phase"):
        historian.write([sample(1), sample(2)])


def test_a_refusal_of_one_line_in_unknown_words_rejects_it(server: Server, historian: InfluxHistorian) -> None:
    server.script = on_write(lambda request: refusal("moon phase") if b"x_n=2.0" in request.body else Reply())
    report = historian.write([sample(1), sample(2), sample(3)])
    assert (report.accepted, dict(report.rejected)) == ({0, 2}, {1: "moon phase"})


def test_a_body_that_is_too_large_is_split(server: Server, historian: InfluxHistorian) -> None:
    server.script = on_write(lambda request: refusal("too large", 413) if len(request.body) > 2_000 else Reply())
    points = [sample(n) for n in range(100)]
    points[50] = sample(50, x_a_text="x" * 5_000)
    report = historian.write(points)
    assert dict(report.rejected) == {50: "too large"}
    assert len(report.accepted) == 99


ROW = b"[1790000000000,1.5]"
PIECE = (
    b'{"results":[{"statement_id":0,"series":[{"name":"samples","tags":{},"columns":["time","x_n"],"values":[%b]%b}]%b}]}'
    b"\n"
)
WHOLE = PIECE % (ROW, b"", b"")
MORE = PIECE % (ROW, b',"partial":true', b',"partial":true')
CHUNKED = {"Transfer-Encoding": "chunked"}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, WHOLE, sent=60),
        Reply(200, MORE + WHOLE, sent=len(MORE) + 20),
        Reply(200, MORE),
        Reply(200, PIECE % (ROW, b',"partial":true', b"")),
        Reply(200, WHOLE[:-20]),
        Reply(200, b""),
        Reply(200, b"%x\r\n%b\r\n" % (len(MORE), MORE), CHUNKED, sent=10_000),
        Reply(200, b'{"results":[{"statement_id":0,"error":"query interrupted"}]}'),
        Reply(200, MORE + b'{"results":[{"statement_id":0,"error":"timeout"}]}'),
        Reply(200, b'{"error":"shutting down"}'),
    ],
)
def test_an_answer_that_ends_too_soon_is_no_answer(server: Server, historian: InfluxHistorian, reply: Reply) -> None:
    server.script = lambda request: reply
    for work in (
        lambda: historian.read(Query("samples")),
        lambda: historian.samples("acme", "s/a/line-1/cnc-01", None, None),
    ):
        with pytest.raises(Backpressure):
            work()
    server.script = lambda request: Reply(200, MORE + WHOLE)
    assert len(historian.read(Query("samples"))) == 2


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(server: Server, historian: InfluxHistorian) -> None:
    never = threading.Event()
    server.script = lambda request: Reply(204, wait=never)
    impatient = InfluxHistorian(InfluxAccess.of(server.url, {}), patience_s=0.3)
    for work in (lambda: impatient.write([sample(1)]), lambda: impatient.read(Query("samples"))):
        with pytest.raises(Backpressure, match="does not answer in time"):
            work()
    never.set()
    server.script = on_write(lambda request: Reply())
    assert historian.write([sample(1)]).accepted == {0}
    impatient.close()


def test_a_connection_that_was_closed_meanwhile_is_made_again(server: Server, historian: InfluxHistorian) -> None:
    cut = [True]

    def script(request: Request) -> Reply:
        if cut.pop() if cut else False:
            return Reply(200, b"x" * 100, sent=0)
        return Reply()

    server.script = on_write(lambda request: Reply())
    assert historian.write([sample(1)]).accepted == {0}
    server.script = on_write(script)
    with pytest.raises(Backpressure, match="cannot be reached"):
        historian.write([sample(2)])  # it answered, and the answer was cut: the points are written again
    assert historian.write([sample(2)]).accepted == {0}


def test_a_token_that_was_rotated_keeps_the_data_and_says_so(server: Server) -> None:
    secrets = {"SHOPFLOOR_HISTORIAN_TOKEN": "tok-7"}
    historian = connect(server.url, secrets)
    assert server.requests[0].headers["Authorization"] == "Token tok-7"
    server.script = lambda request: Reply(401, b'{"code":"unauthorized","message":"unauthorized access"}')
    for work in (lambda: historian.write([sample(1)]), lambda: historian.read(Query("samples"))):
        with pytest.raises(Backpressure, match="SHOPFLOOR_HISTORIAN_TOKEN") as fault:
            work()
        assert "tok-7" not in str(fault.value)
    server.script = on_write(lambda request: Reply())
    assert historian.write([sample(1)]).accepted == {0}
    historian.close()


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(401, b'{"error":"authorization failed"}'), "SHOPFLOOR_HISTORIAN_TOKEN"),
        (Reply(403, b'{"error":"not authorized"}'), "the right to read and write"),
        (
            Reply(200, b'{"results":[{"statement_id":0,"error":"database not found: ceper"}]}'),
            "shopfloor historian init",
        ),
        (Reply(200, b"<html>It works!</html>"), "is it an InfluxDB"),
        (Reply(404, b"404 page not found"), "does not look like an InfluxDB"),
        (Reply(307, b"", {"Location": "https://elsewhere.example/"}), "does not look like an InfluxDB"),
    ],
)
def test_at_the_start_a_person_is_told_what_to_do(server: Server, reply: Reply, told: str) -> None:
    server.script = lambda request: reply
    with pytest.raises(ServiceUnavailable, match=told) as fault:
        connect(server.url, {"SHOPFLOOR_HISTORIAN_TOKEN": "tok-7"})
    assert "tok-7" not in str(fault.value)
    assert "\n" not in str(fault.value)


def test_https_to_a_server_without_tls_is_told_at_the_start(server: Server) -> None:
    with pytest.raises(ServiceUnavailable, match="check http:// or https://"):
        connect(server.url.replace("http://", "https://"), {})


def test_a_server_with_tls_is_trusted_by_its_certificate_alone(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run([*made, *subject], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Server(context)
    try:
        with pytest.raises(ServiceUnavailable, match=r"not trusted.*SHOPFLOOR_HISTORIAN_CA"):
            connect(server.url, {})
        historian = connect(server.url, {"SHOPFLOOR_HISTORIAN_CA": str(certificate)})
        server.script = on_write(lambda request: Reply())
        assert historian.write([sample(1)]).accepted == {0}
        historian.close()
    finally:
        server.close()


def test_a_missing_certificate_file_is_told_at_the_start(server: Server) -> None:
    with pytest.raises(ServiceUnavailable, match="SHOPFLOOR_HISTORIAN_CA"):
        connect(server.url.replace("http://", "https://"), {"SHOPFLOOR_HISTORIAN_CA": "/nowhere/ca.pem"})


def test_a_server_that_is_away_at_the_start_is_waited_for(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.script = lambda request: Reply(503)
    with caplog.at_level(logging.INFO, logger="historian"):
        historian = connect(server.url, {})
    assert ["going on" in record.getMessage() for record in caplog.records] == [True]
    server.script = on_write(lambda request: Reply())
    assert historian.write([sample(1)]).accepted == {0}
    historian.close()


def test_bodies_are_compressed_when_asked(server: Server) -> None:
    historian = connect(f"{server.url}?gzip=on", {})
    server.script = on_write(lambda request: Reply())
    assert historian.write([sample(1)]).accepted == {0}
    (write,) = server.writes()
    assert write.headers["Content-Encoding"] == "gzip"
    assert write.body.startswith(b"samples,area=a,")
    historian.close()


def test_one_connection_serves_many_writes(server: Server, historian: InfluxHistorian) -> None:
    server.script = on_write(lambda request: Reply())
    for n in range(20):
        historian.write([sample(n)])
        historian.read(Query("samples"))
    assert len({request.port for request in server.requests}) == 1


def test_after_closing_every_call_fails(server: Server) -> None:
    historian = connect(server.url, {})
    historian.close()
    historian.close()
    for work in (
        lambda: historian.write([sample(1)]),
        lambda: historian.read(Query("samples")),
        lambda: historian.count(Query("samples")),
    ):
        with pytest.raises(ServiceUnavailable, match="closed"):
            work()
