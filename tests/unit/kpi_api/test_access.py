import httpx
import pytest

from kpi_api.access import key_from
from kpi_api.app import create_app
from tests.filled_plant import FilledPlant

LEDGER = "/api/v1/ledger"


def client_of(filled: FilledPlant, *, host: str = "127.0.0.1", key: str | None = None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(filled.store, api_key=key), client=(host, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


@pytest.fixture(autouse=True)
def no_key_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOPFLOOR_API_KEY", raising=False)


@pytest.mark.parametrize("path", [LEDGER, "/", "/health/live", "/static/overview.js", "/metrics"])
async def test_without_a_key_another_machine_is_refused(filled: FilledPlant, path: str) -> None:
    async with client_of(filled, host="192.0.2.7") as client:
        answer = await client.get(path)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "SHOPFLOOR_API_KEY" in answer.json()["remedy"]


@pytest.mark.parametrize(
    "headers", [{"Host": "factory.example:8080"}, {"X-Forwarded-For": "192.0.2.7"}, {"Forwarded": "for=192.0.2.7"}]
)
async def test_without_a_key_a_proxy_or_a_foreign_name_is_not_taken_for_loopback(
    filled: FilledPlant, headers: dict[str, str]
) -> None:
    async with client_of(filled) as client:
        assert (await client.get(LEDGER, headers=headers)).status_code == 403


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080"])
async def test_without_a_key_this_machine_is_answered(filled: FilledPlant, host: str) -> None:
    async with client_of(filled) as client:
        assert (await client.get(LEDGER, headers={"Host": host})).status_code == 200


async def test_with_a_key_every_question_for_data_must_carry_it(filled: FilledPlant) -> None:
    async with client_of(filled, host="192.0.2.7", key="käy") as client:
        assert (await client.get(LEDGER)).status_code == 401
        assert (await client.get(LEDGER, headers={"X-API-Key": "wrong"})).status_code == 401
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get(LEDGER, headers=[(b"X-API-Key", "käy".encode())])).status_code == 200
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/health/live")).status_code == 200


async def test_with_a_key_loopback_needs_it_too(filled: FilledPlant) -> None:
    async with client_of(filled, key="k") as client:
        assert (await client.get(LEDGER)).status_code == 401


def test_an_empty_variable_is_no_key() -> None:
    assert key_from({"SHOPFLOOR_API_KEY": ""}) is None
    assert key_from({"SHOPFLOOR_API_KEY": "k"}) == "k"
