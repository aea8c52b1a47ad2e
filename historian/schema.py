"""The names of *points*: measurements, tag keys, field names. No other module spells one.

On registers -> samples -> messages -> points -> facts -> KPIs -> panels this is where data get their stored names.
One rule types every field: a name that ends in ``_text`` holds text, any other a number.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from enum import StrEnum
from typing import Final

from historian.point import Query
from shopfloor.additive import COLUMNS, Merge, at_column
from shopfloor.equipment import LEVELS
from shopfloor.ledger import AgentLedger
from shopfloor.statement import STATED_QUANTITIES
from shopfloor.tag import NAME


class Measurement(StrEnum):
    """Every measurement there is."""

    SAMPLES = "samples"
    """One unit's poll cycle: one field per tag, stamped with source time."""
    DIRTY = "dirty"
    """Intervals of a unit whose facts must be derived again."""
    FACTS = "facts"
    """Additive record per unit and minute."""
    FACTS_HOUR = "facts_hour"
    """The same per hour (UTC)."""
    FACTS_SHIFT = "facts_shift"
    """The same per shift, stamped at the shift's start."""
    LOSSES = "losses"
    """Seconds and counts per minute, category and reason."""
    STOPS = "stops"
    """Derived stops, stamped at their start."""
    STATEMENTS = "statements"
    """What people said."""
    KPI_PUBLISHED = "kpi_published"
    """KPIs per unit and shift for readers that cannot compute them; never an input."""
    REVISIONS = "revisions"
    """Append-only history of changed facts."""
    LEDGER = "ledger"
    """What agents and the ingest service account for."""
    GRAINS = "grains"
    """For readers that choose a measurement of facts by the length of a range: each point is stamped at the longest
    range, in milliseconds, for which it holds."""
    SITES = "sites"
    """What a reader must know of a site to cut its days; stamped at the epoch, so that there is one point of each."""


class Grain(StrEnum):
    """Length of a fact's slice; the value is the measurement that holds it."""

    MINUTE = Measurement.FACTS.value
    HOUR = Measurement.FACTS_HOUR.value
    SHIFT = Measurement.FACTS_SHIFT.value


class Origin(StrEnum):
    """What made an interval dirty."""

    INGEST = "ingest"
    """New samples."""
    STATEMENT = "statement"
    """A person's statement."""
    REDERIVE = "rederive"
    """Somebody asked for it: the plan changed."""
    REPLAY = "replay"
    """New samples that another process than the unit's ingest stored: replayed dead letters."""


ORIGIN: Final = "origin"
SHIFT: Final = "shift"
PRODUCT: Final = "product"
CATEGORY: Final = "category"
REASON: Final = "reason"
AGENT: Final = "agent"
OUTBOX: Final = "outbox"

TAG_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    Measurement.SAMPLES: LEVELS,
    Measurement.DIRTY: (*LEVELS, ORIGIN),
    Measurement.FACTS: (*LEVELS, SHIFT, PRODUCT),
    Measurement.FACTS_HOUR: (*LEVELS, SHIFT, PRODUCT),
    Measurement.FACTS_SHIFT: (*LEVELS, SHIFT, PRODUCT),
    Measurement.LOSSES: (*LEVELS, SHIFT, PRODUCT, CATEGORY, REASON),
    Measurement.STOPS: LEVELS,
    Measurement.STATEMENTS: LEVELS,
    Measurement.KPI_PUBLISHED: (*LEVELS, SHIFT),
    Measurement.REVISIONS: (*LEVELS, SHIFT),
    Measurement.LEDGER: (AGENT, OUTBOX),
    Measurement.GRAINS: ("enterprise",),
    Measurement.SITES: ("enterprise", "site"),
}
"""Measurement -> its tag keys, all of them on every point. Frozen: some stores never let them change."""

STATUS: Final = "status_text"
"""Samples: the tags that are not GOOD, ``tag=quality:reason`` joined by semicolons."""

DIRTY_FROM: Final = "from"
DIRTY_TO: Final = "to"
DIRTY_DONE: Final = "done"
DIRTY_CAUSE: Final = "cause_text"
DIRTY_WHO: Final = "who_text"

IDENTITY: Final = "id_text"
"""Dirty intervals and statements: whose this point is. One that is stored is never overwritten by another's."""
OWNED: Final = frozenset({Measurement.DIRTY, Measurement.STATEMENTS})
"""The measurements of which that is true."""

LOST_SECONDS: Final = "lost_s"
LOST_COUNT: Final = "lost_count"

STOP_END: Final = "end"
"""Instant; 0 while the stop lasts; equal to the point's time for a stop that no longer exists."""
STOP_CATEGORY: Final = "category_text"
STOP_CODE: Final = "code_text"
"""Decimal state code, empty when there is none."""

STOP_REASON: Final = "reason_text"
STOP_STATEMENT: Final = "statement_text"
STOP_FAILURE: Final = "failure"

STATEMENT_ID: Final = IDENTITY
STATEMENT_KIND: Final = "kind_text"
STATEMENT_START: Final = "start"
STATEMENT_END: Final = "end"
"""Instant; absent while it holds."""
STATEMENT_AUTHOR: Final = "author_text"
STATEMENT_MADE_AT: Final = "made_at"
STATEMENT_SUPERSEDES: Final = "supersedes_text"
STATEMENT_WITHDRAWN: Final = "withdrawn"
STATEMENT_REASON: Final = "reason_text"
STATEMENT_CATEGORY: Final = "category_text"
STATEMENT_PRODUCT: Final = "product_text"
STATEMENT_ORDER: Final = "order_text"
STATEMENT_NOTE: Final = "note_text"
STATEMENT_QUANTITY: Final = "quantity_"
"""Prefix of the stated quantities."""

REVISION_SHIFT_START: Final = "shift_start"
REVISION_N: Final = "n"
REVISION_AT: Final = "revised_at"
REVISION_CAUSE: Final = "cause_text"
REVISION_WHO: Final = "who_text"
REVISION_BEFORE: Final = "before_"
"""Prefix of the columns that held before."""
REVISION_AFTER: Final = "after_"
"""Prefix of the columns that hold since."""

LEDGER_OLDEST: Final = "oldest_t"
LEDGER_REJECTED: Final = "rejected"
LEDGER_DEAD: Final = "dead_"
"""Prefix of the dead letters by reason, e.g. ``dead_unknown_unit``."""
LEDGER_TOLD: Final = "told_t"
"""Instant of the ingest clock at which the agent told the counts of this point."""
LEDGER_HEARD: Final = "heard_t"
"""The same of its last message with samples."""
LEDGER_MOVED: Final = "moved_t"
"""When ``confirmed`` was last seen to grow: a receipt had arrived."""
LEDGER_CLOCK: Final = "clock_trusted"
"""1 while the agent knows the time, 0 until then and after its clock was set."""
LEDGER_HEALTH: Final = ("jumps", "undated", "quarantined", "set_aside", "outbox_bytes")
"""What else an agent says of itself, as in its state message."""
GRAIN_SOURCE: Final = "measurement_text"
GRAIN_BUCKET: Final = "bucket_text"
"""Length of the stretches to show, as InfluxQL writes it."""
SITE_TIMEZONE: Final = "timezone_text"
"""IANA zone."""
NOBODY: Final = "-"
"""Agent of what belongs to no agent of the plant; no agent can have this id."""


def _fact_fields() -> Iterator[str]:
    for column in COLUMNS.values():
        yield column.name
        if column.merge is Merge.MAX:
            yield at_column(column.name)


FACT_FIELDS: Final = frozenset(_fact_fields())
"""The additive record's columns and the instants of its maxima."""

_REVISION_FIELDS = frozenset(
    {REVISION_SHIFT_START, REVISION_N, REVISION_AT, REVISION_CAUSE, REVISION_WHO}
    | {prefix + name for prefix in (REVISION_BEFORE, REVISION_AFTER) for name in FACT_FIELDS}
)

_STATEMENT_FIELDS = frozenset(
    {
        STATEMENT_ID,
        STATEMENT_KIND,
        STATEMENT_START,
        STATEMENT_END,
        STATEMENT_AUTHOR,
        STATEMENT_MADE_AT,
        STATEMENT_SUPERSEDES,
        STATEMENT_WITHDRAWN,
        STATEMENT_REASON,
        STATEMENT_CATEGORY,
        STATEMENT_PRODUCT,
        STATEMENT_ORDER,
        STATEMENT_NOTE,
        *(STATEMENT_QUANTITY + name for name in STATED_QUANTITIES),
    }
)

FIELDS: Final[Mapping[str, frozenset[str] | None]] = {
    Measurement.SAMPLES: None,
    Measurement.DIRTY: frozenset({DIRTY_FROM, DIRTY_TO, DIRTY_DONE, DIRTY_CAUSE, DIRTY_WHO, IDENTITY}),
    Measurement.FACTS: FACT_FIELDS,
    Measurement.FACTS_HOUR: FACT_FIELDS,
    Measurement.FACTS_SHIFT: FACT_FIELDS,
    Measurement.LOSSES: frozenset({LOST_SECONDS, LOST_COUNT}),
    Measurement.STOPS: frozenset({STOP_END, STOP_CATEGORY, STOP_CODE, STOP_REASON, STOP_STATEMENT, STOP_FAILURE}),
    Measurement.STATEMENTS: _STATEMENT_FIELDS,
    Measurement.KPI_PUBLISHED: None,
    Measurement.REVISIONS: _REVISION_FIELDS,
    Measurement.LEDGER: frozenset(
        {LEDGER_OLDEST, LEDGER_TOLD, LEDGER_HEARD, LEDGER_MOVED, LEDGER_CLOCK, *LEDGER_HEALTH}
        | {field.name for field in fields(AgentLedger)}
    ),
    Measurement.GRAINS: frozenset({GRAIN_SOURCE, GRAIN_BUCKET}),
    Measurement.SITES: frozenset({SITE_TIMEZONE}),
}
"""Measurement -> its fields; None where any well-formed name is one."""


def is_text(field: str) -> bool:
    """Whether a field holds text; every other field holds a number."""
    return field.endswith("_text")


def knows_field(measurement: str, field: str) -> bool:
    """Whether ``field`` may stand on points of a known measurement."""
    fixed = FIELDS[measurement]
    if measurement == Measurement.LEDGER and field.startswith(LEDGER_DEAD):
        return NAME.fullmatch(field) is not None and not is_text(field)
    if fixed is not None:
        return field in fixed
    return NAME.fullmatch(field) is not None and field != "time" and field not in TAG_KEYS[measurement]


def check_query(query: Query) -> None:
    """Raise ValueError for a query that no store could answer: a mistake of the caller, not of the data."""
    keys = TAG_KEYS.get(query.measurement)
    if keys is None:
        raise ValueError(f"there is no measurement {query.measurement!r}")
    if unknown := sorted(set(query.where) - set(keys)):
        raise ValueError(f"{query.measurement} has no tag {', '.join(unknown)}; it has {', '.join(keys)}")
    if query.limit is not None and query.limit < 0:
        raise ValueError(f"a limit of {query.limit} points cannot be read")
