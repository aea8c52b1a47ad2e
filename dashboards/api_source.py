"""The KPI API over HTTP, for the numbers that boards must show.

Beside the panels of registers -> samples -> messages -> points -> facts -> KPIs -> panels, for ``verify``.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import msgspec
import urllib3

from dashboards.time_range import TimeRange
from shopfloor.errors import ServiceUnavailable
from shopfloor.instant import format_instant

KEY_HEADER: Final = "X-API-Key"
PATIENCE_S: Final = 60.0


class _Item(msgspec.Struct):
    unit: str
    kpis: dict[str, float | None]


class _Items(msgspec.Struct):
    items: list[_Item]


class _Problem(msgspec.Struct):
    title: str = ""
    detail: str = ""
    remedy: str = ""


class KpiApi:
    """An API by its URL."""

    def __init__(self, url: str, key: str | None = None) -> None:
        """Raises ServiceUnavailable for what is no URL."""
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ServiceUnavailable("the API's URL cannot be read; write e.g. --api http://127.0.0.1:8080")
        self._url, self._headers = url.rstrip("/"), {KEY_HEADER: key} if key else {}
        self._pool = urllib3.PoolManager(retries=False)

    def check(self) -> None:
        """Raises ServiceUnavailable when nothing could be asked there."""
        self._get("/api/v1/equipment", {})

    def kpis(self, window: TimeRange, subject: str = "*") -> Mapping[str, Mapping[str, float | None]]:
        """Unit -> KPI -> value over a window; of a place with its path. Raises ServiceUnavailable, with what to do."""
        fields = {"unit": subject, "from": format_instant(window.start), "to": format_instant(window.end)}
        answer = self._get("/api/v1/kpis", fields)
        try:
            found = msgspec.json.decode(answer, type=_Items)
        except msgspec.MsgspecError:
            raise ServiceUnavailable(f"{self._url} does not answer like a KPI API; correct --api") from None
        return {item.unit: item.kpis for item in found.items}

    def _get(self, path: str, fields: Mapping[str, str]) -> bytes:
        try:
            answer = self._pool.request(
                "GET", f"{self._url}{path}", fields=dict(fields), headers=self._headers, timeout=PATIENCE_S
            )
        except urllib3.exceptions.HTTPError:
            raise ServiceUnavailable(
                f"the KPI API {self._url} cannot be reached; start it with 'shopfloor api', or correct --api"
            ) from None
        if answer.status != HTTPStatus.OK:
            raise ServiceUnavailable(f"the KPI API {self._url} answers {answer.status} ({_words(answer.data)})")
        return answer.data


def _words(body: bytes) -> str:
    try:
        said = msgspec.json.decode(body, type=_Problem)
    except msgspec.MsgspecError:
        return "no words"
    return "; ".join(part for part in (said.detail or said.title, said.remedy) if part) or "no words"
