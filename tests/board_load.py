"""Ninety days of a works of 200 machines in InfluxDB, as its boards find it: made by the record functions, not derived.

Facts by shift and hour as the engine writes them, minutes and raw samples of the last hours, one line's of a day;
losses, stops, ledger, control charts, scores. What is published is what the KPI API's code tells of the first line; the
other lines have the same numbers under their own names.
"""

import random
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice, product
from pathlib import Path
from typing import Final

from msgspec import structs

from historian import schema
from historian.connect import connect
from historian.historian import Historian
from historian.lookups import lookup_points
from historian.point import Point
from historian.published import Score, published_point, score_point
from historian.records import (
    dead_letters_point,
    edge_ledger_point,
    fact_point,
    loss_point,
    sample_point,
    stop_point,
    unit_tags,
)
from historian.schema import Grain, Measurement
from ingest.whole_write import must_be_stored, write_whole
from kpi.facts.derive import BY_MODE
from kpi_api.published import Publications
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.fact import Fact, Loss, Stop
from shopfloor.instant import HOUR, MINUTE, SECOND, Instant
from shopfloor.plant import Plant
from shopfloor.sample import Sample
from tests.bench_query import START, fill, fleet

LINE: Final = 10
"""Machines on a line, as ``fleet`` makes it."""
RECENT: Final = 6 * HOUR
"""The longest range for which boards ask minutes."""
BY_HOUR: Final = 8 * 24 * HOUR
"""Boards ask hours of losses over four days at most."""
SCAN: Final = 10 * SECOND
STOPS_A_DAY: Final = 20
AGENTS: Final = 2
CHARTED: Final = 10
"""Machines with a control chart, a point each quarter of an hour."""
GROUP: Final = 5_000


@dataclass(frozen=True, slots=True)
class Load:
    """How much."""

    units: int
    days: int

    @property
    def plant(self) -> Plant:
        """The works."""
        return fleet(self.units)

    @property
    def end(self) -> Instant:
        """Now; the data begin at ``bench_query.START``."""
        return START + self.days * 24 * HOUR


def fill_boards(historian: Historian, load: Load, folder: Path) -> dict[str, int]:
    """Write everything; the number of points by kind. ``folder`` is for a store in between."""
    plant, end = load.plant, load.end
    written = {"facts": fill(historian, plant, START, end)}
    parts = {
        "lookups": lookup_points(plant),
        "minutes": _minutes(plant, end),
        "samples": _samples(plant, end),
        "losses": _losses(plant, end),
        "stops": _stops(plant, end),
        "ledger": _ledger(end),
        "charts": _charts(plant, end),
        "scores": _scores(plant, end),
        "published": _published(load, folder),
    }
    return written | {name: _written(historian, points) for name, points in parts.items()}


def _written(historian: Historian, points: Iterable[Point]) -> int:
    count, rest = 0, iter(points)
    while group := list(islice(rest, GROUP)):
        count += write_whole(historian, group, must_be_stored)
    return count


def _minutes(plant: Plant, end: Instant) -> Iterator[Point]:
    for path in plant.units:
        dice = random.Random(path)
        for time in range(end - RECENT, end, MINUTE):
            running = float(dice.choice((60, 60, 60, 45, 0)))
            made = running / 42
            elements = {"running_s": running, "unplanned_stop_s": 60 - running, "observed_s": 60.0}
            elements |= {"produced": made, "good": made, "planned_run_s": running, "good_run_s": running}
            elements |= {"energy_kwh": 0.3, "off_peak_kwh": 0.3, "energy_cost": 300.0, "carbon_kg": 0.26}
            yield fact_point(plant.enterprise, Grain.MINUTE, Fact(path, time, "malam", "brake-disc", elements))


def _samples(plant: Plant, end: Instant) -> Iterator[Point]:
    """Of all machines for the last hours, of the first line for a day, of its first machine throughout."""
    for machine, path in enumerate(plant.units):
        dice = random.Random(path)
        near = RECENT if machine >= LINE else 24 * HOUR
        far = range(START, end - near, MINUTE) if machine == 0 else ()
        for number, time in enumerate(chain(far, range(end - near, end, SCAN))):
            values = {"state": dice.choice((1, 1, 1, 2, 3)), "produced": number // 5, "good": number // 5, "scrap": 0}
            values |= {"power_kw": dice.uniform(2, 24), "energy_kwh": number * 0.05}
            yield sample_point(plant.enterprise, Sample(unit=path, time=time, values=values))


def _losses(plant: Plant, end: Instant) -> Iterator[Point]:
    """At each grain as often as boards read it: minutes of the last hours and hours of the last days alone."""
    reasons = [*list(plant.reasons)[:8], BY_MODE]
    parts = (
        (Grain.MINUTE, end - RECENT, MINUTE),
        (Grain.HOUR, max(START, end - BY_HOUR), HOUR),
        (Grain.SHIFT, START, 8 * HOUR),
    )
    for path, (grain, start, step) in product(plant.units, parts):
        dice = random.Random(path)
        for time in range(start, end, step):
            for category in dice.sample(("unplanned_stop", "micro_stop", "starved", "setup"), 2):
                loss = Loss(path, time, "pagi", "brake-disc", category, dice.choice(reasons), 30.0, 1.0)
                yield loss_point(plant.enterprise, loss, grain)


def _stops(plant: Plant, end: Instant) -> Iterator[Point]:
    reasons = [*list(plant.reasons)[:8], ""]
    for path in plant.units:
        dice = random.Random(path)
        for day in range(START, end, 24 * HOUR):
            for start in sorted(dice.sample(range(0, 24 * HOUR, MINUTE), STOPS_A_DAY)):
                length = dice.randint(20, 900) * SECOND
                reason = dice.choice(reasons)
                stop = Stop(path, day + start, day + start + length, "unplanned_stop", 2, reason, "", length > 600_000)
                yield stop_point(plant.enterprise, stop)


def _ledger(end: Instant) -> Iterator[Point]:
    for number in range(AGENTS):
        agent, outbox = f"edge-{number}", f"{number:032x}"
        for minute, time in enumerate(range(START, end, MINUTE)):
            told = {"polled": 300 * minute, "appended": 300 * minute, "confirmed": 300 * minute, "in_outbox": 5}
            yield edge_ledger_point(agent, outbox, time, {**told, "evicted": 0}, told=time + 900, moved=time + 800)
            if minute % 60 == 0:
                yield dead_letters_point(agent, outbox, time, {"unknown_unit": minute // 600}, minute // 600)


def _charts(plant: Plant, end: Instant) -> Iterator[Point]:
    for path in list(plant.units)[:CHARTED]:
        dice = random.Random(path)
        tags = {**unit_tags(plant.enterprise, path), schema.CHARACTERISTIC: "x_diameter_mm"}
        for time in range(START, end, 15 * MINUTE):
            for statistic in ("mean", "range"):
                lines = {schema.CHART_CENTRE: 5.0, schema.CHART_LOWER: 2.0, schema.CHART_UPPER: 8.0}
                told = {**lines, schema.CHART_VALUE: dice.gauss(5, 1), schema.CHART_RULE: 0, schema.CHART_ALARM: 0}
                place = {**tags, schema.STATISTIC: statistic}
                yield published_point(Measurement.CHART_POINTS, place, time, {**told, "shift_start": time}, {})
        for time in range(START, end, 8 * HOUR):
            numbers = dict.fromkeys(schema.CAPABILITY_NUMBERS, 1.3) | {"start": time, "until": time + 8 * HOUR}
            place = {**tags, schema.SHIFT: "pagi"}
            yield published_point(Measurement.CAPABILITY, place, time, numbers, {schema.CAPABILITY_UNIT: "mm"})


def _scores(plant: Plant, end: Instant) -> Iterator[Point]:
    for site in plant.sites:
        for guideline in ("indi-4-0", "kr-smart-factory", "siri", "iso-22400"):
            for metric in range(25):
                for time in range(START - 6 * HOUR, end, 24 * HOUR):
                    score = Score(
                        site=site.id,
                        guideline=guideline,
                        metric=f"metric-{metric}",
                        time=time,
                        value=0.6,
                        score=2.4,
                        level=2,
                        weight=1,
                        coverage=1,
                    )
                    yield score_point(plant.enterprise, score)


def _published(load: Load, folder: Path) -> Iterator[Point]:
    """The first line's, for every line; and what is told of the site from that line."""
    line = fleet(LINE)
    with closing(connect(str(folder))) as historian:
        fill(historian, line, START, load.end)
        teller = Publications(Store(line, historian, CatchUpClock(load.end)))
        subjects = [*line.units, *teller.above(next(iter(line.units)))]
        told = list(teller.kpis(subjects, START, load.end, load.end).wanted)
        for subject in subjects:
            told += teller.energy(subject, START, load.end, load.end).wanted
    for point in told:
        if point.tags["work_center"] == schema.WHOLE:
            yield point
            continue
        for number in range(-(-load.units // LINE)):
            yield structs.replace(point, tags=_of_line(point.tags, number))


def _of_line(tags: dict[str, str], number: int) -> dict[str, str]:
    """The tags of the unit at the same place of another line."""
    unit = tags["work_unit"]
    named = unit if unit == schema.WHOLE else f"cnc-{number * LINE + int(unit.removeprefix('cnc-')):02}"
    return {**tags, "work_center": f"line-{number}", "work_unit": named}
