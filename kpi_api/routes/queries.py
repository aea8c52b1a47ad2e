"""KPIs -> panels: the query fields that all nouns share, ``unit, from, to, by``, and the store behind the routes."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request

from kpi_api.questions import By, parse_by, parse_time
from kpi_api.store import Store
from shopfloor.instant import HOUR, Instant

DEFAULT_HOURS = 8
KEY_HOLDER = "api key"
"""The author of what is stated with a key and no name."""


def store_of(request: Request) -> Store:
    """The store of this application."""
    store: Store = request.app.state.store
    return store


TheStore = Annotated[Store, Depends(store_of)]
Unit = Annotated[
    str,
    Query(
        description="a unit's path; a pattern with * for many units; or a line, area, site or the enterprise's id, "
        "rolled up where the answer can be",
        max_length=400,
    ),
]
From = Annotated[
    str | None, Query(alias="from", description="RFC 3339 with offset; without it, 8 hours before 'to'", max_length=64)
]
To = Annotated[str | None, Query(alias="to", description="RFC 3339 with offset; without it, now", max_length=64)]
Slicing = Annotated[str, Query(description=f"one item per {', '.join(By)}", max_length=64)]


@dataclass(frozen=True, slots=True)
class Asked:
    """The shared query fields, parsed."""

    unit: str
    start: Instant
    end: Instant


def asked(store: TheStore, unit: Unit = "*", start: From = None, end: To = None) -> Asked:
    """Parse the shared fields; raises BadTime."""
    until = store.now() if end is None else parse_time(end)
    return Asked(unit, until - DEFAULT_HOURS * HOUR if start is None else parse_time(start), until)


def author_of(request: Request, given: str | None) -> str:
    """Who speaks: as the body says; else whoever holds the API key; empty where nobody can be told."""
    said = (given or "").strip()
    return said or (KEY_HOLDER if request.app.state.keyed else "")


def slicing(by: Slicing = By.TOTAL.value) -> By:
    """Parse ``by``; raises BadSlicing."""
    return parse_by(by)
