"""Simulated devices over real sockets, read by independent clients."""

import asyncio
import shutil
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ConnectionException, ModbusIOException

from devices import library
from devices.codec import decode
from devices.register import RegisterRef, Table
from devices.template import Template, parse
from shopfloor.calendar import Calendar, LocalRange, Shift
from shopfloor.clock import CatchUpClock
from shopfloor.dated import Dated
from shopfloor.equipment import EquipmentPath
from shopfloor.errors import PlantError
from shopfloor.instant import HOUR, SECOND, parse_instant
from shopfloor.machine_state import TimeCategory
from shopfloor.plant import DeviceRef, Plant, Policy, ProductRule, WorkUnit
from shopfloor.quality import Status
from simulators.factory import Factory
from simulators.faults import Dropping, Late, Refusing, Silent, Slow

EPOCH = parse_instant("2026-01-05T06:00:00+07:00")
NOW = EPOCH + 2 * HOUR
STATES = {
    0: TimeCategory.NO_ORDER,
    1: TimeCategory.RUNNING,
    2: TimeCategory.UNPLANNED_STOP,
    3: TimeCategory.SETUP,
}
BUSY = Calendar("always", (Shift("day", LocalRange(0, 1440)),))
CNC = "works/machining/line-1/cnc-generic"


class SteppedClock(CatchUpClock):
    """Time that a test moves by hand."""

    def set(self, now: int) -> None:
        self._now = now


def unit(template: str, *, host: str | None = None, unit_id: int = 1, name: str | None = None) -> WorkUnit:
    is_machine = "generic" in template or template == "bits"
    return WorkUnit(
        path=EquipmentPath("demo", "works", "machining", "line-1", name or template),
        name={},
        device=DeviceRef(template, host or f"{template}.example", 502, unit_id, 1_000, 500),
        states=Dated.always(STATES) if is_machine else None,
        product=Dated.always(ProductRule(fixed="disc")) if is_machine else None,
        planned_run_time_s=Dated.always({"disc": 20.0}) if is_machine else None,
        micro_stop_s=Dated.always(120.0),
        max_age_ms=3_000,
        calendar=Dated.always(BUSY),
        timezone="Asia/Jakarta",
        policy=Policy(),
        max_power_kw=40.0,
        targets={},
    )


def plant(*units: WorkUnit) -> Plant:
    return Plant(
        enterprise="demo",
        language="en",
        products={},
        tariffs={},
        sites=(),
        agents={},
        revision="test",
        units={str(each.path): each for each in units},
    )


class Bench:
    """A running factory and a client per connection."""

    def __init__(self, factory: Factory, clock: SteppedClock, ports: dict[tuple[str, int], int]) -> None:
        self.factory = factory
        self.clock = clock
        self.ports = ports
        self._clients: list[AsyncModbusTcpClient] = []

    def port(self, template: str) -> int:
        return self.ports[f"{template}.example", 502]

    async def client(self, template: str, patience: float = 5.0) -> AsyncModbusTcpClient:
        client = AsyncModbusTcpClient(
            "127.0.0.1", port=self.port(template), timeout=patience, retries=0, reconnect_delay=0
        )
        assert await client.connect()
        self._clients.append(client)
        return client

    async def journaled(self, path: str) -> None:
        """Wait until the unit's device has worked on a request."""
        async with asyncio.timeout(30):
            while self.factory.journal.count(path) == 0:  # noqa: ASYNC110 - the journal is a file, not an event
                await asyncio.sleep(0)

    def close(self) -> None:
        for client in self._clients:
            client.close()


@asynccontextmanager
async def running(
    path: Path, *units: WorkUnit, templates: Callable[[str], Template] = library.load
) -> AsyncIterator[Bench]:
    clock = SteppedClock(NOW)
    factory = Factory(plant(*units), seed=7, epoch=EPOCH, clock=clock, journal_path=path, templates=templates)
    endpoints = await factory.start()
    bench = Bench(factory, clock, {connection: port for connection, (_, port) in endpoints.items()})
    try:
        yield bench
    finally:
        bench.close()
        await factory.stop()


async def read(client: AsyncModbusTcpClient, ref: RegisterRef, device_id: int = 1) -> Sequence[int]:
    functions = {
        Table.HOLDING: client.read_holding_registers,
        Table.INPUT: client.read_input_registers,
        Table.COIL: client.read_coils,
        Table.DISCRETE: client.read_discrete_inputs,
    }
    reply = await functions[ref.table](ref.address, count=ref.width, device_id=device_id)
    assert not reply.isError(), reply
    return [int(bit) for bit in reply.bits[: ref.width]] if ref.table.of_bits else list(reply.registers)


@pytest.mark.parametrize("name", library.names())
async def test_every_template_is_served_and_reads_back_as_its_journal_says(tmp_path: Path, name: str) -> None:
    async with running(tmp_path / "journal", unit(name)) as bench:
        client = await bench.client(name)
        template = library.load(name)
        seen = {}
        for tag in template.tags:
            value = decode(tag.ref, await read(client, tag.ref))
            seen[tag.spec.name] = None if isinstance(value, Status) else value
        (entry,) = bench.factory.journal.entries()
        assert entry.values == {**seen, **({"x_reading": 1} if "x_reading" in seen else {})}
        assert entry.t == NOW


async def test_mbpoll_reads_what_the_journal_says(tmp_path: Path) -> None:
    mbpoll = shutil.which("mbpoll")
    assert mbpoll, "apt install mbpoll"
    async with running(tmp_path / "journal", unit("cnc-generic")) as bench:
        port = str(bench.port("cnc-generic"))
        process = await asyncio.create_subprocess_exec(
            mbpoll, "-m", "tcp", "-p", port, "-a", "1", "-t", "4:hex", "-0", "-r", "100", "-c", "16", "-1", "127.0.0.1",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate()
        words = [int(line.split()[1], 16) for line in output.decode().splitlines() if line.startswith("[")]
        (entry,) = bench.factory.journal.entries(CNC)
        for tag in library.load("cnc-generic").tags:
            start = tag.ref.address - 100
            assert decode(tag.ref, words[start : start + tag.ref.width]) == entry.values[tag.spec.name]


async def test_each_cycle_is_numbered_journaled_and_shows_one_instant(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", unit("furnace-generic")) as bench:
        client = await bench.client("furnace-generic")
        numbers = []
        for cycle in range(5):
            bench.clock.set(NOW + cycle * 60 * SECOND)
            first = await client.read_holding_registers(0, count=10, device_id=1)
            bench.clock.set(NOW + cycle * 60 * SECOND + 20 * SECOND)
            second = await client.read_holding_registers(14, count=6, device_id=1)
            numbers.append(first.registers[8] << 16 | first.registers[9])
            entry = list(bench.factory.journal.entries())[-1]
            assert entry.t == NOW + cycle * 60 * SECOND
            template = library.load("furnace-generic")
            assert decode(template.tag("power_kw").ref, second.registers[:2]) == entry.values["power_kw"]
        assert numbers == [1, 2, 3, 4, 5]
        assert bench.factory.journal.count() == 5
        span = bench.factory.journal.span(CNC.replace("cnc", "furnace"))
        assert (span.first, span.last) == (NOW, NOW + 240 * SECOND)


async def test_a_restarted_factory_goes_on_where_it_was(tmp_path: Path) -> None:
    values = []
    for _ in range(2):
        async with running(tmp_path / "journal", unit("cnc-generic")) as bench:
            client = await bench.client("cnc-generic")
            values.append((await client.read_holding_registers(100, count=16, device_id=1)).registers)
    assert values[0][:14] == values[1][:14]
    assert [values[0][15], values[1][15]] == [1, 2]


async def test_counters_between_two_readings_are_the_truth(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", unit("cnc-generic"), unit("abb-b23")) as bench:
        cnc, meter = await bench.client("cnc-generic"), await bench.client("abb-b23")
        for minute in range(0, 240, 7):
            bench.clock.set(NOW + minute * 60 * SECOND)
            await cnc.read_holding_registers(100, count=16, device_id=1)
            await meter.read_holding_registers(20480, count=4, device_id=1)
            await meter.read_holding_registers(23340, count=1, device_id=1)
        journal = bench.factory.journal
        span = journal.span(CNC)
        first, *_, last = journal.entries(CNC)
        truth = bench.factory.truth(CNC, span.first, span.last)
        produced = (int(last.values["produced"] or 0) - int(first.values["produced"] or 0)) % 2**32  # type: ignore[call-overload]
        assert produced == truth.quantities.produced + truth.quantities.setup_produced > 0
        energy = (round(1000 * last.values["energy_kwh"]) - round(1000 * first.values["energy_kwh"])) % 2**32  # type: ignore[operator]
        assert energy / 1000 == pytest.approx(truth.energy.total_kwh, abs=0.001)
        path = CNC.replace("cnc-generic", "abb-b23")
        start, *_, end = journal.entries(path)
        metered = end.values["energy_kwh"] - start.values["energy_kwh"]  # type: ignore[operator]
        whole = bench.factory.truth(path, start.t, end.t).energy.total_kwh
        assert metered == pytest.approx(whole, abs=0.02)
        assert whole > truth.energy.total_kwh


async def test_writes_and_other_functions_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", unit("cnc-generic")) as bench:
        client = await bench.client("cnc-generic")
        for reply in (
            await client.write_register(100, 9, device_id=1),
            await client.write_registers(100, [9, 9], device_id=1),
            await client.write_coil(1, True, device_id=1),
            await client.write_coils(1, [True, False], device_id=1),
            await client.mask_write_register(address=100, and_mask=0xFF, or_mask=1, device_id=1),
            await client.readwrite_registers(read_address=100, read_count=1, address=100, values=[1], device_id=1),
            await client.report_device_id(device_id=1),
            await client.read_device_information(device_id=1),
        ):
            assert reply.exception_code == ExcCodes.ILLEGAL_FUNCTION
        assert bench.factory.journal.count() == 0


async def test_forbidden_and_outside_registers_are_illegal_and_holes_read_zero(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", unit("furnace-generic")) as bench:
        client = await bench.client("furnace-generic")
        for address, count in ((10, 1), (9, 2), (13, 2), (0, 20), (19, 2), (20, 1), (500, 1)):
            reply = await client.read_holding_registers(address, count=count, device_id=1)
            assert reply.exception_code == ExcCodes.ILLEGAL_ADDRESS, (address, count)
        for other in (client.read_input_registers, client.read_coils, client.read_discrete_inputs):
            assert (await other(0, count=1, device_id=1)).exception_code == ExcCodes.ILLEGAL_ADDRESS
        assert (await client.read_holding_registers(5, count=1, device_id=1)).registers == [0]


async def test_devices_behind_one_connection_answer_by_their_id_and_others_do_not_exist(tmp_path: Path) -> None:
    units = [unit("cnc-generic", host="gateway.example", unit_id=n, name=f"cnc-{n}") for n in (1, 5, 9)]
    async with running(tmp_path / "journal", *units) as bench:
        assert len(bench.ports) == 1
        client = await bench.client("gateway")
        for n in (1, 5, 9, 5):
            assert not (await client.read_holding_registers(100, count=16, device_id=n)).isError()
        assert (await client.read_holding_registers(100, count=1, device_id=2)).exception_code == 11
        assert (await client.read_holding_registers(100, count=1, device_id=0)).exception_code == 11
        journal = bench.factory.journal
        assert [journal.count(f"works/machining/line-1/cnc-{n}") for n in (1, 5, 9)] == [1, 2, 1]


async def test_one_device_id_twice_on_a_connection_is_refused(tmp_path: Path) -> None:
    units = [unit("cnc-generic", host="gateway.example", name=f"cnc-{n}") for n in (1, 2)]
    with pytest.raises(PlantError, match="unit_id 1 is taken"):
        async with running(tmp_path / "journal", *units):
            pass


def frame(transaction: int, address: int, count: int, device_id: int = 1, function: int = 3) -> bytes:
    return struct.pack(">HHHBBHH", transaction, 0, 6, device_id, function, address, count)


async def replies(reader: asyncio.StreamReader, number: int) -> list[tuple[int, int]]:
    """(transaction, bytes of data or exception code) of so many replies."""
    seen = []
    for _ in range(number):
        transaction, _, length, _, _, size = struct.unpack(">HHHBBB", await reader.readexactly(9))
        await reader.readexactly(length - 3)
        seen.append((transaction, size))
    return seen


async def test_pipelined_requests_are_all_answered_in_their_order(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", unit("cnc-generic")) as bench:
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.port("cnc-generic"))
        burst = b"".join(frame(n, 100 + n % 3, 1 + n % 5) for n in range(60))
        writer.write(burst[:-5])
        await writer.drain()
        assert await replies(reader, 59) == [(n, 2 * (1 + n % 5)) for n in range(59)]
        writer.write(burst[-5:] + frame(60, 100, 126) + frame(61, 100, 1))
        assert await replies(reader, 3) == [(59, 10), (60, ExcCodes.ILLEGAL_VALUE), (61, 2)]
        writer.close()
        await writer.wait_closed()


async def test_a_stream_that_is_not_modbus_is_hung_up_on(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", unit("cnc-generic")) as bench:
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.port("cnc-generic"))
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_silent_device_leaves_its_neighbours_and_itself_unharmed(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", unit("cnc-generic"), unit("press-generic")) as bench:
        client, other = await bench.client("cnc-generic", patience=0.05), await bench.client("press-generic")
        bench.factory.faults(CNC).set(Silent())
        with pytest.raises(ModbusIOException):
            await client.read_holding_registers(100, count=16, device_id=1)
        assert not (await other.read_input_registers(0, count=16, device_id=1)).isError()
        assert bench.factory.journal.count(CNC) == 0
        bench.factory.faults(CNC).clear()
        again = await bench.client("cnc-generic")
        assert not (await again.read_holding_registers(100, count=16, device_id=1)).isError()


async def test_a_refusing_device_answers_its_exception_code(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", unit("cnc-generic")) as bench:
        client = await bench.client("cnc-generic")
        bench.factory.faults(CNC).set(Refusing(ExcCodes.DEVICE_BUSY))
        reply = await client.read_holding_registers(100, count=16, device_id=1)
        assert reply.exception_code == ExcCodes.DEVICE_BUSY
        assert bench.factory.journal.count(CNC) == 0


async def test_a_dropping_device_closes_the_connection(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", unit("cnc-generic")) as bench:
        bench.factory.faults(CNC).set(Dropping())
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.port("cnc-generic"))
        writer.write(frame(1, 100, 16))
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        client = await bench.client("cnc-generic", patience=0.05)
        with pytest.raises((ModbusIOException, ConnectionException)):
            await client.read_holding_registers(100, count=16, device_id=1)


async def test_a_slow_device_answers_in_order_after_its_delay(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", unit("cnc-generic")) as bench:
        bench.factory.faults(CNC).set(Slow(0.05))
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.port("cnc-generic"))
        started = asyncio.get_running_loop().time()
        writer.write(frame(1, 100, 1) + frame(2, 101, 2))
        assert await replies(reader, 2) == [(1, 2), (2, 4)]
        assert asyncio.get_running_loop().time() - started >= 0.1
        writer.close()
        await writer.wait_closed()


async def test_a_late_answer_keeps_its_own_transaction_and_comes_after_the_next(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", unit("cnc-generic")) as bench:
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.port("cnc-generic"))
        bench.factory.faults(CNC).set(Late(1.0))
        writer.write(frame(1, 100, 16))
        await bench.journaled(CNC)
        bench.factory.faults(CNC).clear()
        writer.write(frame(2, 101, 2))
        assert await replies(reader, 2) == [(2, 4), (1, 32)]
        writer.close()
        await writer.wait_closed()


async def test_a_factory_stops_while_answers_are_outstanding(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", unit("cnc-generic")) as bench:
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.port("cnc-generic"))
        bench.factory.faults(CNC).set(Late(600))
        writer.write(frame(1, 100, 16))
        await bench.journaled(CNC)
        bench.factory.faults(CNC).set(Slow(600))
        writer.write(frame(2, 100, 5))
        await bench.factory.stop()
        with suppress(ConnectionResetError):  # where the last request was not even read
            assert await reader.read() == b""
        writer.close()
        with suppress(ConnectionResetError):
            await writer.wait_closed()
    assert not [task for task in asyncio.all_tasks() if task.get_name() in ("simulated-device", "late-reply")]


BITS = """
template: bits
manual: "test"
probe: state
tags:
  - {name: state,  kind: state, ref: {table: holding, address: 3, type: u16}}
  - {name: x_ready, kind: state, ref: {table: coil, address: 21, type: bool}}
  - {name: alarm_code, kind: state, ref: {table: discrete, address: 5, type: bool}}
"""


async def test_coils_and_discrete_inputs_are_served(tmp_path: Path) -> None:
    template = parse(BITS, "bits.yaml")
    async with running(tmp_path / "journal", unit("bits"), templates=lambda _: template) as bench:
        client = await bench.client("bits")
        script = bench.factory.script("works/machining/line-1/bits")
        for hours in range(100, 2_000, 100):
            script.until(EPOCH + hours * HOUR)
            if any(segment.alarm == 1 for segment in script.segments[:-1]):
                break
        stop = next(segment for segment in script.segments if segment.alarm == 1)
        bench.clock.set(stop.start)
        assert (await client.read_discrete_inputs(5, count=1, device_id=1)).bits[0] is True
        assert (await client.read_coils(21, count=1, device_id=1)).bits[0] is False
        assert (await client.read_coils(20, count=2, device_id=1)).exception_code == ExcCodes.ILLEGAL_ADDRESS
        bench.clock.set(stop.end)
        assert (await client.read_discrete_inputs(5, count=1, device_id=1)).bits[0] is False
