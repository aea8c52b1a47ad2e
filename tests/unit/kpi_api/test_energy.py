from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from kpi_api.app import create_app
from kpi_api.store import Store
from shopfloor.instant import format_instant
from tests.small_works import DAYS, FIRST, METER, SECOND_STEP, first_day, noon, small_works

JANUARY = {"from": "2026-01-01T00:00:00+07:00", "to": "2026-02-01T00:00:00+07:00"}
FOUR_DAYS = {"from": "2026-01-05T06:00:00+07:00", "to": "2026-01-09T06:00:00+07:00"}


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with small_works(tmp_path_factory.mktemp("energy")) as store:
        yield store


@pytest.fixture
async def api(works: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.delenv("SHOPFLOOR_API_KEY", raising=False)
    app = create_app(works)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        yield client


async def ask(api: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    answer = await api.get("/api/v1/energy", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["next"] is None
    return answer.json()["items"]


async def test_a_month_of_a_meter_has_amounts_price_and_demand(api: httpx.AsyncClient) -> None:
    (item,) = await ask(api, unit=METER, **JANUARY)
    assert (item["energy_kwh"], item["unattributed_kwh"]) == (31_000, 3_100)
    assert (item["peak_kwh"], item["off_peak_kwh"], item["peak_share"]) == (6_200, 24_800, pytest.approx(0.2))
    assert (item["cost"], item["currency"]) == (31 * 1_100_000, "IDR")
    assert item["carbon_kg"] == pytest.approx(31 * 870)
    assert (item["reactive_kvarh"], item["idle_kwh"]) == (21_700, None)
    assert item["demand"] == {"value": 300.0, "at": format_instant(noon(20))}
    assert (item["performance"], item["bill"], item["kwh_per_good"]) == (None, None, None)


async def test_a_calendar_month_has_its_bill_with_reactive_energy(api: httpx.AsyncClient) -> None:
    january, february = await ask(api, unit=METER, by="month", **{**JANUARY, "to": "2026-02-09T00:00:00+07:00"})
    assert (january["period"], february["period"]) == ("2026-01", "2026-02")
    assert (january["start"], january["end"]) == ("2025-12-31T17:00:00Z", "2026-01-31T17:00:00Z")
    bill = january["bill"]
    assert (bill["kwh"], bill["load_hours"]) == (31_000, 62)
    assert bill["energy_cost"] == 31 * 1_100_000
    assert (bill["free_kvarh"], bill["excess_kvarh"]) == pytest.approx((19_220, 2_480))
    assert bill["total"] == pytest.approx(31 * 1_100_000 + 2_480 * 1_100)
    assert (bill["minimum"], bill["minimum_applies"]) == (20_000_000, False)
    assert bill["power_factor"] == pytest.approx(31_000 / (31_000**2 + 21_700**2) ** 0.5)
    assert "partial_month" not in january["flags"]
    assert "partial_month" in february["flags"]
    assert (february["bill"]["minimum"], february["bill"]["kwh"]) == (0, 8_000)


async def test_a_machine_pays_its_share_without_the_contract(api: httpx.AsyncClient) -> None:
    (item,) = await ask(api, unit=FIRST, by="month", **JANUARY)
    assert item["bill"]["minimum"] == 0
    assert "share_of_site" in item["flags"]
    (site,) = await ask(api, unit="works", by="month", **JANUARY)
    assert site["bill"]["minimum"] == 20_000_000
    assert "share_of_site" not in site["flags"]


async def test_days_against_the_baseline_add_up_to_the_cusum(api: httpx.AsyncClient) -> None:
    items = await ask(api, unit=FIRST, by="day", **FOUR_DAYS)
    assert [item["period"] for item in items] == ["2026-01-05", "2026-01-06", "2026-01-07", "2026-01-08"]
    told = [item["performance"] for item in items]
    assert [each["saving_kwh"] for each in told] == pytest.approx([-4, -5, -6, -7])
    assert [each["cusum_kwh"] for each in told] == pytest.approx([-4, -9, -15, -22])
    good = first_day(4)["good"]
    assert (told[0]["driver"], told[0]["quantity"]) == ("good_kg", 2 * good)
    assert (told[0]["expected_kwh"], told[0]["actual_kwh"]) == pytest.approx((20 + good, 24 + good))
    assert told[0]["index"] == pytest.approx((24 + good) / (20 + good))


async def test_the_whole_is_measured_as_its_days(api: httpx.AsyncClient) -> None:
    (whole,) = await ask(api, unit=FIRST, **FOUR_DAYS)
    assert whole["performance"]["saving_kwh"] == pytest.approx(-22)
    assert whole["performance"]["cusum_kwh"] is None
    days = [first_day(number) for number in range(4, 8)]
    energy_kwh, good = (sum(day[name] for day in days) for name in ("energy_kwh", "good"))
    assert whole["kwh_per_good"] == pytest.approx(energy_kwh / good)
    assert whole["kwh_per_ton"] == pytest.approx(energy_kwh / (2 * good / 1000))
    assert (whole["idle_kwh"], whole["idle_share"]) == pytest.approx((20, 20 / energy_kwh))


async def test_the_base_load_counts_only_time_that_has_passed(api: httpx.AsyncClient) -> None:
    (item,) = await ask(api, unit=FIRST, **{"from": "2026-02-09T00:00:00+07:00", "to": "2026-02-11T00:00:00+07:00"})
    assert item["performance"]["expected_kwh"] == pytest.approx(20 + first_day(DAYS - 1)["good"])


async def test_a_unit_without_energy_has_none_rather_than_nothing(api: httpx.AsyncClient) -> None:
    (item,) = await ask(api, unit=SECOND_STEP, by="month", **JANUARY)
    told = ("energy_kwh", "peak_kwh", "cost", "carbon_kg", "idle_kwh", "demand", "performance", "bill", "kwh_per_good")
    assert {item[name] for name in told} == {None}


async def test_every_unit_of_a_pattern_and_one_item_of_a_place(api: httpx.AsyncClient) -> None:
    units = await ask(api, unit="works/*", **FOUR_DAYS)
    assert [item["unit"] for item in units] == [FIRST, SECOND_STEP, METER]
    (line,) = await ask(
        api, unit="works/machining/line-1", by="day", **{**FOUR_DAYS, "to": "2026-01-06T06:00:00+07:00"}
    )
    assert line["unit"] == "works/machining/line-1"
    assert line["energy_kwh"] == pytest.approx(first_day(4)["energy_kwh"])
    assert line["performance"] is None


async def test_by_product_there_is_energy_but_no_baseline(api: httpx.AsyncClient) -> None:
    items = {item["product"]: item for item in await ask(api, unit=FIRST, by="product", **FOUR_DAYS)}
    assert items["disc"]["energy_kwh"] == pytest.approx(sum(first_day(day)["energy_kwh"] for day in range(4, 8)))
    assert items["disc"]["performance"] is None


async def fitted(api: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    answer = await api.get("/api/v1/energy/baseline", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_a_baseline_is_fitted_to_the_days_of_a_unit(api: httpx.AsyncClient) -> None:
    (item,) = await fitted(api, unit=FIRST, **{"from": "2026-01-02T06:00:00+07:00", "to": "2026-02-01T06:00:00+07:00"})
    # good is 100 + 10 n and energy 120 + 11 n on day n: 0.55 kWh per kg of two, and 10 a day
    assert (item["fit"]["kwh_per_unit"], item["fit"]["base_kwh"]) == pytest.approx((0.55, 10))
    assert (item["fit"]["r2"], item["fit"]["n"], item["fit"]["flags"]) == (pytest.approx(1), 30, [])
    assert (item["points"], item["skipped"], item["refusal"], item["driver"]) == (30, 0, None, "good_kg")


async def test_where_no_line_can_be_fitted_it_says_why(api: httpx.AsyncClient) -> None:
    _, silent, meter = await fitted(api, unit="works/*", **FOUR_DAYS)
    assert (silent["fit"], silent["points"], silent["skipped"]) == (None, 0, 4)
    assert "at least 3" in silent["refusal"]
    assert meter["fit"] is None
    assert "never varies" in meter["refusal"]


@pytest.mark.parametrize(("query", "kind"), [({"by": "product"}, "bad-by"), ({"driver": "goods"}, "unknown-driver")])
async def test_a_baseline_needs_points_in_time_and_a_quantity(api, query, kind) -> None:
    answer = await api.get("/api/v1/energy/baseline", params={"unit": FIRST, **query})
    assert (answer.status_code, answer.json()["type"]) == (400, f"/docs#{kind}")


@pytest.mark.parametrize(
    ("query", "status", "kind"),
    [
        ({"unit": METER, "by": "reason", **JANUARY}, 400, "bad-by"),
        ({"unit": METER, "by": "decade", **JANUARY}, 400, "bad-by"),
        ({"unit": "works/none", **JANUARY}, 404, "unknown-unit"),
        ({"unit": METER, "from": JANUARY["to"], "to": JANUARY["from"]}, 400, "bad-window"),
        ({"unit": METER, "from": "2026-01-01T00:00:00"}, 400, "bad-time"),
    ],
)
async def test_a_wrong_question_is_a_problem_that_says_what_to_do(api, query, status, kind) -> None:
    answer = await api.get("/api/v1/energy", params=query)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/docs#{kind}")
    assert answer.json()["remedy"]
