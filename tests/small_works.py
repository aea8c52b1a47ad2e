"""A small plant from 1 January to 10 February 2026 whose facts are known numbers, in a real embedded historian."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from historian.connect import connect
from historian.historian import Historian
from historian.records import sample_point
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.fact import Fact
from shopfloor.instant import HOUR, SECOND, Instant, parse_instant
from shopfloor.plant import Plant
from shopfloor.plant_file import load
from shopfloor.quality import COMM_LOST, Quality, Reason, Status
from shopfloor.sample import Sample
from tests.filled_plant import write_facts

PLANT_FILE = Path(__file__).parent / "small_works.yaml"
RINGS = np.loadtxt(Path(__file__).parent / "unit" / "kpi" / "piston_rings.txt")
FIRST, SECOND_STEP, METER = (
    "works/machining/line-1/cnc-01",
    "works/machining/line-1/cnc-02",
    "works/utilities/intake/meter",
)
START = parse_instant("2026-01-01T00:00:00+07:00")
END = parse_instant("2026-02-10T00:00:00+07:00")
"""The plant's now."""
MEASURED = parse_instant("2026-01-05T07:00:00+07:00")
"""Piston rings are measured from then on, one each 30 s, polled three times each."""
RING_S = 30
DAYS = 40
METER_DAY = {
    "observed_s": 86_400.0,
    "energy_kwh": 900.0,
    "unattributed_energy_kwh": 100.0,
    "peak_kwh": 200.0,
    "off_peak_kwh": 800.0,
    "energy_cost": 200 * 1500.0 + 800 * 1000.0,
    "carbon_kg": 870.0,
    "reactive_kvarh": 700.0,
    "demand_max_kw": 250.0,
}


@contextmanager
def small_works(place: Path | str) -> Iterator[Store]:
    """The store of the small works, filled, in a directory or a database by its URL."""
    plant, historian = load(PLANT_FILE), connect(str(place))
    for path, elements in ((FIRST, first_day), (SECOND_STEP, second_day), (METER, meter_day)):
        facts = [_fact(path, number, elements(number)) for number in range(DAYS)]
        write_facts(historian, plant, plant.units[path], facts)
        _write(historian, plant, [Sample(unit=path, time=time, values={"energy_kwh": 1.0}) for time in (START, END)])
    _write(historian, plant, list(ring_samples()))
    try:
        yield Store(plant, historian, CatchUpClock(END), ledger_source=dict)
    finally:
        historian.close()


def noon(number: int) -> Instant:
    """The minute of the facts of day ``number`` from 0."""
    return START + (24 * number + 12) * HOUR


def first_day(number: int) -> dict[str, float]:
    """The first step on day ``number``: it uses ``number`` kWh more than its baseline says."""
    good = 100.0 + 10 * number
    return {
        "running_s": 60.0,
        "observed_s": 60.0,
        "produced": good + 10,
        "good": good,
        "scrap": 10.0,
        "good_kg": 2 * good,
        "produced_kg": 2 * good + 20,
        "planned_run_s": 30 * (good + 10),
        "good_run_s": 30 * good,
        "energy_kwh": 20 + 0.5 * 2 * good + number,
        "idle_energy_kwh": 5.0,
        "peak_kwh": 10.0,
        "off_peak_kwh": 10 + good + number,
    }


def second_day(number: int) -> dict[str, float]:
    """The second step: nine of ten inspected parts are good at the first pass."""
    return {
        "running_s": 60.0,
        "observed_s": 60.0,
        "produced": 100.0,
        "good": 99.0,
        "rework": 1.0,
        "inspected": 50.0,
        "first_pass_good": 45.0,
    }


def meter_day(number: int) -> dict[str, float]:
    """The meter: every day alike, but the highest demand on day 20."""
    demand = 300.0 if number == 20 else 250.0
    return {**METER_DAY, "demand_max_kw": demand, "demand_max_kw_at": float(noon(number))}


def ring_samples() -> Iterator[Sample]:
    """Diameters, each standing over three polls; a poll of doubtful and one of lost quality after each."""
    doubtful = {"cycle_time_s": Status(Quality.UNCERTAIN, Reason.OUT_OF_RANGE)}
    for number, ring in enumerate(RINGS.ravel()):
        at = MEASURED + number * RING_S * SECOND
        for poll in range(3):
            yield Sample(unit=FIRST, time=at + poll * 2 * SECOND, values={"state": 1, "cycle_time_s": float(ring)})
        yield Sample(unit=FIRST, time=at + 6 * SECOND, values={"state": 1, "cycle_time_s": 999.0}, status=doubtful)
        yield Sample(unit=FIRST, time=at + 8 * SECOND, values={"state": 1}, status={"cycle_time_s": COMM_LOST})


def _fact(path: str, number: int, elements: dict[str, float]) -> Fact:
    return Fact(path, noon(number), "pagi", "none" if path == METER else "disc", elements)


def _write(historian: Historian, plant: Plant, samples: list[Sample]) -> None:
    points = [sample_point(plant.enterprise, sample) for sample in samples]
    report = historian.write(points)
    assert len(report.accepted) == len(points), report.rejected
