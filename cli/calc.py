"""``shopfloor calc``: KPIs from given elements, no store."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from kpi.case.calculate import CaseReport, calculate
from kpi.evaluation.definitions import KPIS
from kpi.refusal import BadInput
from shopfloor.yaml_lines import parse

WRONG_INPUT = 2


def calc(arguments: argparse.Namespace) -> int:
    """Print the KPIs of a case; 2 and one line for a case that cannot be meant."""
    try:
        report = calculate(read_case(arguments.case))
    except BadInput as fault:
        print(f"{arguments.case}: {fault}", file=sys.stderr)
        return WRONG_INPUT
    if arguments.json:
        document = {"kpis": dict(report.kpis), "elements": dict(report.elements), "flags": list(report.flags)}
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        print(_table(report))
    return 0


def read_case(path: Path) -> Any:
    """The document of a case file. Raises BadInput for what is no YAML, and for keys that stand twice."""
    try:
        document = parse(path.read_text("utf-8"))
    except UnicodeDecodeError:
        raise BadInput("is not UTF-8 text; save it as UTF-8") from None
    except IsADirectoryError:
        raise BadInput("is a folder; give the path of a case file") from None
    except FileNotFoundError:
        raise BadInput("is not there; give the path of a case file") from None
    for place, fault in document.problems:
        raise BadInput(f"line {document.line(place)}: {fault}")
    return document.data


def _table(report: CaseReport) -> str:
    """The KPIs that could be computed, with name and unit, and below them the flags."""
    shown = [
        (kpi, each)
        for kpi, value in report.kpis.items()
        for each in (value if isinstance(value, list) else [value])
        if each is not None
    ]
    return "\n".join((*(_line(kpi, value) for kpi, value in shown), *(f"! {flag}" for flag in report.flags)))


def _line(kpi: str, value: float) -> str:
    unit = KPIS[kpi].unit.replace("1", "")
    return f"{kpi:32} {value:>16,.6g} {unit:14} {KPIS[kpi].name['en']}"
