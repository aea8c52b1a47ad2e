"""``calc``: KPIs from given elements, without a store, by the formulas of every fact (``kpi.evaluation.formulas``).

What cannot be computed is None, with the reason in ``flags``; what contradicts itself raises BadInput.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kpi.case.blocks import BILL_KPIS, CAPABILITY_KPIS, Answer, Kpi, bar, baseline, measurements, steps, tariff
from kpi.case.elements import Known, merged_elements, taken_as_0
from kpi.case.values import block
from kpi.evaluation.definitions import KPIS
from kpi.evaluation.evaluate import quotients, with_sums
from kpi.evaluation.flags import record_flags, run_time_missing
from kpi.evaluation.formulas import APPARENT, FORMULAS, RATED
from kpi.refusal import BadInput
from shopfloor.elements import SUMS

BLOCKS: Final = ("elements", "measurements", "steps", "tariff", "baseline", "bar")
ABOUT: Final = ("name", "source", "notes")
"""Keys of a case that are for people."""
_OF_BLOCK: Final[Mapping[str, tuple[str, ...]]] = {
    "measurements": CAPABILITY_KPIS,
    "steps": ("rty",),
    "tariff": tuple(kpi for kpi in BILL_KPIS if kpi not in FORMULAS),
    "baseline": ("predicted_kwh", "saving_kwh", "enpi"),
    "bar": ("bar_kg_per_m",),
}
_RAISED_WITH: Final[Mapping[str, tuple[str, ...]]] = {
    "effectiveness_above_1": (),
    "effectiveness_above_1_1": (),
    "planned_run_time_missing": ("produced",),
    "nothing_produced": ("produced", "production_s"),
    "produced_without_running": ("produced", "production_s"),
    "no_failures": ("failures",),
    "assumed_failures": ("assumed_failures",),
    "unattributed": (),
    "unscheduled_run": (),
    "counter_resets": (),
    "implausible_counts": (),
}
"""Flags of a record that a case can raise, and the elements that it must give for that."""


@dataclass(frozen=True, slots=True)
class CaseReport:
    """What a case comes to."""

    kpis: Mapping[str, Kpi]
    """Every id of ``kpi.evaluation.definitions.KPIS``; None where it cannot be computed."""
    elements: Mapping[str, float]
    """The merged elements, with those that followed and the sums of the formulas."""
    flags: tuple[str, ...]


def calculate(case: object) -> CaseReport:
    """The KPIs of a case as ``docs/calc.md`` describes it. Raises BadInput with one line for what cannot be meant."""
    read = block("the case", case, (*BLOCKS, *ABOUT), {})
    if not any(name in read for name in BLOCKS):
        raise BadInput(f"the case is empty; give at least one of {', '.join(BLOCKS)}")
    known = merged_elements(read.get("elements"))
    answers = _blocks(read, known)
    whole, mine = _record(known, answers.get("tariff"))
    kpis: dict[str, Kpi] = {kpi: mine.kpis.get(kpi) for kpi in KPIS}
    missing = {"fall_off_ratio": "records of a line's steps are not given"} | mine.missing
    flags = [*known.flags, *mine.flags]
    for name in BLOCKS[1:]:
        answer = answers.get(name)
        if answer is None:
            missing |= dict.fromkeys(_OF_BLOCK[name], f"{name} is not given")
            continue
        told = {kpi: value for kpi, value in answer.kpis.items() if value is not None or kpis.get(kpi) is None}
        kpis |= told
        missing |= {kpi: why for kpi, why in answer.missing.items() if kpi in told}
        flags += answer.flags
        whole |= {element: value for element, value in answer.elements.items() if element not in whole}
    ordered = {kpi: kpis[kpi] for kpi in KPIS}
    return CaseReport(ordered, whole, (*dict.fromkeys(flags), *_reasons(ordered, missing)))


def _blocks(read: Mapping[str, Any], known: Known) -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    if "measurements" in read:
        answers["measurements"] = measurements(read["measurements"])
    if "steps" in read:
        answers["steps"] = steps(read["steps"])
    if "tariff" in read:
        answers["tariff"] = tariff(read["tariff"], known.values)
    if "baseline" in read:
        answers["baseline"] = baseline(read["baseline"], known.values)
    if "bar" in read:
        answers["bar"] = bar(read["bar"])
    return answers


def _record(known: Known, bill: Answer | None) -> tuple[dict[str, float], Answer]:
    """The elements with their sums, and the KPIs of the record as far as its elements are known."""
    taken = [name for name in taken_as_0(known.values) if name not in known.values]
    given = known.values | dict.fromkeys(taken, 0.0)
    if bill is not None and _same_energy(known, bill):
        given |= {name: value for name, value in bill.elements.items() if name in ("peak_kwh", "off_peak_kwh")}
        cost = bill.kpis["energy_cost"]
        if isinstance(cost, float):
            given.setdefault("energy_cost", cost)
    whole = with_sums(given, given)
    have = _available(given)
    kpis = quotients(whole if "calendar_s" in have else whole | {"calendar_s": 1.0})
    answer = Answer(flags=[flag for flag in record_flags(whole, kpis) if _raised(flag, given)])
    if "setup_s" in taken and "production_s" in have:
        answer.flags.append("setup_s_taken_as_0")
    unrated = run_time_missing(given)
    for kpi, formula in FORMULAS.items():
        needed = formula.elements
        if formula.needs is not None and formula.needs not in SUMS:
            needed = (formula.needs, *needed)
        absent = [name for name in needed if name not in have or name in taken]
        if absent:
            answer.missing[kpi] = _why(absent[0], known, have)
        elif unrated and kpi in RATED:
            answer.missing[kpi] = "planned_run_time_s is not given"
        else:
            answer.kpis[kpi] = kpis[kpi]
            if kpis[kpi] is None:
                answer.missing[kpi] = next(
                    f"{name} is 0" for name in (*formula.under, formula.needs) if not whole.get(name or "")
                )
    kept = {name: value for name, value in whole.items() if name in have and name not in taken}
    return kept, answer


def _same_energy(known: Known, bill: Answer) -> bool:
    """Whether the bill is for the energy of the elements; then its cost is theirs too."""
    metered = bill.elements.get("peak_kwh", 0.0) + bill.elements.get("off_peak_kwh", 0.0)
    energy = known.values.get("energy_kwh", metered)
    if abs(energy - metered) <= 1e-6 * max(energy, metered):
        return True
    known.flag("bill_of_other_energy")
    return False


def _available(given: Mapping[str, float]) -> frozenset[str]:
    """Names of the elements, and of the sums that they give in full."""
    have = set(given)
    for name, total in SUMS.items():
        if name not in ("calendar_s", "planned_busy_s") and all(part in have for part in (*total.plus, *total.minus)):
            have.add(name)
    if {"energy_kwh", "reactive_kvarh"} <= have:
        have.add(APPARENT)
    return frozenset(have)


def _why(element: str, known: Known, have: frozenset[str]) -> str:
    """Why an element is not known: the column that nobody gave."""
    while element in SUMS and element not in known.missing and element not in ("calendar_s", "planned_busy_s"):
        parts = [part for part in (*SUMS[element].plus, *SUMS[element].minus) if part not in have]
        if not parts or element in ("production_s", "delay_s"):
            break
        element = parts[0]
    if element == APPARENT:
        element = "reactive_kvarh" if "energy_kwh" in have else "energy_kwh"
    if element in ("planned_run_s", "good_run_s") and element not in known.missing:
        rated = "good" if element == "good_run_s" else "produced"
        element = "planned_run_time_s" if rated in have else rated
    return known.missing.get(element, f"{element} is not given")


def _raised(flag: str, given: Mapping[str, float]) -> bool:
    needed = _RAISED_WITH.get(flag)
    return needed is not None and all(name in given for name in needed)


def _reasons(kpis: Mapping[str, Kpi], missing: Mapping[str, str]) -> list[str]:
    """One line per reason, with the KPIs that are null for it."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for kpi, value in kpis.items():
        if value is None:
            grouped[missing[kpi]].append(kpi)
    return [f"{', '.join(names)}: {reason}" for reason, names in grouped.items()]
