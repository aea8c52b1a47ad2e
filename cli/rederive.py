"""``shopfloor rederive``: derive the past again under today's plan, and show what that changes."""

import argparse
import getpass
import signal
import sys
import time
from collections.abc import Iterator
from typing import Final

from cli.historian_open import historian
from cli.plants import load_plant
from cli.published import publisher_of
from cli.unit_plans import unit_plans
from historian.records import Revision
from ingest import rederive as engine
from kpi.evaluation.evaluate import evaluate
from shopfloor.additive import COLUMNS, Elements
from shopfloor.clock import SystemClock
from shopfloor.instant import BadInstant, Instant, format_instant, parse_instant

WRONG_INPUT: Final = 2
INTERRUPTED: Final = 130
TELL_S: Final = 2.0
"""Progress is told this often."""


def rederive(arguments: argparse.Namespace) -> int:
    """Print a line per unit and shift that changes, and a summary; 0 also when nothing does, 2 for wrong input."""
    plant = load_plant(arguments.plant)
    wanted = {str(unit.path) for unit in plant.matching(arguments.unit)}
    try:
        start, end = parse_instant(arguments.start), parse_instant(arguments.end)
        _check(arguments.unit, wanted, start, end)
    except (ValueError, BadInstant) as fault:
        print(f"rederive: {fault}", file=sys.stderr)
        return WRONG_INPUT
    plans = {unit: plan for unit, plan in unit_plans(plant).items() if unit in wanted}
    who = arguments.name or getpass.getuser()
    store, changed = historian(), 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for found in engine.rederive(
            store,
            plans,
            plant.enterprise,
            start,
            end,
            who,
            SystemClock().now(),
            progress=_Progress(),
            dry_run=arguments.dry_run,
            publisher=publisher_of(plant, store, SystemClock()),
        ):
            changed += len(found.shifts)
            for line in _lines(found, start):
                print(line, flush=True)
    except KeyboardInterrupt:
        print("rederive: interrupted; the next rederive or start of ingest does what is left", file=sys.stderr)
        return INTERRUPTED
    finally:
        store.close()
    print(_summary(changed, len(plans), dry_run=arguments.dry_run))
    return 0


def _check(pattern: str, wanted: set[str], start: Instant, end: Instant) -> None:
    if not wanted:
        raise ValueError(
            f"no unit of the plant matches {pattern!r}; write site/area/work_center/work_unit, * is allowed"
        )
    if start >= end:
        raise ValueError("--to must be later than --from")
    if start < 0 or start > SystemClock().now():
        raise ValueError("--from lies outside the time that has been; nothing can be derived there")


class _Progress:
    """Tells on standard error where the work is, when that is a terminal."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, unit: str, until: Instant) -> None:
        if sys.stderr.isatty() and time.monotonic() - self._told > TELL_S:
            self._told = time.monotonic()
            print(f"rederive: {unit} up to {format_instant(until)}", file=sys.stderr)


def _lines(found: engine.UnitDifferences, start: Instant) -> Iterator[str]:
    if found.samples_from is None:
        yield f"{found.unit}  has no samples; its facts stay as they are"
    elif found.samples_from > start:
        first = format_instant(found.samples_from)
        yield f"{found.unit}  no raw samples before {first}; facts before it stay as they are"
    for shift in found.shifts:
        yield f"{shift.unit}  {format_instant(shift.shift_start)} {shift.shift}  {_difference(shift)}"


def _difference(shift: Revision) -> str:
    before, after = shift.before, shift.after
    sums = [
        f"{name} {before.get(name, 0.0):.10g} -> {after.get(name, 0.0):.10g}"
        for name in COLUMNS
        if before.get(name, 0.0) != after.get(name, 0.0)
    ]
    oee = f"OEE {_oee(before)} -> {_oee(after)}"
    return "  ".join([oee, ", ".join(sums) or "sums unchanged; losses, stops or minutes differ", f"r{shift.n}"])


def _oee(elements: Elements) -> str:
    ratio = evaluate(elements).kpis.get("oee_index")
    return "-" if ratio is None else f"{ratio:.2%}"


def _summary(changed: int, units: int, *, dry_run: bool) -> str:
    over = f"in {units} unit{'s' if units != 1 else ''}"
    if not changed:
        return f"nothing changed {over}: the facts are what today's plan makes of the samples"
    verb = "would change" if dry_run else "changed"
    return f"{changed} shift{'s' if changed != 1 else ''} {verb} {over}"
