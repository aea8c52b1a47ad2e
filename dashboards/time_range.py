"""What Grafana makes of a board's range: ``now-24h`` and ``now/d`` as instants, and the interval that follows. Pure.

Beside the panels of registers -> samples -> messages -> points -> facts -> KPIs -> panels, for ``verify``.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from shopfloor.errors import ShopfloorError
from shopfloor.instant import Instant, parse_instant, to_datetime, to_instant

BROWSER: Final = ("browser", "", "utc")
"""A board's zone that is no IANA zone: without a browser, UTC."""

_STEP = re.compile(r"([+-])(\d*)([smhdwMy])|/([smhdwMy])")
_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_ROUNDED: Final = (
    (10, 1),
    (15, 10),
    (35, 20),
    (75, 50),
    (150, 100),
    (350, 200),
    (750, 500),
    (1_500, 1_000),
    (3_500, 2_000),
    (7_500, 5_000),
    (12_500, 10_000),
    (17_500, 15_000),
    (25_000, 20_000),
    (45_000, 30_000),
    (90_000, 60_000),
    (210_000, 120_000),
    (450_000, 300_000),
    (750_000, 600_000),
    (1_050_000, 900_000),
    (1_500_000, 1_200_000),
    (2_700_000, 1_800_000),
    (5_400_000, 3_600_000),
    (9_000_000, 7_200_000),
    (16_200_000, 10_800_000),
    (32_400_000, 21_600_000),
    (86_400_000, 43_200_000),
    (604_800_000, 86_400_000),
    (1_814_400_000, 604_800_000),
    (3_628_800_000, 2_592_000_000),
)
"""Below so many ms a point the interval is so many ms."""
_LONGEST: Final = 31_536_000_000


class BadRange(ShopfloorError):
    """A text is no time of a board."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """[start, end) in ms."""

    start: Instant
    end: Instant


def instant_of(text: str, now: Instant, zone: str, *, ends: bool = False) -> Instant:
    """``now``, ``now-7d``, ``now-1d/d`` or RFC 3339 as an instant; raises BadRange.

    ``/d`` goes to the local beginning of the day, or to its end where the text ``ends`` a range. Weeks begin on Monday.
    """
    if not text.startswith("now"):
        return parse_instant(text)
    moment, position, rest = to_datetime(now).astimezone(_zone(zone)), 0, text.removeprefix("now")
    for step in _STEP.finditer(rest):
        if step.start() != position:
            break
        position = step.end()
        sign, count, unit, rounded = step.groups()
        if rounded:
            moment = _rounded(moment, rounded, ends=ends)
        else:
            moment = _moved(moment, unit, int(count or 1) * (1 if sign == "+" else -1))
    if position != len(rest):
        raise BadRange(f"{text!r} is no time of a board; write e.g. now-24h, now/d or 2026-01-05T06:00:00+07:00")
    return to_instant(moment)


def interval_ms(span: TimeRange, points: int, least: str | None = None) -> int:
    """``$__interval`` of a panel that shows at most ``points`` over a range, ``least`` its lowest, as ``5m``."""
    wanted = (span.end - span.start) / max(points, 1)
    found = next((rounded for limit, rounded in _ROUNDED if wanted < limit), _LONGEST)
    return max(found, duration_ms(least) if least else 1)


def duration_ms(text: str) -> int:
    """``>5m`` or ``5m`` in ms; raises BadRange."""
    found = re.fullmatch(r">?(\d+)(ms|[smhdw])", text)
    if found is None:
        raise BadRange(f"{text!r} is no length of time; write e.g. 1m")
    return int(found[1]) * (1 if found[2] == "ms" else _MS[found[2]])


def interval_text(milliseconds: int) -> str:
    """A length of time as InfluxQL writes it, in its greatest whole unit."""
    for unit in ("d", "h", "m", "s"):
        if milliseconds % _MS[unit] == 0:
            return f"{milliseconds // _MS[unit]}{unit}"
    return f"{milliseconds}ms"


def _zone(name: str) -> tzinfo:
    return UTC if name in BROWSER else ZoneInfo(name)


def _moved(moment: datetime, unit: str, count: int) -> datetime:
    if unit in "smh":
        return (moment.astimezone(UTC) + timedelta(milliseconds=_MS[unit] * count)).astimezone(moment.tzinfo)
    if unit in "dw":
        return moment + timedelta(days=count * (7 if unit == "w" else 1))
    months = moment.year * 12 + moment.month - 1 + count * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    first = moment.replace(year=year, month=month + 1, day=1)
    last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(moment.day, last.day))


def _rounded(moment: datetime, unit: str, *, ends: bool) -> datetime:
    begun = {
        "s": lambda: moment.replace(microsecond=0),
        "m": lambda: moment.replace(second=0, microsecond=0),
        "h": lambda: moment.replace(minute=0, second=0, microsecond=0),
        "d": lambda: _midnight(moment),
        "w": lambda: _midnight(moment) - timedelta(days=moment.weekday()),
        "M": lambda: _midnight(moment.replace(day=1)),
        "y": lambda: _midnight(moment.replace(month=1, day=1)),
    }[unit]()
    return _moved(begun, unit, 1) - timedelta(milliseconds=1) if ends else begun


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
