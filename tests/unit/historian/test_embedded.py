"""What only the embedded store does: its files, its locks and a full disk."""

import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from historian.connect import connect
from historian.embedded import EmbeddedHistorian
from historian.point import Point, Query
from historian.schema import Measurement
from shopfloor.errors import Backpressure, ServiceUnavailable
from shopfloor.instant import parse_instant

BORDER = parse_instant("2026-02-01T00:00:00Z")
UNIT = {"enterprise": "acme", "site": "s", "area": "a", "work_center": "line-1", "work_unit": "cnc-01"}
DIRTY = Point("dirty", {**UNIT, "origin": "ingest"}, BORDER, {"from": 0.0, "to": 1.0, "done": 0.0})


def sample(time: int, unit: str = "cnc-01") -> Point:
    return Point("samples", {**UNIT, "work_unit": unit}, time, {"x_a": 1.0})


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[EmbeddedHistorian]:
    store = EmbeddedHistorian(tmp_path, busy_timeout_s=0.01)
    yield store
    store.close()


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another process's write transaction."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield


def test_there_is_a_catalog_and_a_file_per_month_with_data(impatient: EmbeddedHistorian, tmp_path: Path) -> None:
    impatient.write([sample(BORDER - 1), sample(BORDER), DIRTY])
    assert sorted(file.name for file in tmp_path.glob("*.db")) == ["2026-01.db", "2026-02.db", "catalog.db"]


def test_every_file_is_in_wal_mode_and_sound(impatient: EmbeddedHistorian, tmp_path: Path) -> None:
    impatient.write([sample(BORDER - 1), DIRTY])
    for file in tmp_path.glob("*.db"):
        with closing(sqlite3.connect(file)) as db:
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_locked_catalog_is_backpressure_and_the_next_try_succeeds(
    impatient: EmbeddedHistorian, tmp_path: Path
) -> None:
    points = [sample(BORDER), DIRTY]
    with locked(tmp_path / "catalog.db"), pytest.raises(Backpressure):
        impatient.write(points)
    assert impatient.read(Query("samples")) == []
    assert impatient.write(points).accepted == {0, 1}


def test_what_one_locked_month_cannot_take_is_kept(impatient: EmbeddedHistorian, tmp_path: Path) -> None:
    impatient.write([sample(BORDER - 1), sample(BORDER)])
    points = [sample(BORDER + 1), sample(-1), DIRTY, sample(BORDER - 2)]
    with locked(tmp_path / "2026-02.db"):
        report = impatient.write(points)
        assert impatient.count(Query("samples")) == 3
    assert report.accepted == {2, 3}
    assert list(report.rejected) == [1]
    assert report.kept(len(points)) == [0]
    assert impatient.write([points[0]]).accepted == {0}


def test_no_sample_is_stored_when_its_dirty_interval_cannot_be(impatient: EmbeddedHistorian, tmp_path: Path) -> None:
    impatient.write([sample(BORDER)])
    with locked(tmp_path / "catalog.db"), pytest.raises(Backpressure):
        impatient.write([sample(BORDER + 1), DIRTY])
    assert impatient.count(Query("samples")) == 1


def test_facts_of_known_series_do_not_wait_for_the_catalog(impatient: EmbeddedHistorian, tmp_path: Path) -> None:
    impatient.write([sample(BORDER)])
    with locked(tmp_path / "catalog.db"):
        assert impatient.write([sample(BORDER + 1)]).accepted == {0}


def test_reads_and_new_readers_never_wait_for_a_writer(impatient: EmbeddedHistorian, tmp_path: Path) -> None:
    impatient.write([sample(BORDER), DIRTY])
    with locked(tmp_path / "catalog.db"), locked(tmp_path / "2026-02.db"):
        assert impatient.read(Query("samples")) == [sample(BORDER)]
        reader = EmbeddedHistorian(tmp_path, busy_timeout_s=0.0)
        assert reader.count(Query("samples")) == reader.count(Query("dirty")) == 1
        reader.close()


FULL_DISK = textwrap.dedent(
    """
    import itertools, resource, sys
    from historian.connect import connect
    from historian.point import Point, Query
    from shopfloor.errors import Backpressure

    tags = dict.fromkeys(("enterprise", "site", "area", "work_center", "work_unit"), "x")
    store = connect(sys.argv[1])
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, unlimited[1]))
    for batch in itertools.count():
        points = [Point("samples", tags, batch * 500 + n, {"x_a": n / 7}) for n in range(500)]
        try:
            store.write(points)
        except Backpressure:
            break
    assert store.count(Query("samples")) == batch * 500, "what was accepted is there, what was not is not"
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert len(store.write(points).accepted) == 500
    assert store.count(Query("samples")) == (batch + 1) * 500
    store.close()
    """
)


def test_a_full_disk_is_backpressure_and_loses_nothing(tmp_path: Path) -> None:
    outcome = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stderr


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_text("this is a letter, not a database" * 100)
    with pytest.raises(ServiceUnavailable, match=r"catalog\.db"):
        EmbeddedHistorian(tmp_path)


def test_files_of_a_later_release_are_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "catalog.db")) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(ServiceUnavailable, match="format 99"):
        EmbeddedHistorian(tmp_path)


def test_files_that_lack_the_tables_of_later_measurements_get_them(tmp_path: Path) -> None:
    store = EmbeddedHistorian(tmp_path)
    assert store.write([sample(0), DIRTY]).accepted
    store.close()
    newer = {"1970-01": (Measurement.LOSSES_HOUR, Measurement.LOSSES_SHIFT), "catalog": (Measurement.GRAINS,)}
    for name, tables in newer.items():
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as db, db:
            for table in tables:
                db.execute(f'DROP TABLE "{table}"')
            db.execute("PRAGMA user_version = 3")
    store = EmbeddedHistorian(tmp_path)
    assert [store.count(Query(measurement)) for measurement in Measurement].count(1) == 2
    assert store.count(Query("losses_shift")) == 0
    store.close()


def test_a_closed_historian_says_so(impatient: EmbeddedHistorian) -> None:
    impatient.close()
    with pytest.raises(ServiceUnavailable, match="closed"):
        impatient.read(Query("samples"))


def test_years_of_months_need_few_open_files(tmp_path: Path) -> None:
    store = EmbeddedHistorian(tmp_path)
    store.write([sample(month * 31 * 86_400_000) for month in range(60)])
    assert store.count(Query("samples")) == len(store.read(Query("samples"))) == 60
    assert len(list(tmp_path.glob("*.db-wal"))) <= 24, "idle files are closed"
    store.close()


@pytest.mark.parametrize("form", ["embedded://{}", "{}"])
def test_a_folder_is_opened_by_url_or_path(tmp_path: Path, form: str) -> None:
    store = connect(form.format(tmp_path / "new" / "folder"))
    store.write([DIRTY])
    store.close()
    assert (tmp_path / "new" / "folder" / "catalog.db").exists()


def test_an_unsupported_url_names_the_supported_ones_and_no_password() -> None:
    with pytest.raises(ServiceUnavailable, match="embedded:///") as refused:
        connect("influxdb://ingest:secret@db:8086/plant")
    assert "secret" not in str(refused.value)
    with pytest.raises(ServiceUnavailable, match="no folder"):
        connect("embedded://")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceUnavailable, match="folder"):
        connect(str(tmp_path / "file" / "historian"))
