from pathlib import Path
from random import Random

import pytest

from devices import library
from shopfloor.errors import PlantError
from shopfloor.instant import QUARTER, parse_instant
from simulators.machine import Meter
from simulators.meter_replay import MeterReplay, load_replay
from simulators.truth import energy_truth

HEADER = "date,Usage_kWh,Lagging_Current_Reactive.Power_kVarh,Leading_Current_Reactive_Power_kVarh\n"
SEOUL = "Asia/Seoul"
MONTHS = [126238.29, 91497.34, 80230.41, 78769.80, 79059.28, 65404.64,
          81674.41, 68559.43, 57883.07, 84665.65, 86217.61, 59436.78]  # fmt: skip


def written(folder: Path, *rows: str) -> Path:
    path = folder / "year.csv"
    path.write_text(HEADER + "".join(f"{row},0,0\n" for row in rows), encoding="utf-8-sig")
    return path


@pytest.fixture(scope="module")
def year(shared_data: Path) -> MeterReplay:
    return load_replay(shared_data / "steel_energy" / "Steel_industry_data.csv", SEOUL)


def test_the_steel_year_sums_to_what_its_owners_publish(year: MeterReplay) -> None:
    truth = energy_truth(year.active.stretches(year.start, year.end), SEOUL)
    assert year.readings == 35_041
    assert truth.total_kwh == 959_636.71
    assert [truth.by_month_kwh[f"2018-{month:02}"] for month in range(1, 13)] == MONTHS
    assert truth.peak is not None
    assert (truth.peak.kw, truth.peak.at) == (628.72, parse_instant("2018-11-22T00:45:00Z"))


def test_a_real_meters_register_tells_the_year_exactly(year: MeterReplay) -> None:
    meter = Meter(library.load("schneider-iem3000"), year.supply, Random(1), rollover_kwh=1)
    base = meter.values(year.start)
    counts = [round(float(meter.values(t)["energy_kwh"] or 0) * 1000) for t in range(year.start, year.end + 1, QUARTER)]
    assert len(counts) == 35_041
    assert counts[-1] - counts[0] == 959_636_710
    assert base["power_kw"] == 0
    last = meter.values(parse_instant("2018-11-22T00:45:00Z"))
    assert last["power_kw"] == 628.72
    reactive = float(meter.values(year.end)["reactive_kvarh"] or 0) - float(base["reactive_kvarh"] or 0)
    assert reactive == pytest.approx(456_759.84)


def test_the_register_moves_when_a_quarter_has_ended(tmp_path: Path) -> None:
    replay = load_replay(written(tmp_path, "1/1/2018 0:15,3.17", "1/1/2018 0:30,4"), SEOUL)
    assert replay.start == parse_instant("2018-01-01T00:00:00+09:00")
    energy = [replay.active.energy_at(replay.start + n) / 36_000_000 for n in (0, QUARTER - 1, QUARTER, 2 * QUARTER)]
    assert energy == [0, 0, 317, 717]
    assert replay.active.energy_at(replay.end + 5 * QUARTER) / 36_000_000 == 717


def test_a_days_midnight_row_means_its_end(tmp_path: Path) -> None:
    replay = load_replay(written(tmp_path, "1/1/2018 23:45,1", "1/1/2018 0:00,2", "2/1/2018 0:15,3"), SEOUL)
    assert replay.end == parse_instant("2018-01-02T00:15:00+09:00")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1/1/2018 0:15,1", "1/1/2018 0:45,1"], r"row 3: ends at 2017-12-31T15:45:00Z, expected 2017-12-31T15:30:00Z"),
        (["1/1/2018 0:15,1", "1/1/2018 0:15,1"], "row 3: ends at"),
        (["1/1/2018 0:10,1"], "row 2: .* is not the end of a quarter hour"),
        (["2018-01-01 00:15,1"], "row 2: date '2018-01-01 00:15' is not a time"),
        (["1/1/2018 0:15,lots"], "row 2: Usage_kWh 'lots' is not a number"),
        (["1/1/2018 0:15,NaN"], "row 2: Usage_kWh 'NaN' is not a number"),
        (["1/1/2018 0:15,1.234"], "row 2: Usage_kWh '1.234' must not be negative and have at most two decimals"),
        (["1/1/2018 0:15,-1"], "row 2: Usage_kWh '-1' must not be negative"),
        ([], "row 2: no data"),
    ],
)
def test_a_wrong_file_is_refused_with_its_row(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(PlantError, match=message):
        load_replay(written(tmp_path, *rows), SEOUL)


def test_a_file_without_the_columns_or_no_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("time,kwh\n1,2\n", encoding="utf-8")
    with pytest.raises(PlantError, match="row 1: no column date, Usage_kWh"):
        load_replay(path, SEOUL)
    with pytest.raises(PlantError, match="cannot be read"):
        load_replay(tmp_path / "none.csv", SEOUL)
