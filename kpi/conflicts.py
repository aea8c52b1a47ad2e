"""What is wrong with a new statement: one clear line that says what to do, or nothing. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from math import isfinite
from typing import Final

from shopfloor.instant import MINUTE, Instant, format_instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import WorkUnit
from shopfloor.statement import STATED_QUANTITIES, Statement, StatementKind, in_force

STATABLE: Final = frozenset(TimeCategory) - {TimeCategory.NOT_SCHEDULED, TimeCategory.UNKNOWN, TimeCategory.MICRO_STOP}
"""What a person can state: the calendar tells when nothing is scheduled, the threshold what is a micro-stop."""
CLOCK_SLACK: Final = MINUTE
"""A statement may run ahead of the clock by so much."""
LONGEST: Final = 31 * 24 * 60 * MINUTE
LARGEST: Final = 1e9
"""No quantity of one statement is larger."""
_YEAR_10000: Final = 253_402_300_800_000
_CORRECTABLE: Final = frozenset({"produced", "good", "scrap", "rework"})
_OF_MACHINES: Final = frozenset({StatementKind.REASON, StatementKind.CATEGORY, StatementKind.ORDER})


def conflicts(new: Statement, others: Sequence[Statement], unit: WorkUnit, now: Instant) -> str | None:
    """Why ``new`` cannot be accepted, in one line with the remedy; None when it can.

    ``others`` are all statements known, in force or not, of this unit at least; ``now`` is the clock's time. Whether a
    signed shift is final is not judged here.
    """
    return next(_faults(new, others, unit, now), None)


def nearest(word: str, known: Iterable[str]) -> str:
    """`` (did you mean ...?)`` for a misspelt word, or what there is."""
    choices = sorted(known)
    close = get_close_matches(word, choices, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known are {', '.join(choices)}" if choices else "the plant file names none"


def _faults(new: Statement, others: Sequence[Statement], unit: WorkUnit, now: Instant) -> Iterator[str]:
    if new.unit != str(unit.path):
        yield f"the statement is on {new.unit}, not on {unit.path}; send it to the unit that it is about"
    if not new.author.strip():
        yield "a statement needs its author; say who states it"
    if any(each.id == new.id and each != new for each in others):
        yield f"the id {new.id} is taken by another statement; use a new UUID"
    yield from _succession(new, others)
    if new.withdrawn:
        return  # what it says no longer matters
    yield from _times(new, now)
    if not unit.is_machine and new.kind in _OF_MACHINES:
        yield f"{unit.path} is a meter and has no stops or orders; state the {new.kind} on a machine"
    yield from _content(new, unit)
    yield from _overlaps(new, others)


def _succession(new: Statement, others: Sequence[Statement]) -> Iterator[str]:
    if new.supersedes is None:
        if new.withdrawn:
            yield "a withdrawal needs supersedes: the id of the statement that it undoes"
        return
    old = next((each for each in others if each.id == new.supersedes), None)
    if old is None:
        yield f"no statement has the id {new.supersedes}; list the unit's statements and supersede one of those"
    elif old.unit != new.unit:
        yield f"statement {old.id} is on {old.unit}; only a statement on that unit can supersede it"
    elif old.kind is not new.kind:
        yield f"statement {old.id} is a {old.kind}, not a {new.kind}; withdraw it and state the {new.kind} anew"
    else:
        later = next((each for each in others if each.supersedes == old.id and each.id != new.id), None)
        if later is not None:
            yield f"statement {old.id} was already superseded by {later.id}; supersede that one"


def _times(new: Statement, now: Instant) -> Iterator[str]:
    start, latest = new.start, max(new.start, new.end or new.start)
    if start < 0:
        yield f"the start {_when(start)} lies before 1970; correct it"
    if new.end is not None and new.end <= start:
        yield f"the end {_when(new.end)} is not after the start {_when(start)}; correct one of them"
    if latest > now + CLOCK_SLACK:
        yield f"{_when(latest)} lies in the future; state what has happened, and leave the end open while it lasts"
    if (now if new.end is None else new.end) - start > LONGEST:
        yield "the statement is longer than 31 days; split it, or close it and state it again"
    if new.kind is StatementKind.SIGN_OFF and new.end is None:
        yield "a sign-off needs the end of its shift; give it"


def _when(instant: Instant) -> str:
    return format_instant(instant) if 0 <= instant < _YEAR_10000 else f"{instant} ms"


def _content(new: Statement, unit: WorkUnit) -> Iterator[str]:
    if new.kind is StatementKind.REASON:
        yield from _known_reason(new, unit)
    elif new.kind is StatementKind.CATEGORY:
        yield from _statable(new)
    elif new.kind is StatementKind.ORDER:
        yield from _known_product(new, unit)
    elif new.kind is StatementKind.QUANTITY:
        yield from _quantities(new)


def _known_reason(new: Statement, unit: WorkUnit) -> Iterator[str]:
    if not new.reason:
        yield "a reason statement needs a reason"
    elif new.reason not in unit.reasons:
        yield f"unknown reason {new.reason!r}; {nearest(new.reason, unit.reasons)}"


def _statable(new: Statement) -> Iterator[str]:
    if new.category is None:
        yield f"a category statement needs a category; one of {', '.join(sorted(STATABLE))}"
    elif new.category is TimeCategory.NOT_SCHEDULED:
        yield "not_scheduled comes from the calendar; change the calendar, or state planned_stop"
    elif new.category is TimeCategory.MICRO_STOP:
        yield "micro_stop follows from the unit's threshold; state unplanned_stop, or change micro_stop_s"
    elif new.category is TimeCategory.UNKNOWN:
        yield "unknown cannot be stated; withdraw the statement that is wrong instead"


def _known_product(new: Statement, unit: WorkUnit) -> Iterator[str]:
    if not new.order and not new.product:
        yield "an order statement needs an order, a product, or both"
    elif new.product and new.product not in unit.products:
        yield f"unknown product {new.product!r}; {nearest(new.product, unit.products)}"


def _quantities(new: Statement) -> Iterator[str]:
    given = new.quantities
    if not any(given.values()):
        yield f"a quantity statement needs at least one quantity other than 0, of {', '.join(STATED_QUANTITIES)}"
    for name, value in given.items():
        if name not in STATED_QUANTITIES:
            yield f"unknown quantity {name!r}; {nearest(name, STATED_QUANTITIES)}"
        elif not isfinite(value):
            yield f"{name} is {value}; give a number"
        elif abs(value) > LARGEST:
            yield f"{name} {value:g} is larger than any statement may be ({LARGEST:g}); check its unit"
        elif value < 0 and name not in _CORRECTABLE:
            yield f"{name} {value:g} is negative; only {', '.join(sorted(_CORRECTABLE))} can be corrected downwards"
    yield from _contradictions(new)


def _contradictions(new: Statement) -> Iterator[str]:
    given = new.quantities
    for part, whole in (("first_pass_good", "inspected"), ("work_s", "attendance_s")):
        if part in given and whole in given and given[part] > given[whole]:
            yield f"{part} {given[part]:g} is more than {whole} {given[whole]:g}; correct one of them"
    if {"produced", "good", "scrap"} <= given.keys():
        parts = given["good"] + given["scrap"]
        if parts > given["produced"]:
            yield f"good + scrap {parts:g} is more than produced {given['produced']:g}; correct one of them"


def _overlaps(new: Statement, others: Sequence[Statement]) -> Iterator[str]:
    for old in in_force(others):
        if old.unit != new.unit or old.kind is not new.kind or old.id in (new.id, new.supersedes):
            continue
        if new.start < _until(old) and old.start < _until(new) and _excludes(new, old):
            span = f"{_when(old.start)} to {'open' if old.end is None else _when(old.end)}"
            yield f"it overlaps the {old.kind} statement {old.id} ({span}); supersede that one, or change the times"


def _until(statement: Statement) -> float:
    """Where its word ends: an open reason holds for what lasted when it was made, other open ones for ever."""
    if statement.end is not None:
        return statement.end
    if statement.kind is StatementKind.REASON:
        return max(statement.made_at, statement.start) + 1
    return statement.start + 1 if statement.kind is StatementKind.QUANTITY else float("inf")


def _excludes(new: Statement, old: Statement) -> bool:
    """Quantities add up: two exclude each other only when both give the same one, and neither corrects."""
    if new.kind is not StatementKind.QUANTITY:
        return True
    shared = new.quantities.keys() & old.quantities.keys()
    return any(new.quantities[name] > 0 and old.quantities[name] > 0 for name in shared)
