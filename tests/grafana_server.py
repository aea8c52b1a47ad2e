"""A small server that answers as Grafana's documented HTTP API does, for tests where no Grafana can be had.

It keeps what it is given, counts versions, adds what the real one adds, hides secrets and refuses what the real one
refuses. ``tests/integration/test_grafana_push.py`` runs on a real server when one is named: that proves this one.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Json = dict[str, Any]
CORE = ("influxdb", "stat", "gauge", "timeseries", "barchart", "bargauge", "table", "state-timeline", "text")
HIDDEN = "[REDACTED]"
SECRET_SETTINGS = frozenset({"bottoken", "password", "authorization_credentials"})


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class GrafanaServer:
    """What it holds. ``calls`` are the writes, as ``METHOD path``."""

    token: str
    version: str = "11.6.0"
    plugins: tuple[str, ...] = CORE
    role: str = "Admin"
    from_files: set[str] = field(default_factory=set)
    """Uids of boards that files provision."""
    folders: dict[str, Json] = field(default_factory=dict)
    sources: dict[str, Json] = field(default_factory=dict)
    passwords: dict[str, Json] = field(default_factory=dict)
    boards: dict[str, Json] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, method: str, path: str, body: Any) -> Any:
        routes: list[tuple[str, str, Callable[..., Any]]] = [
            ("GET", "plugins", lambda _: [{"id": each, "type": "panel"} for each in self.plugins]),
            ("GET", "folders/*", self.folder),
            ("POST", "folders", self.new_folder),
            ("PUT", "folders/*", self.changed_folder),
            ("GET", "datasources/uid/*", self.source),
            ("POST", "datasources", self.new_source),
            ("PUT", "datasources/uid/*", self.changed_source),
            ("GET", "dashboards/uid/*", self.board),
            ("POST", "dashboards/db", self.saved_board),
        ]
        parts = path.split("/")
        for verb, pattern, function in routes:
            wanted = pattern.split("/")
            if verb == method and len(wanted) == len(parts):
                stars = [part for part, want in zip(parts, wanted, strict=True) if want == "*"]
                if all(want in ("*", part) for part, want in zip(parts, wanted, strict=True)):
                    if method != "GET":
                        self.may_write(method, path)
                    return function(*map(unquote, stars), body)
        raise Refused(404, "Not found")

    def may_write(self, method: str, path: str) -> None:
        if self.role == "Viewer":
            raise Refused(403, "You'll need additional permissions to perform this action. Permissions needed: any")
        self.calls.append(f"{method} {path}")

    # -------------------------------------------------------- folders

    def folder(self, uid: str, _: Any) -> Json:
        if uid not in self.folders:
            raise Refused(404, "folder not found")
        return self.folders[uid]

    def new_folder(self, body: Json) -> Json:
        if any(each["title"] == body["title"] for each in self.folders.values()):
            raise Refused(409, "a folder with the same name already exists")
        self.folders[body["uid"]] = {
            "id": len(self.folders) + 1,
            "uid": body["uid"],
            "title": body["title"],
            "version": 1,
        }
        return self.folders[body["uid"]]

    def changed_folder(self, uid: str, body: Json) -> Json:
        folder = self.folder(uid, None)
        if not body.get("overwrite") and body.get("version") != folder["version"]:
            raise Refused(412, "the folder has been changed by someone else")
        folder.update(title=body["title"], version=folder["version"] + 1)
        return folder

    # -------------------------------------------------------- data sources

    def source(self, uid: str, _: Any) -> Json:
        if uid not in self.sources:
            raise Refused(404, "Data source not found")
        return self.sources[uid]

    def new_source(self, body: Json) -> Json:
        if any(each["name"] == body["name"] for each in self.sources.values()):
            raise Refused(409, "data source with the same name already exists")
        return self._keep(body["uid"], body, 1)

    def changed_source(self, uid: str, body: Json) -> Json:
        self.source(uid, None)
        return self._keep(uid, body, body.get("version", 0) + 1)

    def _keep(self, uid: str, body: Json, version: int) -> Json:
        if body["type"] not in self.plugins:
            raise Refused(400, f"plugin {body['type']} not found")
        secrets = body.get("secureJsonData", {})
        self.passwords.setdefault(uid, {}).update(secrets)
        told = {key: value for key, value in body.items() if key != "secureJsonData"}
        fields = dict.fromkeys(self.passwords[uid], True)
        self.sources[uid] = {**told, "id": 1, "orgId": 1, "version": version, "secureJsonFields": fields}
        return {"datasource": self.sources[uid], "id": 1, "message": "Datasource saved", "name": body["name"]}

    # -------------------------------------------------------- boards

    def board(self, uid: str, _: Any) -> Json:
        if uid not in self.boards:
            raise Refused(404, "Dashboard not found")
        return self.boards[uid]

    def saved_board(self, body: Json) -> Json:
        board, uid = body["dashboard"], body["dashboard"]["uid"]
        if uid in self.from_files:
            raise Refused(400, "Cannot save provisioned dashboard")
        if body["folderUid"] not in self.folders:
            raise Refused(400, "folder not found")
        before = self.boards.get(uid, {"dashboard": {"version": 0, "id": len(self.boards) + 1}})["dashboard"]
        if not body.get("overwrite") and board.get("version") != before["version"]:
            raise Refused(412, "The dashboard has been changed by someone else")
        kept = {**board, "id": before["id"], "version": before["version"] + 1}
        self.boards[uid] = {"dashboard": kept, "meta": {"folderUid": body["folderUid"], "slug": uid}}
        return {"id": kept["id"], "uid": uid, "status": "success", "version": kept["version"]}


@contextmanager
def running(server: GrafanaServer, prefix: str = "") -> Iterator[GrafanaServer]:
    """The server on a free port of loopback, under a path prefix."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def _answered(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length) or b"null")
            path = urlsplit(self.path).path.removeprefix(f"{prefix}/api/").rstrip("/")
            try:
                status, told = 200, self._told(path, body)
            except Refused as fault:
                status, told = fault.status, {"message": fault.message}
            answer = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _told(self, path: str, body: Any) -> Any:
            if not urlsplit(self.path).path.startswith(f"{prefix}/api/"):
                raise Refused(404, "Not found")
            if path == "health":
                return {"commit": "0", "database": "ok", "version": server.version}
            if self.headers.get("Authorization") != f"Bearer {server.token}":
                raise Refused(401, "Invalid API key")
            return server.answer(self.command, path, body)

        do_GET = do_POST = do_PUT = do_DELETE = _answered  # noqa: N815 - the library's names

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    server.url = f"http://127.0.0.1:{listening.server_port}{prefix}"
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
