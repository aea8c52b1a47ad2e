"""Whether what is published is what the KPI API answers for the same unit or place and window, number by number."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache

from historian import schema
from historian.historian import Historian
from historian.point import Point, Query
from historian.published import holding, subject_of
from historian.schema import Measurement
from ingest.facts_engine import FactsEngine
from ingest.publisher import Publisher
from kpi_api.answers import KpiItem
from kpi_api.claims import Claim
from kpi_api.energy import EnergyItem, energy_items
from kpi_api.published import Publications
from kpi_api.quality import quality_items
from kpi_api.questions import By
from kpi_api.schemas_scorecards import ScorecardItem, ScoredGroup, ScoredMetric, scorecard_item
from kpi_api.scorecards import scorecards
from kpi_api.store import Store
from shopfloor.clock import Clock
from shopfloor.instant import HOUR, Instant, to_datetime
from shopfloor.machine_state import TimeCategory
from shopfloor.statement import StatementKind

EXACT = 1e-9
DAY = 24 * HOUR


def publisher(store: Store) -> Publisher:
    """A publisher on the code of the KPI API, by the plant's time."""
    return Publisher(store.historian, Publications(store), store.plant.enterprise, store.now)


async def settled(store: Store, clock: Clock, final_until: Instant | None = None) -> FactsEngine:
    """Derive what is dirty and publish, by the real facts engine."""
    engine = FactsEngine(
        store.historian,
        store.plans,
        store.plant.enterprise,
        clock,
        watermark=lambda unit: final_until,
        stored_watermark=lambda unit, before: final_until,
        publisher=publisher(store),
    )
    await engine.resume()
    running = asyncio.create_task(engine.run())
    idle = asyncio.create_task(engine.settle())
    try:
        async with asyncio.timeout(60):
            await asyncio.wait({running, idle}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        running.cancel()
        idle.cancel()
        await asyncio.gather(running, idle, return_exceptions=True)
    return engine


def not_scheduled(store: Store, unit: str, start: Instant, end: Instant) -> None:
    """A late edit: nothing was to be made in all that time."""
    store.statements.state(
        Claim(
            unit=unit,
            kind=StatementKind.CATEGORY,
            start=start,
            end=end,
            author="sri",
            category=TimeCategory.PLANNED_STOP,
        )
    )


def stored(historian: Historian, measurement: Measurement) -> list[Point]:
    """What holds."""
    return holding(historian.read(Query(measurement)))


def kpi_point(historian: Historian, subject: str, shift: str, start: Instant) -> Point:
    """The one point of a shift or day that holds."""
    points = stored(historian, Measurement.KPI_PUBLISHED)
    (found,) = [
        each
        for each in points
        if (subject_of(each), each.tags["shift"], each.fields["start"]) == (subject, shift, float(start))
    ]
    return found


class Api:
    """What the KPI API answers, asked once for each subject. ``newest`` is up to when what runs was published."""

    def __init__(self, store: Store, oldest: Instant, newest: Instant) -> None:
        self.store, self.newest, self._oldest = store, newest, oldest

    @cache  # noqa: B019 - as long-lived as the test
    def kpis(self, path: str, by: By) -> Mapping[tuple[Instant, Instant], KpiItem]:
        """Items by their windows."""
        items = self.store.kpi_items(path, self._oldest - 2 * DAY, self.newest, by)
        return {(each.start, each.end): each for each in items}

    @cache  # noqa: B019 - as long-lived as the test
    def scorecard(self, site: str, start: Instant, end: Instant, guideline: str) -> ScorecardItem:
        """One site by one guideline."""
        (found,) = scorecards(self.store, site, start, end, guideline)
        return scorecard_item(found)

    @cache  # noqa: B019 - as long-lived as the test
    def energy(self, path: str, year: int) -> Mapping[tuple[Instant, Instant], EnergyItem]:
        """Days of a local year by their windows, with their running sum from its first."""
        items = energy_items(self.store, path, _first_day(self.store, path, year), self.newest, By.DAY)
        return {(each.start, each.end): each for each in items}


def all_agree(store: Store) -> int:
    """Assert it of every point of every measurement; the number of points."""
    count = 0
    published = stored(store.historian, Measurement.KPI_PUBLISHED)
    oldest = min(int(each.fields["start"]) for each in published)
    api = Api(store, oldest, max(int(each.fields["until"]) for each in published))
    for measurement, agrees in (
        (Measurement.KPI_PUBLISHED, kpis_agree),
        (Measurement.CAPABILITY, capability_agrees),
        (Measurement.ENERGY_PUBLISHED, energy_agrees),
        (Measurement.SCORECARDS, score_agrees),
    ):
        points = stored(store.historian, measurement)
        assert len({(tuple(each.tags.items()), each.fields["start"]) for each in points}) == len(points)
        for point in points:
            agrees(api, point)
        count += len(points)
    return count


def kpis_agree(api: Api, point: Point) -> None:
    """Every KPI, sum, target and flag of a shift or day, and nothing else."""
    fields, path = point.fields, subject_of(point) or api.store.plant.enterprise
    whole = point.tags["shift"] == schema.WHOLE
    start, until = int(fields["start"]), int(fields["until"])
    item = api.kpis(path, By.DAY if whole else By.SHIFT)[start, until]
    assert whole or item.shift == point.tags["shift"]
    for name, wanted in {**item.kpis, "coverage": item.coverage}.items():
        _equal(point, name, wanted)
    for name in item.elements.keys() | {each.removeprefix("sum_") for each in fields if each.startswith("sum_")}:
        assert _near(float(fields.get(f"sum_{name}", 0.0)), item.elements.get(name, 0.0)), (path, name)
    assert (fields["final"], fields["revision"]) == (item.final and until < api.newest, item.revision)
    assert fields["flags_text"] == ",".join(item.flags)
    assert fields["signed"] == (item.signed is not None)
    assert {name: fields[f"target_{name}"] for name in item.targets} == item.targets


def capability_agrees(api: Api, point: Point) -> None:
    """The capability of a characteristic and the points of its charts; rules by their counts."""
    fields, tag = point.fields, point.tags["characteristic"]
    start, until = int(fields["start"]), int(fields["until"])
    assert until <= api.newest
    (item,) = quality_items(api.store, subject_of(point), start, until, tag)
    (answer,) = item.characteristics
    told = {} if answer.capability is None else asdict(answer.capability)
    for name in schema.CAPABILITY_NUMBERS:
        _equal(point, name, told.get(name))
    for name in schema.CAPABILITY_LIMITS:
        _equal(point, name, getattr(answer, name))
    assert (fields["readings"], fields["flags_text"]) == (answer.readings, ",".join(answer.flags))
    assert fields["alarms"] == sum(chart.alarms for chart in answer.charts)
    for chart in answer.charts:
        where = {**{key: value for key, value in point.tags.items() if key != "shift"}, "statistic": chart.statistic}
        drawn = holding(api.store.historian.read(Query(Measurement.CHART_POINTS, where, start, until)))
        assert len(drawn) == chart.total
        assert sum(each.fields["alarm"] == 1 for each in drawn) == chart.alarms
        for each, wanted in zip(drawn[-len(chart.points) :], chart.points, strict=True):
            assert (each.time, each.fields["value"]) == (wanted.time, wanted.value)
            assert each.fields["rule"] == min(wanted.nelson, default=0)
            lines = each.fields["centre"], each.fields["lower"], each.fields["upper"]
            assert lines == (chart.centre, chart.lower, chart.upper)


def energy_agrees(api: Api, point: Point) -> None:
    """A day's energy, and its running sum of the year; a month's bill."""
    fields, path = point.fields, subject_of(point) or api.store.plant.enterprise
    start, until = int(fields["start"]), int(fields["until"])
    if point.tags["period"] == "month":
        (item,) = energy_items(api.store, path, start, until, By.MONTH)
        assert item.bill is None or _near(float(fields["bill_total"]), item.bill.total)
        assert ("bill_total" in fields) == (item.bill is not None)
    else:
        item = api.energy(path, to_datetime(point.time + 12 * HOUR).year)[start, until]
        done = item.performance
        for name, wanted in (("saving_kwh", "saving_kwh"), ("enpi", "index"), ("cusum_kwh", "cusum_kwh")):
            _equal(point, name, None if done is None else getattr(done, wanted))
        assert "bill_total" not in fields
    told = asdict(item)
    for name in schema.ENERGY_NUMBERS:
        if name in told:
            _equal(point, name, told[name])
    assert fields["flags_text"] == ",".join(item.flags)
    assert (fields["final"], fields["revision"]) == (item.final and until < api.newest, item.revision)


def score_agrees(api: Api, point: Point) -> None:
    """A metric, a group or the whole of a scorecard, as the API answers it for the same window."""
    fields, told = point.fields, point.tags["metric"]
    start, until = int(fields["start"]), int(fields["until"])
    assert until <= api.newest
    item = api.scorecard(point.tags["site"], start, until, point.tags["guideline"])
    if told == schema.WHOLE:
        found: ScoredMetric | ScoredGroup | ScorecardItem = item
    elif told.startswith(schema.GROUP_ROW):
        found = next(each for each in item.groups if schema.GROUP_ROW + each.id == told)
    else:
        found = next(each for each in item.metrics if each.id == told)
    for name in ("value", "score", "level", "target", "baseline", "achievement", "weight"):
        _equal(point, name, getattr(found, name, None))
    if isinstance(found, ScoredMetric):
        _equal(point, "coverage", None if found.value is None else item.data_coverage)
        assert (fields["missing_text"], fields["missing_id_text"]) == (
            found.missing.get("en", ""),
            found.missing.get("id", ""),
        )
        assert fields["provenance_text"] == f"{found.provenance.publication}, {found.provenance.section}"
        assert fields["confidence_text"] == found.provenance.confidence
    else:
        _equal(point, "coverage", found.coverage)


def _first_day(store: Store, path: str, year: int) -> Instant:
    """The start of the first production day of the local year."""
    unit = store.units(path)[0]
    days = store.kpi_items(str(unit.path), _january(year) - DAY, _january(year) + 2 * DAY, By.DAY)
    return next(each.start for each in days if each.period == f"{year}-01-01")


def _january(year: int) -> Instant:
    return Instant((year - 1970) * 365.2425 * DAY) // DAY * DAY


def _equal(point: Point, name: str, wanted: float | None) -> None:
    found = point.fields.get(name)
    assert (found is None) == (wanted is None), (point.tags, name, found, wanted)
    assert found is None or wanted is None or _near(float(found), wanted), (point.tags, name, found, wanted)


def _near(found: float, wanted: float) -> bool:
    return abs(found - wanted) <= EXACT * max(1.0, abs(wanted))
