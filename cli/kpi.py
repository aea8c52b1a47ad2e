"""``shopfloor kpi``: KPIs from the historian."""

import argparse
import sys

from cli.historian_open import historian
from cli.plants import load_plant
from kpi_api import schemas
from kpi_api.answers import KpiItem
from kpi_api.questions import BadQuestion, By, parse_time
from kpi_api.store import Store
from shopfloor.clock import SystemClock
from shopfloor.instant import format_instant

SHOWN = ("oee_index", "availability", "effectiveness", "quality_ratio")
WRONG_INPUT = 2


def kpi(arguments: argparse.Namespace) -> int:
    """Print one line an item, or one JSON document as the API gives it; 2 for a question that is wrong."""
    plant = load_plant(arguments.plant)
    try:
        start, end = parse_time(arguments.start), parse_time(arguments.end)
        store = historian()
        try:
            items = Store(plant, store, SystemClock()).kpi_items(arguments.unit, start, end, By(arguments.by))
        finally:
            store.close()
    except BadQuestion as fault:
        print(f"shopfloor: {fault}", file=sys.stderr)
        return WRONG_INPUT
    if arguments.json:
        answer = schemas.Items[schemas.Kpi](items=[schemas.Kpi.model_validate(item) for item in items])
        print(answer.model_dump_json(indent=2))
        return 0
    for item in items:
        print(_line(item))
    return 0


def _line(item: KpiItem) -> str:
    window = f"{format_instant(item.start)} .. {format_instant(item.end)}"
    state = "final" if item.final else "provisional"
    head = "  ".join((item.unit, window, *_labels(item)))
    return f"{head}  {_numbers(item)}  coverage {_percent(item.coverage)}  {state} r{item.revision}"


def _labels(item: KpiItem) -> list[str]:
    """What names the slice, beside its window."""
    return [label for label in (item.period, item.shift, item.product, item.category, item.reason) if label]


def _numbers(item: KpiItem) -> str:
    if item.category is None:
        return "  ".join(f"{name} {_percent(item.kpis.get(name))}" for name in SHOWN)
    lost, count = item.elements["lost_s"], item.elements["lost_count"]
    return f"lost {lost:.0f} s in {count:.0f}  {_percent(item.kpis.get('loss_ratio'))} of PBT"


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.1%}"
