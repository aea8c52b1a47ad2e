"""kill -9 while samples are appended: what ``append`` returned is there, and the ledger balances."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.outbox import Outbox
from edge_agent.source_clock import Stamp

APPENDER = """
import sys
from pathlib import Path
from edge_agent.outbox import Outbox
from edge_agent.source_clock import Stamp
from messaging.receipt import Receipt
from shopfloor.sample import Sample

box = Outbox(Path(sys.argv[1]), max_samples=400)
start = box.counts().polled
for batch in range(1_000_000):
    first = start + batch * 7 + 1
    samples = [Sample(unit="s/a/l/u", time=time, values={"good": time}) for time in range(first, first + 7)]
    box.append(samples, [Stamp(sample.time, sample.time - 5, "boot", batch % 5 != 4) for sample in samples])
    box.mark_sent(box.last_seq)
    if batch % 3 == 0:
        box.confirm(Receipt(box.outbox_id, box.last_seq - 100))
    print(box.last_seq, flush=True)
"""
"""Every fifth batch is undated until the next has come."""


@pytest.mark.parametrize("lines", [1, 40, 150])
def test_what_append_returned_survives_a_kill_and_the_ledger_balances(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "outbox.db"
    outbox_id = ""
    for _ in range(3):
        told = _append_and_kill(path, lines)
        box = Outbox(path, max_samples=400)
        assert box.undated in (0, 7)
        box.date(Stamp(1_000_005, 1_000_000, "boot", dated=True))
        counts, held = box.counts(), [stored.seq for stored in box.pending(limit=1_000)]
        assert box.last_seq >= told
        assert held == list(range(held[0], box.last_seq + 1))
        assert [stored.sample.time for stored in box.pending(limit=1_000)] == held
        assert counts.appended == counts.polled == counts.confirmed + counts.in_outbox + counts.evicted
        assert counts.in_outbox == len(held)
        assert outbox_id in ("", box.outbox_id)
        outbox_id = box.outbox_id
        box.close()


def _append_and_kill(path: Path, lines: int) -> int:
    """The last seq that the process told before it was killed; it goes on appending until the very end."""
    process = subprocess.Popen([sys.executable, "-c", APPENDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as told:
        for _ in range(lines):
            last = int(told.readline())
        process.kill()
        rest = [line for line in told.read().splitlines(keepends=True) if line.endswith("\n")]
    process.wait()
    return int(rest[-1]) if rest else last
