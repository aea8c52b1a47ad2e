"""A wall clock that a test sets for one process: faketime from Debian, whose offset stands in a file."""

from pathlib import Path


def library() -> Path | None:
    """The build for programs with threads (the other one may hang in them); None where it is not installed."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def environment(preloaded: Path, clock: Path) -> dict[str, str]:
    """Makes a process see the clock that the file ``clock`` tells, its steady time being left alone."""
    return {
        "LD_PRELOAD": str(preloaded),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def set_clock(clock: Path, seconds: int) -> None:
    """The wall clock is so far from the truth from now on."""
    new = clock.with_suffix(".new")
    new.write_text(f"{seconds:+d}\n", "ascii")
    new.rename(clock)
