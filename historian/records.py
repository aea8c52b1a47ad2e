"""The one writer and reader of typed records as *points*: samples, dirty intervals, facts, losses, stops, statements.

Both arrows around the store on registers -> samples -> messages -> points -> facts -> KPIs -> panels. Names come from
``schema``, words from ``shopfloor``. Every ``*_point`` has its ``point_*``; ``facts_of``, ``losses_of`` and
``stops_of`` read many and leave out what an overwrite has emptied.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from historian import schema
from historian.point import Number, Point, Query
from historian.schema import Grain, Measurement, Origin
from shopfloor.additive import COLUMNS, Elements, Merge, at_column
from shopfloor.equipment import EquipmentPath
from shopfloor.fact import Fact, Loss, Stop
from shopfloor.instant import MINUTE, Instant
from shopfloor.machine_state import TimeCategory
from shopfloor.quality import Quality, Reason, Status
from shopfloor.sample import Sample, Value
from shopfloor.statement import Statement, StatementKind

_MAXIMA = tuple((column.name, at_column(column.name)) for column in COLUMNS.values() if column.merge is Merge.MAX)


@dataclass(frozen=True, slots=True)
class Dirty:
    """An interval [start, end) of a unit that must be derived again. Its identity is (unit, origin, stamp)."""

    unit: str
    stamp: Instant
    """When it was noted; strictly increasing within a process."""
    start: Instant
    end: Instant
    done: bool = False
    origin: Origin = Origin.INGEST
    cause: str = ""
    """What a revision that follows from it says: ``statement <id>``, ``rederive``; empty for new samples."""
    who: str = ""
    id: str = ""
    """Keeps intervals of several processes apart; empty for new samples, which one process writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """The ``n``-th change (from 1) of one unit's facts in one shift. Its identity is (unit, shift, shift_start, n)."""

    unit: str
    shift: str
    shift_start: Instant
    n: int
    cause: str
    who: str
    before: Elements
    after: Elements
    at: Instant
    """When it was made."""


@dataclass(frozen=True, slots=True)
class AgentWatermark:
    """How far one outbox of an agent has come. Its identity is (agent, outbox, time)."""

    agent: str
    outbox: str
    time: Instant
    """When it was seen."""
    oldest_t: Instant
    """Oldest source time that the outbox still holds: before it, nothing more can come."""
    rejected: int
    """Samples of this outbox that were settled without a place in the store, so far."""
    heard: Instant | None = None
    """When its last message came, by the ingest clock; None for an outbox that sends none."""


@lru_cache(maxsize=4_096)
def unit_tags(enterprise: str, unit: str) -> Mapping[str, str]:
    """The tags of a unit path ``site/area/work_center/work_unit``; raises BadPath. Shared: read-only."""
    return EquipmentPath.parse(enterprise, unit).tags()


def unit_of(tags: Mapping[str, str]) -> str:
    """The unit path in a point's tags."""
    return f"{tags['site']}/{tags['area']}/{tags['work_center']}/{tags['work_unit']}"


def unit_query(
    measurement: str, enterprise: str, unit: str, start: Instant | None = None, end: Instant | None = None
) -> Query:
    """All points of one unit and measurement (a ``Grain`` is one too) in [start, end)."""
    return Query(measurement, unit_tags(enterprise, unit), start, end)


def latest_query(measurement: str, enterprise: str, unit: str, before: Instant | None = None) -> Query:
    """The unit's last point, or its last one before an instant."""
    return Query(measurement, unit_tags(enterprise, unit), end=before, descending=True, limit=1)


def sample_point(enterprise: str, sample: Sample) -> Point:
    """A sample as a point. An integer beyond 2^53 stays one, for the store to reject."""
    fields: Mapping[str, Number | str] = sample.values
    if sample.status:
        fields = {**fields, schema.STATUS: _status_text(sample.status)}
    return Point(Measurement.SAMPLES, unit_tags(enterprise, sample.unit), sample.time, fields)


def point_sample(point: Point) -> Sample:
    """A stored sample; every number is a float."""
    values: dict[str, Value] = {
        tag: value if isinstance(value, str) else float(value)
        for tag, value in point.fields.items()
        if tag != schema.STATUS
    }
    status = status_of(str(point.fields.get(schema.STATUS, "")))
    return Sample(unit=unit_of(point.tags), time=point.time, values=values, status=status)


def _status_text(status: Mapping[str, Status]) -> str:
    return ";".join(f"{tag}={state.quality}:{state.reason}" for tag, state in sorted(status.items()))


def status_of(text: str) -> dict[str, Status]:
    """The tags that are not GOOD, from a sample's stored status text."""
    status = {}
    for entry in text.split(";") if text else ():
        tag, _, state = entry.partition("=")
        quality, _, reason = state.partition(":")
        status[tag] = _status(quality, reason)
    return status


@lru_cache(maxsize=64)
def _status(quality: str, reason: str) -> Status:
    return Status(Quality(quality), Reason(reason))


def fact_point(enterprise: str, grain: Grain, fact: Fact) -> Point:
    """A fact, or what ``overwrite.changes`` found of it, as a point; every given column is written, zeros too."""
    tags = _fact_tags(enterprise, fact.unit, fact.shift, fact.product)
    return Point(grain, tags, fact.time, fact.elements)


@lru_cache(maxsize=2_048)
def _fact_tags(enterprise: str, unit: str, shift: str, product: str) -> Mapping[str, str]:
    return {**unit_tags(enterprise, unit), schema.SHIFT: shift, schema.PRODUCT: product}


def point_fact(point: Point) -> Fact:
    """A stored fact without its zero columns; without any column when it was overwritten."""
    tags = point.tags
    elements: Elements = {name: value for name, value in point.fields.items() if value}  # type: ignore[misc]
    _drop_lone_instants(elements)
    return Fact(unit_of(tags), point.time, tags[schema.SHIFT], tags[schema.PRODUCT], elements)


def facts_of(points: Iterable[Point]) -> list[Fact]:
    """The facts in ``points`` that hold anything."""
    return [fact for fact in map(point_fact, points) if fact.elements]


def sparse(elements: Mapping[str, float]) -> Elements:
    """Elements as they read back from the store: no zero columns, no instant without its maximum."""
    kept = dict(elements) if all(elements.values()) else {name: value for name, value in elements.items() if value}
    _drop_lone_instants(kept)
    return kept


def _drop_lone_instants(elements: Elements) -> None:
    for name, instant in _MAXIMA:
        if instant in elements and name not in elements:
            del elements[instant]


def loss_point(enterprise: str, loss: Loss, grain: Grain = Grain.MINUTE) -> Point:
    """A loss of a grain as a point, zeros too."""
    tags = {
        **_fact_tags(enterprise, loss.unit, loss.shift, loss.product),
        schema.CATEGORY: loss.category,
        schema.REASON: loss.reason,
    }
    fields = {schema.LOST_SECONDS: float(loss.seconds), schema.LOST_COUNT: float(loss.count)}
    return Point(schema.LOSSES_OF[grain], tags, loss.time, fields)


def point_loss(point: Point) -> Loss:
    """A stored loss; 0 seconds and 0 times when it was overwritten."""
    tags = point.tags
    return Loss(
        unit=unit_of(tags),
        time=point.time,
        shift=tags[schema.SHIFT],
        product=tags[schema.PRODUCT],
        category=tags[schema.CATEGORY],
        reason=tags[schema.REASON],
        seconds=_number(point, schema.LOST_SECONDS),
        count=_number(point, schema.LOST_COUNT),
    )


def losses_of(points: Iterable[Point]) -> list[Loss]:
    """The losses in ``points`` that lost anything."""
    return [loss for loss in map(point_loss, points) if loss.seconds or loss.count]


def stop_point(enterprise: str, stop: Stop) -> Point:
    """A stop as a point. One that ends where it starts says: this stop no longer exists."""
    fields: dict[str, Number | str] = {
        schema.STOP_END: float(stop.end or 0),
        schema.STOP_DURATION: (stop.end - stop.start) / 1000 if stop.end else 0.0,
        schema.STOP_CATEGORY: stop.category,
        schema.STOP_CODE: "" if stop.code is None else str(stop.code),
        schema.STOP_REASON: stop.reason,
        schema.STOP_STATEMENT: stop.statement,
        schema.STOP_FAILURE: float(stop.failure),
    }
    return Point(Measurement.STOPS, unit_tags(enterprise, stop.unit), stop.start, fields)


def point_stop(point: Point) -> Stop:
    """A stored stop."""
    code = _text(point, schema.STOP_CODE)
    return Stop(
        unit=unit_of(point.tags),
        start=point.time,
        end=int(_number(point, schema.STOP_END)) or None,
        category=_text(point, schema.STOP_CATEGORY),
        code=int(code) if code else None,
        reason=_text(point, schema.STOP_REASON),
        statement=_text(point, schema.STOP_STATEMENT),
        failure=bool(_number(point, schema.STOP_FAILURE)),
    )


def stops_of(points: Iterable[Point]) -> list[Stop]:
    """The stops in ``points`` that still exist."""
    return [stop for stop in map(point_stop, points) if stop.end != stop.start]


def statement_point(enterprise: str, statement: Statement, stamp: Instant) -> Point:
    """A statement as a point at ``stamp``, its place among the unit's statements; what it leaves open is left out."""
    given = {
        schema.STATEMENT_ID: statement.id,
        schema.STATEMENT_KIND: statement.kind.value,
        schema.STATEMENT_START: float(statement.start),
        schema.STATEMENT_END: None if statement.end is None else float(statement.end),
        schema.STATEMENT_AUTHOR: statement.author,
        schema.STATEMENT_MADE_AT: float(statement.made_at),
        schema.STATEMENT_SUPERSEDES: statement.supersedes,
        schema.STATEMENT_WITHDRAWN: float(statement.withdrawn),
        schema.STATEMENT_REASON: statement.reason,
        schema.STATEMENT_CATEGORY: statement.category and statement.category.value,
        schema.STATEMENT_PRODUCT: statement.product,
        schema.STATEMENT_ORDER: statement.order,
        schema.STATEMENT_NOTE: statement.note or None,
    }
    fields: dict[str, Number | str] = {name: value for name, value in given.items() if value is not None}
    fields.update({schema.STATEMENT_QUANTITY + name: float(value) for name, value in statement.quantities.items()})
    return Point(Measurement.STATEMENTS, unit_tags(enterprise, statement.unit), stamp, fields)


def point_statement(point: Point) -> Statement:
    """A stored statement."""
    category = _optional(point, schema.STATEMENT_CATEGORY)
    return Statement(
        id=_text(point, schema.STATEMENT_ID),
        unit=unit_of(point.tags),
        kind=StatementKind(_text(point, schema.STATEMENT_KIND)),
        start=int(_number(point, schema.STATEMENT_START)),
        end=int(_number(point, schema.STATEMENT_END)) if schema.STATEMENT_END in point.fields else None,
        author=_text(point, schema.STATEMENT_AUTHOR),
        made_at=int(_number(point, schema.STATEMENT_MADE_AT)),
        supersedes=_optional(point, schema.STATEMENT_SUPERSEDES),
        withdrawn=bool(_number(point, schema.STATEMENT_WITHDRAWN)),
        reason=_optional(point, schema.STATEMENT_REASON),
        category=TimeCategory(category) if category else None,
        product=_optional(point, schema.STATEMENT_PRODUCT),
        order=_optional(point, schema.STATEMENT_ORDER),
        quantities=_prefixed(point, schema.STATEMENT_QUANTITY),
        note=_text(point, schema.STATEMENT_NOTE),
    )


def dirty_point(enterprise: str, dirty: Dirty) -> Point:
    """A dirty interval as a point."""
    tags = _dirty_tags(enterprise, dirty.unit, dirty.origin)
    fields: dict[str, Number | str] = {
        schema.DIRTY_FROM: float(dirty.start),
        schema.DIRTY_TO: float(dirty.end),
        schema.DIRTY_DONE: float(dirty.done),
    }
    told = {schema.DIRTY_CAUSE: dirty.cause, schema.DIRTY_WHO: dirty.who, schema.IDENTITY: dirty.id}
    fields.update({name: text for name, text in told.items() if text})
    return Point(Measurement.DIRTY, tags, dirty.stamp, fields)


@lru_cache(maxsize=4_096)
def _dirty_tags(enterprise: str, unit: str, origin: Origin) -> Mapping[str, str]:
    return {**unit_tags(enterprise, unit), schema.ORIGIN: origin.value}


def point_dirty(point: Point) -> Dirty:
    """A stored dirty interval."""
    return Dirty(
        unit=unit_of(point.tags),
        stamp=point.time,
        start=int(_number(point, schema.DIRTY_FROM)),
        end=int(_number(point, schema.DIRTY_TO)),
        done=bool(_number(point, schema.DIRTY_DONE)),
        origin=Origin(point.tags[schema.ORIGIN]),
        cause=_text(point, schema.DIRTY_CAUSE),
        who=_text(point, schema.DIRTY_WHO),
        id=_text(point, schema.IDENTITY),
    )


def revision_point(enterprise: str, revision: Revision) -> Point:
    """A revision as a point, stamped ``n`` ms after the shift's start so that none overwrites another."""
    if not 0 < revision.n < MINUTE:
        raise ValueError(f"a shift has revisions 1 to {MINUTE - 1}, not {revision.n}")
    tags = {**unit_tags(enterprise, revision.unit), schema.SHIFT: revision.shift}
    fields: dict[str, Number | str] = {
        schema.REVISION_SHIFT_START: float(revision.shift_start),
        schema.REVISION_N: float(revision.n),
        schema.REVISION_AT: float(revision.at),
        schema.REVISION_CAUSE: revision.cause,
        schema.REVISION_WHO: revision.who,
        **{schema.REVISION_BEFORE + name: float(value) for name, value in sparse(revision.before).items()},
        **{schema.REVISION_AFTER + name: float(value) for name, value in sparse(revision.after).items()},
    }
    return Point(Measurement.REVISIONS, tags, revision.shift_start + revision.n, fields)


def point_revision(point: Point) -> Revision:
    """A stored revision."""
    return Revision(
        unit=unit_of(point.tags),
        shift=point.tags[schema.SHIFT],
        shift_start=int(_number(point, schema.REVISION_SHIFT_START)),
        n=int(_number(point, schema.REVISION_N)),
        cause=_text(point, schema.REVISION_CAUSE),
        who=_text(point, schema.REVISION_WHO),
        before=_prefixed(point, schema.REVISION_BEFORE),
        after=_prefixed(point, schema.REVISION_AFTER),
        at=int(_number(point, schema.REVISION_AT)),
    )


def _prefixed(point: Point, prefix: str) -> Elements:
    return {name.removeprefix(prefix): float(value) for name, value in point.fields.items() if name.startswith(prefix)}


def watermark_point(watermark: AgentWatermark) -> Point:
    """An agent's watermark as a point."""
    tags = {schema.AGENT: watermark.agent, schema.OUTBOX: watermark.outbox}
    fields: dict[str, Number | str] = {
        schema.LEDGER_OLDEST: float(watermark.oldest_t),
        schema.LEDGER_REJECTED: float(watermark.rejected),
    }
    if watermark.heard is not None:
        fields[schema.LEDGER_HEARD] = float(watermark.heard)
    return Point(Measurement.LEDGER, tags, watermark.time, fields)


def edge_ledger_point(
    agent: str,
    outbox: str,
    time: Instant,
    counts: Mapping[str, int],
    *,
    told: Instant | None = None,
    moved: Instant | None = None,
) -> Point:
    """An agent's side of the ledger (fields of ``AgentLedger``) beside its watermark of the same minute.

    ``told`` is when the agent said so, ``moved`` when ``confirmed`` was last seen to grow; None: not known.
    """
    fields: dict[str, Number | str] = {name: float(count) for name, count in counts.items()}
    times = {schema.LEDGER_TOLD: told, schema.LEDGER_MOVED: moved}
    fields.update({name: float(instant) for name, instant in times.items() if instant is not None})
    return Point(Measurement.LEDGER, {schema.AGENT: agent, schema.OUTBOX: outbox}, time, fields)


def dead_letters_point(
    agent: str, outbox: str, time: Instant, letters: Mapping[str, int], rejected: int | None
) -> Point:
    """Dead letters of one outbox by reason, zeros too; ``rejected`` are the samples among them, None for no sample."""
    fields: dict[str, Number | str] = {f"{schema.LEDGER_DEAD}{reason}": float(n) for reason, n in letters.items()}
    if rejected is not None:
        fields[schema.LEDGER_REJECTED] = float(rejected)
    return Point(Measurement.LEDGER, {schema.AGENT: agent, schema.OUTBOX: outbox}, time, fields)


def point_watermark(point: Point) -> AgentWatermark:
    """A stored watermark."""
    return AgentWatermark(
        agent=point.tags[schema.AGENT],
        outbox=point.tags[schema.OUTBOX],
        time=point.time,
        oldest_t=int(_number(point, schema.LEDGER_OLDEST)),
        rejected=int(_number(point, schema.LEDGER_REJECTED)),
        heard=int(_number(point, schema.LEDGER_HEARD)) if schema.LEDGER_HEARD in point.fields else None,
    )


def _number(point: Point, field: str) -> float:
    return float(point.fields.get(field, 0.0))


def _text(point: Point, field: str) -> str:
    return str(point.fields.get(field, ""))


def _optional(point: Point, field: str) -> str | None:
    return _text(point, field) or None
