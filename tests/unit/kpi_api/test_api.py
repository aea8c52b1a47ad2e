import itertools
import json
import math

import httpx
import pytest

from kpi_api.app import create_app
from kpi_api.server import served
from shopfloor.additive import merge
from shopfloor.errors import ServiceUnavailable
from shopfloor.instant import HOUR, MINUTE, parse_instant
from tests.filled_plant import AGENT, END, STILL, FilledPlant

CNC = "ceper/machining/line-1/cnc-01"
METER = "ceper/utilities/intake/main-meter"
MORNING = {"from": "2026-01-05T08:00:00+07:00", "to": "2026-01-05T14:00:00+07:00"}


async def ask(api: httpx.AsyncClient, noun: str, **query: str) -> dict:
    answer = await api.get(f"/api/v1/{noun}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refused(api: httpx.AsyncClient, noun: str, status: int = 400, **query: str) -> dict:
    answer = await api.get(f"/api/v1/{noun}", params=query)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["remedy"]
    return problem


async def test_a_kpi_item_carries_all_that_its_reader_needs(api: httpx.AsyncClient) -> None:
    answer = await ask(api, "kpis", unit=CNC, **MORNING)
    assert answer["next"] is None
    (item,) = answer["items"]
    assert item["unit"] == CNC
    assert (item["start"], item["end"]) == ("2026-01-05T01:00:00Z", "2026-01-05T07:00:00Z")
    assert item["coverage"] == 1
    assert item["final"] is True
    assert item["revision"] == 0
    kpis = item["kpis"]
    product = kpis["availability"] * kpis["effectiveness"] * kpis["quality_ratio"]
    assert product == pytest.approx(kpis["oee_index"])
    assert item["elements"]["good_run_s"] / item["elements"]["known_busy_s"] == pytest.approx(kpis["oee_index"])


@pytest.mark.parametrize("by", ["hour", "shift", "day"])
async def test_slices_tile_the_window_and_merge_to_the_total(api: httpx.AsyncClient, by: str) -> None:
    window = {"from": "2026-01-05T06:07:00+07:00", "to": "2026-01-05T15:11:00+07:00"}
    (total,) = (await ask(api, "kpis", unit=CNC, **window))["items"]
    parts = (await ask(api, "kpis", unit=CNC, by=by, **window))["items"]
    assert parts[0]["start"] == total["start"]
    assert parts[-1]["end"] == total["end"]
    assert all(one["end"] == other["start"] for one, other in itertools.pairwise(parts))
    whole = merge(part["elements"] for part in parts)
    for name, value in merge([total["elements"]]).items():
        assert whole[name] == pytest.approx(value, abs=1e-6), name


async def test_slices_by_shift_name_their_shift(api: httpx.AsyncClient) -> None:
    items = (await ask(api, "kpis", unit=CNC, by="shift", **{**MORNING, "to": "2026-01-05T15:00:00+07:00"}))["items"]
    assert [(item["shift"], item["end"]) for item in items] == [
        ("pagi", "2026-01-05T07:00:00Z"),
        ("sore", "2026-01-05T08:00:00Z"),
    ]


@pytest.mark.parametrize(("pattern", "count"), [("*", 6), ("", 6), ("ceper/*", 6), ("ceper/machining/line-1/*", 3)])
async def test_a_pattern_gives_one_item_per_unit_below_it(api: httpx.AsyncClient, pattern: str, count: int) -> None:
    items = (await ask(api, "kpis", unit=pattern, **MORNING))["items"]
    assert len({item["unit"] for item in items}) == len(items) == count


@pytest.mark.parametrize("place", ["logam-jaya", "ceper", "ceper/machining", "ceper/machining/line-1/"])
async def test_a_place_gives_one_item_for_all_of_it(api: httpx.AsyncClient, place: str) -> None:
    (item,) = (await ask(api, "kpis", unit=place, **MORNING))["items"]
    assert item["unit"] == place.strip("/")
    assert item["kpis"]["oee_index"] is not None


async def test_a_window_within_minutes_is_widened_and_says_so(api: httpx.AsyncClient) -> None:
    answer = await ask(
        api, "kpis", unit=CNC, **{"from": "2026-01-05T08:00:20+07:00", "to": "2026-01-05T08:03:01+07:00"}
    )
    (item,) = answer["items"]
    assert (item["start"], item["end"]) == ("2026-01-05T01:00:00Z", "2026-01-05T01:04:00Z")
    assert "snapped_to_minutes" in item["flags"]


async def test_a_plus_that_became_a_blank_is_understood(api: httpx.AsyncClient) -> None:
    answer = await api.get(f"/api/v1/kpis?unit={CNC}&from=2026-01-05T08:00:00+07:00&to=2026-01-05T14:00:00+07:00")
    assert answer.json() == await ask(api, "kpis", unit=CNC, **MORNING)


async def test_silence_is_unknown_time_not_running_time(api: httpx.AsyncClient) -> None:
    window = {"from": "2026-01-05T15:15:00+07:00", "to": "2026-01-05T15:20:00+07:00"}
    (item,) = (await ask(api, "kpis", unit=STILL, **window))["items"]
    assert item["elements"]["unknown_s"] == 300
    assert item["coverage"] == 0
    assert item["kpis"]["availability"] is None
    states = (await ask(api, "states", unit=STILL, **window))["items"]
    assert [(state["category"], state["start"], state["end"]) for state in states] == [
        ("unknown", "2026-01-05T08:15:00Z", "2026-01-05T08:20:00Z")
    ]


async def test_the_future_is_neither_known_nor_unknown_nor_final(api: httpx.AsyncClient) -> None:
    window = {"from": "2026-01-05T16:00:00+07:00", "to": "2026-01-05T17:00:00+07:00"}
    (item,) = (await ask(api, "kpis", unit=CNC, **window))["items"]
    assert item["coverage"] is None
    assert item["final"] is False
    assert item["flags"] == ["no_data"]
    assert all(value is None for value in item["kpis"].values())


async def test_a_window_that_reaches_beyond_the_watermark_is_provisional(api: httpx.AsyncClient) -> None:
    window = {"from": "2026-01-05T15:00:00+07:00", "to": "2026-01-05T15:21:00+07:00"}
    (item,) = (await ask(api, "kpis", unit=CNC, **window))["items"]
    assert item["final"] is False


async def test_states_tile_the_window_and_add_up_to_the_elements(api: httpx.AsyncClient) -> None:
    states = (await ask(api, "states", unit=CNC, **MORNING))["items"]
    (item,) = (await ask(api, "kpis", unit=CNC, **MORNING))["items"]
    assert states[0]["start"] == item["start"]
    assert states[-1]["end"] == item["end"]
    assert all(one["end"] == other["start"] for one, other in itertools.pairwise(states))
    seconds: dict[str, float] = {}
    for state in states:
        length = (parse_instant(state["end"]) - parse_instant(state["start"])) / 1000
        seconds[state["category"]] = seconds.get(state["category"], 0) + length
    for category, length in seconds.items():
        assert item["elements"][f"{category}_s"] == pytest.approx(length), category


async def test_equipment_is_in_file_order_with_its_newest_sample(api: httpx.AsyncClient, filled: FilledPlant) -> None:
    answer = await ask(api, "equipment")
    assert [item["unit"] for item in answer["items"]] == list(filled.plant.units)
    assert answer["plant"]["language"] == "id"
    by_unit = {item["unit"]: item for item in answer["items"]}
    assert by_unit[CNC]["latest"]["category"] == "unplanned_stop"
    assert by_unit[CNC]["latest"]["time"] == "2026-01-05T08:20:11Z"
    assert by_unit[METER]["machine"] is False
    assert by_unit[METER]["latest"]["category"] is None


async def test_the_ledger_tells_counts_standing_and_imbalances(api: httpx.AsyncClient, filled: FilledPlant) -> None:
    answer = await ask(api, "ledger")
    (agent,) = answer["items"]
    assert agent["agent"] == AGENT
    assert {name: agent[name] for name in filled.ledger.as_dict()} == filled.ledger.as_dict()
    assert (agent["standing"], agent["imbalances"], answer["dead_letters"]) == ("balanced", [], 0)


@pytest.mark.parametrize(
    ("query", "kind", "hint"),
    [
        ({"from": "2026-01-05T08:00:00"}, "bad-time", "+07:00"),
        ({"from": "yesterday"}, "bad-time", "write e.g."),
        ({"from": "0001-01-01T00:00:00+14:00"}, "bad-time", "1970"),
        ({"to": "9999-12-31T23:59:59-14:00"}, "bad-time", "1970"),
        ({"from": "2026-01-05T09:00:00Z", "to": "2026-01-05T08:00:00Z"}, "bad-window", "later"),
        ({"from": "2026-01-05T09:00:00Z", "to": "2026-01-05T09:00:00Z"}, "bad-window", "later"),
        ({"by": "year"}, "bad-by", "total, hour, shift, day, week, month, product, reason"),
        ({"by": ""}, "bad-by", "total, hour, shift, day"),
        ({"by": "hour", "from": "2010-01-01T00:00:00Z", "to": "2020-01-01T00:00:00Z"}, "bad-window", "by=total"),
        ({"from": "1970-01-01T00:00:00Z", "to": "2190-01-01T00:00:00Z"}, "bad-window", "shorter"),
        (
            {"by": "shift", "unit": "*", "from": "2000-01-01T00:00:00Z", "to": "2020-01-01T00:00:00Z"},
            "bad-window",
            "fewer",
        ),
        ({"from": "2" * 100}, "bad-query", "/docs"),
    ],
)
async def test_a_wrong_question_is_told_what_to_do(
    api: httpx.AsyncClient, query: dict[str, str], kind: str, hint: str
) -> None:
    problem = await refused(api, "kpis", **{"unit": CNC, **query})
    assert problem["type"] == f"/docs#{kind}"
    assert hint in problem["detail"] + problem["remedy"]


@pytest.mark.parametrize("noun", ["kpis", "states", "equipment"])
async def test_an_unknown_unit_is_answered_with_the_closest_place(api: httpx.AsyncClient, noun: str) -> None:
    problem = await refused(api, noun, 404, unit="ceper/machinng/line-1/cnc-01")
    assert "did you mean 'ceper/machining/line-1/cnc-01'?" in problem["remedy"]


@pytest.mark.parametrize("unit", ["/", "[", "[!", "\x00", "../..", "ceper/" * 50, "🙂", "*" * 40, "none"])
async def test_strange_units_give_items_or_a_problem(api: httpx.AsyncClient, unit: str) -> None:
    answer = await api.get("/api/v1/kpis", params={"unit": unit, **MORNING})
    assert answer.status_code in {200, 404}
    assert set(answer.json()) >= ({"items"} if answer.status_code == 200 else {"remedy"})


async def test_states_of_more_than_a_month_are_refused(api: httpx.AsyncClient) -> None:
    problem = await refused(api, "states", unit=CNC, **{"from": "2025-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"})
    assert "31 days" in problem["remedy"]


async def test_a_path_that_does_not_exist_is_a_problem_too(api: httpx.AsyncClient) -> None:
    await refused(api, "oee", 404)
    answer = await api.post("/api/v1/kpis")
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")


async def test_answers_hold_no_nan(api: httpx.AsyncClient) -> None:
    for noun in ("kpis", "states", "equipment", "ledger"):
        text = (await api.get(f"/api/v1/{noun}")).text
        assert "NaN" not in text
        assert "Infinity" not in text


async def test_health_and_metrics_answer(api: httpx.AsyncClient) -> None:
    assert (await api.get("/health/live")).json() == {"status": "live"}
    assert (await api.get("/health/ready")).json() == {"status": "ready"}
    text = (await api.get("/metrics")).text
    assert f'shopfloor_ledger_samples{{agent="{AGENT}",count="in_outbox"}} 12.0' in text
    assert 'shopfloor_api_requests_total{route="/health/live",status="200"} 1.0' in text


async def test_the_openapi_document_names_every_noun(api: httpx.AsyncClient) -> None:
    paths = (await api.get("/openapi.json")).json()["paths"]
    nouns = {"equipment", "kpis", "states", "losses", "stops", "energy", "quality", "explain", "statements", "ledger"}
    told = {"stream", "stops/{stop_id}/reason", "statements/{statement_id}/withdraw", "shifts/sign-off"}
    told |= {"energy/baseline", "scorecards", "guidelines"}
    assert {f"/api/v1/{noun}" for noun in nouns | told} | {"/health/live", "/health/ready", "/metrics"} == set(paths)
    assert "HTTPValidationError" not in str(paths)


async def test_the_stream_delivers_snapshots_and_ends_with_the_service(filled: FilledPlant) -> None:
    app = create_app(filled.store, stream_interval_s=0.05)
    events: list[dict] = []
    async with httpx.AsyncClient() as client:
        async with served(app, port=0) as url:
            reader = client.stream("GET", f"{url}/api/v1/stream")
            answer = await reader.__aenter__()
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            async for line in lines:
                if line.startswith("data: "):
                    events.append(json.loads(line.removeprefix("data: ")))
                    if len(events) == 2:
                        break
        assert [line async for line in lines if line.startswith("error")] == []
        await reader.__aexit__(None, None, None)
    snapshot = events[0]
    assert snapshot["time"] == "2026-01-05T08:20:12Z"
    assert parse_instant(snapshot["window"]["end"]) - parse_instant(snapshot["window"]["start"]) == 8 * HOUR
    assert [item["unit"] for item in snapshot["kpis"]] == list(filled.plant.units)
    assert [item["unit"] for item in snapshot["today"]] == [METER]
    (item,) = (item for item in snapshot["kpis"] if item["unit"] == CNC)
    assert item == _as_json(filled, CNC, END // MINUTE * MINUTE - 8 * HOUR, END // MINUTE * MINUTE)


def _as_json(filled: FilledPlant, unit: str, start: int, end: int) -> dict:
    from kpi_api.schemas import Kpi

    (item,) = filled.store.kpi_items(unit, start, end)
    return json.loads(Kpi.model_validate(item).model_dump_json())


async def test_a_port_in_use_is_one_clear_error(filled: FilledPlant) -> None:
    async with served(create_app(filled.store), port=0) as url:
        with pytest.raises(ServiceUnavailable, match="free the port"):
            async with served(create_app(filled.store), port=int(url.rsplit(":", 1)[1])):
                pass


def test_nan_becomes_null() -> None:
    from kpi_api.answers import KpiItem
    from kpi_api.schemas import Kpi

    item = KpiItem(
        unit=CNC,
        start=0,
        end=1,
        kpis={"a": math.nan},
        elements={"b": math.inf},
        coverage=math.nan,
        final=True,
        revision=0,
    )
    told = json.loads(Kpi.model_validate(item).model_dump_json())
    assert (told["kpis"], told["elements"], told["coverage"]) == ({"a": None}, {"b": None}, None)
