"""The command line: ``python -m tests.soak --seconds 120 --seed 1``. Its last line is a JSON verdict; 0: all holds."""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from tests.soak.child import ROOT
from tests.soak.disk import PRIVATE
from tests.soak.faults import Fault, Storm
from tests.soak.memory import Memory
from tests.soak.verdict import Verdict, at_rest, drained, farewell, judge
from tests.soak.works import Works, working

LONG_S = 1_200
"""In a run of at least this length one process of each kind is never killed, to see its memory over the last three
quarters: in the first one it gets warm."""
SPARED = {"edge-b", "ingest-2", "api"}
MOST_MB_PER_H = 5.0


async def soak(
    folder: Path,
    *,
    seconds: float,
    seed: int,
    historian: str,
    pause_s: float,
    sabotage: Mapping[str, str],
    kinds: Collection[str],
) -> Verdict:
    """One run in a folder of its own."""
    verdict = Verdict()
    async with working(Works(folder, seed, historian, sabotage)) as works:
        works.tell("everything runs", seed=seed, seconds=seconds, small_disks=works.disks["edge-a"].mounted)
        memory = Memory(works)
        watch = asyncio.create_task(memory.watch(), name="memory")

        def spared(fault: Fault) -> bool:
            return seconds >= LONG_S and fault.kind.startswith("kill") and bool(fault.parts & SPARED)

        storm = Storm(works, seed, kinds=kinds, spared=spared)
        await storm.rage(seconds, pause_s)
        works.tell("faults are over", count=storm.count, **storm.by_kind)
        verdict.faults, verdict.details["garbled"] = storm.count, storm.faults.garbled
        verdict.drain_s = await drained(works)
        works.tell("drained", seconds=round(verdict.drain_s, 1))
        watch.cancel()
        await at_rest(works, verdict)
        works.tell("at rest")
        await asyncio.to_thread(judge, works, verdict)
        await farewell(works, verdict, memory)
        works.tell("compared", broken=len(verdict.broken))
    grown = {name: slope for name, slope in verdict.slope_mb_per_h.items() if slope > MOST_MB_PER_H}
    if seconds >= LONG_S and grown:
        verdict.broken.append(f"memory grows: {grown} MB per hour, at most {MOST_MB_PER_H}")
    return verdict


def in_private_mounts() -> None:
    """As root, begin again in a mount namespace of our own: small disks vanish with us, however we end."""
    unshare = shutil.which("unshare")
    if os.environ.get(PRIVATE) or os.geteuid() != 0 or unshare is None:
        return
    probe = subprocess.run([unshare, "--mount", "true"], check=False, capture_output=True)
    if probe.returncode == 0:
        command = [unshare, "--mount", sys.executable, "-m", "tests.soak", *sys.argv[1:]]
        os.execve(unshare, command, {**os.environ, PRIVATE: "1"})


def main() -> int:
    """Run, print, keep the folder of a run that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, help="mean seconds from one fault to the next")
    parser.add_argument("--historian", choices=("influxd", "embedded"), default="influxd")
    parser.add_argument("--sabotage", action="append", default=[], metavar="CHILD=KIND", help="break a promise")
    parser.add_argument("--only", action="append", default=[], metavar="KIND", help="no other faults than these")
    parser.add_argument("--folder", type=Path, help="keep everything here")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    pause_s = arguments.pause or min(max(arguments.seconds / 60, 1.0), 4.0)
    try:
        verdict = asyncio.run(
            soak(
                folder,
                seconds=arguments.seconds,
                seed=arguments.seed,
                historian=arguments.historian,
                sabotage=dict(each.split("=", 1) for each in arguments.sabotage),
                kinds=arguments.only,
                pause_s=pause_s,
            )
        )
    except KeyboardInterrupt:
        print(f"interrupted; what there was is in {folder}", file=sys.stderr)
        return 130
    if verdict.broken or arguments.folder:
        print(f"logs, faults and journal are in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder, ignore_errors=True)  # small disks are still mounted there, and vanish with us
    print(verdict.line())
    return 1 if verdict.broken else 0


if __name__ == "__main__":
    os.chdir(ROOT)
    in_private_mounts()
    sys.exit(main())
