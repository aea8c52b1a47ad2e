"""What ``shopfloor historian init`` does on an InfluxDB: database, retention and mapping are made, or set right.

Under the store of *points* (registers -> samples -> messages -> points -> facts -> KPIs -> panels). Doing it again
changes nothing; every step tells what it found or changed. On 1.x it speaks InfluxQL, on 2.x and 3.x their own API.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import msgspec

from historian.influx import InfluxHistorian
from historian.influx_access import InfluxAccess
from historian.influx_answers import ServerFault, fault
from historian.influx_http import Answer, InfluxServer
from historian.influx_names import KEPT, RAW
from historian.influxql import identifier
from shopfloor.errors import ServiceUnavailable
from shopfloor.instant import HOUR

DAY: Final = 24 * HOUR
RAW_RETENTION: Final = 400 * DAY
FOREVER: Final = 0
LEAST_RETENTION: Final = HOUR
"""InfluxDB keeps nothing for a shorter time."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How long points of one place are kept, and how much time a file group (shard) spans. In ms."""

    name: str
    retention: int
    """``FOREVER`` or a duration."""
    shard: int

    def __str__(self) -> str:
        return f"{_told(self.retention)}, shards of {_told(self.shard)}"


def policies(raw_retention: int) -> tuple[Policy, Policy]:
    """KEPT and RAW. Facts for ever want few and long shards: ten years of them are 40."""
    return Policy(KEPT, FOREVER, 91 * DAY), Policy(RAW, raw_retention, _raw_shard(raw_retention))


def _raw_shard(retention: int) -> int:
    """A shard is dropped whole: the shorter the retention, the shorter the shard."""
    if retention == FOREVER:
        return 28 * DAY
    if retention >= 28 * DAY:
        return 7 * DAY
    return DAY if retention >= 2 * DAY else HOUR


def _told(duration: int) -> str:
    if duration == FOREVER:
        return "for ever"
    return f"{duration // DAY}d" if duration % DAY == 0 else f"{duration // HOUR}h"


def set_up(access: InfluxAccess, raw_retention: int = RAW_RETENTION) -> Iterator[str]:
    """Make or correct everything, telling each step in a line.

    Raises ServiceUnavailable, or Backpressure for a server that is away, in one line that says what to do.
    """
    if raw_retention != FOREVER and raw_retention < LEAST_RETENTION:
        raise ServiceUnavailable("InfluxDB keeps nothing for less than an hour; give --raw-retention 1h or more")
    server = InfluxServer(access)
    try:
        version = _version(server)
        yield f"InfluxDB {version} at {access.base}"
        if access.remote and not access.base.startswith("https:") and (access.token or access.password):
            yield "warning: the token or password travels unencrypted; use https://"
        generation = version.removeprefix("v").partition(".")[0]
        steps = {"2": _set_up_2, "3": _set_up_3}.get(generation, _set_up_1)
        yield from steps(server, policies(raw_retention))
    finally:
        server.close()
    historian = InfluxHistorian(access)
    try:
        historian.check()
    finally:
        historian.close()
    yield f"{access} is ready"


def _version(server: InfluxServer) -> str:
    found = server.ask("GET", "/ping")
    version = found.headers.get("X-Influxdb-Version", "")
    if not version and found.status == HTTPStatus.OK:
        try:
            version = msgspec.json.decode(found.body, type=dict[str, Any]).get("version", "")
        except msgspec.MsgspecError:
            version = ""
    if not version:
        if found.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            _refuse(server, found)
        raise ServiceUnavailable(
            f"{server.access.base} does not answer like an InfluxDB; correct host and port in SHOPFLOOR_HISTORIAN"
        )
    return str(version)


def _refuse(server: InfluxServer, found: Answer) -> None:
    raise ServiceUnavailable(str(fault(server.access, found.status, found.headers, found.words)))


# ------------------------------------------------------------ 1.x


def _set_up_1(server: InfluxServer, wanted: Sequence[Policy]) -> Iterator[str]:
    database = identifier(server.access.database)
    if server.access.database in {row[0] for row in _rows(server, "SHOW DATABASES")}:
        yield f"database {server.access.database}: is there"
    else:
        kept = wanted[0]
        _do(server, f"CREATE DATABASE {database} WITH {_clauses(kept)} NAME {identifier(kept.name)}")
        yield f"database {server.access.database}: made"
    for policy in wanted:
        yield from _policy_1(server, database, policy)
    yield from _index_1(server)


def _policy_1(server: InfluxServer, database: str, wanted: Policy) -> Iterator[str]:
    default = wanted.name == KEPT
    have = {
        name: (Policy(name, _go_ms(retention), _go_ms(shard)), is_default)
        for name, retention, shard, _, is_default in _rows(server, f"SHOW RETENTION POLICIES ON {database}")
    }
    known, is_default = have.get(wanted.name, (None, False))
    clauses = f"{identifier(wanted.name)} ON {database} {_clauses(wanted)}{' DEFAULT' if default else ''}"
    if known is None:
        _do(server, f"CREATE RETENTION POLICY {clauses}")
        yield f"retention policy {wanted.name}: made, {wanted}"
    elif known != wanted or is_default < default:
        _do(server, f"ALTER RETENTION POLICY {clauses}")
        yield f"retention policy {wanted.name}: changed from {known} to {wanted}"
    else:
        yield f"retention policy {wanted.name}: is there, {wanted}"


def _clauses(policy: Policy) -> str:
    retention = "INF" if policy.retention == FOREVER else f"{policy.retention // HOUR}h"
    return f"DURATION {retention} REPLICATION 1 SHARD DURATION {policy.shard // HOUR}h"


def _go_ms(duration: str) -> int:
    """``2184h0m0s`` in ms."""
    hours, _, rest = duration.rpartition("h")
    minutes, _, seconds = rest.rpartition("m")
    return int(hours or 0) * HOUR + int(minutes or 0) * 60_000 + int(seconds.removesuffix("s") or 0) * 1_000


def _index_1(server: InfluxServer) -> Iterator[str]:
    """1.x does not tell its index by HTTP; on this machine the folders of the shards do."""
    index = _local_index(server)
    if index == "tsi1":
        yield "index: tsi1"
    elif index == "inmem":
        yield (
            'warning: the index is inmem, which keeps every series in memory; set index-version = "tsi1" under [data] '
            "in influxdb.conf, and convert what is there with influx_inspect buildtsi"
        )
    else:
        yield 'index: the server does not tell; index-version = "tsi1" must stand under [data] in influxdb.conf'


def _local_index(server: InfluxServer) -> str | None:
    if server.access.remote:
        return None
    try:
        (folder,) = {row["dir"] for row in _records(server, "SHOW DIAGNOSTICS") if "wal-dir" in row}
        places = (Path(folder) / server.access.database).glob("[!_]*/*")  # not the series' own folder
        shards = [shard for shard in places if shard.name.isdecimal()]
        if not shards:
            return None
        return "tsi1" if all((shard / "index").is_dir() for shard in shards) else "inmem"
    except (OSError, ValueError, ServerFault):
        return None


def _rows(server: InfluxServer, text: str) -> list[list[Any]]:
    return [list(record.values()) for record in _records(server, text)]


def _records(server: InfluxServer, text: str) -> list[dict[str, Any]]:
    try:
        return [
            dict(zip(series.columns, row, strict=True))
            for _, series in server.query("", text)
            for row in msgspec.json.decode(series.values)
        ]
    except ServerFault as error:
        if error.final:
            raise ServiceUnavailable(str(error)) from error
        raise


def _do(server: InfluxServer, text: str) -> None:
    _records(server, text)


# ------------------------------------------------------------ 2.x


def _set_up_2(server: InfluxServer, wanted: Sequence[Policy]) -> Iterator[str]:
    org = _org(server)
    database = server.access.database
    mapped = {
        (each["database"], each["retention_policy"]): each
        for each in _json(server, "GET", "/api/v2/dbrps", {"orgID": org, "db": database})["content"]
        if not each.get("virtual")
    }
    for policy in wanted:
        name = f"{database}/{policy.name}"
        mapping = mapped.get((database, policy.name))
        bucket = _bucket(server, org, {"id": mapping["bucketID"]} if mapping else {"name": name})
        rules = [{"type": "expire", "everySeconds": policy.retention // 1000} | _shard(policy)]
        if bucket is None:
            bucket = _json(server, "POST", "/api/v2/buckets", {}, {"orgID": org, "name": name, "retentionRules": rules})
            yield f"bucket {name}: made, {policy}"
        elif (known := _policy_2(policy.name, bucket)) != policy:
            _json(server, "PATCH", f"/api/v2/buckets/{bucket['id']}", {}, {"retentionRules": rules})
            yield f"bucket {bucket['name']}: changed from {known} to {policy}"
        else:
            yield f"bucket {bucket['name']}: is there, {policy}"
        if mapping is None:
            place = {"orgID": org, "bucketID": bucket["id"], "database": database, "retention_policy": policy.name}
            _json(server, "POST", "/api/v2/dbrps", {}, {**place, "default": policy.name == KEPT})
            yield f"mapping {database}, {policy.name} to the bucket: made"
        else:
            yield f"mapping {database}, {policy.name} to the bucket: is there"


def _shard(policy: Policy) -> dict[str, int]:
    return {"shardGroupDurationSeconds": policy.shard // 1000}


def _policy_2(name: str, bucket: Mapping[str, Any]) -> Policy:
    rule: Mapping[str, int] = next(iter(bucket.get("retentionRules") or ({},)))
    seconds = rule.get("everySeconds", 0), rule.get("shardGroupDurationSeconds", 0)
    return Policy(name, *(int(each) * 1000 for each in seconds))


def _bucket(server: InfluxServer, org: str, which: Mapping[str, str]) -> dict[str, Any] | None:
    found = server.ask("GET", "/api/v2/buckets", {"orgID": org, **which})
    if found.status == HTTPStatus.NOT_FOUND:
        return None
    buckets: list[dict[str, Any]] = _decoded(server, found)["buckets"]
    return buckets[0] if buckets else None


def _org(server: InfluxServer) -> str:
    """The id of the organization that the environment names, or of the only one."""
    name = server.access.org
    found = server.ask("GET", "/api/v2/orgs", {"org": name} if name else {})
    if found.status == HTTPStatus.NOT_FOUND:
        raise ServiceUnavailable(f"{server.access.base} has no organization {name!r}; correct SHOPFLOOR_HISTORIAN_ORG")
    orgs: list[dict[str, Any]] = _decoded(server, found)["orgs"]
    if len(orgs) != 1:
        known = ", ".join(sorted(each["name"] for each in orgs)) or "none that this token may see"
        raise ServiceUnavailable(f"set SHOPFLOOR_HISTORIAN_ORG to an organization of {server.access.base}: {known}")
    return str(orgs[0]["id"])


# ------------------------------------------------------------ 3.x


def _set_up_3(server: InfluxServer, wanted: Sequence[Policy]) -> Iterator[str]:
    path = "/api/v3/configure/database"
    there = _decoded(server, server.ask("GET", path, {"format": "json"}))
    known = {name for each in there for name in each.values()}
    for policy in wanted:
        name = server.access.database if policy.name == KEPT else f"{server.access.database}/{policy.name}"
        if name in known:
            yield f"database {name}: is there; its retention is not checked and should be {_told(policy.retention)}"
            continue
        keep = {} if policy.retention == FOREVER else {"retention_period": f"{policy.retention // HOUR}h"}
        _json(server, "POST", path, {}, {"db": name, **keep})
        yield f"database {name}: made, {_told(policy.retention)}"


# ------------------------------------------------------------ JSON


def _json(server: InfluxServer, method: str, path: str, fields: Mapping[str, str], body: Any = None) -> Any:
    return _decoded(server, server.ask_json(method, path, fields, body))


def _decoded(server: InfluxServer, found: Answer) -> Any:
    if not HTTPStatus.OK <= found.status < HTTPStatus.MULTIPLE_CHOICES:
        _refuse(server, found)
    try:
        return msgspec.json.decode(found.body) if found.body else {}
    except msgspec.DecodeError as error:
        raise ServiceUnavailable(f"{server.access.base} gave an answer that cannot be read: {error}") from error
