"""Kill -9 of the whole demo at seeded moments, then the books: ``make power-cuts SECONDS=N SEED=S``.

Time is virtual: hours catch up in seconds, so this tries what happens to a long past. The last line is a JSON verdict;
exit 0 when every promise held.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.plants import load_plant
from cli.unit_plans import unit_plans
from historian.connect import connect
from historian.historian import Historian
from historian.records import facts_of, point_sample, unit_query
from historian.schema import Grain, Measurement
from ingest.facts_engine import FactsEngine
from shopfloor.clock import SystemClock
from shopfloor.fact import Fact
from simulators.journal import Entry, Journal

ROOT = Path(__file__).parent.parent
PLANT = ROOT / "plants" / "ceper" / "plant.yaml"
FINISH_S = 400
ANSWER_MS = 3_000
"""A device answers at most this long after the agent stamped the cycle."""
READING = "x_reading"

AT_NOTIFY = """
import os, signal, sys
from ingest.facts_engine import FactsEngine
from cli.main import main
real, seen = FactsEngine.notify, [0]
def notify(self, dirties):
    seen[0] += 1
    if seen[0] == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)  # the samples are written, nothing is derived
    real(self, dirties)
FactsEngine.notify = notify
sys.exit(main(sys.argv[2:]))
"""
"""Runs the command line, and kills it between the write of samples and the derivation of facts."""


@dataclass(frozen=True)
class Demo:
    """One demo folder that is started and killed again and again."""

    folder: Path
    seed: int
    history: str

    def arguments(self) -> list[str]:
        """The command line without its end."""
        common = ["demo", "--plant", str(PLANT), "--data", str(self.folder), "--seed", str(self.seed)]
        return [*common, "--history", self.history, "--port", "0"]

    def kill_after(self, seconds: float) -> None:
        """Start it and kill it that long after its first reading."""
        process = self._start([sys.executable, "-m", "cli.main", *self.arguments()])
        journal = self.folder / "journal.jsonl"
        before = journal.stat().st_size if journal.exists() else 0
        deadline = time.monotonic() + 60
        while not (journal.exists() and journal.stat().st_size > before):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the demo did not start")
            time.sleep(0.02)
        time.sleep(seconds)
        process.kill()
        process.wait()

    def kill_between_write_and_derive(self, batch: int) -> None:
        """Start it; it dies when its ``batch``-th batch is written and before its facts are."""
        process = self._start([sys.executable, "-c", AT_NOTIFY, str(batch), *self.arguments()])
        if process.wait(FINISH_S) != -signal.SIGKILL:
            raise RuntimeError("the demo was to die between write and derive")

    def finish(self) -> dict[str, Any]:
        """Let it catch up with the wall clock, drain, and tell its report."""
        out = self.folder / "report.json"
        process = self._start([sys.executable, "-m", "cli.main", *self.arguments(), "--for", "1s", "--json", str(out)])
        if process.wait(FINISH_S) != 0:
            words = (self.folder / "output.log").read_text("utf-8", "replace")[-2_000:]
            raise RuntimeError(f"the last start failed with exit code {process.returncode}: {words}")
        report: dict[str, Any] = json.loads(out.read_text("utf-8"))
        return report

    def _start(self, command: list[str]) -> "subprocess.Popen[bytes]":
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "output.log").open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def broken_promises(demo: Demo, report: dict[str, Any]) -> list[str]:
    """What does not hold at rest; empty is good."""
    return [*_ledger_faults(report), *_sample_faults(demo), *_fact_faults(demo)]


def _ledger_faults(report: dict[str, Any]) -> Iterator[str]:
    ledger = report["ledger"]
    for agent, counts in ledger["agents"].items():
        if counts["appended"] != counts["confirmed"] + counts["in_outbox"] + counts["evicted"]:
            yield f"{agent}: appended != confirmed + in_outbox + evicted: {counts}"
        if counts["confirmed"] != counts["stored"] + counts["rejected"]:
            yield f"{agent}: confirmed != stored + rejected: {counts}"
        if counts["polled"] - counts["appended"] != counts["unpersisted"] or counts["unpersisted"] < 0:
            yield f"{agent}: polled - appended != unpersisted: {counts}"
        if counts["in_outbox"] or counts["evicted"] or counts["rejected"]:
            yield f"{agent}: not everything that was committed is stored: {counts}"
    if ledger["served"] < sum(counts["polled"] for counts in ledger["agents"].values()):
        yield "more was polled than the devices served"


def _sample_faults(demo: Demo) -> Iterator[str]:
    """Phantom: stored without a journal entry, or one number at two times. Wrong: other values than the journal's."""
    served: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in Journal(demo.folder / "journal.jsonl").entries():
        served[entry.unit].append(entry)
    plant = load_plant(PLANT)
    with closing(connect(str(demo.folder / "historian"))) as store:
        for path in plant.units:
            entries = sorted(served[path], key=lambda entry: entry.t)  # after a kill, time resumes a little earlier
            numbers = set[int]()
            for point in store.read(unit_query(Measurement.SAMPLES, plant.enterprise, path)):
                sample = point_sample(point)
                values = dict(sample.values)
                first = bisect_left(entries, sample.time, key=lambda entry: entry.t)
                answered = [entry for entry in entries[first : first + 20] if entry.t <= sample.time + ANSWER_MS]
                match = next((entry for entry in answered if _same(entry, values)), None)
                if match is None:
                    yield f"{path} {sample.time}: stored {values}, served {answered[:3]}"
                elif match.n in numbers and READING in values:
                    yield f"{path} {sample.time}: reading {match.n} is stored twice"
                else:
                    numbers.add(match.n)


def _same(entry: Entry, values: dict[str, Any]) -> bool:
    return all(entry.values.get(tag) == value for tag, value in values.items())


def _fact_faults(demo: Demo) -> Iterator[str]:
    plant = load_plant(PLANT)
    with closing(connect(str(demo.folder / "historian"))) as store:
        engine = FactsEngine(store, unit_plans(plant), plant.enterprise, SystemClock())
        for path in plant.units:
            stored = _facts(store, plant.enterprise, path)
            start, end = min(stored)[0], max(stored)[0] + 60_000
            fresh = {fact.key: fact for fact in engine.rederive_fresh(path, start, end)}
            yield from (
                f"{path} {key}: facts differ from a fresh derivation: {stored.get(key)} != {fresh.get(key)}"
                for key in stored.keys() | fresh.keys()
                if _elements(stored.get(key)) != _elements(fresh.get(key))
            )


def _facts(store: Historian, enterprise: str, path: str) -> dict[tuple[int, str, str], Fact]:
    return {fact.key: fact for fact in facts_of(store.read(unit_query(Grain.MINUTE, enterprise, path)))}


def _elements(fact: Fact | None) -> dict[str, float]:
    return {name: round(value, 9) for name, value in fact.elements.items() if value} if fact else {}


def kill_and_finish(
    folder: Path, *, kills: int, seed: int, history: str, deadline: float | None = None
) -> dict[str, Any]:
    """Kill ``kills`` times at seeded moments (every fifth between write and derive), finish, and keep the books."""
    moments = random.Random(seed)
    demo = Demo(folder, seed, history)
    done = 0
    for number in range(kills):
        if deadline is not None and time.monotonic() > deadline:
            break
        if number % 5 == 1:
            demo.kill_between_write_and_derive(moments.randint(1, 12))
        else:
            demo.kill_after(moments.uniform(0.0, 3.0))
        done += 1
    report = demo.finish()
    broken = broken_promises(demo, report)
    return {
        "verdict": "pass" if not broken else "fail",
        "kills": done,
        "seed": seed,
        "ledger": report["ledger"],
        "broken": broken[:20],
    }


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--kills", type=int, default=10_000, help="at most so many")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="power-cuts-") as folder:
        verdict = kill_and_finish(
            Path(folder) / "demo",
            kills=arguments.kills,
            seed=arguments.seed,
            history="2h",
            deadline=time.monotonic() + arguments.seconds,
        )
    print(json.dumps(verdict))
    return 0 if verdict["verdict"] == "pass" else 1


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
