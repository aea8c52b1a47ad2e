"""``shopfloor deadletters list | show | replay``: what could not be stored, looked at and brought in after all."""

import argparse
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

from cli.environment import data_folder
from cli.historian_open import historian
from cli.plants import load_plant
from cli.terminal_text import plain, pretty
from ingest.dead_letters import DeadLetters, StoredLetter, Wanted
from ingest.letter_replay import Dating, LetterReplay, ReplayCounts, earliest
from ingest.mapping import Refusal
from shopfloor.clock import SystemClock
from shopfloor.errors import Backpressure, ServiceUnavailable
from shopfloor.instant import BadInstant, format_instant, parse_instant
from shopfloor.plant import Plant

WRONG_INPUT: Final = 2
FAILED: Final = 1
INTERRUPTED: Final = 130
DETAIL: Final = 60
"""Characters of a detail in the list."""
TELL_S: Final = 2.0


def list_letters(arguments: argparse.Namespace) -> int:
    """The newest letters first, a line each, and how many there are by reason."""
    try:
        wanted = _wanted(arguments)
    except BadInstant as fault:
        return _wrong(str(fault))
    if arguments.limit < 1:
        return _wrong(f"--limit {arguments.limit} lists nothing; give 1 or more")
    with closing(_letters()) as letters:
        found = letters.list(arguments.limit, wanted=wanted)
        counted, dropped = letters.by_reason(), letters.dropped()
    if arguments.json:
        told = {"items": [_item(each) for each in found], "by_reason": counted, "dropped": dropped, "next": None}
        print(json.dumps(told, indent=2))
        return 0
    for stored in found:
        print(_line(stored))
    print(_summary(counted, dropped))
    return 0


def show(arguments: argparse.Namespace) -> int:
    """One letter with all that is known of it; 1 when there is none."""
    with closing(_letters()) as letters:
        stored = letters.show(arguments.id)
    if stored is None:
        print(f"deadletters: there is no letter {arguments.id}; 'list' tells which there are", file=sys.stderr)
        return FAILED
    for name, value in _item(stored).items():
        if value is not None:
            print(f"{name + ':':<10} {plain(str(value))}")
    print()
    print(pretty(stored.letter.payload))
    if stored.digest is not None:
        print(f"... the first {len(stored.letter.payload):,} of {stored.size:,} bytes, sha256 {stored.digest}")
    return 0


def replay(arguments: argparse.Namespace) -> int:
    """Judge letters again and store what can be stored now; 0 also when some are still refused, 2 for wrong input."""
    plant = load_plant(arguments.plant)
    try:
        wanted = _wanted(arguments)
        with closing(_letters()) as letters:
            dating = _dating(arguments, letters, wanted)
            return _replay(arguments, plant, letters, wanted, dating)
    except (BadInstant, ValueError) as fault:
        return _wrong(str(fault))


def _replay(arguments: argparse.Namespace, plant: Plant, letters: DeadLetters, wanted: Wanted, dating: Dating) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    store = historian()
    now = SystemClock().now()
    work = LetterReplay(letters, store, plant, now, dating=dating, dry_run=arguments.dry_run, progress=_Progress())
    try:
        counts = work.run(wanted)
    except KeyboardInterrupt:
        print("deadletters: interrupted; run it again to go on", file=sys.stderr)
        return INTERRUPTED
    except Backpressure as busy:
        print(f"deadletters: {busy}; run it again to go on", file=sys.stderr)
        return FAILED
    finally:
        store.close()
    for line in _told(counts, dry_run=arguments.dry_run):
        print(line)
    if missing := sorted({*(wanted.ids or ())} - work.seen):
        print(f"not replayed, no letter that tells its sample: {', '.join(map(str, missing))}")
    return 0


# ---------------------------------------------------------------- what is asked


def _letters() -> DeadLetters:
    path = data_folder() / "dead_letters.db"
    if not path.exists():
        raise ServiceUnavailable(f"there is no {path}; set SHOPFLOOR_DATA to the folder of the ingest service")
    return DeadLetters(path)


def _wanted(arguments: argparse.Namespace) -> Wanted:
    ids = getattr(arguments, "ids", None) or None
    since = None if arguments.since is None else parse_instant(arguments.since)
    chosen = ids or arguments.reason or arguments.agent or arguments.since
    if hasattr(arguments, "all") and bool(chosen) == arguments.all:
        raise ValueError("give the ids of letters, or --reason, --agent, --since, or --all alone")
    return Wanted(reason=arguments.reason, agent=arguments.agent, since=since, ids=ids)


def _dating(arguments: argparse.Namespace, letters: DeadLetters, wanted: Wanted) -> Dating:
    """How times of an agent that did not know the time are meant; raises ValueError where they cannot be moved."""
    if arguments.shift_to is None:
        return Dating(accept=arguments.accept_times)
    at = parse_instant(arguments.shift_to)
    first, sources, reasons = earliest(letters, wanted)
    if first is None:
        raise ValueError("--shift-to: none of these letters tells a time")
    if len(sources) > 1 or reasons != {Refusal.CLOCK_UNSYNCED}:
        raise ValueError(
            f"--shift-to moves letters of one outbox that were refused as {Refusal.CLOCK_UNSYNCED}; choose them by id, "
            "or by --agent and --reason"
        )
    return Dating(accept=True, shift_ms=at - first)


# ---------------------------------------------------------------- what is told


def _item(stored: StoredLetter) -> dict[str, Any]:
    letter = stored.letter
    return {
        "id": stored.id,
        "received": format_instant(letter.received),
        "reason": letter.reason,
        "detail": letter.detail,
        "agent": letter.agent,
        "outbox": letter.outbox,
        "seq": letter.seq,
        "clock": letter.clock,
        "topic": letter.topic,
        "times": stored.times,
        "bytes": stored.size,
        "sha256": stored.digest,
    }


def _line(stored: StoredLetter) -> str:
    letter = stored.letter
    whose = f"{letter.agent or '-'} {'-' if letter.seq is None else letter.seq}"
    often = f"x{stored.times}" if stored.times > 1 else ""
    detail = letter.detail if len(letter.detail) <= DETAIL else letter.detail[: DETAIL - 1] + "…"
    return plain(
        f"{stored.id:>8}  {format_instant(letter.received)}  {letter.reason:<16} {whose:<24} {often:>5} {detail}"
    )


def _summary(counted: dict[str, int], dropped: int) -> str:
    if not counted:
        return "no dead letters"
    reasons = ", ".join(f"{plain(reason)} {count:,}" for reason, count in counted.items())
    lost = f"; of {dropped:,} the words were dropped to bound the file" if dropped else ""
    return f"{sum(counted.values()):,} in all: {reasons}{lost}"


def _told(counts: ReplayCounts, *, dry_run: bool) -> Iterator[str]:
    for unit, number in sorted(counts.units.items()):
        yield f"{unit}  {number:,}"
    would = "would be " if dry_run else ""
    kept = Counter(counts.kept)
    again = f" ({counts.present:,} of them by a replay before this one)" if counts.present else ""
    still = ", ".join(f"{reason} {number:,}" for reason, number in kept.most_common())
    yield f"{counts.letters:,} letters: {would}stored {counts.stored:,}{again}, {would}kept {kept.total():,}" + (
        f": {still}" if still else ""
    )
    if kept[Refusal.CLOCK_UNSYNCED]:
        yield (
            "the sender's clock was not trusted: --accept-times stores them with the times they tell, "
            "--shift-to T moves the first of them to T"
        )


def _wrong(words: str) -> int:
    print(f"deadletters: {words}", file=sys.stderr)
    return WRONG_INPUT


class _Progress:
    """Tells on standard error how far it is, when that is a terminal."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, letters: int) -> None:
        if sys.stderr.isatty() and time.monotonic() - self._told > TELL_S:
            self._told = time.monotonic()
            print(f"deadletters: {letters:,} letters judged", file=sys.stderr)
