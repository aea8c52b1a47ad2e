from collections.abc import Callable, Mapping
from typing import Any

import pytest

from shopfloor.calendar import Calendar, LocalRange, Shift
from shopfloor.dated import Dated
from shopfloor.equipment import EquipmentPath
from shopfloor.instant import parse_instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import DeviceRef, Policy, ProductRule, WorkUnit

STATES = {
    0: TimeCategory.NO_ORDER,
    1: TimeCategory.RUNNING,
    2: TimeCategory.UNPLANNED_STOP,
    3: TimeCategory.SETUP,
    4: TimeCategory.STARVED,
    5: TimeCategory.BLOCKED,
}
THREE_SHIFT = Calendar(
    "three-shift",
    (
        Shift("pagi", LocalRange(360, 840), (LocalRange(600, 615), LocalRange(720, 750))),
        Shift("sore", LocalRange(840, 1320), (LocalRange(960, 975),)),
        Shift("malam", LocalRange(1320, 1800), (LocalRange(1440, 1455),)),
    ),
)
MakeUnit = Callable[..., WorkUnit]


@pytest.fixture
def epoch() -> int:
    return parse_instant("2026-01-05T06:00:00+07:00")


@pytest.fixture
def make_unit() -> MakeUnit:
    def make(
        name: str = "cnc-01",
        template: str = "cnc-generic",
        *,
        calendar: Calendar = THREE_SHIFT,
        states: Mapping[int, TimeCategory] | None = STATES,
        run_times: Mapping[str, float] | None = None,
        policy: Policy | None = None,
        scan_ms: int = 1_000,
        **simulation: float,
    ) -> WorkUnit:
        run_times = run_times or {"brake-disc": 20.0, "pump-housing": 33.0}
        rule = ProductRule(tag="product_code", codes=dict(enumerate(run_times, start=1)))
        meaning: dict[str, Any] = {
            "states": Dated.always(states) if states else None,
            "product": Dated.always(rule) if states else None,
            "planned_run_time_s": Dated.always(run_times) if states else None,
        }
        return WorkUnit(
            path=EquipmentPath("works", "ceper", "machining", "line-1", name),
            name={},
            device=DeviceRef(template, "192.0.2.1", 502, 1, scan_ms, 500),
            micro_stop_s=Dated.always(120.0),
            max_age_ms=3 * scan_ms,
            calendar=Dated.always(calendar),
            timezone="Asia/Jakarta",
            policy=policy or Policy(),
            max_power_kw=40.0,
            targets={},
            simulation=simulation,
            **meaning,
        )

    return make
