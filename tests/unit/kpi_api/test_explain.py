import math
from dataclasses import replace

import httpx
import pytest

from kpi_api.grains import cut
from kpi_api.questions import By
from kpi_api.store import Store
from kpi_api.windows import Window, slices
from shopfloor.clock import CatchUpClock
from shopfloor.dated import Dated
from shopfloor.instant import HOUR, parse_instant
from tests.filled_plant import END as NOW
from tests.filled_plant import FilledPlant

CNC = "ceper/machining/line-1/cnc-01"
MORNING = {"from": "2026-01-05T08:00:00+07:00", "to": "2026-01-05T14:00:00+07:00"}


async def ask(api: httpx.AsyncClient, noun: str, **query: str) -> list[dict]:
    answer = await api.get(f"/api/v1/{noun}", params={"unit": CNC, **MORNING, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_an_explanation_shows_the_formula_with_its_numbers(api: httpx.AsyncClient) -> None:
    (found,) = await ask(api, "explain", kpi="availability")
    (item,) = await ask(api, "kpis")
    assert found["definition"]["formula"] == "production_s / known_busy_s"
    assert found["value"] == item["kpis"]["availability"]
    over, under = found["filled"].partition(" = ")[0].split(" / ")
    assert float(over) / float(under) == pytest.approx(found["value"])
    inputs = {each["element"]: each for each in found["inputs"]}
    assert inputs["production_s"]["value"] == pytest.approx(
        inputs["running_s"]["value"] + inputs["micro_stop_s"]["value"]
    )
    assert inputs["running_s"]["meaning"]
    assert found["final"] is True
    assert found["why_provisional"] == []
    assert any("micro-stops" in line for line in found["policy"])
    assert sum(found["time_s"].values()) == 6 * 3600


async def test_the_intervals_of_an_explanation_tile_its_window(api: httpx.AsyncClient) -> None:
    (found,) = await ask(api, "explain")
    seconds: dict[str, float] = {}
    for each in found["intervals"]:
        length = (parse_instant(each["end"]) - parse_instant(each["start"])) / 1000
        seconds[each["category"]] = seconds.get(each["category"], 0) + length
    assert seconds == pytest.approx(found["time_s"])
    assert found["missing"] == []


async def test_missing_spans_and_what_a_window_waits_for_are_told(api: httpx.AsyncClient) -> None:
    silent = {"unit": "ceper/machining/line-1/cnc-03", "from": "2026-01-05T15:10:00+07:00"}
    (found,) = await ask(api, "explain", **{**silent, "to": "2026-01-05T15:20:00+07:00"})
    assert [each["end"] for each in found["missing"]] == ["2026-01-05T08:20:00Z"]
    assert "the agent may still hold samples" in found["why_provisional"][0]


async def test_a_place_is_explained_by_its_units(api: httpx.AsyncClient) -> None:
    (found,) = await ask(api, "explain", unit="ceper/machining/line-1")
    assert [(each["unit"][-6:], each["counts"]) for each in found["children"]] == [
        ("cnc-01", False),
        ("cnc-02", False),
        ("cnc-03", True),
    ]
    assert found["intervals"] is None


@pytest.mark.parametrize(("kpi", "hint"), [("oee_inde", "oee_index"), ("cp", "quality")])
async def test_a_kpi_that_cannot_be_explained_is_refused(api: httpx.AsyncClient, kpi: str, hint: str) -> None:
    answer = await api.get("/api/v1/explain", params={"unit": CNC, "kpi": kpi, **MORNING})
    assert answer.status_code == 404
    assert hint in answer.json()["remedy"]


@pytest.mark.parametrize("unit", [CNC, "ceper/machining/line-1", "ceper/machining", "*"])
async def test_losses_add_up_from_planned_busy_time_to_good_run_time(api: httpx.AsyncClient, unit: str) -> None:
    for found in await ask(api, "losses", unit=unit):
        for bars in (found["waterfall"], found["six_big_losses"]):
            lost = math.fsum(bar["seconds"] for bar in bars)
            assert found["planned_busy_s"] - lost == pytest.approx(found["good_run_s"], abs=1e-6)
        shares = [bar["share"] for bar in found["pareto"]]
        assert shares == sorted(shares, reverse=True)
        assert not shares or math.fsum(shares) == pytest.approx(1)


async def test_items_by_reason_hold_the_lost_time_of_the_window(api: httpx.AsyncClient) -> None:
    (whole,) = await ask(api, "kpis")
    items = await ask(api, "kpis", by="reason")
    for category in ("unplanned_stop", "micro_stop", "starved", "setup"):
        lost = sum(each["elements"]["lost_s"] for each in items if each["category"] == category)
        assert lost == pytest.approx(whole["elements"].get(f"{category}_s", 0.0)), category
    longest = items[0]
    assert longest["kpis"]["loss_ratio"] == pytest.approx(
        longest["elements"]["lost_s"] / whole["elements"]["planned_busy_s"]
    )
    answer = await api.get("/api/v1/losses", params={"unit": CNC, "by": "reason", **MORNING})
    assert answer.status_code == 400


async def test_stops_are_listed_with_what_their_id_needs(api: httpx.AsyncClient) -> None:
    stops = await ask(api, "stops")
    assert stops
    for stop in stops:
        assert stop["id"] == f"{CNC.replace('/', '.')}@{parse_instant(stop['start'])}"
        assert stop["start"] < "2026-01-05T07:00:00Z"
    later = await ask(api, "stops", **{"from": stops[0]["start"], "to": stops[0]["end"]})
    assert later[0]["id"] == stops[0]["id"]


def test_a_shift_that_no_window_cuts_is_read_as_one(filled: FilledPlant) -> None:
    unit = filled.plant.units[CNC]
    pagi = parse_instant("2026-01-05T06:00:00+07:00")
    window = Window(pagi - HOUR, pagi + 9 * HOUR)
    how = cut(unit, slices(unit, window, By.DAY))
    assert [key[1] for key, owner in how.shifts.items() if owner is not None] == ["pagi"]
    assert how.fine == ((pagi - HOUR, pagi), (pagi + 8 * HOUR, pagi + 9 * HOUR))
    assert cut(unit, slices(unit, window, By.HOUR)).fine == ((window.start, window.end),)


def test_shifts_that_the_calendar_no_longer_has_are_read_by_hour(filled: FilledPlant) -> None:
    """Facts under an older calendar stay right for any window: their hours are there."""
    unit = filled.plant.units[CNC]
    (_, calendar), *_ = unit.calendar.entries
    renamed = replace(calendar, shifts=tuple(replace(each, name=f"new-{each.name}") for each in calendar.shifts))
    units = {**filled.plant.units, CNC: replace(unit, calendar=Dated.always(renamed))}
    edited = Store(replace(filled.plant, units=units), filled.historian, CatchUpClock(NOW))
    window = (parse_instant("2026-01-05T06:00:00+07:00"), parse_instant("2026-01-05T14:00:00+07:00"))
    (before,), (after,) = filled.store.kpi_items(CNC, *window), edited.kpi_items(CNC, *window)
    assert after.elements == pytest.approx(before.elements)
