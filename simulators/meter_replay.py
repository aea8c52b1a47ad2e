"""A metered year played back: quarter-hour energies from CSV to exact registers. Head of *registers -> samples*.

Made for the steel works' data (UCI 851): `date` as `d/m/Y H:M` local, `Usage_kWh` and two reactive columns with at
most two decimals. A row's time is the end of its quarter; a day's `00:00` row carries that day's date and means the
day's end.
"""

import csv
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shopfloor.errors import PlantError
from shopfloor.instant import QUARTER, Instant, format_instant, to_instant
from simulators.power import W_MS_PER_KWH, PowerTrace, Stretch
from simulators.supply import Supply

DATE, ACTIVE = "date", "Usage_kWh"
LAGGING, LEADING = "Lagging_Current_Reactive.Power_kVarh", "Leading_Current_Reactive_Power_kVarh"
HUNDREDTH = W_MS_PER_KWH // 100
"""0.01 kWh, W ms."""


class Row(NamedTuple):
    """One quarter hour that ends at ``end``; energies in 0.01 kWh and 0.01 kvarh."""

    end: Instant
    active: int
    lagging: int
    leading: int


class QuarterCounter:
    """Quarter-hour energies as a meter shows them: the counter moves when a quarter ends.

    Its course of power is the quarters' means; the power it shows is the mean of the last whole quarter.
    """

    def __init__(self, start: Instant, hundredths: list[int]) -> None:
        """``hundredths``: energy of each quarter from ``start`` on, 0.01 kWh."""
        watts = [count * HUNDREDTH // QUARTER for count in hundredths]
        course = [(start + index * QUARTER, power) for index, power in enumerate(watts)]
        self.start = start
        self.end = start + len(hundredths) * QUARTER
        self._trace = PowerTrace([*course, (self.end, 0)])

    def energy_at(self, t: Instant) -> int:
        """Energy of all quarters that have ended, W ms."""
        return self._trace.energy_at(self._last_border(t))

    def watts_at(self, t: Instant) -> int:
        """Mean power of the last quarter that has ended, W; 0 before the first has."""
        return self._trace.watts_at(self._last_border(t) - 1)

    def stretches(self, start: Instant, end: Instant) -> Iterator[Stretch]:
        """The quarters that ended between a reading at ``start`` and one at ``end``."""
        return self._trace.stretches(self._last_border(start), self._last_border(end))

    def _last_border(self, t: Instant) -> Instant:
        return min(t - (t - self.start) % QUARTER, self.end)


class MeterReplay:
    """The year as a supply; ``start`` is the base reading, the first quarter's start."""

    def __init__(self, rows: list[Row]) -> None:
        self.start: Instant = rows[0].end - QUARTER
        self.end: Instant = rows[-1].end
        self.active = QuarterCounter(self.start, [row.active for row in rows])
        self.supply = Supply(
            self.active,
            QuarterCounter(self.start, [row.lagging for row in rows]),
            QuarterCounter(self.start, [row.leading for row in rows]),
        )
        self.readings = len(rows) + 1
        """Quarter-hour readings from the base to the last."""


def load_replay(path: Path, zone: str) -> MeterReplay:
    """Read the CSV; its times are local in ``zone``.

    Raises PlantError with row and remedy: not readable, a column missing, a bad date or number, or a quarter missing,
    repeated or out of order.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PlantError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    reader = csv.DictReader(text.splitlines())
    missing = [name for name in (DATE, ACTIVE, LAGGING, LEADING) if name not in (reader.fieldnames or ())]
    if missing:
        raise PlantError(f"{path}: row 1: no column {', '.join(missing)}; the header must name them")
    rows = [_row(cells, ZoneInfo(zone), f"{path}: row {number}") for number, cells in enumerate(reader, start=2)]
    if not rows:
        raise PlantError(f"{path}: row 2: no data; there must be at least one quarter hour")
    _check_grid(rows, path)
    return MeterReplay(rows)


def _row(cells: Mapping[str, str | None], zone: ZoneInfo, place: str) -> Row:
    return Row(_quarter_end(cells[DATE] or "", zone, place), *(_hundredths(cells, name, place) for name in _ENERGIES))


_ENERGIES = (ACTIVE, LAGGING, LEADING)


def _quarter_end(text: str, zone: ZoneInfo, place: str) -> Instant:
    try:
        local = datetime.strptime(text, "%d/%m/%Y %H:%M").replace(tzinfo=zone)
    except ValueError:
        raise PlantError(f"{place}: date {text!r} is not a time; write day/month/year hour:minute") from None
    if (local.hour, local.minute) == (0, 0):
        local += timedelta(days=1)  # the end of that day
    return to_instant(local)


def _hundredths(cells: Mapping[str, str | None], name: str, place: str) -> int:
    text = cells[name]
    try:
        scaled = Decimal(text or "") * 100
        whole = int(scaled)
    except (InvalidOperation, ValueError, OverflowError):
        raise PlantError(f"{place}: {name} {text!r} is not a number") from None
    if whole != scaled or whole < 0:
        raise PlantError(f"{place}: {name} {text!r} must not be negative and have at most two decimals")
    return whole


def _check_grid(rows: list[Row], path: Path) -> None:
    for number, (before, row) in enumerate(pairwise(rows), start=3):
        due = before.end + QUARTER
        if row.end != due:
            raise PlantError(
                f"{path}: row {number}: ends at {format_instant(row.end)}, expected {format_instant(due)}; "
                "quarter hours must follow each other without gap or repetition"
            )
    if rows[0].end % QUARTER:
        raise PlantError(f"{path}: row 2: {format_instant(rows[0].end)} is not the end of a quarter hour")
