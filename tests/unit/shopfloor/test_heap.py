"""What a thread has used and let go is the system's again."""

import subprocess
import sys

import pytest

USED = """
import threading
from shopfloor.heap import give_back, share_one_heap

def resident_kb():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

def work(kept):
    many = [bytes(60_000) for _ in range(1_000)]  # below the size that the C library asks the system for alone
    kept.append(many[-1])  # it lies above all the others, which are freed below it
    many.clear()

assert share_one_heap()
before, kept = resident_kb(), []
thread = threading.Thread(target=work, args=(kept,))
thread.start()
thread.join()
held = resident_kb() - before
assert give_back()
print(held, resident_kb() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_what_was_freed_below_what_is_kept_is_given_back() -> None:
    told = subprocess.run([sys.executable, "-c", USED], check=True, capture_output=True, text=True).stdout
    held, left = map(int, told.split())
    assert held > 40_000, "the C library keeps what is freed; else there is nothing to see here"
    assert left < held / 4
