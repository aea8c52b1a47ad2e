"""A process that writes until it is killed, saying the number of each batch once its write is acknowledged.

Batch n holds five samples that straddle the border of two months, and the dirty interval that they cause.
"""

import itertools
import sys

from historian.connect import connect
from historian.records import Dirty, dirty_point, sample_point
from shopfloor.instant import parse_instant
from shopfloor.sample import Sample

BORDER = parse_instant("2026-02-01T00:00:00Z")


def main(url: str, unit: str) -> None:
    store = connect(url)
    for batch in itertools.count():
        times = [BORDER + offset * 100_000 + batch for offset in (-2, -1, 0, 1, 2)]
        samples = [
            sample_point("acme", Sample(unit=unit, time=time, values={"x_batch": batch, "note_text": "€" * 200}))
            for time in times
        ]
        report = store.write([*samples, dirty_point("acme", Dirty(unit, BORDER + batch, times[0], times[-1]))])
        if len(report.accepted) == len(samples) + 1:
            sys.stdout.write(f"{batch}\n")
            sys.stdout.flush()


main(*sys.argv[1:])
