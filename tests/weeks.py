"""Simulated weeks against the simulator's own truth: ``python -m tests.weeks --seeds 1-5 --days 7``.

Readings on the scan grid enter at the outbox and run the whole wire (forwarder, mosquitto, ingest, embedded historian,
facts engine); one hour goes through Modbus in full. On the way: a night shift, roll-overs, a cut line of 3 h whose data
come late and shuffled, duplicates, reason edits that are changed and undone. The last line is a JSON verdict.

Each border of a time category is seen at most one scan late, so a category of n transitions is right within n scans; an
unplanned stop whose length is within a scan of the micro-stop threshold may fall on either side of it. A KPI's bound
follows from those of its seconds: |error| <= (error of numerator + KPI x error of denominator) / denominator.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from cli.unit_plans import unit_plans
from historian.records import unit_query
from historian.schema import Measurement
from kpi.plan import ENERGY
from kpi_api.store import Store
from shopfloor.clock import SystemClock
from shopfloor.instant import HOUR, Instant, parse_instant
from shopfloor.machine_state import OUTSIDE_PBT, TimeCategory
from shopfloor.plant import WorkUnit
from simulators.truth import Truth
from tests.weeks_edits import People
from tests.weeks_wire import ROOT, Wire, weeks_plant, wired

START = parse_instant("2025-11-03T06:00:00+07:00")
"""A Monday, the morning shift's begin."""
OUTAGE = 3 * HOUR
QUANTITIES = ("produced", "good", "scrap", "setup_produced", "unscheduled_produced", "unscheduled_good")
FACTORS = ("availability", "effectiveness", "quality_ratio", "oee_index")
MEAN_ERROR_S = 0.1
ENOUGH = 1_000
"""Transitions of a category before its mean error must be small: with fewer, chance alone may exceed it."""
DUST = 1e-6


@dataclass
class Verdict:
    """What one seed showed."""

    seed: int
    samples: int = 0
    modbus_cycles: int = 0
    late_samples: int = 0
    doubled_messages: int = 0
    rollovers: int = 0
    resets: int = 0
    statements: int = 0
    changed: int = 0
    undone: int = 0
    transitions: dict[str, int] = field(default_factory=dict)
    error_s: dict[str, float] = field(default_factory=dict)
    """Category -> signed error over all machines."""
    worst_error_s: float = 0.0
    worst_of_bound: float = 0.0
    """The greatest share of its bound that a machine's category used."""
    quantity_difference: float = 0.0
    worst_kpi_error: float = 0.0
    seconds: float = 0.0
    phases_s: dict[str, float] = field(default_factory=dict)
    """Where they went."""
    broken: list[str] = field(default_factory=list)

    def mean_error_s(self) -> float:
        """The worst category's signed error per transition."""
        means = [self.error_s[name] / count for name, count in self.transitions.items() if count]
        return max(means, key=abs, default=0.0)


async def lived(seed: int, days: int, scan_s: int, folder: Path) -> Verdict:
    """One seed from the first reading to the last edit, then the comparison."""
    began = time.monotonic()
    rng = random.Random(f"{seed}/plan")
    end = START + days * 24 * HOUR
    cut = START + rng.randrange(days * 24 * 2 // 5) * HOUR + rng.randrange(HOUR)
    cut -= cut % (scan_s * 1000)
    hour = START + (days * 24 * 3 // 5) * HOUR
    plant, found = weeks_plant(folder, scan_s), Verdict(seed)

    def phase(name: str) -> None:
        found.phases_s[name] = round(time.monotonic() - began - sum(found.phases_s.values()), 1)

    async with wired(folder, plant, seed, START) as wire:
        people = People(wire.historian, plant, seed)
        async with wire.feeder() as feeder:
            found.samples += await feeder.feed(START, cut)
            await feeder.drained()
            feeder.link.open.clear()
            phase("before the outage")
            found.late_samples = await feeder.feed(cut, cut + OUTAGE)
            feeder.link.rough = True
            feeder.link.open.set()
            found.samples += found.late_samples + await feeder.feed(cut + OUTAGE, cut + OUTAGE + HOUR)
            await feeder.drained()
            feeder.link.rough = False
            phase("outage")
            found.samples += await feeder.feed(cut + OUTAGE + HOUR, hour)
            await feeder.drained()
            found.doubled_messages += feeder.link.doubled
        phase("after the outage")
        found.modbus_cycles = await wire.modbus(hour, hour + HOUR)
        phase("modbus")
        await wire.settled()
        await asyncio.to_thread(people.explain, START, hour)
        async with wire.feeder() as feeder:
            found.samples += await feeder.feed(hour + HOUR, end + 1)
            await feeder.drained()
            found.doubled_messages += feeder.link.doubled
        phase("the rest")
        await wire.settled()
        await asyncio.to_thread(people.explain, hour + HOUR, end)
        await asyncio.to_thread(people.change_their_minds)
        await wire.settled()
        phase("edits")
        await asyncio.to_thread(compare, wire, people, end, found)
        phase("comparison")
    found.seconds = round(time.monotonic() - began, 1)
    return found


def compare(wire: Wire, people: People, end: Instant, found: Verdict) -> None:
    """Everything that the store answers beside the truth."""
    found.statements, found.changed, found.undone = len(people.statements), people.changed, people.undone
    stored = sum(
        wire.historian.count(unit_query(Measurement.SAMPLES, wire.plant.enterprise, path)) for path in wire.plant.units
    )
    if stored != found.samples + found.modbus_cycles:
        found.broken.append(f"{found.samples} + {found.modbus_cycles} samples were sent, {stored} are stored")
    store, plans = Store(wire.plant, wire.historian, SystemClock()), unit_plans(wire.plant)
    for path, unit in wire.plant.units.items():
        (item,) = store.kpi_items(path, START, end)
        truth = wire.factory.truth(path, START, end, people.of(path))
        found.rollovers += round(item.elements.get("counter_rollovers", 0.0))
        found.resets += round(item.elements.get("counter_resets", 0.0))
        energy = item.elements.get("energy_kwh", 0.0)
        if abs(energy - truth.energy.total_kwh) > plans[path].tags[ENERGY].scale + DUST:  # one count of its register
            found.broken.append(f"{path}: {energy} kWh, in truth {truth.energy.total_kwh}")
        if unit.is_machine:
            found.broken += _broken(unit, item.elements, item.kpis, truth, found)


def _broken(
    unit: WorkUnit,
    elements: Mapping[str, float],
    kpis: Mapping[str, float | None],
    truth: Truth,
    found: Verdict,
) -> Iterator[str]:
    for name in QUANTITIES:
        difference = abs(elements.get(name, 0.0) - getattr(truth.quantities, name))
        found.quantity_difference += difference
        if difference:
            yield f"{unit.path}: {name} {elements.get(name, 0.0)}, in truth {getattr(truth.quantities, name)}"
    for name in ("planned_run_s", "good_run_s"):
        if abs(elements[name] - getattr(truth, name)) > DUST * elements[name]:
            yield f"{unit.path}: {name} {elements[name]}, in truth {getattr(truth, name)}"
    bounds = bounds_s(unit, truth)
    for category, bound in bounds.items():
        error = elements.get(f"{category}_s", 0.0) - truth.seconds.get(category, 0.0)
        found.transitions[category] = found.transitions.get(category, 0) + 2 * truth.spells.get(category, 0)
        found.error_s[category] = round(found.error_s.get(category, 0.0) + error, 3)
        found.worst_error_s = max(found.worst_error_s, round(abs(error), 3))
        found.worst_of_bound = max(found.worst_of_bound, round(abs(error) / bound, 3) if bound else 0.0)
        if abs(error) > bound + DUST:
            yield f"{unit.path}: {category} is wrong by {error:.3f} s, its bound is {bound} s"
    yield from _broken_kpis(unit, kpis, truth, bounds, found)


def _broken_kpis(
    unit: WorkUnit,
    kpis: Mapping[str, float | None],
    truth: Truth,
    bounds: Mapping[TimeCategory, float],
    found: Verdict,
) -> Iterator[str]:
    production = bounds[TimeCategory.RUNNING] + bounds[TimeCategory.MICRO_STOP]
    outside = sum(bounds[category] for category in OUTSIDE_PBT)  # PBT is the window without these
    errors = {
        "availability": (production, outside, truth.busy_s),
        "effectiveness": (0.0, production, truth.production_s),
        "quality_ratio": (0.0, 0.0, 1.0),
        "oee_index": (0.0, outside, truth.busy_s),
    }
    for name, (above, below, whole) in errors.items():
        seen, true = kpis[name], getattr(truth, name)
        if seen is None or true is None:
            yield f"{unit.path}: {name} is {seen}, in truth {true}"
            continue
        found.worst_kpi_error = max(found.worst_kpi_error, round(abs(seen - true), 6))
        if abs(seen - true) > (above + true * below) / (whole - below) + DUST:
            yield f"{unit.path}: {name} is {seen}, in truth {true}"


def bounds_s(unit: WorkUnit, truth: Truth) -> dict[TimeCategory, float]:
    """Category -> how far its seconds may be off: a scan per transition, and stops about as long as the threshold."""
    scan_s = unit.device.scan_ms / 1000
    threshold_s = unit.micro_stop_s.at(truth.start) or 0.0
    judged = (TimeCategory.MICRO_STOP, TimeCategory.UNPLANNED_STOP)
    lengths = [(each.end - each.start) / 1000 for each in truth.intervals if each.category in judged]
    doubtful = sum(length for length in lengths if abs(length - threshold_s) <= scan_s)
    return {
        category: 2 * scan_s * truth.spells.get(category, 0) + (doubtful if category in judged else 0.0)
        for category in TimeCategory
    }


def together(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The JSON verdict over all seeds."""
    transitions, errors = Counter[str](), Counter[str]()
    for verdict in verdicts:
        transitions.update(verdict.transitions)
        for name, error in verdict.error_s.items():
            errors[name] += error  # type: ignore[assignment]
    means = {name: round(errors[name] / count, 4) for name, count in transitions.items() if count}
    broken = [f"seed {verdict.seed}: {fault}" for verdict in verdicts for fault in verdict.broken]
    broken += [
        f"{name}: mean error {mean} s per transition, at most {MEAN_ERROR_S}"
        for name, mean in means.items()
        if transitions[name] >= ENOUGH and abs(mean) > MEAN_ERROR_S
    ]
    return {
        "verdict": "fail" if broken else "pass",
        "seeds": [verdict.seed for verdict in verdicts],
        "samples": sum(verdict.samples + verdict.modbus_cycles for verdict in verdicts),
        "transitions": sum(transitions.values()),
        "mean_error_s": means,
        "worst_error_s": max(verdict.worst_error_s for verdict in verdicts),
        "worst_of_bound": max(verdict.worst_of_bound for verdict in verdicts),
        "quantity_difference": sum(verdict.quantity_difference for verdict in verdicts),
        "worst_kpi_error": max(verdict.worst_kpi_error for verdict in verdicts),
        "broken": broken[:20],
    }


def one(seed: int, days: int, scan_s: int) -> Verdict:
    """One seed in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="weeks-") as folder:
        return asyncio.run(lived(seed, days, scan_s, Path(folder)))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1-5", help="1-5 or 3")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--scan", type=int, default=5, metavar="SECONDS", help="of all machines; the meter has 10 s")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    verdicts = []
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
        for verdict in pool.map(one, seeds, *([value] * len(seeds) for value in (arguments.days, arguments.scan))):
            verdicts.append(verdict)
            print(json.dumps({**asdict(verdict), "mean_error_s": round(verdict.mean_error_s(), 4)}), flush=True)
    result = together(verdicts)
    print(json.dumps(result))
    return 0 if result["verdict"] == "pass" else 1


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
