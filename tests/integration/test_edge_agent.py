"""The whole agent against real parts: pymodbus servers, a real broker, and a receiver that answers with receipts."""

import asyncio
import itertools
import socket
import statistics
import struct
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from devices.template import Template, parse
from edge_agent.agent import EdgeAgent
from edge_agent.device_health import Health
from edge_agent.outbox import Outbox, OutboxCounts
from messaging.access import BrokerAccess
from messaging.agent_state import decode_state
from messaging.broker import INGEST, RunningBroker, start_broker
from messaging.client import Message, MqttClient
from messaging.payload import decode
from messaging.receipt import Receipt, SeqRanges, encode_receipt
from messaging.topic import SAMPLES_FILTER, SampleTopic, agent_state_topic, receipt_topic
from shopfloor.clock import CatchUpClock, Clock, Moment, SystemClock, Trust
from shopfloor.errors import Backpressure, ServiceUnavailable
from shopfloor.instant import Instant
from shopfloor.plant import Plant
from shopfloor.plant_file import load
from shopfloor.quality import COMM_LOST
from shopfloor.sample import Sample
from tests.one_line import LINE, one_line

AGENT = "edge-1"
START: Instant = 1_763_830_000_000
PATIENT_S = 60.0

TEMPLATE = parse(
    """
template: counting
manual: a device of these tests
modbus: {max_registers: 10}
probe: state
tags:
  - {name: state,     kind: state,   ref: {table: coil, address: 0, type: bool}}
  - {name: x_door,    kind: state,   ref: {table: discrete, address: 0, type: bool}}
  - {name: x_reading, kind: counter, ref: {table: holding, address: 0, type: u32}}
  - {name: power_kw,  kind: gauge,   ref: {table: input, address: 3, type: u16, scale: 0.1}}
""",
    "counting.yaml",
)
SINGLE = parse(
    """
template: single
manual: a device of these tests that one request reads
probe: x_reading
tags:
  - {name: x_reading, kind: counter, ref: {table: holding, address: 0, type: u32}}
""",
    "single.yaml",
)


def templates(name: str) -> Template:
    return {"counting": TEMPLATE, "single": SINGLE}[name]


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of a plant file."""

    id: str
    port: int
    unit_id: int = 1
    template: str = "single"
    scan: str = "1s"
    timeout: str = "20s"

    @property
    def path(self) -> str:
        return f"{LINE}/{self.id}"


def plant(folder: Path, units: Sequence[Unit]) -> Plant:
    """A plant of meters; every agent id that tests use has the same units, so each takes its own plant."""
    told = {
        unit.id: {
            "device": {
                "template": unit.template,
                "connection": f"modbus-tcp://127.0.0.1:{unit.port}",
                "unit_id": unit.unit_id,
                "scan": unit.scan,
                "timeout": unit.timeout,
            }
        }
        for unit in units
    }
    file = folder / f"plant-{units[0].id}-{len(units)}.yaml"
    file.write_text(one_line(told, {AGENT: [f"{LINE}/*"]}), "utf-8")
    return load(file)


@dataclass(slots=True)
class Served:
    """A real Modbus server that numbers its readings and keeps count."""

    readings: int = 0
    trouble: ExcCodes | None = None

    async def action(
        self, function: int, _start: int, _address: int, _count: int, registers: list[int], written: object
    ) -> ExcCodes | None:
        if self.trouble:
            return self.trouble
        if function == 3 and written is None:
            self.readings += 1
            registers[0:2] = divmod(self.readings, 65_536)
        return None


@asynccontextmanager
async def modbus_server(served: Served) -> AsyncIterator[int]:
    bits = [SimData(0, values=[True] * 16, datatype=DataType.BITS)]
    words = [SimData(0, values=[125] * 16, datatype=DataType.REGISTERS)]
    server = ModbusTcpServer(
        [SimDevice(id=0, simdata=(bits, bits, words, words), action=served.action)], address=("127.0.0.1", 0)
    )
    await server.serve_forever(background=True)
    try:
        yield server.transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


@dataclass(slots=True)
class Receiver:
    """What stands at the other end of the broker: keeps samples by seq and answers with receipts."""

    access: BrokerAccess
    agent: str = AGENT
    stored: dict[str, dict[int, Sample]] = field(default_factory=lambda: defaultdict(dict))
    settled: dict[str, SeqRanges] = field(default_factory=lambda: defaultdict(SeqRanges))
    messages: int = 0
    unsynced: int = 0
    """Samples whose time was not known: settled and not kept, as the ingest service does."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        async with MqttClient(self.access, f"ingest-{id(self)}", subscriptions=[SAMPLES_FILTER]) as client:
            async for delivery in client.deliveries():
                await self._take(client, delivery.message)
                delivery.ack()

    async def _take(self, client: MqttClient, message: Message) -> None:
        found = decode(SampleTopic.parse(message.topic), message.payload)
        assert not found.refused
        self.messages += 1
        settled = self.settled[found.message.outbox]
        settled.add(0, found.message.low - 1)
        for seq, sample in found.message.samples:
            settled.add(seq)
            if found.message.clock is Trust.UNSYNCED:
                self.unsynced += 1
            else:
                self.stored[found.message.outbox][seq] = sample
        try:
            receipt = encode_receipt(Receipt.of(found.message.outbox, settled))
            await client.publish(Message(receipt_topic(self.agent), receipt, retain=True))
        except ServiceUnavailable:
            pass  # it is sent again with the next message
        self.changed.set()

    def samples(self, outbox: str, unit: str) -> list[Sample]:
        """What is stored of one unit, in order of seq."""
        return [sample for _, sample in sorted(self.stored[outbox].items()) if sample.unit == unit]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENT_S):
            while not holds():
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[RunningBroker]:
    broker = await start_broker(tmp_path / "broker", [AGENT])
    yield broker
    await broker.stop()


@asynccontextmanager
async def running(*runs: "asyncio.Task[None]") -> AsyncIterator[None]:
    """Let tasks run for the length of a block; what fails in them fails the test."""
    try:
        yield
    finally:
        for task in runs:
            task.cancel()
        results = await asyncio.gather(*runs, return_exceptions=True)
    assert [fault for fault in results if not isinstance(fault, asyncio.CancelledError)] == []


def start(part: EdgeAgent | Receiver) -> "asyncio.Task[None]":
    return asyncio.create_task(part.run(), name=type(part).__name__)


def agent_of(works: Plant, broker: BrokerAccess, path: Path, clock: Clock) -> EdgeAgent:
    return EdgeAgent(works, AGENT, templates=templates, clock=clock, outbox_path=path, access=broker)


async def test_every_reading_arrives_once_with_the_time_of_its_tick(tmp_path: Path, broker: RunningBroker) -> None:
    served = Served()
    ticks = 300
    async with modbus_server(served) as port:
        units = [Unit(f"u{n}", port, n, "counting") for n in range(1, 4)]
        agent = agent_of(plant(tmp_path, units), broker.access_for(AGENT), tmp_path / "outbox.db", CatchUpClock(START))
        receiver = Receiver(broker.access_for(INGEST))
        async with running(start(receiver), start(agent)):
            await agent.stop_polling(START + ticks * 1_000)
            assert await agent.drain(PATIENT_S)
    counts = agent.ledger_counts()
    assert counts.polled == counts.appended == counts.confirmed == served.readings == 3 * ticks
    assert counts.in_outbox == counts.evicted == agent.backlog() == 0
    readings = set()
    for unit in units:
        samples = receiver.samples(agent.outbox_id, unit.path)
        assert [sample.time for sample in samples] == [START + tick * 1_000 for tick in range(ticks)]
        assert all(not sample.status and sample.values["power_kw"] == 12.5 for sample in samples)
        readings |= {sample.values["x_reading"] for sample in samples}
    assert readings == set(range(1, 3 * ticks + 1))
    assert receiver.messages < 3 * ticks


async def test_slow_dead_and_refusing_devices_leave_the_others_their_period(
    tmp_path: Path, broker: RunningBroker
) -> None:
    """Two agents in one run: one with the good units alone, one with the bad ones beside them."""
    alone, beside, refusing = Served(), Served(), Served(trouble=ExcCodes.DEVICE_BUSY)
    silent = socket.create_server(("127.0.0.1", 0))
    dead_port = silent.getsockname()[1]
    async with (
        modbus_server(alone) as alone_port,
        modbus_server(beside) as beside_port,
        modbus_server(refusing) as refusing_port,
        slow_server(2.0) as slow_port,
    ):
        silent.close()
        good = [Unit(f"good-{n}", beside_port, n, scan="200ms", timeout="1s") for n in (1, 2, 3)]
        bad = [
            Unit("slow", slow_port, scan="200ms", timeout="1s"),
            Unit("dead", dead_port, scan="200ms", timeout="1s"),
            Unit("refusing", refusing_port, scan="200ms", timeout="1s"),
        ]
        control = [Unit(f"good-{n}", alone_port, n, scan="200ms", timeout="1s") for n in (1, 2, 3)]
        access = broker.access_for(AGENT)
        mixed = agent_of(plant(tmp_path, good + bad), access, tmp_path / "mixed.db", SystemClock())
        lone = agent_of(plant(tmp_path, control), nowhere(), tmp_path / "lone.db", SystemClock())
        receiver = Receiver(broker.access_for(INGEST))
        async with running(start(receiver), start(mixed), start(lone)):
            await receiver.until(lambda: len(receiver.samples(mixed.outbox_id, bad[0].path)) >= 8)
            await asyncio.gather(mixed.stop_polling(), lone.stop_polling())
            assert await mixed.drain(PATIENT_S)
            health = {status.unit: status.health for status in mixed.status()}
        lone_samples = stored_in(tmp_path / "lone.db")
    assert {unit.id: health[unit.path] for unit in bad} == dict.fromkeys(("slow", "dead", "refusing"), Health.FAILING)
    for unit in bad:
        samples = receiver.samples(mixed.outbox_id, unit.path)
        assert samples
        assert all("x_reading" in sample.status and not sample.values for sample in samples)
    assert receiver.samples(mixed.outbox_id, bad[0].path)[0].status["x_reading"] == COMM_LOST
    for unit in good:
        with_bad = period([sample.time for sample in receiver.samples(mixed.outbox_id, unit.path)])
        without = period([sample.time for sample in lone_samples if sample.unit == unit.path])
        assert with_bad / without == pytest.approx(1, abs=0.1)


def period(times: Sequence[Instant]) -> float:
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(times))


def nowhere() -> BrokerAccess:
    """A broker that nobody runs."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return BrokerAccess(f"mqtt://127.0.0.1:{probe.getsockname()[1]}")


def stored_in(path: Path) -> list[Sample]:
    """What an agent that has ended left in its outbox."""
    box = Outbox(path, max_samples=1_000_000)
    samples = [stored.sample for stored in box.pending(limit=1_000_000)]
    box.close()
    return samples


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    """A server on a free port; at the end its connections are closed, and what serves them has ended."""
    serving: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await serve(reader, writer)
        except asyncio.CancelledError:
            pass  # by us, at the end: nobody waits for more
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


@asynccontextmanager
async def slow_server(delay_s: float) -> AsyncIterator[int]:
    """A device that answers every request correctly, but late."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(12)
                await asyncio.sleep(delay_s)
                writer.write(head[:4] + struct.pack(">HBBBHH", 7, head[6], 3, 4, 0, 1))

    async with listening(serve) as port:
        yield port


@asynccontextmanager
async def recording_proxy(port: int, seen: list[bytes]) -> AsyncIterator[int]:
    """A TCP proxy that keeps every request that goes to the device."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keep: list[bytes] | None) -> None:
        while chunk := await reader.read(4_096):
            if keep is not None:
                keep.append(chunk)
            writer.write(chunk)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(forward(reader, back, seen), forward(there, writer, None), return_exceptions=True)
        finally:
            back.close()

    async with listening(serve) as own_port:
        yield own_port


async def test_only_function_codes_1_to_4_leave_the_agent(tmp_path: Path) -> None:
    seen: list[bytes] = []
    served = Served()
    async with modbus_server(served) as port, recording_proxy(port, seen) as proxy:
        agent = EdgeAgent(
            plant(tmp_path, [Unit("u1", 502, template="counting")]),
            AGENT,
            templates=templates,
            clock=CatchUpClock(START),
            outbox_path=tmp_path / "outbox.db",
            access=nowhere(),
            endpoints={("127.0.0.1", 502): ("127.0.0.1", proxy)},
        )
        async with running(start(agent)):
            await agent.stop_polling(START + 20_000)
    requests = split_frames(b"".join(seen))
    assert len(requests) == 4 * served.readings == 80
    assert {request[7] for request in requests} == {1, 2, 3, 4}


def split_frames(stream: bytes) -> list[bytes]:
    frames = []
    while stream:
        length = 6 + int.from_bytes(stream[4:6], "big")
        frames.append(stream[:length])
        stream = stream[length:]
    return frames


async def test_a_changed_card_loses_nothing_and_is_not_trimmed_by_the_old_receipt(
    tmp_path: Path, broker: RunningBroker
) -> None:
    receiver = Receiver(broker.access_for(INGEST))
    async with modbus_server(Served()) as port:
        works = plant(tmp_path, [Unit("u1", port)])
        first = agent_of(works, broker.access_for(AGENT), tmp_path / "card-1.db", CatchUpClock(START))
        async with running(start(receiver), start(first)):
            await first.stop_polling(START + 50_000)
            assert await first.drain(PATIENT_S)
        # the card is changed while nobody receives: only the old card's retained receipt is at the broker
        second = agent_of(works, broker.access_for(AGENT), tmp_path / "card-2.db", CatchUpClock(START + 50_000))
        watcher = MqttClient(broker.access_for(INGEST), "watcher", subscriptions=[SAMPLES_FILTER])
        async with watcher:
            await watcher.wait_connected(PATIENT_S)  # before the polling begins: its clock waits for nobody
            async with running(start(second)):
                await second.stop_polling(START + 80_000)
                async with asyncio.timeout(PATIENT_S):
                    while second.ignored_receipts() == 0:  # noqa: ASYNC110 - a counter, bounded by the timeout
                        await asyncio.sleep(0.01)
                assert second.backlog() == 30
                async with running(start(receiver)):
                    assert await second.drain(PATIENT_S)
    assert first.outbox_id != second.outbox_id
    assert second.ledger_counts().confirmed == 30
    times = [sample.time for sample in receiver.samples(second.outbox_id, works.agents[AGENT].units[0])]
    assert times == [START + 50_000 + tick * 1_000 for tick in range(30)]


async def test_without_a_broker_nothing_is_lost_and_it_goes_on_by_itself(tmp_path: Path) -> None:
    broker = await start_broker(tmp_path / "broker", [AGENT])
    port = broker.port
    access, ingest = broker.access_for(AGENT), broker.access_for(INGEST)
    await broker.stop()
    async with modbus_server(Served()) as device:
        agent = agent_of(plant(tmp_path, [Unit("u1", device)]), access, tmp_path / "outbox.db", CatchUpClock(START))
        receiver = Receiver(ingest)
        async with running(start(agent)):
            await agent.stop_polling(START + 2_000_000)
            assert agent.backlog() == 2_000
            assert not await agent.drain(0.01)
            broker = await start_broker(tmp_path / "broker", [AGENT], port=port)
            async with running(start(receiver)):
                assert await agent.drain(PATIENT_S)
            await broker.stop()
    assert agent.ledger_counts().confirmed == 2_000
    assert receiver.messages <= 20


@pytest.mark.parametrize(
    ("back_ms", "quarantined"),
    [(1_000, 0), (300_000, 300)],
    ids=["a short step back is waited out", "what would be stored at a time before is sent to be rejected"],
)
async def test_a_stopped_agent_goes_on_where_it_was(
    tmp_path: Path, broker: RunningBroker, back_ms: int, quarantined: int
) -> None:
    async with modbus_server(Served()) as device:
        works = plant(tmp_path, [Unit("u1", device)])
        first = agent_of(works, nowhere(), tmp_path / "outbox.db", CatchUpClock(START))
        async with running(start(first)):
            await first.stop_polling(START + 10_000)
        assert first.ledger_counts().in_outbox == 10
        clock = CatchUpClock(START + 10_000 - back_ms)
        again = agent_of(works, broker.access_for(AGENT), tmp_path / "outbox.db", clock)
        receiver = Receiver(broker.access_for(INGEST))
        async with running(start(receiver), start(again)):
            await again.stop_polling(START + 12_000)
            assert await again.drain(PATIENT_S)
    counts = again.ledger_counts()
    all_in = 12 + quarantined
    assert (counts.polled, counts.appended, counts.quarantined, counts.confirmed) == (
        all_in,
        all_in,
        quarantined,
        all_in,
    )
    times = [sample.time for sample in receiver.samples(again.outbox_id, works.agents[AGENT].units[0])]
    assert times == [START + tick * 1_000 for tick in range(12)]
    assert receiver.unsynced == quarantined


async def test_a_dead_unit_behind_a_gateway_does_not_starve_its_neighbour(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readexactly(12)
                if head[6] == 1:
                    writer.write(head[:4] + struct.pack(">HBBBHH", 7, 1, 3, 4, 0, 1))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    gateway = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = gateway.sockets[0].getsockname()[1]
    units = [Unit("there", port, 1), Unit("gone", port, 2, timeout="200ms")]
    agent = agent_of(plant(tmp_path, units), nowhere(), tmp_path / "o.db", CatchUpClock(START))
    async with running(start(agent)):
        await agent.stop_polling(START + 100_000)
        gone = agent.status()[1]
    gateway.close()
    samples = stored_in(tmp_path / "o.db")
    for unit in units:
        assert len([sample for sample in samples if sample.unit == unit.path]) == 100
    assert all(sample.values for sample in samples if sample.unit == units[0].path)
    assert all(sample.status["x_reading"] == COMM_LOST for sample in samples if sample.unit == units[1].path)
    assert gone.failed_cycles <= 9
    assert "unit 2" in gone.last_error


async def test_the_broker_keeps_the_agent_s_state_and_hears_it_leave(tmp_path: Path, broker: RunningBroker) -> None:
    async with modbus_server(Served()) as device:
        agent = agent_of(
            plant(tmp_path, [Unit("u1", device)]), broker.access_for(AGENT), tmp_path / "o.db", CatchUpClock(START)
        )
        async with MqttClient(
            broker.access_for(INGEST), "watcher", subscriptions=[agent_state_topic(AGENT)]
        ) as watcher:
            await watcher.wait_connected(PATIENT_S)
            states = watcher.deliveries()
            async with asyncio.timeout(PATIENT_S), running(start(agent)):
                first = decode_state((await anext(states)).message.payload)
                while (told := decode_state((await anext(states)).message.payload)).ledger is None:
                    pass
            async with asyncio.timeout(PATIENT_S):
                while (last := decode_state((await anext(states)).message.payload)).state != "offline":
                    pass
    assert (first.state, first.outbox, told.state) == ("online", agent.outbox_id, "online")
    assert last.ledger is not None


async def test_a_disk_that_cannot_be_read_for_a_moment_does_not_end_the_agent(
    tmp_path: Path, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, asked = Outbox.counts, asyncio.Event()
    loop = asyncio.get_running_loop()

    def away(self: Outbox) -> OutboxCounts:
        if threading.current_thread() is threading.main_thread():
            return counts(self)
        loop.call_soon_threadsafe(asked.set)
        raise Backpressure("the disk is away")

    async with modbus_server(Served()) as device:
        works = plant(tmp_path, [Unit("u1", device)])
        agent = agent_of(works, broker.access_for(AGENT), tmp_path / "o.db", CatchUpClock(START))
        monkeypatch.setattr(Outbox, "counts", away)
        async with running(start(Receiver(broker.access_for(INGEST))), start(agent)):
            await agent.stop_polling(START + 10_000)
            async with asyncio.timeout(PATIENT_S):
                await asked.wait()
            assert await agent.drain(PATIENT_S)
            assert agent.ledger_counts().confirmed == 10
            monkeypatch.undo()


@pytest.mark.parametrize("damage", ["the tables", "the file"])
async def test_an_outbox_that_breaks_while_it_runs_is_replaced_and_the_agent_goes_on(
    tmp_path: Path, broker: RunningBroker, damage: str
) -> None:
    """The samples that nobody had received yet are saved out of the damaged file."""
    async with modbus_server(Served()) as device:
        works = plant(tmp_path, [Unit("u1", device, scan="100ms")])
        agent = agent_of(works, broker.access_for(AGENT), tmp_path / "o.db", SystemClock())
        unit, old = works.agents[AGENT].units[0], agent.outbox_id
        watched = MqttClient(broker.access_for(INGEST), "watcher", subscriptions=[agent_state_topic(AGENT)])
        async with watched as watcher, asyncio.timeout(PATIENT_S):
            await watcher.wait_connected(PATIENT_S)
            async with running(start(agent)):
                while agent.figures().appended < 10:  # noqa: ASYNC110 - a counter, bounded by the timeout
                    await asyncio.sleep(0.05)
                before = agent.figures()
                with agent._outbox._file.reading() as database:
                    if damage == "the tables":
                        database.execute("ALTER TABLE ledger RENAME TO letters")
                    else:
                        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                        database.execute("PRAGMA shrink_memory")
                        with (tmp_path / "o.db").open("r+b") as file:
                            file.seek(24)
                            file.write(b"\xa5" * 4_000)
                while agent.outbox_id == old:  # noqa: ASYNC110 - a counter, bounded by the timeout
                    await asyncio.sleep(0.05)
                receiver = Receiver(broker.access_for(INGEST))
                async with running(start(receiver)):
                    await receiver.until(lambda: len(receiver.samples(agent.outbox_id, unit)) >= 10)
                    await agent.stop_polling()
                    assert await agent.drain(PATIENT_S)
                    states = watcher.deliveries()
                    told = []
                    while not told or told[-1].outbox == old or told[-1].ledger is None:
                        told.append(decode_state((await anext(states)).message.payload))
    figures, after = agent.figures(), agent.ledger_counts()
    assert figures.set_aside == told[-1].set_aside == 1
    assert after.appended == after.confirmed + after.evicted
    times = [sample.time for sample in receiver.samples(agent.outbox_id, unit)]
    assert times == sorted(set(times))
    if damage == "the file":  # it is the first page that is gone, with the names of all tables
        assert before.appended >= 10
    else:
        assert after.appended >= before.appended


async def test_the_figures_of_an_agent_tell_what_becomes_of_its_samples(tmp_path: Path, broker: RunningBroker) -> None:
    async with modbus_server(Served()) as device:
        works = plant(tmp_path, [Unit("u1", device), Unit("gone", 1, timeout="200ms")])
        agent = agent_of(works, broker.access_for(AGENT), tmp_path / "o.db", CatchUpClock(START))
        start_of_life = agent.figures()
        async with running(start(agent)):
            await agent.stop_polling(START + 30_000)
            while agent.figures().waiting:  # noqa: ASYNC110 - a counter, bounded by the test's timeout
                await asyncio.sleep(0.01)
            held = agent.figures()
            agent._forwarder.receive(Receipt("another", 1))
            receiver = Receiver(broker.access_for(INGEST))
            async with running(start(receiver)):
                assert await agent.drain(PATIENT_S)
                drained = agent.figures()
    assert (start_of_life.polled, start_of_life.oldest_age_ms, start_of_life.receipt_age_ms) == (0, None, None)
    assert [unit.health for unit in start_of_life.units] == [Health.UNKNOWN, Health.UNKNOWN]
    assert (held.polled, held.appended, held.in_outbox, held.confirmed) == (60, 60, 60, 0)
    assert held.oldest_age_ms is not None
    assert 29_000 <= held.oldest_age_ms <= 30_000
    assert held.outbox_bytes > 0
    assert (drained.in_outbox, drained.confirmed, drained.in_flight, drained.oldest_age_ms) == (0, 60, 0, None)
    assert drained.receipt_age_ms is not None
    assert (drained.ignored_receipts, drained.clock, drained.jumps, drained.undated) == (1, Trust.SYNCED, 0, 0)
    there, gone = drained.units
    assert (there.health, there.missed_ticks) == (Health.HEALTHY, 0)
    assert (gone.health, gone.failed_cycles > 0) == (Health.FAILING, True)


async def test_a_unit_that_the_plant_file_has_no_more_still_gets_its_samples_away(
    tmp_path: Path, broker: RunningBroker
) -> None:
    async with modbus_server(Served()) as device:
        before = agent_of(plant(tmp_path, [Unit("old", device)]), nowhere(), tmp_path / "o.db", CatchUpClock(START))
        async with running(start(before)):
            await before.stop_polling(START + 10_000)
        works = plant(tmp_path, [Unit("new", device)])
        agent = agent_of(works, broker.access_for(AGENT), tmp_path / "o.db", CatchUpClock(START + 10_000))
        receiver = Receiver(broker.access_for(INGEST))
        async with running(start(receiver), start(agent)):
            await agent.stop_polling(START + 20_000)
            assert await agent.drain(PATIENT_S)
    assert [len(receiver.samples(agent.outbox_id, f"site/area/line/{name}")) for name in ("old", "new")] == [10, 10]


async def test_a_wall_clock_that_is_set_neither_stops_the_polling_nor_doubles_it(tmp_path: Path) -> None:
    """Readings that the device served while the wall was wrong, beside those of a unit whose clock nobody touched."""

    class Jumpy(SystemClock):
        error = 0

        def now(self) -> Instant:
            return super().now() + self.error

        def moment(self) -> Moment:
            return super().moment()._replace(wall=super().moment().wall + self.error, synced=None)

    jumping, steady = Served(), Served()
    async with modbus_server(jumping) as port, modbus_server(steady) as other_port:
        clock = Jumpy()
        agent = agent_of(plant(tmp_path, [Unit("a", port, scan="100ms")]), nowhere(), tmp_path / "a.db", clock)
        control = agent_of(
            plant(tmp_path, [Unit("b", other_port, scan="100ms"), Unit("c", other_port, 2, scan="1h")]),
            nowhere(),
            tmp_path / "b.db",
            SystemClock(),
        )
        async with running(start(agent), start(control)), asyncio.timeout(PATIENT_S):
            for error in (0, 3_600_000, -3_600_000, 0):
                clock.error = error
                target = jumping.readings + 10
                while jumping.readings < target or steady.readings < target:  # noqa: ASYNC110 - counters
                    await asyncio.sleep(0.02)
            await asyncio.gather(agent.stop_polling(), control.stop_polling())
            while (figures := agent.figures()).undated or figures.waiting:  # noqa: ASYNC110 - counters
                await asyncio.sleep(0.02)
    assert figures.jumps >= 1
    assert figures.missed_ticks < 10
    assert jumping.readings / steady.readings == pytest.approx(1, abs=0.25)
    times = [sample.time for sample in stored_in(tmp_path / "a.db")]
    assert times == sorted(set(times))
    assert len(times) == figures.polled
