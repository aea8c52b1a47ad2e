"""deploy/backup and deploy/restore on real stores: what was there comes back, what is damaged is told."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cli.main import main
from historian.connect import connect
from historian.embedded import EmbeddedHistorian
from historian.influx_access import InfluxAccess
from historian.influx_answers import ServerFault
from historian.influx_http import InfluxServer
from historian.influx_setup import set_up
from historian.point import Point, Query
from historian.schema import Measurement
from historian.snapshot import copy_folder, counts
from ingest.dead_letters import DeadLetters
from shopfloor.errors import ServiceUnavailable
from tests.influxd import InfluxDaemon, require

DEPLOY = Path(__file__).parents[2] / "deploy"
TAGS = {"enterprise": "works", "site": "site", "area": "area", "work_center": "line", "work_unit": "u1"}
MONTH = 31 * 86_400_000
START = 1_763_830_000_000


def samples(count: int, start: int = START) -> list[Point]:
    """Over two months and more, a shard or file each."""
    step = 2 * MONTH // count
    return [Point(Measurement.SAMPLES, TAGS, start + n * step, {"power_kw": float(n)}) for n in range(count)]


def fill(url: str, count: int = 300) -> dict[str, int]:
    store = connect(url, {})
    try:
        assert len(store.write(samples(count)).accepted) == count
        ledger = [Point(Measurement.LEDGER, {"agent": "edge-1", "outbox": "5f0c"}, START, {"stored": 1.0})]
        assert store.write(ledger).accepted
        return counts(store)
    finally:
        store.close()


def everything(url: str) -> list[Point]:
    store = connect(url, {})
    try:
        return [point for measurement in Measurement for point in store.read(Query(measurement))]
    finally:
        store.close()


def script(name: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SHOPFLOOR_")}
    return subprocess.run(
        [DEPLOY / name, "--native", *arguments],
        capture_output=True, text=True, check=False, timeout=120, env={**clean, "PATH": path, **environment},
    )  # fmt: skip


def letters(folder: Path) -> None:
    """A file of dead letters as ingest makes it."""
    folder.mkdir(parents=True, exist_ok=True)
    book = DeadLetters(folder / "dead_letters.db")
    book.close()


def of_backup(done: subprocess.CompletedProcess[str]) -> Path:
    assert (done.returncode, done.stderr) == (0, "")
    return Path(done.stdout.splitlines()[-1])


# ---------------------------------------------------------------- InfluxDB 1.x


@pytest.fixture(scope="module")
def two_servers(tmp_path_factory):
    """The server that is saved, and a fresh one."""
    require()
    servers = [InfluxDaemon(tmp_path_factory.mktemp(name)).start() for name in ("old", "fresh")]
    yield servers
    for server in servers:
        server.stop()


def rpc(server: InfluxDaemon) -> str:
    return re.search(r'^bind-address = "(.*)"', (server.folder / "influxdb.conf").read_text(), re.MULTILINE)[1]


def place(server: InfluxDaemon, database: str, data: Path) -> dict[str, str]:
    url = server.url(database)
    return {"SHOPFLOOR_HISTORIAN": url, "SHOPFLOOR_INFLUXD_RPC": rpc(server), "SHOPFLOOR_DATA": str(data)}


def test_a_backup_of_influxdb_comes_back_in_a_fresh_server_point_by_point(two_servers, tmp_path):
    old, fresh = two_servers
    for _ in set_up(InfluxAccess.of(old.url("plant"), {}), 0):
        pass
    held = fill(old.url("plant"))
    letters(tmp_path / "data")
    secrets = tmp_path / "generated"
    secrets.mkdir()
    (secrets / ".env").write_text("SHOPFLOOR_API_KEY=k\n")
    backup = of_backup(script("backup", tmp_path / "disk", secrets, **place(old, "plant", tmp_path / "data")))
    assert json.loads((backup / "counts.json").read_text()) == held
    assert held[Measurement.SAMPLES] == 300
    assert (backup / "generated" / ".env").read_text() == "SHOPFLOOR_API_KEY=k\n"
    assert backup.stat().st_mode & 0o777 == 0o700
    done = script("restore", backup, "plant.yaml", **place(fresh, "plant", tmp_path / "new"))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"samples {held[Measurement.SAMPLES]}" in done.stdout
    assert "shopfloor rederive plant.yaml --from " in done.stdout
    assert everything(fresh.url("plant")) == everything(old.url("plant"))
    assert (tmp_path / "new" / "dead_letters.db").is_file()
    again = script("restore", backup, **place(fresh, "plant", tmp_path / "newer"))
    assert again.returncode == 1
    [line] = again.stderr.splitlines()
    assert "is not overwritten" in line
    for _ in set_up(InfluxAccess.of(fresh.url("plant"), {}), 0):
        pass  # what was restored is a store as `historian init` makes it


def test_what_a_restored_store_lacks_is_told(two_servers, tmp_path):
    old, fresh = two_servers
    for _ in set_up(InfluxAccess.of(old.url("lacking"), {}), 0):
        pass
    fill(old.url("lacking"), 40)
    backup = of_backup(script("backup", tmp_path / "disk", **place(old, "lacking", tmp_path / "data")))
    told = json.loads((backup / "counts.json").read_text())
    (backup / "counts.json").write_text(json.dumps({**told, "samples": 41}))
    done = script("restore", backup, **place(fresh, "another-name", tmp_path / "data"))
    assert done.returncode == 1
    assert "missing: samples 40 of 41" in done.stderr


def test_a_server_that_is_away_leaves_no_backup(tmp_path):
    done = script(
        "backup", tmp_path / "disk", SHOPFLOOR_HISTORIAN="http://127.0.0.1:9/plant", SHOPFLOOR_DATA=str(tmp_path)
    )
    assert done.returncode == 1
    assert "the historian does not answer" in done.stderr
    assert list((tmp_path / "disk").iterdir()) == []


def test_the_users_of_the_compose_file_may_do_their_work_and_no_more(tmp_path):
    """Made as the image of InfluxDB 1.8 makes them at its first start."""
    require()
    server = InfluxDaemon(tmp_path, auth=True).start()
    try:
        ask(server, {}, "CREATE USER \"admin\" WITH PASSWORD 'a' WITH ALL PRIVILEGES")
        admin = {"SHOPFLOOR_HISTORIAN_USERNAME": "admin", "SHOPFLOOR_HISTORIAN_PASSWORD": "a"}
        for text in (
            'CREATE DATABASE "shopfloor"',
            "CREATE USER \"shopfloor\" WITH PASSWORD 's'",
            'GRANT ALL ON "shopfloor" TO "shopfloor"',
            "CREATE USER \"grafana\" WITH PASSWORD 'g'",
            'GRANT READ ON "shopfloor" TO "grafana"',
        ):
            ask(server, admin, text)
        for _ in set_up(InfluxAccess.of(server.url("shopfloor"), admin)):
            pass
        own = {"SHOPFLOOR_HISTORIAN_USERNAME": "shopfloor", "SHOPFLOOR_HISTORIAN_PASSWORD": "s"}
        store = connect(server.url("shopfloor"), own)
        now = [Point(Measurement.LEDGER, {"agent": "edge-1", "outbox": "5f0c"}, START, {"stored": 1.0})]
        assert store.write(now).accepted
        assert counts(store)[Measurement.LEDGER] == 1
        store.close()
        reader = {"SHOPFLOOR_HISTORIAN_USERNAME": "grafana", "SHOPFLOOR_HISTORIAN_PASSWORD": "g"}
        store = connect(server.url("shopfloor"), reader)
        assert counts(store)[Measurement.LEDGER] == 1
        with pytest.raises(ServerFault, match="not authorized"):
            store.write(now)
        store.close()
        with pytest.raises(ServiceUnavailable):
            connect(server.url("shopfloor"), {**reader, "SHOPFLOOR_HISTORIAN_PASSWORD": "guessed"})
    finally:
        server.stop()


def ask(server: InfluxDaemon, who: dict[str, str], text: str) -> None:
    spoken = InfluxServer(InfluxAccess.of(server.url("shopfloor"), who))
    try:
        list(spoken.query("", text))
    finally:
        spoken.close()


# ---------------------------------------------------------------- the embedded store


def test_an_embedded_store_is_copied_while_it_is_written_and_every_copied_point_is_whole(tmp_path):
    """The copy is one moment of all files: what one write has put into the catalog and two months is there together."""
    source = EmbeddedHistorian(tmp_path / "store")
    source.write(samples(300))
    stop = threading.Event()
    written = 0

    def write_on() -> None:
        nonlocal written
        while not stop.is_set():
            assert source.write(samples(2, START + 1 + written)).accepted
            written += 1

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        copies = [copy_folder(tmp_path / "store", tmp_path / f"copy-{n}") for n in range(3)]
    finally:
        stop.set()
        writer.join()
        source.close()
    assert written
    for files in copies:
        copy = EmbeddedHistorian(files[0].parent)
        held = counts(copy)[Measurement.SAMPLES]
        assert 300 <= held <= 300 + 2 * written
        assert len(copy.read(Query(Measurement.SAMPLES))) == held
        copy.close()
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)


def test_a_backup_of_an_embedded_store_comes_back(tmp_path):
    held = fill(str(tmp_path / "data" / "historian"))
    letters(tmp_path / "data")
    backup = of_backup(script("backup", tmp_path / "disk", SHOPFLOOR_DATA=str(tmp_path / "data")))
    done = script("restore", backup, SHOPFLOOR_DATA=str(tmp_path / "new"))
    assert (done.returncode, done.stderr) == (0, "")
    assert everything(str(tmp_path / "new" / "historian")) == everything(str(tmp_path / "data" / "historian"))
    assert sum(held.values()) == 301
    again = script("restore", backup, SHOPFLOOR_DATA=str(tmp_path / "new"))
    assert again.returncode == 1
    assert "is not empty" in again.stderr


def test_a_damaged_file_is_not_taken_for_a_backup(tmp_path):
    fill(str(tmp_path / "data" / "historian"))
    month = next((tmp_path / "data" / "historian").glob("20*.db"))
    size = month.stat().st_size
    with month.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size - size // 2))
    done = script("backup", tmp_path / "disk", SHOPFLOOR_DATA=str(tmp_path / "data"))
    assert done.returncode == 1
    assert list((tmp_path / "disk").iterdir()) == []


@pytest.mark.parametrize("verb", ["backup", "restore"])
def test_what_cannot_be_copied_is_one_line(tmp_path, capsys, monkeypatch, verb):
    monkeypatch.setenv("SHOPFLOOR_HISTORIAN", str(tmp_path / "store"))
    assert main(["historian", verb, str(tmp_path / "nowhere")]) in (1, 2)
    [line] = capsys.readouterr().err.splitlines()
    assert "holds no embedded store" in line or "is no folder" in line
