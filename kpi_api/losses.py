"""Facts -> KPIs: where the time went: waterfall, six big losses and Pareto, and the items of ``by=reason``."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from historian.historian import Historian
from historian.point import Query
from historian.records import losses_of
from historian.schema import LOSSES_OF, Grain
from kpi.evaluation.losses import LossBar, ParetoRow, pareto, six_big_losses, waterfall
from kpi.facts.derive import NO_DATA
from kpi.plan import UnitPlan
from kpi_api.answers import KpiItem
from kpi_api.grains import common_tags, cut_hours
from kpi_api.kpi_items import KpiReader, Subject
from kpi_api.places import Place
from kpi_api.questions import MAX_ITEMS, BadSlicing, BadWindow, By, too_many
from kpi_api.rollups import roles_of, units_of
from kpi_api.windows import Window
from shopfloor.fact import Loss
from shopfloor.instant import HOUR, Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import Plant, WorkUnit

MOST_UNIT_DAYS: Final = 3_700
"""Losses are kept by minute: more days times units than this are refused."""
MOST_UNIT_DAYS_BY_HOUR: Final = 60 * MOST_UNIT_DAYS
AT_ONCE_UNIT_DAYS: Final = 500
"""So much is read at once by hour: some ten thousand losses."""
_SLACK_S: Final = 0.0005
_DAY: Final = 24 * HOUR
LOST_S: Final = "lost_s"
LOST_COUNT: Final = "lost_count"


@dataclass(frozen=True, slots=True)
class LossAnswer:
    """The losses of one unit or place in one window."""

    item: KpiItem
    waterfall: tuple[LossBar, ...]
    """From planned busy time to good run time, in order."""
    six_big_losses: tuple[LossBar, ...]
    pareto: tuple[ParetoRow, ...]
    """By reason, the longest first; time without a reason by its category."""


class LossReader:
    """Reads losses. Safe to call from several threads at once."""

    def __init__(self, plant: Plant, historian: Historian, plans: Mapping[str, UnitPlan], kpis: KpiReader) -> None:
        self._plant = plant
        self._historian = historian
        self._plans = plans
        self._kpis = kpis

    def answers(self, subjects: Sequence[Subject], window: Window, by: By) -> list[LossAnswer]:
        """One answer per subject and slice of time; raises BadQuestion."""
        if by in (By.PRODUCT, By.REASON):
            raise BadSlicing(
                f"losses cannot be cut by={by}", "use a slice of time, or ask /api/v1/kpis with by=reason or by=product"
            )
        _check(subjects, window)
        items: dict[str, list[KpiItem]] = {}
        for item in self._kpis.items(subjects, window, by):
            items.setdefault(item.unit, []).append(item)
        return [
            answer
            for subject in subjects
            for answer in self._of_subject(items.get(_path(subject), []), self._losses(subject, window))
        ]

    def items(self, subjects: Sequence[Subject], window: Window) -> list[KpiItem]:
        """One item per subject, category and reason, the longest first; ``loss_ratio`` is its share of PBT."""
        _check(subjects, window)
        wholes = {item.unit: item for item in self._kpis.items(subjects, window, By.TOTAL)}
        found = [
            _reason_item(wholes[_path(subject)], key, lost)
            for subject in subjects
            if _path(subject) in wholes
            for key, lost in _by_reason(wholes[_path(subject)], self._losses(subject, window))
        ]
        if len(found) > MAX_ITEMS:
            raise too_many()
        return found

    def explained(self, units: Sequence[WorkUnit], windows: Sequence[Window]) -> list[tuple[float, float] | None]:
        """Seconds that machines stood with a stated reason, and in unplanned stops without one, in each window.

        Windows follow each other. None where losses would take too long to read even by hour.
        """
        machines = [unit for unit in units if unit.is_machine]
        sums = [[0.0, 0.0] for _ in windows]
        starts = [window.start for window in windows]
        hull = Window(starts[0], windows[-1].end)
        if not machines or _too_long(len(machines), hull, MOST_UNIT_DAYS_BY_HOUR):
            return [None] * len(windows)
        for piece, grain in _pieces(len(machines), [*starts, hull.end]):
            for loss in self._read(machines, piece, grain):
                mine = sums[bisect_right(starts, loss.time) - 1]
                if loss.reason in self._plant.reasons:
                    mine[0] += loss.seconds
                elif loss.category == TimeCategory.UNPLANNED_STOP:
                    mine[1] += loss.seconds
        return [(told, untold) for told, untold in sums]

    def _of_subject(self, items: Sequence[KpiItem], losses: Sequence[Loss]) -> list[LossAnswer]:
        starts = [item.start for item in items]
        buckets: list[list[Loss]] = [[] for _ in items]
        for loss in losses:
            owner = bisect_right(starts, loss.time) - 1
            if owner >= 0:
                buckets[owner].append(loss)
        return [
            LossAnswer(
                item,
                tuple(waterfall(item.elements, counted=_is_counted(item))),
                tuple(six_big_losses(item.elements, counted=_is_counted(item))),
                tuple(pareto(self._stated(bucket), self._plant.reasons)),
            )
            for item, bucket in zip(items, buckets, strict=True)
        ]

    def _stated(self, losses: Sequence[Loss]) -> list[Loss]:
        """The losses with the reasons that people stated; what the machine told alone goes by its category."""
        known = self._plant.reasons
        return [loss if loss.reason in known else replace(loss, reason="") for loss in losses]

    def _losses(self, subject: Subject, window: Window) -> list[Loss]:
        """What is stored, minute by minute, of the units whose time counts."""
        counts = roles_of(subject, self._plans).counts if isinstance(subject, Place) else {str(subject.path)}
        return self._read([unit for unit in units_of(subject) if str(unit.path) in counts], window)

    def _read(self, units: Sequence[WorkUnit], window: Window, grain: Grain = Grain.MINUTE) -> list[Loss]:
        paths = {str(unit.path) for unit in units}
        query = Query(LOSSES_OF[grain], common_tags(units), window.start, window.end)
        return [loss for loss in losses_of(self._historian.read(query)) if loss.unit in paths]


def _path(subject: Subject) -> str:
    return str(subject.path)


def _check(subjects: Sequence[Subject], window: Window) -> None:
    units = sum(len(units_of(subject)) for subject in subjects)
    if _too_long(units, window):
        raise BadWindow(
            f"losses of {units} units over this window are too many to read", "ask for a shorter window or fewer units"
        )


def _too_long(units: int, window: Window, most_unit_days: float = MOST_UNIT_DAYS) -> bool:
    return units * (window.end - window.start) > most_unit_days * _DAY


def _pieces(units: int, edges: Sequence[Instant]) -> Iterator[tuple[Window, Grain]]:
    """What to read, and by what, between the first and last of rising edges: by minute as far as that is not too much,
    else by hour but in the hours that an edge cuts, and never more at once than memory has room for."""
    hull = Window(edges[0], edges[-1])
    if not _too_long(units, hull):
        yield hull, Grain.MINUTE
        return
    longest, cursor = max(int(AT_ONCE_UNIT_DAYS * _DAY) // units // HOUR, 1) * HOUR, hull.start
    for low, high in (*cut_hours(edges), (hull.end, hull.end)):
        while cursor < low:
            until = min(low, cursor + longest)
            yield Window(cursor, until), Grain.HOUR
            cursor = until
        if low < high:
            yield Window(low, high), Grain.MINUTE
            cursor = high


def _by_reason(whole: KpiItem, losses: Sequence[Loss]) -> list[tuple[tuple[str, str], tuple[float, float]]]:
    """Category and reason -> seconds and count, the longest first; silence up to now is unknown time too."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for loss in losses:
        seconds, count = found.get((loss.category, loss.reason), (0.0, 0.0))
        found[loss.category, loss.reason] = seconds + loss.seconds, count + loss.count
    unknown = str(TimeCategory.UNKNOWN)
    told = sum(seconds for (category, _), (seconds, _) in found.items() if category == unknown)
    silent = whole.elements.get("unknown_s", 0.0) - told
    if silent > _SLACK_S:
        seconds, count = found.get((unknown, NO_DATA), (0.0, 0.0))
        found[unknown, NO_DATA] = seconds + silent, count
    return sorted(found.items(), key=lambda entry: (-entry[1][0], entry[0]))


def _reason_item(whole: KpiItem, key: tuple[str, str], lost: tuple[float, float]) -> KpiItem:
    busy = whole.elements.get("planned_busy_s", 0.0)
    return replace(
        whole,
        category=key[0],
        reason=key[1],
        kpis={"loss_ratio": lost[0] / busy if busy else None},
        elements={LOST_S: lost[0], LOST_COUNT: lost[1]},
    )


def _is_counted(item: KpiItem) -> bool:
    """Whether any quantity is known: a place may leave out the units of which none is."""
    return "not_counted" not in item.flags or bool(item.elements.get("planned_run_s"))
