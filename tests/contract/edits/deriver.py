"""A process that derives what is owed and is killed: ``deriver.py URL WRITES`` dies by SIGKILL at its next write."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from historian.connect import connect
from historian.historian import Historian
from historian.point import Point, WriteReport
from ingest.rederive import rederive
from shopfloor.dated import Dated
from shopfloor.instant import HOUR
from tests.contract.edits.bench import ENTERPRISE, Shop, plan
from tests.production import MACHINE, START


class Mortal:
    """A store whose process dies in front of its ``left``-th next write, by the hand of the kernel."""

    def __init__(self, historian: Historian, left: int) -> None:
        self._historian = historian
        self._left = left
        self.read, self.count, self.close = historian.read, historian.count, historian.close
        self.samples = historian.samples

    def write(self, points: Sequence[Point]) -> WriteReport:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
        return self._historian.write(points)


def main(url: str, left: int, what: str) -> None:
    store = Mortal(connect(url), left)
    if what == "rederive":
        for _ in rederive(
            store, {MACHINE: plan(micro_stop_s=Dated.always(20.0))}, ENTERPRISE, START, START + 8 * HOUR, "rina", START
        ):
            pass
    else:
        asyncio.run(Shop(store).derive())
    store.close()


main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
