"""OpenAPI is the contract: whatever is asked or said, only documented answers come, and every refusal is a problem."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpi_api.app import create_app
from kpi_api.questions import By
from shopfloor.machine_state import TimeCategory
from shopfloor.statement import STATED_QUANTITIES, StatementKind
from tests.filled_plant import filled_plant

CNC = "ceper/machining/line-1/cnc-01"
METER = "ceper/utilities/intake/main-meter"
SKIPPED = {"/api/v1/stream"}  # it never ends; its own test reads it

text = st.text(max_size=20)
unit = st.sampled_from([CNC, METER, "*", "ceper", "ceper/machining/line-1", "logam-jaya", "ceper/*", "", "["]) | text
moment = (
    st.sampled_from(["2026-01-05T06:00:00+07:00", "2026-01-05T14:00:00+07:00", "2026-01-05T08:00:30Z"])
    | st.sampled_from(
        ["2026-01-05T08:00:00", "2030-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00"]
    )
    | st.datetimes(timezones=st.just(UTC)).map(lambda when: when.isoformat())
    | text
)
KNOWN: dict[str, st.SearchStrategy[Any]] = {
    "unit": unit,
    "from": moment,
    "to": moment,
    "shift_start": moment,
    "by": st.sampled_from([*By]) | text,
    "kpi": st.sampled_from(["oee_index", "mtbf_s", "cp", "energy_cost"]) | text,
    "site": st.sampled_from(["ceper", "*", "-", "logam-jaya", ""]) | text,
    "guideline": st.sampled_from(["indi-4-0", "korea-pqcd"]) | text,
    "window": st.sampled_from(["8h", "shift"]) | text,
    "withdrawn": st.sampled_from(["true", "false"]) | text,
    "kind": st.sampled_from([*StatementKind]) | text,
    "reason": st.sampled_from(["spindle", "sensor", "none"]) | text,
    "category": st.sampled_from([*TimeCategory]) | text,
    "product": st.sampled_from(["brake-disc"]) | text,
    "quantities": st.dictionaries(
        st.sampled_from(STATED_QUANTITIES) | text, st.floats(width=32) | st.integers(), max_size=3
    ),
    "author": st.sampled_from(["sri", ""]) | text,
    "stop_id": st.just("ceper.machining.line-1.cnc-01@1767580000000") | text,
}
JSON = {"content-type": "application/json"}
anything = st.none() | st.booleans() | st.integers() | text | st.lists(text, max_size=2)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    with filled_plant(tmp_path_factory.mktemp("fuzzed"), hours=3) as plant, pytest.MonkeyPatch.context() as patch:
        patch.delenv("SHOPFLOOR_API_KEY", raising=False)
        yield create_app(plant.store)


def operations() -> list[tuple[str, str]]:
    """Every operation of the document."""
    with_nothing = create_app(_Nothing())  # type: ignore[arg-type] - the document needs no store
    paths = with_nothing.openapi()["paths"]
    return [(method, path) for path in paths if path not in SKIPPED for method in paths[path]]


class _Nothing:
    """Stands where a store would; the document is made without asking it."""


def fields_of(document: dict[str, Any], operation: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """The parameters of an operation, and the names of its body's fields."""
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    name = body.get("$ref", "").rsplit("/", 1)[-1]
    return operation.get("parameters", []), list(document["components"]["schemas"].get(name, {}).get("properties", {}))


@pytest.mark.parametrize(("method", "path"), operations())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_only_documented_answers_come(app: FastAPI, method: str, path: str, data: st.DataObject) -> None:
    document = app.openapi()
    operation = document["paths"][path][method]
    parameters, names = fields_of(document, operation)
    query, url = {}, path
    for parameter in parameters:
        value = data.draw(KNOWN.get(parameter["name"], text), parameter["name"])
        if parameter["in"] == "path":
            url = url.replace(f"{{{parameter['name']}}}", httpx.URL("/", params={"v": value}).query.decode()[2:] or "x")
        elif data.draw(st.booleans()):
            query[parameter["name"]] = value
    body = None
    if names:
        wanted = data.draw(st.sets(st.sampled_from(names)))
        body = {name: data.draw(KNOWN.get(name, text) | anything, name) for name in wanted}
        body = data.draw(st.just(body) | anything)
    answer = asyncio.run(_send(app, method, url, query, body))
    documented = set(operation["responses"]) | ({"404"} if url != path else set())
    assert str(answer.status_code) in documented, (answer.status_code, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["remedy"]


async def _send(app: FastAPI, method: str, url: str, query: dict[str, str], body: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        return await client.request(method, url, params=query, content=_json(body), headers=JSON)


def _json(body: Any) -> bytes | None:
    return None if body is None else json.dumps(body).encode()
