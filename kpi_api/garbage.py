"""Facts -> KPIs: the collector of cyclic garbage rests while a large answer is made.

An answer is hundreds of thousands of young objects without a cycle among them: walking them again and again finds
nothing and takes a quarter of the time.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_resting = 0


@contextmanager
def collector_resting() -> Iterator[None]:
    """Rest while any thread is inside; a collector that was off before stays off."""
    global _resting
    with _lock:
        was_on = gc.isenabled()
        if _resting or was_on:
            _resting += 1
            gc.disable()
            mine = True
        else:
            mine = False
    try:
        yield
    finally:
        with _lock:
            if mine:
                _resting -= 1
                if not _resting:
                    gc.enable()
