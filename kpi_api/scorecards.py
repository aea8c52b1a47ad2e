"""KPIs -> guidelines: the evidence of sites by the plant's guidelines, from the very items that the KPI API answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from kpi.guidelines.scorecard import Scorecard, scorecard
from kpi.guidelines.shown import SiteShown, UnitShown
from kpi.plan import ENERGY
from kpi_api.answers import KpiItem
from kpi_api.energy import Performance, energy_of
from kpi_api.places import Place, enterprise_of, site_of
from kpi_api.questions import By, NotThere, nearest_word
from kpi_api.store import Store
from kpi_api.windows import Window, snapped
from shopfloor.guideline import Goal, Guideline
from shopfloor.instant import Instant
from shopfloor.plant import WorkUnit

ENTERPRISE = "-"
"""Stands for all sites together where one is asked for."""
_EVERY = frozenset({"", "*"})


class UnknownSite(NotThere):
    """No site has this id."""

    kind = "unknown-site"


class UnknownGuideline(NotThere):
    """The plant names no guideline with this id."""

    kind = "unknown-guideline"


@dataclass(frozen=True, slots=True)
class SiteScorecard:
    """One site, or the enterprise, by one guideline."""

    site: str
    """Its id; ``-`` for the enterprise."""
    start: Instant
    end: Instant
    coverage: float | None
    """Known share of the planned busy time of the window: how much the figures rest on."""
    card: Scorecard


def scorecards(
    store: Store, site: str, start: Instant, end: Instant, guideline: str | None = None
) -> list[SiteScorecard]:
    """Every site (``*``), one, or the enterprise (``-``) in [start, end), whole minutes; raises BadQuestion."""
    window = snapped(start, end)
    guidelines = guidelines_of(store, guideline)
    named = [each.id for each in store.plant.sites] if site in _EVERY else [site]
    found: list[SiteScorecard] = []
    for each in named:
        place = place_named(store, each)
        shown = shown_of(store, place, window)
        for one in guidelines:
            card = scorecard(one, shown, goals_of(store, each, one))
            found.append(SiteScorecard(each, window.start, window.end, shown.coverage, card))
    return found


def guidelines_of(store: Store, guideline: str | None) -> Sequence[Guideline]:
    """All guidelines of the plant, or one; raises UnknownGuideline."""
    known = store.plant.guidelines
    found = [each for each in known if guideline is None or each.id == guideline]
    if guideline is not None and not found:
        ids = [each.id for each in known]
        raise UnknownGuideline(f"the plant has no guideline {guideline!r}", nearest_word(ids, guideline))
    return found


def place_named(store: Store, site: str) -> Place:
    """A site or the enterprise; raises UnknownSite."""
    found = enterprise_of(store.plant) if site == ENTERPRISE else site_of(store.plant, site)
    if found is None:
        ids = [each.id for each in store.plant.sites]
        raise UnknownSite(f"there is no site {site!r}", nearest_word(ids, site))
    return found


def goals_of(store: Store, site: str, guideline: Guideline) -> dict[str, Goal]:
    """A site's baselines and targets; the enterprise has those of its only site, for those of several do not add up."""
    sites = store.plant.sites
    found = sites[0] if site == ENTERPRISE and len(sites) == 1 else next((e for e in sites if e.id == site), None)
    return {} if found is None else dict(found.goals.get(guideline.id, {}))


def shown_of(store: Store, place: Place, window: Window) -> SiteShown:
    """What a place showed in a window."""
    (whole,) = store.kpis.items([place], window, By.TOTAL)
    items = {item.unit: item for item in store.kpis.items(place.units, window, By.TOTAL)}
    stood = store.losses.explained(place.units, window)
    performed = [done for unit in place.units if (done := _performance(store, unit, items[str(unit.path)]))]
    return SiteShown(
        elapsed_s=max(0, min(window.end, store.now()) - window.start) / 1000,
        kpis=whole.kpis,
        elements=whole.elements,
        flags=whole.flags,
        coverage=whole.coverage,
        units=[_unit_shown(store, unit, items[str(unit.path)]) for unit in place.units],
        explained_s=None if stood is None else stood[0],
        unexplained_s=None if stood is None else stood[1],
        actual_kwh=sum(done.actual_kwh for done in performed) if performed else None,
        expected_kwh=sum(done.expected_kwh for done in performed) if performed else None,
    )


def _unit_shown(store: Store, unit: WorkUnit, item: KpiItem) -> UnitShown:
    plan = store.plans[str(unit.path)]
    return UnitShown(
        machine=unit.is_machine,
        counts=plan.counts_quantities,
        metered=ENERGY in plan.tags,
        baselined=unit.baseline is not None and unit.baseline.at(item.start) is not None,
        elements=item.elements,
    )


def _performance(store: Store, unit: WorkUnit, item: KpiItem) -> Performance | None:
    return None if unit.baseline is None else energy_of(store, item, [unit], By.TOTAL).performance
