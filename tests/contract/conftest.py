"""One suite, every store: add an implementation by one line in STORES."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from historian.connect import connect
from historian.historian import Historian

STORES: dict[str, Callable[[Path], str]] = {
    "embedded": lambda folder: f"embedded://{folder / 'historian'}",
}
"""Name -> URL of a fresh, empty store that may use the folder."""


@pytest.fixture(params=sorted(STORES))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return STORES[request.param](tmp_path)


@pytest.fixture
def historian(url: str) -> Iterator[Historian]:
    store = connect(url)
    yield store
    store.close()
