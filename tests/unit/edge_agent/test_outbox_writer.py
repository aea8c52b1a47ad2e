import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.disk_thread import DiskThread
from edge_agent.outbox import Outbox
from edge_agent.outbox_writer import OutboxWriter
from edge_agent.source_clock import Stamp
from shopfloor.clock import Trust
from shopfloor.errors import Backpressure
from shopfloor.sample import Sample

UNIT = "s/a/l/u"


@asynccontextmanager
async def writing(box: Outbox) -> AsyncIterator[OutboxWriter]:
    """A writer that has written everything when the block has ended."""
    disk = DiskThread()
    writer = OutboxWriter(box, disk, lambda: None, linger_s=0.0)
    yield writer
    writing = asyncio.create_task(writer.run(), name="writer")
    await asyncio.sleep(0)
    writer.finish()
    await writing
    disk.close()


def sample(time: int) -> Sample:
    return Sample(unit=UNIT, time=time, values={"state": 1})


def stamp(time: int, *, dated: bool = True) -> Stamp:
    return Stamp(time, time - 1_000, "boot", dated)


async def test_a_sample_keeps_the_stamp_of_the_moment_in_which_it_was_polled(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", max_samples=10)
    async with writing(box) as writer:
        assert writer.oldest() is None
        writer.put(sample(2_000), stamp(2_000))
        for time in (2_001, 2_002):
            writer.put(sample(55), Stamp(55, time - 1_000, "boot", dated=False))
        writer.put(sample(2_003), stamp(2_003))
        assert (writer.oldest(), len(writer)) == (0, 4)  # no time is known for what is undated, but not before the last
    assert [(each.sample.time, each.trust) for each in box.pending()] == [
        (2_000, Trust.SYNCED),
        (2_001, Trust.STEPPED),
        (2_002, Trust.STEPPED),
        (2_003, Trust.SYNCED),
    ]
    assert (box.counts().polled, writer.uncommitted, writer.oldest()) == (4, 0, None)
    box.close()


async def test_what_waits_undated_is_dated_even_when_no_sample_comes(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", max_samples=10)
    box.append([sample(55)], [Stamp(55, 1_000, "boot", dated=False)])
    async with writing(box) as writer:
        writer.date(stamp(2_500))
    assert [(each.sample.time, each.trust) for each in box.pending()] == [(2_000, Trust.STEPPED)]
    box.close()


async def test_a_disk_that_is_away_once_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Outbox(tmp_path / "o.db", max_samples=10)
    real, fails = box.append, iter([Backpressure("away", 0.0)])

    def moody(*args: object, **options: object) -> int:
        for fault in fails:
            raise fault
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(box, "append", moody)
    disk = DiskThread()
    committed = asyncio.Event()
    writer = OutboxWriter(box, disk, committed.set)
    writing = asyncio.create_task(writer.run(), name="writer")
    writer.put(sample(1), stamp(1))
    await committed.wait()
    writer.finish()
    await writing
    disk.close()
    assert (box.counts().polled, len(box), writer.dropped) == (1, 1, 0)
    box.close()


async def test_a_disk_that_stays_full_costs_the_oldest_and_never_the_bus(tmp_path: Path) -> None:
    """SQLite itself refuses to let the file grow: only what is evicted makes room."""
    box = Outbox(tmp_path / "o.db", max_samples=1_000_000)
    box.append([sample(time) for time in range(1, 3_001)])
    pages = box._file._pragma("page_count")
    box._file._db.execute(f"PRAGMA max_page_count = {pages}")
    disk, committed = DiskThread(), asyncio.Event()
    writer = OutboxWriter(box, disk, committed.set, linger_s=0.0)
    for time in range(3_001, 3_301):
        writer.put(sample(time), stamp(time))
    writing = asyncio.create_task(writer.run(), name="writer")
    await committed.wait()
    writer.finish()
    await writing
    disk.close()
    counts = box.counts()
    assert (writer.dropped, counts.polled, counts.appended) == (0, 3_300, 3_300)
    assert counts.evicted >= 300
    assert counts.appended == counts.in_outbox + counts.evicted
    assert box.pending(limit=10_000)[-1].sample.time == 3_300
    box.close()
