"""People -> statements -> points: what is said is checked, stored with the interval that it touches, and can be undone.

Statements are never changed. Everything that one act writes bears one id but for its last four digits, so that the act
can be undone as a whole: a statement that replaced another one is undone by saying the other one again. To undo that
one in turn is to undo what it says again, not to redo: so every act can be taken back, down to the machine's word.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

from historian.historian import Historian
from historian.statements import all_statements, put, statements_of
from kpi.facts.rollup import ShiftWindow, shift_windows
from kpi_api.changes import Changes
from kpi_api.claims import Claim, check
from kpi_api.questions import BadStatement, Conflict, UnknownStatement, UnknownUnit, nearest_place
from kpi_api.silence import Silence
from kpi_api.stops import StopReader
from kpi_api.windows import Window
from shopfloor.calendar import OFF_SHIFT
from shopfloor.clock import Clock
from shopfloor.instant import MINUTE, Instant, format_instant
from shopfloor.plant import Plant
from shopfloor.statement import Statement, StatementKind, in_force

EXCLUSIVE: Final = frozenset({StatementKind.REASON, StatementKind.CATEGORY, StatementKind.ORDER})
"""Kinds of which only one can hold at a moment."""
RESTORED: Final = 0x8000
"""Bit of the last four digits of an id: the statement says again what an undone act had replaced."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an act wrote; all of it is durable."""

    statement: Statement
    also: tuple[Statement, ...]
    """What else had to be said: the rest of a statement that was cut, or one that another act had replaced."""
    start: Instant
    """[start, end) is derived again."""
    end: Instant


class Statements:
    """Takes and gives statements. Safe to call from several threads at once."""

    def __init__(
        self, plant: Plant, historian: Historian, clock: Clock, stops: StopReader, silence: Silence, changes: Changes
    ) -> None:
        self._plant = plant
        self._historian = historian
        self._clock = clock
        self._stops = stops
        self._silence = silence
        self._changes = changes

    def listed(self, paths: Sequence[str], window: Window, *, withdrawn: bool = False) -> list[Statement]:
        """The statements that touch a window, by unit and start: those in force, or ``withdrawn`` all ever made."""
        found: list[Statement] = []
        for path in paths:
            said = statements_of(self._historian, self._plant.enterprise, path, window.start, window.end)
            kept = said if withdrawn else in_force(said)
            found += [each for each in kept if each.overlaps(window.start, window.end)]
        return found

    def state(self, claim: Claim) -> Receipt:
        """Store a claim; raises BadStatement, Conflict or UnknownUnit, and what the historian raises."""
        self._check(claim)
        if claim.kind is StatementKind.SIGN_OFF:
            raise BadStatement("a shift is signed in a way of its own", "POST /api/v1/shifts/sign-off")
        said = self._said(claim.unit)
        if claim.supersedes is not None:
            self._replaced(claim, said)
        others = [each for each in said if each.id != claim.supersedes and _contradicts(each, claim)]
        lasting = [each for each in others if each.end is None and each.start < claim.start]
        if clash := next((each for each in others if each not in lasting), None):
            raise _conflict(clash)
        made_at = self._clock.now()
        ended = [_again(each, made_at, claim.author, end=claim.start, supersedes=each.id) for each in lasting]
        return self._put([*ended, _statement(claim, made_at)], lasting)

    def reason(self, stop: str, claim: Claim) -> Receipt:
        """State why a stop, or the part [start, end) of it, was; raises UnknownStop, BadStatement.

        What was said of that part before is replaced; what was said of the rest of the stop stays.
        """
        found = self._stops.stop(stop)
        end = self._clock.now() if found.end is None else found.end
        if claim.start < found.start or claim.end is None or claim.end > end:
            within = f"{format_instant(found.start)} to {format_instant(end)}"
            raise BadStatement("the part lies outside the stop", f"give 'from' and 'to' within {within}")
        self._check(claim)
        made_at = self._clock.now()
        before = [each for each in self._said(found.unit) if _contradicts(each, claim)]
        rest = [
            _again(old, made_at, claim.author, start=low, end=high)
            for old in before
            for low, high in _remainders(old, claim.start, claim.end)
            if self._stops.overlapping(found.unit, low, end if high is None else high)
        ]
        gone = [_withdrawal(old, made_at, claim.author, f"replaced: {claim.note}") for old in before[1:]]
        said = replace(_statement(claim, made_at), supersedes=before[0].id if before else None)
        return self._put([*rest, *gone, said], before)

    def withdraw(self, statement: str, author: str, note: str = "") -> Receipt:
        """Undo the act that made a statement; raises UnknownStatement, Conflict."""
        history = {each.id: each for each in all_statements(self._historian, self._plant.enterprise)}
        found = history.get(statement)
        if found is None:
            raise UnknownStatement(f"there is no statement {statement!r}", "GET /api/v1/statements lists them")
        mine = [each for each in history.values() if each.unit == found.unit]
        if found not in in_force(mine):
            raise Conflict("the statement is not in force any more", "GET /api/v1/statements lists those in force")
        if not author:
            raise BadStatement("nobody signs the withdrawal", "send 'author': who says so")
        made_at = self._clock.now()
        first = _origin(found, mine)
        act = [each for each in mine if _act(each) == _act(first)]
        living = {_origin(each, mine).id: each for each in in_force(mine)}
        others = [each.id for each in act if each != first and not each.withdrawn]
        if any(each not in living for each in others):
            detail = "a part of what was stated with it has been replaced since"
            raise Conflict(detail, "withdraw the later statement first: GET /api/v1/statements lists them")
        standing = [living[each] for each in others]
        back = [history[each.supersedes] for each in act if each.supersedes in history and each.kind is first.kind]
        undone: list[Statement] = []
        for old in (found, *standing):
            if back:
                undone.append(_restored(back.pop(0), made_at, author, supersedes=old.id))
            else:
                undone.append(_withdrawal(old, made_at, author, note))
        undone += [_restored(old, made_at, author) for old in back]
        return self._put([*undone[1:], undone[0]], [found, *standing])

    def sign_off(self, unit: str, shift_start: Instant, author: str, note: str = "") -> Receipt:
        """Vouch for a final shift; raises BadStatement, Conflict while it is provisional, UnknownUnit."""
        shift = self._shift(unit, shift_start)
        window = Window(shift.pieces[0][0], shift.end, shift.shift)
        claim = Claim(
            unit=unit,
            kind=StatementKind.SIGN_OFF,
            start=window.start,
            end=window.end,
            author=author,
            note=note,
        )
        standing = self._changes.standings([self._plant.units[unit]], window, signed=True)[unit]
        if why := standing.why_provisional(window):
            raise Conflict(f"shift {shift.shift} is provisional: {why[0]}", "sign it when /api/v1/kpis says final")
        self._check(claim)
        before = [each for each in standing.sign_offs if (each.start, each.end) == (window.start, window.end)]
        if before and not standing.changed_after_sign_off(window):
            raise Conflict(f"{before[0].author} has signed this shift", "withdraw that statement first")
        said = replace(_statement(claim, self._clock.now()), supersedes=before[0].id if before else None)
        return self._put([said], [], touched=(window.start, window.start + 1))

    def _shift(self, unit: str, shift_start: Instant) -> ShiftWindow:
        known = self._plant.units.get(unit)
        if known is None:
            raise UnknownUnit(f"there is no unit {unit!r}", nearest_place(self._plant.units, unit))
        for shift in shift_windows(known, shift_start, shift_start + 1):
            if shift.start == shift_start and shift.shift != OFF_SHIFT:
                return shift
        starts = [shift.start for shift in shift_windows(known, shift_start, shift_start + 1)]
        near = f"the shift then began at {format_instant(starts[0])}" if starts else "look into the unit's calendar"
        raise BadStatement(f"no shift of {unit} starts at {format_instant(shift_start)}", near)

    def _check(self, claim: Claim) -> None:
        if claim.unit not in self._plant.units:
            raise UnknownUnit(f"there is no unit {claim.unit!r}", nearest_place(self._plant.units, claim.unit))
        check(claim, self._plant, self._clock.now())
        raw = self._silence.raw_since(claim.unit)
        if raw is not None and claim.start < raw and claim.kind is not StatementKind.SIGN_OFF:
            detail = f"the samples before {format_instant(raw)} are gone: those facts cannot be derived again"
            raise BadStatement(detail, "state what happened later")

    def _said(self, unit: str) -> list[Statement]:
        return in_force(statements_of(self._historian, self._plant.enterprise, unit))

    def _replaced(self, claim: Claim, said: Iterable[Statement]) -> None:
        old = next((each for each in said if each.id == claim.supersedes), None)
        if old is None:
            detail = f"no statement {claim.supersedes!r} on {claim.unit} is in force"
            raise Conflict(detail, "GET /api/v1/statements lists those in force")
        if old.kind is not claim.kind:
            raise Conflict(f"a statement of kind {claim.kind} cannot replace kind {old.kind}", "withdraw that one")

    def _put(
        self, said: Sequence[Statement], before: Sequence[Statement], touched: tuple[Instant, Instant] | None = None
    ) -> Receipt:
        """Store an act, its main statement last: what it replaces stays in force until all of it is there."""
        said = _numbered(said)
        superseded = {each.supersedes for each in said}
        known = [each for each in before if each.id in superseded] + list(said)
        start, end = touched or self._touched(known)
        for each in said:
            put(self._historian, self._plant.enterprise, each, touched=(start, end))
        return Receipt(said[-1], tuple(said[:-1]), start, end)

    def _touched(self, said: Sequence[Statement]) -> tuple[Instant, Instant]:
        """What must be derived again: the intervals, and the whole of the stops that they touch."""
        now = self._clock.now()
        low = min(each.start for each in said)
        high = max(_end(each, now) for each in said)
        if any(each.kind in (StatementKind.REASON, StatementKind.CATEGORY) for each in said):
            stops = self._stops.overlapping(said[0].unit, low, high)
            low = min([low, *(stop.start for stop in stops)])
            high = max([high, *(now if stop.end is None else stop.end for stop in stops)])
        return low, max(high, low + 1)


def _numbered(said: Iterable[Statement]) -> list[Statement]:
    """The statements of one act, with ids that tell so."""
    act = str(uuid4())[:-4]
    return [replace(each, id=f"{act}{number | _mark(each):04x}") for number, each in enumerate(said)]


def _act(statement: Statement) -> str:
    return statement.id[:-4]


def _mark(statement: Statement) -> int:
    """RESTORED or 0."""
    return int(statement.id[-4:] or "0", 16) & RESTORED


def _origin(statement: Statement, others: Iterable[Statement]) -> Statement:
    """The statement that a restored one says again; any other is its own."""
    if not _mark(statement):
        return statement
    said = _words(statement)
    same = [each for each in others if not (_mark(each) or each.withdrawn) and _words(each) == said]
    return max((each for each in same if each.made_at <= statement.made_at), key=_made, default=statement)


def _words(statement: Statement) -> Statement:
    """What it says, without who, when and in place of what."""
    return replace(statement, id="", author="", made_at=0, supersedes=None)


def _made(statement: Statement) -> tuple[Instant, str]:
    return statement.made_at, statement.id


def _end(statement: Statement, now: Instant) -> Instant:
    """Until when it has said something: an open-ended quantity belongs to one minute."""
    if statement.end is not None:
        return statement.end
    return statement.start + MINUTE if statement.kind is StatementKind.QUANTITY else max(now, statement.start + 1)


def _statement(claim: Claim, made_at: Instant) -> Statement:
    return Statement(
        id="",
        unit=claim.unit,
        kind=claim.kind,
        start=claim.start,
        end=claim.end,
        author=claim.author,
        made_at=made_at,
        supersedes=claim.supersedes,
        reason=claim.reason,
        category=claim.category,
        product=claim.product,
        order=claim.order,
        quantities=dict(claim.quantities),
        note=claim.note,
    )


def _again(
    old: Statement,
    made_at: Instant,
    author: str,
    *,
    start: Instant | None = None,
    end: Instant | None = None,
    supersedes: str | None = None,
) -> Statement:
    """The same said again, perhaps of a part."""
    return replace(
        old,
        id="",
        start=old.start if start is None else start,
        end=old.end if end is None else end,
        author=author,
        made_at=made_at,
        supersedes=supersedes,
        withdrawn=False,
    )


def _restored(old: Statement, made_at: Instant, author: str, *, supersedes: str | None = None) -> Statement:
    return replace(_again(old, made_at, author, supersedes=supersedes), id=f"{RESTORED:04x}")


def _withdrawal(old: Statement, made_at: Instant, author: str, note: str) -> Statement:
    return replace(old, id="", author=author, made_at=made_at, supersedes=old.id, withdrawn=True, note=note)


def _remainders(old: Statement, start: Instant, end: Instant) -> list[tuple[Instant, Instant | None]]:
    """What of an old statement [start, end) leaves over."""
    left: list[tuple[Instant, Instant | None]] = [(old.start, start)] if old.start < start else []
    return [*left, (end, old.end)] if old.end is None or old.end > end else left


def _contradicts(old: Statement, claim: Claim) -> bool:
    """Whether both cannot hold: two words for one moment, or one quantity counted twice."""
    if old.kind is not claim.kind:
        return False
    if claim.kind is StatementKind.QUANTITY:
        end = claim.start + MINUTE if claim.end is None else claim.end
        old_end = old.start + MINUTE if old.end is None else old.end
        return old.start < end and claim.start < old_end and bool(old.quantities.keys() & claim.quantities.keys())
    return claim.kind in EXCLUSIVE and old.overlaps(claim.start, claim.end)


def _conflict(other: Statement) -> Conflict:
    until = "now" if other.end is None else format_instant(other.end)
    detail = f"{other.author} stated another {other.kind} from {format_instant(other.start)} to {until}"
    return Conflict(detail, f"send 'supersedes': {other.id!r} to replace it, or another interval")
