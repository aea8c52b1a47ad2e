"""A process that makes statements on one unit, all in the same millisecond: ``sayer.py URL SPEAKER COUNT``."""

import sys

from historian.connect import connect
from historian.statements import put
from shopfloor.instant import parse_instant
from shopfloor.statement import Statement, StatementKind

MADE = parse_instant("2026-01-05T09:00:00Z")


def main(url: str, speaker: int, count: int) -> None:
    historian = connect(url)
    for number in range(count):
        statement = Statement(
            id=f"speaker-{speaker}-{number}",
            unit="s/a/line-1/cnc-01",
            kind=StatementKind.REASON,
            start=speaker,
            end=speaker + 10,
            author="sari",
            made_at=MADE,
            reason="tool_broken",
        )
        put(historian, "acme", statement, touched=(speaker, speaker + 10))
    historian.close()


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
