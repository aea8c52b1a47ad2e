"""The ingest service as a whole: *messages -> points -> facts*. Composition only."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from historian.historian import Historian
from ingest.dead_letters import DeadLetters
from ingest.facts_engine import FactsEngine
from ingest.ledger import IngestCounts
from ingest.pipeline import Pipeline
from kpi.plan import UnitPlan
from messaging.access import BrokerAccess
from messaging.client import MqttClient
from messaging.rights import INGEST
from messaging.topic import INGEST_SUBSCRIPTIONS
from shopfloor.clock import Clock
from shopfloor.plant import Plant


class IngestService:
    """Stores what the agents send, confirms it to them, and keeps the facts of their units.

    Raises ServiceUnavailable when the dead letters or the broker's address cannot be used.
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
        client_id: str = INGEST,
    ) -> None:
        """``plans`` are the units whose facts this process keeps."""
        self._letters = DeadLetters(dead_letters)
        self._client = MqttClient(access, client_id, subscriptions=INGEST_SUBSCRIPTIONS, persistent=True)
        self.engine = FactsEngine(
            historian,
            plans,
            plant.enterprise,
            clock,
            watermark=lambda unit: self._pipeline.watermark(plant.agent_of(unit)),
        )
        self._pipeline = Pipeline(self._client, historian, plant, clock, self._letters, on_dirty=self.engine.notify)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            await self.engine.resume()
            async with self._client, asyncio.TaskGroup() as group:
                group.create_task(self._pipeline.run(), name="ingest pipeline")
                group.create_task(self.engine.run(), name="facts engine")
        finally:
            self._letters.close()

    async def settle(self) -> None:
        """Return when every stored sample is in the facts. ``run`` must be running."""
        await self.engine.settle()

    @property
    def counts(self) -> IngestCounts:
        """What this process has handled."""
        return self._pipeline.counts

    def dead_letters(self) -> int:
        """Letters in the file (blocking)."""
        return self._letters.count()

    def rejected(self, agent: str) -> int:
        """Samples of an agent that were settled without a place in the store (blocking)."""
        return self._letters.rejected(agent)
