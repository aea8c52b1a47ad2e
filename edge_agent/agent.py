"""The edge agent as a whole: *registers -> samples -> messages* for the units of one agent. Composition only."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Literal

import msgspec

from devices.template import Template
from edge_agent.cycle import Cycle
from edge_agent.device_health import Health
from edge_agent.disk_thread import DiskThread
from edge_agent.figures import EdgeFigures, UnitFigures
from edge_agent.forwarder import LIVE_SAMPLES, REPLAYED_SAMPLES, Forwarder, Sender
from edge_agent.modbus_driver import ModbusConnection, ModbusDriver
from edge_agent.outbox import Outbox, OutboxCounts
from edge_agent.outbox_rescue import files_aside, open_outbox, replaced
from edge_agent.outbox_writer import OutboxWriter
from edge_agent.poller import Poller
from edge_agent.source_clock import ClockRules, SourceClock, Stamp
from edge_agent.window import CreditWindow
from messaging.access import BrokerAccess
from messaging.agent_state import AgentState, EdgeLedger, encode_state
from messaging.client import Message, MqttClient
from messaging.receipt import decode_receipt
from messaging.topic import SampleTopic, agent_state_topic, receipt_topic
from shopfloor.clock import VIRTUAL, Clock
from shopfloor.equipment import EquipmentPath
from shopfloor.errors import Backpressure, MessageRejected, OutboxDamaged, ServiceUnavailable
from shopfloor.instant import Instant
from shopfloor.plant import AgentClock, Plant, WorkUnit
from shopfloor.sample import Sample

log = logging.getLogger(__name__)

FAREWELL_S = 2.0
"""Longest wait for the broker to take the last state."""

REPORT_S = 10.0
"""How often the agent tells its side of the ledger."""
CLOSED_REPORTS = 3
"""How often it also tells how the ledgers of damaged outboxes ended, after each start."""
LOOK_S = 1.0
"""How often the agent looks at its clocks, whatever the scan periods."""

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
        self._enterprise = plant.enterprise
        self._boot = secrets.token_hex(4)
        self._access, self._clock = access, clock
        self._connections: dict[Endpoint, ModbusConnection] = {}
        self._changed = asyncio.Event()
        self._counts = OutboxCounts(polled=0, appended=0, confirmed=0, in_outbox=0, evicted=0)
        self._final: OutboxCounts | None = None
        self._limits = (agent.outbox_max_samples, agent.outbox_max_bytes)
        self._outbox = open_outbox(
            outbox_path, now=clock.now(), max_samples=agent.outbox_max_samples, max_bytes=agent.outbox_max_bytes
        )
        self._swapped = asyncio.Event()
        self._swapping = asyncio.Lock()
        self._source = SourceClock(
            clock,
            newest=self._outbox.newest,
            anchor=self._outbox.anchor,
            rules=ClockRules(agent.clock is AgentClock.NTP, agent.clock_settle_ms),
        )
        self._pollers = [self._poller(plant.units[path], templates, dict(endpoints or {})) for path in agent.units]
        self._disk = DiskThread()
        self._writer = OutboxWriter(self._outbox, self._disk, self._on_committed)
        self._forwarder = self._new_forwarder(window)
        self._unread_receipts = 0
        self._ignored_before = 0

    async def run(self) -> None:
        """Poll, store and forward until cancelled; then write what is still in memory and close the outbox."""
        writing = asyncio.create_task(self._write(), name=f"{self.agent_id} writer")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_watch(writing), name=f"{self.agent_id} writer watch")
                group.create_task(self._watch_clock(), name=f"{self.agent_id} clock")
                group.create_task(self._serve(), name=f"{self.agent_id} link")
                for poller in self._pollers:
                    group.create_task(poller.run(), name=f"poll {poller.unit}")
        finally:
            self._writer.finish()
            await self._close(writing)

    async def stop_polling(self, at: Instant | None = None) -> None:
        """Serve no tick at or after ``at`` (None: now); returns when every poller has ended. Storing and forwarding
        go on."""
        at = self._source.now() if at is None else at
        for poller in self._pollers:
            poller.stop(at)
        await asyncio.gather(*(poller.ended.wait() for poller in self._pollers))

    async def drain(self, timeout_s: float) -> bool:
        """Wait until every sample is confirmed (or evicted); False when ``timeout_s`` was not enough. Stop polling
        first."""
        try:
            async with asyncio.timeout(timeout_s):
                self._forwarder.hurry()
                while self.backlog():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def resume_from(self) -> Instant | None:
        """The latest instant that every unit's samples reach; None while a unit has none."""
        last = [self._outbox.last_time(poller.unit) for poller in self._pollers]
        return min((at for at in last if at is not None), default=None) if None not in last else None

    def backlog(self) -> int:
        """Samples on their way: not yet on the disk, or not yet confirmed."""
        return len(self._writer) + len(self._outbox)

    def ledger_counts(self) -> OutboxCounts:
        """The edge's side of the ledger; after ``run`` has ended, as it was left. Damaged outboxes that the one in use
        took over from are included."""
        counts = self._final or self._outbox.counts()
        before = self._outbox.closed.values()
        return replace(
            counts,
            polled=counts.polled + self._writer.uncommitted + sum(one.polled for one in before),
            appended=counts.appended + sum(one.appended for one in before),
            confirmed=counts.confirmed + sum(one.confirmed for one in before),
            evicted=counts.evicted + sum(one.evicted for one in before),
        )

    def status(self) -> list[UnitStatus]:
        """Every unit, in the order of the plant file."""
        return [_status(poller) for poller in self._pollers]

    def ignored_receipts(self) -> int:
        """Receipts that were for another outbox, for what was never sent, or not to be read."""
        return self._ignored_before + self._forwarder.ignored_receipts + self._unread_receipts

    def figures(self) -> EdgeFigures:
        """Everything that metrics may tell of the agent. Cheap enough for a scrape; reads the disk once, and tells the
        counts of the time before where that fails."""
        with suppress(Backpressure, OutboxDamaged):
            self._counts = self.ledger_counts()
        counts, oldest, taken = self._counts, self._outbox.oldest(), self._forwarder.receipt_ms
        return EdgeFigures(
            agent=self.agent_id,
            outbox=self._outbox.outbox_id,
            polled=counts.polled,
            appended=counts.appended,
            confirmed=counts.confirmed,
            in_outbox=counts.in_outbox,
            evicted=counts.evicted,
            dead_letters=counts.dead_letters,
            undated=counts.undated,
            quarantined=counts.quarantined,
            waiting=len(self._writer),
            dropped=self._writer.dropped,
            in_flight=self._forwarder.in_flight,
            oldest_age_ms=None if oldest is None else max(0, self._source.now() - oldest),
            receipt_age_ms=None if taken is None else self._clock.mono_ms() - taken,
            ignored_receipts=self.ignored_receipts(),
            clock=self._source.trust,
            jumps=self._source.jumps,
            outbox_bytes=self._outbox.disk_bytes(),
            set_aside=len(files_aside(self._outbox.path)),
            units=tuple(
                UnitFigures(
                    unit=status.unit,
                    health=status.health,
                    failed_cycles=status.failed_cycles,
                    missed_ticks=status.missed_ticks,
                )
                for status in self.status()
            ),
        )

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
            source=self._source,
            after=self._outbox.last_time(str(unit.path)),
            hand_over=self._take,  # looked up at the call: the writer comes later
        )

    def _new_forwarder(self, window: CreditWindow | None = None) -> Forwarder:
        virtual = self._clock.moment().boot == VIRTUAL
        return Forwarder(
            self._outbox,
            self._disk,
            Sender(self.agent_id, self._boot, self._topic_of),
            self._clock,
            self._changed.set,
            window=window,
            unfinished=self._unfinished,
            live_samples=REPLAYED_SAMPLES if virtual else LIVE_SAMPLES,
        )

    def _topic_of(self, unit: str) -> str:
        """Of any unit that the outbox holds, those that the plant file has no more included."""
        return str(SampleTopic(EquipmentPath.parse(self._enterprise, unit), self.agent_id))

    def _take(self, sample: Sample, stamp: Stamp) -> None:
        self._writer.put(sample, stamp)

    def _unfinished(self) -> Instant | None:
        """No sample that is not in the outbox yet is from before this."""
        reading = [
            poller.reading.time if poller.reading.dated else self._outbox.earliest(poller.unit)
            for poller in self._pollers
            if poller.reading is not None
        ]
        queued = self._writer.oldest()
        return min(reading if queued is None else [*reading, queued], default=None)

    async def _watch_clock(self) -> None:
        """Look at the clocks even when no tick is due, and date what waits once the time is known."""
        await self._give_up_undated()
        while True:
            await asyncio.sleep(LOOK_S)
            stamp = self._source.stamp()
            if stamp.dated:
                self._writer.date(stamp)

    async def _give_up_undated(self) -> None:
        """What an earlier boot of the machine left undated can never be dated: it is sent as what it is."""
        while True:
            outbox = self._outbox
            try:
                given_up = await self._disk.run(outbox.give_up_undated, self._clock.moment().boot)
            except Backpressure as fault:
                await asyncio.sleep(fault.retry_after_s)
            except OutboxDamaged as fault:
                await self._swap(outbox, fault)
            else:
                if given_up:
                    log.error(
                        "%d samples of an earlier boot can never be dated; they are sent to be rejected", given_up
                    )
                    self._on_committed()
                return

    # ------------------------------------------------------------ the outbox, whatever becomes of its file

    async def _write(self) -> None:
        """Write to the outbox, or to the one that takes its place."""
        while True:
            outbox = self._outbox
            try:
                await self._writer.run()
            except OutboxDamaged as fault:
                await self._swap(outbox, fault)
            else:
                return

    async def _serve(self) -> None:
        """Forward from the outbox, and from the one that takes its place; each has its own connection, since what an
        agent says of itself names its outbox."""
        while True:
            outbox = self._outbox
            self._swapped.clear()
            try:
                async with self._client() as client, asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(self._forward(client), name=f"{self.agent_id} forwarder"),
                        group.create_task(self._receive(client), name=f"{self.agent_id} receipts"),
                        group.create_task(self._report(client), name=f"{self.agent_id} report"),
                    ]
                    await self._swapped.wait()
                    for task in tasks:
                        task.cancel()
            except* OutboxDamaged as faults:
                await self._swap(outbox, faults.exceptions[0])

    async def _swap(self, outbox: Outbox, fault: BaseException) -> None:
        """Go on with a new outbox; the damaged one is set aside with all that could not be read of it."""
        async with self._swapping:
            if self._outbox is outbox:
                log.error("%s", fault)
                self._outbox = await self._disk.run(self._replaced, outbox)
                self._writer.use(self._outbox)
                self._ignored_before += self._forwarder.ignored_receipts
                self._forwarder = self._new_forwarder()
            self._swapped.set()

    def _replaced(self, outbox: Outbox) -> Outbox:
        outbox.close()
        max_samples, max_bytes = self._limits
        return replaced(outbox.path, now=self._clock.now(), max_samples=max_samples, max_bytes=max_bytes)

    # ------------------------------------------------------------ the link

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
        )
        if counts is not None:
            told = msgspec.structs.replace(
                told,
                ledger=_edge_ledger(counts),
                clock=self._source.trust,
                jumps=self._source.jumps,
                undated=counts.undated,
                quarantined=counts.quarantined,
                set_aside=len(files_aside(self._outbox.path)),
                outbox_bytes=self._outbox.disk_bytes(),
            )
        return Message(agent_state_topic(self.agent_id), encode_state(told), retain=True)

    async def _report(self, client: MqttClient) -> None:
        """Tell the ledger every REPORT_S, for whoever accounts for the whole."""
        closed = self._outbox.closed
        for number in count():
            await client.wait_connected()
            # client and writer note a lost broker or disk; the next report says the same and more
            with suppress(ServiceUnavailable, Backpressure):
                if closed and number < CLOSED_REPORTS:
                    await self._report_closed(client, closed)
                await client.publish(self._state("online", await self._disk.run(self._outbox.counts)))
            await asyncio.sleep(REPORT_S)

    async def _report_closed(self, client: MqttClient, closed: Mapping[str, OutboxCounts]) -> None:
        """How the ledgers of damaged outboxes ended. The receiver keeps one report of an agent at a time."""
        for outbox, counts in closed.items():
            told = AgentState(
                agent=self.agent_id, state="online", outbox=outbox, boot=self._boot, ledger=_edge_ledger(counts)
            )
            await client.publish(Message(agent_state_topic(self.agent_id), encode_state(told)))
            await asyncio.sleep(LOOK_S)

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
                self._unread_receipts += 1
                if self._unread_receipts == 1:
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
            with suppress(Backpressure):
                await self._forwarder.trim()
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
