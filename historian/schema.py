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
    LOSSES_HOUR = "losses_hour"
    """The same per hour (UTC)."""
    LOSSES_SHIFT = "losses_shift"
    """The same per shift, stamped at the shift's start."""
    STOPS = "stops"
    """Derived stops, stamped at their start."""
    STATEMENTS = "statements"
    """What people said."""
    KPI_PUBLISHED = "kpi_published"
    """KPIs per unit or place, by shift and by production day, for readers that cannot compute them; never an input."""
    CAPABILITY = "capability"
    """Capability of a measured characteristic per unit and shift. Published like the KPIs."""
    CHART_POINTS = "chart_points"
    """The points of its control charts, each with its lines, stamped where its last reading is. Published."""
    ENERGY_PUBLISHED = "energy_published"
    """Energy, cost, baseline and bill per unit or place, by day and by month. Published."""
    SCORECARDS = "scorecards"
    """What a guideline's metrics come to per site and local day. Published."""
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


LOSSES_OF: Final[Mapping[Grain, Measurement]] = {
    Grain.MINUTE: Measurement.LOSSES,
    Grain.HOUR: Measurement.LOSSES_HOUR,
    Grain.SHIFT: Measurement.LOSSES_SHIFT,
}
"""Grain of facts -> the measurement of the losses in slices of the same length."""


class Origin(StrEnum):
    """What made an interval dirty."""

    INGEST = "ingest"
    """New samples."""
    STATEMENT = "statement"
    """A person's statement."""
    REDERIVE = "rederive"
    """Somebody asked for it: the plan changed."""
    PUBLISH = "publish"
    """Facts were changed by another process than the one that publishes: nothing is to be derived."""
    REPLAY = "replay"
    """New samples that another process than the unit's ingest stored: replayed dead letters."""


ORIGIN: Final = "origin"
SHIFT: Final = "shift"
PRODUCT: Final = "product"
CATEGORY: Final = "category"
REASON: Final = "reason"
AGENT: Final = "agent"
OUTBOX: Final = "outbox"
CHARACTERISTIC: Final = "characteristic"
"""The tag of a unit's device that is measured."""
STATISTIC: Final = "statistic"
"""What the points of a control chart are: mean, range, deviation, individual, moving_range."""
PERIOD: Final = "period"
"""``day`` or ``month``."""
GUIDELINE: Final = "guideline"
METRIC: Final = "metric"
WHOLE: Final = "-"
"""Published: the tag of each level below a place (a line's ``work_unit``, the enterprise's ``site`` ...), and the
``shift`` of a whole production day. No id can be this."""

TAG_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    Measurement.SAMPLES: LEVELS,
    Measurement.DIRTY: (*LEVELS, ORIGIN),
    Measurement.FACTS: (*LEVELS, SHIFT, PRODUCT),
    Measurement.FACTS_HOUR: (*LEVELS, SHIFT, PRODUCT),
    Measurement.FACTS_SHIFT: (*LEVELS, SHIFT, PRODUCT),
    Measurement.LOSSES: (*LEVELS, SHIFT, PRODUCT, CATEGORY, REASON),
    Measurement.LOSSES_HOUR: (*LEVELS, SHIFT, PRODUCT, CATEGORY, REASON),
    Measurement.LOSSES_SHIFT: (*LEVELS, SHIFT, PRODUCT, CATEGORY, REASON),
    Measurement.STOPS: LEVELS,
    Measurement.STATEMENTS: LEVELS,
    Measurement.KPI_PUBLISHED: (*LEVELS, SHIFT),
    Measurement.CAPABILITY: (*LEVELS, SHIFT, CHARACTERISTIC),
    Measurement.CHART_POINTS: (*LEVELS, CHARACTERISTIC, STATISTIC),
    Measurement.ENERGY_PUBLISHED: (*LEVELS, PERIOD),
    Measurement.SCORECARDS: ("enterprise", "site", GUIDELINE, METRIC),
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
STOP_DURATION: Final = "duration_s"
"""Of a stop that is over; 0 while it lasts and for one that no longer exists. For readers that cannot compute it."""
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
GRAIN_LOSSES: Final = "losses_text"
"""The measurement of losses of the same grain."""
GRAIN_BUCKET: Final = "bucket_text"
"""Length of the stretches to show, as InfluxQL writes it."""
SITE_TIMEZONE: Final = "timezone_text"
"""IANA zone."""
SITE_ID: Final = "site_text"
"""The site's id once more, as a field."""
SITE_LETTER: Final = "letter_text"
"""A letter that stands for the site where its name is not to be shown; not in the order of anything."""
NOBODY: Final = "-"
"""Agent of what belongs to no agent of the plant; no agent can have this id."""

CURRENT: Final = "current"
"""Published points: 1 on what holds, 0 on what was replaced or is no more. Readers ask ``WHERE "current" = 1``."""
PUBLISHED: Final = frozenset(
    {
        Measurement.KPI_PUBLISHED,
        Measurement.CAPABILITY,
        Measurement.CHART_POINTS,
        Measurement.ENERGY_PUBLISHED,
        Measurement.SCORECARDS,
    }
)
"""What is written for readers that cannot compute. Nothing is ever derived from it."""

PERIOD_START: Final = "start"
"""Published: first instant (ms) of the window that was evaluated."""
PERIOD_DAY: Final = "day"
"""Local midnight (ms) of the production day to which the shift belongs."""
PERIOD_UNTIL: Final = "until"
"""Its end (ms, exclusive): that of the period, or of the last whole minute while the period runs."""
FINAL: Final = "final"
"""1 when the period is over and nothing can change the numbers any more without a revision, else 0."""
REVISION: Final = "revision"
"""How often the past of the window was changed after it was first derived."""
SIGNED: Final = "signed"
"""1 when somebody vouched for the shift, else 0."""
COVERAGE: Final = "coverage"
"""Known share of planned busy time; a meter's: of the time."""
FLAGS: Final = "flags_text"
"""Ids of ``kpi.evaluation.flags``, separated by commas; empty text when there are none."""
TARGET: Final = "target_"
"""Prefix of the targets of the unit or place, e.g. ``target_oee``. The KPIs have their own ids: ``oee_index``."""
SUM: Final = "sum_"
"""Prefix of the merged record behind the KPIs, e.g. ``sum_good``, ``sum_planned_busy_s``. 0 is nothing."""

CHART_VALUE: Final = "value"
CHART_CENTRE: Final = "centre"
CHART_LOWER: Final = "lower"
CHART_UPPER: Final = "upper"
CHART_RULE: Final = "rule"
"""Lowest of Nelson's rules that the point completes; 0 when none."""
CHART_ALARM: Final = "alarm"
"""1 when it completes a rule of the alarm set (1, 2, 5; of a chart of spread: beyond a limit), else 0."""
CHART_SHIFT_START: Final = "shift_start"
"""Instant (ms) of the shift whose values the lines were computed from: the time of its ``capability`` point."""

SCORE_VALUE: Final = "value"
"""In the metric's own unit."""
SCORE: Final = "score"
"""In the guideline's own scale."""
SCORE_LEVEL: Final = "level"
SCORE_WEIGHT: Final = "weight"
SCORE_TARGET: Final = "target"
SCORE_BASELINE: Final = "baseline"
SCORE_ACHIEVEMENT: Final = "achievement"
"""Part of the way from baseline to target that is gone; not clipped."""
SCORE_GROUP: Final = "group_text"
"""Id of the metric's group; empty text on rows of groups and of the whole."""
SCORE_NAME: Final = "name_text"
"""Name of the metric, group or guideline in English; ``SCORE_IN_INDONESIAN`` has each such field in Indonesian."""
SCORE_GROUP_NAME: Final = "group_name_text"
SCORE_LEVEL_NAME: Final = "level_name_text"
"""Name of the level; empty text where there is none."""
SCORE_UNIT: Final = "unit_text"
"""What ``value`` is measured in, ``ratio`` for a ratio; empty text where nothing gives a value."""
SCORE_MISSING: Final = "missing_text"
"""What is missing to compute it; empty text when nothing is."""
SCORE_MISSING_ID: Final = "missing_id_text"
"""The same in Indonesian."""
SCORE_IN_INDONESIAN: Final[Mapping[str, str]] = {
    SCORE_NAME: "name_id_text",
    SCORE_GROUP_NAME: "group_name_id_text",
    SCORE_LEVEL_NAME: "level_name_id_text",
    SCORE_MISSING: SCORE_MISSING_ID,
}
"""Field in English -> the same in Indonesian."""
SCORE_PROVENANCE: Final = "provenance_text"
"""Where the metric comes from: publication and section."""
SCORE_CONFIDENCE: Final = "confidence_text"
"""How far to trust it: ``high``, ``medium`` or ``low``."""
SCORE_THRESHOLDS: Final = "thresholds_text"
"""Whose its thresholds are: ``published`` or ``house``."""
GROUP_ROW: Final = "group."
"""Prefix of ``metric`` on rows of groups; the whole has WHOLE."""


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

_LOSS_FIELDS = frozenset({LOST_SECONDS, LOST_COUNT})

_STOP_FIELDS = frozenset({STOP_END, STOP_DURATION, STOP_CATEGORY, STOP_CODE, STOP_REASON, STOP_STATEMENT, STOP_FAILURE})

_WINDOW_FIELDS = frozenset({CURRENT, PERIOD_START, PERIOD_UNTIL, FINAL, REVISION, COVERAGE, FLAGS})

CAPABILITY_NUMBERS: Final = (
    "n",
    "subgroups",
    "mean",
    "sigma_within",
    "sigma_overall",
    "xbar_lower",
    "xbar_upper",
    "cp",
    "cpk",
    "cpu",
    "cpl",
    "pp",
    "ppk",
    "ppu",
    "ppl",
    "cpm",
    "cpm_overall",
    "k",
)
"""As ``kpi.capability`` names them; absent where undefined."""
CAPABILITY_LIMITS: Final = ("lsl", "usl", "target")
"""From the plant file; absent where open."""
CAPABILITY_READINGS: Final = "readings"
CAPABILITY_SUBGROUP: Final = "subgroup"
CAPABILITY_POINTS: Final = "points"
"""Points on the chart of location."""
CAPABILITY_ALARMS: Final = "alarms"
"""Points of both charts that complete a rule of the alarm set."""
CAPABILITY_NELSON: Final = "nelson_"
"""Prefix of the number of points on the chart of location that complete each of Nelson's rules, ``nelson_1`` to 8."""
CAPABILITY_UNIT: Final = "unit_text"
"""What the characteristic is measured in; empty text where that is not known."""

ENERGY_NUMBERS: Final = (
    "energy_kwh",
    "unattributed_kwh",
    "peak_kwh",
    "off_peak_kwh",
    "peak_share",
    "cost",
    "peak_cost",
    "off_peak_cost",
    "carbon_kg",
    "idle_kwh",
    "idle_share",
    "reactive_kvarh",
    "power_factor",
    "demand_max_kw",
    "demand_max_kw_at",
    "kwh_per_good",
    "kwh_per_ton",
    "cost_per_good",
    "carbon_kg_per_ton",
)
"""As the KPI API's ``energy`` names them; absent where undefined."""
BASELINE_NUMBERS: Final = ("driver_quantity", "expected_kwh", "saving_kwh", "enpi", "cusum_kwh")
"""Against the unit's baseline; ``cusum_kwh`` runs from the first day of the local year. Absent without a baseline."""
BILL_NUMBERS: Final = (
    "bill_energy_cost",
    "bill_reactive_cost",
    "bill_excess_kvarh",
    "bill_free_kvarh",
    "bill_load_hours",
    "bill_minimum",
    "bill_minimum_applies",
    "bill_total",
)
"""Of a calendar month, so far; absent on days."""
ENERGY_CURRENCY: Final = "currency_text"
ENERGY_DRIVER: Final = "driver_text"
"""Column of the additive record that drives the energy of the baseline."""

FIELDS: Final[Mapping[str, frozenset[str] | None]] = {
    Measurement.SAMPLES: None,
    Measurement.DIRTY: frozenset({DIRTY_FROM, DIRTY_TO, DIRTY_DONE, DIRTY_CAUSE, DIRTY_WHO, IDENTITY}),
    Measurement.FACTS: FACT_FIELDS,
    Measurement.FACTS_HOUR: FACT_FIELDS,
    Measurement.FACTS_SHIFT: FACT_FIELDS,
    Measurement.LOSSES: _LOSS_FIELDS,
    Measurement.LOSSES_HOUR: _LOSS_FIELDS,
    Measurement.LOSSES_SHIFT: _LOSS_FIELDS,
    Measurement.STOPS: _STOP_FIELDS,
    Measurement.STATEMENTS: _STATEMENT_FIELDS,
    Measurement.KPI_PUBLISHED: None,
    Measurement.CAPABILITY: frozenset({CURRENT, PERIOD_START, PERIOD_UNTIL, FLAGS})
    | frozenset(CAPABILITY_NUMBERS + CAPABILITY_LIMITS)
    | {CAPABILITY_READINGS, CAPABILITY_SUBGROUP, CAPABILITY_POINTS, CAPABILITY_ALARMS, CAPABILITY_UNIT}
    | {f"{CAPABILITY_NELSON}{rule}" for rule in range(1, 9)},
    Measurement.CHART_POINTS: frozenset(
        {CURRENT, CHART_VALUE, CHART_CENTRE, CHART_LOWER, CHART_UPPER, CHART_RULE, CHART_ALARM, CHART_SHIFT_START}
    ),
    Measurement.ENERGY_PUBLISHED: _WINDOW_FIELDS
    | frozenset(ENERGY_NUMBERS + BASELINE_NUMBERS + BILL_NUMBERS)
    | {ENERGY_CURRENCY, ENERGY_DRIVER},
    Measurement.SCORECARDS: frozenset(
        {CURRENT, PERIOD_START, PERIOD_UNTIL, COVERAGE}
        | {SCORE_VALUE, SCORE, SCORE_LEVEL, SCORE_WEIGHT, SCORE_TARGET, SCORE_BASELINE, SCORE_ACHIEVEMENT}
        | {SCORE_GROUP, SCORE_UNIT, *SCORE_IN_INDONESIAN, *SCORE_IN_INDONESIAN.values()}
        | {SCORE_PROVENANCE, SCORE_CONFIDENCE, SCORE_THRESHOLDS}
    ),
    Measurement.REVISIONS: _REVISION_FIELDS,
    Measurement.LEDGER: frozenset(
        {LEDGER_OLDEST, LEDGER_TOLD, LEDGER_HEARD, LEDGER_MOVED, LEDGER_CLOCK, *LEDGER_HEALTH}
        | {field.name for field in fields(AgentLedger)}
    ),
    Measurement.GRAINS: frozenset({GRAIN_SOURCE, GRAIN_LOSSES, GRAIN_BUCKET}),
    Measurement.SITES: frozenset({SITE_TIMEZONE, SITE_ID, SITE_LETTER}),
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
