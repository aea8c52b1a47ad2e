from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from kpi_api.app import create_app
from tests.filled_plant import FilledPlant, filled_plant


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilledPlant]:
    with filled_plant(tmp_path_factory.mktemp("historian"), hours=10) as plant:
        yield plant


@pytest.fixture
async def api(filled: FilledPlant, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.delenv("SHOPFLOOR_API_KEY", raising=False)
    transport = httpx.ASGITransport(create_app(filled.store))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client
