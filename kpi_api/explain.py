"""KPIs -> panels: why a KPI is what it is: formula and numbers, time, missing data, what people said, what changed."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from historian.records import Revision
from kpi.evaluation.definitions import KPIS, Given, KpiDefinition
from kpi.evaluation.evaluate import evaluate
from kpi_api.answers import KpiItem, StateInterval
from kpi_api.changes import Standing
from kpi_api.places import Place
from kpi_api.questions import By, UnknownKpi, nearest_word
from kpi_api.rollups import roles_of, units_of
from kpi_api.store import Store
from kpi_api.timelines import LONGEST
from kpi_api.windows import Window, snapped
from shopfloor.additive import COLUMNS
from shopfloor.elements import SUMS
from shopfloor.instant import Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import NoOrder, Staffed, UnscheduledRun, WorkUnit
from shopfloor.statement import Statement

MOST_INTERVALS: Final = 5_000
"""An explanation with more intervals gives only the time in each category."""
_WORD: Final = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Input:
    """An element that the formula reads, itself perhaps a sum of others."""

    element: str
    value: float
    unit: str
    meaning: str
    formula: str = ""
    """How it follows from others; empty for what is stored."""


@dataclass(frozen=True, slots=True)
class RevisionAnswer:
    """One change of a shift that was final."""

    unit: str
    shift: str
    shift_start: Instant
    n: int
    at: Instant
    cause: str
    who: str
    before: float | None
    """The KPI of the shift before it, and after."""
    after: float | None
    changed: Mapping[str, tuple[float, float]]
    """Column -> its sum before and after."""


@dataclass(frozen=True, slots=True)
class Child:
    """A unit's part in the KPI of a place."""

    unit: str
    value: float | None
    coverage: float | None
    counts: bool
    """Whether its time and quantities are those of the place; of a serial line only the output unit's are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything behind one number."""

    item: KpiItem
    definition: KpiDefinition
    value: float | None
    filled: str
    """The formula with its numbers."""
    inputs: tuple[Input, ...]
    time_s: Mapping[str, float]
    """Time category -> seconds."""
    intervals: tuple[StateInterval, ...] | None
    """From raw samples; None for a place, or a window too long to be read from them."""
    missing: tuple[tuple[Instant, Instant], ...] | None
    """Stretches of which nothing is known; None like ``intervals``."""
    policy: tuple[str, ...]
    plan_revision: str
    statements: tuple[Statement, ...]
    revisions: tuple[RevisionAnswer, ...]
    watermark: Instant | None
    """Oldest source time that an agent of the units may still hold."""
    why_provisional: tuple[str, ...]
    children: tuple[Child, ...]


def explain(store: Store, pattern: str, start: Instant, end: Instant, kpi: str) -> list[Explanation]:
    """Explain a KPI of every unit, or of a place, in one window; raises BadQuestion."""
    definition = KPIS.get(kpi)
    if definition is None:
        raise UnknownKpi(f"there is no KPI {kpi!r}", nearest_word(KPIS, kpi))
    if definition.given is not Given.RECORD:
        remedy = "ask /api/v1/quality or /api/v1/energy, which show what it is made of"
        raise UnknownKpi(f"KPI {kpi!r} is not computed from facts alone", remedy)
    window = snapped(start, end)
    return [_explain(store, subject, window, definition) for subject in store.subjects(pattern)]


def _explain(store: Store, subject: WorkUnit | Place, window: Window, definition: KpiDefinition) -> Explanation:
    units = units_of(subject)
    paths = [str(unit.path) for unit in units]
    (item,) = store.kpi_items(str(subject.path), window.start, window.end)
    standings = store.changes.standings(units, window, signed=True)
    intervals = None
    if not isinstance(subject, Place) and subject.is_machine and window.end - window.start <= LONGEST:
        found = store.timelines.intervals(paths[0], window)
        intervals = tuple(found) if len(found) <= MOST_INTERVALS else None
    return Explanation(
        item=item,
        definition=definition,
        value=item.kpis.get(definition.id),
        filled=_filled(definition, item.elements, item.kpis.get(definition.id)),
        inputs=tuple(_inputs(definition.elements, item.elements)),
        time_s={
            category.value: item.elements[f"{category}_s"]
            for category in TimeCategory
            if item.elements.get(f"{category}_s")
        },
        intervals=intervals,
        missing=None if intervals is None else _missing(intervals),
        policy=tuple(dict.fromkeys(line for unit in units for line in _policy(unit, window))),
        plan_revision=store.plant.revision,
        statements=tuple(store.statements.listed(paths, window)),
        revisions=tuple(_revisions(standings, window, definition.id)),
        watermark=_oldest(standings.values()),
        why_provisional=_why(standings, window),
        children=tuple(_children(store, subject, window, definition.id)),
    )


def _inputs(names: Sequence[str], elements: Mapping[str, float]) -> Iterator[Input]:
    """The elements of a formula, and beneath each sum its parts."""
    open_names, seen = [*names], set[str]()
    while open_names:
        name = open_names.pop(0)
        if name in seen:
            continue
        seen.add(name)
        total, column = SUMS.get(name), COLUMNS.get(name)
        value = elements.get(name, 0.0)
        if total is not None:
            yield Input(name, value, "s" if name.endswith("_s") else "", total.meaning, str(total))
            open_names += [*total.plus, *total.minus]
        elif column is not None:
            yield Input(name, value, column.unit, column.meaning)
        else:
            yield Input(name, value, "", "")


def _filled(definition: KpiDefinition, elements: Mapping[str, float], value: float | None) -> str:
    """``good_run_s / known_busy_s`` as ``18000 / 27000 = 0.666667``."""
    numbers = _WORD.sub(lambda word: f"{elements.get(word[0], 0.0):.10g}", definition.formula)
    return f"{numbers} = {'undefined' if value is None else f'{value:.6g}'}"


def _missing(intervals: Sequence[StateInterval]) -> tuple[tuple[Instant, Instant], ...]:
    return tuple((each.start, each.end) for each in intervals if each.category == TimeCategory.UNKNOWN)


def _policy(unit: WorkUnit, window: Window) -> Iterator[str]:
    """How the site reads the standard, and the thresholds in force at the window's start, one line each."""
    policy, micro = unit.policy, unit.micro_stop_s.at(window.start)
    idle = "a loss" if policy.no_order is NoOrder.LOSS else "planned"
    yield f"time without an order is {idle} (no_order: {policy.no_order})"
    counted = "counted" if policy.unscheduled_run is UnscheduledRun.COUNTED else "kept beside"
    yield f"running outside planned busy time is {counted} (unscheduled_run: {policy.unscheduled_run})"
    staffed = "all time in shifts" if policy.staffed is Staffed.SHIFTS else "not known"
    yield f"staffed time is {staffed} (staffed: {policy.staffed})"
    if unit.is_machine:
        yield f"stops up to {micro or 0:g} s are micro-stops: a loss of effectiveness (micro_stop_s)"
        yield f"a failure sooner than {unit.retrip_s:g} s after the last one is the same (retrip_s)"
    yield f"a value holds {unit.max_age_ms / 1000:g} s, then the time is unknown (max_age)"


def _revisions(standings: Mapping[str, Standing], window: Window, kpi: str) -> Iterator[RevisionAnswer]:
    for standing in standings.values():
        for change in standing.changed:
            if change.touches(window):
                yield from (_revision(each, kpi) for each in change.revisions)


def _revision(revision: Revision, kpi: str) -> RevisionAnswer:
    before, after = revision.before, revision.after
    changed = {
        name: (before.get(name, 0.0), after.get(name, 0.0))
        for name in COLUMNS
        if before.get(name, 0.0) != after.get(name, 0.0)
    }
    return RevisionAnswer(
        unit=revision.unit,
        shift=revision.shift,
        shift_start=revision.shift_start,
        n=revision.n,
        at=revision.at,
        cause=revision.cause,
        who=revision.who,
        before=evaluate(before).kpis.get(kpi),
        after=evaluate(after).kpis.get(kpi),
        changed=changed,
    )


def _oldest(standings: Iterable[Standing]) -> Instant | None:
    """None as soon as one agent never said."""
    marks = [standing.watermark for standing in standings]
    known = [mark for mark in marks if mark is not None]
    return min(known) if known and len(known) == len(marks) else None


def _why(standings: Mapping[str, Standing], window: Window) -> tuple[str, ...]:
    several = len(standings) > 1
    return tuple(
        f"{path}: {why}" if several else why
        for path, standing in standings.items()
        for why in standing.why_provisional(window)
    )


def _children(store: Store, subject: WorkUnit | Place, window: Window, kpi: str) -> Iterator[Child]:
    if not isinstance(subject, Place):
        return
    counts = roles_of(subject, store.plans).counts
    for unit in subject.units:
        (item,) = store.kpi_items(str(unit.path), window.start, window.end, By.TOTAL)
        yield Child(item.unit, item.kpis.get(kpi), item.coverage, item.unit in counts)
