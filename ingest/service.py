"""The ingest service as a whole: *messages -> points -> facts*. Composition only."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from historian.historian import Historian
from ingest.dead_letters import DeadLetters
from ingest.facts_engine import FactsEngine
from ingest.ledger import IngestCounts, stored_watermark
from ingest.pipeline import Pipeline
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
        agents: Sequence[str] | None = None,
    ) -> None:
        """``agents`` are the ones that this process serves, None all; ``plans`` the units whose facts it keeps."""
        self._units = len(plans)
        self._letters = DeadLetters(dead_letters)
        self._client = MqttClient(access, _client_id(agents), subscriptions=_subscriptions(agents), persistent=True)
        self.engine = FactsEngine(
            historian,
            plans,
            plant.enterprise,
            clock,
            watermark=lambda unit: self._pipeline.watermark(plant.agent_of(unit)),
            stored_watermark=lambda unit, before: stored_watermark(
                historian, plant.agent_of(unit), clock.now(), before
            ),
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

    def stored_until(self) -> Instant | None:
        """The latest source time that the samples of every unit reach; None while one has none."""
        newest = self._pipeline.newest
        return min(newest.values()) if len(newest) == self._units else None

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


def _subscriptions(agents: Sequence[str] | None) -> Sequence[str]:
    if agents is None:
        return INGEST_SUBSCRIPTIONS
    return [topic for agent in agents for topic in (samples_filter(agent), agent_state_topic(agent))]


def _client_id(agents: Sequence[str] | None) -> str:
    """One session at the broker per set of agents: processes that split a plant must not drive each other out."""
    return INGEST if agents is None else f"{INGEST}-{'-'.join(sorted(agents))}"
