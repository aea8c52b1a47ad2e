"""Each alert rule calls exactly when it should, on a real server: not just before its limit, and just past it."""

from collections.abc import Iterator

import pytest

from dashboards.alerts.rule import Rule
from dashboards.alerts.rules import rules_of
from historian.connect import connect
from historian.historian import Historian
from historian.point import Point
from historian.records import edge_ledger_point, sample_point, stop_point, unit_tags
from historian.schema import Measurement
from shopfloor.fact import Stop
from shopfloor.instant import HOUR, MINUTE, SECOND, Instant, parse_instant
from shopfloor.plant import Plant
from shopfloor.plant_file import load
from shopfloor.sample import Sample
from tests.alert_answers import calls
from tests.filled_plant import PLANT_FILE
from tests.influxd import fresh_database

NOW = parse_instant("2026-01-05T15:20:00+07:00")
CNC, OTHER = "ceper/machining/line-1/cnc-01", "ceper/machining/line-1/cnc-02"
FURNACE, METER = "ceper/foundry/melting/furnace-01", "ceper/utilities/intake/main-meter"
AGENT, OUTBOX = "edge-ceper-1", "a" * 32
CHARACTERISTIC = "                characteristics: [{tag: temperature_c, lsl: 20, usl: 60}]\n"


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """The example plant; one machine has a patience of its own, one a specified temperature, one calls nobody."""
    text = PLANT_FILE.read_text("utf-8")
    before, _, after = text.partition("              - id: cnc-02\n")
    after = after.replace("max_power_kw: 40", "max_power_kw: 40\n                alerts: {stopped: 2min}", 1)
    text = f"{before}              - id: cnc-02\n{after}".replace(
        "              - id: cnc-03\n", "              - id: cnc-03\n" + CHARACTERISTIC
    )
    text = text.replace("simulation: {counter_reset_per_order: 1}", "alerts: {stopped: 0s}")
    file = tmp_path_factory.mktemp("plant") / "plant.yaml"
    file.write_text(text, "utf-8")
    return load(file)


class Store:
    def __init__(self, url: str, plant: Plant) -> None:
        self.url, self.plant = url, plant
        self.historian: Historian = connect(url, {})

    def write(self, *points: Point) -> None:
        report = self.historian.write(list(points))
        assert len(report.accepted) == len(points), report.rejected

    def rule(self, start: str) -> Rule:
        (rule,) = [each for each in rules_of(self.plant) if each.id.startswith(start)]
        return rule

    def calls(self, start: str, now: Instant = NOW) -> list[str]:
        """The units, agents or outboxes for which a rule calls; a rule of one place tells it itself."""
        rule = self.rule(start)
        return ["/".join(group.values()) or "itself" for group in calls(self.url, rule, now)]


@pytest.fixture
def store(influx, plant) -> Iterator[Store]:
    made = Store(fresh_database(influx.address), plant)
    yield made
    made.historian.close()


def path_of(group: str) -> str:
    """Tags come in any order; only whose they are is asked."""
    return next(unit for unit in (CNC, OTHER, FURNACE, METER) if set(unit.split("/")) <= set(group.split("/")))


def units(groups: list[str]) -> list[str]:
    return sorted(map(path_of, groups))


def stop(unit: str, start: Instant, end: Instant | None = None, category: str = "unplanned_stop") -> Stop:
    return Stop(unit=unit, start=start, end=end, category=category, code=2)


def test_a_stop_calls_when_it_has_lasted_long_enough(store):
    store.write(
        stop_point("logam-jaya", stop(CNC, NOW - 15 * MINUTE)),
        stop_point("logam-jaya", stop(FURNACE, NOW - 15 * MINUTE + SECOND)),
        stop_point("logam-jaya", stop(OTHER, NOW - 3 * MINUTE)),
        stop_point("logam-jaya", stop("ceper/stamping/press-shop/press-01", NOW - 9 * HOUR)),
    )
    assert units(store.calls("stopped-900")) == [CNC]
    assert units(store.calls("stopped-120")) == [OTHER]
    assert units(store.calls("stopped-900", NOW + SECOND)) == sorted([CNC, FURNACE])


def test_a_stop_that_ended_or_was_planned_calls_nobody(store):
    store.write(
        stop_point("logam-jaya", stop(CNC, NOW - HOUR, NOW - 30 * MINUTE)),
        stop_point("logam-jaya", stop(FURNACE, NOW - HOUR, category="planned_stop")),
        stop_point("logam-jaya", stop(CNC, NOW - 2 * HOUR, NOW - 2 * HOUR)),  # withdrawn
    )
    assert store.calls("stopped-900") == []


def shift(unit: str, start: Instant, name: str, oee: float | None, **more: float) -> Point:
    fields = {
        "current": 1.0,
        "final": 1.0,
        "coverage": 0.95,
        "sum_planned_busy_s": 25_000.0,
        "target_oee": 0.75,
        **more,
    }
    if oee is not None:
        fields["oee_index"] = oee
    tags = {**unit_tags("logam-jaya", unit), "shift": name}
    return Point(Measurement.KPI_PUBLISHED, tags, start, fields)


MORNING = parse_instant("2026-01-05T06:00:00+07:00")


@pytest.mark.parametrize(
    ("oee", "more", "called"),
    [
        (0.7499, {}, True),
        (0.75, {}, False),
        (0.5, {"final": 0.0}, False),
        (0.5, {"current": 0.0}, False),
        (0.5, {"coverage": 0.79}, False),
        (0.5, {"coverage": 0.8}, True),
        (0.5, {"sum_planned_busy_s": 1_800.0}, False),
        (None, {}, False),
    ],
)
def test_a_shift_under_its_target_calls_when_it_is_over_and_known(store, oee, more, called):
    store.write(shift(CNC, MORNING, "pagi", oee, **more), shift(OTHER, MORNING, "pagi", 0.8))
    assert units(store.calls("oee")) == ([CNC] if called else [])


def test_the_last_shift_is_the_one_that_counts(store):
    store.write(
        shift(CNC, MORNING - 8 * HOUR, "malam", 0.4),
        shift(CNC, MORNING, "pagi", 0.8),
        shift(OTHER, MORNING - 8 * HOUR, "malam", 0.8),
        shift(OTHER, MORNING, "pagi", 0.4),
        shift(OTHER, MORNING + 8 * HOUR, "sore", 0.9, final=0.0),
    )
    assert units(store.calls("oee")) == [OTHER]
    assert store.calls("oee", NOW + 24 * HOUR) == []


def told(time: Instant, held: int, *, bytes_: int = 0, outbox: str = OUTBOX, agent: str = AGENT) -> Point:
    counts = {"polled": 9, "appended": 9, "confirmed": 1, "in_outbox": held, "evicted": 0, "outbox_bytes": bytes_}
    return edge_ledger_point(agent, outbox, time - time % MINUTE, counts, told=time)


def test_an_agent_calls_by_its_silence(store):
    assert store.calls("silent-edge-ceper-1") == ["itself"]
    store.write(told(NOW - 5 * MINUTE, 3), told(NOW, 3, agent="edge-2"))
    assert store.calls("silent-edge-ceper-1") == []
    assert store.calls("silent-edge-ceper-1", NOW + 59 * SECOND) == []
    assert store.calls("silent-edge-ceper-1", NOW + 61 * SECOND) == ["itself"]


@pytest.mark.parametrize(
    ("held", "called"),
    [
        ([1_001, 1_500, 4_000], True),
        ([1_000, 1_500, 4_000], False),
        ([4_000, 2_000, 1_001], False),
        ([1_500, 1_500, 1_500], False),
    ],
)
def test_an_outbox_calls_that_is_long_not_empty_and_grows(store, held, called):
    times = (NOW - 14 * MINUTE, NOW - 7 * MINUTE, NOW - MINUTE)
    store.write(*(told(time, each) for time, each in zip(times, held, strict=True)))
    store.write(told(NOW - MINUTE, 90_000, outbox="b" * 32))
    assert store.calls("growing-edge-ceper-1") == ([OUTBOX] if called else [])


def test_an_outbox_calls_before_it_is_full(store):
    limit = int(0.8 * 512 * 1024 * 1024)
    store.write(told(NOW, 1, bytes_=limit))
    assert store.calls("full-edge-ceper-1") == []
    store.write(told(NOW, 1, bytes_=limit + 1_000))
    assert store.calls("full-edge-ceper-1") == [OUTBOX]


def metered(start: Instant, end: Instant, power: float) -> list[Point]:
    times = range(start, end, 10 * SECOND)
    return [sample_point("logam-jaya", Sample(unit=METER, time=time, values={"power_kw": power})) for time in times]


@pytest.mark.parametrize(("power", "called"), [(1_174.0, False), (1_176.0, True)])
def test_a_demand_calls_before_its_quarter_is_over(store, power, called):
    # three minutes at 800 kW, two at ``power`` and ten more: 160 + 0.8 x power against 1100 kW
    store.write(*metered(NOW - 5 * MINUTE, NOW - 2 * MINUTE, 800.0), *metered(NOW - 2 * MINUTE, NOW, power))
    assert store.calls("demand-") == (["itself"] if called else [])


@pytest.mark.parametrize(
    ("unit", "value", "called"),
    [
        (FURNACE, 1_560.0, False),
        (FURNACE, 1_560.1, True),
        ("ceper/machining/line-1/cnc-03", 19.9, True),
        ("ceper/machining/line-1/cnc-03", 20.0, False),
        ("ceper/machining/line-1/cnc-03", 60.1, True),
    ],
)
def test_a_temperature_calls_out_of_its_limits(store, unit, value, called):
    early = Sample(unit=unit, time=NOW - 5 * MINUTE, values={"temperature_c": 40.0})
    late = Sample(unit=unit, time=NOW - MINUTE, values={"temperature_c": value})
    store.write(sample_point("logam-jaya", early), sample_point("logam-jaya", late))
    name = unit.rpartition("/")[2]
    (rule,) = [
        each for each in rules_of(store.plant) if each.text == "alert.limits" and each.labels["work_unit"] == name
    ]
    assert bool(calls(store.url, rule, NOW)) is called


@pytest.mark.parametrize(
    ("alarm", "current", "ago", "called"),
    [(1.0, 1.0, 29, True), (0.0, 1.0, 29, False), (1.0, 0.0, 29, False), (1.0, 1.0, 31, False)],
)
def test_a_control_chart_calls_for_a_point_of_the_alarm_set(store, alarm, current, ago, called):
    tags = {**unit_tags("logam-jaya", CNC), "characteristic": "temperature_c", "statistic": "mean"}
    fields = {"current": current, "value": 1.0, "centre": 0.0, "lower": -1.0, "upper": 1.0, "rule": 2.0, "alarm": alarm}
    store.write(Point(Measurement.CHART_POINTS, tags, NOW - ago * MINUTE, fields))
    assert units(store.calls("spc")) == ([CNC] if called else [])


def test_every_kind_of_rule_is_here(plant, request):
    kinds = {rule.text for rule in rules_of(plant)}
    assert kinds == {
        f"alert.{kind}" for kind in ("stopped", "oee", "silent", "growing", "full", "demand", "limits", "spc")
    }
