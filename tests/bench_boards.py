"""How long a board waits for its slowest query: 200 work units, 90 days, influxd: ``python -m tests.bench_boards``.

Every query of every board at ranges of 6 and 24 hours, 7 and 90 days, All chosen. Exit 1 when one takes two seconds or
more. ``--processor PID`` counts what a query costs that influxd in processor time instead: on a busy machine it waits.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.dashboards_verify import rendered
from dashboards.answers import Answer
from dashboards.influx_source import InfluxSource
from dashboards.time_range import TimeRange
from dashboards.verify import BoardQueries, Rendered
from historian.connect import connect
from historian.influx_access import InfluxAccess
from shopfloor.instant import HOUR, Instant
from tests.board_data import made
from tests.board_load import Load, fill_boards
from tests.influxd import InfluxDaemon

RANGES: Final = {"6h": 6 * HOUR, "24h": 24 * HOUR, "7d": 7 * 24 * HOUR, "90d": 90 * 24 * HOUR}
LIMIT_S: Final = 2.0
TIMES: Final = 3
"""A query that is slow is asked so often and the quickest counts: a busy machine makes the others slower."""


@dataclass(frozen=True, slots=True)
class Slowest:
    """The slowest query of a board at a range."""

    seconds: float
    panel: str
    query: str
    queries: int


Clock = Callable[[], float]
"""Seconds so far: of time, or of a process's processor time."""


def processor_of(pid: int) -> Clock:
    """The processor time that a process has used, in ticks of 10 ms."""
    ticks = os.sysconf("SC_CLK_TCK")

    def used() -> float:
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / ticks

    return used


def slowest(rendered: Rendered, source: InfluxSource, span: TimeRange, clock: Clock) -> Slowest:
    """Ask everything; an error of a query is the caller's."""
    found: list[tuple[float, str, str]] = []

    def asked(query: str, panel: str) -> Answer:
        taken: list[float] = []
        while not taken or (min(taken) > LIMIT_S / 4 and len(taken) < TIMES):
            began = clock()
            answer = source.ask(query)
            taken.append(clock() - began)
            if answer.error is not None:
                raise ValueError(f"{rendered.uid}: {panel}: {answer.error}: {query}")
        found.append((min(taken), panel, query))
        return answer

    queries = BoardQueries(rendered, lambda query: asked(query, "a variable"), span)
    for _ in queries.fill():
        pass
    for _, document in rendered.panels():
        for _, text, _ in queries.targets(document):
            asked(text, str(document["title"]))
    seconds, panel, query = max(found)
    return Slowest(seconds, panel, query, len(found))


def measured(
    source: InfluxSource, load: Load, now: Instant, clock: Clock, *, words: bool
) -> dict[str, dict[str, float]]:
    """Board -> range -> seconds of its slowest query."""
    figures: dict[str, dict[str, float]] = {}
    for each in rendered(load.plant, "en"):
        for name, length in RANGES.items():
            if length > load.days * 24 * HOUR:
                continue
            worst = slowest(each, source, TimeRange(now - length, now), clock)
            figures.setdefault(each.board.id, {})[name] = round(worst.seconds, 3)
            verdict = "ok" if worst.seconds < LIMIT_S else "MISSED"
            told = f"{worst.seconds:.2f} s of {worst.queries} queries: {worst.panel}"
            print(f"| {each.board.id} {name} | {told} | {verdict} |", flush=True)
            if words or worst.seconds >= LIMIT_S:
                print(f"    {worst.query}", file=sys.stderr)
    return figures


def main() -> int:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=200)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--url", help="a database that --fill filled")
    parser.add_argument("--fill", help="fill this new database, and ask nothing")
    parser.add_argument("--processor", type=int, metavar="PID", help="count the processor time of this influxd instead")
    parser.add_argument("--words", action="store_true", help="tell the slowest queries themselves")
    arguments = parser.parse_args()
    load = Load(arguments.units, arguments.days)
    if arguments.fill:
        filled(load, arguments.fill)
        return 0
    clock = time.perf_counter if arguments.processor is None else processor_of(arguments.processor)
    if arguments.url:
        return told(load, arguments.url, clock, words=arguments.words)
    with tempfile.TemporaryDirectory(prefix="bench-boards-") as folder:
        influx = InfluxDaemon(Path(folder) / "influxd").start()
        try:
            url = influx.url("boards")
            filled(load, url)
            return told(load, url, clock, words=arguments.words)
        finally:
            influx.stop()


def filled(load: Load, url: str) -> None:
    """Make the database and fill it."""
    began = time.perf_counter()
    made(url)
    with tempfile.TemporaryDirectory() as folder, closing(connect(url, {})) as historian:
        written = fill_boards(historian, load, Path(folder))
    print(f"{written} points in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


def told(load: Load, url: str, clock: Clock, *, words: bool) -> int:
    """Ask, print a line a board and range, and the JSON of all."""
    with closing(InfluxSource(InfluxAccess.of(url, {}))) as source:
        figures = measured(source, load, load.end, clock, words=words)
    holds = all(seconds < LIMIT_S for board in figures.values() for seconds in board.values())
    print(json.dumps({"slowest_s": figures, "limit_s": LIMIT_S, "holds": holds}))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
