"""Figures that no KPI is: how much of a site is connected, counted, metered and explained. Facts -> evidence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kpi.evaluation.definition import Direction
from kpi.evaluation.ratio import ratio
from kpi.guidelines.shown import SiteShown, UnitShown
from kpi.guidelines.signals import SIGNALS, Names

RATIO: Final = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One figure of a site."""

    id: str
    meaning: str
    unit: str
    direction: Direction
    value: Callable[[SiteShown], float | None]
    needs: Names
    """What is missing where it is None."""


def _share(units: Sequence[UnitShown], fulfils: Callable[[UnitShown], bool]) -> float | None:
    return ratio(sum(map(fulfils, units)), len(units))


def _connected(shown: SiteShown) -> float | None:
    return _share(shown.units, lambda unit: unit.elements.get("observed_s", 0.0) > 0)


def _link_uptime(shown: SiteShown) -> float | None:
    observed = sum(unit.elements.get("observed_s", 0.0) for unit in shown.units)
    return ratio(observed, shown.elapsed_s * len(shown.units))


def _automatic_states(shown: SiteShown) -> float | None:
    """Of the time of machines in which anything is known."""
    known = sum(unit.elements.get("calendar_s", 0.0) - unit.elements.get("unknown_s", 0.0) for unit in shown.machines)
    stated = sum(unit.elements.get("stated_s", 0.0) for unit in shown.machines)
    return None if known <= 0 else max(0.0, 1 - stated / known)


def _automatic_quantities(shown: SiteShown) -> float | None:
    """Each machine that made something weighs alike, since pieces and heats are not added up."""
    made = [unit.elements for unit in shown.machines if unit.elements.get("produced", 0.0) > 0]
    shares = [max(0.0, 1 - each.get("stated_produced", 0.0) / each["produced"]) for each in made]
    return ratio(sum(shares), len(shares))


def _explained(shown: SiteShown) -> float | None:
    if shown.explained_s is None or shown.unexplained_s is None:
        return None
    return ratio(shown.explained_s, shown.explained_s + shown.unexplained_s)


def _defects(shown: SiteShown) -> float | None:
    good = shown.kpis.get("quality_ratio")
    return None if good is None else 1 - good


def _good_kg_per_h(shown: SiteShown) -> float | None:
    if not shown.element("good_kg"):
        return None
    return ratio(3600 * shown.element("good_kg"), shown.element("known_busy_s"))


def _labour_h_per_t(shown: SiteShown) -> float | None:
    if not shown.element("attendance_s"):
        return None
    return ratio(shown.element("attendance_s") / 3.6, shown.element("good_kg"))


def _good_kg_per_cost(shown: SiteShown) -> float | None:
    return ratio(shown.element("good_kg"), shown.element("energy_cost"))


def _enpi(shown: SiteShown) -> float | None:
    return None if shown.actual_kwh is None else ratio(shown.actual_kwh, shown.expected_kwh or 0.0)


_MACHINES: Final = {"en": "a machine in the plant file", "id": "mesin di berkas pabrik"}
_UP, _DOWN = Direction.UP, Direction.DOWN

# fmt: off
EVIDENCE: Final[Mapping[str, Evidence]] = {
    each.id: each
    for each in (
        Evidence(id="evidence.connected_units", unit=RATIO, direction=_UP, value=_connected, needs=_MACHINES,
                 meaning="units of which a good value came in the window, of all units of the plant file"),
        Evidence(id="evidence.link_uptime", unit=RATIO, direction=_UP, value=_link_uptime,
                 needs=SIGNALS["calendar_s"],
                 meaning="time in which a good value of a unit held, of the time of all units"),
        Evidence(id="evidence.counted_machines", unit=RATIO, direction=_UP, needs=_MACHINES,
                 value=lambda shown: _share(shown.machines, lambda unit: unit.counts),
                 meaning="machines with a counter of what they make, of all machines"),
        Evidence(id="evidence.metered_machines", unit=RATIO, direction=_UP, needs=_MACHINES,
                 value=lambda shown: _share(shown.machines, lambda unit: unit.metered),
                 meaning="machines with an energy counter of their own, of all machines"),
        Evidence(id="evidence.baselined_meters", unit=RATIO, direction=_UP, needs=SIGNALS["energy_kwh"],
                 value=lambda shown: _share([unit for unit in shown.units if unit.metered],
                                            lambda unit: unit.baselined),
                 meaning="units with an energy baseline, of those with an energy counter"),
        Evidence(id="evidence.automatic_states", unit=RATIO, direction=_UP, value=_automatic_states,
                 needs=SIGNALS["known_busy_s"],
                 meaning="known time of machines whose category a machine told, not a person"),
        Evidence(id="evidence.automatic_quantities", unit=RATIO, direction=_UP, value=_automatic_quantities,
                 needs=SIGNALS["produced"],
                 meaning="quantities that a counter told, not a person; the mean of the machines that made something"),
        Evidence(id="evidence.explained_stops", unit=RATIO, direction=_UP, value=_explained,
                 needs={"en": "an unplanned stop in this time: none was recorded",
                        "id": "henti tak terencana pada waktu ini: tidak ada yang tercatat"},
                 meaning="stopped time with a stated reason, of that and of unplanned stops without one"),
        Evidence(id="evidence.ordered_time", unit=RATIO, direction=_UP, needs=SIGNALS["busy_s"],
                 value=lambda shown: ratio(min(shown.element("order_s"), shown.element("busy_s")),
                                           shown.element("busy_s")),
                 meaning="busy time that belongs to a stated order"),
        Evidence(id="evidence.preventive_share", unit=RATIO, direction=_UP, needs=SIGNALS["maintenance_s"],
                 value=lambda shown: ratio(shown.element("preventive_s"), shown.element("maintenance_s")),
                 meaning="maintenance time that was preventive"),
        Evidence(id="evidence.defect_share", unit=RATIO, direction=_DOWN, value=_defects, needs=SIGNALS["produced"],
                 meaning="1 - quality ratio: what was not good, weighted by planned run time so that products add up"),
        Evidence(id="evidence.good_kg_per_h", unit="kg/h", direction=_UP, value=_good_kg_per_h,
                 needs=SIGNALS["good_kg"], meaning="good product by mass, per hour of known planned busy time"),
        Evidence(id="evidence.labour_h_per_t", unit="h/t", direction=_DOWN, value=_labour_h_per_t,
                 needs=SIGNALS["attendance_s"], meaning="stated attendance per ton of good product"),
        Evidence(id="evidence.good_kg_per_energy_cost", unit="kg/currency", direction=_UP, value=_good_kg_per_cost,
                 needs=SIGNALS["energy_cost"], meaning="good product by mass, per currency unit of energy cost"),
        Evidence(id="energy.enpi", unit=RATIO, direction=_DOWN, value=_enpi,
                 needs={"en": "energy baseline in the plant file", "id": "baseline energi di berkas pabrik"},
                 meaning="energy of the units with a baseline, over what their baselines expect"),
    )
}
# fmt: on
"""By id."""
