"""How long a KPI query over a year of 50 machines by day takes, from the embedded historian.

``python -m tests.bench_query``. The historian is filled with a year of facts by shift and hour as the engine writes
them: three shifts a day, two products (a change within one shift of each day), 25 columns a record. Filling is not
counted, nor is the first question, which opens the files. Each question is asked three times and the quickest counts:
a busy machine makes the others slower.
"""

import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from historian.connect import connect
from historian.historian import Historian
from historian.point import Point
from historian.records import AgentWatermark, fact_point, sample_point, watermark_point
from historian.schema import Grain
from kpi.plan import calendar_spans
from kpi_api.questions import By
from kpi_api.schemas import Items, Kpi
from kpi_api.store import Store
from shopfloor.calendar import Planned
from shopfloor.clock import CatchUpClock
from shopfloor.fact import Fact
from shopfloor.instant import HOUR, Instant, ceil_to, floor_to, parse_instant
from shopfloor.plant import Agent, Area, Plant, Site, WorkCenter, WorkUnit
from shopfloor.plant_file import load
from shopfloor.sample import Sample

PLANT_FILE = Path(__file__).parents[1] / "plants" / "ceper" / "plant.yaml"
MODEL = "ceper/machining/line-1/cnc-01"
MACHINES, DAYS = 50, 365
START = parse_instant("2025-01-06T06:00:00+07:00")
END = START + DAYS * 24 * HOUR
PRODUCTS = ("brake-disc", "pump-housing")
PRI_S = {"brake-disc": 42.0, "pump-housing": 65.0}
GROUP = 20_000
TIMES = 3
LIMIT_S = 1.0


def fleet(machines: int = MACHINES) -> Plant:
    """The example plant with so many machines like its first CNC, ten to a line."""
    plant = load(PLANT_FILE)
    model = plant.units[MODEL]
    units: list[WorkUnit] = []
    for number in range(machines):
        path = replace(model.path, work_center=f"line-{number // 10}", work_unit=f"cnc-{number:02}")
        units.append(replace(model, path=path))
    lines = tuple(
        WorkCenter(f"line-{number}", {}, None, tuple(units[number * 10 : number * 10 + 10]))
        for number in range((machines + 9) // 10)
    )
    site = plant.sites[0]
    paths = tuple(str(unit.path) for unit in units)
    return replace(
        plant,
        sites=(Site(site.id, site.name, site.timezone, site.policy, site.energy, (Area("machining", {}, lines),)),),
        units=dict(zip(paths, units, strict=True)),
        agents={"edge": Agent("edge", paths, 1_000)},
    )


def fill(historian: Historian, plant: Plant, start: Instant = START, end: Instant = END) -> int:
    """A year of facts for every machine, its first and last sample, and a watermark; the number of points."""
    written, group = 0, []
    for point in _points(plant, start, end):
        group.append(point)
        if len(group) == GROUP:
            written += _write(historian, group)
            group = []
    return written + _write(historian, group)


def _write(historian: Historian, points: list[Point]) -> int:
    report = historian.write(points)
    assert len(report.accepted) == len(points), report.rejected
    return len(points)


def _points(plant: Plant, start: Instant, end: Instant) -> Iterator[Point]:
    yield watermark_point(AgentWatermark("edge", "a" * 32, end, end + 24 * HOUR, 0))
    for path in plant.units:
        for at in (start, end - 1_000):
            yield sample_point(plant.enterprise, Sample(unit=path, time=at, values={"state": 1.0}))
    spans = calendar_spans(next(iter(plant.units.values())), start, end)
    shifts = sorted({(span.shift_start, span.shift) for span in spans})
    for path in plant.units:
        dice = random.Random(path)
        for number, (since, shift) in enumerate(shifts):
            until = shifts[number + 1][0] if number + 1 < len(shifts) else end
            breaks = sum(
                span.end - span.start
                for span in spans
                if since <= span.start < until and span.planned is not Planned.BUSY
            )
            yield from _shift(plant, path, shift, since, until, breaks / 1000, number, dice)


def _shift(
    plant: Plant,
    path: str,
    shift: str,
    since: Instant,
    until: Instant,
    breaks_s: float,
    number: int,
    dice: random.Random,
) -> Iterator[Point]:
    """A shift's facts: of one product, or of two in every third shift; and its hours."""
    made = PRODUCTS if number % 3 == 0 else PRODUCTS[number % 2 :][:1]
    length = (until - since) / 1000 / len(made)
    for product in made:
        elements = _elements(length, breaks_s / len(made), product, dice)
        yield fact_point(plant.enterprise, Grain.SHIFT, Fact(path, since, shift, product, elements))
        hours = range(ceil_to(since, HOUR), floor_to(until, HOUR), HOUR)
        share = {name: value / len(hours) for name, value in elements.items()}
        for hour in hours:
            yield fact_point(plant.enterprise, Grain.HOUR, Fact(path, hour, shift, product, share))


def _elements(length_s: float, breaks_s: float, product: str, dice: random.Random) -> dict[str, float]:
    lost = {name: round(dice.uniform(20, 900), 3) for name in ("setup_s", "starved_s", "blocked_s", "no_order_s")}
    lost |= {"unplanned_stop_s": round(dice.uniform(100, 2_000), 3), "micro_stop_s": round(dice.uniform(50, 600), 3)}
    running = round(length_s - breaks_s - sum(lost.values()), 3)
    produced = float(int(running / PRI_S[product] * 0.93))
    scrap = float(dice.randint(0, 6))
    kwh = round(running / 3600 * 22, 3)
    return {
        **lost,
        "planned_stop_s": breaks_s,
        "running_s": running,
        "observed_s": length_s,
        "produced": produced,
        "good": produced - scrap,
        "scrap": scrap,
        "planned_run_s": produced * PRI_S[product],
        "good_run_s": (produced - scrap) * PRI_S[product],
        "produced_kg": produced * 6.2,
        "good_kg": (produced - scrap) * 6.2,
        "energy_kwh": kwh,
        "idle_energy_kwh": round(kwh * 0.08, 3),
        "peak_kwh": round(kwh * 0.2, 3),
        "off_peak_kwh": round(kwh * 0.8, 3),
        "energy_cost": round(kwh * 1_140.0, 2),
        "carbon_kg": round(kwh * 0.87, 3),
        "unplanned_stops": float(dice.randint(0, 5)),
        "micro_stops": float(dice.randint(0, 12)),
        "repair_s": round(lost["unplanned_stop_s"] * 0.6, 3),
        "failures": float(dice.randint(0, 2)),
    }


def asked(store: Store, unit: str, by: By) -> tuple[float, float]:
    """Seconds and processor seconds of one question, each item's OEE looked at: the quickest of some."""
    found = []
    for _ in range(TIMES):
        began, used = time.perf_counter(), time.process_time()
        items = store.kpi_items(unit, START, END, by)
        assert any(item.kpis["oee_index"] for item in items)
        for item in items:
            item.kpis["oee_index"]
        found.append((time.perf_counter() - began, time.process_time() - used))
    seconds, cpu = (round(min(each), 3) for each in zip(*found, strict=True))
    print(f"{unit} by={by}: {len(items)} items in {seconds:.3f} s, {cpu:.3f} s of processor time", flush=True)
    return seconds, cpu


def as_json(store: Store) -> float:
    """Processor seconds that the same answer by day takes beyond the items, as JSON."""
    items = store.kpi_items("*", START, END, By.DAY)
    used = time.process_time()
    text = Items[Kpi](items=[Kpi.model_validate(item) for item in items]).model_dump_json()
    spent = round(time.process_time() - used, 3)
    print(f"as JSON: {len(text) / 1e6:.0f} MB in {spent:.3f} s more of processor time", flush=True)
    return spent


def main(argv: list[str]) -> int:
    """Fill, ask, print the seconds; exit 1 when a year of 50 machines by day takes a second or more."""
    plant = fleet()
    with tempfile.TemporaryDirectory(prefix="bench-query-") as folder:
        folder = argv[1] if len(argv) > 1 else folder
        historian = connect(folder)
        store = Store(plant, historian, CatchUpClock(END))
        began = time.perf_counter()
        written = 0 if len(argv) > 1 and store.horizons() else fill(historian, plant)
        print(f"filled with {written} points in {time.perf_counter() - began:.1f} s", flush=True)
        store.kpi_items(next(iter(plant.units)), START, START + 24 * HOUR)
        found = {by.value: asked(store, "*", by) for by in (By.DAY, By.TOTAL, By.MONTH)}
        found["place"] = asked(store, plant.enterprise, By.DAY)
        rendering = as_json(store)
        historian.close()
    query, cpu = ({name: times[index] for name, times in found.items()} for index in (0, 1))
    holds = query["day"] < LIMIT_S
    print(json.dumps({"query_s": query, "cpu_s": cpu, "json_cpu_s": rendering, "limit_s": LIMIT_S, "holds": holds}))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
