"""The live overview in Debian's real Chromium: what stands on the page is what the API says."""

import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from historian.records import AgentWatermark, dead_letters_point, edge_ledger_point, watermark_point
from historian.schema import NOBODY
from kpi_api.app import create_app
from kpi_api.server import served
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.instant import HOUR, MINUTE
from tests.chromium import CHROMIUM, FLAGS
from tests.filled_plant import AGENT, END, STILL, FilledPlant, filled_plant

MACHINES = ("furnace-01", "cnc-01", "cnc-02", "cnc-03", "press-01")
METER = "ceper/utilities/intake/main-meter"
DRAWN = ".timeline rect.time"
PATIENCE_MS = 60_000
"""A busy machine of two cores draws slowly: what is expected may take this long."""

pytestmark = pytest.mark.asyncio(loop_scope="module")
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilledPlant]:
    with filled_plant(tmp_path_factory.mktemp("historian"), hours=10) as plant:
        yield plant


@pytest_asyncio.fixture(loop_scope="module")
async def url(filled: FilledPlant, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.delenv("SHOPFLOOR_API_KEY", raising=False)
    async with served(create_app(filled.store, stream_interval_s=1), port=0) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Path:
    if not CHROMIUM.exists():
        report = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        report("Debian's chromium is not installed")
    return CHROMIUM


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(chromium: Path) -> AsyncIterator[Browser]:
    """One Chromium; each test has a profile of its own in it."""
    async with async_playwright() as playwright:
        process = await playwright.chromium.launch(executable_path=chromium, args=FLAGS, timeout=PATIENCE_MS)
        yield process
        await process.close()


@pytest_asyncio.fixture(loop_scope="module")
async def browser(running: Browser) -> AsyncIterator[BrowserContext]:
    context = await running.new_context()
    context.set_default_timeout(PATIENCE_MS)
    yield context
    await context.close()


async def opened(browser: BrowserContext, address: str) -> tuple[Page, list[str], list[str]]:
    """The page with everything drawn, the URLs it asked for and the errors it met."""
    page = await browser.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    await page.goto(address)
    await expect(page.locator(DRAWN).first).to_be_attached()
    await expect(page.locator(".hours rect").first).to_be_attached()
    return page, asked, errors


async def data_of(page: Page, selector: str) -> list[dict[str, str]]:
    """The data-* attributes of all that match."""
    found: list[dict[str, str]] = await page.eval_on_selector_all(selector, "all => all.map(one => ({...one.dataset}))")
    return found


async def items(client: httpx.AsyncClient, noun: str, **query: str) -> list[dict]:
    answer = await client.get(f"/api/v1/{noun}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_every_value_on_the_page_is_the_apis(browser: BrowserContext, url: str) -> None:
    page, _, errors = await opened(browser, f"{url}/?lang=en")
    cards = await data_of(page, ".card.machine")
    assert [card["unit"].rsplit("/", 1)[1] for card in cards] == list(MACHINES)
    async with httpx.AsyncClient(base_url=url) as client:
        for card in cards:
            (item,) = await items(client, "kpis", unit=card["unit"], **{"from": card["start"], "to": card["end"]})
            for shown, kpi in {
                "oeeIndex": "oee_index",
                "oeeLow": "oee_low",
                "oeeHigh": "oee_high",
                "availability": "availability",
                "effectiveness": "effectiveness",
                "qualityRatio": "quality_ratio",
            }.items():
                assert float(card[shown]) == item["kpis"][kpi], (card["unit"], kpi)
            assert float(card["coverage"]) == item["coverage"]
            assert card["final"] == str(item["final"]).lower()
            assert int(card["revision"]) == item["revision"]
            text = await page.locator(f'[data-unit="{card["unit"]}"] .figure .value').inner_text()
            assert text.replace("\n", "") == f"{item['kpis']['oee_index'] * 100:.1f}%"
    assert errors == []


async def test_the_timeline_is_the_apis_states(browser: BrowserContext, url: str) -> None:
    page, _, _ = await opened(browser, url)
    (card, *_) = await data_of(page, ".card.machine")
    drawn = await data_of(page, f'[data-unit="{card["unit"]}"] {DRAWN}')
    async with httpx.AsyncClient(base_url=url) as client:
        states = await items(client, "states", unit=card["unit"], **{"from": card["start"], "to": card["end"]})

    def told(rows: list[dict]) -> list[tuple[str, str]]:
        return sorted((re.sub(r"\.000Z$", "Z", row["start"]), row["category"]) for row in rows)

    assert told(drawn) == told(states)


async def test_a_meter_shows_power_energy_and_peak_of_the_api(browser: BrowserContext, url: str) -> None:
    page, _, _ = await opened(browser, url)
    (card,) = await data_of(page, ".card.meter")
    bars = await data_of(page, ".hours rect")
    async with httpx.AsyncClient(base_url=url) as client:
        window = {"from": card["todayStart"], "to": card["todayEnd"]}
        (today,) = await items(client, "kpis", unit=METER, **window)
        (unit,) = await items(client, "equipment", unit=METER)
        hours = await items(client, "kpis", unit=METER, by="hour", **{"from": bars[0]["start"], "to": bars[-1]["end"]})
    assert card["todayStart"] == "2026-01-04T17:00:00Z"
    assert float(card["energyKwh"]) == today["elements"]["energy_kwh"]
    assert float(card["peakKw"]) == today["elements"]["demand_max_kw"]
    assert float(card["powerKw"]) == unit["latest"]["values"]["power_kw"]
    assert [float(bar["kwh"]) for bar in bars] == [hour["elements"]["energy_kwh"] for hour in hours]


async def test_an_hour_without_data_is_not_an_hour_without_energy(browser: BrowserContext, tmp_path: Path) -> None:
    with filled_plant(tmp_path / "young", hours=2) as young:
        async with served(create_app(young.store, api_key=""), port=0) as address:
            page, _, _ = await opened(browser, address)
            figures = await page.locator(".hours rect + text").all_text_contents()
    assert figures[:5] == ["–"] * 5
    assert "–" not in figures[-2:]


async def test_the_ledger_line_balances_with_the_api(browser: BrowserContext, url: str, filled: FilledPlant) -> None:
    page, _, _ = await opened(browser, f"{url}/?lang=en")
    (line,) = await data_of(page, "#ledger")
    parts = [int(line[part]) for part in ("stored", "in_outbox", "rejected", "evicted", "unpersisted")]
    assert int(line["polled"]) == filled.ledger.polled == sum(parts)
    assert line["standing"] == "balanced"
    polled, stored = f"{filled.ledger.polled:,}", f"{filled.ledger.stored:,}"
    await expect(page.locator("#ledger")).to_contain_text(f"{polled} polled = {stored} stored + 12 in outbox")


NOW = END - END % MINUTE


@contextmanager
def troubled(folder: Path) -> Iterator[FilledPlant]:
    """The plant after its agent's card was changed: one sample is missing, some wait, some were refused."""
    with filled_plant(folder, hours=2) as plant:
        stored = plant.ledger.stored
        counts = {"polled": stored - 200, "appended": stored - 202, "confirmed": stored - 302, "in_outbox": 100}
        gone = {"polled": 320, "appended": 320, "confirmed": 310, "in_outbox": 0, "evicted": 10}
        points = [
            edge_ledger_point(AGENT, "5f0c", NOW, {**counts, "evicted": 0}, told=END - 2_000, moved=END - 90_000),
            watermark_point(AgentWatermark(AGENT, "5f0c", NOW, END - 240_000, 7, heard=END - 2_000)),
            edge_ledger_point(AGENT, "a11e", NOW - 26 * HOUR, gone, told=NOW - 26 * HOUR),
            dead_letters_point(AGENT, "5f0c", NOW, {"unknown_unit": 7}, 7),
            dead_letters_point(NOBODY, "?1", NOW, {"wrong_topic": 3}, None),
        ]
        assert not plant.historian.write(points).rejected
        yield replace(plant, store=Store(plant.plant, plant.historian, CatchUpClock(END)))


async def test_the_ledgers_table_tells_where_every_sample_is_and_what_is_off(
    browser: BrowserContext, tmp_path: Path
) -> None:
    with troubled(tmp_path / "troubled") as plant:
        async with served(create_app(plant.store, api_key="", stream_interval_s=1), port=0) as address:
            page, _, errors = await opened(browser, f"{address}/?lang=en")
            await expect(page.locator("#ledger .trouble")).to_have_text("✕ 1 samples missing (+3 more)")
            await expect(page.locator("#books-table")).to_be_hidden()
            await page.locator("#ledger").click()
            async with httpx.AsyncClient(base_url=address) as client:
                (agent,) = await items(client, "ledger")
            shown = await page.locator("#books-table tbody tr").first.locator("td").all_text_contents()
            assert shown[0] == "✕ NOT BALANCED"
            names = ("polled", "stored", "in_outbox", "rejected", "evicted", "unpersisted")
            assert [int(cell.replace(",", "")) for cell in shown[1:7]] == [agent[name] for name in names]
            assert shown[7:] == ["4 min", "90 s ago", "2 s ago"]
            rows = [row["outbox"] for row in await data_of(page, "#books-table tbody tr")]
            assert rows == ["", *(outbox["outbox"] for outbox in agent["outboxes"])]
            old = page.locator('#books-table tr[data-outbox="a11e"]')
            await expect(old).to_have_class(re.compile("stale"))
            await expect(old.locator(".heard")).to_have_text("26 h ago")
            told = await data_of(page, "#books-troubles li")
            assert [one["trouble"] for one in told] == ["missing", "evicted", "waiting", "rejected", "unclaimed"]
            await expect(page.locator('[data-trouble="rejected"] .reasons')).to_have_text(
                "unit not in the plant file 7"
            )
            await page.keyboard.press("Escape")
            await expect(page.locator("#books-table")).to_be_hidden()
            await page.get_by_role("button", name="ID").click()
            await expect(page.locator("#ledger .trouble")).to_have_text("✕ 1 sampel hilang (+3 lagi)")
            for width, height in SCREENS:
                await page.set_viewport_size({"width": width, "height": height})
                await page.locator("#ledger").click()
                await expect(page.locator("#books-table")).to_be_visible()
                box = await page.locator(".panel").bounding_box()
                assert box is not None
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= width
                await page.keyboard.press("Escape")
    assert errors == []


async def test_the_page_asks_no_other_host(browser: BrowserContext, url: str) -> None:
    page, asked, errors = await opened(browser, url)
    await page.goto(f"{url}/docs")
    await expect(page.locator("h3", has_text="/api/v1/kpis")).to_be_visible()
    assert {httpx.URL(one).netloc for one in asked} == {httpx.URL(url).netloc}
    assert errors == []


async def test_it_speaks_the_plants_language_and_switches(browser: BrowserContext, url: str) -> None:
    page, _, _ = await opened(browser, url)
    oee = float((await data_of(page, ".card.machine"))[0]["oeeIndex"])
    figure = page.locator(".card.machine .figure .value span").first
    await expect(page.locator("html")).to_have_attribute("lang", "id")
    await expect(page.locator("h2").first).to_have_text("Tungku induksi 1")
    await expect(page.locator(".bars .label").first).to_have_text("Ketersediaan")
    await expect(figure).to_have_text(f"{oee * 100:.1f}".replace(".", ","))
    await page.get_by_role("button", name="EN").click()
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.locator("h2").first).to_have_text("Induction furnace 1")
    await expect(page.locator(".bars .label").first).to_have_text("Availability")
    await expect(figure).to_have_text(f"{oee * 100:.1f}")


async def test_a_silent_unit_is_marked_stale_and_unknown_in_words(browser: BrowserContext, url: str) -> None:
    page, _, _ = await opened(browser, f"{url}/?lang=en")
    silent = page.locator(f'[data-unit="{STILL}"]')
    await expect(silent).to_have_class(re.compile("stale"))
    await expect(silent.locator(".age")).to_contain_text("Data stale 7 min")
    await expect(silent.locator(".state .word")).to_have_text("Unknown")
    stopped = page.locator('[data-unit="ceper/machining/line-1/cnc-01"]')
    await expect(stopped.locator(".state .word")).to_have_text("Unplanned stop")
    await expect(stopped.locator(".sign use")).to_have_attribute("href", "#sign-unplanned_stop")


async def test_this_shift_begins_with_the_shift(browser: BrowserContext, url: str) -> None:
    page, _, _ = await opened(browser, f"{url}/?lang=en")
    await page.get_by_role("button", name="This shift").click()
    await expect(page.locator(".card.machine").first).to_have_attribute("data-start", "2026-01-05T07:00:00Z")
    await expect(page.locator(".card.machine").first).to_have_attribute("data-end", "2026-01-05T08:20:00Z")


async def test_a_lost_connection_is_seen_and_heals(browser: BrowserContext, filled: FilledPlant) -> None:
    app = create_app(filled.store, stream_interval_s=1)
    async with served(app, port=0) as address:
        page, _, _ = await opened(browser, f"{address}/?lang=en")
        await expect(page.locator("#notice")).to_be_hidden()
    await expect(page.locator("#notice")).to_contain_text("Connection lost since")
    await expect(page.locator("html")).to_have_attribute("data-connection", "lost")
    again = create_app(filled.store, stream_interval_s=1)
    async with served(again, port=httpx.URL(address).port or 0):
        await expect(page.locator("html")).to_have_attribute("data-connection", "live")
        await expect(page.locator("#notice")).to_be_hidden()


async def test_a_page_behind_a_key_asks_for_it(browser: BrowserContext, filled: FilledPlant) -> None:
    async with served(create_app(filled.store, api_key="open sesame"), port=0) as address:
        page = await browser.new_page()
        await page.goto(address)
        await page.locator("#key input").fill("open sesame")
        await page.locator("#key button").click()
        await expect(page.locator(DRAWN).first).to_be_attached()


SCREENS = ((360, 800), (1280, 800), (1920, 1080))
CUT_OFF = (
    """all => all.filter(one => one.clientWidth && one.scrollWidth > one.clientWidth + 1).map(one => one.className)"""
)


async def test_nothing_is_cut_off_on_phone_desk_and_wall(browser: BrowserContext, url: str) -> None:
    for language in ("id", "en"):
        page, _, _ = await opened(browser, f"{url}/?lang={language}")
        for width, height in SCREENS:
            await page.set_viewport_size({"width": width, "height": height})
            seen = await page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
            assert seen[0] <= width
            assert width < 1280 or seen[1] <= height, "six units fit a screen without scrolling"
            assert await page.eval_on_selector_all(".card *:not(svg *)", CUT_OFF) == [], (language, width)
        await page.close()
