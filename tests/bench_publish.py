"""What publishing costs: ``python -m tests.bench_publish``. Exit 1 when a limit is missed.

Fifty machines in the embedded historian, forty days of facts. A round of running periods, the slower one with energy
and what is not final, and one late edit of an ended shift; each is made twice and the second counts, as live.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable

from historian.connect import connect
from ingest.publisher import ROUND_S, SHARE, SLOW_S
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.instant import HOUR, MINUTE
from tests.agreement import publisher
from tests.bench_query import START, fill, fleet

DAYS = 40


def cpu_s(call: Callable[[], None]) -> float:
    """Seconds of CPU of this process."""
    began = time.process_time()
    call()
    return time.process_time() - began


def main() -> int:
    """Print each figure beside its limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--machines", type=int, default=50)
    machines = parser.parse_args().machines
    plant, end = fleet(machines), START + DAYS * 24 * HOUR
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        historian = connect(folder)
        fill(historian, plant, START, end)
        clock = CatchUpClock(end - 3 * HOUR - 13 * MINUTE)
        mine = publisher(Store(plant, historian, clock))
        mine.take(plant.units)
        print(f"first round, all of it: {cpu_s(lambda: mine.round(all_of_it=True)):.2f} s", flush=True)
        clock.start(clock.now() + MINUTE, None)
        quick = cpu_s(mine.round)
        clock.start(clock.now() + MINUTE, None)
        slow = cpu_s(lambda: mine.round(all_of_it=True))
        unit, shift = next(iter(plant.units)), (end - 48 * HOUR, end - 47 * HOUR)
        mine.owe({unit: [shift]}, {})
        edit = cpu_s(mine.pay)
        historian.close()
    live_ms = 1000 * (quick / ROUND_S + slow / SLOW_S) / machines
    print(f"a round of {machines} machines and their places: {quick:.2f} s; with energy: {slow:.2f} s")
    print(f"a late edit of one shift: {edit:.2f} s")
    print(f"live: {live_ms:.3f} ms CPU per machine and second at once a minute (limit {2000 * SHARE:.1f})")
    return 0 if live_ms < 2000 * SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
