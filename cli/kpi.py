"""``shopfloor kpi``: KPIs from the historian."""

import argparse

from cli.plants import load_plant
from cli.services import historian
from kpi_api import schemas
from kpi_api.answers import KpiItem
from kpi_api.questions import By
from kpi_api.store import Store
from shopfloor.clock import SystemClock
from shopfloor.instant import format_instant, parse_instant

SHOWN = ("oee_index", "availability", "effectiveness", "quality_ratio")


def kpi(arguments: argparse.Namespace) -> int:
    """Print one line, or one JSON document as the API gives it."""
    plant = load_plant(arguments.plant)
    start, end = parse_instant(arguments.start), parse_instant(arguments.end)
    store = historian()
    try:
        items = Store(plant, store, SystemClock()).kpi_items(arguments.unit, start, end, By(arguments.by))
    finally:
        store.close()
    if arguments.json:
        answer = schemas.Items[schemas.Kpi](items=[schemas.Kpi.model_validate(item) for item in items])
        print(answer.model_dump_json(indent=2))
        return 0
    for item in items:
        print(_line(item))
    return 0


def _line(item: KpiItem) -> str:
    ratios = "  ".join(f"{name} {_percent(item.kpis.get(name))}" for name in SHOWN)
    state = "final" if item.final else "provisional"
    window = f"{format_instant(item.start)} .. {format_instant(item.end)}"
    return f"{item.unit}  {window}  {ratios}  coverage {_percent(item.coverage)}  {state} r{item.revision}"


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.1%}"
