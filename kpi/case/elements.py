"""A case's elements: read, completed where one follows from others, checked, merged. Never guessed without a flag."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from kpi.case.values import block, number
from kpi.evaluation.flags import SLACK
from kpi.refusal import BadInput
from shopfloor.additive import COLUMNS, Merge

TIMES: Final = ("calendar_s", "planned_busy_s", "production_s", "delay_s")
"""Sums of categories that a case may give as such."""
OWN: Final = ("planned_run_time_s", "mass_t")
"""Names that are no element: PRI in seconds per piece, tons of good product."""
NAMES: Final = (*TIMES, *OWN, *(name for name, column in COLUMNS.items() if column.merge is Merge.SUM))
SYNONYMS: Final = {
    "PBT": "planned_busy_s",
    "APT": "production_s",
    "AUST": "setup_s",
    "ADET": "delay_s",
    "ADOT": "no_order_s",
    "AOET": "order_s",
    "PRI": "planned_run_time_s",
    "PQ": "produced",
    "GQ": "good",
    "SQ": "scrap",
    "RQ": "rework",
    "PSQ": "planned_scrap",
    "IP": "inspected",
    "GP": "first_pass_good",
    "FE": "failures",
    "APAT": "attendance_s",
    "APWT": "work_s",
    "CMT": "corrective_s",
    "PMT": "preventive_s",
    "CM": "consumed_kg",
    "PL": "production_loss_kg",
    "STL": "storage_loss_kg",
    "OL": "other_loss_kg",
    "EPC": "capacity",
}
QUANTITIES: Final = ("produced", "good", "scrap", "planned_run_s", "good_run_s")
"""Elements that mean nothing when a part of the case that made something lacks them."""
BUSY_TIMES: Final = ("calendar_s", "planned_busy_s", "production_s", "delay_s", "staffed_s")
"""The same of several machines with a planned busy time each."""
LOSSES: Final = ("setup_s", "delay_s", "no_order_s", "unknown_s")
"""What production time is the rest of, inside PBT."""
TAKEN_AS_0: Final = ("setup_s", "unknown_s")
"""Inside PBT, no part of it where a case does not name them."""
WHOLE: Final = ("failures", "assumed_failures", "unplanned_stops", "micro_stops", "setups")


@dataclass(slots=True)
class Known:
    """What is known of a case's elements."""

    values: dict[str, float] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Element -> why it is not known, where that is more than that nobody gave it."""

    def follow(self, name: str, whole: float, less: float, flag: str) -> None:
        """Take ``whole - less`` for an element that nobody gave."""
        rest = whole - less
        if rest < -SLACK * whole:
            raise BadInput(f"{name} would be {rest:g}, below 0: the elements it follows from contradict each other")
        self.values[name] = rest if rest > SLACK * whole else 0.0
        self.flag(flag)

    def flag(self, flag: str) -> None:
        """Raise a flag, once."""
        if flag not in self.flags:
            self.flags.append(flag)

    def has(self, *names: str) -> bool:
        """Whether all of them are known."""
        return all(name in self.values for name in names)

    def sum(self, *names: str) -> float:
        """Sum of those that are known."""
        return math.fsum(self.values.get(name, 0.0) for name in names)


def merged_elements(given: object) -> Known:
    """The elements of a case: one mapping, or a list of them that is merged."""
    if given is None:
        return Known()
    several = isinstance(given, Sequence) and not isinstance(given, str)
    parts = list(given) if isinstance(given, Sequence) and several else [given]
    if not parts:
        raise BadInput("elements is an empty list; give at least one mapping")
    records = [_record(f"elements[{n}]" if several else "elements", part) for n, part in enumerate(parts, start=1)]
    timed = [record for record in records if _has_busy_time(record)]
    if len(timed) > 1:
        for record in timed:
            _times(record)
    for record in records:
        check(record)
    whole = _merge(records, timed)
    if len(timed) < 2:
        _times(whole)
    check(whole)
    return whole


def check(known: Known) -> None:
    """Refuse what contradicts itself, flag what the standard allows."""
    _inside(known, ("production_s", *LOSSES), "planned_busy_s")
    _inside(known, ("planned_busy_s", "planned_stop_s", "not_scheduled_s"), "calendar_s")
    for part, whole in (
        ("staffed_s", "calendar_s"),
        ("micro_stop_s", "production_s"),
        ("work_s", "attendance_s"),
        ("first_pass_good", "inspected"),
        ("good", "produced"),
        ("scrap", "produced"),
        ("rework", "produced"),
        ("good_run_s", "planned_run_s"),
        ("idle_energy_kwh", "energy_kwh"),
        ("assumed_failures", "failures"),
    ):
        _inside(known, (part,), whole)
    _inside(known, ("good", "scrap"), "produced")
    if known.has("produced", "good", "rework") and _above(known.sum("good", "scrap", "rework"), known.sum("produced")):
        known.flag("good_includes_rework")
    if known.has("repair_s", "delay_s") and _above(known.sum("repair_s"), known.sum("delay_s")):
        known.flag("repair_above_delay")
    within = ("production_s", "setup_s", "delay_s", "no_order_s")
    if known.has("planned_busy_s", *within) and _above(known.sum("planned_busy_s"), known.sum(*within, "unknown_s")):
        known.flag("time_unaccounted")


def _record(where: str, given: object) -> Known:
    values = {name: number(f"{where}.{name}", value) for name, value in block(where, given, NAMES, SYNONYMS).items()}
    for name in WHOLE:
        if values.get(name, 0.0) % 1:
            raise BadInput(f"{where}.{name} is {values[name]:g}; events are counted in whole numbers")
    known = Known(values)
    _quantities(where, known)
    return known


def _quantities(where: str, known: Known) -> None:
    """Complete one part's quantities and rate them by its planned run time per item."""
    values = known.values
    if "produced" not in values and known.has("good", "scrap"):
        known.follow("produced", known.sum("good", "scrap", "rework"), 0.0, "produced_sum")
    if "produced" in values and "good" not in values and ("scrap" in values or "rework" in values):
        known.follow("good", values["produced"], known.sum("scrap", "rework"), "good_first_pass")
    _inside(known, ("good",), "produced")
    if known.has("produced", "good") and "scrap" not in values and "rework" not in values:
        known.follow("scrap", values["produced"], values["good"], "scrap_residual")
    if "mass_t" in values:
        mass = values.pop("mass_t") * 1000
        if not math.isclose(values.setdefault("good_kg", mass), mass, rel_tol=1e-6):
            raise BadInput(f"{where}: mass_t and good_kg differ; leave one out")
    item = values.pop("planned_run_time_s", None)
    if item is None:
        _unrated_nothing(values)
        return
    if not item:
        raise BadInput(f"{where}.planned_run_time_s is 0; give the planned seconds per piece")
    for quantity, run in (("produced", "planned_run_s"), ("good", "good_run_s")):
        if quantity in values:
            rated = item * values[quantity]
            if not math.isclose(values.setdefault(run, rated), rated, rel_tol=1e-6):
                raise BadInput(f"{where}: {run} is not planned_run_time_s x {quantity}; leave one out")


def _unrated_nothing(values: dict[str, float]) -> None:
    """Nothing made is nothing at any planned run time."""
    for quantity, run in (("produced", "planned_run_s"), ("good", "good_run_s")):
        if values.get(quantity) == 0:
            values.setdefault(run, 0.0)


def _has_busy_time(known: Known) -> bool:
    """Whether the part is a machine or a shift with a planned busy time of its own, not one product of several."""
    return known.has("planned_busy_s") or known.has("calendar_s", "planned_stop_s")


def _merge(records: list[Known], timed: list[Known]) -> Known:
    """Sums of the parts. What only some parts tell, where all would have to, is not known."""
    whole = Known()
    makers = [record for record in records if any(name in record.values for name in QUANTITIES)]
    for name in dict.fromkeys(name for record in records for name in record.values):
        holders = [record for record in records if name in record.values]
        needed = makers if name in QUANTITIES else timed if name in BUSY_TIMES else []
        if len(needed) > 1 and not all(name in record.values for record in needed):
            whole.missing[name] = f"{name} is not known for every element"
            continue
        whole.values[name] = math.fsum(record.values[name] for record in holders)
        if not needed and len(timed) != 1 and len(holders) < len(records):
            whole.flags.append(f"partly_given: {name} in {len(holders)} of {len(records)} elements, their sum is taken")
    for record in records:
        whole.flags += [flag for flag in record.flags if flag not in whole.flags]
    return whole


def _times(known: Known) -> None:
    """Complete the times of PBT from each other."""
    values = known.values
    if "running_s" in values:
        _agree(known, "production_s", "running_s", "micro_stop_s")
    if any(name in values for name in ("starved_s", "blocked_s", "unplanned_stop_s")):
        _agree(known, "delay_s", "starved_s", "blocked_s", "unplanned_stop_s")
    if "planned_busy_s" not in values:
        if known.has("calendar_s", "planned_stop_s"):
            closed = known.sum("planned_stop_s", "not_scheduled_s")
            known.follow("planned_busy_s", values["calendar_s"], closed, "planned_busy_residual")
        elif known.has("production_s", "delay_s"):
            known.follow("planned_busy_s", known.sum("production_s", *LOSSES), 0.0, "planned_busy_sum")
    if "planned_busy_s" not in values:
        return
    busy = values["planned_busy_s"]
    if "production_s" not in values:
        if "delay_s" not in values and "repair_s" in values:
            known.follow("delay_s", values["repair_s"], 0.0, "delay_from_repair")
        if any(name in values for name in LOSSES):
            known.follow("production_s", busy, known.sum(*LOSSES), "production_residual")
    elif "delay_s" not in values and known.has("setup_s", "no_order_s"):
        others = known.sum("production_s", "setup_s", "no_order_s", "unknown_s")
        known.follow("delay_s", busy, others, "delay_residual")


def _agree(known: Known, total: str, *parts: str) -> None:
    rest = known.sum(*parts)
    if not math.isclose(known.values.setdefault(total, rest), rest, rel_tol=1e-6):
        raise BadInput(f"{total} {known.values[total]:g} is not {' + '.join(parts)} = {rest:g}; leave one side out")


def _inside(known: Known, parts: Sequence[str], whole: str) -> None:
    given = [name for name in parts if name in known.values]
    if whole in known.values and given and _above(known.sum(*given), known.values[whole]):
        told = f"{' + '.join(given)} = " if len(given) > 1 else f"{given[0]} is "
        raise BadInput(f"{told}{known.sum(*given):g}, more than {whole} {known.values[whole]:g}; correct one of them")


def _above(part: float, whole: float) -> bool:
    return part > whole * (1 + SLACK)


def taken_as_0(values: Mapping[str, float]) -> tuple[str, ...]:
    """Elements that are 0 where a case that tells of busy time does not name them."""
    return TAKEN_AS_0 if "planned_busy_s" in values or "production_s" in values else ()
