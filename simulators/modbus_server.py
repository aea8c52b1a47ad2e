"""Modbus TCP servers of simulated devices: the *registers* that agents poll. The only socket of this package.

A cycle is what a reader asks of one instant: it ends when an address is asked again. All its answers show the same
instant; the request that covers the template's cycle tag numbers the reading and journals it before it is answered.

Requests on a connection are answered one by one in their order, however they arrive; only functions 1 to 4 are served.
"""

import asyncio
import logging
import struct
from collections.abc import Mapping, Sequence

from pymodbus.constants import ExcCodes
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from devices.register import Table
from devices.template import READING, Template
from shopfloor.clock import Clock
from shopfloor.errors import ServiceUnavailable
from simulators.faults import Dropping, Faults, Late, Refusing, Silent, Slow
from simulators.image import Block, RegisterImage
from simulators.journal import Journal
from simulators.machine import Source

log = logging.getLogger(__name__)

TABLES = {1: Table.COIL, 2: Table.DISCRETE, 3: Table.HOLDING, 4: Table.INPUT}
"""Function code -> what it reads."""
HEADER = struct.Struct(">HHHB")
"""Transaction, protocol, length of what follows, device id."""
LONGEST = 254
BUFFER = 65_536
"""Bytes of pipelined requests that a connection may have waiting."""


class ServedDevice:
    """One unit's device: its registers at the instant of the running cycle, its faults, its journal."""

    def __init__(
        self, unit: str, device_id: int, template: Template, source: Source, journal: Journal, clock: Clock
    ) -> None:
        self.unit = unit
        self.device_id = device_id
        self.faults = Faults()
        self._template = template
        self._source = source
        self._journal = journal
        self._clock = clock
        self._image = RegisterImage(template)
        self._numbered = template.cycle_tag == READING
        self._cycle = template.tag(template.cycle_tag).ref
        self._asked: list[tuple[Table, int, int]] = []
        self._time = 0

    def prepare(self, table: Table, address: int, count: int) -> ExcCodes | None:
        """Bring the registers to the cycle's instant, or say why they are not served.

        Raises OSError when the reading could not be journaled: then it must not be answered.
        """
        block = self._image.blocks.get(table)
        if block is None or not block.holds(address, count) or self._is_forbidden(address, count):
            return ExcCodes.ILLEGAL_ADDRESS
        end = address + count
        if not self._asked or any(table is at and address < high and low < end for at, low, high in self._asked):
            self._begin_cycle()
        self._asked.append((table, address, end))
        if table is self._cycle.table and address <= self._cycle.address and self._cycle.end <= end:
            self._journal_cycle()
        return None

    def _is_forbidden(self, address: int, count: int) -> bool:
        return any(address <= last and first < address + count for first, last in self._template.forbidden)

    def _begin_cycle(self) -> None:
        self._asked.clear()
        self._time = self._clock.now()
        self._image.load(self._source.values(self._time))

    def _journal_cycle(self) -> None:
        if self._numbered:
            self._image.load({READING: self._journal.next_number(self.unit)})
        self._journal.append(self.unit, self._time, self._image.decoded)

    def sim_device(self) -> SimDevice:
        """The device as pymodbus serves it: its action copies the prepared registers into each reply."""
        blocks = self._image.blocks
        data = (
            [_bits(blocks.get(Table.COIL))],
            [_bits(blocks.get(Table.DISCRETE))],
            [_registers(blocks.get(Table.HOLDING))],
            [_registers(blocks.get(Table.INPUT))],
        )
        return SimDevice(id=self.device_id, simdata=data, action=self._act)

    async def _act(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        writes: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        table = TABLES.get(function)
        if table is None or writes is not None:
            return ExcCodes.ILLEGAL_FUNCTION
        block = self._image.blocks[table]
        if table.of_bits:
            _pack_bits(block, start, registers)
        else:
            registers[address - start : address - start + count] = block.words[
                address - block.first : address - block.first + count
            ]
        return None


def _registers(block: Block | None) -> SimData:
    if block is None:
        return SimData(0, datatype=DataType.INVALID)
    return SimData(block.first, values=[0] * len(block.words), datatype=DataType.REGISTERS)


def _bits(block: Block | None) -> SimData:
    first, length = (block.first, len(block.words)) if block else (0, 16)
    return SimData(first, values=[False] * length, datatype=DataType.BITS)


def _pack_bits(block: Block, start: int, registers: list[int]) -> None:
    """Bits of a table into words of 16, the lowest first; ``start`` is the first word's number."""
    registers[:] = [0] * len(registers)
    for bit, is_set in enumerate(block.words, start=block.first):
        if is_set:
            registers[bit // 16 - start] |= 1 << bit % 16


class DeviceServer:
    """The devices behind one (host, port), on a free loopback port."""

    def __init__(self, devices: Sequence[ServedDevice]) -> None:
        self._devices = {device.device_id: device for device in devices}
        self._server: _Server | None = None

    async def start(self) -> tuple[str, int]:
        """Listen; returns the address. Raises ServiceUnavailable."""
        self._server = _Server(self._devices)
        try:
            await self._server.serve_forever(background=True)
        except RuntimeError as error:
            raise ServiceUnavailable(f"simulated devices cannot listen on loopback: {error}") from error
        host, port = self._server.transport.sockets[0].getsockname()  # type: ignore[attr-defined]
        return str(host), int(port)

    async def stop(self) -> None:
        """Close all connections and end everything that still answers."""
        if self._server is not None:
            await self._server.stop()
            self._server = None


class _Server(ModbusTcpServer):
    def __init__(self, devices: Mapping[int, ServedDevice]) -> None:
        super().__init__([device.sim_device() for device in devices.values()], address=("127.0.0.1", 0))
        self.devices = devices
        self.tasks: set[asyncio.Task[None]] = set()

    def callback_new_connection(self) -> "_Connection":
        return _Connection(self)

    async def stop(self) -> None:
        await self.shutdown()  # type: ignore[no-untyped-call]
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


Request = tuple[int, int, bytes]
"""Transaction, device id, function code and data."""


class _Connection(ServerRequestHandler):
    """One reader's connection: requests queue up, and are answered one by one."""

    server: _Server

    def __init__(self, server: _Server) -> None:
        super().__init__(server, None, None, None)  # type: ignore[no-untyped-call]
        self.max_buffer_size = BUFFER
        self._requests: asyncio.Queue[Request] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None

    def callback_connected(self) -> None:
        super().callback_connected()
        self._worker = self._spawn(self._answer_all(), "simulated-device")

    def callback_disconnected(self, exc: Exception | None) -> None:
        super().callback_disconnected(exc)
        if self._worker is not None:
            self._worker.cancel()

    def callback_data(self, data: bytes, addr: tuple[str, int] | None = None) -> int:
        used = 0
        while len(data) - used >= HEADER.size:
            transaction, protocol, length, device_id = HEADER.unpack_from(data, used)
            if protocol or not 2 <= length <= LONGEST:
                self.close()
                return len(data)
            end = used + HEADER.size - 1 + length
            if end > len(data):
                break
            self._requests.put_nowait((transaction, device_id, data[used + HEADER.size : end]))
            used = end
        return used

    def send(self, data: bytes, addr: tuple[str, int] | None = None) -> None:
        if self.transport:  # unlike the parent's, keeps what has been received of the next request
            self.transport.write(data)  # type: ignore[attr-defined]

    def _spawn(self, work: "asyncio._CoroutineLike[None]", name: str) -> "asyncio.Task[None]":
        task = self.loop.create_task(work, name=name)
        self.server.tasks.add(task)
        task.add_done_callback(self.server.tasks.discard)
        return task

    async def _answer_all(self) -> None:
        while not self.is_closing:
            await self._answer(await self._requests.get())

    async def _answer(self, request: Request) -> None:
        device = self.server.devices.get(request[1])
        match device.faults.current if device else None:
            case Silent():
                return
            case Dropping():
                self.close()
            case Refusing(code):
                self._reply(request, ExceptionResponse(request[2][0], code))
            case Slow(seconds):
                await asyncio.sleep(seconds)
                self._reply(request, await self._response(device, request))
            case Late(seconds):
                response = await self._response(device, request)
                self._spawn(self._reply_later(request, response, seconds), "late-reply")
            case None:
                self._reply(request, await self._response(device, request))

    async def _reply_later(self, request: Request, response: ModbusPDU, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._reply(request, response)

    def _reply(self, request: Request, response: ModbusPDU) -> None:
        response.transaction_id, response.dev_id = request[0], request[1]
        self.pdu_send(response)

    async def _response(self, device: ServedDevice | None, request: Request) -> ModbusPDU:
        function, body = request[2][0], request[2]
        if device is None:
            return ExceptionResponse(function, ExcCodes.GATEWAY_NO_RESPONSE)
        if function not in TABLES:
            return ExceptionResponse(function, ExcCodes.ILLEGAL_FUNCTION)
        pdu = self.server.decoder.decode(body)
        if pdu is None:
            return ExceptionResponse(function, ExcCodes.ILLEGAL_VALUE)
        refusal = _prepared(device, TABLES[function], pdu)
        if refusal is not None:
            return ExceptionResponse(function, refusal)
        return await pdu.datastore_update(self.server.context, device.device_id)  # type: ignore[arg-type]


def _prepared(device: ServedDevice, table: Table, pdu: ModbusPDU) -> ExcCodes | None:
    try:
        return device.prepare(table, pdu.address, pdu.count)
    except (OSError, ValueError):
        log.exception("%s: the simulated device cannot answer", device.unit)
        return ExcCodes.DEVICE_FAILURE
