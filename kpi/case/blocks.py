"""The blocks of a case beside its elements: measurements, steps, tariff, baseline, bar."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kpi.capability.indices import Capability, capability
from kpi.capability.spc import Within
from kpi.case.elements import NAMES
from kpi.case.values import above_0, block, number, numbers
from kpi.energy.enpi import EnergyPoint, expected, fit
from kpi.energy.tariff import Bill, bill
from kpi.evaluation.yields import first_pass_yield, rolled_throughput
from kpi.refusal import BadInput
from shopfloor.plant import Baseline, Tariff

Kpi = float | list[float] | None

CAPABILITY_KPIS: Final = ("cm", "cmk", "cp", "cpk", "cpu", "cpl", "pp", "ppk", "cpm", "cpm_overall", "k")
MOMENTS: Final = ("mean", "sigma_within", "sigma_overall", "xbar_lower", "xbar_upper")
BILL_KPIS: Final = (
    "peak_cost",
    "off_peak_cost",
    "energy_cost",
    "excess_kvarh",
    "reactive_cost",
    "load_hours",
    "minimum_cost",
    "total_cost",
    "power_factor",
)
TARIFF_NAMES: Final = (
    "peak_kwh",
    "off_peak_kwh",
    "kvarh",
    "contract_kva",
    "off_peak",
    "peak",
    "peak_factor",
    "kvarh_price",
    "free_kvarh_per_kwh",
    "minimum_hours",
    "currency",
)
TARIFF_SYNONYMS: Final = {
    "price": "off_peak",
    "off_peak_price": "off_peak",
    "peak_price": "peak",
    "lwbp_kwh": "off_peak_kwh",
    "wbp_kwh": "peak_kwh",
    "lwbp": "off_peak",
    "wbp": "peak",
}
BASELINE_SYNONYMS: Final = {
    "kwh_per_unit": "slope",
    "base_kwh": "intercept",
    "actual_kwh": "actual",
    "energy_kwh": "actual",
    "quantity": "x",
    "mass_t": "x",
}
STEEL: Final = 7850.0
"""kg/m3."""


@dataclass(slots=True)
class Answer:
    """What a block gives."""

    kpis: dict[str, Kpi] = field(default_factory=dict)
    elements: dict[str, float] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """KPI -> why it is null."""


def measurements(given: object) -> Answer:
    """Capability of one characteristic, from ``values``, ``subgroups``, or ``mean`` with ``sigma``."""
    names = ("values", "subgroups", "mean", "sigma", "lsl", "usl", "target", "method")
    read = block("measurements", given, names, {})
    scalars = {
        name: number(f"measurements.{name}", read[name], negative=True) if name in read else None
        for name in ("mean", "sigma", "lsl", "usl", "target")
    }
    subgroups = read.get("subgroups")
    if subgroups is not None and not isinstance(subgroups, list):
        raise BadInput("measurements.subgroups is not a list; write [[..], [..], ...]")
    found = capability(
        values=numbers("measurements.values", read["values"]) if "values" in read else None,
        subgroups=None
        if subgroups is None
        else [numbers(f"measurements.subgroups[{n}]", group) for n, group in enumerate(subgroups, start=1)],
        method=_method(read.get("method")),
        **scalars,
    )
    answer = Answer(flags=list(found.flags))
    for kpi in CAPABILITY_KPIS:
        value = getattr(found, kpi)
        answer.kpis[kpi] = value
        if value is None:
            answer.missing[kpi] = _why_no_index(kpi, found, scalars)
    answer.elements = {name: getattr(found, name) for name in MOMENTS if getattr(found, name) is not None}
    return answer


def steps(given: object) -> Answer:
    """Rolled throughput yield of yields 0..1, or of steps with ``first_pass_good`` and ``inspected``."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise BadInput("steps is not a list; write the steps' yields, such as [0.95, 0.84, 0.88]")
    rty = rolled_throughput([_step(f"steps[{n}]", step) for n, step in enumerate(given, start=1)])
    missing = {} if rty is not None else {"rty": "a step has no yield" if given else "steps is empty"}
    return Answer(kpis={"rty": rty}, missing=missing)


def tariff(given: object, elements: Mapping[str, float]) -> Answer:
    """A month's bill; energy that the block does not give is that of the elements."""
    read = block("tariff", given, TARIFF_NAMES, TARIFF_SYNONYMS)
    currency = str(read.pop("currency", "currency"))
    if isinstance(read.get("peak"), str) and ":" in read["peak"]:
        del read["peak"]  # a plant file's hours; the energy here is already split by them
    values = {name: number(f"tariff.{name}", value) for name, value in read.items()}
    if values.get("peak_factor") == 0:
        raise BadInput("tariff.peak_factor is 0; give the factor on the price in the peak hours, such as 1.5")
    peak, off_peak = _energy(values, elements)
    kvarh = values.get("kvarh", elements.get("reactive_kvarh"))
    answer = Answer(kpis=dict.fromkeys(BILL_KPIS))
    if peak is None or off_peak is None:
        answer.missing = dict.fromkeys(BILL_KPIS, "tariff.peak_kwh and off_peak_kwh are not given")
        return answer
    price, factor = _prices(values)
    terms = Tariff(
        id="case",
        currency=currency,
        off_peak=price or 0.0,
        peak_factor=1.0 if factor is None else factor,
        peak_start_minute=0,
        peak_end_minute=0,
        kvarh=values.get("kvarh_price", 0.0),
        free_kvarh_per_kwh=values.get("free_kvarh_per_kwh", 0.0),
        contract_kva=values.get("contract_kva"),
        minimum_hours=values.get("minimum_hours", 0.0),
    )
    month = bill(peak_kwh=peak, off_peak_kwh=off_peak, kvarh=kvarh or 0.0, tariff=terms)
    priced = price is not None and (factor is not None or not peak)
    _fill(answer, month, priced=priced, values=values, kvarh=kvarh)
    answer.elements = {"peak_kwh": peak, "off_peak_kwh": off_peak}
    if kvarh is not None:
        answer.elements |= {"reactive_kvarh": kvarh, "free_kvarh": month.free_kvarh}
    return answer


def baseline(given: object, elements: Mapping[str, float]) -> Answer:
    """Expected energy and saving against a line that is given, or fitted to ``points``."""
    read = block(
        "baseline", given, ("slope", "intercept", "x", "actual", "points", "days", "unit", "driver"), BASELINE_SYNONYMS
    )
    unit, driver = str(read.pop("unit", "t")), read.pop("driver", None)
    points = read.pop("points", None)
    values = {
        name: number(f"baseline.{name}", value, negative=name in ("slope", "intercept")) for name, value in read.items()
    }
    answer = Answer(kpis=dict.fromkeys(("predicted_kwh", "saving_kwh", "enpi")))
    line = _line(points, values, answer)
    if line is None:
        answer.missing = dict.fromkeys(answer.kpis, "baseline.slope and intercept, or points, are not given")
        return answer
    x = values.get("x", _driver(driver, unit, elements))
    actual = values.get("actual", elements.get("energy_kwh"))
    if x is None:
        answer.missing = dict.fromkeys(answer.kpis, "baseline.x is not given")
        return answer
    predicted = expected(line, x, above_0("baseline.days", values.get("days", 1.0), "give the length in days"))
    answer.kpis["predicted_kwh"] = predicted
    if predicted < 0:
        answer.flags.append("predicted_below_0")
    if actual is None:
        answer.missing = dict.fromkeys(("saving_kwh", "enpi"), "baseline.actual is not given")
        return answer
    answer.kpis |= {"saving_kwh": predicted - actual, "enpi": actual / predicted if predicted > 0 else None}
    if predicted <= 0:
        answer.missing["enpi"] = "predicted_kwh is not above 0"
    answer.elements |= {"baseline_x": x, "baseline_actual_kwh": actual}
    if unit == "t" and driver is None and x > 0 and not {"energy_kwh", "good_kg"} & set(elements):
        answer.kpis["sec_kwh_per_t"] = actual / x
        answer.flags.append("sec_from_baseline")
    return answer


def bar(given: object) -> Answer:
    """Nominal mass per meter of round bars by their diameter, of steel unless a density is given."""
    read = block("bar", given, ("diameter_mm", "density_kg_per_m3"), {})
    if "diameter_mm" not in read:
        raise BadInput("bar.diameter_mm is not given; write the nominal diameter, or a list of them")
    density = above_0("bar.density_kg_per_m3", read.get("density_kg_per_m3", STEEL), "steel has 7850")
    sizes = read["diameter_mm"]
    if isinstance(sizes, list):
        masses = [_bar_mass(f"bar.diameter_mm[{n}]", size, density) for n, size in enumerate(sizes, start=1)]
        return Answer(kpis={"bar_kg_per_m": masses})
    return Answer(kpis={"bar_kg_per_m": _bar_mass("bar.diameter_mm", sizes, density)})


def _driver(driver: object, unit: str, elements: Mapping[str, float]) -> float | None:
    """The element that drives the energy: the one named, else tons of good product."""
    if driver is not None and driver != "mass_t":
        if driver not in NAMES:
            raise BadInput(f"baseline.driver is {driver!r}; write the name of an element, such as produced or good_kg")
        return elements.get(str(driver))
    return elements["good_kg"] / 1000 if "good_kg" in elements and unit == "t" else None


def _bar_mass(where: str, size: object, density: float) -> float:
    diameter_mm = above_0(where, size, "give the nominal diameter in mm")
    return math.pi / 4 * diameter_mm**2 * density / 1e6


def _method(given: object) -> Within | None:
    if given is None:
        return None
    try:
        return Within(str(given))
    except ValueError:
        raise BadInput(f"measurements.method is {given!r}; write one of {', '.join(Within)}") from None


def _why_no_index(kpi: str, found: Capability, given: Mapping[str, float | None]) -> str:
    if kpi in ("cpm", "cpm_overall") and given["target"] is None:
        return "measurements.target is not given"
    needed = {"cpu": ("usl",), "cpl": ("lsl",)}.get(kpi, ("lsl", "usl"))
    absent = [name for name in needed if given[name] is None]
    if absent and not (kpi in ("cpk", "ppk", "cmk") and len(absent) == 1):
        return f"measurements.{' and '.join(absent)} not given"
    overall = kpi in ("cm", "cmk", "pp", "ppk", "cpm_overall")
    sigma = found.sigma_overall if overall else found.sigma_within
    if sigma == 0:
        return "sigma is 0"
    return "measurements.values are not given" if overall and found.n is None else "too few values"


def _step(where: str, step: object) -> float | None:
    if not isinstance(step, Mapping):
        return number(where, step)
    read = block(where, step, ("first_pass_good", "inspected"), {"GP": "first_pass_good", "IP": "inspected"})
    good, inspected = (number(f"{where}.{name}", read.get(name)) for name in ("first_pass_good", "inspected"))
    return first_pass_yield(good, inspected)


def _energy(values: Mapping[str, float], elements: Mapping[str, float]) -> tuple[float | None, float | None]:
    """Peak and off-peak energy; with one price, all energy is off-peak."""
    for source in (values, elements):
        if "peak_kwh" in source or "off_peak_kwh" in source:
            return source.get("peak_kwh", 0.0), source.get("off_peak_kwh", 0.0)
    one_price = "peak" not in values and "peak_factor" not in values
    if one_price and "energy_kwh" in elements:
        return 0.0, elements["energy_kwh"]
    return None, None


def _prices(values: Mapping[str, float]) -> tuple[float | None, float | None]:
    """Price off peak, and the factor on it in the peak."""
    price, peak, factor = (values.get(name) for name in ("off_peak", "peak", "peak_factor"))
    if peak is None:
        return price, factor
    if price is None and factor:
        return peak / factor, factor
    if not price:
        return price, None
    if factor is not None and not math.isclose(price * factor, peak, rel_tol=1e-3):
        raise BadInput(f"tariff.peak {peak:g} is not off_peak x peak_factor {price * factor:g}; leave one out")
    return price, peak / price


def _fill(answer: Answer, month: Bill, *, priced: bool, values: Mapping[str, float], kvarh: float | None) -> None:
    """The bill's KPIs, null where a price or an amount behind them was not given."""
    known: dict[str, tuple[Kpi, str]] = {"load_hours": (month.load_hours, "contract_kva")}
    unpriced = "" if priced else "off_peak" if "off_peak" not in values else "peak or peak_factor"
    for kpi in ("peak_cost", "off_peak_cost", "energy_cost"):
        known[kpi] = (getattr(month, kpi) if priced else None, unpriced)
    reactive_gap = next(
        (
            name
            for name, absent in (
                ("kvarh", kvarh is None),
                ("free_kvarh_per_kwh", "free_kvarh_per_kwh" not in values),
                ("kvarh_price", "kvarh_price" not in values),
            )
            if absent and kvarh != 0
        ),
        "",
    )
    no_excess = reactive_gap in ("kvarh", "free_kvarh_per_kwh")
    known["excess_kvarh"] = (None if no_excess else month.excess_kvarh, reactive_gap)
    known["reactive_cost"] = (None if reactive_gap else month.reactive_cost, reactive_gap)
    known["power_factor"] = (None if kvarh is None else month.power_factor, "kvarh")
    contracted = "contract_kva" in values and "minimum_hours" in values and priced
    gap = unpriced or ("minimum_hours" if "contract_kva" in values else "contract_kva")
    known["minimum_cost"] = (month.minimum if contracted else None, gap)
    charged = kvarh is not None or "kvarh_price" in values
    total_gap = unpriced or (reactive_gap if charged else "")
    known["total_cost"] = (None if total_gap else month.total, total_gap)
    for kpi, (value, absent) in known.items():
        answer.kpis[kpi] = value
        if value is None:
            answer.missing[kpi] = f"tariff.{absent} is not given" if absent else "no energy"
    if not total_gap and not charged:
        answer.flags.append("total_without_reactive")
    if month.minimum_applies and contracted and not total_gap:
        answer.flags.append("minimum_bill")


def _line(points: object, values: Mapping[str, float], answer: Answer) -> Baseline | None:
    if points is None:
        if "slope" not in values or "intercept" not in values:
            return None
        return Baseline(kwh_per_unit=values["slope"], base_kwh=values["intercept"])
    if "slope" in values or "intercept" in values:
        raise BadInput("baseline: give slope and intercept, or points to fit, not both")
    if not isinstance(points, list):
        raise BadInput("baseline.points is not a list; write [[x, kwh], [x, kwh], ...]")
    found = fit([_point(f"baseline.points[{n}]", point) for n, point in enumerate(points, start=1)])
    answer.flags += found.flags
    answer.elements |= {"slope": found.kwh_per_unit, "intercept": found.base_kwh}
    if found.r2 is not None:
        answer.elements["r2"] = found.r2
    return found.baseline("x")


def _point(where: str, point: Any) -> EnergyPoint:
    if isinstance(point, Mapping):
        read = block(where, point, ("x", "kwh", "days"), BASELINE_SYNONYMS | {"actual": "kwh", "actual_kwh": "kwh"})
        x, kwh = (number(f"{where}.{name}", read.get(name)) for name in ("x", "kwh"))
        return EnergyPoint(x, kwh, number(f"{where}.days", read.get("days", 1.0)))
    given = numbers(where, point)
    if len(given) != 2:
        raise BadInput(f"{where} has {len(given)} numbers; write [x, kwh]")
    return EnergyPoint(given[0], given[1])
