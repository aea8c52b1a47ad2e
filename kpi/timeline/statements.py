"""What people said of a unit's time, resolved: whose word holds at each moment. Pure.

Statements are given in force (``shopfloor.statement.in_force``). Where two of one kind overlap the later made holds.
An open-ended order or category ends with the time looked at; an open-ended reason with the stop that lasted when it was
stated.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from kpi.timeline.tiles import Tile
from shopfloor.instant import Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.reason import Reason
from shopfloor.statement import Statement, StatementKind

STATABLE: Final = frozenset(TimeCategory) - {TimeCategory.NOT_SCHEDULED, TimeCategory.UNKNOWN, TimeCategory.MICRO_STOP}
"""What a person can state: the calendar tells when nothing is scheduled, the threshold what is a micro-stop."""
Winner = Tile[Statement | None]


def of_kind(statements: Iterable[Statement], kind: StatementKind, unit: str) -> list[Statement]:
    """The unit's statements of a kind that say anything."""
    found = [each for each in statements if each.kind is kind and each.unit == unit and not each.withdrawn]
    if kind is StatementKind.CATEGORY:
        return [each for each in found if each.category in STATABLE]
    return [each for each in found if each.reason] if kind is StatementKind.REASON else found


def winners(statements: Sequence[Statement], start: Instant, end: Instant) -> list[Winner]:
    """Tile [start, end) with the statement that holds; the later made where several do."""
    spans = [(each.start, end if each.end is None else each.end, each) for each in statements]
    return _painted([span for span in spans if span[0] < span[1]], start, end)


def reasons_over(statements: Sequence[Statement], start: Instant, end: Instant) -> list[Winner]:
    """Tile one stop [start, end) with the reasons that overlap it.

    Each covers its own interval; what none covers goes to the one with the most overlap. So one alone covers the whole
    stop, and an answer survives that late data move the stop's borders.
    """
    spans = [
        (max(each.start, start), min(_reason_end(each, end), end), each)
        for each in statements
        if each.start < end and _told_until(each) > start
    ]
    spans = [span for span in spans if span[0] < span[1]]
    if not spans:
        return [Tile(start, end, None)]
    _, most = max(((high - low, *_rank(each)), each) for low, high, each in spans)
    return _joined([tile if tile.value else tile._replace(value=most) for tile in _painted(spans, start, end)])


def _told_until(statement: Statement) -> Instant:
    """Up to when it was known to hold: an open-ended one to the moment in which it was made."""
    return max(statement.made_at, statement.start) + 1 if statement.end is None else statement.end


def _reason_end(statement: Statement, end: Instant) -> Instant:
    return end if statement.end is None else statement.end


def _rank(statement: Statement) -> tuple[Instant, str]:
    return statement.made_at, statement.id


def _painted(spans: Sequence[tuple[Instant, Instant, Statement]], start: Instant, end: Instant) -> list[Winner]:
    inside = [span for span in spans if span[0] < end and span[1] > start]
    cuts = sorted({start, end, *(edge for low, high, _ in inside for edge in (low, high) if start < edge < end)})
    return _joined([Tile(low, high, _holding(inside, low)) for low, high in pairwise(cuts)])


def _holding(spans: Iterable[tuple[Instant, Instant, Statement]], at: Instant) -> Statement | None:
    return max((each for low, high, each in spans if low <= at < high), key=_rank, default=None)


def _joined(tiles: Iterable[Winner]) -> list[Winner]:
    joined: list[Winner] = []
    for tile in tiles:
        if joined and joined[-1].value is tile.value:
            joined[-1] = joined[-1]._replace(end=tile.end)
        else:
            joined.append(tile)
    return joined


def moved_to(reasons: Mapping[str, Reason], statement: Statement) -> TimeCategory | None:
    """The category into which a statement's reason books a stop; None where it leaves it."""
    reason = reasons.get(statement.reason or "")
    return reason.category if reason is not None and reason.category in STATABLE else None
