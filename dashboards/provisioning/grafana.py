"""A running Grafana through its HTTP API: the only module that knows the client library and the server's faults.

Every fault is a ``GrafanaError`` of one line that says what to do.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from grafana_client import GrafanaApi  # type: ignore[import-untyped]
from grafana_client.client import GrafanaClientError, GrafanaException  # type: ignore[import-untyped]
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import JSONDecodeError, RequestException, SSLError

from dashboards.provisioning.thing import Json, Kind, Thing
from shopfloor.errors import ShopfloorError

OLDEST: Final = (9, 4)
"""The first version whose API knows folders by uid and whole groups of alert rules."""
TIMEOUT_S: Final = 30.0
_NOT_FOUND: Final = 404
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_TAKEN: Final = frozenset({409, 412})


class GrafanaError(ShopfloorError):
    """A Grafana cannot be reached, is too old, or refuses."""


class Grafana:
    """One server and the token that opens it."""

    def __init__(self, url: str, token: str) -> None:
        """``url`` as a browser has it, with the path prefix if there is one. Raises GrafanaError for a wrong one."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise GrafanaError(f"SHOPFLOOR_GRAFANA_URL={url!r} is no address; write http://host:3000")
        if parts.username or parts.password:
            raise GrafanaError("SHOPFLOOR_GRAFANA_URL holds a user; give a token in SHOPFLOOR_GRAFANA_TOKEN instead")
        self.url = url.rstrip("/")
        self._api = GrafanaApi.from_url(f"{self.url}/" if parts.path.strip("/") else self.url, token, TIMEOUT_S)
        self._alerting = self._api.alertingprovisioning

    def check(self, plugins: frozenset[str]) -> str:
        """The server's version, when it is new enough, takes the token and has these plugins; else GrafanaError."""
        with self._told("answer /api/health"):
            health = self._api.health.check()
        version = health.get("version", "") if isinstance(health, dict) else ""
        if not version:
            raise GrafanaError(f"{self.url} tells no version; is it a Grafana, and is auth.anonymous hide_version off?")
        if _number(version) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise GrafanaError(
                f"{self.url} is Grafana {version}; push needs {oldest} or newer, boards look best from 10"
            )
        with self._told("list its plugins"):
            found = {each["id"] for each in self._api.plugin.list()}
        if missing := sorted(plugins - found):
            raise GrafanaError(
                f"{self.url} lacks the core plugin {', '.join(missing)}; is it switched off in Grafana's settings?"
            )
        return str(version)

    def find(self, thing: Thing) -> Json | None:
        """What the server holds in the place of a thing; None for nothing."""
        try:
            with self._told(f"read {thing}"):
                return self._found(thing)
        except _NotThere:
            return None

    def put(self, thing: Thing, stored: Json | None) -> None:
        """Make a thing, or change what is stored into it."""
        with self._told(f"write {thing}"):
            self._put(thing, stored)

    def _found(self, thing: Thing) -> Json:
        match thing.kind:
            case Kind.FOLDER:
                found: Json = self._api.folder.get_folder(thing.key)
            case Kind.DATA_SOURCE:
                found = self._api.datasource.get_datasource_by_uid(thing.key)
            case Kind.BOARD:
                answer: Json = self._api.dashboard.get_dashboard(thing.key)
                found = {**answer["dashboard"], "folderUid": answer["meta"].get("folderUid", "")}
            case Kind.TEMPLATE:
                found = self._alerting.get_template(thing.key)
            case Kind.CONTACT_POINT:
                found = _only(each for each in self._alerting.get_contactpoints() if each["uid"] == thing.key)
            case Kind.RULES:
                group: Json = self._alerting.get_rule_group(thing.folder, thing.key)
                found = {**group, "rules": sorted(group["rules"], key=lambda rule: str(rule["uid"]))}
            case Kind.ROUTE:
                tree: Json = self._alerting.get_notification_policy_tree()
                found = _only(each for each in _routes(tree) if each.get("receiver") == thing.key)
        return found

    def _put(self, thing: Thing, stored: Json | None) -> None:
        match thing.kind:
            case Kind.FOLDER if stored is None:
                self._api.folder.create_folder(thing.title, thing.key)
            case Kind.FOLDER:
                self._api.folder.update_folder(thing.key, thing.title, overwrite=True)
            case Kind.DATA_SOURCE:
                whole = {**thing.body, "secureJsonData": dict(thing.secrets)}
                if stored is None:
                    self._api.datasource.create_datasource(whole)
                else:
                    self._api.datasource.update_datasource_by_uid(thing.key, whole)
            case Kind.BOARD:
                board = {key: value for key, value in thing.body.items() if key != "folderUid"}
                asked = {"dashboard": {**board, "id": None}, "folderUid": thing.folder, "overwrite": True}
                self._api.dashboard.update_dashboard({**asked, "message": "shopfloor dashboards push"})
            case Kind.TEMPLATE:
                self._alerting.create_or_update_template(thing.key, thing.body)
            case Kind.CONTACT_POINT:
                channel = {**thing.body, "settings": {**thing.body["settings"], **thing.secrets}}
                if stored is None:
                    self._alerting.create_contactpoint(channel)
                else:
                    self._alerting.update_contactpoint(thing.key, channel)
            case Kind.RULES:
                self._put_rules(thing, stored)
            case Kind.ROUTE:
                tree: Json = self._alerting.get_notification_policy_tree()
                others = [each for each in _routes(tree) if each.get("receiver") != thing.key]
                self._alerting.set_notification_policy_tree({**tree, "routes": [thing.body, *others]})

    def _put_rules(self, thing: Thing, stored: Json | None) -> None:
        """A group as a whole; a rule that is new is made first, since not every version makes it with its group."""
        there = {rule["uid"] for rule in stored["rules"]} if stored else set()
        for rule in thing.body["rules"]:
            if rule["uid"] not in there:
                self._alerting.create_alertrule(rule)
        self._alerting.update_rule_group(thing.folder, thing.key, {**thing.body, "title": thing.key})

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Faults of the library as one line. ``what`` follows "cannot"."""
        try:
            yield
        except GrafanaException as fault:
            if fault.status_code == _NOT_FOUND:
                raise _NotThere(f"{self.url} cannot {what}: it knows no such address; is it a Grafana?") from None
            raise GrafanaError(self._words(what, fault)) from None
        except SSLError as fault:
            raise GrafanaError(
                f"{self.url}: its certificate is not trusted ({_short(fault)}); set REQUESTS_CA_BUNDLE"
            ) from None
        except (NoConnection, JSONDecodeError) as fault:
            if isinstance(fault, JSONDecodeError):
                raise GrafanaError(
                    f"{self.url} answers no JSON; is it a Grafana? Check SHOPFLOOR_GRAFANA_URL"
                ) from None
            raise GrafanaError(
                f"{self.url} does not answer; is Grafana running, is SHOPFLOOR_GRAFANA_URL right?"
            ) from None
        except RequestException as fault:
            raise GrafanaError(f"{self.url} cannot {what}: {_short(fault)}") from None

    def _words(self, what: str, fault: GrafanaException) -> str:
        if fault.status_code == _UNAUTHORIZED:
            return f"{self.url} does not know the token; make one for a service account and set SHOPFLOOR_GRAFANA_TOKEN"
        if fault.status_code == _FORBIDDEN:
            return f"{self.url}: the token may not {what}; give its service account the role Admin"
        answer = fault.response.get("message", "") if isinstance(fault.response, dict) else str(fault.response or "")
        if "provision" in answer.lower() and isinstance(fault, GrafanaClientError):
            return f"{self.url} cannot {what}: it comes from files of that server; change the files, or take them away"
        if fault.status_code in _TAKEN and "same name" in answer:
            return f"{self.url} cannot {what}: that name is taken by another; rename or delete that one in Grafana"
        if fault.status_code == 0:
            return f"{self.url} cannot {what}: no answer within {TIMEOUT_S:g} s"
        return f"{self.url} cannot {what}: {fault.status_code} {answer.strip()[:300]}"


class _NotThere(GrafanaError):
    """404: nothing there, or no such address."""


def _only(found: Iterable[Json]) -> Json:
    """The first of what a listing holds; raises _NotThere."""
    for each in found:
        return each
    raise _NotThere("not listed")


def _routes(tree: Json) -> list[Json]:
    return tree.get("routes") or []


def _number(version: str) -> tuple[int, int]:
    major, _, rest = version.partition(".")
    minor = rest.partition(".")[0]
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)


def _short(fault: Exception) -> str:
    return str(fault).splitlines()[0][:200] if str(fault) else type(fault).__name__
