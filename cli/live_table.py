"""The demo's table on the terminal: units, states, OEE and its factors, coverage, ledger; plain lines without a tty."""

import asyncio
import sys
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from kpi_api.answers import KpiItem
from kpi_api.store import Store
from shopfloor.clock import CatchUpClock
from shopfloor.instant import format_instant

EVERY_S = 2.0
HOURS = 8
FACTORS = ("oee_index", "availability", "effectiveness", "quality_ratio")


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError("nobody reads the output any more")  # the library would exit from inside the task


class LiveTable:
    """Shows the store every two seconds until it is cancelled."""

    def __init__(self, store: Store, clock: CatchUpClock, url: str) -> None:
        self._store, self._clock, self._url = store, clock, url
        self._console = _Terminal(file=sys.stdout)

    async def run(self) -> None:
        """Draw until cancelled."""
        self._console.print(f"Live page: [bold]{self._url}[/]   API: {self._url}/docs   (Ctrl-C ends)")
        if not self._console.is_terminal:
            await self._lines()
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(await asyncio.to_thread(self._table), refresh=True)
                await asyncio.sleep(EVERY_S)

    def finish(self, report: dict[str, Any]) -> None:
        """The last word: measured beside true."""
        self._console.print(_comparison(report))
        for agent, ledger in report["ledger"]["agents"].items():
            counts = ", ".join(f"{name} {count:,}" for name, count in ledger.items())
            self._console.print(f"ledger {agent}: {counts}")

    async def _lines(self) -> None:
        while True:
            items = await asyncio.to_thread(self._store.recent_items, HOURS)
            self._console.print(
                f"{self._now()}  "
                + "  ".join(f"{_short(item.unit)} {_percent(item.kpis.get('oee_index'))}" for item in items),
                soft_wrap=True,
            )
            await asyncio.sleep(5 * EVERY_S)

    def _now(self) -> str:
        mode = "live" if self._clock.live.is_set() else "past, replaying"
        return f"{format_instant(self._clock.now() // 1000 * 1000)} ({mode})"

    def _table(self) -> Table:
        table = Table(title=f"{self._now()}   last {HOURS} h", title_justify="left")
        for heading in ("unit", "state", "OEE", "availability", "effectiveness", "quality", "coverage"):
            table.add_column(heading, justify="left" if heading in ("unit", "state") else "right")
        answers = {answer.unit: answer for answer in self._store.equipment()}
        for item in self._store.recent_items(HOURS):
            latest = answers[item.unit].latest
            state = (latest.category if latest else None) or "-"
            table.add_row(_short(item.unit), state, *_factors(item), _percent(item.coverage))
        table.caption = self._ledger_line()
        return table

    def _ledger_line(self) -> str:
        answer = self._store.ledger()
        stored = sum(ledger.stored for ledger in answer.agents.values())
        polled = sum(ledger.polled for ledger in answer.agents.values())
        waiting = sum(ledger.in_outbox for ledger in answer.agents.values())
        return f"polled {polled:,}  stored {stored:,}  in outbox {waiting:,}  ledger {answer.standing}"


def _short(unit: str) -> str:
    return unit.rpartition("/")[2]


def _factors(item: KpiItem) -> list[str]:
    return [_percent(item.kpis.get(name)) for name in FACTORS]


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.1%}"


def _comparison(report: dict[str, Any]) -> Table:
    table = Table(title="measured from registers | the simulator's truth", title_justify="left")
    for heading in ("unit", "OEE", "availability", "effectiveness", "quality", "coverage"):
        table.add_column(heading, justify="left" if heading == "unit" else "right")
    for unit, both in report["units"].items():
        kpi, truth = both["kpi"], both["truth"]
        pairs = [f"{_percent(kpi.get(name))} | {_percent(truth.get(name))}" for name in FACTORS]
        table.add_row(_short(unit), *pairs, _percent(kpi["coverage"]))
    return table
