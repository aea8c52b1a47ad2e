import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simulators.journal import Journal

VALUES = {"state": 1, "energy_kwh": 130.644, "cycle_time_s": None, "name_text": "SIM"}


def test_entries_read_back_as_they_were_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    assert [journal.append("s/a/w/u", t, VALUES) for t in (10, 20)] == [1, 2]
    journal.append("s/a/w/v", 15, {"state": 2})
    journal.close()
    assert [(entry.n, entry.t, entry.values) for entry in journal.entries("s/a/w/u")] == [
        (1, 10, VALUES),
        (2, 20, VALUES),
    ]
    assert (journal.count(), journal.count("s/a/w/u"), journal.count("nobody")) == (3, 2, 0)
    span = journal.span("s/a/w/u")
    assert (span.count, span.first, span.last) == (2, 10, 20)


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    for t in (10, 20, 30):
        journal = Journal(tmp_path / "journal.jsonl")
        journal.append("s/a/w/u", t, VALUES)
        journal.close()
    assert [entry.n for entry in journal.entries()] == [1, 2, 3]


@pytest.mark.parametrize(
    "torn", [b'{"unit":"s/a/w/u","n":2,"t', b"x" * 10_000, b'{"unit":"s/a/w/u","n":2,"t":1,"values":{}}']
)
def test_a_torn_last_line_was_never_answered_and_is_forgotten(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append("s/a/w/u", 10, VALUES)
    journal.close()
    with path.open("ab") as file:
        file.write(torn)
    again = Journal(path)
    assert again.append("s/a/w/u", 20, VALUES) == 2
    again.close()
    assert [entry.t for entry in again.entries()] == [10, 20]


def test_a_journal_of_nothing_but_a_torn_line_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"unit"')
    journal = Journal(path)
    assert journal.append("s/a/w/u", 10, VALUES) == 1
    journal.close()


def test_what_was_appended_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    program = (
        "import sys; from pathlib import Path; from simulators.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1])); t = 0\n"
        "while True:\n"
        "    t += 1; print(journal.append('s/a/w/u', t, {'state': t}), flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(200)][-1]
        os.kill(process.pid, signal.SIGKILL)
        told = [told, *(int(line) for line in process.stdout if line.endswith(b"\n"))][-1]
    journal = Journal(path)
    assert journal.count() >= told
    assert [entry.n for entry in journal.entries()] == list(range(1, journal.count() + 1))
    journal.close()
