"""What the page of ``shopfloor edge`` tells of an agent: its figures, by name and with unit."""

import os
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from typing import Any, Final

from edge_agent.agent import EdgeAgent
from edge_agent.device_health import Health
from shopfloor.health_server import Figure, FiguresCollector, health_address, health_page

_MS: Final = 0.001

EDGE: Final = (
    Figure("polled", "shopfloor_edge_polled_samples", "samples that devices answered, of the outbox in use"),
    Figure("appended", "shopfloor_edge_appended_samples", "samples committed to the outbox"),
    Figure("confirmed", "shopfloor_edge_confirmed_samples", "samples that a receipt has settled"),
    Figure("in_outbox", "shopfloor_edge_in_outbox_samples", "samples held, not confirmed yet"),
    Figure("evicted", "shopfloor_edge_evicted_samples", "samples thrown away unconfirmed"),
    Figure("unpersisted", "shopfloor_edge_unpersisted_samples", "samples answered by a device but never committed"),
    Figure("dead_letters", "shopfloor_edge_dead_letters", "samples set aside that nobody confirms or can read"),
    Figure("undated", "shopfloor_edge_undated_samples", "samples held until the time is known"),
    Figure("quarantined", "shopfloor_edge_quarantined_samples", "samples given up as never to be dated"),
    Figure("waiting", "shopfloor_edge_waiting_samples", "samples in memory, on their way to the disk"),
    Figure("dropped", "shopfloor_edge_dropped_samples", "samples lost while the disk was away", counter=True),
    Figure("in_flight", "shopfloor_edge_in_flight_messages", "messages that no receipt covers yet"),
    Figure(
        "oldest_age_ms", "shopfloor_edge_oldest_age_seconds", "age of the oldest sample held; none held: 0", scale=_MS
    ),
    Figure("receipt_age_ms", "shopfloor_edge_receipt_age_seconds", "time since the last receipt", scale=_MS),
    Figure(
        "ignored_receipts", "shopfloor_edge_ignored_receipts", "receipts for another outbox or never sent", counter=True
    ),
    Figure("clock_synced", "shopfloor_edge_clock_synced", "1 when the agent knows the time, else 0"),
    Figure("jumps", "shopfloor_edge_clock_jumps", "times that the clock was found set", counter=True),
    Figure("outbox_bytes", "shopfloor_edge_outbox_bytes", "size of the outbox on the disk"),
    Figure("set_aside", "shopfloor_edge_damaged_outboxes", "damaged outboxes that lie beside it"),
    Figure("device_up", "shopfloor_edge_device_up", "1 when the unit's device answers, else 0", label="unit"),
    Figure(
        "failed_cycles", "shopfloor_edge_failed_cycles", "poll cycles without an answer", label="unit", counter=True
    ),
    Figure("missed_ticks", "shopfloor_edge_missed_ticks", "ticks without a poll cycle", label="unit", counter=True),
)
"""Of one agent; its samples are those of the outbox in use."""


def edge_page(agent: EdgeAgent) -> AbstractAsyncContextManager[None]:
    """The agent's page, where the environment wants one; raises ServiceUnavailable for a wrong address."""
    collector = FiguresCollector(EDGE, lambda: edge_figures(asdict(agent.figures())), {"agent": agent.agent_id})
    return health_page(health_address(os.environ), collector, lambda: _readable(agent))


def edge_figures(told: Mapping[str, Any]) -> dict[str, Any]:
    """An agent's own figures as ``EDGE`` names them."""
    units = told.get("units", ())
    figures = {**told, "unpersisted": told["polled"] - told["appended"]}
    if "oldest_age_ms" in told:
        figures["oldest_age_ms"] = told["oldest_age_ms"] or 0
    if "clock" in told:
        figures["clock_synced"] = told["clock"] == "synced"
    known = [unit for unit in units if unit["health"] != Health.UNKNOWN]
    figures["device_up"] = {unit["unit"]: unit["health"] == Health.HEALTHY for unit in known}
    for name in ("failed_cycles", "missed_ticks"):
        figures[name] = {unit["unit"]: unit[name] for unit in units}
    return figures


def _readable(agent: EdgeAgent) -> str | None:
    """An agent that cannot reach the broker is ready all the same: it keeps what it polls."""
    agent.ledger_counts()
    return None
