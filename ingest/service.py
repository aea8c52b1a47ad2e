"""The ingest service as a whole: *messages -> points -> facts*. Composition only."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from historian.historian import Historian
from ingest.dead_letters import DeadLetters
from ingest.facts_engine import FactsEngine
from ingest.leases import LeaseBook
from ingest.ledger import IngestCounts, stored_watermark
from ingest.lookup_writer import write_lookups
from ingest.membership import Membership
from ingest.pipeline import Pipeline
from ingest.publisher import Publisher, Teller
from kpi.plan import UnitPlan
from messaging.access import BrokerAccess
from messaging.client import MqttClient
from messaging.rights import INGEST
from messaging.topic import INGEST_SUBSCRIPTIONS, agent_state_topic, samples_filter
from shopfloor.clock import Clock
from shopfloor.instant import Instant
from shopfloor.plant import Plant


class IngestService:
    """Stores what the agents send, confirms it to them, and keeps the facts of their units.

    Alone, it serves the whole plant at once. With ``shared`` the ``agents`` are split between all such services of the
    plant that are at the broker, by leases (``ingest.leases``): one that dies is followed by the others within
    seconds. Raises ServiceUnavailable when the dead letters or the broker's address cannot be used.
    """

    def __init__(
        self,
        plant: Plant,
        plans: Mapping[str, UnitPlan],
        historian: Historian,
        *,
        access: BrokerAccess,
        dead_letters: Path,
        clock: Clock,
        shared: Sequence[str] | None = None,
        teller: Teller | None = None,
    ) -> None:
        """``plans`` are those of all units; ``shared`` the agents that this process may serve beside others.

        ``teller`` tells what is to be published of them; without one nothing is.
        """
        self._plant, self._plans, self._historian = plant, plans, historian
        self._letters = DeadLetters(dead_letters)
        self.engine = FactsEngine(
            historian,
            plans if shared is None else {},
            plant.enterprise,
            clock,
            watermark=lambda unit: self._pipeline.watermark(plant.agent_of(unit)),
            stored_watermark=lambda unit, before: stored_watermark(
                historian, plant.agent_of(unit), clock.now(), before
            ),
            pressed=lambda: self._pipeline.pressed(),
            publisher=None if teller is None else Publisher(historian, teller, plant.enterprise, clock.now),
        )
        instance = secrets.token_hex(6)
        self._client = (
            MqttClient(access, INGEST, subscriptions=INGEST_SUBSCRIPTIONS, persistent=True)
            if shared is None
            else MqttClient(access, f"{INGEST}-{instance}")
        )
        self._pipeline = Pipeline(self._client, historian, plant, clock, self._letters, on_dirty=self.engine.notify)
        self._membership: Membership | None = None
        if shared is not None:
            book = LeaseBook(instance, sorted(plant.agents), frozenset(shared))
            self._membership = Membership(access, book, clock, self._serve, self._leave)
            self._pipeline.serve_none()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            if self._membership is None:
                await self._work()
                return
            async with asyncio.TaskGroup() as group:  # the last to end: it tells the others that we are done
                group.create_task(self._membership.run(), name="membership")
                await self._work()
        finally:
            self._letters.close()

    async def _work(self) -> None:
        await write_lookups(self._historian, self._plant)
        await self.engine.resume()
        async with self._client, asyncio.TaskGroup() as group:
            group.create_task(self._pipeline.run(), name="ingest pipeline")
            group.create_task(self.engine.run(), name="facts engine")

    @property
    def served(self) -> frozenset[str]:
        """The agents that this process serves now."""
        return frozenset(self._plant.agents if self._membership is None else self._membership.served)

    async def _serve(self, agent: str) -> None:
        await self.engine.take({unit: self._plans[unit] for unit in self._plant.agents[agent].units})
        await self._pipeline.serve(agent)
        self._client.subscribe(_topics_of(agent))

    async def _leave(self, agent: str) -> None:
        self._client.unsubscribe(_topics_of(agent))
        await self.engine.leave(self._plant.agents[agent].units)
        await self._pipeline.leave(agent)

    async def settle(self) -> None:
        """Return when every stored sample is in the facts. ``run`` must be running."""
        await self.engine.settle()

    def stored_until(self) -> Instant | None:
        """The latest source time that the samples of every unit reach; None while one has none."""
        newest = self._pipeline.newest
        return min(newest.values()) if len(newest) == len(self._plans) else None

    @property
    def counts(self) -> IngestCounts:
        """What this process has handled."""
        return self._pipeline.counts

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached now."""
        return self._client.connected

    def figures(self) -> dict[str, Any]:
        """Everything that metrics may tell of this process, and the dead letters of all (blocking)."""
        return {
            **self.counts.as_dict(),
            "connected": self.connected,
            "served": len(self.served),
            "dirty": self.engine.pending,
            "passes": self.engine.passes,
            "letters": self._letters.by_reason(),
            "letters_dropped": self._letters.dropped(),
        }

    def dead_letters(self) -> int:
        """Letters in the file (blocking)."""
        return self._letters.count()

    def rejected(self, agent: str) -> int:
        """Samples of an agent that were settled without a place in the store (blocking)."""
        return self._letters.rejected(agent)


def _topics_of(agent: str) -> Sequence[str]:
    return samples_filter(agent), agent_state_topic(agent)
