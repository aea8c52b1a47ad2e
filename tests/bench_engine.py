"""What the facts engine costs, live and for a backfill: ``python -m tests.bench_engine [live|backfill]``.

The embedded historian in a temporary folder and the engine with its own cadence. Exit 1 when a limit is missed.
"""

import argparse
import asyncio
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

from historian.connect import connect
from historian.historian import Historian
from historian.point import Point, Query
from historian.records import Dirty, dirty_point, sample_point
from historian.schema import Measurement
from ingest.derivation_pass import DerivationPass, Owed
from ingest.facts_engine import FactsEngine
from ingest.unit_derivation import UnitDerivation
from kpi.plan import UnitPlan
from shopfloor.clock import SystemClock
from shopfloor.dated import Dated
from shopfloor.instant import HOUR, SECOND, Instant, floor_to
from shopfloor.sample import Sample
from shopfloor.tag import TagKind, TagSpec
from tests.production import START, STATES, THREE_SHIFTS, WH, counter, work_unit

ENTERPRISE = "logam"
DAY = 24 * HOUR
LIVE_LIMIT_MS = 1.0
BACKFILL_LIMIT_MIN = 20.0
BACKFILL_DAYS = 50 * 365
PROCESSES = 2
POWER = TagSpec(name="power_kw", kind=TagKind.GAUGE, unit="kW")
TEMPERATURE = TagSpec(name="temperature_c", kind=TagKind.GAUGE, unit="°C")
STATE = TagSpec(name="state", kind=TagKind.STATE, unit="")


def plan_of(number: int) -> UnitPlan:
    """A machine with a state, two counters and two gauges, read once a second, in three shifts."""
    unit = work_unit(
        f"ceper/machining/line-{number // 10}/cnc-{number:02}",
        states=Dated.always(STATES),
        calendar=Dated.always(THREE_SHIFTS),
    )
    return UnitPlan(unit, {spec.name: spec for spec in (STATE, counter("good"), WH, POWER, TEMPERATURE)})


def samples(unit: str, start: Instant, seconds: int, seed: int) -> Iterator[Sample]:
    """A machine that runs nine minutes of ten, makes a piece in ten seconds, stops and sets up now and then."""
    for index in range(seconds):
        at = start // SECOND + index + seed * 37
        running = at % 600 < 540
        state = 1 if running else 2 + at // 600 % 3
        values = {
            "state": state,
            "good": at // 600 * 54 % 65_536 + min(at % 600, 540) // 10,
            "energy_kwh": at * 3 % 2**31 / 1000,
            "power_kw": round(9 + 3 * math.sin(at / 40), 3) if running else 1.5,
            "temperature_c": round(40 + 5 * math.sin(at / 900), 2),
        }
        yield Sample(unit=unit, time=start + index * SECOND, values=values)


def points_of(all_samples: Sequence[Sample], stamp: Instant) -> tuple[list[Dirty], list[Point]]:
    """The samples with one dirty interval per unit, as ingest writes them."""
    spans: dict[str, tuple[Instant, Instant]] = {}
    for sample in all_samples:
        low, high = spans.get(sample.unit, (sample.time, sample.time + 1))
        spans[sample.unit] = min(low, sample.time), max(high, sample.time + 1)
    dirties = [Dirty(unit, stamp + index, *span) for index, (unit, span) in enumerate(spans.items())]
    written = [dirty_point(ENTERPRISE, each) for each in dirties]
    return dirties, written + [sample_point(ENTERPRISE, each) for each in all_samples]


def write_all(historian: Historian, points: Sequence[Point]) -> None:
    for first in range(0, len(points), 20_000):
        historian.write(points[first : first + 20_000])


async def live(machines: int, seconds: int) -> float:
    """CPU milliseconds per machine and second of the facts engine; the writing of samples is left out."""
    plans = {plan.path: plan for plan in map(plan_of, range(machines))}
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        historian = connect(folder)
        engine = FactsEngine(historian, plans, ENTERPRISE, clock)
        running = asyncio.create_task(engine.run(), name="facts engine")
        began = floor_to(clock.now(), SECOND)
        for number, unit in enumerate(plans):
            past = list(samples(unit, began - 2 * HOUR, 2 * 3600, number))
            dirties, points = points_of(past, began + number)
            write_all(historian, points)
            engine.notify(dirties)
        await engine.settle()
        feeds = [samples(unit, began, seconds, number) for number, unit in enumerate(plans)]
        cpu, writing, passes = time.process_time(), 0.0, engine.passes
        deadline = time.monotonic()
        for tick in zip(*feeds, strict=True):
            deadline += 1.0
            before = time.process_time()
            dirties, points = points_of(tick, clock.now())
            historian.write(points)
            engine.notify(dirties)
            writing += time.process_time() - before
            await asyncio.sleep(max(deadline - time.monotonic(), 0.0))
        await engine.settle()
        spent = time.process_time() - cpu - writing
        stored = historian.count(Query(Measurement.FACTS))
        print(f"live: {engine.passes - passes} derivations of a unit, {stored} minute facts", flush=True)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        historian.close()
    return spent * 1000 / machines / seconds


def backfill_one(folder: str, first: int, count: int) -> None:
    """Derive these machines' days and print the seconds; what a process of a backfill does."""
    historian = connect(folder)
    began, cpu = time.monotonic(), time.process_time()
    for number in range(first, first + count):
        plan = plan_of(number)
        query = Query(Measurement.SAMPLES, plan.unit.path.tags(), limit=1)
        start = historian.read(query)[0].time
        owed = Owed(
            UnitDerivation(historian, plan, ENTERPRISE), [Dirty(plan.path, START, start, start + 400 * DAY)], None
        )
        DerivationPass(historian, ENTERPRISE, [owed], START).run()
    print(time.monotonic() - began, time.process_time() - cpu)
    historian.close()


def backfill(machines: int, days: int) -> tuple[float, float]:
    """Seconds and CPU seconds per machine-day, read from the store, derived and written, by two processes at once.

    The start of the processes is left out: a backfill pays it once.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        historian = connect(folder)
        for number in range(machines):
            made = list(samples(plan_of(number).path, START, days * 86_400, number))
            write_all(historian, points_of(made, START + number)[1])
        share = machines // PROCESSES
        command = [sys.executable, "-m", "tests.bench_engine", "part", folder]
        parts = [
            subprocess.Popen([*command, str(part * share), str(share)], stdout=subprocess.PIPE, text=True)
            for part in range(PROCESSES)
        ]
        told = [part.communicate()[0].split() for part in parts]
        codes = [part.returncode for part in parts]
        facts = historian.count(Query(Measurement.FACTS))
        historian.close()
    if any(codes) or facts < machines * days * 1_440:
        raise RuntimeError(f"the backfill failed: {codes}, {facts} facts")
    spent = max(float(wall) for wall, _ in told)
    return spent / (machines * days), sum(float(cpu) for _, cpu in told) / (machines * days)


def main() -> int:
    """Print each figure beside its limit; 1 when one does not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", default=["live", "backfill"])
    parser.add_argument("--machines", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--days", type=int, default=4)
    arguments = parser.parse_args()
    if arguments.what[0] == "part":
        folder, first, count = arguments.what[1:]
        backfill_one(folder, int(first), int(count))
        return 0
    held = True
    if "live" in arguments.what:
        cost = asyncio.run(live(arguments.machines, arguments.seconds))
        held &= cost < LIVE_LIMIT_MS
        print(f"live: {cost:.2f} ms CPU per machine and second (limit {LIVE_LIMIT_MS})", flush=True)
    if "backfill" in arguments.what:
        each, cpu = backfill(4, arguments.days)
        minutes = each * BACKFILL_DAYS / 60
        held &= minutes < BACKFILL_LIMIT_MIN
        print(
            f"backfill: {each * 1000:.0f} ms per machine-day with {PROCESSES} processes, {cpu * 1000:.0f} ms CPU; "
            f"50 machines for a year {minutes:.1f} min (limit {BACKFILL_LIMIT_MIN:.0f})",
            flush=True,
        )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
