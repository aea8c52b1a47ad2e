"""The Ceper plant with a morning of synthetic samples and their real facts in a real embedded historian."""

import asyncio
import random
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from devices.library import load as load_template
from historian.connect import connect
from historian.historian import Historian
from historian.records import (
    AgentWatermark,
    fact_point,
    loss_point,
    sample_point,
    stop_point,
    watermark_point,
)
from historian.schema import Grain
from ingest.facts_engine import FactsEngine
from kpi.facts.derive import derive
from kpi.facts.rollup import ShiftWindow, hour_facts, hour_losses, shift_facts, shift_losses, shift_windows
from kpi.plan import UnitPlan
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.columns import SampleColumns
from shopfloor.fact import Fact, Loss
from shopfloor.instant import HOUR, MINUTE, SECOND, Instant, parse_instant
from shopfloor.ledger import AgentLedger
from shopfloor.plant import Plant, WorkUnit
from shopfloor.plant_file import load
from shopfloor.quality import COMM_LOST
from shopfloor.sample import Sample, Value

PLANT_FILE = Path(__file__).parents[1] / "plants" / "ceper" / "plant.yaml"
END = parse_instant("2026-01-05T15:20:12+07:00")
"""The plant's now: in the afternoon shift."""
SliceT = TypeVar("SliceT", Fact, Loss)
SCAN = 10 * SECOND
"""Of the meter; the machines are read every 6 seconds."""
STILL = "ceper/machining/line-1/cnc-03"
"""Silent for the last minutes."""
AGENT = "edge-ceper-1"
# codes of the plant's state map with the mean length of a visit in seconds
VISITS = {1: 1500, 2: 260, 3: 700, 4: 240, 5: 150, 0: 400}
AFTER_RUN = (2, 2, 2, 3, 4, 4, 5, 0)
ENDING = {"cnc-01": 2, "press-01": 3}
"""What these machines do in the last five minutes."""
CYCLE_S = {"furnace-01": 2500.0, "cnc-01": 46.0, "cnc-02": 48.0, "cnc-03": 45.0, "press-01": 6.4}


@dataclass(frozen=True)
class FilledPlant:
    """A plant, its historian and its store at a fixed time."""

    plant: Plant
    historian: Historian
    store: Store
    ledger: AgentLedger


@contextmanager
def filled_plant(directory: Path, *, hours: int = 16) -> Iterator[FilledPlant]:
    """A new historian in ``directory`` with the last ``hours`` before END."""
    files, stored = _files(hours)
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)
    plant, historian = load(PLANT_FILE), connect(str(directory))
    ledger = AgentLedger(
        polled=stored + 12, appended=stored + 12, confirmed=stored, in_outbox=12, evicted=0, stored=stored, rejected=0
    )
    store = Store(plant, historian, CatchUpClock(END), ledger_source=lambda: {AGENT: ledger})
    try:
        yield FilledPlant(plant, historian, store, ledger)
    finally:
        historian.close()


@cache
def _files(hours: int) -> tuple[Mapping[str, bytes], int]:
    """The files of a historian that was filled and closed, and its number of samples: deriving it takes seconds."""
    plant = load(PLANT_FILE)
    with TemporaryDirectory() as folder:
        with closing(connect(folder)) as historian:
            stored = sum(fill(historian, plant, unit, hours) for unit in plant.units)
            watermark = AgentWatermark(AGENT, "a" * 32, END, END - 5 * SECOND, 0)
            _write(historian, [watermark_point(watermark)])
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}, stored


def fill(historian: Historian, plant: Plant, path: str, hours: int) -> int:
    """Write one unit's samples and facts; the number of samples."""
    unit = plant.units[path]
    tags = {tag.spec.name: tag.spec for tag in load_template(unit.device.template).tags}
    samples = list(_machine(path, hours) if unit.is_machine else _meter(path, hours))
    first, last = samples[0].time, samples[-1].time
    columns = SampleColumns.of(path, samples)
    derived = derive(UnitPlan(unit, tags), columns, (first - first % HOUR, last - last % MINUTE + MINUTE))
    _write(historian, [sample_point(plant.enterprise, sample) for sample in samples])
    write_facts(historian, plant, unit, derived.facts)
    write_losses(historian, plant, unit, derived.losses)
    _write(historian, [stop_point(plant.enterprise, stop) for stop in derived.stops])
    return len(samples)


def write_facts(historian: Historian, plant: Plant, unit: WorkUnit, facts: list[Fact]) -> None:
    """Write one unit's minute facts at every grain."""
    shifts = [fact for shift, parts in _by_shift(unit, facts) for fact in shift_facts(shift, parts)]
    for grain, slices in ((Grain.MINUTE, facts), (Grain.HOUR, hour_facts(facts)), (Grain.SHIFT, shifts)):
        _write(historian, [fact_point(plant.enterprise, grain, fact) for fact in slices])


def write_losses(historian: Historian, plant: Plant, unit: WorkUnit, losses: list[Loss]) -> None:
    """The same for its minute losses."""
    shifts = [loss for shift, parts in _by_shift(unit, losses) for loss in shift_losses(shift, parts)]
    for grain, slices in ((Grain.MINUTE, losses), (Grain.HOUR, hour_losses(losses)), (Grain.SHIFT, shifts)):
        _write(historian, [loss_point(plant.enterprise, loss, grain) for loss in slices])


def _by_shift(unit: WorkUnit, minutes: list[SliceT]) -> Iterator[tuple[ShiftWindow, list[SliceT]]]:
    if not minutes:
        return
    start, end = min(each.time for each in minutes), max(each.time for each in minutes) + MINUTE
    for shift in shift_windows(unit, start, end):
        yield (
            shift,
            [
                each
                for each in minutes
                if each.shift == shift.shift and any(low <= each.time < high for low, high in shift.pieces)
            ],
        )


def _write(historian: Historian, points: list) -> None:
    report = historian.write(points)
    assert len(report.accepted) == len(points), report.rejected


def _times(path: str, hours: int) -> Iterator[Instant]:
    end = END - 7 * MINUTE if path == STILL else END
    step = SCAN if "meter" in path else 6 * SECOND
    yield from range(END - SECOND - hours * HOUR, end, step)


def _machine(path: str, hours: int) -> Iterator[Sample]:
    dice = random.Random(path)
    name = path.rsplit("/", 1)[1]
    code, until = 1, END - hours * HOUR + 900 * SECOND
    produced, scrap, energy, part = 100, 3, 5_000.0, 0.0
    away = END - 4 * HOUR, END - 4 * HOUR + 9 * MINUTE
    for time in _times(path, hours):
        if time >= until:
            code = dice.choice(AFTER_RUN) if code == 1 else 1
            until = time + int(dice.expovariate(1 / VISITS[code]) * SECOND) + 12 * SECOND
        if time >= END - 5 * MINUTE:
            code = ENDING.get(name, 1)
        energy += (22.0 if code == 1 else 3.0) * 6 / 3600
        if code == 1:
            part += 6 / CYCLE_S[name]
        whole = int(part)
        part -= whole
        produced += whole
        scrap += sum(dice.random() < 0.03 for _ in range(whole))
        if name == "cnc-02" and away[0] <= time < away[1]:
            yield Sample(unit=path, time=time, status=dict.fromkeys(("state", "produced", "power_kw"), COMM_LOST))
            continue
        values: dict[str, Value] = {
            "state": code,
            "produced": produced,
            "good": produced - scrap,
            "scrap": scrap,
            "energy_kwh": round(energy, 3),
            "power_kw": 22.0 if code == 1 else 3.0,
        }
        if name.startswith("cnc"):
            values["product_code"] = 1
        yield Sample(unit=path, time=time, values=values)


def _meter(path: str, hours: int) -> Iterator[Sample]:
    dice, energy = random.Random(path), 812_000.0
    power = 520.0
    for time in _times(path, hours):
        power = min(900.0, max(180.0, power + dice.uniform(-14, 14)))
        energy += power * SCAN / HOUR
        yield Sample(unit=path, time=time, values={"energy_kwh": round(energy, 2), "power_kw": round(power, 1)})


async def settle(filled: FilledPlant) -> None:
    """Let the real facts engine derive what statements made dirty."""
    plans = filled.store.plans
    marks = {"watermark": lambda unit: END - 5 * SECOND, "stored_watermark": lambda unit, before: END - 5 * SECOND}
    engine = FactsEngine(filled.historian, plans, filled.plant.enterprise, CatchUpClock(END), **marks)
    await engine.resume()
    running = asyncio.create_task(engine.run())
    try:
        async with asyncio.timeout(60):
            await engine.settle()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
