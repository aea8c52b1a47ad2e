"""A small plant for tests: one machine and one meter with their tags, and samples of them."""

from collections.abc import Mapping

from kpi.plan import UnitPlan
from shopfloor.calendar import Calendar, LocalRange, Shift
from shopfloor.dated import Dated
from shopfloor.equipment import EquipmentPath
from shopfloor.instant import MINUTE, QUARTER, SECOND, parse_instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import DeviceRef, Policy, ProductRule, WorkUnit
from shopfloor.quality import COMM_LOST
from shopfloor.sample import Sample, Value
from shopfloor.tag import TagKind, TagSpec

START = parse_instant("2026-01-05T00:00:00Z")
"""A whole UTC hour, 07:00 in Jakarta, inside the morning shift."""
MACHINE = "ceper/machining/line-1/cnc-01"
METER = "ceper/power/main/meter"
STATES = {
    0: TimeCategory.NO_ORDER,
    1: TimeCategory.RUNNING,
    2: TimeCategory.UNPLANNED_STOP,
    3: TimeCategory.SETUP,
    4: TimeCategory.STARVED,
}
ALWAYS_BUSY = Calendar("always", (Shift("all", LocalRange(0, 1440)),))
THREE_SHIFTS = Calendar(
    "three-shift",
    (
        Shift("pagi", LocalRange(360, 840), (LocalRange(600, 615),)),
        Shift("sore", LocalRange(840, 1320)),
        Shift("malam", LocalRange(1320, 1800)),
    ),
)


def counter(name: str, unit: str = "piece", *, scale: float = 1.0, modulus: int | None = 2**16) -> TagSpec:
    return TagSpec(name=name, kind=TagKind.COUNTER, unit=unit, scale=scale, modulus=modulus)


WH = counter("energy_kwh", "kWh", scale=0.001, modulus=2**32)


def work_unit(path: str, **changes: object) -> WorkUnit:
    meanings: dict[str, object] = {
        "name": {},
        "device": DeviceRef("template", "127.0.0.1", 502, 1, SECOND, SECOND),
        "states": Dated.always(STATES),
        "product": Dated.always(ProductRule(fixed="disc")),
        "planned_run_time_s": Dated.always({"disc": 10.0}),
        "micro_stop_s": Dated.always(60.0),
        "max_age_ms": 3 * SECOND,
        "calendar": Dated.always(ALWAYS_BUSY),
        "timezone": "Asia/Jakarta",
        "policy": Policy(),
        "max_power_kw": 100.0,
        "targets": {},
    }
    return WorkUnit(path=EquipmentPath.parse("logam", path), **(meanings | changes))  # type: ignore[arg-type]


def machine(*counters: TagSpec, **changes: object) -> UnitPlan:
    tags = [TagSpec(name="state", kind=TagKind.STATE, unit=""), *(counters or (counter("good"), counter("scrap"), WH))]
    return UnitPlan(work_unit(MACHINE, **changes), {tag.name: tag for tag in tags})


def meter(spec: TagSpec = WH, **changes: object) -> UnitPlan:
    plain = {"states": None, "product": None, "planned_run_time_s": None, "max_age_ms": 3 * QUARTER}
    return UnitPlan(work_unit(METER, **(plain | changes)), {spec.name: spec})


def sample(second: float, unit: str = MACHINE, **values: Value) -> Sample:
    """A sample ``second`` seconds after START."""
    return Sample(unit=unit, time=START + round(second * SECOND), values=values)


def lost(second: float, tags: Mapping[str, TagSpec], unit: str = MACHINE) -> Sample:
    """A cycle in which the device did not answer."""
    return Sample(unit=unit, time=START + round(second * SECOND), status=dict.fromkeys(tags, COMM_LOST))


def states(*codes: tuple[int, int]) -> list[Sample]:
    """One sample a second: so many seconds of each code, and a last sample that ends them."""
    spoken = [code for code, seconds in codes for _ in range(seconds)]
    return [sample(second, state=code) for second, code in enumerate([*spoken, spoken[-1]])]


def minutes(count: float) -> tuple[int, int]:
    """The window of so many minutes from START."""
    return START, START + round(count * MINUTE)
