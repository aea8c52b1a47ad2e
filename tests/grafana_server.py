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
    templates: dict[str, Json] = field(default_factory=dict)
    contacts: dict[str, Json] = field(default_factory=dict)
    rules: dict[str, Json] = field(default_factory=dict)
    intervals: dict[tuple[str, str], int] = field(default_factory=dict)
    policies: Json = field(default_factory=lambda: {"receiver": "grafana-default-email", "group_by": ["alertname"]})
    calls: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, method: str, path: str, body: Any) -> Any:
        routes: list[tuple[str, str, Callable[..., Any]]] = [
            ("GET", "plugins", lambda _: [{"id": each, "type": "panel"} for each in self.plugins]),
            ("GET", "folders/*", self.folder),
            ("POST", "folders", self.new_folder),
            ("PUT", "folders/*", self.changed_folder),
            ("DELETE", "folders/*", self.gone_folder),
            ("GET", "datasources/uid/*", self.source),
            ("POST", "datasources", self.new_source),
            ("PUT", "datasources/uid/*", self.changed_source),
            ("GET", "dashboards/uid/*", self.board),
            ("POST", "dashboards/db", self.saved_board),
            ("GET", "v1/provisioning/templates/*", self.template),
            ("PUT", "v1/provisioning/templates/*", self.saved_template),
            ("GET", "v1/provisioning/contact-points", lambda _: list(map(redacted, self.contacts.values()))),
            ("POST", "v1/provisioning/contact-points", self.saved_contact),
            ("PUT", "v1/provisioning/contact-points/*", self.changed_contact),
            ("GET", "v1/provisioning/folder/*/rule-groups/*", self.group),
            ("PUT", "v1/provisioning/folder/*/rule-groups/*", self.saved_group),
            ("POST", "v1/provisioning/alert-rules", self.new_rule),
            ("GET", "v1/provisioning/policies", lambda _: self.policies),
            ("PUT", "v1/provisioning/policies", self.saved_policies),
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
            raise Refused(409, "a folder or dashboard in the general folder with the same name already exists")
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

    def gone_folder(self, uid: str, _: Any) -> Json:
        return {"message": f"Folder {self.folder(uid, None)['title']} deleted", "id": self.folders.pop(uid)["id"]}

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

    # -------------------------------------------------------- alerting

    def template(self, name: str, _: Any) -> Json:
        if name not in self.templates:
            raise Refused(404, "")
        return self.templates[name]

    def saved_template(self, name: str, body: Json) -> Json:
        self.templates[name] = {"name": name, "template": body["template"].strip(), "provenance": "api"}
        return self.templates[name]

    def saved_contact(self, body: Json) -> Json:
        needed = {"webhook": "url", "email": "addresses", "telegram": "bottoken"}[body["type"]]
        if not body["settings"].get(needed):
            raise Refused(400, f"could not find {needed} in settings")
        self.contacts[body["uid"]] = {**body, "provenance": "api"}
        return redacted(self.contacts[body["uid"]])

    def changed_contact(self, uid: str, body: Json) -> Json:
        if uid not in self.contacts:
            raise Refused(404, "contact point not found")
        return self.saved_contact(body)

    def group(self, folder: str, name: str, _: Any) -> Json:
        rules = [each for each in self.rules.values() if (each["folderUID"], each["ruleGroup"]) == (folder, name)]
        if not rules:
            raise Refused(404, "rule group not found")
        interval = self.intervals.get((folder, name), 60)
        return {"title": name, "folderUid": folder, "interval": interval, "rules": rules}

    def new_rule(self, body: Json) -> Json:
        if body["folderUID"] not in self.folders:
            raise Refused(400, "folder does not exist")
        same = [each for each in self.rules.values() if each["title"] == body["title"]]
        if same or body["uid"] in self.rules:
            raise Refused(409, "conflicting alert rule found")
        self.rules[body["uid"]] = {**body, "id": len(self.rules) + 1, "provenance": "api"}
        return self.rules[body["uid"]]

    def saved_group(self, folder: str, name: str, body: Json) -> Json:
        before = {uid for uid, each in self.rules.items() if (each["folderUID"], each["ruleGroup"]) == (folder, name)}
        for rule in body["rules"]:
            if rule["uid"] not in before:
                raise Refused(500, f"failed to update rule with UID {rule['uid']} because could not find alert rule")
        for uid in before - {rule["uid"] for rule in body["rules"]}:
            del self.rules[uid]
        for rule in body["rules"]:
            self.rules[rule["uid"]] = {**self.rules[rule["uid"]], **rule}
        self.intervals[folder, name] = body["interval"]
        return body

    def saved_policies(self, body: Json) -> Json:
        known = {"grafana-default-email", *(each["name"] for each in self.contacts.values())}
        if unknown := {each["receiver"] for each in [body, *body.get("routes", [])]} - known:
            raise Refused(400, f"receiver {sorted(unknown)} does not exist")
        self.policies = {**body, "provenance": "api"}
        return {"message": "policies updated"}


def redacted(contact: Json) -> Json:
    settings = {key: HIDDEN if key in SECRET_SETTINGS else value for key, value in contact["settings"].items()}
    return {**contact, "settings": settings}


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
