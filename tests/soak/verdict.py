"""From the drained plant to the verdict: settle, ask the API, compare, say what does not hold."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import httpx

from devices.library import load as load_template
from historian.connect import connect
from historian.historian import Historian
from historian.point import Point, Query
from historian.records import point_dirty
from historian.schema import Measurement
from shopfloor.clock import SystemClock
from shopfloor.errors import ShopfloorError
from shopfloor.instant import MINUTE, Instant, ceil_to, floor_to, format_instant
from simulators.factory import Factory
from simulators.journal import Entry, Journal
from tests.soak.books import SHOWN, Books, compared, outboxes, stored_samples
from tests.soak.memory import Memory
from tests.soak.oracle import continuous_s, expected, seen_merged
from tests.soak.works import SCAN_S, Outage, Works

PATIENCE_S = 180.0
QUIET_SAMPLES = 12
"""So many samples per agent are on their way while all is well: three of each unit."""
KPI_ERROR = 0.002
PRECISE_S = 0.3
"""How well the begin and end of an outage are known, beside the two scans."""
LATE_POLL_MS = 2_000
"""A value holds so long (the plant file's ``max_age``)."""
STARVED_MS = 4_500
"""The longest pause that a busy machine explains, beside what its processes waited for a processor."""
CLEAR_MS = 2_500
"""What is so near an outage belongs to it."""
Answer = TypeVar("Answer")
KPIS = ("availability", "effectiveness", "quality_ratio", "oee_index")


@dataclass
class Verdict:
    """What a run has shown."""

    faults: int = 0
    books: Books = field(default_factory=Books)
    kpi_error: float = 0.0
    unknown_s_error: float = 0.0
    drain_s: float = 0.0
    rss_mb: dict[str, float] = field(default_factory=dict)
    slope_mb_per_h: dict[str, float] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def line(self) -> str:
        """The last line."""
        books = self.books
        told: dict[str, Any] = {
            "faults": self.faults,
            "polled": books.polled,
            "appended": books.appended,
            "stored": books.stored,
            "lost": len(books.lost),
            "phantom": len(books.phantom),
            "wrong": len(books.wrong),
            "unpersisted": books.unpersisted,
            "kpi_error": round(self.kpi_error, 6),
            "unknown_s_error": round(self.unknown_s_error, 3),
            "drain_s": round(self.drain_s, 1),
            "rss_mb": self.rss_mb,
            "slope_mb_per_h": self.slope_mb_per_h,
            **self.details,
            "broken": self.broken[:SHOWN],
        }
        return json.dumps(told)


async def drained(works: Works) -> float:
    """Seconds until the agents hold no more than what is on its way in any moment. All links are well again."""
    began = time.monotonic()
    for link in works.links.values():
        link.mend()
    while any(works.wire.unsettled(agent) > QUIET_SAMPLES for agent in works.agents):
        if time.monotonic() - began > PATIENCE_S:
            works.tell("the backlog does not drain", **{agent: works.wire.unsettled(agent) for agent in works.agents})
            break
        await asyncio.sleep(0.1)
    return time.monotonic() - began


async def at_rest(works: Works, verdict: Verdict) -> None:
    """Let the agents poll no more and send the rest, then wait for the facts."""
    codes = await asyncio.gather(*(works.children[agent].stop(PATIENCE_S) for agent in works.agents))
    verdict.broken += [
        f"{agent} ended with {code}: {works.children[agent].words()[-200:]}"
        for agent, code in zip(works.agents, codes, strict=True)
        if code
    ]
    with closing(connect(works.store_url)) as historian:
        await _settled(works, historian, verdict)


async def _settled(works: Works, historian: Historian, verdict: Verdict) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        dirty = [each for each in map(point_dirty, await asyncio.to_thread(_dirty, historian)) if not each.done]
        if not dirty:
            return
        if time.monotonic() > deadline:
            verdict.broken.append(f"{len(dirty)} dirty intervals are never derived, e.g. {dirty[0]}")
            return
        await asyncio.sleep(0.2)


def _dirty(historian: Historian) -> list[Point]:
    return _patiently(partial(historian.read, Query(Measurement.DIRTY)), ShopfloorError)


def _patiently(ask: Callable[[], Answer], refusal: type[Exception]) -> Answer:
    """The answer of a server that a busy machine may keep from answering in time."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask()
        except refusal:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def judge(works: Works, verdict: Verdict) -> None:
    """Compare everything. The agents have ended; API and historian still run."""
    with closing(connect(works.store_url)) as historian:
        stored = _patiently(partial(stored_samples, historian, works.plant), ShopfloorError)
    committed = [each for agent in works.agents for each in outboxes(agent, works.outbox_files(agent))]
    journal = list(journal_entries(works.journal))
    books = verdict.books = compared(
        stored, journal, works.wire.outboxes, committed, waited_s=partial(_waited_s, works)
    )
    kills = sum(works.children[agent].kills * len(works.units_of(agent)) for agent in works.agents)
    promises = {
        f"lost {len(books.lost)}, e.g. {books.lost[:3]}": not books.lost,
        f"phantom {len(books.phantom)}, e.g. {books.phantom[:3]}": not books.phantom,
        f"wrong {len(books.wrong)}, e.g. {books.wrong[:3]}": not books.wrong,
        f"stored {books.stored}, appended {books.appended}": books.stored == books.appended,
        f"unpersisted {books.unpersisted}, at most {kills} by kills": books.unpersisted <= kills,
        f"not at rest: {books.left}": not books.left,
    }
    verdict.broken += [promise for promise, holds in promises.items() if not holds]
    verdict.broken += [str(crash) for crash in works.crashes]
    verdict.broken += [f"{name} has told a traceback" for name in works.tracebacks()]
    verdict.details |= {
        "unanswered": books.unanswered,
        "undelivered": books.undelivered,
        "may_be_unpersisted": kills,
        "outages": len(works.outages),
        "messages": works.wire.messages,
        "lost_of": dict(+books.lost_of),
    }
    _judge_kpis(works, verdict)
    _judge_ledger(works, verdict)


def journal_entries(path: Path) -> Iterator[Entry]:
    """What the simulators have written so far."""
    scratch = path.with_name("journal.copy.jsonl")  # the simulators still have it open
    scratch.write_bytes(path.read_bytes())
    journal = Journal(scratch)
    try:
        yield from journal.entries()
    finally:
        journal.close()


def _asked(works: Works, path: str, **parameters: str) -> Any:
    def ask() -> Any:
        answer = httpx.get(f"http://127.0.0.1:{works.api_port}/api/v1/{path}", params=parameters, timeout=60.0)
        answer.raise_for_status()
        return answer.json()

    return _patiently(ask, httpx.HTTPError)


def _judge_kpis(works: Works, verdict: Verdict) -> None:
    times = [time for readings in verdict.books.readings.values() for time, _ in readings]
    if not times:
        verdict.broken.append("nothing is stored")
        return
    start, end = floor_to(min(times), MINUTE), ceil_to(max(times) + 1, MINUTE)
    window = {"from": format_instant(start), "to": format_instant(end)}
    factory = Factory(
        works.plant,
        seed=works.seed,
        epoch=works.epoch,
        clock=SystemClock(),
        journal_path=works.folder / "oracle.jsonl",
        templates=load_template,
    )
    worst_share = 0.0
    for path, unit in works.plant.units.items():
        if not unit.is_machine:
            continue
        if not (readings := verdict.books.readings[path]):
            verdict.broken.append(f"{path}: nothing is stored")
            continue
        asked = SystemClock().now()
        (item,) = _asked(works, "kpis", unit=path, **window)["items"]
        answered = SystemClock().now()
        script, elements = factory.script(path), item["elements"]
        truth = expected(unit, script, readings)
        for name in KPIS:
            seen, true = item["kpis"][name], truth.kpis()[name]
            error = 0.0 if seen is None and true is None else abs((seen or 0.0) - (true or 0.0))
            verdict.kpi_error = max(verdict.kpi_error, error)
            if error >= KPI_ERROR:
                verdict.broken.append(f"{path}: {name} is {seen}, in truth {true}")
        counted = sum(elements.get(name) or 0.0 for name in ("produced", "setup_produced", "unattributed_produced"))
        made = truth.produced + truth.setup_produced + truth.unattributed
        if counted != made:
            verdict.broken.append(f"{path}: {counted} pieces are counted, {made} were made")
        silent_s = [_silent_s(readings, start, min(end, now), unit.max_age_ms) for now in (asked, answered)]
        unknown_s = (elements.get("unknown_s") or 0.0) - silent_s[0]
        waited_s = silent_s[1] - silent_s[0]
        if not -PRECISE_S < unknown_s - truth.seconds["unknown"] < waited_s + PRECISE_S:
            verdict.broken.append(f"{path}: {unknown_s} s unknown, by the stored readings {truth.seconds['unknown']}")
        unknown_s -= min(waited_s, max(0.0, unknown_s - truth.seconds["unknown"]))
        _judge_unknown(works, verdict, path, unknown_s, readings)
        worst_share = max(worst_share, _share_of_bound(verdict, path, seen_merged(elements), unit, script, readings))
    verdict.details["worst_of_scan_bound"] = round(worst_share, 3)


def _silent_s(readings: Any, start: Instant, end: Instant, max_age_ms: int) -> float:
    """The answer's unknown time before the first sample, and after the last has aged."""
    first, last = readings[0][0], readings[-1][0]
    return (max(0, first - start) + max(0, end - last - max_age_ms)) / 1000


def _judge_unknown(works: Works, verdict: Verdict, path: str, unknown_s: float, readings: Any) -> None:
    first, last = readings[0][0], readings[-1][0]
    outages = [each for each in works.outages if each.unit == path and each.end > first and each.start < last]
    starved = _starved(works, path, readings, outages)
    injected_s = _united_s([*outages, *starved], first, last)
    verdict.details["starved"] = verdict.details.get("starved", 0) + len(starved)
    waited_s = sum(_waited_s(works, path, each.start - CLEAR_MS, each.end + CLEAR_MS) for each in outages)
    verdict.details["waited_s"] = round(verdict.details.get("waited_s", 0.0) + waited_s, 1)
    error, bound = unknown_s - injected_s, (2 * SCAN_S + PRECISE_S) * len(outages) + PRECISE_S + waited_s
    verdict.unknown_s_error = max(verdict.unknown_s_error, abs(error), key=abs)
    verdict.details["unknown_s"] = round(verdict.details.get("unknown_s", 0.0) + unknown_s, 1)
    verdict.details["injected_s"] = round(verdict.details.get("injected_s", 0.0) + injected_s, 1)
    if abs(error) > bound:
        verdict.broken.append(
            f"{path}: {unknown_s:.1f} s are unknown, {injected_s:.1f} s were injected in {len(outages)} outages"
        )


def _waited_s(works: Works, path: str, start: Instant, end: Instant) -> float:
    """What a unit's agent, its device and we between them waited for a processor."""
    agent = next(agent for agent in works.agents if path in works.units_of(agent))
    return works.waits.between_s((agent, "simulators"), start, end)


def _starved(works: Works, path: str, readings: Any, outages: list[Outage]) -> list[Outage]:
    """Polls that came late or not at all because the machine was busy: nobody's fault, if no longer than that."""
    found = []
    for (read, entry), (following, _) in pairwise(readings):
        low, high = read + LATE_POLL_MS, following
        near = any(each.start - CLEAR_MS < high and low < each.end + CLEAR_MS for each in outages)
        if entry is None or following - read <= LATE_POLL_MS or near:
            continue
        if following - read <= STARVED_MS + 1000 * _waited_s(works, path, read, following):
            found.append(Outage(path, low, high, "busy machine"))
    return found


def _united_s(outages: list[Outage], first: Instant, last: Instant) -> float:
    length, until = 0, first
    for each in sorted(outages, key=lambda each: each.start):
        low, high = max(each.start, until), min(each.end, last)
        if low < high:
            length, until = length + high - low, high
    return length / 1000


def _share_of_bound(
    verdict: Verdict, path: str, seen: dict[str, float], unit: Any, script: Any, readings: Any
) -> float:
    """How much of a scan per border the categories are off from continuous time."""
    true, bounds = continuous_s(script, unit, readings)
    worst: float = 0.0
    for name in true.keys() | bounds.keys():
        error = abs(seen.get(name, 0.0) - true[name])
        if error > bounds[name] + 0.001:
            verdict.broken.append(f"{path}: {name} is off by {error:.3f} s, at most {bounds[name]} s")
        worst = max(worst, error / bounds[name] if bounds[name] else 0.0)
    return worst


def _judge_ledger(works: Works, verdict: Verdict) -> None:
    """The ledger that the API tells must be the one that was just counted."""
    told = {each["agent"]: each for each in _asked(works, "ledger")["items"]}
    for agent in works.agents:
        counts = told.get(agent)
        if counts is None:
            verdict.broken.append(f"the API's ledger does not know {agent}")
        elif not counts["appended"] == counts["confirmed"] == counts["stored"] or counts["in_outbox"]:
            verdict.broken.append(f"the API's ledger does not balance: {counts}")
    appended = sum(each["appended"] for each in told.values())
    if appended != verdict.books.appended:
        verdict.broken.append(f"the API's ledger tells {appended} appended, the outboxes {verdict.books.appended}")


async def farewell(works: Works, verdict: Verdict, memory: Memory) -> None:
    """End what still runs, as an operator does."""
    verdict.rss_mb, verdict.slope_mb_per_h = memory.peaks_mb(), memory.slopes_mb_per_h()
    ours = [name for name in ("ingest-1", "ingest-2", "api", "simulators") if name in works.children]
    codes = await asyncio.gather(*(works.children[name].stop() for name in ours))
    verdict.broken += [f"{name} ended with {code}" for name, code in zip(ours, codes, strict=True) if code]
