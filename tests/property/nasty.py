"""Nasty machines for properties: bad cycles, gaps, resets, roll-overs, product changes, shift borders, statements."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

from hypothesis import strategies as st

from kpi.plan import UnitPlan
from shopfloor.dated import Dated
from shopfloor.instant import HOUR, MINUTE, SECOND, Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import CounterInference, GaugeInference, Product, ProductRule, QuantityUnit, Staffed
from shopfloor.quality import COMM_LOST
from shopfloor.reason import Maintenance, Reason
from shopfloor.sample import Sample
from shopfloor.statement import Statement, StatementKind
from shopfloor.tag import TagKind, TagSpec
from tests.production import MACHINE, START, THREE_SHIFTS, WH, counter, machine

BASE = START + 2 * HOUR + 30 * MINUTE
"""Half an hour before the break; the shift ends four hours later."""
LATE = START + 6 * HOUR + 45 * MINUTE
"""A quarter of an hour before the shift's end."""
SCRAP_MODULUS = 100
TRANSITION = 5
"""A state code that says: the state before it goes on."""
REASONS = {
    "breakdown": Reason(id="breakdown", name={}, failure=True, maintenance=Maintenance.CORRECTIVE),
    "jam": Reason(id="jam", name={}),
    "maintenance": Reason(id="maintenance", name={}, category=TimeCategory.PLANNED_STOP),
    "no-material": Reason(id="no-material", name={}, category=TimeCategory.STARVED),
}
STATES = {
    0: TimeCategory.NO_ORDER,
    1: TimeCategory.RUNNING,
    2: TimeCategory.UNPLANNED_STOP,
    3: TimeCategory.SETUP,
    4: TimeCategory.STARVED,
    TRANSITION: None,
}
"""Code 6 and above mean nothing."""
_plan = partial(
    machine,
    counter("good"),
    counter("scrap", modulus=SCRAP_MODULUS),
    WH,
    TagSpec(name="power_kw", kind=TagKind.GAUGE, unit="kW"),
    TagSpec(name="product_code", kind=TagKind.STATE, unit=""),
    product=Dated.always(ProductRule(tag="product_code", codes={1: "disc", 2: "melt"})),
    products={
        "disc": Product("disc", {}, mass_kg=6.5),
        "melt": Product("melt", {}, mass_kg=1.0, quantity_unit=QuantityUnit.KILOGRAM),
    },
    planned_run_time_s=Dated.always({"disc": 10.0, "melt": 4.0}),
    micro_stop_s=Dated(((START - HOUR, 60.0), (START + 160 * MINUTE, 200.0))),
    max_age_ms=45 * SECOND,
    calendar=Dated.always(THREE_SHIFTS),
    reasons=REASONS,
    startup_s=120.0,
    policy=replace(machine().unit.policy, staffed=Staffed.SHIFTS),
)
TOLD = _plan(states=Dated.always(STATES))
"""A machine that tells its state."""
COUNTED = _plan(states=None, inference=Dated.always(CounterInference(tag="good")))
"""One whose running follows from its counter."""
MEASURED = _plan(
    states=None, inference=Dated.always(GaugeInference(tag="power_kw", running_above=50.0, stopped_below=20.0))
)
"""One whose running follows from its power."""
PLANS: Mapping[str, UnitPlan] = {"told": TOLD, "counted": COUNTED, "measured": MEASURED}

_STEP = st.tuples(
    st.sampled_from([1, 7, 20, 44, 46, 61, 300, 1_100]),
    st.integers(0, 6),
    st.integers(0, 12),
    st.integers(0, 3),
    st.integers(0, 900),
    st.integers(0, 9),
)


@st.composite
def courses(draw: st.DrawFn, *, plausible: bool = False, most: int = 40) -> list[Sample]:
    """A machine's samples at uneven times. ``plausible``: its counters never run faster than can be believed."""
    good, scrap, energy, time = (
        draw(st.integers(0, 65_535)),
        draw(st.integers(0, 99)),
        0,
        draw(st.sampled_from([BASE, LATE])),
    )
    samples = []
    for pause, state, made, lost, drawn, luck in draw(st.lists(_STEP, min_size=2, max_size=most)):
        time += pause * SECOND + luck
        if plausible:
            made, lost = (min(count, pause * 3 // 10) for count in (made, lost))
        good, scrap, energy = (good + made) % 65_536, (scrap + lost) % SCRAP_MODULUS, energy + drawn
        if luck == 9 and not plausible:
            good, energy = 0, 0
        values = {
            "state": state,
            "good": good,
            "scrap": scrap,
            "energy_kwh": energy / 1000,
            "power_kw": drawn / 10,
            "product_code": 1 + (luck > 6),
        }
        if luck == 0:
            samples.append(Sample(unit=MACHINE, time=time, status=dict.fromkeys(values, COMM_LOST)))
        elif luck == 1:
            partly = {tag: value for tag, value in values.items() if tag not in ("good", "state")}
            samples.append(Sample(unit=MACHINE, time=time, values=partly, status={"good": COMM_LOST}))
        else:
            samples.append(Sample(unit=MACHINE, time=time, values=values))
    return samples


def window_of(samples: Sequence[Sample]) -> tuple[Instant, Instant]:
    """The whole hours around all samples."""
    return samples[0].time - samples[0].time % HOUR, samples[-1].time - samples[-1].time % HOUR + HOUR


@st.composite
def statements(draw: st.DrawFn, samples: Sequence[Sample], *, least: int = 0, most: int = 4) -> list[Statement]:
    """What people said of the time around the samples, whatever it was used for."""
    start, end = samples[0].time - 5 * MINUTE, samples[-1].time + 5 * MINUTE
    return [draw(_statement(start, end, number)) for number in range(draw(st.integers(least, most)))]


@st.composite
def _statement(draw: st.DrawFn, start: Instant, end: Instant, number: int) -> Statement:
    low = draw(st.integers(start, end - 1))
    high = draw(st.integers(low + 1, end))
    kind = draw(st.sampled_from([each for each in StatementKind if each is not StatementKind.SIGN_OFF]))
    said: dict[str, object] = {}
    if kind is StatementKind.REASON:
        said = {"reason": draw(st.sampled_from(sorted(REASONS)))}
    elif kind is StatementKind.CATEGORY:
        categories = [TimeCategory.PLANNED_STOP, TimeCategory.SETUP, TimeCategory.RUNNING, TimeCategory.UNPLANNED_STOP]
        said = {"category": draw(st.sampled_from(categories))}
    elif kind is StatementKind.ORDER:
        said = {"order": "A1", "product": draw(st.sampled_from([None, "disc", "melt"]))}
    else:
        made = draw(st.integers(1, 50))
        said = {"quantities": {"good": float(made), "inspected": float(made), "work_s": 60.0 * made}}
    return Statement(
        id=str(UUID(int=number + 1)),
        unit=MACHINE,
        kind=kind,
        start=low,
        end=high,
        author="operator",
        made_at=end + number,
        **said,  # type: ignore[arg-type]
    )
