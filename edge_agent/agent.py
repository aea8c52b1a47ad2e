"""The edge agent as a whole: *registers -> samples -> messages* for the units of one agent. Composition only."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from devices.template import Template
from edge_agent.cycle import Cycle
from edge_agent.device_health import Health
from edge_agent.disk_thread import DiskThread
from edge_agent.forwarder import Forwarder, Sender
from edge_agent.modbus_driver import ModbusConnection, ModbusDriver
from edge_agent.outbox import Outbox, OutboxCounts
from edge_agent.outbox_writer import OutboxWriter
from edge_agent.poller import Poller
from edge_agent.window import CreditWindow
from messaging.access import BrokerAccess
from messaging.agent_state import AgentState, EdgeLedger, encode_state
from messaging.client import Message, MqttClient
from messaging.receipt import decode_receipt
from messaging.topic import SampleTopic, agent_state_topic, receipt_topic
from shopfloor.clock import Clock
from shopfloor.errors import Backpressure, MessageRejected, ServiceUnavailable
from shopfloor.instant import Instant
from shopfloor.plant import Plant, WorkUnit
from shopfloor.sample import Sample

log = logging.getLogger(__name__)

FAREWELL_S = 2.0
"""Longest wait for the broker to take the last state."""

REPORT_S = 10.0
"""How often the agent tells its side of the ledger."""

Endpoint = tuple[str, int]


@dataclass(frozen=True, slots=True)
class UnitStatus:
    """How one unit's device is doing."""

    unit: str
    health: Health
    last_error: str
    failed_cycles: int
    missed_ticks: int
    last: Sample | None
    """The latest sample, good or not."""


class EdgeAgent:
    """Polls its units, keeps every sample in its outbox until a receipt covers it, and forwards.

    Raises PlantError for a template that cannot be read, OutboxError for an outbox file that cannot be used.
    """

    def __init__(
        self,
        plant: Plant,
        agent_id: str,
        *,
        templates: Callable[[str], Template],
        clock: Clock,
        outbox_path: Path,
        access: BrokerAccess,
        endpoints: Mapping[Endpoint, Endpoint] | None = None,
        window: CreditWindow | None = None,
    ) -> None:
        """``endpoints`` sends the plant file's (host, port) elsewhere: to simulators; ``window`` sets the pace of
        resends."""
        agent = plant.agents[agent_id]
        self.agent_id = agent_id
        self._boot = secrets.token_hex(4)
        self._access, self._clock = access, clock
        self._connections: dict[Endpoint, ModbusConnection] = {}
        self._changed = asyncio.Event()
        self._final: OutboxCounts | None = None
        self._units = [plant.units[path] for path in agent.units]
        self._outbox = Outbox(outbox_path, max_samples=agent.outbox_max_samples)
        self._pollers = [self._poller(unit, templates, dict(endpoints or {})) for unit in self._units]
        self._disk = DiskThread()
        self._writer = OutboxWriter(self._outbox, self._disk, clock, self._on_committed)
        topics = {str(unit.path): str(SampleTopic(unit.path, agent_id)) for unit in self._units}
        self._forwarder = Forwarder(
            self._outbox,
            self._disk,
            Sender(agent_id, self._boot, topics.__getitem__),
            clock,
            self._changed.set,
            window=window,
            unfinished=self._unfinished,
        )

    async def run(self) -> None:
        """Poll, store and forward until cancelled; then write what is still in memory and close the outbox."""
        writing = asyncio.create_task(self._writer.run(), name=f"{self.agent_id} writer")
        try:
            async with self._client() as client, asyncio.TaskGroup() as group:
                group.create_task(_watch(writing), name=f"{self.agent_id} writer watch")
                group.create_task(self._forward(client), name=f"{self.agent_id} forwarder")
                group.create_task(self._receive(client), name=f"{self.agent_id} receipts")
                group.create_task(self._report(client), name=f"{self.agent_id} report")
                for poller in self._pollers:
                    group.create_task(poller.run(), name=f"poll {poller.unit}")
        finally:
            self._writer.finish()
            await self._close(writing)

    async def stop_polling(self, at: Instant | None = None) -> None:
        """Serve no tick at or after ``at`` (None: now); returns when every poller has ended. Storing and forwarding
        go on."""
        at = self._clock.now() if at is None else at
        for poller in self._pollers:
            poller.stop(at)
        await asyncio.gather(*(poller.ended.wait() for poller in self._pollers))

    async def drain(self, timeout_s: float) -> bool:
        """Wait until every sample is confirmed (or evicted); False when ``timeout_s`` was not enough. Stop polling
        first."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.backlog():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def resume_from(self) -> Instant | None:
        """The latest instant that every unit's samples reach; None while a unit has none."""
        last = [self._outbox.last_time(str(unit.path)) for unit in self._units]
        return min((at for at in last if at is not None), default=None) if None not in last else None

    def backlog(self) -> int:
        """Samples on their way: not yet on the disk, or not yet confirmed."""
        return len(self._writer) + len(self._outbox)

    def ledger_counts(self) -> OutboxCounts:
        """The edge's side of the ledger; after ``run`` has ended, as it was left."""
        counts = self._final or self._outbox.counts()
        return replace(counts, polled=counts.polled + self._writer.uncommitted)

    def status(self) -> list[UnitStatus]:
        """Every unit, in the order of the plant file."""
        return [_status(poller) for poller in self._pollers]

    def ignored_receipts(self) -> int:
        """Receipts that were for another outbox or for more than was sent."""
        return self._forwarder.ignored_receipts

    @property
    def outbox_id(self) -> str:
        """The id of the outbox file in use."""
        return self._outbox.outbox_id

    def _poller(
        self, unit: WorkUnit, templates: Callable[[str], Template], endpoints: dict[Endpoint, Endpoint]
    ) -> Poller:
        device = unit.device
        endpoint = endpoints.get(device.connection, device.connection)
        if endpoint not in self._connections:
            self._connections[endpoint] = ModbusConnection(*endpoint)
        return Poller(
            unit=str(unit.path),
            scan_ms=device.scan_ms,
            cycle=Cycle.of(templates(device.template).select(device.tags)),
            driver=ModbusDriver(self._connections[endpoint], device.unit_id, device.timeout_ms / 1000),
            clock=self._clock,
            after=self._outbox.last_time(str(unit.path)),
            hand_over=self._take,  # looked up at the call: the writer comes later
        )

    def _take(self, sample: Sample) -> None:
        self._writer.put(sample)

    def _unfinished(self) -> Instant | None:
        """The oldest source time that is not in the outbox yet."""
        times = [*(poller.reading_since for poller in self._pollers), self._writer.oldest()]
        return min((time for time in times if time is not None), default=None)

    def _on_committed(self) -> None:
        self._changed.set()
        self._forwarder.notify()

    def _client(self) -> MqttClient:
        return MqttClient(
            self._access,
            self.agent_id,
            subscriptions=[receipt_topic(self.agent_id)],
            will=self._state("offline"),
            on_connect_publish=[self._state("online")],
        )

    def _state(self, state: Literal["online", "offline"], counts: OutboxCounts | None = None) -> Message:
        told = AgentState(
            agent=self.agent_id,
            state=state,
            outbox=self._outbox.outbox_id,
            boot=self._boot,
            ledger=_edge_ledger(counts) if counts else None,
        )
        return Message(agent_state_topic(self.agent_id), encode_state(told), retain=True)

    async def _report(self, client: MqttClient) -> None:
        """Tell the ledger every REPORT_S, for whoever accounts for the whole."""
        while True:
            await client.wait_connected()
            # client and writer note a lost broker or disk; the next report says the same and more
            with suppress(ServiceUnavailable, Backpressure):
                await client.publish(self._state("online", await self._disk.run(self._outbox.counts)))
            await asyncio.sleep(REPORT_S)

    async def _forward(self, client: MqttClient) -> None:
        """Forward; at the end tell the broker that we leave on purpose (a will is for accidents)."""
        try:
            await self._forwarder.run(client)
        finally:
            try:
                async with asyncio.timeout(FAREWELL_S):
                    await client.publish(self._state("offline", await self._disk.run(self._outbox.counts)))
            except (ServiceUnavailable, Backpressure, TimeoutError) as fault:
                log.info("%s leaves without a word: %s", self.agent_id, fault or "no answer from the broker")

    async def _receive(self, client: MqttClient) -> None:
        async for delivery in client.deliveries():
            try:
                self._forwarder.receive(decode_receipt(delivery.message.payload))
            except MessageRejected as fault:
                log.warning("%s: a receipt cannot be read: %s", self.agent_id, fault)
            delivery.ack()

    async def _close(self, writing: "asyncio.Task[None]") -> None:
        """Wait for the disk, come what may: what was polled is to be found there."""
        await asyncio.wait([writing])
        if fault := writing.exception():
            log.error("%s: not everything could be written: %s", self.agent_id, fault)
        for connection in self._connections.values():
            await connection.aclose()
        try:
            self._final = await self._disk.run(self._outbox.counts)
        finally:
            self._outbox.close()
            self._disk.close()


async def _watch(writing: "asyncio.Task[None]") -> None:
    await asyncio.shield(writing)


def _edge_ledger(counts: OutboxCounts) -> EdgeLedger:
    return EdgeLedger(
        polled=counts.polled,
        appended=counts.appended,
        confirmed=counts.confirmed,
        in_outbox=counts.in_outbox,
        evicted=counts.evicted,
    )


def _status(poller: Poller) -> UnitStatus:
    health, schedule = poller.health, poller.schedule
    missed = schedule.missed if schedule else 0
    return UnitStatus(poller.unit, health.state, health.last_error, health.failures, missed, poller.last)
