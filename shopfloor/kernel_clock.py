"""What the kernel knows of time beside the time of day: how long this boot has run, which boot it is, who vouches.

Time since boot never steps, counts sleep of the machine, and is the same for a process that was killed and started
again; with the boot's id it tells whether the wall clock was set while nobody looked.
"""

import ctypes
import secrets
import time
from pathlib import Path
from typing import Final

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_BOOTTIME: Final = getattr(time, "CLOCK_BOOTTIME", None)
_UNSYNCHRONISED: Final = 5
"""What adjtimex returns while nobody keeps the clock right."""


def _boot_id() -> str:
    if _BOOTTIME is not None:
        try:
            return BOOT_ID.read_text("ascii").strip()
        except OSError:
            pass
    return secrets.token_hex(16)  # without the kernel's word each process is a boot of its own


BOOT: Final = _boot_id()
"""Names this boot of the machine; steady times of two boots have nothing to do with each other."""


def steady_ms() -> int:
    """Milliseconds since the machine was started."""
    return (time.monotonic_ns() if _BOOTTIME is None else time.clock_gettime_ns(_BOOTTIME)) // 1_000_000


class _Timex(ctypes.Structure):
    """The head of Linux's ``struct timex``; what follows is not looked at."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("before", ctypes.c_long * 4),
        ("status", ctypes.c_int),
        ("after", ctypes.c_long * 3),
        ("seconds", ctypes.c_long),
        ("rest", ctypes.c_char * 512),
    )


def _adjtimex() -> "ctypes._NamedFuncPointer | None":
    try:
        return ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None


_ASK: Final = _adjtimex()


def synchronised(wall_s: float) -> bool | None:
    """Whether the kernel holds that ``wall_s`` (s since 1970) is kept right by a time service; None: it does not tell.

    Its word counts only for the time that it has itself: a wall that differs is somebody else's.
    """
    if _ASK is None:
        return None
    told = _Timex()  # modes 0: nothing is changed
    answer = _ASK(ctypes.byref(told))
    if answer < 0 or abs(told.seconds - wall_s) > 2:
        return None
    return bool(answer != _UNSYNCHRONISED)
