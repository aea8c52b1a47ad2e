"""Instants: whole milliseconds UTC since 1970 inside the system, RFC 3339 at its rim."""

from datetime import UTC, datetime

from shopfloor.errors import ShopfloorError

Instant = int
"""Milliseconds UTC since the epoch. Intervals of instants are half-open, [start, end)."""

SECOND = 1_000
MINUTE = 60_000
QUARTER = 15 * MINUTE
HOUR = 60 * MINUTE


class BadInstant(ShopfloorError):
    """A text is not an instant, or has no UTC offset."""


def to_instant(moment: datetime) -> Instant:
    """An aware datetime as milliseconds; a naive one is refused."""
    if moment.tzinfo is None:
        raise BadInstant(f"{moment.isoformat()} has no UTC offset; write e.g. {moment.isoformat()}+07:00")
    return round(moment.timestamp() * 1000)


def to_datetime(instant: Instant) -> datetime:
    """Milliseconds as an aware UTC datetime."""
    return datetime.fromtimestamp(instant / 1000, UTC)


def parse_instant(text: str) -> Instant:
    """RFC 3339 with offset (``2026-01-05T06:00:00+07:00`` or ``...Z``) to milliseconds; raises BadInstant."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInstant(f"{text!r} is not a time; write e.g. 2026-01-05T06:00:00+07:00") from None
    return to_instant(moment)


def format_instant(instant: Instant) -> str:
    """Milliseconds as RFC 3339 in UTC, with milliseconds only where there are any."""
    moment = to_datetime(instant)
    spec = "milliseconds" if instant % 1000 else "seconds"
    return moment.isoformat(timespec=spec).replace("+00:00", "Z")


def floor_to(instant: Instant, step: int) -> Instant:
    """The greatest multiple of ``step`` that is not after ``instant``."""
    return instant - instant % step


def ceil_to(instant: Instant, step: int) -> Instant:
    """The smallest multiple of ``step`` that is not before ``instant``."""
    return instant + (-instant) % step
