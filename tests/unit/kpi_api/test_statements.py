from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from historian.records import facts_of, unit_query
from historian.schema import Grain
from historian.statements import all_statements
from kpi_api.app import create_app
from shopfloor.instant import HOUR, format_instant, parse_instant
from tests.filled_plant import END, FilledPlant, filled_plant, settle

CNC = "ceper/machining/line-1/cnc-01"
METER = "ceper/utilities/intake/main-meter"
WINDOW = {"from": "2026-01-05T06:00:00+07:00", "to": "2026-01-05T15:00:00+07:00"}
PAGI = "2026-01-05T06:00:00+07:00"


class Person:
    """Somebody who speaks to the API of a plant of their own."""

    def __init__(self, plant: FilledPlant, client: httpx.AsyncClient) -> None:
        self.plant = plant
        self.client = client

    async def ask(self, noun: str, **query: str) -> list[dict[str, Any]]:
        answer = await self.client.get(f"/api/v1/{noun}", params={"unit": CNC, **WINDOW, **query})
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    async def say(self, path: str, status: int = 201, **body: Any) -> dict[str, Any]:
        answer = await self.client.post(f"/api/v1/{path}", json={"author": "sri", **body})
        assert answer.status_code == status, answer.text
        if status != 201:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["remedy"]
        return answer.json()

    async def longest_stop(self) -> dict[str, Any]:
        stops = [stop for stop in await self.ask("stops") if stop["category"] == "unplanned_stop" and stop["end"]]
        return max(stops, key=lambda stop: stop["seconds"])

    def facts(self) -> list:
        return facts_of(self.plant.historian.read(unit_query(Grain.MINUTE, self.plant.plant.enterprise, CNC)))


@pytest.fixture
async def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Person]:
    monkeypatch.delenv("SHOPFLOOR_API_KEY", raising=False)
    with filled_plant(tmp_path, hours=10) as plant:
        transport = httpx.ASGITransport(create_app(plant.store))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield Person(plant, client)


async def test_a_reason_moves_the_stop_and_its_undo_restores_every_fact(person: Person) -> None:
    before, stop = person.facts(), await person.longest_stop()
    assert (stop["reason"], stop["end"] > stop["start"]) == ("", True)
    told = await person.say(f"stops/{stop['id']}/reason", reason="spindle", note="bunyi")
    assert told["statement"]["unit"] == CNC
    assert told["rederived"]["start"] <= stop["start"]
    await settle(person.plant)
    (named,) = [each for each in await person.ask("stops") if each["id"] == stop["id"]]
    assert (named["reason"], named["statement"], named["failure"]) == ("spindle", told["statement"]["id"], True)
    assert named["reason_name"]["id"] == "Spindel atau bantalan"
    (losses,) = await person.ask("losses")
    assert "spindle" in {bar["reason"] for bar in losses["pareto"]}
    undone = await person.say(f"statements/{told['statement']['id']}/withdraw")
    assert undone["statement"]["supersedes"] == told["statement"]["id"]
    await settle(person.plant)
    assert person.facts() == before
    assert await person.ask("statements") == []
    assert len(await person.ask("statements", withdrawn="true")) == 2


async def test_a_stop_is_split_by_two_reasons_and_the_undo_of_the_second_gives_the_first_back(person: Person) -> None:
    stop = await person.longest_stop()
    middle = (parse_instant(stop["start"]) + parse_instant(stop["end"])) // 2
    await person.say(f"stops/{stop['id']}/reason", reason="spindle")
    second = await person.say(f"stops/{stop['id']}/reason", reason="sensor", **{"from": format_instant(middle)})
    assert [(each["reason"], each["end"]) for each in second["also"]] == [("spindle", format_instant(middle))]
    await settle(person.plant)
    parts = [each for each in await person.ask("stops") if stop["start"] <= each["start"] < stop["end"]]
    assert [(each["reason"], each["start"]) for each in parts] == [
        ("spindle", stop["start"]),
        ("sensor", format_instant(middle)),
    ]
    await person.say(f"statements/{second['statement']['id']}/withdraw")
    await settle(person.plant)
    whole = [each for each in await person.ask("stops") if stop["start"] <= each["start"] < stop["end"]]
    assert [(each["reason"], each["start"], each["end"]) for each in whole] == [("spindle", stop["start"], stop["end"])]
    in_force = await person.ask("statements")
    assert [(each["reason"], each["start"], each["end"]) for each in in_force] == [
        ("spindle", stop["start"], stop["end"])
    ]


async def test_what_an_undo_said_again_can_be_undone_too_down_to_the_machines_word(person: Person) -> None:
    before, stop = person.facts(), await person.longest_stop()
    middle = (parse_instant(stop["start"]) + parse_instant(stop["end"])) // 2
    await person.say(f"stops/{stop['id']}/reason", reason="spindle")
    await person.say(f"stops/{stop['id']}/reason", reason="sensor", **{"from": format_instant(middle)})
    await person.say(f"stops/{stop['id']}/reason", reason="drive", **{"from": format_instant(middle)})
    for latest, left in (("drive", ["spindle", "sensor"]), ("sensor", ["spindle"]), ("spindle", [])):
        (found,) = [each for each in await person.ask("statements") if each["reason"] == latest]
        await person.say(f"statements/{found['id']}/withdraw")
        assert [each["reason"] for each in await person.ask("statements")] == left
    assert await person.ask("statements") == []
    await settle(person.plant)
    assert person.facts() == before


async def test_an_edit_of_a_final_shift_is_a_revision_that_explain_tells(person: Person) -> None:
    stop = await person.longest_stop()
    told = await person.say(
        "statements", kind="category", unit=CNC, category="planned_stop", **{"from": stop["start"], "to": stop["end"]}
    )
    await settle(person.plant)
    window = {"from": stop["start"], "to": stop["end"]}
    (item,) = await person.ask("kpis", **window)
    assert item["revision"] == 1
    (found,) = await person.ask("explain", kpi="availability", **window)
    assert [(each["who"], each["cause"]) for each in found["revisions"]] == [
        ("sri", f"statement {told['statement']['id']}")
    ]
    assert found["revisions"][0]["before"] < found["revisions"][0]["after"]
    assert [each["id"] for each in found["statements"]] == [told["statement"]["id"]]
    assert {each["source"] for each in found["intervals"]} >= {"stated"}


async def test_a_shift_is_signed_once_it_is_final_and_a_later_change_raises_a_flag(person: Person) -> None:
    late = {"unit": CNC, "shift_start": "2026-01-05T14:00:00+07:00"}
    assert "provisional" in (await person.say("shifts/sign-off", 409, **late))["detail"]
    await person.say("shifts/sign-off", 422, unit=CNC, shift_start="2026-01-05T07:00:00+07:00")
    await person.say("shifts/sign-off", 404, unit="ceper/none", shift_start=PAGI)
    signed = await person.say("shifts/sign-off", unit=CNC, shift_start=PAGI, note="cocok")
    await settle(person.plant)
    (pagi, *_) = await person.ask("kpis", by="shift")
    assert (pagi["signed"]["by"], pagi["signed"]["note"]) == ("sri", "cocok")
    assert "changed_after_sign_off" not in pagi["flags"]
    assert "sri has signed" in (await person.say("shifts/sign-off", 409, unit=CNC, shift_start=PAGI))["detail"]
    await person.say(
        "statements",
        kind="quantity",
        unit=CNC,
        quantities={"scrap": 2},
        **{"from": "2026-01-05T07:00:00+07:00", "to": "2026-01-05T07:01:00+07:00"},
    )
    await settle(person.plant)
    (pagi, *_) = await person.ask("kpis", by="shift")
    assert pagi["revision"] == 1
    assert "changed_after_sign_off" in pagi["flags"]
    assert signed["statement"]["kind"] == "sign_off"


async def test_a_running_order_ends_where_the_next_begins(person: Person) -> None:
    await person.say("statements", kind="order", unit=CNC, order="WO-1", **{"from": WINDOW["from"]})
    told = await person.say("statements", kind="order", unit=CNC, order="WO-2", **{"from": "2026-01-05T10:00:00+07:00"})
    (ended,) = told["also"]
    assert (ended["order"], ended["end"]) == ("WO-1", "2026-01-05T03:00:00Z")
    orders = await person.ask("statements")
    assert [(each["order"], each["end"]) for each in orders] == [("WO-1", "2026-01-05T03:00:00Z"), ("WO-2", None)]
    await settle(person.plant)
    (item,) = await person.ask("kpis")
    assert item["elements"]["order_s"] == 9 * 3600
    await person.say(f"statements/{told['statement']['id']}/withdraw")
    assert [(each["order"], each["end"]) for each in await person.ask("statements")] == [("WO-1", None)]


NOON = {"from": "2026-01-05T12:00:00+07:00", "to": "2026-01-05T12:10:00+07:00"}


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [
        (422, {"kind": "reason", "reason": "spindl"}, "did you mean 'spindle'"),
        (422, {"kind": "reason", "reason": "spindle", "unit": METER}, "meter"),
        (422, {"kind": "order", "order": "WO-1", "unit": METER}, "meter"),
        (422, {"kind": "category", "category": "unknown"}, "derived"),
        (422, {"kind": "category", "category": "not_scheduled"}, "change the calendar"),
        (422, {"kind": "category"}, "says nothing"),
        (422, {"kind": "category", "category": "setup", "order": "WO-1"}, "apart"),
        (422, {"kind": "order", "product": "brake-dsc"}, "brake-disc"),
        (422, {"kind": "quantity", "quantities": {"goood": 1}}, "good"),
        (422, {"kind": "quantity", "quantities": {"good": 5, "produced": 4}}, "count again"),
        (422, {"kind": "quantity", "quantities": {"good": 2, "scrap": 2, "produced": 3}}, "good + scrap = 4"),
        (422, {"kind": "quantity", "quantities": {"work_s": 100, "attendance_s": 50}}, "count again"),
        (422, {"kind": "quantity", "quantities": {"good": 0}}, "says nothing"),
        (422, {"kind": "quantity", "quantities": {"inspected": -1}}, "negative"),
        (422, {"kind": "quantity", "quantities": {"scrap": 1e12}}, "1e9"),
        (422, {"kind": "category", "category": "setup", "from": "2030-01-01T00:00:00Z", "to": None}, "future"),
        (422, {"kind": "category", "category": "setup", "to": "2026-01-05T11:00:00+07:00"}, "later"),
        (422, {"kind": "category", "category": "setup", "from": "2025-11-01T00:00:00Z"}, "31 days"),
        (422, {"kind": "sign_off"}, "sign-off"),
        (422, {"kind": "category", "category": "setup", "author": ""}, "author"),
        (400, {"kind": "category", "category": "setup", "from": "2026-01-05T12:00:00"}, "offset"),
        (400, {"kind": "category", "category": "sleeping"}, "category"),
        (400, {"kind": "category", "category": "setup", "colour": "red"}, "colour"),
        (404, {"kind": "category", "category": "setup", "unit": "ceper/machining"}, "did you mean"),
        (409, {"kind": "category", "category": "setup", "supersedes": "nothing"}, "statements lists"),
    ],
)
async def test_what_cannot_be_true_is_refused_with_a_remedy(
    person: Person, status: int, body: dict[str, Any], hint: str
) -> None:
    problem = await person.say("statements", status, **{"unit": CNC, **NOON, **body})
    assert hint in problem["detail"] + problem["remedy"]
    assert all_statements(person.plant.historian, person.plant.plant.enterprise) == []


async def test_two_words_for_one_moment_are_refused_until_one_supersedes_the_other(person: Person) -> None:
    first = await person.say("statements", kind="category", unit=CNC, category="setup", **NOON)
    body = {"kind": "category", "unit": CNC, "category": "planned_stop", **NOON}
    problem = await person.say("statements", 409, **body)
    assert first["statement"]["id"] in problem["remedy"]
    await person.say("statements", supersedes=first["statement"]["id"], **body)
    assert [each["category"] for each in await person.ask("statements")] == ["planned_stop"]
    await person.say(f"statements/{first['statement']['id']}/withdraw", 409)


async def test_one_count_is_not_taken_twice(person: Person) -> None:
    body = {"kind": "quantity", "unit": CNC, "quantities": {"scrap": 3}, **NOON}
    await person.say("statements", **body)
    await person.say("statements", 409, **body)
    await person.say("statements", **{**body, "quantities": {"rework": 1}})


async def test_an_unknown_stop_or_statement_is_not_found(person: Person) -> None:
    for stop in ("x", "ceper.machining.line-1.cnc-01@5", "ceper.machining.line-1.cnc-01@x"):
        await person.say(f"stops/{stop}/reason", 404, reason="spindle")
    await person.say("statements/none/withdraw", 404)
    stop = await person.longest_stop()
    await person.say(f"stops/{stop['id']}/reason", 422, reason="spindle", **{"from": "2026-01-05T06:00:00+07:00"})


async def test_with_a_key_the_author_need_not_be_named(tmp_path: Path) -> None:
    with filled_plant(tmp_path, hours=2) as plant:
        transport = httpx.ASGITransport(create_app(plant.store, api_key="k"), client=("192.0.2.7", 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            body = {"kind": "category", "unit": CNC, "category": "setup", "from": format_instant(END - HOUR)}
            assert (await client.post("/api/v1/statements", json=body)).status_code == 401
            answer = await client.post("/api/v1/statements", json=body, headers={"X-API-Key": "k"})
    assert (answer.status_code, answer.json()["statement"]["author"]) == (201, "api key")
