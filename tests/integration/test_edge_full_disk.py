"""A real disk that is full: polling goes on, the oldest samples make room, and it recovers by itself."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edge_agent.disk_thread import DiskThread
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import RESERVE_BYTES
from edge_agent.outbox_writer import MAX_QUEUE, OutboxWriter
from edge_agent.source_clock import Stamp
from shopfloor.sample import Sample

DISK_BYTES = 4 * RESERVE_BYTES
PATIENCE_S = 60.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own; only who may mount one runs the test."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("no right to mount a small disk")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def fill(ballast: Path) -> None:
    """Take all that the disk has left."""
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4_096))


async def test_a_disk_that_others_fill_costs_the_oldest_and_is_taken_back_when_it_is_free(small_disk: Path) -> None:
    box = Outbox(small_disk / "o.db", max_samples=10_000_000)
    disk, committed = DiskThread(), asyncio.Event()
    writer = OutboxWriter(box, disk, committed.set)
    writing = asyncio.create_task(writer.run(), name="writer")
    polled = 0

    async def feed(samples: int) -> None:
        nonlocal polled
        for time in range(polled + 1, polled + samples + 1):
            values = {"good": time, "power_kw": time / 7}
            writer.put(Sample(unit="s/a/l/u", time=time, values=values), Stamp(time, time, "boot", dated=True))
        polled += samples
        async with asyncio.timeout(PATIENCE_S):
            while len(writer):
                committed.clear()
                await committed.wait()

    async def feed_until_evicted(times: int) -> None:
        for _ in range(times):
            before = box.counts().evicted
            while box.counts().evicted == before:
                await feed(2_000)

    await feed(2_000)
    ballast = small_disk / "ballast"
    fill(ballast)
    await feed_until_evicted(5)
    full = box.counts()
    assert box._file.tight
    ballast.unlink()
    await feed(2_000)
    await feed(2_000)
    assert not box._file.tight
    counts = box.counts()
    assert counts.evicted <= full.evicted + 2_050  # the first append after it still made room
    await feed_until_evicted(3)  # and then its own samples fill the disk
    writer.finish()
    await writing
    disk.close()
    counts = box.counts()
    assert counts.polled == counts.appended == polled > MAX_QUEUE
    assert counts.appended == counts.in_outbox + counts.evicted
    newest = [stored.sample.time for stored in box.pending(after=box.last_seq - 100)]
    assert newest == list(range(polled - 99, polled + 1))
    box.close()
    again = Outbox(small_disk / "o.db", max_samples=10_000_000)
    assert again.counts() == counts
    again.close()
