"""What boards ask to compare sites: a number of each, ranked only where enough of its time is known; names or letters.

Between points and panels on registers -> samples -> messages -> points -> facts -> KPIs -> panels. Sites are read from
what is published by production day, since only there a site's serial lines and meters are rolled up.
"""

from dataclasses import replace
from typing import Final

from dashboards import queries
from dashboards.board import Variable
from dashboards.published_queries import HOLDS, SITE_KPIS
from dashboards.queries import WINDOW, Slice, choice
from dashboards.scorecard_queries import CARDS, OF_GUIDELINE, OF_WHOLE
from historian import schema
from historian.influxql import identifier
from historian.schema import WHOLE, Measurement

LEAST_COVERAGE: Final = 0.8
"""A site of whose planned time less is known is not ranked: what is unknown could be its worst."""
WHO: Final = "who"
"""The column that tells sites apart: by name, or by letter."""
SITES: Final[Slice] = replace(SITE_KPIS, by=("site",))
"""Each chosen site, over the range."""
NAMES_OR_LETTERS: Final = Variable(
    name=WHO, choices=(("cluster.names", schema.SITE_ID), ("cluster.letters", schema.SITE_LETTER))
)
ALIAS: Final = f"$tag_site.${{{WHO}:raw}}"
"""Series by site and by how it is to be called. No blank: the data source would read on."""
CARD_SCORE: Final = "card_score"
CARD_COVERAGE: Final = "card_coverage"


def who() -> str:
    """What each chosen site is called, by the choice of names or letters."""
    return (
        f'SELECT last("${{{WHO}:raw}}") AS "{WHO}" FROM {identifier(Measurement.SITES)}'
        f' WHERE time >= 0 AND {choice("site")} GROUP BY "site"'
    )


def cards(field: str, name: str) -> str:
    """A field of each site's whole by the chosen guideline, on the last day of the range that has one."""
    return (
        f"SELECT last({identifier(field)}) AS {identifier(name)} FROM {CARDS} WHERE {WINDOW} AND {HOLDS}"
        f" AND {OF_GUIDELINE} AND {OF_WHOLE} AND {choice('site')} AND {identifier('site')} != '{WHOLE}'"
        ' GROUP BY "site"'
    )


def ranked(name: str, query: str) -> str:
    """A number of each site of whose planned time enough is known."""
    return _by_coverage(name, query, f">= {LEAST_COVERAGE}")


def unranked() -> str:
    """The coverage of the others."""
    return _by_coverage(schema.COVERAGE, queries.kpi(schema.COVERAGE, SITES), f"< {LEAST_COVERAGE}")


def _by_coverage(name: str, query: str, condition: str) -> str:
    known = identifier("known")
    coverage = queries.kpi(schema.COVERAGE, SITES).replace(f"AS {identifier(schema.COVERAGE)}", f"AS {known}", 1)
    column = identifier(name)
    return (
        f"SELECT {column} FROM (SELECT max({column}) AS {column}, max({known}) AS {known}"
        f' FROM ({query}), ({coverage}) WHERE {WINDOW} GROUP BY "site") WHERE {known} {condition} GROUP BY "site"'
    )
