"""The driver against real sockets: a pymodbus server, and devices that misbehave byte by byte."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from devices.register import Table
from edge_agent.modbus_driver import ModbusConnection, ModbusDriver
from edge_agent.read_plan import ReadRequest
from shopfloor.errors import DeviceRefused, DeviceUnreachable, ReplyMistrusted

PATIENT_S = 20.0
SHORT_S = 0.15
"""A timeout for requests that are not to be answered in time."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came over the wire."""

    transaction: int
    unit: int
    function: int
    address: int
    count: int

    def frame(self, pdu: bytes, **changed: int) -> bytes:
        """A reply frame; ``changed`` puts other numbers into its header."""
        head = {"transaction": self.transaction, "protocol": 0, "length": len(pdu) + 1, "unit": self.unit} | changed
        return struct.pack(">HHHB", *head.values()) + pdu

    def pdu(self, count: int | None = None, function: int | None = None) -> bytes:
        """A reply in which each register holds its own address, so that a wrong answer shows."""
        count = self.count if count is None else count
        words = struct.pack(f">{count}H", *range(self.address, self.address + count))
        return bytes([function or self.function, len(words)]) + words


Behaviour = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Device:
    """A raw server: what it was asked, over how many connections."""

    behave: Behaviour
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                transaction, _, _, unit, function, address, count = struct.unpack(
                    ">HHHBBHH", await reader.readexactly(12)
                )
                self.asked.append(Asked(transaction, unit, function, address, count))
                await self.behave(self.asked[-1], writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def good(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(asked.frame(asked.pdu()))


@asynccontextmanager
async def device(behave: Behaviour = good) -> AsyncIterator[Device]:
    it = Device(behave)
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.port = server.sockets[0].getsockname()[1]
    try:
        yield it
    finally:
        server.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def driver(port: int, unit: int = 1, timeout_s: float = PATIENT_S) -> AsyncIterator[ModbusDriver]:
    it = ModbusDriver(ModbusConnection("127.0.0.1", port), unit, timeout_s)
    try:
        yield it
    finally:
        await it.aclose()


def hurried(modbus: ModbusDriver) -> ModbusDriver:
    """The same device for a request that is not to be answered in time; connect before, with patience."""
    return ModbusDriver(modbus._connection, modbus._unit_id, SHORT_S)


def holding(address: int, count: int = 2) -> ReadRequest:
    return ReadRequest(Table.HOLDING, address, count, ())


def once(odd: Behaviour) -> Behaviour:
    """Misbehave at the first request only."""
    calls = iter([odd])

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await next(calls, good)(asked, writer)

    return behave


async def test_the_four_tables_of_a_real_server_are_read() -> None:
    blocks = (
        [SimData(0, values=[True, False, True] + [False] * 13, datatype=DataType.BITS)],
        [SimData(0, values=[False, True] + [False] * 14, datatype=DataType.BITS)],
        [SimData(0, values=list(range(100, 225)), datatype=DataType.REGISTERS)],
        [SimData(0, values=list(range(500, 625)), datatype=DataType.REGISTERS)],
    )
    server = ModbusTcpServer([SimDevice(id=1, simdata=blocks)], address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    port = server.transport.sockets[0].getsockname()[1]
    plan = [
        ReadRequest(Table.COIL, 0, 3, ()),
        ReadRequest(Table.DISCRETE, 0, 2, ()),
        ReadRequest(Table.HOLDING, 0, 125, ()),
        ReadRequest(Table.INPUT, 7, 1, ()),
    ]
    try:
        async with driver(port) as it:
            answers = await it.read(plan)
    finally:
        await server.shutdown()
    assert [list(answer) for answer in answers if not isinstance(answer, DeviceRefused)] == [
        [True, False, True],
        [False, True],
        list(range(100, 225)),
        [507],
    ]


ODD = {
    "the answer to another function": lambda asked: asked.frame(asked.pdu(function=4)),
    "a short reply": lambda asked: asked.frame(asked.pdu(count=1)),
    "a long reply": lambda asked: asked.frame(asked.pdu(count=3)),
    "transaction 0": lambda asked: asked.frame(asked.pdu(), transaction=0),
    "the transaction before": lambda asked: asked.frame(asked.pdu(), transaction=asked.transaction - 1),
    "another unit's reply": lambda asked: asked.frame(asked.pdu(), unit=9),
    "another protocol": lambda asked: asked.frame(asked.pdu(), protocol=7),
    "a wrong byte count": lambda asked: asked.frame(bytes([3, 200]) + asked.pdu()[2:]),
    "an odd byte count": lambda asked: asked.frame(bytes([3, 3, 0, 1, 2])),
    "a length that is too great": lambda asked: asked.frame(asked.pdu(), length=200),
    "an unknown function": lambda asked: asked.frame(bytes([0x63, 4, 0, 0, 0, 0])),
    "the exception of another function": lambda asked: asked.frame(bytes([0x84, 2])),
    "two replies at once": lambda asked: asked.frame(asked.pdu()) * 2,
    "noise": lambda asked: bytes(range(64)),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_a_reply_that_does_not_fit_is_refused_at_once_and_the_next_request_starts_clean(
    odd: Callable[[Asked], bytes],
) -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(odd(asked))

    async with device(once(answer)) as it, driver(it.port) as modbus:
        with pytest.raises(ReplyMistrusted):
            await modbus.read([holding(100)])
        assert await modbus.read([holding(200)]) == [[200, 201]]
        assert it.connections == 2


async def test_a_reply_in_pieces_is_one_reply() -> None:
    async def dribble(asked: Asked, writer: asyncio.StreamWriter) -> None:
        for byte in asked.frame(asked.pdu()):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async with device(dribble) as it, driver(it.port) as modbus:
        assert await modbus.read([holding(5), holding(9)]) == [[5, 6], [9, 10]]
        assert it.connections == 1


async def test_a_late_answer_is_never_taken_for_the_next_request() -> None:
    """Even when it comes on the new connection, just before the right one - as some gateways do."""
    owed: list[bytes] = []

    async def late(asked: Asked, writer: asyncio.StreamWriter) -> None:
        owed.append(asked.frame(asked.pdu()))
        if len(owed) > 1:
            writer.write(owed.pop(0))

    async with device(late) as it, driver(it.port) as modbus:
        for address in (100, 200, 300, 400):
            await modbus.connect()
            with pytest.raises((DeviceUnreachable, ReplyMistrusted)):
                await hurried(modbus).read([holding(address)])
        it.behave = good
        assert await modbus.read([holding(500)]) == [[500, 501]]
        transactions = [asked.transaction for asked in it.asked]
        assert len(set(transactions)) == len(transactions) == it.connections


async def test_an_answer_after_the_timeout_meets_a_closed_connection() -> None:
    ended = asyncio.Event()

    async def wait_for_the_next(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.write(asked.frame(asked.pdu()))

    async with device(once(wait_for_the_next)) as it, driver(it.port) as modbus:
        await modbus.connect()
        with pytest.raises(DeviceUnreachable, match="no answer within"):
            await hurried(modbus).read([holding(100)])
        ended.set()
        assert await modbus.read([holding(200)]) == [[200, 201]]
        assert it.connections == 2


async def test_a_cancelled_read_leaves_no_answer_behind() -> None:
    asked_once, ended = asyncio.Event(), asyncio.Event()

    async def hold(asked: Asked, writer: asyncio.StreamWriter) -> None:
        asked_once.set()
        await ended.wait()
        writer.write(asked.frame(asked.pdu()))

    async with device(once(hold)) as it, driver(it.port) as modbus:
        reading = asyncio.create_task(modbus.read([holding(100)]))
        await asked_once.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        ended.set()
        assert await modbus.read([holding(200)]) == [[200, 201]]


async def test_a_cancellation_that_meets_the_answer_is_not_lost() -> None:
    class Cancelling(ModbusConnection):
        def _vet(self, sending: bool, frame: bytes) -> bytes:
            if not sending:
                reading.cancel()
            return super()._vet(sending, frame)

    async with device() as it:
        connection = Cancelling("127.0.0.1", it.port)
        reading = asyncio.create_task(connection.read(1, [holding(100)], PATIENT_S))
        with pytest.raises(asyncio.CancelledError):
            await reading
        await connection.aclose()


@pytest.mark.parametrize("code", [1, 2, 4, 6, 99])
async def test_an_exception_reply_is_a_refusal_and_the_connection_stays(code: int) -> None:
    async def refuse(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(asked.frame(bytes([asked.function | 0x80, code])))

    async with device(once(refuse)) as it, driver(it.port) as modbus:
        refused, fine = await modbus.read([holding(100), holding(200)])
        assert isinstance(refused, DeviceRefused)
        assert f"({code}) for holding 100" in str(refused)
        assert fine == [200, 201]
        assert it.connections == 1


async def test_a_gateway_that_misses_its_device_is_no_answer_of_the_device() -> None:
    async def gateway(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(asked.frame(bytes([asked.function | 0x80, 11])))

    async with device(once(gateway)) as it, driver(it.port) as modbus:
        with pytest.raises(DeviceUnreachable, match="behind the gateway"):
            await modbus.read([holding(100)])
        assert await modbus.read([holding(200)]) == [[200, 201]]
        assert it.connections == 1


async def test_a_connection_that_is_closed_on_a_request_fails_it_without_waiting_for_the_timeout() -> None:
    async def hang_up(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with device(once(hang_up)) as it, driver(it.port, timeout_s=150) as modbus:
        with pytest.raises(DeviceUnreachable, match="closed by the other side"):
            await modbus.read([holding(100)])
        assert await modbus.read([holding(200)]) == [[200, 201]]


async def test_nobody_listening_is_unreachable() -> None:
    async with device() as it:
        port = it.port
    async with driver(port) as modbus:
        with pytest.raises(DeviceUnreachable, match="no connection"):
            await modbus.connect()


async def test_many_who_connect_at_once_share_one_connection() -> None:
    async with device() as it:
        connection = ModbusConnection("127.0.0.1", it.port)
        units = [ModbusDriver(connection, unit, PATIENT_S) for unit in range(1, 6)]
        await asyncio.gather(*(unit.connect() for unit in units))
        answers = await asyncio.gather(*(unit.read([holding(unit_id)]) for unit_id, unit in enumerate(units)))
        assert answers == [[[unit_id, unit_id + 1]] for unit_id in range(5)]
        assert {asked.unit for asked in it.asked} == {1, 2, 3, 4, 5}
        assert it.connections == 1
        await connection.aclose()


async def test_transactions_run_on_over_the_library_s_wrap() -> None:
    async with device() as it:
        connection = ModbusConnection("127.0.0.1", it.port)
        connection._transaction = 64_999
        modbus = ModbusDriver(connection, 1, PATIENT_S)
        assert [await modbus.read([holding(address)]) for address in (1, 2, 3)] == [[[1, 2]], [[2, 3]], [[3, 4]]]
        assert [asked.transaction for asked in it.asked] == [65_000, 1, 2]
        await modbus.aclose()
