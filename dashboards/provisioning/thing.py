"""What Grafana can hold of ours, as data: folders, the data source, boards, alerting."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Json = dict[str, Any]


class Kind(StrEnum):
    """What a thing is, in the order in which things need each other."""

    FOLDER = "folder"
    DATA_SOURCE = "data source"
    BOARD = "board"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One thing that Grafana must hold."""

    kind: Kind
    key: str
    """Its uid, which never changes."""
    title: str
    body: Json
    """In the words of Grafana's API, without what the server adds and without secrets."""
    folder: str = ""
    """The uid of the folder that it lies in, where it lies in one."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """What is sent and never told back: neither compared nor shown."""

    def __str__(self) -> str:
        return f"{self.kind} {self.key} ({self.title})"
