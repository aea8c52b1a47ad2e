"""Registers -> samples over Modbus TCP: the only client of pymodbus, and it only reads.

The library believes what it gets: another function's reply, a short one, transaction 0. So each frame is held against
the request before the library sees it. After any timeout or odd reply the connection is closed, and transaction ids
run on over reconnects, so a late answer cannot be taken for the next request's - even through a gateway that sends it
on the new connection.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from devices.register import Table
from edge_agent.driver import Answer
from edge_agent.read_plan import ReadRequest
from shopfloor.errors import DeviceRefused, DeviceUnreachable, ReplyMistrusted

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # failures are ours to report: once, not per cycle

HEADER: Final = 7
"""Bytes before the function code: transaction, protocol, length, unit id."""
EXCEPTION_BIT: Final = 0x80
LAST_TRANSACTION: Final = 65_000
"""The library starts again at 1 after this one."""

EXCEPTIONS: Final = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge, still working",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "no answer from the device behind the gateway",
}
BEHIND_GATEWAY: Final = frozenset({10, 11})
"""Exceptions that a gateway sends for a device that is not there: unreachable, though the connection is sound."""


class ModbusConnection:
    """One TCP connection to a host and port, shared by the units behind it; one request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._bus = asyncio.Lock()
        self._client: AsyncModbusTcpClient | None = None
        self._transaction = random.randrange(1, LAST_TRANSACTION)  # noqa: S311 - to differ from a former process
        self._asked: tuple[int, ReadRequest] | None = None

    def __str__(self) -> str:
        return f"{self._host}:{self._port}"

    async def connect(self, timeout_s: float) -> None:
        """Connect unless connected; concurrent callers share one attempt. Raises DeviceUnreachable."""
        async with self._bus:
            await self._connected(timeout_s)

    async def read(self, unit_id: int, plan: Sequence[ReadRequest], timeout_s: float) -> list[Answer]:
        """The answers of one unit to a whole plan, uninterrupted by other units. Errors as ``Driver.read``."""
        async with self._bus:
            client = await self._connected(timeout_s)
            return [await self._ask(client, unit_id, request) for request in plan]

    async def aclose(self) -> None:
        """Close and let the event loop finish with the socket."""
        self._drop()
        await asyncio.sleep(0)

    async def _connected(self, timeout_s: float) -> AsyncModbusTcpClient:
        if self._client is None or not self._client.connected:
            self._drop()
            self._client = await self._open(timeout_s)
        self._client.ctx.comm_params.timeout_connect = timeout_s
        return self._client

    async def _open(self, timeout_s: float) -> AsyncModbusTcpClient:
        client = AsyncModbusTcpClient(
            self._host,
            port=self._port,
            timeout=timeout_s,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._vet,
            trace_connect=self._noticed,
        )
        try:
            connected = await client.connect()
            _uphold_cancellation()
        except BaseException:
            client.close()
            raise
        if not connected:
            raise DeviceUnreachable(f"{self}: no connection within {timeout_s:g} s")
        client.ctx.next_tid = self._transaction
        return client

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._transaction = client.ctx.next_tid
            client.close()

    async def _ask(self, client: AsyncModbusTcpClient, unit_id: int, request: ReadRequest) -> Answer:
        source = f"{self} unit {unit_id}"
        try:
            self._asked = (unit_id, request)
            reply = await _READS[request.table](client, unit_id, request)
            _uphold_cancellation()
            _check(reply, request, source)
        except ModbusException:
            self._drop()
            raise DeviceUnreachable(
                f"{source}: no answer within {client.ctx.comm_params.timeout_connect:g} s"
            ) from None
        except BaseException:  # mistrusted, cut off or cancelled: an answer may still be on its way
            self._drop()
            raise
        finally:
            self._asked = None
        return _refusal(reply, request, source) if reply.isError() else _values(reply, request)

    def _vet(self, sending: bool, frame: bytes) -> bytes:
        """Pass on what fits the request; fail the request at once for what does not."""
        if sending or self._client is None:
            return frame
        context = self._client.ctx
        fault = _frame_fault(frame, context.request_transaction_id, self._asked)
        if fault is None:
            return frame
        if not context.response_future.done():
            context.response_future.set_exception(ReplyMistrusted(f"{self}: {fault}"))
        return b""

    def _noticed(self, connected: bool) -> None:
        """A connection that the other side closes fails the request now, not at its timeout."""
        if not connected and self._asked and self._client and not self._client.ctx.response_future.done():
            fault = DeviceUnreachable(f"{self}: closed by the other side")
            self._client.ctx.response_future.set_exception(fault)


class ModbusDriver:
    """One Modbus unit on a connection. Fulfils ``Driver``."""

    def __init__(self, connection: ModbusConnection, unit_id: int, timeout_s: float) -> None:
        self._connection, self._unit_id, self._timeout_s = connection, unit_id, timeout_s

    async def connect(self) -> None:
        await self._connection.connect(self._timeout_s)

    async def read(self, plan: Sequence[ReadRequest]) -> list[Answer]:
        return await self._connection.read(self._unit_id, plan, self._timeout_s)

    async def aclose(self) -> None:
        await self._connection.aclose()


def _frame_fault(frame: bytes, transaction: int, asked: tuple[int, ReadRequest] | None) -> str | None:
    """What is wrong with a received frame, as far as it has come."""
    if asked is None:
        return "a reply that nobody asked for"
    unit_id, request = asked
    if len(frame) <= HEADER:
        return None
    got_transaction, protocol, length = (int.from_bytes(frame[at : at + 2], "big") for at in (0, 2, 4))
    function = frame[HEADER]
    expected = 2 if function & EXCEPTION_BIT else 2 + _data_bytes(request)
    faults = (
        (got_transaction != transaction, f"transaction {got_transaction} for {transaction}"),
        (protocol != 0, f"protocol {protocol}"),
        (frame[HEADER - 1] != unit_id, f"unit id {frame[HEADER - 1]} for {unit_id}"),
        (function & ~EXCEPTION_BIT != request.function_code, f"function {function} for {request.function_code}"),
        (length != 1 + expected, f"{length} bytes for {1 + expected}"),
        (len(frame) > HEADER + expected, "more bytes than one reply has"),
        (
            not function & EXCEPTION_BIT and len(frame) > HEADER + 1 and frame[HEADER + 1] != expected - 2,
            "a byte count that is not that of the request",
        ),
    )
    return next((fault for wrong, fault in faults if wrong), None)


def _data_bytes(request: ReadRequest) -> int:
    return (request.count + 7) // 8 if request.table.of_bits else 2 * request.count


def _uphold_cancellation() -> None:
    """The library waits by ``asyncio.wait_for``, which in Python 3.11 drops a cancellation that meets the answer."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _values(reply: ModbusPDU, request: ReadRequest) -> Sequence[int]:
    return reply.bits[: request.count] if request.table.of_bits else reply.registers


def _check(reply: ModbusPDU, request: ReadRequest, source: str) -> None:
    """The frame fitted; what the library made of it must fit too."""
    if reply.function_code & ~EXCEPTION_BIT != request.function_code:
        raise ReplyMistrusted(f"{source}: function {reply.function_code} for {request.function_code}")
    if not reply.isError() and (got := len(_values(reply, request))) != request.count:
        raise ReplyMistrusted(f"{source}: {got} values for {request.count}")


def _refusal(reply: ModbusPDU, request: ReadRequest, source: str) -> DeviceRefused:
    code = reply.exception_code
    told = f"{source}: {EXCEPTIONS.get(code, 'exception')} ({code}) for {request.table} {request.address}"
    if code in BEHIND_GATEWAY:
        raise DeviceUnreachable(told)
    return DeviceRefused(told)


_Read = Callable[[AsyncModbusTcpClient, int, ReadRequest], Awaitable[Any]]

_READS: Final[dict[Table, _Read]] = {
    Table.COIL: lambda client, unit_id, ask: client.read_coils(ask.address, count=ask.count, device_id=unit_id),
    Table.DISCRETE: lambda client, unit_id, ask: client.read_discrete_inputs(
        ask.address, count=ask.count, device_id=unit_id
    ),
    Table.HOLDING: lambda client, unit_id, ask: client.read_holding_registers(
        ask.address, count=ask.count, device_id=unit_id
    ),
    Table.INPUT: lambda client, unit_id, ask: client.read_input_registers(
        ask.address, count=ask.count, device_id=unit_id
    ),
}
