import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.disk_thread import DiskThread
from edge_agent.outbox import Outbox
from edge_agent.outbox_writer import OutboxWriter
from shopfloor.clock import CatchUpClock, Trust
from shopfloor.errors import Backpressure
from shopfloor.sample import Sample


class Doubtful(CatchUpClock):
    """A clock that says how far it is to be trusted."""

    trusted = Trust.SYNCED

    def trust(self) -> Trust:
        return self.trusted


@asynccontextmanager
async def writing(box: Outbox, clock: Doubtful) -> AsyncIterator[OutboxWriter]:
    """A writer that has written everything when the block has ended."""
    disk = DiskThread()
    writer = OutboxWriter(box, disk, clock, lambda: None)
    yield writer
    writing = asyncio.create_task(writer.run(), name="writer")
    await asyncio.sleep(0)
    writer.finish()
    await writing
    disk.close()


def sample(time: int) -> Sample:
    return Sample(unit="s/a/l/u", time=time, values={"state": 1})


async def test_a_sample_keeps_the_trust_of_the_moment_in_which_it_was_polled(tmp_path: Path) -> None:
    box, clock = Outbox(tmp_path / "o.db", max_samples=10), Doubtful(0)
    async with writing(box, clock) as writer:
        assert writer.oldest() is None
        for time, trust in enumerate([Trust.UNSYNCED, Trust.UNSYNCED, Trust.SYNCED, Trust.STEPPED], start=1):
            clock.trusted = trust
            writer.put(sample(time))
        assert (writer.oldest(), len(writer)) == (1, 4)
    assert [(each.sample.time, each.trust) for each in box.pending()] == [
        (1, Trust.UNSYNCED),
        (2, Trust.UNSYNCED),
        (3, Trust.SYNCED),
        (4, Trust.STEPPED),
    ]
    assert (box.counts().polled, writer.uncommitted, writer.oldest()) == (4, 0, None)
    box.close()


async def test_a_disk_that_is_away_once_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box, clock = Outbox(tmp_path / "o.db", max_samples=10), Doubtful(0)
    real, fails = box.append, iter([Backpressure("away", 0.0)])

    def moody(*args: object, **options: object) -> int:
        for fault in fails:
            raise fault
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(box, "append", moody)
    disk = DiskThread()
    committed = asyncio.Event()
    writer = OutboxWriter(box, disk, clock, committed.set)
    writing = asyncio.create_task(writer.run(), name="writer")
    writer.put(sample(1))
    await committed.wait()
    writer.finish()
    await writing
    disk.close()
    assert (box.counts().polled, len(box), writer.dropped) == (1, 1, 0)
    box.close()
