"""What the outbox writes to a flash card in a day, and how fast it takes samples: ``python -m tests.bench_outbox``.

A day of a plant's ticks is shortened to some minutes of them, committed and trimmed as the agent does it; what the
process wrote is the kernel's count (``/proc/self/io``), so the folder must be on a disk.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cli.plants import load_plant
from devices.library import load
from edge_agent import outbox_file
from edge_agent.forwarder import TRIM_S
from edge_agent.outbox import Outbox
from messaging.receipt import Receipt
from shopfloor.instant import HOUR, SECOND, Instant
from shopfloor.plant import Plant
from shopfloor.sample import Sample
from tests.bench import START, Figure

ROOT = Path(__file__).parent.parent
LARGEST = ROOT / "plants" / "ceper" / "plant.yaml"
MINUTES = 20
CARD_BYTES = 32 * 10**9
CARD_WRITES = 500
"""How often a cheap card can be written over as a whole."""
CARD_AMPLIFIES = 4
"""Bytes that a cheap card writes for each byte it is given in small pieces."""


def samples_at(plant: Plant, values: dict[str, dict[str, float]], at: Instant) -> list[Sample]:
    """The cycles of one tick."""
    return [
        Sample(unit=path, time=at, values=values[path])
        for path, unit in plant.units.items()
        if at % unit.device.scan_ms == 0
    ]


def plausible(plant: Plant) -> dict[str, dict[str, float]]:
    """Unit -> as many values as its template has, as long as real ones."""
    return {
        path: {
            tag.spec.name: 1_234.5 + number
            for number, tag in enumerate(load(unit.device.template).select(unit.device.tags).tags)
        }
        for path, unit in plant.units.items()
    }


def written_bytes() -> int:
    """Bytes that this process caused to be written to disks."""
    lines = Path("/proc/self/io").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith("write_bytes")).split()[1])


def flash(plant: Plant, minutes: int) -> Iterator[Figure]:
    """The plant's rate, each tick a transaction, receipts trimmed every TRIM_S."""
    values = plausible(plant)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT) as folder:
        box = Outbox(Path(folder) / "outbox.db", max_samples=2_000_000)
        cycles, began = 0, written_bytes()
        for at in range(START, START + minutes * 60 * SECOND, SECOND):
            if samples := samples_at(plant, values, at):
                box.append(samples)
                box.launch(box.pending(box.last_seq - len(samples)))
                cycles += len(samples)
            if at % int(TRIM_S * 1000) == 0:
                box.floor()
                box.confirm(Receipt(box.outbox_id, box.last_seq))
        box.close()
        written = written_bytes() - began
    per_day = written * 24 * HOUR / (minutes * 60 * SECOND)
    years = CARD_BYTES * CARD_WRITES / CARD_AMPLIFIES / per_day / 365
    yield Figure("outbox: written for each sample", written / cycles, "B", "-", True)
    yield Figure("outbox: written in a day", per_day / 1e6, "MB", "<= 1000", per_day <= 1e9)
    yield Figure("outbox: life of a cheap 32 GB card from that", years, "years", ">= 10", years >= 10)


def throughput(plant: Plant) -> Iterator[Figure]:
    """Samples a second in transactions of one tick, beside the plant's rate."""
    values = plausible(plant)
    rate = sum(1_000 / unit.device.scan_ms for unit in plant.units.values())
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT) as folder:
        box = Outbox(Path(folder) / "outbox.db", max_samples=2_000_000)
        ticks = [samples_at(plant, values, START + number * 2 * SECOND) for number in range(2_000)]
        began = time.perf_counter()
        for samples in ticks:
            box.append(samples)
        each = sum(map(len, ticks)) / (time.perf_counter() - began)
        box.close()
    limit = 10 * rate
    yield Figure(
        f"outbox: append, a tick in a transaction ({rate:.1f}/s needed)",
        each,
        "samples/s",
        f">= {limit:.0f}",
        each >= limit,
    )


def main() -> int:
    """Print every figure; exit 1 when one does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plant", type=Path, default=LARGEST)
    parser.add_argument("--minutes", type=int, default=MINUTES)
    parser.add_argument("--page-bytes", type=int, default=outbox_file.PAGE_BYTES)
    arguments = parser.parse_args()
    outbox_file.PAGE_BYTES = arguments.page_bytes  # type: ignore[misc]
    plant, broken = load_plant(arguments.plant), 0
    for part in (flash(plant, arguments.minutes), throughput(plant)):
        for figure in part:
            broken += not figure.holds
            mark = "ok" if figure.holds else "NOT MET"
            print(f"| {figure.name} | {figure.value:,.10g} {figure.unit} | {figure.limit} | {mark} |", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
