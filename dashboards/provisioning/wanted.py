"""What a Grafana must hold for a plant: folders, the data source, the boards of both languages. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dashboards.provisioning.thing import Json, Kind, Thing
from dashboards.render import SOURCE_UID
from dashboards.text import words

INFLUXDB: Final = "influxdb"
"""The type of the data source, a core plugin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Historian:
    """The InfluxDB that boards read, as Grafana reaches it."""

    url: str
    database: str
    user: str = ""
    password: str = ""
    token: str = ""
    """Of InfluxDB 2.x and 3.x, instead of user and password."""


def folder_uid(language: str) -> str:
    """The folder of a language's boards."""
    return f"shopfloor-{language}"


def folders(languages: Iterable[str]) -> Iterator[Thing]:
    """One folder for each language's boards, named in it."""
    for language in languages:
        title = words(language).must("folder.boards")
        yield Thing(kind=Kind.FOLDER, key=folder_uid(language), title=title, body={"title": title})


def data_source(historian: Historian) -> Thing:
    """The historian as the data source that all boards choose; its user should only be able to read."""
    settings: Json = {"dbName": historian.database, "httpMode": "POST"}
    secrets: dict[str, str] = {}
    if historian.token:
        settings["httpHeaderName1"] = "Authorization"
        secrets["httpHeaderValue1"] = f"Token {historian.token}"
    elif historian.password:
        secrets["password"] = historian.password
    body = {
        "name": "shopfloor",
        "uid": SOURCE_UID,
        "type": INFLUXDB,
        "access": "proxy",
        "url": historian.url,
        "user": historian.user,
        "database": historian.database,
        "isDefault": True,
        "jsonData": settings,
    }
    return Thing(kind=Kind.DATA_SOURCE, key=SOURCE_UID, title="shopfloor", body=body, secrets=secrets)


def boards(rendered: Mapping[str, Iterable[Json]]) -> Iterator[Thing]:
    """The boards of each language, as ``render`` makes them; the server counts their versions."""
    for language, each in rendered.items():
        folder = folder_uid(language)
        for board in each:
            body = {key: value for key, value in board.items() if key not in {"id", "version"}}
            yield Thing(
                kind=Kind.BOARD,
                key=board["uid"],
                title=board["title"],
                body={**body, "folderUid": folder},
                folder=folder,
            )


def plugins(things: Iterable[Thing]) -> frozenset[str]:
    """The plugins that things need: the types of panels and of the data source."""
    found = set()
    for thing in things:
        if thing.kind is Kind.DATA_SOURCE:
            found.add(thing.body["type"])
        if thing.kind is Kind.BOARD:
            found |= {panel["type"] for panel in thing.body["panels"]}
    return frozenset(found - {"row"})
