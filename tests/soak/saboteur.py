"""Runs the command line with one promise broken on purpose: ``python -m tests.soak.saboteur KIND ARGUMENTS...``.

Only for the harness, which must see each of these; ``die-at-notify`` is one of its faults.
"""

import asyncio
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import structs

from cli.main import main
from edge_agent.forwarder import Forwarder, Link
from edge_agent.outbox import Floor
from edge_agent.window import Flight
from historian.point import Point
from historian.records import unit_of
from historian.schema import Measurement
from ingest.facts_engine import FactsEngine
from ingest.pipeline import Pipeline
from messaging.receipt import Receipt

LATE_S = 2.0


def die_at_notify(turn: str) -> None:
    """Killed when the ``turn``-th batch of samples is written, and before its facts are derived."""
    real, seen = FactsEngine.notify, [0]

    def notify(self: FactsEngine, dirties: Any) -> None:
        found = list(dirties)
        seen[0] += bool(found)
        if seen[0] == int(turn):
            os.kill(os.getpid(), signal.SIGKILL)
        real(self, found)

    FactsEngine.notify = notify  # type: ignore[method-assign]


def sleep_by_select(_: str) -> None:
    """No sabotage: under faketime the C library's sleep until a monotonic time fails, and Python's stands on it."""
    time.sleep = lambda seconds: select.select([], [], [], seconds)  # type: ignore[assignment]


def ack_before_write(units: str) -> None:
    """The broken ack: samples of ``units`` (paths joined by +) are confirmed at once, and written two seconds later."""
    real, later = Pipeline._write, set[asyncio.Task[Any]]()

    def broken(point: Point) -> bool:
        return point.measurement == Measurement.SAMPLES and unit_of(point.tags).startswith(tuple(units.split("+")))

    async def write(self: Pipeline, points: Sequence[Point]) -> dict[int, str]:
        late = [point for point in points if broken(point)]

        async def at_last() -> None:
            await asyncio.sleep(LATE_S)
            await real(self, late)

        task = asyncio.create_task(at_last())
        later.add(task)
        task.add_done_callback(later.discard)
        return await real(self, [point for point in points if not broken(point)])

    Pipeline._write = write  # type: ignore[method-assign]


def trim_on_puback(_: str) -> None:
    """The broken trim: what the broker has acknowledged leaves the outbox, though no receipt covers it."""
    real = Forwarder._publish

    async def publish(self: Forwarder, link: Link, flight: Flight, floor: Floor) -> bool:
        seqs = [stored.seq for stored in flight.samples]
        sent = await real(self, link, flight, floor)
        if sent:
            self.receive(Receipt(self._outbox.outbox_id, -1, tuple((seq, seq) for seq in seqs)))
        return sent

    Forwarder._publish = publish  # type: ignore[method-assign]


def write_twice(_: str) -> None:
    """The broken identity: each sample is stored at two times."""
    _written_as(lambda point: [point, structs.replace(point, time=point.time + 7)])


def overwrite(_: str) -> None:
    """The broken value: some field of each sample is written over with another."""
    _written_as(lambda point: [structs.replace(point, fields={**point.fields, "energy_kwh": 4_711.0})])


def _written_as(change: Callable[[Point], list[Point]]) -> None:
    real = Pipeline._write

    async def write(self: Pipeline, points: Sequence[Point]) -> dict[int, str]:
        rejected = await real(self, points)
        samples = [point for point in points if point.measurement == Measurement.SAMPLES]
        await real(self, [changed for point in samples for changed in change(point)])
        return rejected

    Pipeline._write = write  # type: ignore[method-assign]


KINDS: dict[str, Callable[[str], None]] = {
    "die-at-notify": die_at_notify,
    "sleep-by-select": sleep_by_select,
    "ack-before-write": ack_before_write,
    "trim-on-puback": trim_on_puback,
    "write-twice": write_twice,
    "overwrite": overwrite,
}


def launcher(kind: str) -> tuple[str, ...]:
    """What is put before a command's arguments, instead of ``shopfloor``."""
    return (sys.executable, "-m", "tests.soak.saboteur", kind)


if __name__ == "__main__":
    for each in sys.argv[1].split(","):
        name, _, argument = each.partition("=")
        KINDS[name](argument)
    sys.exit(main(sys.argv[2:]))
