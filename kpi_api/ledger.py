"""Points -> panels: every sample accounted for, from what agents and ingest left in the historian."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from historian.historian import Historian
from historian.records import unit_query
from historian.schema import (
    LEDGER_DEAD,
    LEDGER_HEARD,
    LEDGER_MOVED,
    LEDGER_OLDEST,
    LEDGER_REJECTED,
    LEDGER_TOLD,
    NOBODY,
    Measurement,
)
from kpi_api.answers import NOTHING, AgentAccount, LedgerAnswer, OutboxAccount
from kpi_api.concerns import concerns
from kpi_api.outbox_reports import OutboxReports, Report
from kpi_api.silence import Silence
from shopfloor.clock import Clock
from shopfloor.instant import SECOND, Instant
from shopfloor.ledger import AgentLedger
from shopfloor.plant import Plant

LedgerSource = Callable[[], Mapping[str, AgentLedger]]
"""Agent -> ledger. The edge's counts are read before those of the store, or a moving ledger looks broken."""

_EDGE: Final = ("polled", "appended", "confirmed", "in_outbox", "evicted")
_SLACK_MS: Final = 10 * SECOND
"""A sample appended after a report was taken at most so long before it."""


class LedgerReader:
    """Reads the books of all agents. Safe to call from several threads at once."""

    def __init__(
        self,
        plant: Plant,
        historian: Historian,
        clock: Clock,
        silence: Silence,
        *,
        source: LedgerSource | None = None,
        dead_letters: Callable[[], int] | None = None,
    ) -> None:
        """``source`` and ``dead_letters`` know the counts better than the historian: they live in this process."""
        self._plant = plant
        self._historian = historian
        self._clock = clock
        self._silence = silence
        self._source = source
        self._dead_letters = dead_letters
        self._reports = OutboxReports(historian)

    def answer(self) -> LedgerAnswer:
        """Every agent's ledger with what is off, and the dead letters."""
        reports = {agent: self._reports.of(agent) for agent in (*self._plant.agents, NOBODY)}  # before what is counted
        unclaimed = _letters(reports.pop(NOBODY))
        ledgers = dict(self._source()) if self._source else self._stored_ledgers(reports)
        accounts = {agent: self._account(agent, told) for agent, told in reports.items()}
        now = self._clock.now()
        surplus = sum(ledger.stored + ledger.rejected - ledger.confirmed for ledger in ledgers.values())
        for agent, account in accounts.items():
            ledger = ledgers.get(agent, NOTHING)
            arrived = self._arrived_since_told(agent, ledger, account)
            found = concerns(agent, ledger, account, now, arrived=arrived, moved_away=surplus >= 0)
            accounts[agent] = replace(account, concerns=found)
        letters = sum(unclaimed.values()) + sum(sum(each.dead_letters.values()) for each in accounts.values())
        return LedgerAnswer(
            ledgers,
            dead_letters=self._dead_letters() if self._dead_letters else letters,
            accounts=accounts,
            unclaimed=unclaimed,
            time=now,
        )

    def _stored_ledgers(self, reports: Mapping[str, Mapping[str, Report]]) -> dict[str, AgentLedger]:
        """The sums over the outboxes of agents that told their counts, with ``stored`` counted."""
        found = {}
        for agent, told in reports.items():
            sums: Counter[str] = Counter()
            for report in told.values():
                for name in (*_EDGE, LEDGER_REJECTED):
                    sums[name] += int(report.get(name, 0))
            if any("polled" in report for report in told.values()):
                edge = {name: sums[name] for name in _EDGE}
                found[agent] = AgentLedger(**edge, rejected=sums[LEDGER_REJECTED], stored=self._stored(agent))
        return found

    def _account(self, agent: str, told: Mapping[str, Report]) -> AgentAccount:
        outboxes = [_outbox(outbox, report) for outbox, report in told.items() if not _is_file(outbox)]
        newest = [sample.time for unit in self._plant.agents[agent].units if (sample := self._silence.newest(unit))]
        return AgentAccount(
            outboxes=sorted(outboxes, key=lambda each: each.heard or 0, reverse=True),
            dead_letters=_letters(told),
            newest_stored=max(newest, default=None),
        )

    def _arrived_since_told(self, agent: str, ledger: AgentLedger, account: AgentAccount) -> int:
        """Samples that the store may have got since the agent told its counts; counted only where it matters."""
        told = max((each.told for each in account.outboxes if each.told is not None), default=None)
        if ledger.stored + ledger.rejected <= ledger.appended or self._source is not None:
            return max(0, ledger.stored + ledger.rejected - ledger.appended)
        return self._stored(agent, None if told is None else told - _SLACK_MS)

    def _stored(self, agent: str, start: Instant | None = None) -> int:
        enterprise = self._plant.enterprise
        units: Iterable[str] = self._plant.agents[agent].units
        return sum(self._historian.count(unit_query(Measurement.SAMPLES, enterprise, unit, start)) for unit in units)


def _is_file(outbox: str) -> bool:
    """Whether it stands for a file of dead letters that tell no outbox."""
    return outbox.startswith("?")


def _outbox(outbox: str, report: Report) -> OutboxAccount:
    told, last = _instant(report, LEDGER_TOLD), _instant(report, LEDGER_HEARD)
    counts = {name: int(report.get(name, 0)) for name in _EDGE}
    return OutboxAccount(
        outbox=outbox,
        **counts,
        rejected=int(report.get(LEDGER_REJECTED, 0)),
        told=told,
        heard=max((each for each in (told, last) if each is not None), default=None),
        oldest_held=_instant(report, LEDGER_OLDEST) if counts["in_outbox"] else None,
        receipt_moved=_instant(report, LEDGER_MOVED),
    )


def _instant(report: Report, field: str) -> Instant | None:
    return int(report[field]) if field in report else None


def _letters(told: Mapping[str, Report]) -> dict[str, int]:
    """Dead letters by reason, over the outboxes."""
    sums: Counter[str] = Counter()
    for report in told.values():
        for name, value in report.items():
            if name.startswith(LEDGER_DEAD) and value:
                sums[name.removeprefix(LEDGER_DEAD)] += int(value)
    return dict(sorted(sums.items()))
