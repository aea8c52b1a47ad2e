"""A machine-day of 1 Hz samples to its facts, on one core: ``python -m tests.bench_derive``."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kpi.facts.derive import Derived, derive
from kpi.plan import UnitPlan
from shopfloor.additive import merge
from shopfloor.columns import SampleColumns, Values
from shopfloor.dated import Dated
from shopfloor.instant import HOUR, SECOND
from shopfloor.plant import ProductRule, Tariff
from shopfloor.statement import Statement, StatementKind
from shopfloor.tag import TagKind, TagSpec
from tests.production import MACHINE, START, THREE_SHIFTS, WH, counter, machine

DAY = 24 * HOUR
LIMIT_MS = 50.0
"""A machine-day of state, 2 counters and 2 gauges."""
ROUNDS = 15
PRI_S = 10
STOP_STATES = (2, 2, 2, 3, 4, 0)
GAUGES = tuple(
    TagSpec(name=name, kind=TagKind.GAUGE, unit=unit) for name, unit in (("power_kw", "kW"), ("rpm", "1/min"))
)
PRODUCT = TagSpec(name="product_code", kind=TagKind.STATE, unit="")
TARIFF = Tariff("pln-i3", "IDR", 1035.78, 1.5, 18 * 60, 22 * 60)


@dataclass(frozen=True)
class Case:
    """A unit and its day, with an hour on both sides."""

    name: str
    plan: UnitPlan
    samples: SampleColumns
    statements: Sequence[Statement] = ()


def day(*extra: TagSpec, seed: int = 1, pause_s: float = 600.0) -> tuple[UnitPlan, SampleColumns]:
    """26 hours of 1 Hz around the day: a stop every ``pause_s`` on average, a part every PRI while running."""
    dice = np.random.default_rng(seed)
    times = START - HOUR + SECOND * np.arange((DAY + 2 * HOUR) // SECOND, dtype=np.int64)
    state = np.ones(len(times))
    for begin in np.flatnonzero(dice.random(len(times)) < 1 / pause_s):
        state[begin : begin + 1 + int(dice.exponential(min(90.0, pause_s / 4)))] = dice.choice(STOP_STATES)
    part = np.cumsum(state == 1) // PRI_S
    scrap = part // 40
    values = {
        "state": state,
        "good": (part - scrap) % 2.0**16,
        "scrap": scrap % 2.0**16,
        "power_kw": np.where(state == 1, 22.0, 3.0) + dice.random(len(times)),
        "rpm": np.where(state == 1, 1450.0, 0.0),
    }
    energy = np.cumsum(np.rint(np.where(state == 1, 6.0, 1.0) + dice.random(len(times))))
    more = {"energy_kwh": energy / 1000, "product_code": 1.0 + np.arange(len(times)) // 7200 % 2}
    values |= {spec.name: more[spec.name] for spec in extra}
    rule = ProductRule(tag="product_code", codes={1: "disc", 2: "drum"})
    plan = machine(
        counter("good"),
        counter("scrap"),
        *GAUGES,
        *extra,
        calendar=Dated.always(THREE_SHIFTS),
        planned_run_time_s=Dated.always({"disc": float(PRI_S), "drum": 8.0}),
        startup_s=120.0,
        capacity_per_h=400.0,
        tariff=Dated.always(TARIFF),
        grid_factor_kg_per_kwh=Dated.always(0.87),
        **({"product": Dated.always(rule)} if PRODUCT in extra else {}),
    )
    return plan, columns(times, values)


def columns(times: np.ndarray, values: Mapping[str, Values]) -> SampleColumns:
    """Samples of which every one mentions every tag, good."""
    always = np.ones(len(times), dtype=np.bool_)
    return SampleColumns(MACHINE, times, values, dict.fromkeys(values, always), always)


def stated() -> list[Statement]:
    """A reason an hour, a manual count and an order."""
    plain = {"unit": MACHINE, "author": "sari", "made_at": START + DAY}
    reasons = [
        Statement(id=f"r{hour}", kind=StatementKind.REASON, start=begin, end=begin + HOUR // 4, reason="tool", **plain)
        for hour, begin in enumerate(range(START, START + DAY, HOUR))
    ]
    count = Statement(
        id="q", kind=StatementKind.QUANTITY, start=START, end=START + 8 * HOUR, quantities={"scrap": 30}, **plain
    )
    order = Statement(
        id="o", kind=StatementKind.ORDER, start=START, end=START + 8 * HOUR, order="wo-1", product="drum", **plain
    )
    return sorted([*reasons, count, order], key=lambda each: (each.start, each.made_at, each.id))


def cases() -> Iterator[Case]:
    """The day of the issue first."""
    plan, samples = day()
    yield Case("state, 2 counters, 2 gauges", plan, samples)
    yield Case("... with statements", plan, samples, stated())
    yield Case("... with an energy counter that steps at each sample", *day(WH))
    yield Case("... that and 12 product changes", *day(WH, PRODUCT))
    yield Case("... that and a stop every 30 s", *day(WH, PRODUCT, pause_s=30.0))
    holes = replace(samples, values={tag: np.where(hole(samples), np.nan, got) for tag, got in samples.values.items()})
    yield Case("... with a bad sample in ten", plan, holes)


def hole(samples: SampleColumns) -> np.ndarray:
    """Which samples are not good."""
    return np.random.default_rng(2).random(len(samples)) < 0.1


def measure(case: Case) -> tuple[float, Derived]:
    """The least milliseconds of one core in some rounds: other load on the machine only adds."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        derived = derive(case.plan, case.samples, (START, START + DAY), case.statements)
        taken.append((time.process_time() - began) * 1000)
    return min(taken), derived


def main() -> int:
    """Print every case; the status tells whether the first keeps its limit."""
    figures = {}
    for case in cases():
        figures[case.name], derived = measure(case)
        whole = merge(fact.elements for fact in derived.facts)
        booked = sum(whole.get(f"{name}_s", 0.0) for name in ("running", "setup", "starved", "no_order", "unknown"))
        booked += sum(whole.get(f"{name}_s", 0.0) for name in ("unplanned_stop", "micro_stop", "planned_stop"))
        assert booked == DAY // SECOND, f"{case.name}: {booked} s of a day"
        print(
            f"{figures[case.name]:8.1f} ms  {case.name}: {len(derived.facts)} facts, {len(derived.stops)} stops, "
            f"{whole.get('good', 0.0):.0f} good, {whole.get('energy_kwh', 0.0):.3f} kWh"
        )
    print(json.dumps({"derive_machine_day_ms": round(next(iter(figures.values())), 1), "limit_ms": LIMIT_MS}))
    return 0 if next(iter(figures.values())) < LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
