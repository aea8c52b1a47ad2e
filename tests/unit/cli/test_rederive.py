"""``shopfloor rederive`` on a real store: lines per shift, a summary, and clear refusals."""

from contextlib import closing
from pathlib import Path

import pytest

from cli.main import main
from cli.plants import load_plant
from cli.unit_plans import unit_plans
from historian.connect import connect
from historian.point import Query
from historian.published import subject_of
from historian.records import Dirty, dirty_point, point_dirty, sample_point
from historian.schema import Measurement
from ingest.derivation_pass import DerivationPass, Owed
from ingest.unit_derivation import UnitDerivation
from kpi_api.store import Store
from shopfloor.clock import SystemClock
from shopfloor.instant import HOUR, SECOND, parse_instant
from shopfloor.sample import Sample
from tests.agreement import all_agree, kpi_point, stored

EXAMPLE = Path(__file__).parents[3] / "plants" / "ceper" / "plant.yaml"
UNIT = "ceper/machining/line-1/cnc-01"
START = parse_instant("2026-01-05T00:00:00Z")
FROM, TO = "2026-01-05T07:00:00+07:00", "2026-01-05T08:00:00+07:00"


@pytest.fixture
def plant_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example plant with an hour of its first machine in the store that the environment names."""
    monkeypatch.setenv("SHOPFLOOR_HISTORIAN", str(tmp_path / "historian"))
    file = tmp_path / "plant.yaml"
    file.write_text(EXAMPLE.read_text("utf-8"), "utf-8")
    plant = load_plant(file)
    samples = [
        Sample(
            unit=UNIT,
            time=START + second * SECOND,
            values={"state": 1, "product_code": 1, "good": second // 60, "scrap": 0},
        )
        for second in range(3_601)
    ]
    dirty = Dirty(UNIT, START, START, START + HOUR + 1)
    store = connect(str(tmp_path / "historian"))
    points = [dirty_point(plant.enterprise, dirty), *(sample_point(plant.enterprise, each) for each in samples)]
    assert len(store.write(points).accepted) == len(points)
    derivation = UnitDerivation(store, unit_plans(plant)[UNIT], plant.enterprise)
    DerivationPass(store, plant.enterprise, [Owed(derivation, [dirty], None)], START).run()
    store.close()
    return file


def run(*arguments: str) -> int:
    return main(["rederive", *arguments])


def halve_run_times(file: Path) -> None:
    """Today's plan: a brake disc needs half of the time that it did."""
    text = file.read_text("utf-8")
    assert "brake-disc: 42" in text
    file.write_text(text.replace("brake-disc: 42", "brake-disc: 21"), "utf-8")


def test_without_a_change_it_says_so(plant_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(plant_file), "--from", FROM, "--to", TO, "--unit", UNIT) == 0
    out = capsys.readouterr().out
    assert out == "nothing changed in 1 unit: the facts are what today's plan makes of the samples\n"


def test_a_changed_plan_is_shown_by_shift_with_oee_before_and_after(
    plant_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    halve_run_times(plant_file)
    command = (str(plant_file), "--from", FROM, "--to", TO, "--unit", UNIT, "--name", "rina")
    assert run(*command, "--dry-run") == 0
    rehearsed = capsys.readouterr().out.splitlines()
    assert run(*command) == 0
    shift, summary = capsys.readouterr().out.splitlines()
    assert rehearsed == [shift, "1 shift would change in 1 unit"]
    assert shift.startswith(f"{UNIT}  2026-01-04T23:00:00Z ")
    assert "OEE 70.00% -> 35.00%" in shift
    assert "good_run_s 2520 -> 1260" in shift
    assert summary == "1 shift changed in 1 unit"
    assert run(*command) == 0
    assert capsys.readouterr().out.startswith("nothing changed")


def test_time_without_samples_is_told(plant_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(plant_file), "--from", "2026-01-01T00:00:00Z", "--to", TO) == 0
    out = capsys.readouterr().out
    assert f"{UNIT}  no raw samples before 2026-01-05T00:00:00Z; facts before it stay as they are" in out
    assert "cnc-02  has no samples; its facts stay as they are" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--from", "2026-01-05T07:00:00", "--to", TO), "2026-01-05T07:00:00"),
        (("--from", TO, "--to", FROM), "--to must be later than --from"),
        (("--from", FROM, "--to", TO, "--unit", "no/such/unit/here"), "no unit of the plant matches"),
        (("--from", "2200-01-01T00:00:00Z", "--to", "2200-01-02T00:00:00Z"), "outside the time that has been"),
    ],
)
def test_wrong_input_is_one_line_and_writes_nothing(
    plant_file: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    assert run(str(plant_file), *arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    store = connect(str(plant_file.parent / "historian"))
    assert store.count(Query(Measurement.DIRTY, {"origin": "rederive"})) == 0
    store.close()


def test_what_it_changes_is_published_with_every_place_and_the_owners_get_word(plant_file: Path) -> None:
    halve_run_times(plant_file)
    command = (str(plant_file), "--from", FROM, "--to", TO, "--unit", UNIT)
    assert run(*command, "--dry-run") == 0
    with closing(connect(str(plant_file.parent / "historian"))) as historian:
        assert stored(historian, Measurement.KPI_PUBLISHED) == []
    assert run(*command) == 0
    with closing(connect(str(plant_file.parent / "historian"))) as historian:
        all_agree(Store(load_plant(plant_file), historian, SystemClock()))
        oee = kpi_point(historian, UNIT, "pagi", START - HOUR).fields["oee_index"]
        assert oee == pytest.approx(0.35)
        assert kpi_point(historian, "ceper/machining/line-1", "pagi", START - HOUR).fields["until"] > START
        assert {subject_of(each) for each in stored(historian, Measurement.KPI_PUBLISHED)} >= {"", "ceper"}
        left = [point_dirty(each) for each in historian.read(Query(Measurement.DIRTY, {"origin": "publish"}))]
    firsts = {next(iter(load_plant(plant_file).units)), UNIT}
    assert {each.unit for each in left if not each.done} == firsts
