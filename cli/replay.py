"""``shopfloor replay``: history from any source through the same road as live data, samples to facts.

The file's samples become messages; judge, pipeline and facts engine are those of ``shopfloor ingest``. The file is an
outbox of its units' agents, named by its content (``cli.replay_books``), so a second run changes nothing.
"""

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from cli.environment import data_folder
from cli.historian_open import historian
from cli.plants import load_plant
from cli.published import publisher_of
from cli.replay_books import ReplayBooks
from cli.replay_rows import RowReport, RowSpool, WrongHeader
from cli.signals import stop_on_signal
from cli.unit_plans import unit_plans
from historian.historian import Historian
from historian.records import Dirty
from ingest.dead_letters import DeadLetters
from ingest.facts_engine import FactsEngine
from ingest.lookup_writer import write_lookups
from ingest.pipeline import Pipeline
from messaging.client import Delivery, Message
from messaging.payload import MAX_MESSAGE_BYTES, SampleMessage, Sequenced, encode
from messaging.topic import SampleTopic
from shopfloor.clock import Clock, SystemClock, Trust
from shopfloor.plant import Plant
from shopfloor.sample import Sample

WRONG_INPUT: Final = 2
INTERRUPTED: Final = 130
MESSAGE_SAMPLES: Final = 500
TELL_S: Final = 2.0
"""Progress is told this often."""


def replay(arguments: argparse.Namespace) -> int:
    """Bring a file in; 0 when all of it was stored that could be, 2 when nothing of it can be, 130 when interrupted."""
    plant = load_plant(arguments.plant)
    progress = _Progress(arguments.samples)
    clock = SystemClock()
    with closing(RowSpool(plant, clock.now())) as spool:
        try:
            rows = spool.read(arguments.samples, progress.reading)
        except WrongHeader as fault:
            print(fault, file=sys.stderr)
            return WRONG_INPUT
        except (FileNotFoundError, IsADirectoryError) as fault:
            print(f"{arguments.samples}: cannot be read ({fault.strerror}); give the path of a CSV", file=sys.stderr)
            return WRONG_INPUT
        _tell_faults(arguments.samples, rows)
        if not spool.cells():
            print(f"{arguments.samples}: no row can be used; nothing was stored", file=sys.stderr)
            return WRONG_INPUT
        _tell_unused(plant, spool)
        return asyncio.run(_replay(plant, clock, spool, rows, progress))


async def _replay(plant: Plant, clock: Clock, spool: RowSpool, rows: RowReport, progress: "_Progress") -> int:
    stop = stop_on_signal()
    store = historian()
    letters = DeadLetters(data_folder() / "dead_letters.db")
    try:
        await write_lookups(store, plant)
        books = ReplayBooks(store, plant, clock, rows.outbox, spool.spans())
        books.open()
        port = _FilePort(plant, clock, spool, rows.outbox, books.oldest, stop, progress)
        dirty = await _stored(port, store, plant, clock, letters)
        new = books.close({agent: letters.rejected(agent, rows.outbox) for agent in books.agents})
        progress.tell(f"{port.acked:,} samples stored; deriving their facts")
        await _derived(store, plant, clock, books, set(spool.spans()), dirty)
    finally:
        letters.close()
        store.close()
    whole = "interrupted; run it again to go on: " if port.interrupted else ""
    replaced = rows.rows - rows.rejected - spool.cells()
    print(
        f"{whole}rows={rows.rows} samples={spool.count()} stored={port.acked} new={new} rejected={rows.rejected} "
        f"repeated={replaced} seconds={progress.seconds():.1f}"
    )
    return INTERRUPTED if port.interrupted else 0


async def _stored(port: "_FilePort", store: Historian, plant: Plant, clock: Clock, letters: DeadLetters) -> list[Dirty]:
    """Run the ingest pipeline to the end of the file; returns what became dirty."""
    dirty: list[Dirty] = []
    await Pipeline(port, store, plant, clock, letters, on_dirty=dirty.extend).run()
    return dirty


async def _derived(
    store: Historian, plant: Plant, clock: Clock, books: ReplayBooks, units: set[str], dirty: Iterable[Dirty]
) -> None:
    """Derive what is dirty of ``units``, what an earlier replay had left included."""
    plans = {path: plan for path, plan in unit_plans(plant).items() if path in units}
    owed = {agent: books.owed_by_others(agent) for agent in books.agents}
    engine = FactsEngine(
        store,
        plans,
        plant.enterprise,
        clock,
        watermark=lambda unit: owed[plant.agent_of(unit)],
        stored_watermark=lambda unit, before: owed[plant.agent_of(unit)],
        publisher=publisher_of(plant, store, clock),
    )
    await engine.resume()
    engine.notify(dirty)
    running = asyncio.create_task(engine.run(), name="facts engine")
    settling = asyncio.create_task(engine.settle(), name="settle")
    try:
        await asyncio.wait({running, settling}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        for task in (settling, running):
            task.cancel()
        await asyncio.gather(running, settling, return_exceptions=True)


class _FilePort:
    """The file as the pipeline's port. The pipeline takes a message only when it has room: that is the window."""

    def __init__(
        self,
        plant: Plant,
        clock: Clock,
        spool: RowSpool,
        outbox: str,
        oldest: int,
        stop: asyncio.Event,
        progress: "_Progress",
    ) -> None:
        self._plant, self._clock, self._spool = plant, clock, spool
        self._outbox, self._oldest, self._stop, self._progress = outbox, oldest, stop, progress
        self._boot = secrets.token_hex(4)
        self._deliveries = self._read()
        self.acked = 0
        """Samples whose message was acknowledged: they are durable."""
        self.interrupted = False

    async def take(self, most: int) -> Sequence[Delivery]:
        """The file's next message; none at its end, or when somebody asks to stop."""
        await asyncio.sleep(0)
        delivery = next(self._deliveries, None)
        return [] if delivery is None else [delivery]

    def _read(self) -> Iterator[Delivery]:
        seqs = count(1)
        for samples in _runs(self._spool.samples()):
            if self._stop.is_set():
                self.interrupted = True
                return
            for message, size in self._messages([Sequenced(next(seqs), sample) for sample in samples]):
                yield Delivery(message, lambda size=size: self._ack(size))  # type: ignore[misc]

    async def publish(self, message: Message) -> None:
        """Receipts: nothing waits for one, what is stored is acknowledged."""

    def _ack(self, samples: int) -> None:
        self.acked += samples
        self._progress.storing(self.acked)

    def _messages(self, samples: Sequence[Sequenced]) -> Iterator[tuple[Message, int]]:
        """One message, or halves while it is longer than the receiver takes."""
        path = self._plant.units[samples[0].sample.unit].path
        agent = self._plant.agent_of(str(path))
        payload = encode(
            SampleMessage(
                agent=agent,
                outbox=self._outbox,
                boot=self._boot,
                clock=Trust.SYNCED,
                mono_ms=self._clock.mono_ms(),
                low=1,
                oldest_t=self._oldest,
                samples=tuple(samples),
            )
        )
        if len(payload) > MAX_MESSAGE_BYTES and len(samples) > 1:
            middle = len(samples) // 2
            yield from self._messages(samples[:middle])
            yield from self._messages(samples[middle:])
        else:
            yield Message(str(SampleTopic(path, agent)), payload), len(samples)


def _runs(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    """Samples of one unit, at most MESSAGE_SAMPLES together."""
    run: list[Sample] = []
    for sample in samples:
        if run and (sample.unit != run[0].unit or len(run) >= MESSAGE_SAMPLES):
            yield run
            run = []
        run.append(sample)
    if run:
        yield run


def _tell_faults(path: Path, rows: RowReport) -> None:
    for fault in rows.first_faults:
        print(f"{path}: {fault}", file=sys.stderr)
    if rows.rejected > len(rows.first_faults):
        print(f"{path}: ... {rows.rejected} of {rows.rows} rows were rejected", file=sys.stderr)


def _tell_unused(plant: Plant, spool: RowSpool) -> None:
    """Tags that the unit's template does not have are stored, but no fact follows from them."""
    plans = unit_plans(plant)
    for unit, tags in spool.tags().items():
        if unused := sorted(tag for tag in tags - plans[unit].tags.keys() if not tag.startswith("x_")):
            template = plans[unit].unit.device.template
            words = f"its template {template} has no {', '.join(unused)}: stored, but no fact follows from it"
            print(f"{unit}: {words}", file=sys.stderr)


@dataclass(slots=True)
class _Progress:
    """Tells on standard error how far it is."""

    file: Path
    _began: float = 0.0
    _told: float = 0.0

    def __post_init__(self) -> None:
        self._began = self._told = time.monotonic()

    def reading(self, rows: int) -> None:
        """So many rows were read."""
        self._now_and_then(f"{rows:,} rows read")

    def storing(self, samples: int) -> None:
        """So many samples are stored."""
        self._now_and_then(f"{samples:,} samples stored")

    def tell(self, words: str) -> None:
        """Say it now."""
        self._told = time.monotonic()
        print(f"{self.file}: {words}", file=sys.stderr)

    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def _now_and_then(self, words: str) -> None:
        if time.monotonic() - self._told >= TELL_S:
            self.tell(words)
