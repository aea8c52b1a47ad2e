"""Facts -> KPIs: an energy baseline fitted to a unit's own past, for a person to judge and to put in the plant file."""

from dataclasses import dataclass

from kpi.energy.enpi import EnergyPoint, Fit, fit
from kpi.refusal import BadInput
from kpi_api.answers import KpiItem
from kpi_api.questions import BadQuestion, BadSlicing, By, nearest_word
from kpi_api.store import Store
from shopfloor.additive import COLUMNS, Merge
from shopfloor.instant import HOUR, Instant

KNOWN_ENOUGH = 0.9
"""A slice of which less is known would teach a wrong line: its energy is told, its quantity is not."""
_SLICINGS = (By.HOUR, By.SHIFT, By.DAY, By.WEEK, By.MONTH)


class UnknownDriver(BadQuestion):
    """No column of the additive record has this name, or it cannot be added up."""

    kind = "unknown-driver"


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedBaseline:
    """A unit's line, or why there is none."""

    unit: str
    start: Instant
    end: Instant
    driver: str
    fit: Fit | None
    points: int
    """Slices that the line was fitted to."""
    skipped: int
    """Slices left out: without energy, not over yet, or less than nine tenths known."""
    refusal: str | None
    """Why there is no line, and what to do."""


def fitted_baselines(
    store: Store, pattern: str, start: Instant, end: Instant, *, by: By = By.DAY, driver: str = "good_kg"
) -> list[FittedBaseline]:
    """The line of each unit (or one place) through its slices in [start, end); raises BadQuestion."""
    if by not in _SLICINGS:
        raise BadSlicing(f"by={by} gives no points in time", f"use one of: {', '.join(_SLICINGS)}")
    if driver not in COLUMNS or COLUMNS[driver].merge is not Merge.SUM:
        sums = [name for name, column in COLUMNS.items() if column.merge is Merge.SUM]
        raise UnknownDriver(f"nothing is added up as {driver!r}", nearest_word(sums, driver))
    by_unit: dict[str, list[KpiItem]] = {}
    for item in store.kpi_items(pattern, start, end, by):
        by_unit.setdefault(item.unit, []).append(item)
    return [_fitted(unit, items, driver, store.now()) for unit, items in by_unit.items()]


def _fitted(unit: str, items: list[KpiItem], driver: str, now: Instant) -> FittedBaseline:
    usable = [item for item in items if item.end <= now and _tells(item)]
    found, refusal = None, None
    try:
        found = fit(_point(item, driver) for item in usable)
    except BadInput as error:
        refusal = str(error)
    return FittedBaseline(
        unit=unit,
        start=items[0].start,
        end=items[-1].end,
        driver=driver,
        fit=found,
        points=len(usable),
        skipped=len(items) - len(usable),
        refusal=refusal,
    )


def _tells(item: KpiItem) -> bool:
    counted = item.elements.get("energy_kwh", 0.0) + item.elements.get("unattributed_energy_kwh", 0.0)
    return counted > 0 and (item.coverage is None or item.coverage >= KNOWN_ENOUGH)


def _point(item: KpiItem, driver: str) -> EnergyPoint:
    kwh = item.elements.get("energy_kwh", 0.0) + item.elements.get("unattributed_energy_kwh", 0.0)
    return EnergyPoint(item.elements.get(driver, 0.0), kwh, (item.end - item.start) / (24 * HOUR))
