"""Memory that the C library holds for a service that runs for months: in one heap, and given back when it is free.

glibc gives each thread a heap of its own and keeps what is freed in it. A service whose threads build and drop large
answers and requests then grows for hours, though it holds nothing. Elsewhere than on glibc both calls do nothing.
"""

import ctypes
from typing import Final

_M_ARENA_MAX: Final = -8
"""``M_ARENA_MAX`` of ``malloc.h``."""


def share_one_heap() -> bool:
    """Let all threads that begin from now on use the main heap; whether the C library can."""
    mallopt = _function("mallopt")
    return mallopt is not None and bool(mallopt(_M_ARENA_MAX, 1))


def give_back() -> bool:
    """Return free pages to the system; whether there were any."""
    trim = _function("malloc_trim")
    return trim is not None and bool(trim(0))


def _function(name: str) -> "ctypes._NamedFuncPointer | None":
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except OSError:
        return None
