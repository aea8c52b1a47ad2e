"""Several processes and threads on one store, and processes that are killed."""

import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from historian.connect import connect
from historian.historian import Historian
from historian.point import Point, Query

WRITER = Path(__file__).with_name("writer.py")
PER_BATCH = 5
UNIT = "s/a/line-1/cnc-01"


@contextmanager
def writing_process(url: str, unit: str = UNIT) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen([sys.executable, str(WRITER), url, unit], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def acknowledged(process: "subprocess.Popen[str]") -> int:
    """Wait for the next acknowledged batch; its number."""
    assert process.stdout is not None
    return int(process.stdout.readline())


def batches(points: list[Point]) -> dict[float, int]:
    """How many samples of each batch there are."""
    found: dict[float, int] = {}
    for point in points:
        batch = float(point.fields["x_batch"])
        found[batch] = found.get(batch, 0) + 1
    return found


@pytest.mark.parametrize("acks", [1, 2, *random.Random(7).sample(range(3, 120), 4)])
def test_acknowledged_points_survive_a_kill_9(url: str, acks: int) -> None:
    with writing_process(url) as process:
        for _ in range(acks):
            last = acknowledged(process)
        process.kill()
    historian = connect(url)
    try:
        found = batches(historian.read(Query("samples")))
        assert all(found[batch] == PER_BATCH for batch in range(last + 1))
        dirty = {point.time for point in historian.read(Query("dirty"))}
        assert len(dirty) >= max(found) + 1, "no sample is stored before the dirty interval that it causes"
    finally:
        historian.close()


def test_the_next_process_goes_on_where_the_killed_one_was(url: str) -> None:
    for _ in range(3):
        with writing_process(url) as process:
            last = [acknowledged(process) for _ in range(8)][-1]
    historian = connect(url)
    try:
        found = batches(historian.read(Query("samples")))
        assert all(found[batch] == PER_BATCH for batch in range(last + 1))
    finally:
        historian.close()


def test_a_reader_in_another_process_sees_each_acknowledged_point(url: str, historian: Historian) -> None:
    with writing_process(url) as process:
        for _ in range(30):
            batch = acknowledged(process)
            found = batches(historian.read(Query("samples", {"work_unit": "cnc-01"})))
            assert all(found[acked] == PER_BATCH for acked in range(batch + 1))
            assert historian.count(Query("samples")) >= (batch + 1) * PER_BATCH


def test_two_writing_processes_wait_for_each_other(url: str, historian: Historian) -> None:
    with writing_process(url, "s/a/line-1/cnc-01") as one, writing_process(url, "s/a/line-1/cnc-02") as two:
        last = [(acknowledged(one), acknowledged(two)) for _ in range(15)][-1]
    for unit, batch in zip(("cnc-01", "cnc-02"), last, strict=True):
        assert historian.count(Query("samples", {"work_unit": unit})) >= (batch + 1) * PER_BATCH


def test_threads_may_write_and_read_at_once(historian: Historian) -> None:
    tags = {"enterprise": "acme", "site": "s", "area": "a", "work_center": "line-1"}

    def work(thread: int) -> int:
        mine = {**tags, "work_unit": f"u-{thread}"}
        for n in range(20):
            report = historian.write([Point("samples", mine, n * 200_000_000, {"x_n": float(n)})])
            assert report.accepted == {0}
            assert len(historian.read(Query("samples", mine))) == n + 1
        return historian.count(Query("samples", mine))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(6))) == [20] * 6
    assert historian.count(Query("samples")) == 120


def test_what_one_store_object_wrote_another_reads_after_the_first_has_closed(url: str) -> None:
    first = connect(url)
    point = Point("ledger", {"agent": "edge-1", "outbox": "5f"}, 1, {"oldest_t": 1.0, "rejected": 0.0})
    first.write([point])
    first.close()
    first.close()
    second = connect(url)
    assert second.read(Query("ledger")) == [point]
    second.close()
