"""What a site showed in a window: everything that a guideline's metrics are computed from. Facts and KPIs, merged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitShown:
    """One unit: what it can tell, and what it told."""

    machine: bool
    """Its states are read or inferred; else it is a meter."""
    counts: bool
    """It has a counter of what it makes."""
    metered: bool
    """It has an energy counter."""
    baselined: bool
    """The plant file gives it an energy baseline that holds in the window."""
    elements: Mapping[str, float]
    """Its merged additive record with its sums (``known_busy_s`` ...)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteShown:
    """A site, or the enterprise."""

    elapsed_s: float
    """What of the window is past."""
    kpis: Mapping[str, float | None]
    elements: Mapping[str, float]
    """Rolled up, as the KPI API answers for the place."""
    flags: Sequence[str]
    coverage: float | None
    """Known share of planned busy time."""
    units: Sequence[UnitShown]
    explained_s: float | None
    """Stopped time with a reason that somebody stated; None where it was not read."""
    unexplained_s: float | None
    """Unplanned stops without one."""
    actual_kwh: float | None
    """Energy of the units with a baseline; None where none has."""
    expected_kwh: float | None
    """What their baselines expect."""

    @property
    def machines(self) -> Sequence[UnitShown]:
        """The units whose states are known."""
        return [unit for unit in self.units if unit.machine]

    def element(self, name: str) -> float:
        """Of the site's record; absent is 0."""
        return self.elements.get(name, 0.0)
