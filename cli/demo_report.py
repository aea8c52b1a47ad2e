"""What a demo found out: ledger, KPIs beside the simulator's truth, energy. The shape of ``--json`` is a contract."""

from collections.abc import Iterable
from math import fsum
from typing import Any

from kpi_api.answers import EnergyAnswer
from kpi_api.store import Store
from shopfloor.instant import Instant, format_instant
from simulators.factory import Factory

FACTORS = ("availability", "effectiveness", "quality_ratio", "oee_index")
QUANTITIES = ("produced", "good", "scrap")
Json = dict[str, Any]


def report(store: Store, factory: Factory, since: Instant) -> Json:
    """Everything over the whole window: from the first reading after ``since`` to each unit's last. Blocking."""
    spans = {path: _span(factory, path, since) for path in store.plant.units}
    read = {path: span for path, span in spans.items() if span is not None}
    start = min((first for first, _ in read.values()), default=since)
    end = max((last for _, last in read.values()), default=since)
    return {
        "window": {"start": format_instant(start), "end": format_instant(end)},
        "ledger": _ledger(store, factory),
        "units": {path: _unit(store, factory, path, *span) for path, span in read.items()},
        "energy": _energy(store, start, end),
    }


def _span(factory: Factory, path: str, since: Instant) -> tuple[Instant, Instant] | None:
    """The instants of a unit's first reading from ``since`` on and of its last."""
    first = next((entry.t for entry in factory.journal.entries(path) if entry.t >= since), None)
    return None if first is None else (first, factory.journal.span(path).last)


def _ledger(store: Store, factory: Factory) -> Json:
    answer = store.ledger()
    return {
        "agents": {agent: ledger.as_dict() for agent, ledger in answer.agents.items()},
        "dead_letters": answer.dead_letters,
        "served": factory.journal.count(),
    }


def _unit(store: Store, factory: Factory, path: str, start: Instant, end: Instant) -> Json:
    item = store.kpi_items(path, start, end)[0]
    truth = factory.truth(path, start, end)
    kpi: Json = {"coverage": item.coverage, "final": item.final, "flags": list(item.flags)}
    true: Json = {}
    if store.plant.units[path].is_machine:
        kpi |= {name: item.kpis[name] for name in FACTORS}
        kpi |= {name: round(item.elements.get(name, 0.0)) for name in QUANTITIES}
        true |= {name: getattr(truth, name) for name in FACTORS}
        true |= {name: getattr(truth.quantities, name) for name in QUANTITIES}
    energy = store.energy(path, start, end)
    if energy is not None:
        kpi["energy_kwh"], true["energy_kwh"] = _kwh([energy.total_kwh]), _kwh([truth.energy.total_kwh])
    return {"kpi": kpi, "truth": true}


def _energy(store: Store, start: Instant, end: Instant) -> Json:
    """The plant's energy: of its meter where it has one, else of all units with an energy counter."""
    answers = {path: store.energy(path, start, end) for path in store.plant.units}
    meters = [answer for path, answer in answers.items() if answer and not store.plant.units[path].is_machine]
    counted = meters or [answer for answer in answers.values() if answer]
    return {
        "total_kwh": _kwh(answer.total_kwh for answer in counted),
        "by_month_kwh": _by_month(counted),
        "peak_kw": _peak(counted),
    }


def _by_month(answers: list[EnergyAnswer]) -> Json:
    months = sorted({month for answer in answers for month in answer.by_month_kwh})
    return {month: _kwh(answer.by_month_kwh.get(month, 0.0) for answer in answers) for month in months}


def _kwh(parts: Iterable[float]) -> float:
    """Exact to the resolution of any counter (1 mWh), without the dust of binary fractions."""
    return round(fsum(parts), 6)


def _peak(answers: list[EnergyAnswer]) -> Json | None:
    peaks = [answer.peak_kw for answer in answers if answer.peak_kw]
    highest = max(peaks, key=lambda peak: peak.value, default=None)
    return None if highest is None else {"value": highest.value, "at": format_instant(highest.at)}
