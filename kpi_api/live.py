"""KPIs -> panels: snapshots for the live page, made once for all who watch."""

import threading
from enum import StrEnum
from time import monotonic

from kpi_api import schemas
from kpi_api.answers import LedgerAnswer
from kpi_api.store import Store

RECENT_HOURS = 8
LEDGER_SHARE = 20
"""The ledger counts the whole store: it is read at most in 1/n of the time."""


class Span(StrEnum):
    """The window of a live KPI."""

    EIGHT_HOURS = "8h"
    SHIFT = "shift"


class Snapshots:
    """The newest snapshot for each span, at most ``max_age_s`` old. Safe to call from several threads."""

    def __init__(self, store: Store, max_age_s: float) -> None:
        self._store = store
        self._max_age_s = max_age_s
        self._lock = threading.Lock()
        self._made: dict[Span, tuple[float, str]] = {}
        self._ledger: LedgerAnswer | None = None
        self._ledger_due = 0.0

    def json(self, span: Span) -> str:
        """The snapshot as JSON; raises what the store raises."""
        with self._lock:
            made = self._made.get(span)
            if made is None or monotonic() - made[0] >= self._max_age_s:
                made = self._made[span] = (monotonic(), self._make(span).model_dump_json())
            return made[1]

    def _make(self, span: Span) -> schemas.Snapshot:
        store = self._store
        kpis = store.shift_items() if span is Span.SHIFT else store.recent_items(RECENT_HOURS)
        return schemas.Snapshot(
            time=schemas.rfc3339(store.now()),
            window=schemas.WindowTimes.model_validate(store.recent(RECENT_HOURS)),
            equipment=[schemas.Equipment.model_validate(unit) for unit in store.equipment()],
            kpis=[schemas.Kpi.model_validate(item) for item in kpis],
            today=[schemas.Kpi.model_validate(item) for item in store.today_items()],
            ledger=schemas.Ledger.of(self._current_ledger()),
        )

    def _current_ledger(self) -> LedgerAnswer:
        if self._ledger is None or monotonic() >= self._ledger_due:
            began = monotonic()
            self._ledger = self._store.ledger()
            self._ledger_due = began + (monotonic() - began) * LEDGER_SHARE
        return self._ledger
