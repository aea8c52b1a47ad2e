"""KPIs -> guidelines: the evidence of sites by the plant's guidelines, from the very items that the KPI API answers."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from kpi.guidelines.scorecard import Scorecard, scorecard
from kpi.guidelines.shown import SiteShown, UnitShown
from kpi.plan import ENERGY
from kpi_api.answers import KpiItem
from kpi_api.energy import Performance, energy_of
from kpi_api.grains import Cut, calendar_key, cut
from kpi_api.kpi_items import Subject
from kpi_api.places import Place, enterprise_of, site_of
from kpi_api.questions import By, NotThere, nearest_word
from kpi_api.records import Asked
from kpi_api.rollups import run_time_changes
from kpi_api.store import Store
from kpi_api.windows import Window, snapped, split_at
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
    period: str | None
    """The production day that the window is, where it is one."""
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
    return [card for each in named for card in scorecards_of(store, each, [window], guidelines)]


def scorecards_of(
    store: Store, site: str, windows: Sequence[Window], guidelines: Sequence[Guideline]
) -> list[SiteScorecard]:
    """One site, or the enterprise, in windows that follow each other, read at once; several have their ``period``."""
    place = place_named(store, site)
    goals = {guideline.id: goals_of(store, site, guideline) for guideline in guidelines}
    return [
        SiteScorecard(
            site, window.start, window.end, window.period, shown.coverage, scorecard(each, shown, goals[each.id])
        )
        for window, shown in zip(windows, shown_in(store, place, windows), strict=True)
        for each in guidelines
    ]


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


def shown_in(store: Store, place: Place, windows: Sequence[Window]) -> list[SiteShown]:
    """What a place showed in each of some windows."""
    asked = _asked(place, windows)
    questions: list[tuple[Subject, Sequence[Asked]]] = [(place, asked), *((each.unit, [each]) for each in asked)]
    items: dict[str, list[KpiItem]] = defaultdict(list)
    for number, item in enumerate(store.kpis.of(questions)):
        items["" if number < len(windows) else item.unit].append(item)
    stood = store.losses.explained(place.units, windows)
    return [
        _shown(store, whole, [(unit, items[str(unit.path)][at]) for unit in place.units], stood[at])
        for at, whole in enumerate(items[""])
    ]


def _asked(place: Place, windows: Sequence[Window]) -> list[Asked]:
    """The question for each unit; units with one calendar share the work. Cut where a line's run time changes."""
    parts, owners = split_at(windows, run_time_changes(place.lines))
    whole, of_parts = tuple(windows), tuple(owners)
    alike: dict[object, Cut] = {}
    for unit in place.units:
        if calendar_key(unit) not in alike:
            alike[calendar_key(unit)] = cut(unit, parts)
    return [Asked(unit, whole, alike[calendar_key(unit)], of_parts) for unit in place.units]


def _shown(
    store: Store, whole: KpiItem, units: Sequence[tuple[WorkUnit, KpiItem]], stood: tuple[float, float] | None
) -> SiteShown:
    performed = [done for unit, item in units if (done := _performance(store, unit, item))]
    return SiteShown(
        elapsed_s=max(0, min(whole.end, store.now()) - whole.start) / 1000,
        kpis=whole.kpis,
        elements=whole.elements,
        flags=whole.flags,
        coverage=whole.coverage,
        units=[_unit_shown(store, unit, item) for unit, item in units],
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
