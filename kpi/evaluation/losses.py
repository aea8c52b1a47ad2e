"""Where planned busy time went: the waterfall from PBT to good run time, the six big losses, the Pareto of stops."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from kpi.evaluation.evaluate import with_sums
from kpi.evaluation.flags import run_time_missing
from shopfloor.fact import Loss
from shopfloor.machine_state import TimeCategory
from shopfloor.reason import Reason

Names = Mapping[str, str]
"""Text by language, ``en`` and ``id``."""


class Factor(StrEnum):
    """The factor of the OEE index that a loss lowers."""

    AVAILABILITY = "availability"
    EFFECTIVENESS = "effectiveness"
    QUALITY = "quality"
    UNKNOWN = "unknown"
    """Unknown time lowers none: it is kept out of the ratios."""


@dataclass(frozen=True, slots=True)
class LossBar:
    """One bar of the waterfall."""

    id: str
    name: Names
    seconds: float
    """Lost time; the speed bar is negative where the unit ran faster than planned."""
    factor: Factor


@dataclass(frozen=True, slots=True)
class ParetoRow:
    """One row of the Pareto: a reason, or a category of which nobody told the reason."""

    category: str
    """Empty for a reason that stands in several categories."""
    reason: str
    """Empty where nobody stated one."""
    name: Names
    seconds: float
    count: float
    share: float | None
    """Of all seconds listed; None when there are none."""
    cumulative: float | None
    """Share of this row and of those above it."""


CATEGORY_NAMES: Final[Mapping[str, Names]] = {
    TimeCategory.RUNNING: {"en": "Running", "id": "Berjalan"},
    TimeCategory.SETUP: {"en": "Setup", "id": "Penyetelan"},
    TimeCategory.STARVED: {"en": "Waiting for material", "id": "Menunggu bahan"},
    TimeCategory.BLOCKED: {"en": "Blocked", "id": "Terhalang"},
    TimeCategory.NO_ORDER: {"en": "No order", "id": "Tanpa pesanan"},
    TimeCategory.UNPLANNED_STOP: {"en": "Unplanned stop", "id": "Henti tak terencana"},
    TimeCategory.MICRO_STOP: {"en": "Micro-stops", "id": "Henti mikro"},
    TimeCategory.PLANNED_STOP: {"en": "Planned stop", "id": "Henti terencana"},
    TimeCategory.NOT_SCHEDULED: {"en": "Not scheduled", "id": "Tidak dijadwalkan"},
    TimeCategory.UNKNOWN: {"en": "Unknown", "id": "Tidak diketahui"},
}

_BARS: Final[Mapping[str, tuple[Names, Factor]]] = {
    "setup": (CATEGORY_NAMES[TimeCategory.SETUP], Factor.AVAILABILITY),
    "failure": ({"en": "Failure", "id": "Kerusakan"}, Factor.AVAILABILITY),
    "other_stop": ({"en": "Other unplanned stop", "id": "Henti tak terencana lain"}, Factor.AVAILABILITY),
    "starved": (CATEGORY_NAMES[TimeCategory.STARVED], Factor.AVAILABILITY),
    "blocked": (CATEGORY_NAMES[TimeCategory.BLOCKED], Factor.AVAILABILITY),
    "no_order": (CATEGORY_NAMES[TimeCategory.NO_ORDER], Factor.AVAILABILITY),
    "unknown": (CATEGORY_NAMES[TimeCategory.UNKNOWN], Factor.UNKNOWN),
    "micro_stop": (CATEGORY_NAMES[TimeCategory.MICRO_STOP], Factor.EFFECTIVENESS),
    "speed": ({"en": "Speed", "id": "Kecepatan"}, Factor.EFFECTIVENESS),
    "unrated": ({"en": "Running without planned run time", "id": "Berjalan tanpa waktu rencana"}, Factor.EFFECTIVENESS),
    "startup_scrap": ({"en": "Start-up scrap", "id": "Afkir awal produksi"}, Factor.QUALITY),
    "quality": ({"en": "Scrap and rework", "id": "Afkir dan pengerjaan ulang"}, Factor.QUALITY),
}

_SIX: Final[Mapping[str, tuple[Names, Factor, tuple[str, ...]]]] = {
    "breakdown": ({"en": "Breakdown", "id": "Kerusakan"}, Factor.AVAILABILITY, ("failure",)),
    "setup_adjustment": (
        {"en": "Setup and adjustment", "id": "Penyetelan dan penyesuaian"},
        Factor.AVAILABILITY,
        ("setup",),
    ),
    "minor_stops": ({"en": "Idling and minor stops", "id": "Henti kecil"}, Factor.EFFECTIVENESS, ("micro_stop",)),
    "reduced_speed": (
        {"en": "Reduced speed", "id": "Kecepatan berkurang"},
        Factor.EFFECTIVENESS,
        ("speed", "unrated"),
    ),
    "process_defects": ({"en": "Process defects", "id": "Cacat proses"}, Factor.QUALITY, ("quality",)),
    "startup_yield": ({"en": "Start-up yield", "id": "Rugi awal produksi"}, Factor.QUALITY, ("startup_scrap",)),
    "outside_the_six": (
        {"en": "Waiting, no order, other stops, unknown", "id": "Menunggu, tanpa pesanan, henti lain, tak diketahui"},
        Factor.AVAILABILITY,
        ("other_stop", "starved", "blocked", "no_order", "unknown"),
    ),
}

STOPPED: Final = frozenset(
    {
        TimeCategory.SETUP,
        TimeCategory.STARVED,
        TimeCategory.BLOCKED,
        TimeCategory.NO_ORDER,
        TimeCategory.UNPLANNED_STOP,
        TimeCategory.MICRO_STOP,
    }
)
"""What the Pareto shows unless told otherwise: known time inside PBT in which nothing was made."""


def waterfall(elements: Mapping[str, float], *, counted: bool = True) -> list[LossBar]:
    """The bars between planned busy time and good run time: PBT - all bars = ``good_run_s``, exactly.

    A unit without a planned run time per item, or whose quantities nothing tells (not ``counted``), has an ``unrated``
    bar in place of the speed bar: how fast it ran cannot be told.
    """
    whole = with_sums(elements)
    rated = counted and not run_time_missing(whole)
    bars = [LossBar(bar, _BARS[bar][0], seconds, _BARS[bar][1]) for bar, seconds in _lost(whole, rated=rated).items()]
    return _closed(bars, whole["planned_busy_s"], whole.get("good_run_s", 0.0))


def six_big_losses(elements: Mapping[str, float], *, counted: bool = True) -> list[LossBar]:
    """Nakajima's six, and what of PBT's losses is none of them: together the waterfall's bars, to the last bit.

    Breakdown is the time down after failures. Waiting, missing orders and stops that were no failure stand apart, since
    no equipment caused them.
    """
    whole = with_sums(elements)
    bars = {bar.id: bar.seconds for bar in waterfall(elements, counted=counted)}
    losses = [
        LossBar(loss, name, math.fsum(bars.get(part, 0.0) for part in parts), factor)
        for loss, (name, factor, parts) in _SIX.items()
    ]
    return _closed(losses, whole["planned_busy_s"], whole.get("good_run_s", 0.0))


def pareto(
    losses: Iterable[Loss],
    reasons: Mapping[str, Reason],
    categories: frozenset[TimeCategory] = STOPPED,
) -> list[ParetoRow]:
    """Seconds and counts by reason, the longest first; time without a reason by its category."""
    grouped: dict[tuple[str, str], list[Loss]] = defaultdict(list)
    for loss in losses:
        if loss.category in categories:
            grouped["" if loss.reason else loss.category, loss.reason].append(loss)
    totals = {key: math.fsum(loss.seconds for loss in group) for key, group in grouped.items()}
    counts = {key: math.fsum(loss.count for loss in group) for key, group in grouped.items()}
    kept = sorted((key for key in totals if totals[key] or counts[key]), key=lambda key: (-totals[key], key))
    whole = math.fsum(totals.values())
    rows: list[ParetoRow] = []
    for rank, key in enumerate(kept, start=1):
        among = {loss.category for loss in grouped[key]}
        category = among.pop() if len(among) == 1 else ""
        rows.append(
            ParetoRow(
                category=category,
                reason=key[1],
                name=_name(key[1], category, reasons),
                seconds=totals[key],
                count=counts[key],
                share=totals[key] / whole if whole else None,
                cumulative=math.fsum(totals[above] for above in kept[:rank]) / whole if whole else None,
            )
        )
    return rows


def _lost(whole: Mapping[str, float], *, rated: bool) -> dict[str, float]:
    get = whole.get
    stopped = get("unplanned_stop_s", 0.0)
    failure = min(max(get("repair_s", 0.0), 0.0), stopped)
    running, planned, good = get("running_s", 0.0), get("planned_run_s", 0.0), get("good_run_s", 0.0)
    startup = get("startup_scrap_run_s", 0.0)
    return {
        "setup": get("setup_s", 0.0),
        "failure": failure,
        "other_stop": stopped - failure,
        "starved": get("starved_s", 0.0),
        "blocked": get("blocked_s", 0.0),
        "no_order": get("no_order_s", 0.0),
        "unknown": get("unknown_s", 0.0),
        "micro_stop": get("micro_stop_s", 0.0),
        "speed" if rated else "unrated": running - planned,
        "startup_scrap": startup,
        "quality": planned - good - startup,
    }


def _closed(bars: Sequence[LossBar], start: float, end: float) -> list[LossBar]:
    """The bars with what rounding left between them and ``start - end``, put on the longest."""
    closed = list(bars)
    longest = max(range(len(closed)), key=lambda index: abs(closed[index].seconds))
    rest = math.fsum((start, -end, *(-bar.seconds for bar in closed)))
    if rest:
        closed[longest] = replace(closed[longest], seconds=closed[longest].seconds + rest)
    return closed


def _name(reason: str, category: str, reasons: Mapping[str, Reason]) -> Names:
    if not reason:
        return CATEGORY_NAMES[category]
    known = reasons.get(reason)
    return known.name if known is not None else {"en": reason, "id": reason}
