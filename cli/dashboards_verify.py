"""``shopfloor dashboards verify``: every query of boards and alerts on a real server, KPIs beside the KPI API's."""

import argparse
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from typing import Any, Final

from cli.dashboards import documents, languages
from cli.plants import load_plant
from dashboards.alerts.render import rule_document
from dashboards.alerts.rules import rules_of
from dashboards.api_source import KpiApi
from dashboards.boards import boards_of
from dashboards.influx_source import InfluxSource
from dashboards.kpi_values import Comparison, compare
from dashboards.time_range import TimeRange
from dashboards.verify import COLUMNS, Rendered, Report, verify
from dashboards.verify_alerts import RenderedRule, verify_rules
from historian.influx_access import SCHEMES, InfluxAccess
from shopfloor.clock import SystemClock
from shopfloor.errors import ServiceUnavailable, ShopfloorError
from shopfloor.instant import MINUTE, floor_to, format_instant
from shopfloor.plant import Plant

FAILED: Final = 1
WRONG_INPUT: Final = 2
KEY_VARIABLE: Final = "SHOPFLOOR_API_KEY"
_HISTORIAN = re.compile(r"\bSHOPFLOOR_HISTORIAN\b")


def verify_boards(arguments: argparse.Namespace) -> int:
    """Print a table or one JSON line; 1 when a query fails, finds nothing, or a value is not the API's."""
    plant, now = load_plant(arguments.plant), arguments.now or floor_to(SystemClock().now(), MINUTE)
    if (arguments.start is None) != (arguments.end is None) or (arguments.end or 1) <= (arguments.start or 0):
        print("shopfloor: --from and --to go together, the later one last", file=sys.stderr)
        return WRONG_INPUT
    span = None if arguments.start is None else TimeRange(arguments.start, arguments.end)
    boards = rendered(plant, arguments.lang)
    try:
        api = KpiApi(arguments.api, os.environ.get(KEY_VARIABLE)) if arguments.api else None
        if api is not None:
            api.check()
        with closing(InfluxSource(_access(arguments.url))) as source:
            report = verify(boards, source.ask, now, span)
            verify_rules(rendered_rules(plant), source.ask, now if span is None else span.end, report)
            values = None if api is None else compare(boards, source.ask, api.kpis, plant, now)
    except ShopfloorError as fault:
        told = _HISTORIAN.sub("--url", str(fault)) if arguments.url else str(fault)
        print(f"shopfloor: {told}", file=sys.stderr)
        return FAILED
    found = verdict(report, values)
    if arguments.json:
        print(json.dumps(found))
    else:
        _table(report, found)
    return FAILED if found["failed"] or found["empty"] or found.get("different") else 0


def rendered(plant: Plant, lang: str) -> list[Rendered]:
    """Every board of a plant in the chosen languages."""
    return [
        Rendered(board, document)
        for language in languages(lang)
        for board, document in zip(boards_of(plant), documents(plant, language), strict=True)
    ]


def rendered_rules(plant: Plant) -> list[RenderedRule]:
    """Every alert rule of a plant; each is in both languages."""
    return [RenderedRule(rule, rule_document(plant, rule)) for rule in rules_of(plant)]


def verdict(report: Report, values: Comparison | None) -> dict[str, Any]:
    """What ``--json`` prints."""
    found: dict[str, Any] = {
        "boards": report.boards,
        "alerts": report.alerts,
        "panels": report.panels,
        "queries": report.queries,
        "failed": report.failed,
        "empty": report.empty,
        "declared_empty": report.declared_empty,
        "slowest_s": round(report.slowest_s, 3),
    }
    if values is not None:
        found |= {
            "windows": [f"{format_instant(each.start)}/{format_instant(each.end)}" for each in values.windows],
            "values": values.values,
            "defined": values.defined,
            "different": len(values.differences),
        }
    found["problems"] = [asdict(problem) for problem in report.problems]
    found["differences"] = [] if values is None else [asdict(each) for each in values.differences[:50]]
    return found


def _access(url: str | None) -> InfluxAccess:
    given = url or os.environ.get("SHOPFLOOR_HISTORIAN")
    if not given:
        raise ServiceUnavailable(
            "no InfluxDB is named; write --url http://host:8086/DATABASE, or set SHOPFLOOR_HISTORIAN"
        )
    if given.partition("://")[0] not in SCHEMES:
        raise ServiceUnavailable(
            "boards ask an InfluxDB, not the embedded store; write --url http://host:8086/DATABASE"
        )
    return InfluxAccess.of(given)


def _table(report: Report, found: Mapping[str, Any]) -> None:
    width = max((len(board) for board in report.by_board), default=5)
    print(f"{'board':{width}}  " + "  ".join(f"{name:>14}" for name in COLUMNS))
    totals = Counter[str]()
    for board, numbers in report.by_board.items():
        print(f"{board:{width}}  " + "  ".join(f"{numbers[name]:14}" for name in COLUMNS))
        totals.update(numbers)
    print(f"{'all':{width}}  " + "  ".join(f"{totals[name]:14}" for name in COLUMNS))
    if "values" in found:
        windows = ", ".join(found["windows"]) or "no window: the data hold no whole hour or shift of all units"
        print(f"values: {found['values']} compared with the KPI API, {found['different']} different ({windows})")
    for problem in report.problems:
        print(f"{problem.board}: {problem.panel!r} {problem.query}: {problem.kind}: {problem.detail}", file=sys.stderr)
        print(f"    {problem.text}", file=sys.stderr)
    for each in found["differences"]:
        print(
            f"{each['board']}: {each['panel']!r}: {each['kpi']} of {each['unit']} is {each['shown']}, "
            f"the KPI API says {each['told']}",
            file=sys.stderr,
        )
