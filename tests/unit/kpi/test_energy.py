import numpy as np
import pytest

from kpi.facts.pricing import is_peak, local_minute, priced
from shopfloor.dated import Dated
from shopfloor.instant import HOUR, MINUTE, format_instant, parse_instant
from shopfloor.plant import Tariff, WorkUnit
from tests.production import METER, START, work_unit


def tariff(start: int, end: int) -> Tariff:
    return Tariff("t", "IDR", 1000.0, 1.5, start * 60, end * 60)


def unit(held: Tariff | None, zone: str = "Asia/Jakarta") -> WorkUnit:
    return work_unit(METER, tariff=Dated.always(held), timezone=zone)


def peak_hours(held: Tariff | None, zone: str = "Asia/Jakarta", day: str = "2026-01-05T00:00:00Z") -> list[int]:
    """The UTC hours of a day that are peak throughout."""
    minutes = parse_instant(day) + np.arange(24 * 60) * MINUTE
    found = is_peak(unit(held, zone), minutes).reshape(24, 60)
    assert all(hour.all() or not hour.any() for hour in found)
    return np.flatnonzero(found[:, 0]).tolist()


@pytest.mark.parametrize(
    ("start", "end", "zone", "hours"),
    [
        (18, 22, "Asia/Jakarta", [11, 12, 13, 14]),
        (18, 22, "Asia/Jayapura", [9, 10, 11, 12]),
        (22, 2, "UTC", [0, 1, 22, 23]),
        (0, 24, "UTC", list(range(24))),
        (8, 8, "UTC", []),
    ],
)
def test_peak_hours_are_local_and_may_cross_midnight(start: int, end: int, zone: str, hours: list[int]) -> None:
    assert peak_hours(tariff(start, end), zone) == hours


def test_no_tariff_has_no_peak() -> None:
    assert peak_hours(None) == []


def test_the_local_minute_follows_the_clock_change() -> None:
    """Berlin, 29 March 2026: 01:59 CET is followed by 03:00 CEST."""
    minutes = parse_instant("2026-03-29T00:58:00Z") + np.arange(4) * MINUTE
    assert local_minute("Europe/Berlin", minutes).tolist() == [118, 119, 180, 181]
    assert format_instant(int(minutes[2])) == "2026-03-29T01:00:00Z"


def test_a_day_of_23_hours_has_its_four_peak_hours() -> None:
    assert peak_hours(tariff(18, 22), "Europe/Berlin", "2026-03-29T00:00:00Z") == [16, 17, 18, 19]
    assert peak_hours(tariff(18, 22), "Europe/Berlin", "2026-03-28T00:00:00Z") == [17, 18, 19, 20]


def test_without_tariff_and_grid_factor_energy_has_no_price() -> None:
    minutes, energy = START + np.arange(2) * MINUTE, np.ones(2)
    assert priced(work_unit(METER), minutes, energy) == {}
    columns = priced(unit(None), minutes, energy)
    assert {name: values.tolist() for name, values in columns.items()} == {
        "peak_kwh": [0, 0],
        "off_peak_kwh": [0, 0],
        "energy_cost": [0, 0],
    }


def test_energy_before_the_first_tariff_is_not_priced() -> None:
    plan = work_unit(METER, tariff=Dated(((START + HOUR, tariff(18, 22)),)))
    columns = priced(plan, START + np.array([0, HOUR]), np.array([3.0, 3.0]))
    assert columns["off_peak_kwh"].tolist() == [0, 3]
    assert columns["energy_cost"].tolist() == [0, 3000]
