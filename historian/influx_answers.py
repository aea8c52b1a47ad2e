"""What an InfluxDB means by its answers: pure judgements on status, headers and words.

Under the store of *points* (registers -> samples -> messages -> points -> facts -> KPIs -> panels). A write is answered
with 204 or with words; the words differ between 1.x, 2.x and 3.x, what they mean for us does not:

| answer | meaning |
|---|---|
| 400, 422 with words about lines | ``LinesRefused``: some lines can never be stored, the others may be by now |
| 413 | ``TooLarge``: send less at once |
| anything else | ``Backpressure``: nothing is lost, try again; the words say whether a person must act |
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import msgspec

from historian.influx_access import InfluxAccess
from shopfloor.errors import Backpressure, ShopfloorError

MAX_WAIT_S: Final = 300.0
"""No server may ask for more patience than this."""
MAX_WORDS: Final = 500
_WAIT_S: Final = 1.0
_PERSON_WAIT_S: Final = 5.0
"""Where a person must act, there is no hurry."""

_ABOUT_LINES = re.compile(
    "partial write|unable to parse|field type conflict|beyond retention|outside retention|max-values-per-tag|max-series"
    "|key size|input field|outside range|invalid (?:number|float|integer|boolean|tag|field|time)|line protocol",
    re.IGNORECASE,
)
_LIMITS = re.compile("(max-values-per-tag|max-series-per-database)", re.IGNORECASE)
_MISSES = re.compile(r"(?:database|retention policy|bucket|mapping)\b.*\bfound", re.IGNORECASE)
"""The server lacks the database, policy, bucket or mapping."""
_DROPPED = re.compile(r"dropped[= ](\d+)")
_UNFIT = re.compile(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\uffff]+")


class ServerFault(Backpressure):
    """The server does not do it now; ``final`` when it will not before a person has acted."""

    def __init__(self, detail: str, retry_after_s: float = _WAIT_S, *, final: bool = False) -> None:
        self.final = final
        super().__init__(detail, retry_after_s)


class TooLarge(ShopfloorError):
    """The server takes no body of this size."""


class LinesRefused(ShopfloorError):
    """The server refuses lines of a request for good; it does not say which, and may have stored the others."""

    def __init__(self, words: str, *, sure: bool) -> None:
        """``sure`` when the words are known to speak of lines."""
        self.sure = sure
        found = _DROPPED.search(words)
        self.dropped = int(found[1]) if found else None
        """How many of one shard it dropped, when it says so."""
        super().__init__(words)


class _Said(msgspec.Struct):
    error: str | None = None
    message: str | None = None


def words_of(body: bytes) -> str:
    """What an answer says, as one printable line."""
    try:
        said = msgspec.json.decode(body, type=_Said)
        text = said.error if said.error and not said.message else said.message or ""
    except msgspec.MsgspecError:
        text = ""
    text = text or body[: 2 * MAX_WORDS].decode(errors="replace")
    return _UNFIT.sub(" ", text).strip()[:MAX_WORDS] or "no words"


def wait_s(headers: Mapping[str, str]) -> float:
    """How long ``Retry-After`` asks to wait, in seconds or until a date; a second when it does not."""
    given = headers.get("Retry-After", "").strip()
    try:
        return min(max(float(given), 0.0), MAX_WAIT_S)
    except ValueError:
        pass
    try:
        then, now = parsedate_to_datetime(given), parsedate_to_datetime(headers.get("Date", ""))
        return min(max((then - now).total_seconds(), 0.0), MAX_WAIT_S)
    except (ValueError, TypeError):
        return _WAIT_S


def write_fault(access: InfluxAccess, status: int, headers: Mapping[str, str], body: bytes) -> ShopfloorError | None:
    """What the answer to a write means; None when every line is durable."""
    if status in (HTTPStatus.NO_CONTENT, HTTPStatus.OK):
        return None
    words = words_of(body)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TooLarge(words)
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        if _ABOUT_LINES.search(words):  # first: the words may quote the line, which may say anything
            return LinesRefused(_with_limit(words), sure=True)
        if remedy_for(status, words) is None:
            return LinesRefused(words, sure=False)
    return fault(access, status, headers, words)


def fault(access: InfluxAccess, status: int, headers: Mapping[str, str], words: str) -> ServerFault:
    """What any other answer but success means: data are kept, and the line says what to do."""
    told = f"the historian {access} answers {'' if status == HTTPStatus.OK else f'{status:d} '}({words})"
    if remedy := remedy_for(status, words):
        return ServerFault(f"{told}; {remedy}", max(wait_s(headers), _PERSON_WAIT_S), final=True)
    return ServerFault(told, wait_s(headers))


def remedy_for(status: int, words: str) -> str | None:
    """What a person must do, where only a person can."""
    if status == HTTPStatus.UNAUTHORIZED:
        return (
            "set SHOPFLOOR_HISTORIAN_TOKEN (2.x, 3.x), or SHOPFLOOR_HISTORIAN_USERNAME and _PASSWORD (1.x), "
            "to what the server knows"
        )
    if status == HTTPStatus.FORBIDDEN:
        return "give this token or user the right to read and write the database"
    if _MISSES.search(words):
        return "make the database with 'shopfloor historian init', or correct its name in SHOPFLOOR_HISTORIAN"
    if "to an HTTPS server" in words:
        return "write https:// in SHOPFLOOR_HISTORIAN"
    if status == HTTPStatus.NOT_FOUND or 300 <= status < 400:
        return "this does not look like an InfluxDB; correct host and port in SHOPFLOOR_HISTORIAN"
    return None


def _with_limit(words: str) -> str:
    limit = _LIMITS.search(words)
    return f"{words} (raise {limit[1]} in the server's configuration, then replay the dead letters)" if limit else words
