"""What boards ask of published scorecards: the latest day of the range, by row kind, and how it went over days.

Between points and panels on registers -> samples -> messages -> points -> facts -> KPIs -> panels. A row of a day is
found by the start of the day that was looked at (variable ``day``), not by the last value of each field: what could be
computed last week and not today is missing today.
"""

from typing import Final

from dashboards.board import Variable
from dashboards.published_queries import HOLDS
from dashboards.queries import WINDOW, choice
from historian import schema
from historian.influxql import identifier
from historian.schema import GUIDELINE, METRIC, WHOLE, Measurement

CARDS: Final = identifier(Measurement.SCORECARDS)
OF_GUIDELINE: Final = f"{identifier(GUIDELINE)} =~ /^${{guideline:regex}}$/"
OF_WHOLE: Final = f"{identifier(METRIC)} = '{WHOLE}'"
OF_GROUPS: Final = f"{identifier(METRIC)} =~ /^group\\./"
OF_METRICS: Final = f"{identifier(METRIC)} != '{WHOLE}' AND {identifier(METRIC)} !~ /^group\\./"
OF_SHARES: Final = f"{OF_METRICS} AND {identifier(schema.SCORE_UNIT)} = 'ratio'"
OF_MEASURES: Final = (
    f"{OF_METRICS} AND {identifier(schema.SCORE_UNIT)} != 'ratio' AND {identifier(schema.SCORE_UNIT)} != ''"
)
OF_NEEDS: Final = f"{OF_METRICS} AND {identifier(schema.SCORE_UNIT)} = ''"

CHOSEN: Final = f"{WINDOW} AND {HOLDS} AND {OF_GUIDELINE} AND {choice('site')}"
ON_DAY: Final = f"{CHOSEN} AND {identifier(schema.PERIOD_START)} >= ${{day:raw}}"

SITE: Final = Variable(name="site", query=f'SHOW TAG VALUES FROM {CARDS} WITH KEY = "site"', all=False)
"""One site, or ``-``: the enterprise."""
GUIDELINE_CHOICE: Final = Variable(
    name="guideline", query=f"SHOW TAG VALUES FROM {CARDS} WITH KEY = {identifier(GUIDELINE)}", all=False
)
DAY: Final = Variable(
    name="day",
    query=f"SELECT last({identifier(schema.PERIOD_START)}) FROM {CARDS} WHERE {CHOSEN} AND {OF_WHOLE}",
    all=False,
    hidden=True,
    by_range=True,
    fallback="0",
)


def on_day(fields: tuple[str, ...], of: str) -> str:
    """Fields of the rows of one kind, as they stood on the latest day of the range, by metric."""
    return (
        f"SELECT {', '.join(map(identifier, fields))} FROM {CARDS} WHERE {ON_DAY} AND {of}"
        f" GROUP BY {identifier(METRIC)}"
    )


def by_day(field: str, of: str) -> str:
    """A field over the days of the range, by guideline and metric."""
    return (
        f"SELECT {identifier(field)} FROM {CARDS} WHERE {CHOSEN} AND {of}"
        f" GROUP BY {identifier(GUIDELINE)}, {identifier(METRIC)}"
    )
